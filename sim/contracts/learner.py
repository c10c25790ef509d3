"""A learner: counts go in, the distribution that it believes in comes out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar

from sim.contracts.arrays import Counts, Mix, Sizes
from sim.contracts.component import Component, Family


class Learner(Component, ABC):
    """What every learner gives: a distribution for each row of counts."""

    assumes: ClassVar[str] = ""
    """In a few words, when to believe it."""

    @property
    def slow(self) -> bool:
        """Whether it takes a row a millisecond rather than a microsecond."""
        return False

    @abstractmethod
    def fit(self, counts: Counts) -> Mix:
        """Return what is learned from each row; (trials, K) to (trials, K)."""

    def misfit(self, colours: int) -> str | None:
        """Say why it cannot learn so many colours; None where it can."""
        return None

    def share(self, counts: Counts, size: Sizes | int, colours: int) -> Mix | None:
        """Return each colour's learned probability from its count alone; None if not so.

        Elementwise; whatever is built on it is additive.
        """
        return None

    def drift(self, p: Mix) -> Mix | None:
        """Return lim n(E learned − p), shape (K,); None where there is no such limit."""
        return None


class ElementwiseLearner(Learner, ABC):
    """A learner that gives `share`: a colour's probability follows from its count alone."""

    @abstractmethod
    def share(self, counts: Counts, size: Sizes | int, colours: int) -> Mix:
        """Return each colour's learned probability, elementwise."""

    def fit(self, counts: Counts) -> Mix:
        """Return what is learned from each row; (trials, K) to (trials, K)."""
        return self.share(counts, counts.sum(axis=-1, keepdims=True), counts.shape[-1])


LEARNERS = Family("learners", "learner")
AnyLearner = Annotated[Learner, LEARNERS]
