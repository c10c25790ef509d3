"""From Python: two results held against each other, paired where they share random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from sim.analysis.differing import counted, in_unit, judged, measured, same_truth
from sim.analysis.series import BOUNDS, COLUMNS, Key, Line, series
from sim.analysis.together import Together
from sim.divergences import KL_LOSS, divergence
from sim.experiment import Experiment
from sim.loop.admission import expect_run, experiment_there
from sim.store import coverage
from sim.store.differences import unlike
from sim.store.directory import Directory
from sim.store.parts import rows_of
from sim.tables import DIFFERENCES

if TYPE_CHECKING:
    import pandas as pd

_READ = [*COLUMNS, *BOUNDS]

Way = Literal["same draws", "same random numbers", "trials missing", "independent"]


@dataclass(frozen=True)
class Side:
    """One of the two results."""

    directory: Directory
    experiment: Experiment

    @classmethod
    def at(cls, path: str | Path) -> Side:
        """Return the result in a directory; NoResults where no run was there."""
        directory = Directory(Path(path))
        expect_run(directory)
        return cls(directory, experiment_there(directory))

    @cached_property
    def summary(self) -> list[dict[str, Any]]:
        """The rows of the summary, None for null."""
        rows: list[dict[str, Any]] = self.directory.table("summary").to_pylist()
        return rows


@dataclass(frozen=True, eq=False)
class Comparison:
    """What differs between two results beyond its error.

    `rows` has a row for each measure (bias, rmse, p_infinite, coverage) of each cell that both
    have: `verdict` is `worse` or `better` (the second than the first), `different`, `equal` (not
    beyond its error) or `untold` (no error is known). Values are in the unit of the first.
    """

    rows: Sequence[dict[str, Any]]
    ways: dict[str, Way]
    """By bag: what the trials of both share."""
    unlike: Sequence[tuple[str, Any, Any]] = ()
    """In what the experiments differ: the key, and what it is in each."""
    other_truth: int = 0
    """Cells whose true value differs: neither is better."""
    first_only: int = 0
    second_only: int = 0
    counts: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", counted(self.rows))

    @property
    def frame(self) -> pd.DataFrame:
        """The rows as a DataFrame, with the columns of `sim.tables.DIFFERENCES`."""
        return pa.Table.from_pylist(list(self.rows), DIFFERENCES).to_pandas()

    def of(self, *verdicts: str) -> list[dict[str, Any]]:
        """Return the rows with one of these verdicts, the surest first."""
        return sorted(
            (row for row in self.rows if row["verdict"] in verdicts),
            key=lambda row: (row["p_adjusted"], row["p_value"]),
        )


def compare(first: str | Path, second: str | Path) -> Comparison:
    """Return what differs between the results in two directories, the second less the first.

    Cells are paired, trial by trial, where both have the same seed for the bag, else they are
    independent. Nothing is written. Raises NoResults where no run, or no summary, is.
    """
    one, other = Side.at(first), Side.at(second)
    units = _units(one.experiment, other.experiment)
    cells = {_key(row): row for row in one.summary}
    others = {_key(row): in_unit(row, units[row["target"]]) for row in other.summary}
    shared = [key for key in cells if key in others]
    alike = [key for key in shared if same_truth(cells[key], others[key])]
    for side in (one, other):
        coverage.parts(side.directory, side.experiment)  # a part of another experiment is told
    ways = {bag: _way(one, other, bag) for bag in dict.fromkeys(key.line.bag for key in shared)}
    together = Together(units)
    for bag, way in ways.items():
        if way in ("same draws", "same random numbers"):
            _read(one, other, bag, together)
    levels = one.experiment.level, other.experiment.level
    rows = [
        row
        for key in alike
        for row in measured(cells[key], others[key], together.cells.get(key), levels)
    ]
    return Comparison(
        judged(rows),
        ways,
        list(unlike("", _told(one.experiment), _told(other.experiment))),
        other_truth=len(shared) - len(alike),
        first_only=len(cells) - len(shared),
        second_only=len(others) - len(shared),
    )


def _told(experiment: Experiment) -> dict[str, Any]:
    return experiment.model_dump(mode="json", by_alias=True, exclude={"name", "about"})


def _units(one: Experiment, other: Experiment) -> dict[str, float]:
    """Return by target how many units of the first one unit of the second is."""
    known = {name: divergence(name) for name in (*one.targets, *other.targets)}
    targets = [KL_LOSS, *(target for target in known.values() if target is not None)]
    return {
        target.name: target.per_unit(other.unit) / target.per_unit(one.unit) for target in targets
    }


def _way(one: Side, other: Side, bag: str) -> Way:
    """Return what the trials of a bag share: its stream follows from the seed and its label."""
    a, b = one.experiment, other.experiment
    if a.seed != b.seed or a.block_trials(bag) != b.block_trials(bag):
        return "independent"
    if not _blocks(one, other, bag):
        return "trials missing"
    sizes = zip(a.sizes_of(bag), b.sizes_of(bag), strict=False)
    same = a.identity["bags"][bag] == b.identity["bags"][bag] and all(x == y for x, y in sizes)
    return "same draws" if same else "same random numbers"


def _blocks(one: Side, other: Side, bag: str) -> list[int]:
    """Return the blocks of a bag that both have."""
    return sorted(set(one.directory.here(bag)) & set(other.directory.here(bag)))


def _read(one: Side, other: Side, bag: str, together: Together) -> None:
    for block in _blocks(one, other, bag):
        paths = (side.directory.part(bag, block) for side in (one, other))
        first, second = (list(series(rows_of(path, columns=_READ))) for path in paths)
        together.add(first, second)


def _key(row: dict[str, Any]) -> Key:
    return Key(Line(*(row[name] for name in Line._fields)), row["size"])
