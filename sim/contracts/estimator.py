"""An estimator: counts and what is known of Q go in, one number for each trial comes out."""

from __future__ import annotations

from abc import ABC
from typing import Annotated, ClassVar

import numpy as np

from sim.asymptotics import PowerLaw, Quantity
from sim.checks import Label
from sim.contracts.arrays import Counts, Mix, Reference, Sizes, Terms, Values
from sim.contracts.component import Component, Family
from sim.divergences import Divergence


class Estimator(Component, ABC):
    """What every estimator gives: an estimate of a target for each row of counts.

    An additive one, a sum over colours of a number that follows from that colour's count
    alone, gives `terms`; estimate, exact mean and exact sd follow from it. Any other gives
    `estimate`. `serves` names the targets that it can estimate, None for all.
    `targets:`, `models:`, `bags:` list what an experiment holds it against, all by default.
    """

    targets: tuple[Label, ...] | None = None
    models: tuple[Label, ...] | None = None
    bags: tuple[Label, ...] | None = None

    serves: ClassVar[frozenset[str] | None] = None

    def terms(
        self, counts: Counts, size: Sizes | int, reference: Reference, target: Divergence
    ) -> Terms | None:
        """Return one number for each count, whose sum is the estimate; None if not additive.

        Elementwise: the number follows from that count, `size`, Q's probability of that
        colour and `reference.colours`, never from the array's shape. Nats.
        """
        return None

    def estimate(self, counts: Counts, reference: Reference, target: Divergence) -> Values:
        """Return the estimates, shape (trials,), of counts, shape (trials, K); nats.

        inf is infinite, NaN undefined; an exception is a failure.
        """
        size = counts.sum(axis=-1, keepdims=True)
        terms = self.terms(counts, size, reference, target)
        if terms is None:
            raise NotImplementedError(f"{self.kind} gives neither terms nor estimate")
        return np.asarray(terms.sum(axis=-1))

    def theory(self, quantity: Quantity, p: Mix, q: Mix, target: Divergence) -> PowerLaw | None:
        """Return the leading term for large n of an error under independent draws, if known."""
        return None


ESTIMATORS = Family("estimators", "estimator")
AnyEstimator = Annotated[Estimator, ESTIMATORS]
