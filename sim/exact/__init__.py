"""Exact mean, sd and chance of infinity of an estimate, its distribution, and its coverage.

Nothing here is drawn.
"""

from __future__ import annotations

from math import isfinite
from typing import TypeGuard

import numpy as np

from sim.contracts.arrays import Reference
from sim.contracts.estimator import Estimator
from sim.divergences import Divergence
from sim.exact.listing import Stated, listed_coverage, listed_distribution
from sim.exact.one_sample import one_sample
from sim.exact.two_samples import two_samples
from sim.exact.values import LEVELS, UNKNOWN, Distribution, Exact
from sim.laws.counts import CountLaw

__all__ = [
    "LEVELS",
    "UNKNOWN",
    "Distribution",
    "Exact",
    "Stated",
    "coverage",
    "distribution",
    "exact",
]

OfQ = Reference | CountLaw
"""What is known of Q: itself, or the law of its counts."""


def exact(
    law: CountLaw | None,
    estimator: Estimator,
    q: OfQ | None,
    target: Divergence,
) -> Exact:
    """Return what is exactly known of an estimate of counts with this law.

    Nothing is known of an estimator that raises on counts which may come.
    """
    if law is None or not _known(q):
        return UNKNOWN
    with np.errstate(all="ignore"):
        try:
            if isinstance(q, CountLaw):
                return two_samples(law, q, estimator, target)
            return one_sample(law, estimator, q, target)
        except Exception:  # anybody's estimator: its failures are rows among the trials
            return UNKNOWN


def distribution(
    law: CountLaw | None, estimator: Estimator, q: OfQ | None, target: Divergence
) -> Distribution | None:
    """Return the exact distribution of an estimate of counts with this law, in nats.

    None beyond two colours, beyond as many outcomes as are listed (docs/measures.md), and where
    an estimate may be undefined or raise.
    """
    if law is None or not _known(q):
        return None
    with np.errstate(all="ignore"):
        try:
            return listed_distribution(law, estimator, q, target)
        except Exception:  # as above
            return None


def coverage(law: CountLaw | None, q: OfQ | None, stated: Stated, truth: float) -> float | None:
    """Return the exact chance that an interval holds the truth (nats).

    None where `distribution` is, for an interval that draws, and where the truth is infinite.
    """
    if law is None or not _known(q) or not isfinite(truth):
        return None
    with np.errstate(all="ignore"):
        try:
            return listed_coverage(law, q, stated, truth)
        except Exception:  # anybody's interval, too
            return None


def _known(q: OfQ | None) -> TypeGuard[OfQ]:
    return q is not None and not (isinstance(q, Reference) and q.probabilities is None)
