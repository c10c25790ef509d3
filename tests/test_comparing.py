"""Two results against each other: paired where they can be, silent where nothing differs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import COINS, KLSIM, built, environment
from scipy import stats

import sim
from sim.analysis.differing import CHANCE, holm, judged, measured
from sim.analysis.series import Key, Line, Series
from sim.analysis.summary import Tally, row
from sim.analysis.together import Together
from sim.exact import UNKNOWN

PLAIN = {**COINS, "trials": 3000, "bags": {"back": COINS["bags"]["back"]}}
HEAVY = {"counting": {"kind": "plug_in", "learner": {"kind": "add_constant", "amount": 20}}}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return where an experiment with some keys replaced was run; each is run once."""
    folder, known = tmp_path_factory.mktemp("compared"), {}

    def at(**changes: Any) -> Path:
        name = f"x{len(known)}"
        words = json.dumps(changes, sort_keys=True)
        if words not in known:
            known[words] = sim.run(built(PLAIN, name=name, **changes), out=folder).path
        return known[words]

    return at


def compared(*words: Any) -> subprocess.CompletedProcess[str]:
    command = [KLSIM, "compare", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=environment())


def test_a_result_does_not_differ_from_itself(made):
    found = sim.compare(made(), made())
    assert found.ways == {"back": "same draws"}
    assert found.counts["equal"] == len(found.rows) > 0
    assert not found.unlike
    assert not found.other_truth
    assert all(row["paired"] and row["difference"] == 0 for row in found.rows)


def test_the_command_is_silent_on_a_copy_and_ends_with_0(made):
    done = compared(made(), made(), "--fail-on", "different")
    assert done.returncode == 0, done.stderr
    assert "0 worse, 0 better, 0 different" in done.stdout


def test_another_seed_makes_independent_trials_and_the_error_is_that_of_both(made):
    found = sim.compare(made(), made(seed=8))
    assert found.ways == {"back": "independent"}
    assert ("seed", 7, 8) in list(found.unlike)
    assert found.counts["worse"] == found.counts["better"] == found.counts["different"] == 0
    mine, other = (sim.open_results(path).summary for path in (made(), made(seed=8)))
    errors = np.hypot(mine["bias_mcse"], other["bias_mcse"])
    told = found.frame.query("measure == 'bias'")
    assert told["difference_mcse"].to_numpy() == pytest.approx(errors.to_numpy(), rel=1e-12)


def test_another_estimator_under_the_same_label_is_paired_and_its_error_far_smaller(made):
    other = {**COINS["estimators"], "counting": HEAVY["counting"]}
    found = sim.compare(made(), made(estimators=other))
    assert found.ways == {"back": "same draws"}
    rows = [r for r in found.rows if r["estimator"] == "corrected"]
    assert all(r["verdict"] == "equal" and r["difference"] == 0 for r in rows)
    assert {r["measure"] for r in found.of("better")} == {"rmse"}  # it hardly moves
    assert not found.of("worse")


def test_a_small_difference_on_the_same_draws_is_seen_where_independent_trials_do_not(made):
    other = {
        **COINS["estimators"],
        "counting": {"kind": "plug_in", "learner": {"kind": "add_constant", "amount": 0.05}},
    }
    paired = sim.compare(made(), made(estimators=other)).frame
    alone = sim.compare(made(), made(estimators=other, seed=8)).frame
    here = "estimator == 'counting' and measure == 'bias' and model == 'fair' and size == 20"
    one, two = paired.query(here).iloc[0], alone.query(here).iloc[0]
    assert one["verdict"] == "different"
    assert two["verdict"] == "equal"
    assert one["difference_mcse"] < two["difference_mcse"] / 20
    assert abs(one["difference"] - two["difference"]) < 4 * two["difference_mcse"]


def test_what_estimates_another_truth_is_counted_and_not_judged(made):
    bags = {"back": {"kind": "with_replacement", "balls": {"red": 1, "blue": 3}}}
    found = sim.compare(made(), made(bags=bags))
    assert found.ways == {"back": "same random numbers"}
    assert found.other_truth == 4  # two estimators at two sizes, against fair
    assert {row["model"] for row in found.rows} == {"itself", None}


def test_bits_and_nats_are_the_same(made):
    found = sim.compare(made(), made(unit="bits"))
    assert found.counts["equal"] == len(found.rows)
    assert not found.other_truth


def test_only_the_trials_that_both_have_are_paired(made):
    found = sim.compare(made(trials=700), made())
    assert {row["trials"] for row in found.rows} == {700}
    assert found.counts["equal"] == len(found.rows)


def test_what_only_one_has_is_counted(made):
    few = {"counting": COINS["estimators"]["counting"]}
    found = sim.compare(made(estimators=few), made(sizes=[5]))
    assert (found.first_only, found.second_only) == (3, 2)


def test_the_command_fails_on_what_is_worse_and_says_what(made):
    other = {**COINS["estimators"], "counting": HEAVY["counting"]}
    better, worse = (made(), made(estimators=other)), (made(estimators=other), made())
    done = compared(*worse, "--fail-on", "worse")
    assert done.returncode == 6
    assert "back / fair / kl / counting" in done.stdout
    assert compared(*worse).returncode == 0
    told = json.loads(compared(*better, "--json").stdout)
    assert told["counts"]["better"] > 0
    assert len(told["rows"]) == sum(told["counts"].values())


@pytest.mark.parametrize("fault", ["nothing there", "no tables"])
def test_what_is_no_result_is_told_in_a_sentence(made, tmp_path, fault):
    other = tmp_path / "other"
    if fault == "no tables":
        other.mkdir()
        (other / "experiment.yaml").write_bytes((made() / "experiment.yaml").read_bytes())
    done = compared(made(), other)
    assert done.returncode == 2
    assert str(other) in done.stderr
    assert "Traceback" not in done.stderr


# The statistics


def test_holm_gives_what_its_paper_says():
    chances = np.array([0.01, np.nan, 0.04, 0.03, 0.005])
    assert holm(chances) == pytest.approx([0.03, np.nan, 0.06, 0.06, 0.02], nan_ok=True)


LINE = Line("bag", "model", "kl", "counting")


def one(values: np.ndarray, truth: float = 0.0, bounds: np.ndarray | None = None) -> Series:
    trial = np.arange(len(values))
    return Series(Key(LINE, 10), trial, values, truth, failed=0, bounds=bounds)


def summed(series: Series) -> dict[str, Any]:
    tally = Tally(series.truth, 0.95, series.bounds is not None)
    tally.add(series)
    tally.answers.narrow()
    return row(series.key, tally, UNKNOWN, 1.0)


def found(
    a: Series, b: Series, *, paired: bool, levels: tuple[float, float] = (0.95, 0.95)
) -> dict[str, dict[str, Any]]:
    both = Together({})
    both.add([a], [b])
    cell = both.cells[a.key] if paired else None
    return {r["measure"]: r for r in measured(summed(a), summed(b), cell, levels)}


def studies(
    number: int, rng: np.random.Generator, *, paired: bool, shift: float = 0.0, spread: float = 1.0
) -> Iterator[dict[str, dict[str, Any]]]:
    """Yield what is measured of two sets of trials, skewed as a counted KL is."""
    for _ in range(number):
        a = rng.chisquare(1, 400)
        b = 0.8 * a + 0.2 * rng.chisquare(1, 400) if paired else rng.chisquare(1, 400)
        yield found(one(a), one(shift + spread * b), paired=paired)


@pytest.mark.parametrize("paired", [False, True])
def test_intervals_of_differences_hold_the_true_one_as_often_as_they_say(paired):
    rng = np.random.default_rng(20260601)
    held = dict.fromkeys(("bias", "rmse"), 0)
    variance = 2 * (0.8**2 + 0.2**2) if paired else 2.0
    truth = {"bias": 0.1, "rmse": sqrt(variance + 1.1**2) - sqrt(3)}
    for measures in studies(1000, rng, paired=paired, shift=0.1):
        for name, true in truth.items():
            r = measures[name]
            held[name] += abs(r["difference"] - true) <= 1.96 * r["difference_mcse"]
    assert all(0.92 <= number / 1000 <= 0.98 for number in held.values()), held


@pytest.mark.parametrize("trials", [30, 200])
@pytest.mark.parametrize("paired", [False, True])
def test_two_studies_of_the_same_thing_show_any_difference_in_at_most_one_of_twenty(paired, trials):
    rng, number, cells = np.random.default_rng(20260602), 150, 8
    alarms = 0
    for _ in range(number):
        rows = []
        for _ in range(cells):
            common = rng.chisquare(1, trials)
            a, b = (
                (0.8 * common + 0.2 * rng.chisquare(1, trials))
                if paired
                else rng.chisquare(1, trials)
                for _ in range(2)
            )
            a[rng.random(trials) < 0.03] = np.inf
            b[rng.random(trials) < 0.03] = np.inf
            rows += found(one(a), one(b), paired=paired).values()
        alarms += any(r["verdict"] not in ("equal", "untold") for r in judged(rows))
    assert alarms / number <= CHANCE + 3 * sqrt(CHANCE * (1 - CHANCE) / number), alarms


def shares(a: int, b: int, both: int, trials: int, *, paired: bool) -> dict[str, Any]:
    """Return what is measured where a, b of the trials are infinite, some of them in both."""
    first, second = np.zeros(trials), np.zeros(trials)
    first[:a] = np.inf
    second[a - both : a - both + b] = np.inf
    return found(one(first), one(second), paired=paired)["p_infinite"]


def test_shares_of_the_same_trials_have_mcnemars_exact_chance():
    r = shares(30, 12, 8, 200, paired=True)
    assert r["p_value"] == pytest.approx(stats.binomtest(4, 26).pvalue, rel=1e-9)
    assert r["difference"] == pytest.approx(-18 / 200)
    assert r["verdict"] == "better"


def test_shares_of_independent_trials_have_fishers_exact_chance():
    r = shares(30, 12, 0, 200, paired=False)
    tail = stats.fisher_exact([[30, 170], [12, 188]], alternative="greater").pvalue
    assert r["p_value"] == pytest.approx(2 * tail, rel=1e-9)


def test_a_coverage_is_worse_where_it_is_further_below_the_level():
    rng = np.random.default_rng(1)
    values = rng.normal(size=500)
    wide, narrow = (np.stack([values - w, values + w]) for w in (1.96, 1.0))
    both = one(values, bounds=wide), one(values, bounds=narrow)
    assert found(*both, paired=True)["coverage"]["verdict"] == "worse"
    assert found(*both[::-1], paired=True)["coverage"]["verdict"] == "better"
    above = np.stack([values - 9, values + 9])
    r = found(one(values, bounds=above), one(values, bounds=above), paired=True)["coverage"]
    assert r["verdict"] == "different"  # neither, were there a difference
    assert judged([r])[0]["verdict"] == "equal"


def test_a_coverage_is_held_against_the_level_of_its_own_intervals():
    rng = np.random.default_rng(1)
    values = rng.normal(size=500)
    wide, narrow = (np.stack([values - w, values + w]) for w in (1.5, 1.28))
    both = one(values, bounds=wide), one(values, bounds=narrow)
    assert found(*both, paired=True)["coverage"]["verdict"] == "worse"
    assert found(*both, paired=True, levels=(0.95, 0.8))["coverage"]["verdict"] == "better"


@pytest.mark.parametrize("more", ["first", "second"])
def test_a_verdict_goes_with_the_difference_that_is_printed_whatever_only_one_has_seen(more):
    """The trials that one has beyond the other would turn the verdict round."""
    rng = np.random.default_rng(3)
    shared, beyond = rng.normal(size=400), 5 * rng.normal(size=2000)
    a, b = shared, 0.9 * shared
    if more == "first":
        b, a = b, np.append(a, 0.0 * beyond)
    else:
        b = np.append(b, beyond)
    measures = found(one(a), one(b), paired=True)
    assert measures["rmse"]["verdict"] == "better"
    for told in measures.values():
        if told["measure"] != "coverage":
            apart = told["second"] - told["first"]
            assert told["difference"] == pytest.approx(apart, abs=1e-12), told["measure"]


def test_few_trials_are_not_judged():
    a, b = one(np.arange(20.0)), one(np.arange(20.0) + 5)
    for paired in (True, False):
        measures = found(a, b, paired=paired)
        assert judged([measures["bias"]])[0]["verdict"] == "untold"
        assert np.isnan(measures["bias"]["p_value"])


def test_a_difference_that_is_one_number_is_no_chance():
    a = one(np.random.default_rng(2).normal(size=100))
    measures = found(a, one(a.estimate + 0.5), paired=True)
    assert measures["bias"]["p_value"] == 0
    assert measures["bias"]["difference"] == pytest.approx(0.5)
