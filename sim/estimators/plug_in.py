"""The divergence of what was learned: counting, put into the formula."""

from __future__ import annotations

from typing import Any, Literal, cast

import numpy as np
from pydantic import Field

from sim.asymptotics import PowerLaw, Quantity, counted_kl
from sim.contracts.arrays import Counts, Mix, Reference, Sizes, Terms, Values
from sim.contracts.estimator import Estimator, in_pieces
from sim.contracts.learner import LEARNERS, AnyLearner, Learner
from sim.divergences import Divergence


def _counting() -> Learner:
    return cast(Learner, LEARNERS.build({"kind": "relative_frequency"}))


class PlugIn(Estimator):
    """D(learned‖Q): what a `learner` makes of the counts, put into the formula of the target.

    With relative frequencies (the default) it is the counted KL, Σ p̂ ln(p̂/q); its bias is
    (K−1)/(2n) + O(1/n²), whatever Q (Miller 1955). From two samples the learner makes Q of its
    counts too, and the bias is (K−1)/(2n) + (Σ p/q − 1)/(2m), given that it is finite.
    Good for n ≫ K, far too high for n ≲ K; infinite where a colour was drawn that Q holds, or
    its counts show, impossible.

    Example:
        kind: plug_in
        learner: {kind: relative_frequency}
    """

    kind: Literal["plug_in"] = "plug_in"
    learner: AnyLearner = Field(default_factory=_counting)

    @classmethod
    def customary(cls) -> tuple[dict[str, Any], ...]:
        """Return every learner as it is customarily used."""
        learners = ((kind, LEARNERS.member(kind).customary()) for kind in LEARNERS.kinds())
        return tuple(
            {"learner": {"kind": kind, **keys}} for kind, each in learners for keys in each
        )

    def assumption(self) -> str:
        """Return what its learner assumes."""
        return self.learner.assumes

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
        """Return the target's term of the learned probability against Q's."""
        p = self.learner.share(counts, size, reference.colours)
        if p is None or target.finish is not None:
            return None
        if reference.counts is None:
            return target.terms(p, reference.q)
        q = self.learner.share(reference.counts, reference.size, reference.colours)
        return target.terms(p, np.asarray(q))

    def separable(self, target: Divergence) -> bool:
        """Return whether the target's terms are."""
        return target.separable

    @in_pieces
    def _row_by_row(self, counts: Counts, reference: Reference, target: Divergence) -> Values:
        p = self.learner.fit(counts)
        if reference.counts is None:
            return target(p, reference.q)
        return target(p, self.learner.fit(reference.counts))

    def theory(self, quantity: Quantity, p: Mix, q: Mix, target: Divergence) -> PowerLaw | None:
        """Return the delta-method law of a counted KL."""
        drift = self.learner.drift(p)
        if target.name != "kl" or drift is None:
            return None
        return counted_kl(quantity, p, q, drift)
