"""The bag whose balls go back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import numpy as np

from sim.cells import Cells
from sim.compositions import Balls
from sim.contracts.arrays import Counts, Mix
from sim.contracts.bag import Bag
from sim.laws.counts import Multinomial
from sim.multinomial import multinomial_tally, narrow_tally


class WithReplacement(Bag):
    """Each ball goes back before the next is drawn: independent draws, multinomial counts.

    Counts between two sizes are one multinomial increment. Exact law: binomial counts.

    Example:
        kind: with_replacement
        balls: {red: 10, blue: 15}
    """

    kind: Literal["with_replacement"] = "with_replacement"
    balls: Balls
    independent: ClassVar[bool] = True

    @property
    def colours(self) -> tuple[str, ...]:
        """The names of the balls' colours."""
        return self.balls.colours

    def truth(self, n: int) -> Mix:
        """Return the balls' proportions."""
        return self.balls.probabilities

    def tally(
        self, sizes: Sequence[int], trials: int, rng: np.random.Generator
    ) -> Iterator[Counts]:
        """Yield cumulative multinomial increments."""
        return multinomial_tally(self.balls.probabilities, sizes, trials, rng)

    def cells(self, sizes: Sequence[int], trials: int, rng: np.random.Generator) -> Iterator[Cells]:
        """Yield the same counts, in fewer bytes."""
        tallies = narrow_tally(self.balls.probabilities, sizes, trials, rng)
        return map(Cells, tallies, sizes)

    def count_law(self, n: int) -> Multinomial:
        """Return the binomial law of each count."""
        return Multinomial(n, self.balls.probabilities)

    def count_variance(self, n: int) -> Mix:
        """Return n p(1 − p)."""
        p = self.truth(n)
        return n * p * (1 - p)
