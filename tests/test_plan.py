"""`klsim plan` and `sim.plan`: what is said before a run is held against the run."""

from __future__ import annotations

import json
import time
from math import inf, isnan, nan, sqrt

import numpy as np
import pyarrow as pa
import pytest

import sim
from benchmarks import plan as benchmark
from sim.analysis.distinct import KEPT_WHOLE, many_values
from sim.analysis.plan import forecasts, trials_for
from sim.cli import verbs
from sim.engines import Engine
from sim.estimators.nsb import NSB
from sim.loop.costs import STARTING, Work, hands_of
from sim.loop.crew import BlockFailed
from sim.loop.pilot import ENOUGH, Curve, pilots
from sim.loop.spread import TRIED, WORTH_WORKERS
from sim.tables import TRIALS
from tests import faulty
from tests.runs import COINS, built, klsim, text
from tests.runs import faulty as faulty_bags

BAGS = {
    **COINS["bags"],
    "urn": {
        "kind": "delayed_returns",
        "balls": {"red": 2, "blue": 3},
        "hold": {"exponential": 2},
        "sizes": [4, 8],
    },
}
LEARNED = {
    **COINS,
    "name": "planned",
    "bags": BAGS,
    "trials": 4500,
    "models": {
        "itself": {"kind": "itself"},
        "seen": {
            "kind": "drawn",
            "bag": {"kind": "with_replacement", "balls": {"red": 1, "blue": 1}},
        },
    },
    "estimators": {"counting": {"kind": "plug_in"}, "chao_shen": {"kind": "chao_shen"}},
}
"""Two bags in two blocks and one in many; cells with an exact sd and without, some infinite."""

KEYS = ["bag", "model", "target", "estimator", "size"]


@pytest.fixture(scope="module")
def planned():
    return sim.plan(built(LEARNED), patience=60)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    return sim.run(built(LEARNED), out=tmp_path_factory.mktemp("ran"))


def cells_of(planned):
    return {tuple(row[key] for key in KEYS): row for row in planned.rows(planned.cells)}


def rows_of(ran):
    rows = ran.table("summary").to_pylist()
    return {tuple(row[key] for key in KEYS): row for row in rows}


# against the run


def test_blocks_trials_and_rows_are_those_of_the_run(planned, ran):
    rows = ran.trials.groupby("bag", observed=True).size()
    parts = [path.name.partition("-")[0] for path in (ran.path / "trials").iterdir()]
    for bag in planned.bags:
        assert bag.trials == 4500
        assert bag.blocks == parts.count(bag.bag)
        assert bag.rows == rows[bag.bag]


def test_bytes_are_those_of_the_run_within_a_fifth(planned, ran):
    for bag in planned.bags:
        parts = (ran.path / "trials").glob(f"{bag.bag}-*")
        assert bag.bytes == pytest.approx(sum(part.stat().st_size for part in parts), rel=0.2)


def test_cells_are_those_of_the_run_in_its_order(planned, ran):
    assert list(cells_of(planned)) == list(rows_of(ran))


def test_an_error_from_an_exact_sd_is_exact(planned, ran):
    exact = {key: row for key, row in cells_of(planned).items() if row["source"] == "exact"}
    assert len(exact) > 10
    for key, row in exact.items():
        known = rows_of(ran)[key]
        share = 1 - known["exact_p_infinite"]
        expected = known["exact_sd"] / sqrt(4500 * share)
        assert row["bias_mcse"] == pytest.approx(expected, rel=1e-12, abs=1e-300)
        assert row["bias"] == pytest.approx(known["exact_mean"] - known["truth"], abs=1e-15)


def test_an_error_from_a_pilot_is_that_of_the_run_within_what_a_pilot_can_tell(planned, ran):
    guessed = {key: row for key, row in cells_of(planned).items() if row["source"] == "pilot"}
    assert len(guessed) >= 2
    for key, row in guessed.items():
        known = rows_of(ran)[key]
        assert row["pilot"] >= 1000
        # the error of the sd of the pilot and of the run: (S/2)√((k − 1)/R), as the run has it
        relative = known["sd_mcse"] / known["sd"] * sqrt(1 + known["trials"] / row["pilot"])
        assert abs(row["bias_mcse"] / known["bias_mcse"] - 1) <= min(0.2, 4 * relative)


def test_an_infinite_truth_has_no_bias_to_know():
    models = {"lacking": {"kind": "fixed", "balls": {"red": 1, "blue": 0}}}
    planned = sim.plan(built(COINS, models=models, learners={}, bags={"back": BAGS["back"]}))
    assert all(
        row["bias_mcse"] is None and row["bias"] is None for row in planned.rows(planned.cells)
    )
    assert planned.worst == []


def test_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sim.plan(built(trials=10))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("trials", [1, 7, 40])
def test_a_run_of_few_trials_is_planned_by_more(trials, tmp_path):
    experiment = built(trials=trials, bags={"back": BAGS["back"]})
    [bag] = sim.plan(experiment).bags
    assert (bag.blocks, bag.trials, bag.pilot) == (1, trials, ENOUGH)
    ran = sim.run(experiment, out=tmp_path)
    assert bag.rows == len(ran.trials)
    [part] = (ran.path / "trials").iterdir()
    assert bag.bytes == pytest.approx(part.stat().st_size, rel=0.2)


def test_more_trials_bring_all_errors_down_by_the_root():
    one, four = (sim.plan(built(trials=n, bags={"back": BAGS["back"]})) for n in (5000, 20000))
    exact = [cell for cell in one.cells if cell.source == "exact" and cell.spread > 0]
    for cell, other in zip(one.cells, four.cells, strict=True):
        if cell in exact:
            assert cell.bias_mcse(5000) == 2 * other.bias_mcse(20000)


# targets


def test_the_trials_needed_bring_the_worst_error_to_the_target(planned):
    target = 1e-3
    asked = sim.plan(built(LEARNED, bags={"back": BAGS["back"]}), mcse=target)
    worst = asked.worst[0]
    assert worst.bias_mcse(asked.trials_needed) <= target
    assert worst.bias_mcse(asked.trials_needed - 1) > target
    assert planned.target is planned.trials_needed is None
    errors = [cell.bias_mcse(planned.trials[cell.key.line.bag]) for cell in planned.worst]
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("mcse", [0.0, -1.0, nan])
def test_a_target_is_more_than_0(mcse):
    with pytest.raises(ValueError, match="mcse: expected more than 0"):
        sim.plan(built(), mcse=mcse)


def test_a_stop_says_how_many_trials_there_will_be(tmp_path):
    stop = {"bias_mcse": 5e-4, "max_trials": 100_000}
    # Q is only counted: control variates help little
    changes = {
        "bags": {"back": BAGS["back"]},
        "models": {"seen": LEARNED["models"]["seen"]},
        "estimators": {"laplace": {"kind": "plug_in", "learner": COINS["learners"]["laplace"]}},
    }
    experiment = built(COINS, trials=100, learners={}, sizes=[20], stop=stop, **changes)
    planned = sim.plan(experiment)
    ran = sim.run(experiment, out=tmp_path)
    used = ran.stop["bags"]["back"]["trials"]
    assert planned.target == 5e-4
    assert planned.trials["back"] == pytest.approx(used, rel=0.3)
    assert planned.trials["back"] % 4096 == 0
    assert used > 4096
    assert planned.reaches("back")


def test_a_stop_that_will_not_be_reached_takes_all_trials_there_may_be():
    stop = {"bias_mcse": 1e-9, "max_trials": 5000}
    models = {"seen": LEARNED["models"]["seen"]}
    planned = sim.plan(built(trials=100, bags={"back": BAGS["back"]}, models=models, stop=stop))
    assert planned.trials == {"back": 5000}
    assert not planned.reaches("back")
    assert planned.trials_needed > 10**9


@pytest.mark.parametrize(
    ("spreads", "target", "expected"),
    [([1.0, 0.5], 0.1, 100), ([0.0], 0.1, 1), ([], 0.1, 1), ([1.0, nan], 0.1, None)],
)
def test_the_trials_for_a_target(spreads, target, expected):
    assert trials_for(spreads, target) == expected


def row(**changes):
    plain = dict.fromkeys(("exact_sd", "exact_mean", "exact_p_infinite", "adjusted_bias_mcse"))
    plain |= {"bag": "b", "model": "m", "target": "kl", "estimator": "e", "size": 5}
    plain |= {"trials": 100, "infinite": 0, "undefined": 0, "failed": 0}
    return plain | {"truth": 1.0, "mean": 3.0, "sd": 2.0, "rmse_mcse": 0.1} | changes


def test_a_forecast_of_a_pilot():
    [one] = forecasts([row(infinite=20, undefined=5)])
    assert (one.source, one.pilot, one.bias) == ("pilot", 100, 2.0)
    assert one.bias_mcse(400) == pytest.approx(2 / sqrt(400 * 0.75))
    assert one.rmse_mcse(400) == pytest.approx(0.05)
    assert one.stopping_spread == one.spread
    [adjusted] = forecasts([row(adjusted_bias_mcse=0.01)])
    assert adjusted.adjusted_bias_mcse(10_000) == pytest.approx(0.001)
    assert adjusted.stopping_spread == adjusted.adjusted_spread


def test_an_exact_sd_comes_before_that_of_the_pilot():
    [one] = forecasts([row(exact_sd=1.0, exact_mean=1.5, exact_p_infinite=0.19, infinite=50)])
    assert (one.source, one.bias) == ("exact", 0.5)
    assert one.bias_mcse(1) == pytest.approx(1 / sqrt(0.81))


@pytest.mark.parametrize(
    "changes", [{"trials": 29}, {"truth": inf}, {"infinite": 100, "sd": None, "mean": None}]
)
def test_what_cannot_be_known_is_not_guessed(changes):
    [one] = forecasts([row(**changes)])
    assert isnan(one.spread)


# what a pilot costs


SLOW = {
    "sizes": [10],
    "bags": {
        "back": {"kind": "with_replacement", "balls": {"zipf": {"colours": 100, "exponent": 1}}}
    },
    "models": {"fair": {"kind": "uniform"}},
    "learners": {},
    "estimators": {"counting": {"kind": "plug_in"}, "slow": {"kind": "nsb"}},
}


def test_an_estimator_that_is_slow_has_a_pilot_of_its_own(monkeypatch):
    quick = NSB.estimate

    def slow(self, counts, reference, target):
        time.sleep(0.02 * len(counts))
        return quick(self, counts, reference, target)

    monkeypatch.setattr(NSB, "estimate", slow)
    few, many = pilots(built(**SLOW), "back", patience=2)
    assert list(few.experiment.estimators) == ["counting"]
    assert list(many.experiment.estimators) == ["slow"]
    assert few.trials == ENOUGH
    assert many.trials < ENOUGH
    assert many.drawing.at(4096) == 0  # it is drawn once for both


def test_a_patient_pilot_is_one_of_enough_trials_for_all():
    found = pilots(built(**SLOW), "back", patience=1e6)
    assert [pilot.trials for pilot in found] == [ENOUGH]


def test_errors_of_too_small_a_pilot_are_not_told():
    planned = sim.plan(built(**SLOW, trials=9000), patience=1e-4)
    slow = [row for row in planned.rows(planned.cells) if row["estimator"] == "slow"]
    assert [row["bias_mcse"] for row in slow] == [None]
    assert slow[0]["pilot"] < 30


def test_a_bag_that_goes_wrong_is_told(tmp_path, monkeypatch):
    faulty.install_here(tmp_path, monkeypatch)
    experiment = sim.Experiment.model_validate(faulty_bags(torn={"share": 1.0}))
    with pytest.raises(BlockFailed, match="the bag is torn"):
        sim.plan(experiment)


def test_a_bag_that_nobody_meets_has_parts_without_rows():
    experiment = built(estimators={"counting": {"kind": "plug_in", "bags": ["back"]}}, learners={})
    planned = sim.plan(experiment)
    assert [(bag.bag, bag.blocks, bag.rows > 0) for bag in planned.bags] == [
        ("back", 3, True),
        ("out", 3, False),
    ]


@pytest.mark.parametrize(("trials", "cost"), [(10, 1.0), (20, 2.0), (15, 1.5), (5, 1.0), (40, 4.0)])
def test_a_curve_is_straight_between_measures_and_beyond(trials, cost):
    assert Curve([10, 20], [1.0, 2.0]).at(trials) == pytest.approx(cost)


def test_a_curve_that_falls_goes_on_by_the_cost_of_a_trial():
    assert Curve([10, 20], [3.0, 2.0]).at(40) == pytest.approx(4.0)
    assert Curve([10], [3.0]).at(20) == pytest.approx(6.0)


def test_work_is_shared_where_the_engine_would_start_workers(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    long, short = Work(100, 400.0, 1.0), Work(100, TRIED + WORTH_WORKERS, 0.0)
    assert long.seconds(Engine("serial")) == long.seconds(Engine("auto", 1)) == 401
    assert short.seconds(Engine("auto", 4)) == TRIED + WORTH_WORKERS
    assert 100 < long.seconds(Engine("auto", 4)) < 115
    assert short.seconds(Engine("processes", 4)) > STARTING
    assert Work(2, 400.0, 0.0).seconds(Engine("auto", 4)) > 200
    assert long.seconds(Engine("auto", 8)) == long.seconds(Engine("auto", 4))
    assert hands_of(Engine("dask://localhost:8786")) == 4


@pytest.mark.parametrize(("values", "many"), [(100, False), (10**9, True)])
def test_values_are_many_where_hardly_one_comes_twice(values, many):
    rng = np.random.default_rng(1)

    found = [_trials(rng.integers(values, size=1024).astype(float))]
    assert KEPT_WHOLE > 1024
    assert many_values(found) is many


def _trials(estimates):
    number = len(estimates)
    columns = {
        "bag": ["b"] * number,
        "model": ["m"] * number,
        "target": ["kl"] * number,
        "estimator": ["e"] * number,
        "size": [5] * number,
        "model_size": [None] * number,
        "trial": list(range(number)),
        "estimate": estimates,
        "truth": [0.0] * number,
        **dict.fromkeys(("se", "lower", "upper"), [None] * number),
        "status": pa.DictionaryArray.from_arrays(
            pa.array([0] * number, pa.int32()), ["ok", "infinite", "undefined", "failed"]
        ),
        "reason": [None] * number,
    }
    arrays = [pa.array(columns[field.name], field.type) for field in TRIALS]
    return pa.table(arrays, schema=TRIALS)


# the command


def test_the_command_says_what_a_run_will_be(tmp_path):
    path = tmp_path / "coins.yaml"
    path.write_text(text(COINS, bags={"back": BAGS["back"]}))
    done = klsim("plan", path, "--set", "trials=5000", "--mcse", "0.001")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "coins: a pilot of bag back\n"
    assert "5,000" in done.stdout
    assert "exact sd" in done.stdout
    assert "trials of each bag bring every bias to an error of 0.001 nats" in done.stdout
    assert "nothing was written" in done.stdout
    assert list(tmp_path.iterdir()) == [path]


def test_json_has_every_bag_and_cell(tmp_path):
    path = tmp_path / "coins.yaml"
    path.write_text(text(COINS, bags={"back": BAGS["back"]}))
    done = klsim("plan", path, "--json", "--workers", "1")
    told = json.loads(done.stdout)
    assert [bag["bag"] for bag in told["bags"]] == ["back"]
    assert told["blocks"] == 3
    assert len(told["cells"]) == 2 * (2 * 2 + 1)
    assert told["seconds"] > 0
    assert told["work"] > 0
    assert len(told["worst"]) == 5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--mcse", "0"], "--mcse"),
        (["--set", "trials=0"], "trials"),
        (["--engine", "dask://here:1", "--workers", "2"], "--workers is for processes"),
    ],
)
def test_a_fault_of_the_user_is_told(tmp_path, monkeypatch, capsys, options, said):
    path = tmp_path / "coins.yaml"
    path.write_text(text(COINS))
    monkeypatch.setattr("sys.argv", ["klsim", "plan", str(path), *options])
    assert verbs.code() == 2
    assert said in capsys.readouterr().err


def test_a_stop_is_told_in_words(tmp_path, monkeypatch, capsys):
    path = tmp_path / "coins.yaml"
    stop = {"bias_mcse": 1e-9, "max_trials": 5000}
    models = {"seen": LEARNED["models"]["seen"]}
    path.write_text(text(COINS, bags={"back": BAGS["back"]}, models=models, stop=stop))
    monkeypatch.setattr("sys.argv", ["klsim", "plan", str(path), "--set", "trials=100"])
    assert verbs.code() == 0
    told = capsys.readouterr().out
    assert "1e-09 will not be reached, or nobody knows, with at most 5,000 trials: back." in told


# the benchmark


def test_a_benchmark_holds_predicted_errors_against_those_of_the_run(planned, ran):
    exact, pilot = benchmark.ratios(planned, ran)
    assert len(exact) > 10
    assert len(pilot) >= 2
    assert benchmark.farthest([1.1, 0.5, 1.9]) == "0.500"
    assert benchmark.farthest([]) == "–"
    assert 0.8 < float(benchmark.farthest(pilot)) < 1.25
