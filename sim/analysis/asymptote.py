"""Where theory takes over: values by size and theory's law go in; from which size on they agree."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp, isfinite

import numpy as np
from numpy.typing import NDArray

from sim.analysis.curves import Curve, curve, likeness
from sim.analysis.fits import SEEN, Fit
from sim.asymptotics import PowerLaw
from sim.special import ndtri

Floats = NDArray[np.float64]

NEAR = 0.1
"""Within so much of theory's law a quantity goes as theory says."""

TOLD = NEAR / 3
"""The most that a relative error may be for a size to tell."""


@dataclass(frozen=True)
class Onset:
    """The size from which on a quantity is near theory's law, and an interval.

    None is what is not told; where the size is, an end that is open: a lower one at the smallest
    size, before which nobody looked.
    """

    asymptotic_from: int | None = None
    asymptotic_from_low: int | None = None
    asymptotic_from_high: int | None = None


def departs(fit: Fit | str, law: PowerLaw | None) -> bool | None:
    """Return whether a fitted rate is more than SEEN errors from theory's; None: not told."""
    if law is None or isinstance(fit, str) or not isfinite(fit.rate_se):
        return None
    return abs(fit.rate - law.rate) > SEEN * fit.rate_se


def onset(
    sizes: Floats, values: Floats, replicates: Floats, law: PowerLaw | None, level: float
) -> Onset:
    """Return from which size on a quantity stays near a law, with an interval at `level`.

    Sizes tell up to the first at which its error is too large; at the last of them it must be
    near, and where it may not be, the upper end is open. From there on theory says so.
    """
    if law is None:
        return Onset()
    theory = law.constant * sizes**law.rate
    ratios, spread = values / theory, replicates / theory
    errors = spread.std(axis=0, ddof=1)
    told = slice(int(np.logical_and.accumulate(np.isfinite(ratios) & (errors <= TOLD)).sum()))
    if told.stop == 0:
        return Onset()
    x, side = np.log(sizes[told]), float(ndtri((1 + level) / 2)) * errors[told]
    straight = curve(x, ratios[told], side, side, likeness(spread[:, told]))
    away, ends = np.abs(straight.middle - 1), straight.upper - straight.middle
    places = Curve(straight.x, away, away - ends, away + ends).last_above(NEAR)
    if places[1] == np.inf:
        return Onset()
    least = int(sizes[0])
    low, middle, high = (
        None if place == np.inf else max(least, ceil(exp(place) - 1e-9)) for place in places
    )
    return Onset(middle, None if low == least else low, high)
