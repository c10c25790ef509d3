"""Walker's alias tables of many laws at once, in whole numbers: nothing is lost by rounding.

A law of w outcomes becomes w boxes of one size; each holds an outcome of its own and, above a
threshold, one other (Walker 1977). Boxes are filled in order, as Hübschle-Schneider & Sanders
2019 do in parallel: running sums of what is short and of what is over say who fills whom.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Whole = NDArray[np.signedinteger[Any]]

BITS = 40
"""A box holds 2^40 parts: probabilities are kept to 2^−40 of 1 in w."""

MOST_BOXES = 2**22
"""So that running sums of parts stay within 2^62."""


@dataclass(frozen=True, eq=False)
class Boxes:
    """The boxes of many laws, one after another: a threshold from 0 to 1, and the other's box."""

    threshold: Floats
    other: Ints

    def pick(self, place: Floats, first: Ints | int = 0) -> Ints:
        """Return what is picked at uniform places of [0, w) in the boxes from `first` on."""
        box = place.astype(np.int64)
        above = place - box
        box += first
        taken = self.threshold.take(box, mode="clip")
        return np.where(above < taken, box, self.other.take(box, mode="clip"))


def boxes(parts: Ints) -> Boxes:
    """Return the boxes for the parts of all outcomes; each law's are 2^40 times their number."""
    whole = 1 << BITS
    over = parts - whole
    low, high = np.flatnonzero(over < 0), np.flatnonzero(over >= 0)
    short, spare = np.cumsum(-over[low]), np.cumsum(over[high])
    begun = short + over[low]
    threshold, other = np.full(len(parts), whole), np.arange(len(parts))
    threshold[low] = parts[low]
    other[low] = high[np.searchsorted(spare, begun, side="right")]
    # who runs out amid filling another is filled up by the next
    filled = np.searchsorted(short, spare, side="right")
    amid = np.flatnonzero(filled < len(low))
    amid = amid[begun[filled[amid]] < spare[amid]]
    threshold[high[amid]] -= short[filled[amid]] - spare[amid]
    other[high[amid]] = high[amid + 1]
    return Boxes(threshold / whole, other)
