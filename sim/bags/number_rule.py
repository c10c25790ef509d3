"""The random number that mimics a bag."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from sim.checks import WHOLE, Label, placed
from sim.contracts.arrays import Colours, Mix
from sim.contracts.bag import SequentialBag
from sim.laws.counts import Multinomial

_Number = Annotated[int, Field(ge=-(10**9), le=10**9), WHOLE]


class NumberRule(SequentialBag):
    """A whole number from `low` to `high`, and a colour for each range of numbers.

    The tutorial's mimic, taken literally: 1 to 10, up to 4 is red. Equal in law to
    `with_replacement` of the same proportions.

    Example:
        kind: number_rule
        low: 1
        high: 10
        colours: {red: [1, 4], blue: [5, 10]}
    """

    kind: Literal["number_rule"] = "number_rule"
    low: _Number
    high: _Number
    ranges: dict[Label, tuple[_Number, _Number]] = Field(alias="colours", min_length=1)
    independent: ClassVar[bool] = True

    @model_validator(mode="after")
    def _covers(self) -> NumberRule:
        expected = self.low
        for colour, (first, last) in sorted(self.ranges.items(), key=lambda item: item[1]):
            if first != expected or last < first:
                fault = f"expected a range that begins at {expected}; got {first} to {last}"
                placed([(("colours", colour), fault)], self.kind)
            expected = last + 1
        if expected != self.high + 1:
            fault = f"the ranges end at {expected - 1}; expected {self.high}, as `high` says"
            placed([(("colours",), fault)], self.kind)
        return self

    @cached_property
    def colours(self) -> tuple[str, ...]:
        """The names of the ranges."""
        return tuple(self.ranges)

    @cached_property
    def _order(self) -> tuple[Any, Any]:
        """The first number of each range, ascending, and the colour that it has."""
        firsts = np.array([first for first, _ in self.ranges.values()])
        order = np.argsort(firsts)
        return firsts[order], order

    @cached_property
    def _widths(self) -> Mix:
        return np.array([last - first + 1 for first, last in self.ranges.values()], dtype=float)

    def truth(self, n: int) -> Mix:
        """Return the share of the numbers that each colour has."""
        return np.asarray(self._widths / self._widths.sum())

    def draw(self, n: int, rng: np.random.Generator) -> Colours:
        """Return the colours of n random numbers."""
        firsts, order = self._order
        numbers = rng.integers(self.low, self.high, endpoint=True, size=n)
        return np.asarray(order[np.searchsorted(firsts, numbers, side="right") - 1])

    def count_law(self, n: int) -> Multinomial:
        """Return the binomial law of each count."""
        return Multinomial(n, self.truth(n))

    def count_variance(self, n: int) -> Mix:
        """Return n p(1 − p)."""
        p = self.truth(n)
        return n * p * (1 - p)
