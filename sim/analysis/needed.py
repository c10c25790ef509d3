"""How many draws are enough: quantiles of the error by size go in, a size comes out.

It is the smallest size from which on they stay within the tolerance: between sizes by drawing
ln quantile straight against ln n, beyond the largest by the power of n that the rmse falls with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, exp, inf, log, nan, sqrt

import numpy as np
from numpy.typing import NDArray

from sim.analysis.curves import curve, likeness
from sim.analysis.fits import LEAST_SIZES, fit, rates
from sim.analysis.plateau import Remains
from sim.exact.values import reaches
from sim.special import ndtri

Floats = NDArray[np.float64]
Places = tuple[float, float, float]

MOST = 10**15
"""A size beyond is not told."""

TAIL = 10.0
"""What lies beyond the largest size is judged by the sizes down to this share of it."""


@dataclass(frozen=True)
class Need:
    """The size for the tolerance, and an interval; None where it is not told."""

    size_for_error: int | None = None
    size_for_error_low: int | None = None
    size_for_error_high: int | None = None
    extrapolated: bool | None = None
    size_reason: str | None = None

    @classmethod
    def exactly(cls, size: int | None) -> Need | None:
        """Return an exact size: there is no doubt, and nothing is extrapolated."""
        return None if size is None else cls(size, size, size, False)


@dataclass(frozen=True, eq=False)
class Errors:
    """What is known of the error of a line at its sizes, ascending; shapes (S,).

    `quantiles`, (3, S): at the confidence that is asked, and the ends of its interval at
    `level`. `replicates`, (R, S), are of the rmse. On a `lattice` estimates take few values.
    """

    sizes: Floats
    quantiles: Floats
    rmse: Floats
    rmse_mcse: Floats
    replicates: Floats
    level: float
    lattice: bool = False

    def at(self, which: NDArray[np.bool_] | slice) -> Errors:
        """Return the same at some of the sizes."""
        by_size = {name: getattr(self, name)[which] for name in ("sizes", "rmse", "rmse_mcse")}
        wide = {name: getattr(self, name)[:, which] for name in ("quantiles", "replicates")}
        return replace(self, **by_size, **wide)


def needed(errors: Errors, most: float, remains: Remains, end: int | None) -> Need:
    """Return the size from which on the quantile of the error stays at most `most`.

    `remains` is what is left of the error for ever, `end` the last draw that the bag gives.
    """
    errors = errors.at(~np.isnan(errors.quantiles[0]))
    if len(errors.sizes) == 0:
        return Need(
            size_reason="no size has an error: the true value is infinite, or nothing was answered"
        )
    here = _within(errors, most)
    here = _drawn(here, np.log(errors.sizes)) if errors.lattice else here
    least = int(errors.sizes[0])
    if here[1] < inf and here[2] < inf:
        return _told(here, least, is_beyond=False)
    there = _beyond(errors, most, remains, end)
    if isinstance(there, str):
        none = Need(size_reason=there)
        return none if here[1] == inf else _told(here, least, is_beyond=False)
    low, middle, high = (b if a == inf else a for a, b in zip(here, there, strict=True))
    return _told((low, middle, high), least, is_beyond=here[1] == inf)


def settled(quantiles: Floats, exact: Sequence[float], asked: tuple[float, float]) -> Floats:
    """Return quantiles, (3, S), none on the wrong side of the tolerance.

    `exact` are the chances to be within it, NaN where not known; `asked` is how large an error
    may be, and in which share of trials.
    """
    most, confidence = asked
    chances = np.asarray(exact)
    holds = reaches(chances, confidence)
    fails = ~holds & ~np.isnan(chances)
    quantiles = np.where(holds, np.minimum(quantiles, most), quantiles)
    return np.where(fails, np.maximum(quantiles, most * (1 + 1e-9)), quantiles)


def _told(places: Places, least: int, *, is_beyond: bool) -> Need:
    """Return what is told of ln n where low end, quantile and high end are last too large."""
    low, middle, high = places
    if middle > log(MOST):
        return Need(size_reason="beyond 10^15 draws, if the error falls that far at all")
    if middle == -inf:
        most_needed = least if high == -inf else _size(high)
        return Need(least, None, most_needed, False, "holds already at the smallest size")
    return Need(_size(middle), _size(low), _size(high), is_beyond)


def _size(x: float) -> int | None:
    """Return e^x rounded up; None where it is not known, too large, or below all sizes."""
    return ceil(exp(x) - 1e-9) if -inf < x <= log(MOST) else None


def _within(errors: Errors, most: float) -> Places:
    """Return ln n where the ends and the quantile are last too large; inf: at the largest size."""
    with np.errstate(divide="ignore", invalid="ignore"):
        middle, low, high = np.log(errors.quantiles)
        below, above = middle - low, high - middle
        alike = likeness(np.log(errors.replicates))
    # what the shares of two tails have in common; errors that jump are no normal ones: see 0018
    alike = np.ones_like(alike) if errors.lattice else alike * np.abs(alike)
    # infinite less infinite, and the logs of 0 and 0: there is no doubt
    below, above = np.where(middle == low, 0.0, below), np.where(middle == high, 0.0, above)
    line = curve(np.log(errors.sizes), middle, below, above, alike)
    return line.last_above(log(most * (1 + 1e-12)))


def _drawn(places: Places, sizes: Floats) -> Places:
    """Return the places with both ends at sizes that were drawn: between them a lattice jumps."""
    low, middle, high = places
    below, above = sizes[sizes <= low + 1e-9], sizes[sizes >= high - 1e-9]
    low = float(below[-1]) if -inf < low < inf and len(below) else low
    return low, middle, float(above[0]) if -inf < high < inf and len(above) else high


def _beyond(errors: Errors, most: float, remains: Remains, end: int | None) -> Places | str:
    """Return the same beyond the largest size, or why it is not known."""
    last = errors.sizes[-1]
    if end is not None:
        all_of_them = "all that" if last >= end else f"and {end:,} are all that"
        return f"not up to {last:,.0f} draws, {all_of_them} this bag gives"
    if not np.isfinite(errors.quantiles[0, -1]):
        return "too many estimates are infinite at the largest size"
    doubt = _doubt(remains, most)
    if doubt is not None:
        return doubt
    number = max(LEAST_SIZES, int(np.count_nonzero(errors.sizes >= last / TAIL)))
    tail = errors.at(slice(-number, None))
    found = fit(tail.sizes, tail.rmse, tail.rmse_mcse, tail.replicates)
    if isinstance(found, str):
        return f"not up to {last:,.0f} draws, and no fit beyond: {found}"
    wide = float(ndtri((1 + errors.level) / 2))
    if not found.rate + wide * found.rate_se < 0:
        return f"not up to {last:,.0f} draws, and the error is not seen to fall"
    slopes = rates(tail.sizes, tail.rmse, tail.rmse_mcse, tail.replicates)
    alike = float(likeness(np.stack([np.log(tail.replicates[:, -1]), slopes], axis=1))[0])
    middle, low, high = np.log(errors.quantiles[:, -1])
    away, slope = log(most) - middle, wide * found.rate_se
    return (
        log(last) + _steps(away, found.rate, (middle - low, -slope), alike),
        log(last) + away / found.rate,
        log(last) + _steps(away, found.rate, (high - middle, slope), alike),
    )


def _doubt(remains: Remains, most: float) -> str | None:
    """Return why no power law holds for ever; None where nothing is seen to remain."""
    limit = remains.limits["rmse"]
    if limit.told:
        never = "never: " if limit.limit - 3 * limit.limit_se > most else ""
        return f"{never}an error of {limit.limit:.2g} remains however many draws"
    if remains.left > most:
        return f"still falling, as it seems to {remains.left:.2g}: larger sizes would tell"
    return None


def _steps(away: float, rate: float, errors: tuple[float, float], alike: float) -> float:
    """Return t where `away` = rate·t + the error of both (Fieller 1954).

    `errors` are those of the height and of the rate (below 0 for the lower end), `alike` is
    their correlation; the error at t has the square h² + 2·alike·h·r·t + r²·t².
    """
    height, slope = errors
    a = rate**2 - slope**2
    b = away * rate + alike * height * abs(slope)
    root = b * b - a * (away**2 - height**2)
    if not root >= 0:
        return nan
    return (b + sqrt(root)) / a if slope >= 0 else (b - sqrt(root)) / a
