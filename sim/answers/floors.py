"""The noise floor: what is counted of a divergence of P from Q when there is none, P = Q."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan, sqrt
from typing import Any

import numpy as np

from sim.answers.chances import (
    chi_square_quantile,
    chi_square_tail,
    order_statistics,
    proportion,
)
from sim.answers.noise import Noise, noise_of
from sim.answers.question import Balls, How
from sim.asked import InputFault, label
from sim.checks import shown
from sim.exact.values import Distribution, Floats

SHARES = (0.5, 0.9, 0.95, 0.99)
"""Of the quantiles of a floor."""

_TIE = 1e-9
"""An estimate that is so near, relatively, to what was observed is the same."""


@dataclass(frozen=True)
class FloorQuantile:
    """So much is counted at most in a share of all cases; an interval where it is by trials.

    `chi_square` is what χ² says for large samples, where it says anything.
    """

    share: float
    value: float
    low: float | None = None
    high: float | None = None
    chi_square: float | None = None


@dataclass(frozen=True)
class Tail:
    """P(estimate ≥ observed | P = Q), with an interval where it is by trials."""

    observed: float
    p: float
    low: float | None = None
    high: float | None = None
    chi_square: float | None = None


@dataclass(frozen=True)
class Floor:
    """What an estimator makes of draws when nothing differs, in `unit`.

    `exact` says whether it is worked out of every outcome, or by `trials`. The mean is over
    finite estimates, quantiles and the tail are over all that are defined.
    """

    colours: int
    size: int
    model_size: int | None
    estimator: str
    target: str
    unit: str
    exact: bool
    trials: int | None
    seed: int | None
    mean: float | None
    mean_mcse: float | None
    p_infinite: float
    p_undefined: float
    quantiles: tuple[FloorQuantile, ...]
    tail: Tail | None


def noise_floor(
    balls: Balls,
    size: int,
    observed: float | None = None,
    two_sample: int | None = None,
    without_replacement: bool = False,
    **how: Any,
) -> Floor:
    """Return the noise floor: what is estimated of D(P‖Q) from `size` draws when P = Q.

    Q is known, or of it too are only `two_sample` draws. `observed` asks for the chance of as
    much or more. `how` may hold `estimator`, `target`, `unit`, `trials`, `seed`, `level`, and
    the estimator's own parameters. Exact where the outcomes can be listed, by trials
    elsewhere. Raises ValueError, which says what was expected.

    >>> noise_floor([10, 15], 200, observed=0.03)
    """
    asked = How.of(how)
    noise = noise_of(balls, size, two_sample, without_replacement, asked)
    if observed is not None and (not isinstance(observed, int | float) or isnan(observed)):
        raise InputFault(f"observed: expected a number; got {shown(observed)}")
    return _floor(noise, observed)


def _floor(noise: Noise, observed: float | None) -> Floor:
    how = noise.how
    exact = noise.listed() if how.trials is None else None
    trials = None if exact else noise.trials
    values, weights = exact or noise.drawn(trials or 1)
    defined = ~np.isnan(values)
    if not defined.any():
        raise InputFault(f"{how.estimator} is undefined at every draw of this size")
    lost = float(weights[~defined].sum())
    chances = weights[defined] / weights[defined].sum()
    whole_of = Distribution.of(values[defined] / how.worth, chances)
    finite = np.isfinite(whole_of.values)
    mean, error = _mean(whole_of.values[finite], whole_of.weights[finite])
    return Floor(
        colours=len(noise.bag.colours),
        size=noise.size,
        model_size=noise.second,
        estimator=label({"kind": how.estimator, **how.parameters}),
        target=how.known_target.name,
        unit=how.unit,
        exact=exact is not None,
        trials=trials,
        seed=how.seed if trials else None,
        mean=mean,
        mean_mcse=error if trials else None,
        p_infinite=float(whole_of.weights[~finite].sum()),
        p_undefined=lost,
        quantiles=tuple(_quantile(noise, whole_of, share, trials) for share in SHARES),
        tail=None if observed is None else _tail(noise, whole_of, observed, trials),
    )


def _mean(values: Floats, weights: Floats) -> tuple[float | None, float | None]:
    """Return the mean of finite estimates, and its error where they are those of trials."""
    if not len(values):
        return None, None
    mean = float(values @ weights / weights.sum())
    return mean, float(values.std(ddof=1) / sqrt(len(values))) if len(values) > 1 else None


def _quantile(noise: Noise, law: Distribution, share: float, trials: int | None) -> FloorQuantile:
    wilks = noise.chi_square
    beside = None if wilks is None else chi_square_quantile(wilks[0], share, wilks[1])
    if not trials:
        return FloorQuantile(share, law.quantile(share), chi_square=beside)
    return FloorQuantile(share, *order_statistics(law.values, share, noise.how.level), beside)


def _tail(noise: Noise, law: Distribution, observed: float, trials: int | None) -> Tail:
    wilks = noise.chi_square
    beside = None if wilks is None else chi_square_tail(wilks[0], observed, wilks[1])
    least = observed - _TIE * abs(observed) - 1e-15 if np.isfinite(observed) else observed
    above = law.values >= least
    if not trials:
        return Tail(observed, min(1.0, float(law.weights[above].sum())), chi_square=beside)
    hits, number = int(above.sum()), len(law.values)
    return Tail(observed, hits / number, *proportion(hits, number, noise.how.level), beside)
