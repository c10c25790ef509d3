"""Counting, with a little taken off each colour that was seen and given to all."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from sim.checks import either
from sim.contracts.arrays import Counts, Mix
from sim.contracts.learner import Learner


class AbsoluteDiscounting(Learner):
    """Takes `amount` off each count that is not 0, and gives it to all colours alike.

    (max(c − a, 0) + a S/K)/n, S the colours seen (Ney, Essen & Kneser 1994). `estimated` is their
    a = f₁/(f₁ + 2 f₂), from the colours drawn once and twice; ½ where there are none of them.
    Good where few colours are frequent and many rare; with `estimated`, a colour that was not
    drawn is held impossible where none was drawn just once.

    Example:
        kind: absolute_discounting
        amount: 0.5
    """

    kind: Literal["absolute_discounting"] = "absolute_discounting"
    assumes: ClassVar[str] = "few frequent colours, many rare"
    amount: Annotated[
        Annotated[float, Field(gt=0, le=1)] | Literal["estimated"],
        either("a number above 0, at most 1, or `estimated`"),
    ] = "estimated"

    def fit(self, counts: Counts) -> Mix:
        """Return the discounted distribution of each row."""
        size = counts.sum(axis=-1, keepdims=True)
        seen = np.count_nonzero(counts, axis=-1, keepdims=True)
        amount = self._amount(counts)
        taken = np.maximum(counts - amount, 0) + amount * seen / counts.shape[-1]
        return np.asarray(taken / size)

    def _amount(self, counts: Counts) -> Mix:
        if self.amount != "estimated":
            return np.asarray(self.amount)
        once, twice = (np.count_nonzero(counts == c, axis=-1, keepdims=True) for c in (1, 2))
        some = once + 2 * twice
        return np.asarray(np.divide(once, some, out=np.full(some.shape, 0.5), where=some > 0))
