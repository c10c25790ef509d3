"""A bag ends at the first block where its biases are known, whoever computed it how often."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from math import ceil, inf, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faulty import install_here
from runs import COINS, built, faulty, files, kill_when, klsim, parts, tables, text
from test_loop import AtOnce, run

import sim
from sim.analysis.series import Key, Line, Series
from sim.api import reanalyze, status
from sim.cli.outcome import code, ends
from sim.config.problems import ConfigurationError
from sim.experiment import Stop
from sim.loop.complete import all_blocks
from sim.loop.stopping import LEAST_TRIALS, Precision, precisions
from sim.store import coverage
from sim.store.differences import differences
from sim.store.directory import DifferentExperiment, Directory
from sim.store.parts import part_name
from sim.trials import block_rows

BLOCK = 4096
PLAIN: dict[str, Any] = {
    "name": "until",
    "seed": 11,
    "trials": 100,
    "sizes": [6, 10],
    "bags": {
        "two": {"kind": "with_replacement", "balls": {"red": 10, "blue": 15}},
        "rare": {"kind": "with_replacement", "balls": {"red": 5, "blue": 20}},
    },
    "models": COINS["models"],
    "targets": ["reverse_kl"],
    "estimators": {"counting": {"kind": "plug_in"}},
    "stop": {"bias_mcse": 1.2e-3, "max_trials": 60_000},
}
"""`two` needs three blocks, `rare` seven. Some trials lack a colour: their estimate is infinite."""


def until(bias_mcse: float, most: int = 60_000) -> dict[str, Any]:
    return {"bias_mcse": bias_mcse, "max_trials": most}


def fixed(trials: int, **changes: Any) -> dict[str, Any]:
    return {**{k: v for k, v in PLAIN.items() if k != "stop"}, "trials": trials, **changes}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return sim.run(built(PLAIN), out=tmp_path_factory.mktemp("finished"))


@pytest.fixture(scope="module")
def longer(tmp_path_factory):
    """The same experiment with a fixed number of trials: more than any bag needs."""
    return sim.run(built(fixed(9 * BLOCK)), out=tmp_path_factory.mktemp("longer"))


def numbers(results: sim.Results) -> dict[str, int]:
    return {bag: end["trials"] for bag, end in results.stop["bags"].items()}


# Where a bag ends


def errors_after(trials, blocks: int) -> list[float]:
    """Return S/√R of every cell after the first blocks, by another road."""
    begun = trials[(trials["trial"] < blocks * BLOCK) & (trials["target"] == "reverse_kl")]
    groups = begun.groupby(["model", "estimator", "size"], observed=True)["estimate"]
    finite = [values[np.isfinite(values)] for _, values in groups]
    assert all(len(values) > 2 for values in finite)
    return [np.std(values, ddof=1) / sqrt(len(values)) for values in finite]


def test_each_bag_ends_at_the_first_block_where_every_bias_is_known(finished, longer):
    every = longer.trials
    for bag, trials in numbers(finished).items():
        own = every[(every["bag"] == bag) & (every["target"] != "control")]
        enough = [max(errors_after(own, blocks)) <= 1.2e-3 for blocks in range(1, 10)]
        assert trials == BLOCK * (1 + enough.index(True))
        assert True in enough[1:], "the first block was enough: nothing was tried"


def test_a_bias_that_control_variates_tell_is_known_sooner(tmp_path):
    rule = until(1e-4)
    five = {"kind": "with_replacement", "balls": {"zipf": {"colours": 5}}}
    laplace = {"kind": "plug_in", "learner": {"kind": "add_constant", "amount": 1}}
    asked = fixed(100, bags={"five": five}, sizes=[100], estimators={"laplace": laplace})
    known = sim.run(built({**asked, "targets": ["kl"], "stop": rule}), out=tmp_path)
    [end] = known.stop["bags"].values()
    summary = known.summary
    assert end["trials"] == BLOCK
    assert end["reached"]
    assert end["bias_mcse"] == summary["adjusted_bias_mcse"].max() <= 1e-4
    # by the trials alone it would take more than fifty times as many
    assert summary["bias_mcse"].max() > 1e-4 * sqrt(50)


def test_two_bags_end_at_different_numbers(finished):
    assert numbers(finished) == {"two": 3 * BLOCK, "rare": 7 * BLOCK}
    counted = finished.trials.groupby("bag", observed=True)["trial"].max() + 1
    assert counted.to_dict() == numbers(finished)


def test_the_rows_are_those_of_a_longer_run_as_far_as_they_go(finished, longer):
    assert len(parts(finished.path)) == 10
    assert parts(finished.path).items() <= parts(longer.path).items()


def test_the_largest_error_is_that_of_the_summary(finished):
    summary = finished.summary
    for bag, end in finished.stop["bags"].items():
        own = summary[summary["bag"] == bag]
        last = own.loc[own["bias_mcse"].idxmax()]
        assert end["reached"]
        assert end["bias_mcse"] == last["bias_mcse"] <= 1.2e-3
        assert all(end["where"][name] == last[name] for name in ("model", "estimator", "size"))


def test_what_ended_a_bag_stands_in_run_json_and_in_the_log(finished):
    told = json.loads((finished.path / "run.json").read_text())
    assert told["stop"] == finished.stop
    assert {key: told["stop"][key] for key in ("trials", "bias_mcse", "max_trials")} == {
        "trials": 100,
        **until(1.2e-3),
    }
    assert told["blocks"] == told["computed"] == 10
    lines = [json.loads(line) for line in (finished.path / "log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["run", "stop", "done"]
    assert lines[1]["bags"] == finished.stop["bags"]


def test_a_run_without_a_rule_says_nothing_of_one(longer):
    assert longer.stop is None
    assert "stop" not in json.loads((longer.path / "run.json").read_text())
    assert "used" not in status(longer.path)
    assert "stop" not in longer.report()


@pytest.mark.parametrize(
    ("trials", "most", "expected"),
    [(1, 5000, 2000), (2001, 5000, 2008), (3000, 3000, 3000)],
)
def test_a_rule_that_holds_at_once_waits_for_2000_trials_and_for_those_asked(
    tmp_path, monkeypatch, trials, most, expected
):
    install_here(tmp_path / "installed", monkeypatch)
    plain = faulty(trials, one={}) | {"sizes": [4], "stop": until(10.0, most)}
    judges = precisions(built(plain))
    run(built(plain), tmp_path / "run", judges=judges)
    end = judges["one"].facts()
    assert LEAST_TRIALS == 2000
    assert (end["trials"], end["reached"]) == (expected, True)
    assert len(parts(tmp_path / "run")) == ceil(expected / 8)


@pytest.mark.parametrize("most", [1, 150, 4096, 5000])
def test_the_most_trials_end_a_bag_to_the_trial(tmp_path, most):
    plain = {**PLAIN, "trials": 1, "stop": until(1e-9, most)}
    results = sim.run(built(plain), out=tmp_path)
    assert numbers(results) == {"two": most, "rare": most}
    assert results.trials["trial"].max() == most - 1
    ends = results.stop["bags"].values()
    assert not any(end["reached"] for end in ends)
    assert [end["bias_mcse"] is None for end in ends] == [most == 1] * 2
    assert status(results.path)["complete"]


def test_fewer_than_2000_trials_at_most_never_reach_the_precision(tmp_path):
    results = sim.run(built({**PLAIN, "stop": until(1.0, 150)}), out=tmp_path)
    assert numbers(results) == {"two": 150, "rare": 150}
    assert not any(end["reached"] for end in results.stop["bags"].values())
    told = results.report()
    assert code(told) == 5
    assert list(ends(told)) == [
        f"bag {bag}: 150 trials, the most; below 2,000 an error is too uncertain to stop by"
        for bag in ("two", "rare")
    ]


def test_a_cell_whose_truth_is_infinite_takes_no_part(tmp_path):
    bag = {"one": PLAIN["bags"]["two"]}
    never = {"kind": "fixed", "balls": {"red": 1, "blue": 0}}
    plain = {**PLAIN, "targets": ["kl"], "bags": bag, "models": {"never": never}}
    plain["stop"] = until(1e-6)
    alone = sim.run(built(plain), out=tmp_path / "alone")
    assert numbers(alone) == {"one": BLOCK}
    assert alone.stop["bags"]["one"] == {
        "trials": BLOCK,
        "reached": True,
        "bias_mcse": 0.0,
        "where": None,
    }
    both = {
        **plain,
        "models": {"never": never, "itself": {"kind": "itself"}},
        "stop": until(1.2e-3),
    }
    beside = sim.run(built(both), out=tmp_path / "beside")
    without = sim.run(built({**both, "models": {"itself": {"kind": "itself"}}}), out=tmp_path / "w")
    assert beside.stop["bags"] == without.stop["bags"]


def series(key: Key, *estimates: float, truth: float = 0.0) -> Series:
    return Series(key, np.arange(len(estimates)), np.array(estimates), truth, 0)


@pytest.mark.parametrize(
    ("estimates", "worst"),
    [
        ((), inf),
        ((0.5,), inf),
        ((0.5, np.nan), inf),
        ((0.5, inf), inf),
        ((0.5, 0.5), 0.0),
        ((0.25, 0.75), 0.25),
        ((0.25, inf, np.nan, 0.75), 0.25),
    ],
)
def test_a_bias_is_known_from_two_finite_estimates_on(estimates, worst):
    experiment = built(PLAIN)
    precision = Precision(experiment, "two", experiment.stop)
    assert not precision.over
    precision.add([series(Key(Line("two", "fair", "reverse_kl", "counting"), 10), *estimates)])
    assert precision.worst == pytest.approx(worst, abs=1e-15)
    assert precision.over == (worst == 0)


def test_rows_that_are_no_cell_of_the_experiment_take_no_part():
    experiment = built(PLAIN)
    precision = Precision(experiment, "two", experiment.stop)
    wild = (0.0, 1e9)
    for line in (Line("two", None, "control", "linear"), Line("two", "fair", "js", "counting")):
        precision.add([series(Key(line, 10), *wild)])
    assert precision.reached
    precision.add([series(Key(Line("two", "fair", "reverse_kl", "counting"), 10), *wild)])
    assert not precision.reached


def test_how_many_trials_are_expected_follows_the_error_by_its_square():
    experiment = built({**PLAIN, "stop": until(0.1, 10**6)})
    precision = Precision(experiment, "two", experiment.stop)
    assert precision.expected == BLOCK
    key = Key(Line("two", "fair", "reverse_kl", "counting"), 10)
    precision.add([series(key, *[0.0, 1.0] * 8)])  # an error of 0.129
    assert precision.worst == pytest.approx(sqrt(16 / 4 / 15 / 16))
    assert precision.expected == 2 * BLOCK
    precise = replace(precision, stop=Stop(**until(0.01, 10**6)))
    assert precise.expected == BLOCK * ceil(precision.worst**2 / 1e-4) == 167 * BLOCK
    assert replace(precision, stop=Stop(**until(1e-200, 10**6))).expected == 10**6


# The same whoever computes it


@pytest.mark.parametrize(
    "engine",
    [AtOnce("processes", 5), AtOnce("processes", 2)],
    ids=lambda engine: f"{2 * engine.workers} at once",
)
def test_blocks_that_were_computed_beyond_the_end_are_removed(tmp_path, finished, engine):
    experiment = built(PLAIN)
    run(experiment, tmp_path / "run", engine, judges=precisions(experiment))
    assert parts(tmp_path / "run") == parts(finished.path)
    assert {Path(name).parent.name for name in files(tmp_path / "run")} == {"trials"}


def test_two_workers_leave_what_one_leaves(tmp_path, finished):
    options = ("--out", tmp_path, "--workers", 2, "--engine", "processes")
    config = tmp_path / "until.yaml"
    config.write_text(text(PLAIN))
    done = klsim("run", config, *options)
    assert done.returncode == 0
    assert tables(tmp_path / "until") == tables(finished.path)
    assert "bag two: 12,288 trials; every bias is known to 0.0012" in done.stdout
    assert "bag rare: 28,672 trials; every bias is known to 0.0012" in done.stdout


@pytest.mark.parametrize("after", [1, 5])
def test_an_interrupted_run_ends_where_a_quiet_one_ends(tmp_path, finished, after):
    experiment = built(PLAIN)
    calls: list[int] = []

    def interrupt(done: int, total: int) -> None:
        calls.append(done)
        if len(calls) == after:
            raise KeyboardInterrupt

    for _ in range(2):
        calls.clear()
        with pytest.raises(KeyboardInterrupt):
            sim.run(experiment, out=tmp_path, progress=interrupt)
        assert not status(tmp_path / "until")["complete"]
        assert sim.open_results(tmp_path / "until").stop is None
    results = sim.run(experiment, out=tmp_path)
    assert tables(results.path) == tables(finished.path)
    assert results.stop == finished.stop


def test_a_run_that_is_killed_ends_where_a_quiet_one_ends(tmp_path, finished):
    config = tmp_path / "until.yaml"
    config.write_text(text(PLAIN))
    folder = tmp_path / "until"
    options = (config, "--out", tmp_path, "--workers", 2, "--engine", "processes")
    kill_when(lambda: len(parts(folder)) >= 5, "run", *options)
    assert klsim("run", config, "--out", tmp_path, "--workers", 1).returncode == 0
    assert tables(folder) == tables(finished.path)
    assert not list(folder.rglob("*.tmp"))


def test_what_a_killed_run_left_beyond_the_end_is_removed_when_it_goes_on(
    tmp_path, finished, longer
):
    folder = tmp_path / "until"
    (folder / "trials").mkdir(parents=True)
    for name, content in parts(longer.path).items():
        if not name.endswith("00000001.parquet"):  # a gap, so that it is no finished run
            (folder / "trials" / name).write_bytes(content)
    (folder / "experiment.yaml").write_bytes((finished.path / "experiment.yaml").read_bytes())
    results = sim.run(built(PLAIN), out=tmp_path)
    assert json.loads((folder / "run.json").read_text())["computed"] == 2
    assert tables(results.path) == tables(finished.path)


def test_to_run_again_computes_nothing_and_says_the_same(tmp_path, finished):
    folder = tmp_path / "until"
    for name, content in files(finished.path).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    results = sim.run(built(PLAIN), out=tmp_path)
    assert json.loads((folder / "run.json").read_text())["computed"] == 0
    assert results.stop == finished.stop
    assert tables(folder) == tables(finished.path)
    assert tables(reanalyze(folder).path) == tables(finished.path)


def test_no_block_of_a_bag_that_is_over_is_handed_out():
    experiment = built({**PLAIN, "stop": until(1.2e-3, 10**12)})
    over: set[str] = set()
    seen = []
    for block in all_blocks(experiment, over.__contains__):
        seen.append((block.bag, block.index))
        over |= {"two"} if block.index == 1 else {"two", "rare"} if block.index == 3 else set()
    expected = [("two", 0), ("rare", 0), ("two", 1), ("rare", 1), ("rare", 2), ("rare", 3)]
    assert seen == expected


def test_progress_is_of_the_trials_that_are_expected_and_ends_at_those_that_were_used(tmp_path):
    told: list[tuple[int, int]] = []
    plain = {**PLAIN, "stop": until(1.2e-3, 10**9)}
    results = sim.run(built(plain), out=tmp_path, progress=lambda *now: told.append(now))
    assert all(done <= total for done, total in told)
    assert all(a < b for (a, _), (b, _) in pairwise(told))
    used = sum(numbers(results).values())
    assert told[-1] == (used, used)
    assert all(total <= 1.25 * used for _, total in told), told


# What may follow


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (until(2e-3), until(1.2e-3)),
        (until(1.2e-3, 10_000), until(1.2e-3)),
        (until(5e-3, 3000), until(1.2e-3)),
        (None, until(1.2e-3)),
    ],
    ids=["a stricter rule", "a higher most", "both", "a rule"],
)
def test_a_run_goes_on_to_what_a_fresh_run_of_the_later_rule_leaves(
    tmp_path, finished, first, then
):
    begun = built({**PLAIN, "stop": first} if first else fixed(100))
    sim.run(begun, out=tmp_path)
    results = sim.run(built({**PLAIN, "stop": then}), out=tmp_path)
    assert tables(results.path) == tables(finished.path)
    assert results.stop == finished.stop


def test_a_rule_may_be_dropped_for_as_many_trials_as_there_are(tmp_path, finished):
    there = sim.run(built(PLAIN), out=tmp_path)
    before = files(there.path)
    with pytest.raises(DifferentExperiment, match="28672 trials there, 28671 asked without it"):
        sim.run(built(fixed(28_671)), out=tmp_path)
    assert files(there.path) == before
    results = sim.run(built(fixed(28_672)), out=tmp_path)
    assert parts(finished.path).items() < parts(results.path).items()
    assert results.stop is None
    counted = results.trials.groupby("bag", observed=True)["trial"].max() + 1
    assert counted.to_dict() == {"two": 28_672, "rare": 28_672}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "looser": ({"stop": until(2e-3)}, "stop.bias_mcse: 0.0012 there, 0.002 asked, which is looser"),
    "lower": ({"stop": until(1.2e-3, 50_000)}, "stop.max_trials: 60000 there, 50000 asked"),
    "fewer": ({"trials": 99}, "trials: 100 there, 99 asked"),
    "dropped": ({"stop": None}, "stop: 28672 trials there, 100 asked without it"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_rule_that_asks_for_less_is_another_experiment(name):
    changes, expected = REFUSED[name]
    lines = differences(built(PLAIN), built({**PLAIN, **changes}), 28_672)
    assert lines == [expected]


@pytest.mark.parametrize(
    "changes",
    [{"stop": until(1e-4)}, {"stop": until(1.2e-3, 70_000)}, {"trials": 101}, {}],
    ids=str,
)
def test_a_rule_that_asks_for_more_is_the_same_experiment(changes):
    assert differences(built(PLAIN), built({**PLAIN, **changes}), 28_672) == []


def test_a_looser_rule_exits_4_and_touches_nothing(tmp_path, finished):
    config = tmp_path / "until.yaml"
    config.write_text(text(PLAIN))
    out = finished.path.parent
    before = files(finished.path)
    done = klsim("run", config, "--out", out, "--set", "stop.bias_mcse=0.01")
    assert done.returncode == 4
    assert "stop.bias_mcse: 0.0012 there, 0.01 asked, which is looser" in done.stderr
    assert files(finished.path) == before


def test_how_many_trials_are_there_is_told_from_the_parts(tmp_path, finished):
    there = built(PLAIN)
    assert coverage.trials_there(Directory(finished.path), there) == 7 * BLOCK
    assert coverage.trials_there(Directory(tmp_path), there) == 0
    short = sim.run(built(fixed(5000, name="short")), out=tmp_path)
    assert coverage.trials_there(Directory(short.path), short.experiment) == 5000


@pytest.mark.parametrize(
    "stop",
    [until(0.0), until(-1.0), until(1.2e-3, 99), {"bias_mcse": 1e-3}, until(1.2e-3) | {"more": 1}],
    ids=str,
)
def test_a_rule_without_sense_is_no_experiment(stop):
    with pytest.raises(ConfigurationError):
        built({**PLAIN, "stop": stop})


# What is told of it


def test_the_status_of_a_finished_run_names_the_trials_that_were_used(finished):
    told = status(finished.path)
    assert told["complete"]
    assert told["bags"] == {"two": (3, 3), "rare": (7, 7)}
    assert told["used"] == numbers(finished)
    said = klsim("status", finished.path).stdout.splitlines()
    assert said[:3] == [
        "until: complete",
        "  bag two: 3 of 3 blocks, 12,288 trials",
        "  bag rare: 7 of 7 blocks, 28,672 trials",
    ]


def test_the_status_of_a_run_that_was_stopped_says_how_many_blocks_there_may_be(tmp_path):
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sim.run(built(PLAIN), out=tmp_path, progress=interrupt)
    told = status(tmp_path / "until")
    assert (told["complete"], told["used"]) == (False, None)
    assert told["bags"] == {"two": (1, 15), "rare": (0, 15)}
    assert "  bag two: 1 of at most 15 blocks\n" in klsim("status", tmp_path / "until").stdout


@pytest.mark.parametrize("what", ["a part is gone", "a stricter rule was begun", "no run.json"])
def test_a_run_that_has_to_go_on_is_not_complete(tmp_path, finished, what):
    folder = sim.run(built(PLAIN), out=tmp_path).path
    assert status(folder)["complete"]
    if what == "a part is gone":
        (folder / "trials" / part_name("two", 1)).unlink()
    elif what == "no run.json":
        (folder / "run.json").unlink()
    else:

        def interrupt(done: int, total: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            sim.run(built({**PLAIN, "stop": until(1e-4)}), out=tmp_path, progress=interrupt)
    assert not status(folder)["complete"]


def test_a_precision_that_is_not_reached_is_told_and_exits_5(tmp_path):
    config = tmp_path / "until.yaml"
    config.write_text(text({**PLAIN, "stop": until(1.2e-3, 20_000)}))
    done = klsim("run", config, "--out", tmp_path)
    assert done.returncode == 5
    assert "bag two: 12,288 trials; every bias is known to 0.0012" in done.stdout
    place = "for counting at n = 10"
    said = rf"bag rare: 20,000 trials, the most; 0.0012 is not reached: 0.0014 {place}"
    assert said in done.stdout
    assert "Traceback" not in done.stderr
    again = klsim("run", config, "--out", tmp_path, "--json")
    assert again.returncode == 5
    (told,) = json.loads(again.stdout)
    assert told["stop"]["bags"]["rare"]["reached"] is False
    assert status(tmp_path / "until")["complete"], "all was done that was asked for"


def told(reached: bool, failed: int, error: float | None = 0.5) -> dict[str, Any]:
    where = {"estimator": "counting", "size": 1000}
    end = {"trials": 10**6, "reached": reached, "bias_mcse": error, "where": where}
    stop = {"bias_mcse": 1e-4, "bags": {"[red]": end}}
    return {"summary": [{"failed": 0}, {"failed": failed}], "stop": stop}


@pytest.mark.parametrize(
    ("reached", "failed", "expected"), [(True, 0, 0), (False, 0, 5), (True, 1, 3), (False, 1, 3)]
)
def test_failed_estimates_come_before_a_precision_that_is_not_reached(reached, failed, expected):
    assert code(told(reached, failed)) == expected
    assert code({"summary": [{"failed": failed}]}) == (3 if failed else 0)


def test_an_end_is_told_in_a_sentence():
    assert list(ends(told(True, 0))) == [
        "bag [red]: 1,000,000 trials; every bias is known to 0.0001"
    ]
    begun = "bag [red]: 1,000,000 trials, the most; 0.0001 is not reached"
    assert list(ends(told(False, 0))) == [f"{begun}: 0.5 for counting at n = 1,000"]
    assert list(ends(told(False, 0, None))) == [f"{begun}: unknown for counting at n = 1,000"]
    assert list(ends({"summary": []})) == []


def test_validate_says_how_many_trials_there_may_be(tmp_path):
    config = tmp_path / "until.yaml"
    config.write_text(text(PLAIN))
    said = klsim("validate", config).stdout
    assert said.endswith("8 cells of at most 60,000 trials in at most 30 blocks\n")


def test_the_rows_of_a_block_do_not_depend_on_the_rule():
    assert block_rows(built(PLAIN), "two", 1).equals(block_rows(built(fixed(9000)), "two", 1))
