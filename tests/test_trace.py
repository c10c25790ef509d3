"""`--trace`: what happened when, in the very trials that were counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from runs import built, cell_rows, klsim, text

import sim
from sim import api
from sim.cli.verbs import group
from sim.contracts.arrays import Reference
from sim.divergences import KL
from sim.one_trial import trace_rows
from sim.store.directory import NoResults
from sim.tables import TRACE

BALLS = {"red": 10, "blue": 15}
CLOCKS: dict[str, Any] = {
    "late": {"kind": "delayed_returns", "balls": BALLS, "hold": {"exponential": 9}},
    "ours": {
        "kind": "shared",
        "balls": BALLS,
        "drawers": {"ann": {"hold": {"exponential": 1}}, "bob": {"every": 3, "most": 5}},
        "observed": "ann",
        "sizes": [4, 9],
    },
    "moving": {
        "kind": "scheduled",
        "balls": BALLS,
        "changes": [
            {"every": {"exponential": 4}, "add": {"red": 5}},
            {"at": 7, "take": {"blue": 2}},
        ],
    },
}
PLAIN = {"plain": {"kind": "with_replacement", "balls": BALLS}}
TRACED: dict[str, Any] = {
    "name": "traced",
    "seed": 11,
    "trials": 70,
    "sizes": [5, 12],
    "bags": {**PLAIN, **CLOCKS},
    "models": {"itself": {"kind": "itself"}, "fair": {"kind": "uniform"}},
}
every_clock = pytest.mark.parametrize("bag", CLOCKS)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Run all bags with a trace of three trials; return the results and what was said."""
    folder = tmp_path_factory.mktemp("traced")
    (folder / "traced.yaml").write_text(text(TRACED), encoding="utf-8")
    done = klsim("run", folder / "traced.yaml", "--out", folder, "--trace", 3)
    return sim.open_results(folder / "traced"), done


def counted_again(drawn: pd.DataFrame, experiment: sim.Experiment, size: int, model: str) -> float:
    """Return the counted KL of the first draws of a trace."""
    [label] = set(drawn["bag"])
    bag = experiment.bags[label]
    places = [bag.colours.index(colour) for colour in drawn["colour"][:size]]
    counts = np.bincount(places, minlength=len(bag.colours))[np.newaxis]
    q = Reference.known(experiment.models[model].truth(bag, size))
    return float(experiment.estimators["counting"].estimate(counts, q, KL)[0])


def held_against(drawn: pd.DataFrame, trials: pd.DataFrame, experiment: sim.Experiment) -> None:
    """Hold every estimate of one trial against its trace, to the bit."""
    [label], [trial] = set(drawn["bag"]), set(drawn["trial"])
    rows = trials[(trials["bag"] == label) & (trials["trial"] == trial)]
    assert len(rows) == 2 * len(experiment.sizes_of(label))
    for row in rows.itertuples():
        assert counted_again(drawn, experiment, row.size, row.model) == row.estimate


def test_a_traced_run_ends_well_and_its_trace_has_the_schema_of_the_table(ran):
    results, done = ran
    assert done.returncode == 0, done.stderr
    stored = pq.read_table(results.path / "trace.parquet")
    assert stored.schema.equals(TRACE)
    assert b"name: traced" in stored.schema.metadata[b"klsim.experiment"]
    assert [stored[name].null_count for name in TRACE.names[:4]] == [0, 0, 0, 0]


def test_a_trace_holds_the_first_trials_of_each_bag_with_a_clock_in_order(ran):
    results, _ = ran
    found = results.trace[["bag", "trial"]].drop_duplicates()
    assert [*found.itertuples(index=False, name=None)] == [(b, t) for b in CLOCKS for t in range(3)]


@every_clock
def test_the_draws_of_a_trace_are_those_behind_the_trials(ran, bag):
    results, _ = ran
    trace, trials = results.trace, results.trials.query("target != 'control'")
    for trial in range(3):
        one = trace[(trace["bag"] == bag) & (trace["trial"] == trial)]
        drawn = one[one["event"] == "draw"]
        assert len(drawn) == results.experiment.sizes_of(bag)[-1]
        held_against(drawn, trials, results.experiment)


@every_clock
def test_a_trace_goes_forward_in_time_and_names_a_colour_where_there_is_one(ran, bag):
    results, _ = ran
    trace = results.trace[results.trace["bag"] == bag]
    for _, one in trace.groupby("trial"):
        assert one["time"].is_monotonic_increasing
        assert one["time"].min() >= 0
    known = {
        "late": {"draw": True, "return": True},
        "ours": {
            f"{what}{who}": what == "draw"
            for what in ("arrive", "draw", "leave")
            for who in ("", " bob")
        },
        "moving": {"draw": True, "add": False, "take": False},
    }[bag]
    assert set(trace["event"]) <= set(known)
    for name, coloured in known.items():
        colours = trace.loc[trace["event"] == name, "colour"]
        assert colours.notna().all() if coloured else colours.isna().all()
        assert set(colours.dropna()) <= set(BALLS)


def test_each_trial_has_a_trace_of_its_own(ran):
    results, _ = ran
    for _, trace in results.trace.groupby("bag", observed=True):
        drawn = trace[trace["event"] == "draw"].groupby("trial")["colour"].agg(list)
        assert len(set(map(tuple, drawn))) == len(drawn)


@every_clock
@pytest.mark.parametrize("trial", [0, 63, 64, 69])
def test_a_trial_in_any_block_can_be_traced(bag, trial):
    experiment = built(TRACED)
    assert experiment.block_trials(bag) == 64
    trace = trace_rows(experiment, bag, trial).to_pandas()
    assert set(trace["trial"]) == {trial}
    trials = cell_rows(experiment, bag, trial // 64).to_pandas()
    held_against(trace[trace["event"] == "draw"], trials, experiment)


def test_a_trace_does_not_change_the_trials(ran, tmp_path):
    results, _ = ran
    plain = sim.run(built(TRACED), out=tmp_path)
    assert not (plain.path / "trace.parquet").exists()
    pd.testing.assert_frame_equal(plain.trials, results.trials)
    with pytest.raises(NoResults, match=r"trace\.parquet is not there"):
        _ = plain.trace


def test_a_finished_run_can_be_traced_later_and_again(tmp_path):
    few = built(TRACED, bags={"late": CLOCKS["late"]}, trials=4)
    path = sim.run(few, out=tmp_path).path
    two = api.trace(path, 2).trace
    every = api.trace(path, 1000).trace
    assert sorted(set(every["trial"])) == [0, 1, 2, 3]
    pd.testing.assert_frame_equal(every[every["trial"] < 2].reset_index(drop=True), two)
    more = sim.run(few.model_copy(update={"trials": 66}), out=tmp_path).path
    longer = api.trace(more, 66).trace
    pd.testing.assert_frame_equal(longer[longer["trial"] < 4].reset_index(drop=True), every)
    sim.run(few, out=tmp_path, fresh=True)
    assert not (path / "trace.parquet").exists()


def test_ten_trials_are_traced_where_no_number_is_said(tmp_path):
    plain = {**TRACED, "bags": {"late": CLOCKS["late"]}, "trials": 12}
    (tmp_path / "it.yaml").write_text(text(plain), encoding="utf-8")
    done = klsim("run", tmp_path / "it.yaml", "--out", tmp_path, "--trace")
    assert done.returncode == 0, done.stderr
    assert set(sim.open_results(tmp_path / "traced").trace["trial"]) == set(range(10))


def test_a_run_without_clocks_says_that_there_is_nothing_to_trace(tmp_path):
    (tmp_path / "it.yaml").write_text(text(TRACED, bags=PLAIN), encoding="utf-8")
    done = klsim("run", tmp_path / "it.yaml", "--out", tmp_path, "--trace", 3)
    assert done.returncode == 2
    assert "no bag of this run has a clock, so there is nothing to trace" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "traced" / "trace.parquet").exists()


@pytest.mark.parametrize("number", ["0", "many"])
def test_a_number_of_traces_that_is_none_is_refused_before_anything_runs(tmp_path, number):
    (tmp_path / "it.yaml").write_text(text(TRACED), encoding="utf-8")
    asked = ["run", str(tmp_path / "it.yaml"), "--out", str(tmp_path), "--trace", number]
    done = CliRunner().invoke(group, asked)
    assert done.exit_code == 2
    assert "--trace" in done.stderr
    assert not (tmp_path / "traced").exists()


def test_the_waiting_times_of_a_lone_drawer_can_be_read_from_a_trace(tmp_path):
    """As docs/bags.md says: the k-th arrive and the k-th draw are one visit."""
    bag = {
        "kind": "shared",
        "balls": {"red": 30, "blue": 30},
        "drawers": {"ann": {"every": 1, "hold": 2}},
        "observed": "ann",
        "sizes": [20],
    }
    path = sim.run(built(TRACED, bags={"queue": bag}, trials=1), out=tmp_path).path
    trace = api.trace(path, 1).trace
    arrived, drew = (
        trace.loc[trace["event"] == name, "time"].to_numpy() for name in ("arrive", "draw")
    )
    # she comes each minute and keeps the bag for two: the k-th visit waits k − 1 of them
    assert (drew - arrived[:20]).tolist() == list(range(20))
