"""A model: the distribution Q that a bag is compared with, and what may be known of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np

from sim.checks import Label
from sim.contracts.arrays import Mix, Reference
from sim.contracts.bag import Bag
from sim.contracts.component import Component, Family
from sim.laws.counts import CountLaw


class Model(Component, ABC):
    """What every model gives: the true Q beside a bag, and what an estimator sees of it.

    `bags:` lists the bags that the model meets, all where it is not given.
    """

    bags: tuple[Label, ...] | None = None

    @abstractmethod
    def truth(self, bag: Bag, size: int) -> Mix:
        """Return the true Q beside `size` draws of the bag, in its colours' order; (K,)."""

    def misfit(self, bag: Bag, size: int) -> str | None:
        """Say in what the model does not fit a bag of which `size` balls are drawn at most."""
        return None

    def drawn(self, size: int) -> int | None:
        """Return how many draws of Q stand against `size` of the bag; None where Q is known."""
        return None

    def reveal(
        self, bag: Bag, sizes: Sequence[int], trials: int, rng: np.random.Generator
    ) -> Iterator[Reference]:
        """Yield what an estimator may know of Q beside each of the ascending sizes.

        By default, Q. Counts of Q are cumulative, like those of a bag; they may be changed by
        the next step.
        """
        for size in sizes:
            yield Reference.known(self.truth(bag, size))

    def count_law(self, bag: Bag, size: int) -> CountLaw | None:
        """Return the exact law of the counts of Q, in the bag's order; None where not known."""
        return None


MODELS = Family("models", "model")
AnyModel = Annotated[Model, MODELS]
