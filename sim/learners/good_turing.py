"""Good and Turing's frequencies, smoothed by Gale and Sampson."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from sim.contracts.arrays import Counts, Mix
from sim.contracts.learner import Learner

Floats = NDArray[np.float64]

_CONFIDENCE = 1.96


class GoodTuring(Learner):
    """Simple Good–Turing: what was seen r times counts as r* = (r+1) N_{r+1}/N_r (Good 1953).

    N_r colours were drawn r times. Where N_r grows thin, r* comes from a line through
    (ln r, ln Z_r), Z_r the averaged N_r (Gale & Sampson 1995, "Good–Turing frequency estimation
    without tears"); a line that is no steeper than 1/r leaves r* = r. The colours not drawn
    share f₁/n, alike; where every colour was drawn just once, f₁ = n − 1. Good where many colours
    are rare; a colour that was not drawn is held impossible where none was drawn just once.

    Example:
        kind: good_turing
    """

    kind: Literal["good_turing"] = "good_turing"
    assumes: ClassVar[str] = "many rare colours"

    @property
    def slow(self) -> bool:
        """Return True."""
        return True

    def fit(self, counts: Counts) -> Mix:
        """Return the smoothed distribution of each row."""
        return np.array([_smoothed(row) for row in counts]).reshape(counts.shape)


def _smoothed(row: NDArray[np.int64]) -> Floats:
    size, unseen = int(row.sum()), int(np.count_nonzero(row == 0))
    r, number = np.unique(row[row > 0], return_counts=True)
    once = int(number[0]) if r[0] == 1 else 0
    missing = min(once, size - 1) / size if unseen else 0.0
    adjusted = _adjusted(r.astype(np.float64), number.astype(np.float64))
    share = (1 - missing) * adjusted / np.sum(number * adjusted)
    if unseen:
        return np.where(
            row > 0, share[np.searchsorted(r, row).clip(0, len(r) - 1)], missing / unseen
        )
    return np.asarray(share[np.searchsorted(r, row)])


def _adjusted(r: Floats, number: Floats) -> Floats:
    """Return r* of each r, ascending; r itself where there is no line to lay."""
    if len(r) < 2:
        return r
    before = np.concatenate([[0.0], r[:-1]])
    after = np.append(r[1:], 2 * r[-1] - before[-1])
    z = 2 * number / (after - before)
    x, y = np.log(r), np.log(z)
    x -= x.mean()
    slope = min(-1.0, float(x @ y / (x @ x)))  # one that falls more slowly would give r* > r
    line = r * (1 + 1 / r) ** (slope + 1)
    follows = np.append(r[1:] == r[:-1] + 1, False)
    next_number = np.where(follows, np.append(number[1:], 0.0), 0.0)
    turing = (r + 1) * next_number / number
    error = (r + 1) * np.sqrt(next_number * (1 + next_number / number)) / number
    # from the first r where the two do not differ, or the next is not there, the line holds on
    good = follows & (np.abs(turing - line) > _CONFIDENCE * error)
    use_turing = np.cumprod(good).astype(bool)
    return np.where(use_turing, turing, line)
