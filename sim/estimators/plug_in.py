"""The divergence of what was learned: counting, put into the formula."""

from __future__ import annotations

from typing import Literal, cast

from pydantic import Field

from sim.asymptotics import PowerLaw, Quantity, counted_kl
from sim.contracts.arrays import Counts, Mix, Reference, Sizes, Terms, Values
from sim.contracts.estimator import Estimator
from sim.contracts.learner import LEARNERS, AnyLearner, Learner
from sim.divergences import KL, Divergence


def _counting() -> Learner:
    return cast(Learner, LEARNERS.build({"kind": "relative_frequency"}))


class PlugIn(Estimator):
    """D(learned‖Q): what a `learner` makes of the counts, put into the formula of the target.

    With relative frequencies (the default) it is the counted KL, Σ p̂ ln(p̂/q); its bias is
    (K−1)/(2n) + O(1/n²), whatever Q (Miller 1955). Good for n ≫ K, far too high for n ≲ K;
    infinite where a colour was drawn that Q holds impossible.

    Example:
        kind: plug_in
        learner: {kind: relative_frequency}
    """

    kind: Literal["plug_in"] = "plug_in"
    learner: AnyLearner = Field(default_factory=_counting)

    def terms(
        self, counts: Counts, size: Sizes | int, reference: Reference, target: Divergence
    ) -> Terms | None:
        """Return the target's term of the learned probability against Q's."""
        learned = self.learner.share(counts, size, reference.colours)
        if learned is None or target.finish is not None:
            return None
        return target.terms(learned, reference.q)

    def estimate(self, counts: Counts, reference: Reference, target: Divergence) -> Values:
        """Return D(learned‖Q) for each row of counts."""
        return target(self.learner.fit(counts), reference.q)

    def theory(self, quantity: Quantity, p: Mix, q: Mix, target: Divergence) -> PowerLaw | None:
        """Return the delta-method law of a counted KL."""
        drift = self.learner.drift(p)
        if target is not KL or drift is None:
            return None
        return counted_kl(quantity, p, q, drift)
