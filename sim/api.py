"""From Python: load an experiment, run it, open its results."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from threadpoolctl import threadpool_limits

from sim.analysis.analyze import analyze
from sim.canary import canary
from sim.config import reading
from sim.contracts.bag import TimedBag
from sim.engines import Engine, EngineName
from sim.experiment import Experiment
from sim.loop import Progress, complete
from sim.store.directory import DifferentExperiment, Directory, NoResults, differences
from sim.tables import TRIALS
from sim.trials import trace_rows

if TYPE_CHECKING:
    import pandas as pd

_PACKAGES = ("klsim", "numpy", "scipy", "pyarrow", "pandas", "pydantic")

load = reading.load


@dataclass(frozen=True)
class Results:
    """What a run left in its directory; tables are read when they are asked for."""

    path: Path

    @cached_property
    def experiment(self) -> Experiment:
        """The experiment, as resolved when it was run."""
        return _stored(Directory(self.path))

    def table(self, name: str) -> pa.Table:
        """Return `summary`, `convergence` or `trace` as an Arrow table; nulls are nulls."""
        return Directory(self.path).table(name)

    @property
    def trace(self) -> pd.DataFrame:
        """What happened when in the traced trials: bag, trial, time, event, colour."""
        return self.table("trace").to_pandas()

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Return `summary` and `convergence` as plain rows, None for null."""
        return {name: self.table(name).to_pylist() for name in ("summary", "convergence")}

    @property
    def trials(self) -> pd.DataFrame:
        """Every estimate: a row for each cell, size and trial. As large as the run was."""
        parts = Directory(self.path).parts(self.experiment)
        tables = [TRIALS.empty_table(), *parts.read()]
        return pa.concat_tables(tables, promote_options="default").to_pandas()

    @property
    def summary(self) -> pd.DataFrame:
        """Performance measures by cell and size, each with its Monte Carlo error."""
        return self.table("summary").to_pandas()

    @property
    def convergence(self) -> pd.DataFrame:
        """How bias, sd and rmse fall with the size, beside what theory says."""
        return self.table("convergence").to_pandas()


def run(
    experiment: Experiment,
    *,
    out: str | Path = "results",
    workers: int = 1,
    engine: EngineName = "auto",
    fresh: bool = False,
    progress: Progress = lambda done, total: None,
) -> Results:
    """Run what is missing of an experiment in `out/<name>`, analyze it and return the results.

    The rows are the same for any engine and number of workers. Raises DifferentExperiment
    where another experiment lies there (`fresh` deletes it first), InUse where another run
    is at work, BlockFailed where a block cannot be computed.
    """
    directory = Directory(Path(out) / experiment.name)
    started = time.monotonic()
    with directory.locked(), threadpool_limits(1):
        _prepare(directory, experiment, fresh)
        directory.log("run", digest=experiment.digest, trials=experiment.trials, pid=os.getpid())
        computed = complete(experiment, directory, Engine(engine, workers), progress)
        drawn = time.monotonic()
        _analyze(directory, experiment)
        ended = time.monotonic()
        timings = {"trials": drawn - started, "analysis": ended - drawn}
        directory.save_run(_facts(experiment, computed, timings))
        directory.log("done", computed=computed, seconds=round(ended - started, 3))
    return Results(directory.path)


def trace(path: str | Path, trials: int) -> Results:
    """Write trace.parquet: what happened when, in the first trials of each bag with a clock.

    Raises NoResults where no bag of the run has a clock.
    """
    results = open_results(path)
    experiment, directory = results.experiment, Directory(results.path)
    timed = [label for label, bag in experiment.bags.items() if isinstance(bag, TimedBag)]
    if not timed:
        raise NoResults(f"{path}: no bag of this run has a clock, so there is nothing to trace")
    shown = range(min(trials, experiment.trials))
    tables = [trace_rows(experiment, bag, trial) for bag in timed for trial in shown]
    with directory.locked():
        directory.save_table("trace", pa.concat_tables(tables).unify_dictionaries())
    return results


def reanalyze(path: str | Path) -> Results:
    """Make summary and convergence of a run anew from the trials that are there."""
    results = open_results(path)
    directory = Directory(results.path)
    with directory.locked(), threadpool_limits(1):
        _analyze(directory, results.experiment)
        directory.log("analyze")
    return results


def open_results(path: str | Path) -> Results:
    """Return the results in a directory; NoResults where no run was there."""
    results = Results(Path(path))
    if Directory(results.path).experiment_text() is None:
        raise NoResults(
            f"{path}: expected the directory of a run, such as results/red_blue, "
            "with an experiment.yaml; found none"
        )
    return results


def status(path: str | Path) -> dict[str, Any]:
    """Return how far a run has come: for each bag the blocks done and the blocks in all."""
    experiment = open_results(path).experiment
    directory = Directory(Path(path))
    bags = {
        bag: (directory.stored(experiment, bag), experiment.blocks(bag)) for bag in experiment.bags
    }
    return {
        "name": experiment.name,
        "trials": experiment.trials,
        "bags": bags,
        "complete": all(done == blocks for done, blocks in bags.values()),
        "summary": (directory.path / "summary.parquet").exists(),
        "in_use": directory.in_use(),
    }


def _stored(directory: Directory) -> Experiment:
    text = directory.experiment_text() or ""
    return reading.read(text, str(directory.path / "experiment.yaml"))


def _prepare(directory: Directory, experiment: Experiment, fresh: bool) -> None:
    if directory.foreign():
        raise DifferentExperiment(
            f"{directory.path} holds files that no run wrote; choose another --out"
        )
    if fresh:
        directory.clear()
    elif directory.experiment_text() is not None:
        lines = differences(_stored(directory), experiment)
        if lines:
            listed = "\n".join(f"  {line}" for line in lines)
            raise DifferentExperiment(
                f"{directory.path} holds a different experiment:\n{listed}\n"
                "start again with --fresh, or choose another name or --out"
            )
    directory.save_experiment(reading.dump(experiment))


def _analyze(directory: Directory, experiment: Experiment) -> None:
    tables = analyze(experiment, directory.parts(experiment))
    directory.save_table("summary", tables.summary)
    directory.save_table("convergence", tables.convergence)


def _facts(experiment: Experiment, computed: int, timings: dict[str, float]) -> dict[str, Any]:
    return {
        "digest": experiment.digest,
        "canary": canary(),
        "versions": {name: version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "blocks": sum(experiment.blocks(bag) for bag in experiment.bags),
        "computed": computed,
        "seconds": {name: round(value, 3) for name, value in timings.items()},
    }
