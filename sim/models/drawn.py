"""A model that is only known through draws: a second bag."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sim.checks import MOST_DRAWS, WHOLE, Value, either, placed
from sim.compositions import misfit
from sim.contracts.arrays import Mix, Reference
from sim.contracts.bag import AnyBag, Bag
from sim.contracts.model import Model
from sim.laws.counts import CountLaw


class Ratio(Value):
    """So many draws of Q for each draw of P, rounded, at least 1."""

    ratio: float = Field(gt=0, le=1e6)


_DRAWS = either(f"`same`, a whole number from 1 to {MOST_DRAWS}, or {{ratio: r}}", ((dict,), Ratio))


class Drawn(Model):
    """Q is a second bag, and an estimator sees only what was drawn from it: two samples.

    `draws`: as many as from the first bag (`same`), a fixed number, or {ratio: r} times as
    many. A trial keeps its draws of Q from size to size, and adds to them.

    Example:
        kind: drawn
        bag: {kind: with_replacement, balls: {red: 4, blue: 6}}
        draws: same
    """

    kind: Literal["drawn"] = "drawn"
    bag: AnyBag
    draws: Annotated[
        Literal["same"] | Annotated[int, Field(ge=1, le=MOST_DRAWS), WHOLE] | Ratio, _DRAWS
    ] = "same"

    @model_validator(mode="after")
    def _sizes_follow(self) -> Drawn:
        if self.bag.sizes is not None:
            placed([(("bag", "sizes"), "the second bag is drawn as `draws` says")], self.kind)
        return self

    def truth(self, bag: Bag, size: int) -> Mix:
        """Return the second bag's truth in the order of the first bag's colours."""
        return np.asarray(self.bag.truth(self._number(size))[self._order(bag)])

    def misfit(self, bag: Bag, size: int) -> str | None:
        """Name a colour that only one of the two has, or a draw beyond the second bag's last."""
        limit, most = self.bag.limit, self._number(size)
        if most > MOST_DRAWS:
            return f"expected at most {MOST_DRAWS} draws of Q; got {most}"
        if limit is not None and most > limit:
            return f"{most} draws of Q are beyond its bag's limit of {limit}"
        return misfit(self.bag.colours, bag.colours)

    def drawn(self, size: int) -> int:
        """Return how many draws of Q stand against `size` of the bag."""
        return self._number(size)

    def reveal(
        self, bag: Bag, sizes: Sequence[int], trials: int, rng: np.random.Generator
    ) -> Iterator[Reference]:
        """Yield the counts of the second bag that stand beside each size."""
        numbers, order = [self._number(size) for size in sizes], self._order(bag)
        tallies = self.bag.tally(sorted(set(numbers)), trials, rng)
        before, reference = 0, None
        for number in numbers:
            if reference is None or number > before:
                reference = Reference.counted(next(tallies)[:, order])
            before = number
            yield reference

    def count_law(self, bag: Bag, size: int) -> CountLaw | None:
        """Return the exact law of the counts of Q."""
        law = self.bag.count_law(self._number(size))
        return None if law is None else law.picked(self._order(bag))

    def _number(self, size: int) -> int:
        if isinstance(self.draws, Ratio):
            return max(1, round(self.draws.ratio * size))
        return size if self.draws == "same" else self.draws

    def _order(self, bag: Bag) -> NDArray[np.int64]:
        place = {colour: index for index, colour in enumerate(self.bag.colours)}
        return np.array([place[colour] for colour in bag.colours])
