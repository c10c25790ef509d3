"""From Python: load, run, open; tables are frames with the columns that the design names."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from runs import COINS, SMALL, TABLES, built, environment, files, tables, text

import sim
from sim.api import reanalyze, status
from sim.config.problems import ConfigurationError
from sim.errors import Fault
from sim.store.directory import DifferentExperiment, Directory, InUse, NoResults

LABELS = ["bag", "model", "target", "estimator"]


def columns(text: str) -> list[str]:
    return [*LABELS, *text.split()]


TRIALS = columns("size model_size trial estimate truth se lower upper status reason")
SUMMARY = columns("""
size trials infinite undefined failed p_infinite p_infinite_mcse truth mean bias bias_mcse
sd sd_mcse rmse rmse_mcse mae mae_mcse q05 q25 median q75 q95 coverage coverage_mcse
width width_mcse exact_mean exact_sd exact_p_infinite exact_coverage z
adjusted_bias adjusted_bias_mcse variance_reduction
q05_low q05_high q25_low q25_high median_low median_high q75_low q75_high q95_low q95_high
exact_q05 exact_q25 exact_median exact_q75 exact_q95
p_within p_within_mcse exact_p_within error_quantile error_quantile_low error_quantile_high
""")
CONVERGENCE = columns("""
quantity rate rate_se theory_rate constant constant_se theory_constant limit limit_se departs
from_size to_size size_for_error size_for_error_low size_for_error_high extrapolated reason
asymptotic_from asymptotic_from_low asymptotic_from_high size_reason
""")
COMPARISON = [
    *("bag", "model", "target", "first", "second", "size", "trials"),
    *("difference", "difference_mcse", "mse_ratio", "mse_ratio_mcse"),
    *("exact_difference", "exact_mse_ratio", "better", "crossover", "crossover_se"),
]
LITTLE = {**COINS, "trials": 60}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return sim.run(built(), out=tmp_path_factory.mktemp("results"))


# The package


def of_cells(results: sim.Results) -> pd.DataFrame:
    """Return the trials without their control variates."""
    return results.trials[results.trials["target"] != "control"]


def fresh_python(script: str, *arguments: object) -> str:
    """Return what a new interpreter prints."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    return done.stdout


def test_importing_the_package_loads_nothing_heavy():
    loaded = json.loads(fresh_python("import json, sys, sim; print(json.dumps([*sys.modules]))"))
    heavy = {"numpy", "pandas", "pyarrow", "scipy", "pydantic", "yaml", "click", "rich", "simpy"}
    assert not heavy & set(loaded)
    assert not [name for name in loaded if name.startswith("sim.")]


def test_loading_an_experiment_needs_no_pandas(tmp_path):
    config = tmp_path / "coins.yaml"
    config.write_text(text(LITTLE))
    script = "import sys, sim; print(sim.load(sys.argv[1]).trials, 'pandas' in sys.modules)"
    assert fresh_python(script, config) == "60 False\n"


def test_the_names_of_the_package_are_there_and_no_others():
    assert {"Experiment", "Results", "load", "open_results", "run"} <= set(dir(sim))
    for name in dir(sim):
        assert getattr(sim, name) is not None
    with pytest.raises(AttributeError, match="module 'sim' has no attribute 'nonsense'"):
        _ = sim.nonsense


# load


def test_load_gives_the_experiment_of_a_file_with_changes(tmp_path):
    config = tmp_path / "coins.yaml"
    config.write_text(text(COINS))
    assert sim.load(config) == sim.load(str(config)) == built()
    assert sim.load(config, ["trials=7", "bags.back.balls.red=5"]) == built(
        {**COINS, "trials": 7},
        bags={
            **COINS["bags"],
            "back": {"kind": "with_replacement", "balls": {"red": 5, "blue": 3}},
        },
    )


def test_load_names_every_problem(tmp_path):
    config = tmp_path / "coins.yaml"
    config.write_text(text(COINS, trials=0, sizes=[], nonsense=1))
    with pytest.raises(ConfigurationError) as fault:
        sim.load(config)
    said = str(fault.value)
    assert said.count(str(config)) == 3
    assert all(word in said for word in ("trials", "sizes", "nonsense"))


# run


def test_a_run_leaves_the_files_of_the_design(results):
    names = {name for name in files(results.path) if not name.startswith("trials/")}
    assert names == {*TABLES, "experiment.yaml", "run.json", "log.jsonl"}
    assert results.path.name == "coins"


def test_a_run_says_what_made_it(results):
    facts = json.loads((results.path / "run.json").read_text())
    assert facts["digest"] == built().digest
    assert facts["blocks"] == facts["computed"] == 6
    assert set(facts["seconds"]) == {"trials", "analysis"}
    assert {"klsim", "numpy", "pyarrow"} <= set(facts["versions"])
    lines = [json.loads(line) for line in (results.path / "log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["run", "done"]


def test_a_second_run_draws_nothing_and_leaves_the_same_tables(tmp_path):
    first = sim.run(built(LITTLE), out=tmp_path)
    before, parts = tables(first.path), list(first.path.glob("trials/*"))
    written = [path.stat().st_mtime_ns for path in parts]
    told: list[tuple[int, int]] = []
    sim.run(built(LITTLE), out=str(tmp_path), progress=lambda *numbers: told.append(numbers))
    assert told == [(60, 120), (120, 120)]
    assert tables(first.path) == before
    assert [path.stat().st_mtime_ns for path in parts] == written
    assert json.loads((first.path / "run.json").read_text())["computed"] == 0


def test_fresh_draws_anew_and_to_the_same_bytes(tmp_path):
    first = sim.run(built(LITTLE), out=tmp_path)
    before = tables(first.path)
    sim.run(built(LITTLE), out=tmp_path, fresh=True)
    assert tables(first.path) == before
    assert json.loads((first.path / "run.json").read_text())["computed"] == 2


def test_a_run_refuses_another_experiment_and_a_directory_in_use(tmp_path):
    folder = sim.run(built(LITTLE), out=tmp_path).path
    with pytest.raises(DifferentExperiment, match="seed: 7 there, 9 asked"):
        sim.run(built(LITTLE, seed=9), out=tmp_path)
    with Directory(folder).locked():
        for again in (lambda: sim.run(built(LITTLE), out=tmp_path), lambda: reanalyze(folder)):
            with pytest.raises(InUse):
                again()


def test_an_engine_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises((Fault, ValueError), match="proceses"):
        sim.run(built(LITTLE), out=tmp_path, engine="proceses", workers=2)


@pytest.mark.parametrize("engine", ["serial", "auto", "processes"])
def test_no_worker_at_all_is_refused(tmp_path, engine):
    with pytest.raises((Fault, ValueError), match="worker"):
        sim.run(built(LITTLE), out=tmp_path, engine=engine, workers=0)


# Results


def test_the_tables_are_frames_with_the_columns_of_the_design(results):
    assert list(results.trials.columns) == TRIALS
    assert list(results.summary.columns) == SUMMARY
    assert list(results.convergence.columns) == CONVERGENCE
    assert list(results.comparison.columns) == COMPARISON


def test_the_tables_have_a_row_for_each_thing_they_speak_of(results):
    cells = 2 * (2 * 2 + 1)  # bags, models, estimators, learner
    assert len(of_cells(results)) == 9000 * cells * 2
    assert len(results.summary) == cells * 2
    assert len(results.convergence) == cells * 3
    assert not results.summary.duplicated([*LABELS, "size"]).any()
    assert not results.convergence.duplicated([*LABELS, "quantity"]).any()
    assert set(results.convergence["quantity"]) == {"bias", "sd", "rmse"}


def test_numbers_are_numbers_and_labels_are_text(results):
    for frame in (results.summary, results.convergence):
        for column in frame.columns.difference([*LABELS, "quantity", "reason", "size_reason"]):
            kind = frame[column].dtype.kind
            assert kind in "ifb" or frame[column].isna().any(), column
    assert isinstance(results.trials["bag"].dtype, pd.CategoricalDtype)
    assert results.trials["trial"].dtype == np.int64


def test_the_summary_is_what_pandas_makes_of_the_trials(results):
    trials = of_cells(results).astype(dict.fromkeys(LABELS, object))
    trials["error"] = trials["estimate"] - trials["truth"]
    by = trials.groupby([*LABELS, "size"], dropna=False, sort=False)
    own = by["estimate"].agg(["mean", "std", "count"])
    own["bias"], own["rmse"] = by["error"].mean(), by["error"].agg(lambda e: (e**2).mean() ** 0.5)
    summary = results.summary.set_index([*LABELS, "size"])
    own = own.set_index(own.index.set_names(summary.index.names)).sort_index()
    summary = summary.sort_index()
    assert (own["count"].to_numpy() == summary["trials"].to_numpy()).all()
    for name, column in (("mean", "mean"), ("std", "sd"), ("bias", "bias"), ("rmse", "rmse")):
        np.testing.assert_allclose(own[name], summary[column], rtol=1e-9, atol=1e-13)


def test_the_loss_of_a_learner_has_no_model_and_is_true_at_0(results):
    loss = results.summary[results.summary["target"] == "kl_loss"]
    assert len(loss) == 4
    assert loss["model"].isna().all()
    assert (loss["truth"] == 0).all()
    assert set(loss["estimator"]) == {"laplace"}


def test_results_open_again_as_they_were(results):
    for path in (results.path, str(results.path)):
        again = sim.open_results(path)
        assert again.experiment == built()
        pd.testing.assert_frame_equal(again.summary, results.summary)
        pd.testing.assert_frame_equal(again.convergence, results.convergence)
        pd.testing.assert_frame_equal(again.comparison, results.comparison)
        assert again.trials.equals(results.trials)


def test_the_best_estimator_of_each_size_is_a_frame(results):
    best = results.best()
    assert list(best) == ["bag", "model", "target", "size", "best", "rmse", "rivals", "told"]
    assert len(best) == 8
    cells = results.summary.set_index(["bag", "model", "target", "estimator", "size"])["rmse"]
    for row in best.itertuples():
        rmse = cells[row.bag, row.model, row.target, :, row.size]
        assert (row.best, row.rmse) == (rmse.idxmin(), rmse.min())
        assert row.told == (len(row.rivals) == 0)


def test_plain_rows_say_none_where_there_is_no_value(results):
    rows = results.rows()
    assert {name: len(found) for name, found in rows.items()} == {
        "summary": 20,
        "convergence": 30,
        "comparison": 8,
    }
    assert rows["summary"][0]["coverage"] is None
    assert all(row["model"] is None for row in rows["summary"] if row["target"] == "kl_loss")
    json.dumps(rows, allow_nan=False)


def test_a_run_that_was_stopped_before_its_first_part_has_trials_without_rows(tmp_path):
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sim.run(built(LITTLE), out=tmp_path, progress=stop)
    for part in (tmp_path / "coins" / "trials").iterdir():
        part.unlink()
    opened = sim.open_results(tmp_path / "coins")
    assert opened.experiment == built(LITTLE)
    with pytest.raises(NoResults, match="klsim analyze"):
        _ = opened.summary
    trials = opened.trials
    assert list(trials.columns) == TRIALS
    assert len(trials) == 0


@pytest.mark.parametrize("what", ["nothing", "an empty folder", "a file", "a folder of files"])
def test_where_no_run_was_there_are_no_results(tmp_path, what):
    path = tmp_path / "place"
    if what == "a file":
        path.write_text("x")
    elif what != "nothing":
        path.mkdir()
    if what == "a folder of files":
        (path / "notes.md").write_text("x")
    for ask in (sim.open_results, status, reanalyze):
        with pytest.raises(NoResults, match="found none") as fault:
            ask(path)
        assert fault.value.exit_code == 2
    assert not Path(path / "trials").exists()


# status and reanalyze


def test_the_status_of_a_complete_run(results):
    assert status(results.path) == {
        "name": "coins",
        "trials": 9000,
        "bags": {"back": (3, 3), "out": (3, 3)},
        "complete": True,
        "summary": True,
        "in_use": False,
    }


def test_the_status_of_a_run_that_was_stopped(tmp_path):
    def stop(done: int, total: int) -> None:
        if done > 2 * 4096:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sim.run(built(), out=tmp_path, progress=stop)
    told = status(tmp_path / "coins")
    assert told["bags"] == {"back": (2, 3), "out": (1, 3)}
    assert not told["complete"]
    assert not told["summary"]


def test_the_status_while_a_run_is_at_work(tmp_path):
    told: list[bool] = []

    def look(done: int, total: int) -> None:
        told.append(status(tmp_path / "coins")["in_use"])

    sim.run(built(LITTLE), out=tmp_path, progress=look)
    assert told == [True, True]
    assert status(tmp_path / "coins")["in_use"] is False


def test_to_analyze_again_gives_the_same_tables(results, tmp_path):
    folder = shutil.copytree(results.path, tmp_path / "coins")  # the log of the other is read
    before = tables(folder)
    for name in TABLES:
        (folder / name).unlink()
    assert not status(folder)["summary"]
    again = reanalyze(str(folder))
    assert tables(again.path) == before


def test_what_is_there_of_a_stopped_run_can_be_analyzed(tmp_path):
    def stop(done: int, total: int) -> None:
        if done > 2 * 4096:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sim.run(built(), out=tmp_path, progress=stop)
    summary = reanalyze(tmp_path / "coins").summary
    assert summary.groupby("bag")["trials"].unique().map(list).to_dict() == {
        "back": [2 * 4096],
        "out": [4096],
    }


def test_one_bag_alone_is_summarized_as_beside_others(results, tmp_path):
    alone = sim.run(built({**COINS, "bags": SMALL["bags"]}), out=tmp_path).summary
    beside = results.summary[results.summary["bag"] == "back"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, beside, check_exact=True)
