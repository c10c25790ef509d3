"""An estimator: counts and what is known of Q go in, one number for each trial comes out."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from sim.asymptotics import PowerLaw, Quantity, counted_kl
from sim.cells import Cells, sums_alike
from sim.checks import Label
from sim.contracts.arrays import Colours, Counts, Mix, Reference, Sizes, Terms, Values
from sim.contracts.component import Component, Family
from sim.contracts.interval import AnyInterval
from sim.contracts.learner import AnyLearner
from sim.divergences import Divergence
from sim.lookups import pieces

Estimate = Callable[[Any, Counts, Reference, Divergence], Values]


def in_pieces(estimate: Estimate) -> Estimate:
    """Make an `estimate` work on a few rows at a time, whose arrays stay in the cache."""

    @wraps(estimate)
    def whole(self: Any, counts: Counts, reference: Reference, target: Divergence) -> Values:
        parts = [
            estimate(self, counts[rows], reference.rows(rows), target)
            for rows in pieces(counts.shape)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    return whole


class Estimator(Component, ABC):
    """What every estimator gives: an estimate of a target for each row of counts.

    An additive one, a sum over colours of a number that follows from that colour's count
    alone, gives `terms`; estimate, exact mean and exact sd follow from it. Any other gives
    `estimate`. `serves` names the targets that it can estimate, None for all.
    `targets:`, `models:`, `bags:` list what an experiment holds it against, all by default.
    `interval:` is how it says how far off it may be.
    """

    interval: AnyInterval | None = None
    targets: tuple[Label, ...] | None = None
    models: tuple[Label, ...] | None = None
    bags: tuple[Label, ...] | None = None

    serves: ClassVar[frozenset[str] | None] = None
    one_sample: ClassVar[bool] = True
    """Whether it reads a known Q."""
    two_samples: ClassVar[bool] = True
    """Whether it reads a Q that is only known through counts."""
    assumes: ClassVar[str] = ""
    """In a few words, when to believe it."""

    def assumption(self) -> str:
        """Return in a few words when to believe it."""
        return self.assumes

    @property
    def slow(self) -> bool:
        """Whether an estimate takes a millisecond rather than a microsecond."""
        return False

    def reads(self, counted: bool) -> bool:
        """Return whether it reads Q in this form: through counts, or known."""
        return self.two_samples if counted else self.one_sample

    def misfit(self, colours: int) -> str | None:
        """Say why it cannot be had for so many colours; None where it can."""
        return None

    def terms(
        self, counts: Counts, size: Sizes | int, reference: Reference, target: Divergence
    ) -> Terms | None:
        """Return one number for each count, whose sum is the estimate; None if not additive.

        Elementwise: the number follows from that count, `size`, what is known of Q's
        probability of that colour, and `reference.colours`, never from the array's shape. Nats.
        """
        return None

    def separable(self, target: Divergence) -> bool:
        """Return whether terms from two samples are a(c) + b(d) + s(c) h(d) for c, d > 0."""
        return False

    def estimate(self, counts: Counts, reference: Reference, target: Divergence) -> Values:
        """Return the estimates, shape (trials,), of counts, shape (trials, K); nats.

        inf is infinite, NaN undefined; an exception is a failure.
        """
        if not self._adds(reference, target):
            return self._row_by_row(counts, reference, target)
        cells = Cells.of(counts)
        if cells is None:
            return self._differing(counts, reference, target)
        return self._summed(cells, reference, target)

    def summed(self, cells: Cells, reference: Reference, target: Divergence) -> Values | None:
        """Return the same by what was found of these counts before; None where it is no help.

        It is one where the estimator is additive and Q known. Nobody may write to it.
        """
        return self.added(cells, reference, target) if self._adds(reference, target) else None

    def added(self, cells: Cells, reference: Reference, target: Divergence) -> Values:
        """Return the sums over colours of an additive estimator, Q known, worked out once."""
        name = (self, target.name, reference.q.tobytes())
        return self._summed(cells, reference, target, name)

    def _adds(self, reference: Reference, target: Divergence) -> bool:
        if reference.counts is not None:
            return False
        none = np.zeros(0, dtype=np.int64)
        return self.terms(none, 1, reference.gather(none), target) is not None

    def _summed(
        self, cells: Cells, reference: Reference, target: Divergence, name: object = None
    ) -> Values:
        def term(counts: Counts, colour: Colours) -> Any:
            return self.terms(counts, cells.size, reference.gather(colour), target)

        return cells.sums(term, name)

    @in_pieces
    def _differing(self, counts: Counts, reference: Reference, target: Divergence) -> Values:
        size = counts.sum(axis=-1, keepdims=True)

        def terms(counts: Counts) -> Any:
            return self.terms(counts, size, reference, target)

        return sums_alike(terms(counts), counts, size, lambda: terms(np.zeros_like(counts)))

    @in_pieces
    def _row_by_row(self, counts: Counts, reference: Reference, target: Divergence) -> Values:
        size = counts.sum(axis=-1, keepdims=True)
        terms = self.terms(counts, size, reference, target)
        if terms is None:
            raise NotImplementedError(f"{self.kind} gives neither terms nor estimate")
        return np.asarray(terms.sum(axis=-1))

    def theory(self, quantity: Quantity, p: Mix, q: Mix, target: Divergence) -> PowerLaw | None:
        """Return the leading term for large n of an error under independent draws, if known.

        Q is known; p and q have shape (K,).
        """
        return None


ESTIMATORS = Family("estimators", "estimator")
AnyEstimator = Annotated[Estimator, ESTIMATORS]


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
    def _row_by_row(self, counts: Counts, reference: Reference, target: Divergence) -> Values:
        return target(reference.q, self.learner.fit(counts))

    def theory(self, quantity: Quantity, p: Mix, q: Mix, target: Divergence) -> PowerLaw | None:
        """Return the χ² law of 2n KL(p‖p̃), the same as that of 2n KL(p̃‖p)."""
        drift = self.learner.drift(p)
        return None if drift is None else counted_kl(quantity, p, p, drift)
