"""From Python: load an experiment, run it, open its results."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from threadpoolctl import threadpool_limits

from sim import notebook
from sim.analysis.analyze import analyze
from sim.analysis.best import best
from sim.config import reading
from sim.contracts.bag import TimedBag
from sim.engines import Engine
from sim.experiment import Experiment
from sim.loop import admission, verification
from sim.loop.complete import Progress, complete
from sim.loop.records import facts, stopped
from sim.loop.spread import pieces, spread
from sim.loop.standing import standing
from sim.loop.stopping import precisions
from sim.one_trial import trace_rows
from sim.store import coverage
from sim.store.directory import Directory, NoResults
from sim.tables import BEST, TRIALS

if TYPE_CHECKING:
    import pandas as pd

_ANALYZED = ("summary", "convergence", "comparison")

load = reading.load


@dataclass(frozen=True, repr=False)
class Results:
    """What a run left in its directory; tables are read when they are asked for."""

    path: Path
    __repr__ = notebook.code

    def _repr_html_(self) -> str:
        return notebook.html(self, status)

    @cached_property
    def experiment(self) -> Experiment:
        """The experiment, as resolved when it was run."""
        return admission.experiment_there(Directory(self.path))

    @property
    def stop(self) -> dict[str, Any] | None:
        """Why each bag ended, where `stop` stands; None until it was finished by that rule.

        Beside the rule, `bags`: for each `trials`, whether it was `reached`, and the largest
        `bias_mcse` and `where` it is.
        """
        return stopped(Directory(self.path).run_facts(), self.experiment)

    def table(self, name: str) -> pa.Table:
        """Return a table, such as `summary` or `trace`, as an Arrow table; nulls are nulls."""
        return Directory(self.path).table(name)

    @property
    def trace(self) -> pd.DataFrame:
        """What happened when in the traced trials: bag, trial, time, event, colour."""
        return self.table("trace").to_pandas()

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Return `summary`, `convergence` and `comparison` as plain rows, None for null."""
        return {name: self.table(name).to_pylist() for name in _ANALYZED}

    def report(self) -> dict[str, Any]:
        """Return what there is to tell of a run, its tables with it, as plain data."""
        experiment, stop = self.experiment, self.stop
        return {
            "name": experiment.name,
            "results": str(self.path),
            "digest": experiment.digest,
            "trials": experiment.trials,
            "unit": experiment.unit,
            "level": experiment.level,
            "tolerance": experiment.tolerance.model_dump(),
            **({} if stop is None else {"stop": stop}),
            **self.rows(),
        }

    @property
    def trials(self) -> pd.DataFrame:
        """Every estimate: a row for each cell, size and trial. As large as the run was."""
        bags = coverage.parts(Directory(self.path), self.experiment)
        tables = [TRIALS.empty_table(), *chain.from_iterable(parts.read() for parts in bags)]
        return pa.concat_tables(tables, promote_options="default").to_pandas()

    @property
    def summary(self) -> pd.DataFrame:
        """Performance measures by cell and size, each with its Monte Carlo error."""
        return self.table("summary").to_pandas()

    @property
    def convergence(self) -> pd.DataFrame:
        """How bias, sd and rmse fall with the size, beside what theory says."""
        return self.table("convergence").to_pandas()

    @property
    def comparison(self) -> pd.DataFrame:
        """Estimators on the same draws, pair by pair: differences, ratios, where they cross."""
        return self.table("comparison").to_pandas()

    def best(self) -> pd.DataFrame:
        """Which estimator has the smallest error at each size, and which may rival it."""
        rows = self.rows()
        found = best(rows["comparison"], rows["summary"])
        return pa.Table.from_pylist(list(found), BEST).to_pandas()


def run(
    experiment: Experiment,
    *,
    out: str | Path = "results",
    workers: int = 1,
    engine: str = "auto",
    fresh: bool = False,
    progress: Progress = lambda done, total: None,
) -> Results:
    """Run what is missing of an experiment in `out/<name>`, analyze it and return the results.

    The rows are the same for any engine and number of workers. Raises DifferentExperiment
    where another experiment lies there (`fresh` deletes it first), InUse where another run
    is at work, BlockFailed where a block cannot be computed.
    """
    directory = Directory(Path(out) / experiment.name)
    with directory.locked(), threadpool_limits(1):
        admission.admit(directory, experiment, fresh=fresh)
        _carry_out("run", experiment, directory, Engine(engine, workers), progress)
    return Results(directory.path)


def extend(
    experiment: Experiment,
    *,
    out: str | Path = "results",
    workers: int = 1,
    engine: str = "auto",
    progress: Progress = lambda done, total: None,
) -> Results:
    """Add to the results in `out/<name>` what a larger experiment asks for beyond them.

    It may have more trials, sizes beyond the largest, more bags, models, targets, estimators
    and learners. What is there is not computed again, and every row stays as it is; the tables
    are those of one run of the larger experiment. Raises NoResults where no run was there,
    DifferentExperiment where what is there would change, and what `run` raises.
    """
    directory = Directory(Path(out) / experiment.name)
    admission.expect_result(directory)
    with directory.locked(), threadpool_limits(1):
        admission.admit_extension(directory, experiment)
        _carry_out("extend", experiment, directory, Engine(engine, workers), progress)
    return Results(directory.path)


def _carry_out(
    verb: str, experiment: Experiment, directory: Directory, engine: Engine, progress: Progress
) -> None:
    """Compute what is missing and analyze all that is there."""
    started = time.monotonic()
    directory.log(verb, digest=experiment.digest, trials=experiment.trials, pid=os.getpid())
    judges = precisions(experiment)
    computed = complete(experiment, directory, engine, progress, judges)
    drawn = time.monotonic()
    ends = {bag: judge.facts() for bag, judge in judges.items()}
    if ends:
        directory.log("stop", bags=ends)
    _analyze(directory, experiment, engine)
    ended = time.monotonic()
    timings = {"trials": drawn - started, "analysis": ended - drawn}
    directory.save_run(facts(experiment, computed, ends, timings))
    directory.log("done", computed=computed, seconds=round(ended - started, 3))


def trace(path: str | Path, trials: int) -> Results:
    """Write trace.parquet: what happened when, in the first trials of each bag with a clock.

    Raises NoResults where no bag of the run has a clock.
    """
    results = open_results(path)
    experiment, directory = results.experiment, _named(results)
    timed = [label for label, bag in experiment.bags.items() if isinstance(bag, TimedBag)]
    if not timed:
        raise NoResults(f"{path}: no bag of this run has a clock, so there is nothing to trace")
    shown = range(min(trials, experiment.trials))
    tables = [trace_rows(experiment, bag, trial) for bag in timed for trial in shown]
    with directory.locked():
        directory.save_table("trace", pa.concat_tables(tables).unify_dictionaries())
    return results


def reanalyze(path: str | Path, *, workers: int = 1, engine: str = "auto") -> Results:
    """Make the tables of a run anew from the trials that are there."""
    results = open_results(path)
    directory = _named(results)
    with directory.locked(), threadpool_limits(1):
        _analyze(directory, results.experiment, Engine(engine, workers))
        directory.log("analyze")
    return results


def open_results(path: str | Path) -> Results:
    """Return the results in a directory; NoResults where no run was there."""
    results = Results(Path(path))
    admission.expect_run(Directory(results.path))
    return results


def status(path: str | Path) -> dict[str, Any]:
    """Return how far a run has come: for each bag the blocks done and the blocks in all.

    Where `stop` stands, the blocks in all are the most that there may be until the run is done,
    and `used` is there too: how many trials each bag needed, None before. Nothing is written.
    """
    results = open_results(path)
    return standing(Directory(results.path), results.experiment)


def verify(path: str | Path, recompute: int = 0) -> dict[str, Any]:
    """Return what is wrong with the files of a run, and how to mend each; nothing is written.

    `recompute` blocks are computed again and compared.
    """
    directory = Directory(open_results(path).path)
    with threadpool_limits(1):
        return verification.verify(directory, recompute)


def _named(results: Results) -> Directory:
    """Return the directory that a user named, who may have named it by a link."""
    return Directory(results.path.resolve())


def _analyze(directory: Directory, experiment: Experiment, engine: Engine) -> None:
    with spread(engine.here) as mapped:
        tables = analyze(experiment, *pieces(coverage.parts(directory, experiment)), mapped=mapped)
    for name in _ANALYZED:
        directory.save_table(name, getattr(tables, name))
