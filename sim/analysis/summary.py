"""Performance measures of each cell, each with its Monte Carlo standard error.

Formulas as in Morris, White & Crowther 2019 and, for the sd, in its robust form; see
docs/measures.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite, nan, sqrt
from typing import Any

import numpy as np

from sim.analysis.moments import Moments
from sim.analysis.quantiles import LEVELS, Quantiles
from sim.analysis.series import Key, Series
from sim.exact import Exact


@dataclass
class Tally:
    """What a summary needs to know of one cell, gathered batch by batch."""

    truth: float
    estimates: Moments = field(default_factory=Moments)
    squares: Moments = field(default_factory=Moments)
    sizes_of_error: Moments = field(default_factory=Moments)
    quantiles: Quantiles = field(default_factory=Quantiles)
    trials: int = 0
    infinite: int = 0
    failed: int = 0
    undefined: int = 0

    def add(self, one: Series) -> None:
        """Take a batch in the first pass."""
        values = one.estimate
        known = values[~np.isnan(values)]
        finite = known[np.isfinite(known)]
        self.trials += len(values)
        self.infinite += len(known) - len(finite)
        self.failed += one.failed
        self.undefined += len(values) - len(known) - one.failed
        self.estimates.add(finite)
        if isfinite(self.truth):
            errors = finite - self.truth
            self.squares.add(errors * errors)
            self.sizes_of_error.add(np.abs(errors))
        self.quantiles.add(known)


def proportion_mcse(successes: int, trials: int) -> float:
    """Return √(p(1−p)/R); at 0 and 1, where that is 0, the form of Agresti & Coull 1998."""
    if trials == 0:
        return nan
    if 0 < successes < trials:
        p = successes / trials
        return sqrt(p * (1 - p) / trials)
    p = (successes + 2) / (trials + 4)
    return sqrt(p * (1 - p) / (trials + 4))


def row(key: Key, tally: Tally, known: Exact, unit: float) -> dict[str, Any]:
    """Return one row of the summary; NaN where a measure does not apply.

    `known` is in nats; `unit` is the worth of one unit in nats.
    """
    t, squares = tally.estimates, tally.squares
    error_known = squares.number > 0
    rmse = sqrt(squares.mean) if error_known else nan
    answered = tally.trials - tally.undefined - tally.failed
    exact = {
        "exact_mean": _in_unit(known.mean, unit),
        "exact_sd": _in_unit(known.sd, unit),
        "exact_p_infinite": nan if known.p_infinite is None else known.p_infinite,
    }
    return {
        **key.line._asdict(),
        "size": key.size,
        "trials": tally.trials,
        "infinite": tally.infinite,
        "undefined": tally.undefined,
        "failed": tally.failed,
        "p_infinite": tally.infinite / answered if answered else nan,
        "p_infinite_mcse": proportion_mcse(tally.infinite, answered),
        "truth": tally.truth,
        "mean": t.mean if t.number else nan,
        "bias": t.mean - tally.truth if error_known else nan,
        "bias_mcse": t.mean_mcse if error_known else nan,
        "sd": t.sd,
        "sd_mcse": t.sd_mcse,
        "rmse": rmse,
        "rmse_mcse": squares.mean_mcse / (2 * rmse) if rmse > 0 else nan,
        "mae": tally.sizes_of_error.mean if error_known else nan,
        "mae_mcse": tally.sizes_of_error.mean_mcse,
        **_quantiles(tally),
        **exact,
        "z": _z(t, exact["exact_mean"], exact["exact_sd"]),
    }


def _in_unit(value: float | None, unit: float) -> float:
    return nan if value is None else value / unit


def _quantiles(tally: Tally) -> dict[str, float]:
    names = ("q05", "q25", "median", "q75", "q95")
    return dict(zip(names, tally.quantiles.values or [nan] * len(LEVELS), strict=True))


def _z(t: Moments, mean: float, sd: float) -> float:
    """Return how many Monte Carlo errors the mean lies from the exact one.

    The error comes from the exact sd where it is known: that of the trials may be far off
    where a rare value carries the variance. None where the spread is rounding error.
    """
    error = sd / sqrt(t.number) if t.number and sd == sd else t.mean_mcse
    if not error > 4e-16 * max(abs(mean), abs(t.mean)):
        return nan
    return (t.mean - mean) / error
