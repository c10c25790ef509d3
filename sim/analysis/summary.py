"""Performance measures of each cell, each with its Monte Carlo standard error.

Formulas as in Morris, White & Crowther 2019 and, for the sd, in its robust form; see
docs/measures.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite, nan, sqrt
from typing import Any

import numpy as np

from sim.analysis.answers import Answers
from sim.analysis.moments import Moments
from sim.analysis.series import Key, Series
from sim.contracts.interval import covers
from sim.exact.values import Exact, is_within
from sim.experiment import Tolerance

CARRIED = 0.5
"""A relative error of a mean square beyond that rests on the few largest trials: not told."""

_QUANTILES = ("q05", "q25", "median", "q75", "q95")


@dataclass
class Tally:
    """What a summary needs to know of one cell, gathered batch by batch.

    A `bounded` one has an interval.
    """

    truth: float
    level: float = 0.95
    bounded: bool = False
    tolerance: Tolerance = field(default_factory=Tolerance)
    estimates: Moments = field(default_factory=Moments)
    squares: Moments = field(default_factory=Moments)
    sizes_of_error: Moments = field(default_factory=Moments)
    answers: Answers = field(init=False)
    widths: Moments = field(default_factory=Moments)
    covered: int = 0
    within: int = 0
    trials: int = 0
    infinite: int = 0
    failed: int = 0
    undefined: int = 0

    def __post_init__(self) -> None:
        self.answers = Answers(self.truth, self.level, self.tolerance.confidence)

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
            within = is_within(errors, self.truth, self.tolerance.error)
            self.within += int(np.count_nonzero(within))
        self.answers.add(known)
        if self.bounded and one.bounds is not None:
            lower, upper = one.bounds
            self.covered += int(np.count_nonzero(covers(lower, upper, self.truth)))
            with np.errstate(invalid="ignore"):
                widths = upper - lower
            self.widths.add(widths[np.isfinite(widths)])

    def merge(self, other: Tally) -> None:
        """Take what was gathered of further trials."""
        self.estimates.merge(other.estimates)
        self.squares.merge(other.squares)
        self.sizes_of_error.merge(other.sizes_of_error)
        self.answers.merge(other.answers)
        self.widths.merge(other.widths)
        self.covered += other.covered
        self.within += other.within
        self.trials += other.trials
        self.infinite += other.infinite
        self.failed += other.failed
        self.undefined += other.undefined


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
        "exact_coverage": nan if known.coverage is None else known.coverage,
        **_exact_quantiles(known, unit),
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
        "sd_mcse": _carried(t.sd_mcse, t.sd),
        "rmse": rmse,
        "rmse_mcse": _carried(squares.mean_mcse / (2 * rmse), rmse) if rmse > 0 else nan,
        "mae": tally.sizes_of_error.mean if error_known else nan,
        "mae_mcse": tally.sizes_of_error.mean_mcse,
        **_quantiles(tally),
        **_coverage(tally),
        **_tolerance(tally, known, unit),
        **exact,
        "z": _z(t, exact["exact_mean"], exact["exact_sd"]),
    }


def _carried(error: float, root: float) -> float:
    """Return the error of a root; NaN where the square's relative error exceeds CARRIED."""
    return nan if 2 * error > CARRIED * root else error


def _in_unit(value: float | None, unit: float) -> float:
    return nan if value is None else value / unit


def _exact_quantiles(known: Exact, unit: float) -> dict[str, float]:
    values = known.quantiles or [nan] * len(_QUANTILES)
    named = zip(_QUANTILES, values, strict=True)
    return {f"exact_{name}": value / unit for name, value in named}


def _quantiles(tally: Tally) -> dict[str, float]:
    """Return the quantiles and both ends of the interval of each."""
    named = dict(zip(_QUANTILES, tally.answers.estimates.values, strict=False))
    for name, (low, high) in zip(_QUANTILES, tally.answers.estimates.intervals, strict=False):
        named |= {f"{name}_low": low, f"{name}_high": high}
    return named


def _coverage(tally: Tally) -> dict[str, float]:
    """Return the share of all trials whose interval holds the truth, and its mean width."""
    judged = tally.bounded and isfinite(tally.truth) and tally.trials > 0
    widths = tally.widths
    return {
        "coverage": tally.covered / tally.trials if judged else nan,
        "coverage_mcse": proportion_mcse(tally.covered, tally.trials) if judged else nan,
        "width": widths.mean if widths.number else nan,
        "width_mcse": widths.mean_mcse,
    }


def _tolerance(tally: Tally, known: Exact, unit: float) -> dict[str, float]:
    """Return how often the error is small enough, and how large it is at the confidence asked."""
    judged = isfinite(tally.truth) and tally.trials > 0
    errors = tally.answers.errors
    (quantile,) = errors.values or [nan]
    ((low, high),) = errors.intervals or [(nan, nan)]
    exact = nan
    if judged and known.whole is not None:
        exact = known.whole.within(tally.truth * unit, tally.tolerance.error * unit)
    return {
        "p_within": tally.within / tally.trials if judged else nan,
        "p_within_mcse": proportion_mcse(tally.within, tally.trials) if judged else nan,
        "exact_p_within": exact,
        "error_quantile": quantile,
        "error_quantile_low": low,
        "error_quantile_high": high,
    }


def _z(t: Moments, mean: float, sd: float) -> float:
    """Return how many Monte Carlo errors the mean lies from the exact one.

    The error comes from the exact sd where it is known: that of the trials may be far off
    where a rare value carries the variance. None where the spread is rounding error.
    """
    error = sd / sqrt(t.number) if t.number and sd == sd else t.mean_mcse
    if not error > 4e-16 * max(abs(mean), abs(t.mean)):
        return nan
    return (t.mean - mean) / error
