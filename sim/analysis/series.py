"""A part's rows become series: the estimates of one cell at one size, trial by trial."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sim.tables import CONTROL, STATUS

COLUMNS = ["bag", "model", "target", "estimator", "size", "trial", "estimate", "truth", "status"]
BOUNDS = ["lower", "upper"]
"""Columns that are read besides where there are intervals."""


class Line(NamedTuple):
    """What is followed over sizes: an estimator of a target beside a model, from a bag."""

    bag: str
    model: str | None
    target: str
    estimator: str

    @property
    def is_control(self) -> bool:
        """Whether it is a control variate: nothing is estimated, its mean is known."""
        return self.target == CONTROL


class Key(NamedTuple):
    """One cell of the summary: a line at one size."""

    line: Line
    size: int


@dataclass(frozen=True, eq=False)
class Series:
    """Estimates of one cell from consecutive trials, NaN where there is none.

    `bounds`, shape (2, trials), are the ends of its intervals, where these are read.
    """

    key: Key
    trial: NDArray[np.int64]
    estimate: NDArray[np.float64]
    truth: float
    failed: int
    bounds: NDArray[np.float64] | None = None


def series(rows: pa.Table) -> Iterator[Series]:
    """Yield the series of a batch in the order of its rows."""
    if rows.num_rows == 0:  # a bag that nothing is estimated of
        return
    rows = rows.combine_chunks()
    labels = [_labels(rows.column(name)) for name in Line._fields]
    codes = [code for code, _ in labels]
    size = rows.column("size").to_numpy()
    changes = np.zeros(len(size), dtype=bool)
    changes[:1] = True
    for column in (*codes, size):
        changes[1:] |= column[1:] != column[:-1]
    starts = np.flatnonzero(changes)
    trial = rows.column("trial").to_numpy()
    estimate = rows.column("estimate").to_numpy(zero_copy_only=False)
    truth = rows.column("truth").to_numpy(zero_copy_only=False)
    bounds = None
    if set(BOUNDS) <= set(rows.column_names):
        bounds = np.stack([rows.column(name).to_numpy(zero_copy_only=False) for name in BOUNDS])
    status, known = _labels(rows.column("status"))
    failed = status == known.index(STATUS[3])
    for start, end in zip(starts, np.append(starts, len(size))[1:], strict=True):
        line = Line(*(names[code[start]] for code, names in labels))
        yield Series(
            key=Key(line, int(size[start])),
            trial=trial[start:end],
            estimate=estimate[start:end],
            truth=float(truth[start]),
            failed=int(np.count_nonzero(failed[start:end])),
            bounds=None if bounds is None else bounds[:, start:end],
        )


def _labels(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], list[str | None]]:
    """Return a code for each row and the label of each code; null has the last one."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks else pa.array([], array.type)
    names = [*array.dictionary.to_pylist(), None]
    codes = array.indices.to_numpy(zero_copy_only=False)
    if array.indices.null_count:  # they came as floating-point numbers, null as NaN
        codes = np.nan_to_num(codes, nan=len(names) - 1).astype(np.int64)
    return codes, names
