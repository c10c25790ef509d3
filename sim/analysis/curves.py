"""A quantity known with errors at some sizes; where its curve last lies above a level comes out.

Between sizes it is drawn straight against x = ln n. It carries a band: the ends of an interval
at each place, from those at the sizes on both sides and how alike their errors are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_STEPS = 64
"""Places from one size to the next: the band is bent there, and drawn straight between them."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Values at places x, ascending, and the ends of an interval for each; shapes (m,)."""

    x: Floats
    middle: Floats
    lower: Floats
    upper: Floats

    def last_above(self, level: float) -> tuple[float, float, float]:
        """Return where lower, middle and upper are last above a level, in this order.

        −inf where it is nowhere, inf where it is so to the end, NaN where this is not known.
        """
        lines = (self.lower, self.middle, self.upper)
        low, middle, high = (_last_above(self.x, line, level) for line in lines)
        return low, middle, high


def curve(x: Floats, values: Floats, below: Floats, above: Floats, alike: Floats) -> Curve:
    """Return the curve through values at ascending x, shapes (S,).

    `below` and `above` are how far the ends of the intervals are away, `alike` (S − 1,) the
    correlation of the errors of neighbours. A stretch that begins or ends at an infinite value
    keeps the value that it begins with: what happens there is not known.
    """
    share = np.arange(_STEPS) / _STEPS
    left, right = 1 - share, share
    places = (x[:-1, np.newaxis] * left + x[1:, np.newaxis] * right).ravel()
    middle, lower, upper = (np.repeat(side[:-1], _STEPS) for side in (values, below, above))
    known = np.repeat(np.isfinite(values[:-1]) & np.isfinite(values[1:]), _STEPS)
    with np.errstate(invalid="ignore"):
        straight = (values[:-1, np.newaxis] * left + values[1:, np.newaxis] * right).ravel()
        down, up = (_between(side, left, right, alike) for side in (below, above))
        middle = np.append(np.where(known, straight, middle), values[-1])
        lower = middle - np.append(np.where(known, down, lower), below[-1])
        upper = middle + np.append(np.where(known, up, upper), above[-1])
    return Curve(np.append(places, x[-1]), middle, lower, upper)


def _between(side: Floats, left: Floats, right: Floats, alike: Floats) -> Floats:
    """Return the error of (1 − w)·a + w·b on each stretch, w from 0 to 1; flat."""
    a, b = side[:-1, np.newaxis] * left, side[1:, np.newaxis] * right
    square = a * a + b * b + 2 * alike[:, np.newaxis] * a * b
    return np.asarray(np.sqrt(np.maximum(square, 0.0))).ravel()


def _last_above(x: Floats, line: Floats, level: float) -> float:
    if np.isnan(line).any() and not _told(line, level):
        return float("nan")
    above = np.flatnonzero(line > level)
    if len(above) == 0:
        return float("-inf")
    last = int(above[-1])
    if last == len(line) - 1:
        return float("inf")
    here, there = line[last], line[last + 1]
    if not (np.isfinite(here) and np.isfinite(there)):
        return float(x[last + 1])
    return float(x[last] + (x[last + 1] - x[last]) * (here - level) / (here - there))


def _told(line: Floats, level: float) -> bool:
    """Return whether what is not known lies before a place where the line is above the level."""
    unknown, above = np.flatnonzero(np.isnan(line)), np.flatnonzero(line > level)
    return len(above) > 0 and bool(unknown[-1] < above[-1])


def likeness(replicates: Floats) -> Floats:
    """Return the correlation of neighbouring columns of `replicates` (R, S); 0 where unknown."""
    away = replicates - replicates.mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        cross = (away[:, :-1] * away[:, 1:]).sum(axis=0)
        square = (away * away).sum(axis=0)
        found = cross / np.sqrt(square[:-1] * square[1:])
    return np.where(np.isfinite(found), found, 0.0)
