"""A model: the distribution Q that a bag is compared with, and what may be known of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated

import numpy as np

from sim.checks import Label
from sim.contracts.arrays import Mix, Reference
from sim.contracts.bag import Bag
from sim.contracts.component import Component, Family


class Model(Component, ABC):
    """What every model gives: the true Q beside a bag, and what an estimator sees of it.

    `bags:` lists the bags that the model meets, all where it is not given.
    """

    bags: tuple[Label, ...] | None = None

    @abstractmethod
    def truth(self, bag: Bag, size: int) -> Mix:
        """Return the true Q beside `size` draws of the bag, in its colours' order; (K,)."""

    def misfit(self, bag: Bag) -> str | None:
        """Say in what the model does not fit the bag's colours; None where it fits."""
        return None

    def draws(self, size: int) -> int | None:
        """Return how many draws of Q stand against `size` of the bag; None where Q is known."""
        return None

    def reveal(self, bag: Bag, size: int, trials: int, rng: np.random.Generator) -> Reference:
        """Return what an estimator may know of Q: by default, Q."""
        return Reference.known(self.truth(bag, size))


MODELS = Family("models", "model")
AnyModel = Annotated[Model, MODELS]
