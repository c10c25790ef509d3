"""The directory of a run goes in; what a page or its pictures are made of comes out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sim.analysis.best import best
from sim.analysis.first_trials import chi_square, ranked
from sim.analysis.running import running
from sim.config import reading
from sim.experiment import Experiment
from sim.loop import admission
from sim.report.material import Material
from sim.store import coverage
from sim.store.directory import Directory
from sim.store.parts import Parts
from sim.store.plain import kind
from sim.tables import BEST, CONTROL, TRIALS

MOST_TRIALS = 1000
"""Trials of each bag that are shown one by one; more would not be seen."""

MOST_ROWS = 1_000_000
"""Rows of each bag, beyond which fewer trials are shown."""


def gather(path: str | Path) -> Material:
    """Return all that is told of the results in a directory.

    Raises NoResults where no run was there, or its tables are not there or damaged.
    """
    directory = Directory(Path(path))
    admission.expect_run(directory)
    experiment = admission.experiment_there(directory)
    tables = {name: directory.table(name) for name in ("summary", "convergence", "comparison")}
    found = list(best(tables["comparison"].to_pylist(), tables["summary"].to_pylist()))
    samples = _samples(directory, experiment)
    trace = _trace(directory)
    return Material(
        name=experiment.name,
        about=experiment.about,
        unit=experiment.unit,
        level=experiment.level,
        error=experiment.tolerance.error,
        confidence=experiment.tolerance.confidence,
        experiment=reading.dump(experiment),
        facts=directory.run_facts(),
        command=_command(trace),
        summary=tables["summary"].to_pandas(),
        convergence=tables["convergence"].to_pandas(),
        comparison=tables["comparison"].to_pandas(),
        best=pa.Table.from_pylist(found, BEST).to_pandas(),
        samples=samples,
        trace=trace,
        ranked=ranked(samples, experiment.level),
        chi_square=chi_square(samples, _freedom(experiment), experiment.unit),
        running=None if trace is None else running(experiment, trace),
    )


def _samples(directory: Directory, experiment: Experiment) -> pd.DataFrame:
    tables = [TRIALS.empty_table()]
    for parts in coverage.parts(directory, experiment):
        tables += _first(parts)
    rows = pa.concat_tables(tables, promote_options="default").unify_dictionaries().to_pandas()
    labels = ["bag", "model", "target", "estimator", "status", "reason"]
    return rows.astype(dict.fromkeys(labels, object))


def _first(parts: Parts) -> Iterator[pa.Table]:
    """Yield the first trials of a bag, part by part, without their control variates."""
    left = MOST_TRIALS
    for rows in parts.read():
        trials = np.unique(rows["trial"].to_numpy())
        fit = MOST_ROWS * len(trials) // max(1, rows.num_rows)
        left = min(left, max(1, fit))
        trials = trials[:left]
        if not len(trials):
            return
        left -= len(trials)
        shown = pc.less_equal(rows["trial"], int(trials[-1]))
        yield rows.filter(pc.and_(shown, pc.not_equal(rows["target"], CONTROL)))
        if not left:
            return


def _trace(directory: Directory) -> pd.DataFrame | None:
    if kind(directory.path / "trace.parquet") is None:
        return None
    rows = directory.table("trace").to_pandas()
    return rows.astype({"bag": object, "event": object, "colour": object})


def _freedom(experiment: Experiment) -> dict[str, int]:
    """Return for each bag how many of its proportions are free to vary: one less than colours."""
    last = {label: experiment.sizes_of(label)[-1] for label in experiment.bags}
    return {
        label: int((bag.truth(last[label]) > 0).sum()) - 1 for label, bag in experiment.bags.items()
    }


def _command(trace: pd.DataFrame | None) -> str:
    """Return what makes the result again from the experiment as resolved, beside this one."""
    traced = "" if trace is None else f" --trace {trace['trial'].nunique()}"
    return f"klsim run experiment.yaml --out again{traced}"
