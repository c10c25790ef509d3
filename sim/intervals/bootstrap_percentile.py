"""The quantiles of the estimates of counts that are drawn anew."""

from __future__ import annotations

from typing import Literal

from sim.contracts.replicates import BootstrapInterval


class BootstrapPercentile(BootstrapInterval):
    """Quantiles of the estimates of `resamples` counts drawn anew from p̂ (Efron 1979).

    The percentile interval (Efron & Tibshirani 1993): it takes the bias of the estimator for
    part of the truth, twice over, and so lies too high for a counted KL with n not far above
    K. Good for an estimator with little bias and n ≫ K. Infinite estimates take part. Slow:
    as many estimates for each trial as there are resamples.

    Example:
        kind: bootstrap_percentile
        resamples: 999
    """

    kind: Literal["bootstrap_percentile"] = "bootstrap_percentile"
