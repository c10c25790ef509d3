"""Every picture of a small real result: valid, labelled, and of the numbers in the tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import altair as alt
import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from results import RICH, data, material, specification
from sim.report.material import Picture
from sim.report.pictures import DRAWERS, pictures
from sim.report.scales import COLOURS, labels, look, telling
from sim.report.static import png, svg

SVG = "{http://www.w3.org/2000/svg}"
NO_UNIT = {"coverage", "without-number", "chi-square", "leaderboard"}
DRAWN = {"svg", "g", "path", "text", "line", "rect", "defs", "clipPath", "title", "desc"}
HOSTILE = "</script><b>\"'&\u202e]]>" + "x" * 100
BALLS = {"kind": "with_replacement", "balls": {"red": 2, "blue": 3}}


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    return material(tmp_path_factory.mktemp("rich"), trace=2, **RICH)


@pytest.fixture(scope="module")
def drawn(rich):
    return {picture.name: picture for picture in pictures(rich)}


def parts(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in a specification, its data aside."""
    if isinstance(tree, dict):
        yield tree
        for key, inner in tree.items():
            if key != "datasets":
                yield from parts(inner)
    elif isinstance(tree, list):
        for inner in tree:
            yield from parts(inner)


def fills(element: Any, fill: str = "") -> Iterator[str]:
    """Yield the colour of each text that is seen, of its own or of the group that it is in."""
    fill = element.get("fill", fill)
    if element.tag == f"{SVG}text" and element.get("opacity") != "0":
        yield fill
    for inner in element:
        yield from fills(inner, fill)


def axes(specification: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for part in parts(specification):
        encoding = part.get("encoding", {})
        yield from ((way, encoding[way]) for way in ("x", "y") if way in encoding)


def cell(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["panel"], row["estimator"], row["size"]


def by_cell(rich) -> dict[tuple[Any, ...], Any]:
    rows = rich.summary.to_dict("records")
    models = ["learned" if pd.isna(row["model"]) else row["model"] for row in rows]
    panels = [f"{row['bag']} / {model}" for row, model in zip(rows, models, strict=True)]
    pairs = zip(panels, rows, strict=True)
    return {(panel, row["estimator"], row["size"]): row for panel, row in pairs}


def test_a_result_that_has_all_shows_all(drawn):
    assert list(drawn) == list(DRAWERS)


@pytest.mark.parametrize("name", DRAWERS)
def test_a_picture_is_valid_and_its_axes_say_what_they_are(drawn, name):
    picture = drawn[name]
    told = specification(picture)
    titles = {axis["title"] for _, axis in axes(told) if "title" in axis}
    assert {way for way, _ in axes(told)} == {"x", "y"}
    assert all(title or title is None for title in titles)
    assert len(titles - {None}) >= 1 + (name != "leaderboard")
    assert name in NO_UNIT or any("(nats)" in title for title in titles - {None})
    assert told["description"]
    assert len(picture.caption) > 80
    assert len(picture.alternative) > 20
    assert picture.title


@pytest.mark.parametrize("name", DRAWERS)
def test_a_picture_is_an_svg_in_the_colour_of_the_text_around(drawn, name):
    tree = ElementTree.fromstring(svg(drawn[name]))
    texts = list(fills(tree))
    assert set(texts) <= {"currentColor", "white"}
    assert len(texts) > 5
    assert tree.find(f"{SVG}title").text == drawn[name].title
    assert tree.find(f"{SVG}desc").text == drawn[name].alternative
    width = float(tree.get("viewBox").split()[2])
    assert width <= 390, "wider than a phone"


def test_a_png_is_two_pixels_for_one(drawn):
    content = png(drawn["leaderboard"])
    assert content.startswith(b"\x89PNG")
    width = float(ElementTree.fromstring(svg(drawn["leaderboard"])).get("width"))
    assert int.from_bytes(content[16:20], "big") == pytest.approx(2 * width, abs=2)


@pytest.mark.parametrize("draw", [svg, png])
def test_nothing_is_fetched(draw):
    chart = alt.Chart("http://127.0.0.1:9/x.csv").mark_point().encode(x="a:Q")
    with pytest.raises(ValueError, match="External data url not allowed"):
        draw(Picture("far", "", "", "", chart))


def test_the_same_tables_give_the_same_bytes(rich, drawn):
    again = {picture.name: picture for picture in pictures(rich)}
    for name, picture in drawn.items():
        assert json.dumps(specification(picture)) == json.dumps(specification(again[name]))
    assert svg(drawn["bias"]) == svg(again["bias"])


@pytest.mark.parametrize(
    ("name", "pairs"),
    [
        ("bias", {"bias": "bias", "bias_mcse": "bias_mcse", "exact_mean": "exact_mean"}),
        ("rmse", {"value": "rmse", "mcse": "rmse_mcse"}),
        ("sd", {"value": "sd", "mcse": "sd_mcse", "exact": "exact_sd"}),
        ("coverage", {"value": "coverage", "mcse": "coverage_mcse", "exact": "exact_coverage"}),
    ],
)
def test_the_numbers_drawn_are_those_of_the_summary(rich, drawn, name, pairs):
    rows, known = data(drawn[name]), by_cell(rich)
    assert len(rows) > 5
    for row in rows:
        for column, its in pairs.items():
            expected = known[cell(row)][its]
            if row[column] is None:
                assert not np.isfinite(expected)
            else:
                assert row[column] == pytest.approx(expected, rel=1e-6)


def test_a_bias_has_a_point_where_it_is_seen_and_a_limit_where_not(drawn):
    rows = data(drawn["bias"])
    for row in rows:
        sure = abs(row["bias"]) > 1.96 * row["bias_mcse"]
        assert (row["away"] is not None) == sure
        assert (row["limit"] is not None) == (not sure)
        way = "too large" if row["bias"] > 0 else "too small"
        assert row["way"] == (way if sure else "not seen")
        value, error = (row["away"], 0) if sure else (row["limit"], 1.96 * row["bias_mcse"])
        assert value == pytest.approx(abs(row["bias"]) + error, rel=1e-5)
    assert {row["way"] for row in rows} >= {"too large", "not seen"}


def test_theory_is_the_law_of_the_convergence_table(rich, drawn):
    laws = rich.convergence[rich.convergence["quantity"] == "bias"]
    law = laws[(laws["bag"] == "back") & (laws["estimator"] == "counting")].iloc[0]
    rows = [row for row in data(drawn["bias"]) if cell(row)[:2] == ("back / itself", "counting")]
    assert [row["theory"] for row in rows] == pytest.approx(
        [law["theory_constant"] * row["size"] ** law["theory_rate"] for row in rows]
    )


def test_the_share_without_a_number_is_that_of_the_trials(rich, drawn):
    rows, known = data(drawn["without-number"]), by_cell(rich)
    for row in rows:
        panel, _, what = row["panel"].rpartition(": ")
        counted = known[panel, row["estimator"], row["size"]]
        assert row["value"] == pytest.approx(counted[what] / counted["trials"])
    assert max(row["value"] for row in rows) > 0


def test_the_leaderboard_divides_by_the_smallest_error(rich, drawn):
    rows = data(drawn["leaderboard"])
    known = rich.summary.groupby(["estimator", "size"])["rmse"].apply(set)
    assert {"best"} <= {row["words"] for row in rows} or any("≈" in row["words"] for row in rows)
    assert any(row["words"] == "∞" for row in rows)
    for row in rows:
        if row["rmse"] is not None:
            assert any(
                row["rmse"] == pytest.approx(x) for x in known[row["estimator"], row["size"]]
            )
        if row["words"] == "best":
            assert row["ratio"] == 1
        assert row["ratio"] is None or row["ratio"] >= 1


def test_single_intervals_are_ranked_and_hold_or_miss(rich, drawn):
    rows = data(drawn["intervals"])
    for estimator in {row["estimator"] for row in rows}:
        shares = [row["share"] for row in rows if row["estimator"] == estimator]
        assert shares == sorted(shares)
    for row in rows:
        assert (row["holds"] == "yes") == (row["lower"] <= row["truth"] <= row["upper"])
    ends = set(zip(rich.samples["lower"].round(9), rich.samples["upper"].round(9), strict=True))
    assert {(round(r["lower"], 5), round(r["upper"], 5)) for r in rows} <= {
        (round(low, 5), round(high, 5)) for low, high in ends
    }


def test_the_largest_of_the_quantiles_is_the_largest_trial(rich, drawn):
    rows = [r for r in data(drawn["chi-square"]) if r["panel"] == "back / itself"]
    rows = [row for row in rows if row["estimator"] == "counting"]
    known = rich.samples.query("bag == 'back' and model == 'itself' and size == 80")
    largest = known[known["estimator"] == "counting"]["estimate"].max()
    assert rows[-1]["counted"] == pytest.approx(2 * 80 * largest, rel=1e-6)
    assert rows[-1]["chi_square"] == pytest.approx(chi2.ppf(59.5 / 60, 1), rel=1e-6)
    assert rows[-1]["low"] < rows[-1]["chi_square"] < rows[-1]["high"]


def test_over_time_is_the_kl_of_the_draws_so_far(rich, drawn):
    rows = [row for row in data(drawn["over-time"]) if row["trial"] == 1]
    trace = rich.trace.query("trial == 1 and event == 'draw'").reset_index(drop=True)
    for row in rows[:: len(rows) // 5]:
        share = (trace["colour"][: row["draws"]] == "red").mean()
        terms = [p * np.log(p / q) for p, q in ((share, 0.4), (1 - share, 0.6)) if p > 0]
        assert row["kl"] == pytest.approx(sum(terms), rel=1e-5)
        assert row["time"] == pytest.approx(trace["time"][row["draws"] - 1], rel=1e-6)


def test_an_estimator_has_one_colour_in_all_pictures(rich, drawn):
    seen: dict[str, set[str]] = {}
    for picture in drawn.values():
        for part in parts(specification(picture)):
            colour = part.get("encoding", {}).get("color", {})
            if colour.get("field") == "estimator":
                pairs = zip(colour["scale"]["domain"], colour["scale"]["range"], strict=True)
                for label, its in pairs:
                    seen.setdefault(label, set()).add(its)
    assert seen == {label: {COLOURS[i]} for i, label in enumerate(labels(rich))}


def test_a_look_stays_when_estimators_are_added_and_no_two_are_alike():
    known = [f"e{i}" for i in range(30)]
    for number in range(1, 30):
        assert look(known[:number], "e0") == look(known, "e0")
        assert look(known[:number], known[number - 1]) == look(known, known[number - 1])
    assert len({look(known, label) for label in known}) == 30


def test_a_click_on_the_legend_isolates_a_series(drawn):
    for name in ("bias", "rmse", "sd", "estimates", "coverage", "without-number", "chi-square"):
        told = specification(drawn[name])
        picks = [one for part in parts(told) for one in part.get("params", [])]
        assert {(one["name"], one["bind"]) for one in picks} == {("pick", "legend")}
        faint = [part["encoding"]["opacity"] for part in parts(told) if "opacity" in
                 part.get("encoding", {})]  # fmt: skip
        assert all(one["condition"]["param"] == "pick" for one in faint)
        assert faint


def test_labels_that_mean_harm_are_text(tmp_path):
    odd = material(
        tmp_path,
        trials=20,
        bags={HOSTILE: BALLS, "datum['x']": BALLS},
        estimators={HOSTILE: {"kind": "plug_in"}, "null": {"kind": "miller_madow"}},
    )
    found = pictures(odd)
    assert len(found) == 6
    for picture in found:
        tree = ElementTree.fromstring(svg(picture))
        assert {element.tag.removeprefix(SVG) for element in tree.iter()} <= DRAWN | {"style"}
        assert "</script><b>" in "".join(tree.itertext())


EMPTY: dict[str, dict[str, Any]] = {
    "one trial": {"trials": 1},
    "one size": {"trials": 20, "sizes": [5]},
    "one of each": {"trials": 1, "sizes": [5], "models": {"itself": {"kind": "itself"}},
                    "estimators": {"counting": {"kind": "plug_in"}}, "learners": {}},
    "all infinite": {"trials": 20, "sizes": [50, 60], "bags": {"back": BALLS}, "learners": {},
                     "models": {"never": {"kind": "fixed", "balls": {"red": 0, "blue": 1}}}},
    "one colour": {"trials": 20, "learners": {}, "models": {"itself": {"kind": "itself"}},
                   "bags": {"red": {"kind": "with_replacement", "balls": {"red": 2}}}},
    "targets": {"trials": 20, "unit": "bits", "targets": ["js_distance", "entropy", "renyi(2)"]},
}  # fmt: skip


@pytest.mark.parametrize("name", EMPTY)
def test_little_or_nothing_to_show_is_no_fault(tmp_path, name):
    found = pictures(material(tmp_path, **EMPTY[name]))
    for picture in found:
        assert specification(picture)
        assert "nan" not in picture.alternative
    assert len(found) >= 1
    if name == "all infinite":
        assert [picture.name for picture in found] == ["without-number"]


def test_a_target_without_a_unit_is_not_told_in_bits(tmp_path):
    only = {"targets": ["chi_square"], "learners": {}, "estimators": {"e": {"kind": "plug_in"}}}
    told = material(tmp_path, trials=20, unit="bits", **only)
    titles = {axis.get("title") for _, axis in axes(specification(pictures(told)[0]))}
    assert "off by (no unit)" in titles


def test_of_many_estimators_the_first_and_the_best_are_drawn(rich):
    many = [f"e{i}" for i in range(12)]
    summary = rich.summary.iloc[:12].assign(estimator=many)
    best = rich.best.iloc[:4].assign(best=["e11", "e11", "e9", None])
    shown = telling(type(rich)(**{**vars(rich), "summary": summary, "best": best}))
    assert len(shown) == 8
    assert {"e0", "e9", "e11"} <= set(shown)
    assert shown == [label for label in many if label in shown]
