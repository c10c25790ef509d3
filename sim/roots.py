"""Where falling functions cross 0, many at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Falling = Callable[[Floats, NDArray[Any]], tuple[Floats, Floats]]
"""(points, which of the functions they are of) to values and slopes there."""

_MOST = 100
_NEAR = 1e-13


def crossing(f: Falling, start: Floats, low: Floats, high: Floats) -> Floats:
    """Return where each of m falling functions is 0 between its `low` and `high`; shapes (m,).

    Newton's method; a step that leaves what is known to hold the crossing is replaced by its
    middle. Functions that are done are asked no more.
    """
    x, low, high = np.clip(start, low, high), low.copy(), high.copy()
    left = np.arange(len(x))
    for _ in range(_MOST):
        if not len(left):
            break
        here = x[left]
        value, slope = f(here, left)
        low[left] = np.where(value > 0, here, low[left])
        high[left] = np.where(value > 0, high[left], here)
        with np.errstate(all="ignore"):
            there = here - value / slope
        inside = (there >= low[left]) & (there <= high[left])
        x[left] = np.where(inside, there, (low[left] + high[left]) / 2)
        left = left[np.abs(x[left] - here) > _NEAR * (1 + np.abs(here))]
    return x
