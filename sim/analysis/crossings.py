"""Where two estimators change places: the size at which the ratio of their errors passes 1."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Crossing:
    """A size, and its standard error."""

    size: float
    size_se: float


def crossing(sizes: Floats, logs: Floats, replicates: Floats) -> Crossing:
    """Return where the line through ln ratio at ascending sizes, (S,), first passes 0.

    Straight from point to point against ln size. `logs`, (S,), begins and ends with opposite
    signs; `replicates`, (R, S), are the same from resampled trials, and each finds its own
    place. The error is that of ln size, times the size; NaN where fewer than two tell.
    """
    at = np.log(sizes)
    size = exp(float(_root(at, logs[np.newaxis])[0]))
    roots = _root(at, replicates)
    known = roots[np.isfinite(roots)]
    spread = float(known.std(ddof=1)) if len(known) > 1 else float("nan")
    return Crossing(size, size * spread)


def _root(at: Floats, logs: Floats) -> Floats:
    """Return where each row of `logs`, (rows, S), first passes 0; NaN where it does not."""
    with np.errstate(all="ignore"):
        change = logs[:, :-1] * logs[:, 1:] <= 0
        share = logs[:, :-1] / (logs[:, :-1] - logs[:, 1:])
        roots = at[:-1] + np.diff(at) * share
    first = change.argmax(axis=1)
    found = roots[np.arange(len(roots)), first]
    return np.where(change.any(axis=1), found, np.nan)
