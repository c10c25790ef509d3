"""A learner: counts go in, the distribution that it believes in comes out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Literal

from sim.asymptotics import PowerLaw, Quantity, counted_kl
from sim.contracts.arrays import Counts, Mix, Reference, Sizes, Terms, Values
from sim.contracts.component import Component, Family
from sim.contracts.estimator import Estimator, in_pieces
from sim.divergences import Divergence


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


class Loss(Estimator):
    """The divergence from the truth to what a learner learned: the target `kl_loss`.

    Its reference is the truth. It stands on no shelf: `learners:` in an experiment makes it.
    """

    kind: Literal["loss"] = "loss"
    learner: AnyLearner
    two_samples: ClassVar[bool] = False

    @property
    def slow(self) -> bool:
        """Whether its learner is."""
        return self.learner.slow

    def misfit(self, colours: int) -> str | None:
        """Say why its learner cannot learn so many colours."""
        return self.learner.misfit(colours)

    def terms(
        self, counts: Counts, size: Sizes | int, reference: Reference, target: Divergence
    ) -> Terms | None:
        """Return p ln(p/p̃) for each colour."""
        learned = self.learner.share(counts, size, reference.colours)
        return None if learned is None else target.terms(reference.q, learned)

    @in_pieces
    def estimate(self, counts: Counts, reference: Reference, target: Divergence) -> Values:
        """Return D(P‖learned) for each row of counts."""
        return target(reference.q, self.learner.fit(counts))

    def theory(self, quantity: Quantity, p: Mix, q: Mix, target: Divergence) -> PowerLaw | None:
        """Return the χ² law of 2n KL(p‖p̃), the same as that of 2n KL(p̃‖p)."""
        drift = self.learner.drift(p)
        return None if drift is None else counted_kl(quantity, p, p, drift)
