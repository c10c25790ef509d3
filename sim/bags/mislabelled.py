"""A bag whose colours are sometimes read wrongly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from sim.cells import Cells
from sim.checks import Label, guess, placed
from sim.compositions import Balls
from sim.contracts.arrays import Counts, Mix
from sim.contracts.bag import Bag
from sim.laws.counts import Multinomial
from sim.multinomial import multinomial_tally, narrow_tally

_Share = Annotated[float, Field(ge=0, le=1)]


class Mislabelled(Bag):
    """Drawn with replacement, but a colour is read as another by a `confusion` matrix C.

    Rows are true colours and sum to 1; a colour without a row is read rightly. Truth is the
    true composition P; the counted one converges to P·C, so against Q = P a counted KL comes
    down to KL(PC‖P) and no further: E p̂ is not the truth. Exact law: binomial counts of P·C.

    Example:
        kind: mislabelled
        balls: {red: 10, blue: 15}
        confusion: {red: {red: 0.9, blue: 0.1}, blue: {red: 0.2, blue: 0.8}}
    """

    kind: Literal["mislabelled"] = "mislabelled"
    balls: Balls
    confusion: dict[Label, dict[Label, _Share]]

    @model_validator(mode="after")
    def _rows_are_distributions(self) -> Mislabelled:
        known = set(self.colours)
        for colour, row in self.confusion.items():
            for name in (colour, *row):
                if name not in known:
                    fault = f"the bag has no colour {name!r}{guess(name, known)}"
                    placed([(("confusion", colour), fault)], self.kind)
            if abs(sum(row.values()) - 1) > 1e-9:
                fault = f"expected shares that sum to 1; got {sum(row.values()):.6g}"
                placed([(("confusion", colour), fault)], self.kind)
        return self

    @property
    def colours(self) -> tuple[str, ...]:
        """The names of the balls' colours."""
        return self.balls.colours

    @cached_property
    def _read(self) -> Mix:
        place = {colour: index for index, colour in enumerate(self.colours)}
        read = np.zeros(len(self.colours))
        for colour, p in zip(self.colours, self.balls.probabilities.tolist(), strict=True):
            for name, share in self.confusion.get(colour, {colour: 1.0}).items():
                read[place[name]] += p * share
        return np.asarray(read / read.sum())

    def truth(self, n: int) -> Mix:
        """Return the true proportions."""
        return self.balls.probabilities

    def expected(self, n: int) -> Mix:
        """Return the proportions as they are read, P·C."""
        return self._read

    def tally(
        self, sizes: Sequence[int], trials: int, rng: np.random.Generator
    ) -> Iterator[Counts]:
        """Yield cumulative multinomial increments of what is read."""
        return multinomial_tally(self._read, sizes, trials, rng)

    def cells(self, sizes: Sequence[int], trials: int, rng: np.random.Generator) -> Iterator[Cells]:
        """Yield the same counts, in fewer bytes."""
        tallies = narrow_tally(self._read, sizes, trials, rng)
        return map(Cells, tallies, sizes)

    def count_law(self, n: int) -> Multinomial:
        """Return the binomial law of each count as read."""
        return Multinomial(n, self._read)

    def count_variance(self, n: int) -> Mix:
        """Return n p(1 − p), p as it is read."""
        return n * self._read * (1 - self._read)
