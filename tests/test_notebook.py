"""What a notebook shows of results: whatever lies there and however it is named."""

from __future__ import annotations

import shutil
from html.parser import HTMLParser

import pytest
from runs import COINS, SMALL, built

import sim
from sim.store.directory import Directory

WORDS = {"div", "p", "strong", "bdi", "table", "caption", "thead", "tbody", "tr", "th", "td"}
HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror='alert(1)'>",
    "\"quoted\" & 'so' &amp; </table>",
    "\u202eשלום",
    "x" * 200,
]


class Reader(HTMLParser):
    """Read HTML whose elements all end, and gather its text by element."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((tuple(self.open), data))

    def of(self, tag: str) -> list[str]:
        return [text for place, text in self.texts if tag in place]

    @property
    def text(self) -> str:
        return "".join(text for _, text in self.texts)


def shown(results: sim.Results) -> Reader:
    """Return what a notebook shows; only harmless elements are in it."""
    read = Reader(results._repr_html_())
    assert read.seen <= WORDS
    assert read.attributes <= {"class", "style", "scope"}
    return read


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> sim.Results:
    return sim.run(built(COINS, trials=300), out=tmp_path_factory.mktemp("results"))


@pytest.fixture
def copy(results, tmp_path) -> sim.Results:
    return sim.open_results(shutil.copytree(results.path, tmp_path / "coins"))


def stopped(tmp_path, after: int) -> sim.Results:
    """Return a run that was interrupted after some trials."""

    def stop(done: int, total: int) -> None:
        if done > after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sim.run(built(), out=tmp_path, progress=stop)
    return sim.open_results(tmp_path / "coins")


def test_results_show_as_what_opens_them_again(results):
    assert repr(results) == f"sim.open_results('{results.path}')"
    assert eval(repr(results)) == results


def test_a_complete_run_shows_its_biases_with_their_errors(results):
    read = shown(results)
    assert "coins" in read.of("strong")
    assert f"Complete, 300 trials a bag; tables in {results.path}" in read.text
    assert read.of("caption")[0] == (
        "Bias of KL (nats): bag back against model itself; the true KL is 0"
    )
    first = results.summary.iloc[0]
    assert (first["estimator"], first["size"]) == ("counting", 5)
    value, error = read.of("td")[0].split(" ± ")
    assert float(value) == pytest.approx(first["bias"], abs=0.6 * 10 ** -len(value.split(".")[1]))
    assert float(error) == pytest.approx(first["bias_mcse"], rel=0.05)


def test_only_the_first_groups_are_shown_and_the_rest_is_counted(results):
    read = shown(results)
    assert len(read.of("caption")) == 3
    groups = results.summary.groupby(["bag", "model", "target"], dropna=False).ngroups
    assert f"{groups - 3} more tables" in read.text


def test_the_best_estimator_stands_in_a_sentence(results):
    best = results.best().iloc[0]
    (sentence, *_) = (text for text in shown(results).of("p") if text.startswith("Smallest"))
    assert sentence.startswith(f"Smallest error (rmse), {best['bag']} / {best['model']}: ")
    assert best["best"] in sentence


def test_many_estimators_are_counted_where_they_do_not_fit(tmp_path):
    many = {f"e{number}": {"kind": "plug_in"} for number in range(9)}
    read = shown(sim.run(built({**COINS, **SMALL}, estimators=many), out=tmp_path))
    assert "e5" in read.of("th")
    assert "e6" not in read.of("th")
    assert read.of("caption")[0].endswith("; 3 more estimators are in .summary")


@pytest.mark.parametrize("label", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_label_is_text_and_nothing_else(tmp_path, label):
    one = {"kind": "with_replacement", "balls": {"red": 2, "blue": 3}}
    hostile = built(
        {**COINS, **SMALL},
        about=label,
        bags={label: one},
        models={label: {"kind": "itself"}},
        estimators={label: {"kind": "plug_in"}, "other": {"kind": "miller_madow"}},
    )
    read = shown(sim.run(hostile, out=tmp_path))
    assert f": {label}" in read.text
    assert label in read.of("th")
    assert f"bag {label} against model {label}" in read.of("caption")[0]


def test_infinite_estimates_and_an_infinite_truth_are_shown(tmp_path):
    lacking = {"kind": "fixed", "balls": {"red": 0, "blue": 1}}
    odd = built({**COINS, **SMALL}, models={"lacking": lacking}, targets=["kl", "reverse_kl"])
    read = shown(sim.run(odd, out=tmp_path))
    assert "the true KL is ∞" in read.of("caption")[0]
    assert any("∞" in cell for cell in read.of("td"))


def test_an_unfinished_run_says_how_far_it_is_and_how_to_go_on(tmp_path):
    there = stopped(tmp_path, 2 * 4096)
    told = shown(there).text
    assert "Not complete: 3 of 6 blocks are there, the same `klsim run` goes on" in told
    assert f"klsim analyze {there.path}" in told
    with Directory(there.path).locked():
        assert "a run is at work" in shown(there).text


def test_a_run_without_a_trial_shows_that_there_are_none(tmp_path):
    there = stopped(tmp_path, 0)
    for part in (there.path / "trials").iterdir():
        part.unlink()
    assert "Not complete: 0 of 6 blocks are there" in shown(there).text
    sim.api.reanalyze(there.path)
    assert "There are no trials yet." in shown(there).text


def test_where_stop_stands_the_trials_of_each_bag_are_told(tmp_path):
    rule = {"bias_mcse": 0.5, "max_trials": 5000}
    read = shown(sim.run(built({**COINS, **SMALL}, stop=rule), out=tmp_path))
    assert "Complete, back: " in read.text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("summary.parquet", b"no table"),
        ("comparison.parquet", None),
        ("experiment.yaml", b"name: [\n"),
        ("experiment.yaml", None),
        ("run.json", b'{"digest": []}'),
    ],
)
def test_it_never_raises_whatever_lies_there(copy, name, content):
    if content is None:
        (copy.path / name).unlink()
    else:
        (copy.path / name).write_bytes(content)
    assert name == "run.json" or name in shown(copy).text
    assert shown(copy).of("p")


def test_results_that_are_gone_are_said_to_be(copy):
    shutil.rmtree(copy.path)
    assert "found none" in shown(copy).text
