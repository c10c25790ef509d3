"""Exact mean, sd and chance of infinity of an estimate; nothing here is drawn."""

from __future__ import annotations

import numpy as np

from sim.contracts.arrays import Reference
from sim.contracts.estimator import Estimator
from sim.divergences import Divergence
from sim.exact.one_sample import one_sample
from sim.exact.two_samples import two_samples
from sim.exact.values import UNKNOWN, Exact
from sim.laws.counts import CountLaw

__all__ = ["UNKNOWN", "Exact", "exact"]


def exact(
    law: CountLaw | None,
    estimator: Estimator,
    q: Reference | CountLaw | None,
    target: Divergence,
) -> Exact:
    """Return what is exactly known of an estimate of counts with this law.

    `q` is what is known of Q: itself, or the law of its counts. Nothing is known of an
    estimator that raises on counts which may come.
    """
    if law is None or q is None or (isinstance(q, Reference) and q.probabilities is None):
        return UNKNOWN
    with np.errstate(all="ignore"):
        try:
            if isinstance(q, CountLaw):
                return two_samples(law, q, estimator, target)
            return one_sample(law, estimator, q, target)
        except Exception:  # anybody's estimator: its failures are rows among the trials
            return UNKNOWN
