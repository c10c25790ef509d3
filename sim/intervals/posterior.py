"""Where the target lies, for one who believed in a Dirichlet prior."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from sim.contracts.arrays import Counts, Mix, Values
from sim.contracts.interval import Estimates, Sample
from sim.contracts.replicates import ReplicateInterval, Streams, Trials


class Posterior(ReplicateInterval):
    """Equal-tailed credible interval under a symmetric Dirichlet prior, by `draws` of p.

    Dirichlet(c + amount), and Dirichlet(d + amount) of Q where it is only counted (Wolpert &
    Wolf 1995). Of the target itself, whatever the estimator; its error is the posterior
    standard deviation. Good where n ≫ K·amount, or where the truth is like the prior; draws a
    rare tail towards the uniform distribution otherwise. Infinite where Q holds a colour
    impossible that the prior does not. At P = Q it never reaches 0. An amount below 0.05 would
    let draws of p fall to 0. Slow: as many divergences for each trial as there are draws.

    Example:
        kind: posterior
        amount: 0.5
        draws: 999
    """

    kind: Literal["posterior"] = "posterior"
    amount: float = Field(default=0.5, ge=0.05, le=1e9)
    draws: int = Field(default=999, ge=99, le=99_999)

    @property
    def number(self) -> int:
        """How many draws of p there are for each trial."""
        return self.draws

    def replicates(
        self, estimator: Estimates, sample: Sample, of: Trials, streams: Streams
    ) -> Values:
        """Return the target of distributions drawn from the posterior."""
        p = self._drawn_mix(sample.counts, of, streams[0])
        if sample.reference.counts is None:
            return sample.target(p, sample.reference.q)
        return sample.target(p, self._drawn_mix(sample.reference.d, of, streams[1]))

    def _drawn_mix(self, counts: Counts, of: Trials, rng: np.random.Generator) -> Mix:
        gammas = rng.standard_gamma(counts[of] + self.amount)
        return np.asarray(gammas / gammas.sum(axis=1, keepdims=True))
