"""Every configuration that comes with klsim runs, and its means stand where theory has them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

import sim
from sim.cli.init import command as init

CONFIGS = sorted((Path(__file__).parent.parent / "configs").glob("*.yaml"))
TRIALS = 128
SMALLER = {"estimators": ["sizes=[10, 300]"]}
"""Changes for what would take minutes: a thousand colours and integrals for each trial."""
MAY_BE_UNDEFINED = {"jackknife", "miller_madow"}
"""Kinds that are, where a colour was drawn from P and never, or once, from Q's sample."""
FARTHEST = 6.0
"""Monte Carlo errors; for the mean of 128 counted KLs, a χ², one false alarm in three million."""


def checked(results: sim.Results, experiment: sim.Experiment) -> None:
    summary = results.summary
    for bag in experiment.bags:
        rows = summary[summary["bag"] == bag]
        cells, sizes = experiment.cells(bag), experiment.sizes_of(bag)
        assert len(rows) == len(cells) * len(sizes)
    assert (summary["trials"] == experiment.trials).all()
    assert not summary["failed"].any()
    allowed = {
        (cell.model, cell.label)
        for bag in experiment.bags
        for cell in experiment.cells(bag)
        if cell.estimator.kind in MAY_BE_UNDEFINED
        and cell.model is not None
        and experiment.models[cell.model].kind == "drawn"
    }
    undefined = summary[summary["undefined"] > 0]
    assert set(zip(undefined["model"], undefined["estimator"], strict=True)) <= allowed
    assert summary["z"].dropna().abs().max() < FARTHEST


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_configuration_runs_small(path, tmp_path):
    experiment = sim.load(path, [f"trials={TRIALS}", *SMALLER.get(path.stem, ())])
    checked(sim.run(experiment, out=tmp_path), experiment)
    assert [folder.name for folder in tmp_path.iterdir()] == [experiment.name]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_configuration_is_named_as_its_file_and_says_what_it_is(path):
    experiment = sim.load(path)
    assert experiment.name == path.stem
    assert experiment.about
    assert path.read_text(encoding="utf-8").startswith("# ")


def test_the_experiment_to_begin_with_runs_small(tmp_path):
    path = tmp_path / "mine.yaml"
    done = CliRunner().invoke(init, [str(path)])
    assert done.exit_code == 0, done.output
    experiment = sim.load(path, [f"trials={TRIALS}"])
    results = sim.run(experiment, out=tmp_path / "results")
    checked(results, experiment)
    assert (results.summary["z"].notna()).all()


def test_the_experiment_to_begin_with_converges_as_theory_says(tmp_path):
    path = tmp_path / "mine.yaml"
    CliRunner().invoke(init, [str(path)])
    convergence = sim.run(sim.load(path), out=tmp_path / "results").convergence
    bias = convergence[
        (convergence["quantity"] == "bias") & (convergence["estimator"] == "counting")
    ]
    assert len(bias) == 2
    for _, row in bias.iterrows():
        assert row["theory_rate"] == -1
        assert abs(row["rate"] + 1) < 4 * row["rate_se"] + 0.02
