"""A size by trials: where the share of estimates that are near enough passes the confidence.

The share is taken by fresh trials at a few sizes around a first guess, a logistic curve of
second degree in ln n is fitted to it, and its crossing with the confidence is the answer. Its
error comes of the fit, of what lies off the curve, and of the teeth of the true share, which no
trials smooth out.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp, hypot, log, sqrt

import numpy as np

from sim.answers.outcomes import estimates
from sim.answers.question import How
from sim.checks import MOST_DRAWS
from sim.contracts.arrays import Counts
from sim.exact.task import Task
from sim.exact.values import Floats
from sim.multinomial import multinomial_tally
from sim.special import expit, logit, ndtri

_ROUGH = 1_000
_SIZES = 11
_REACH = 0.3
_FLAT, _FAR = 0.1, 2.0
_A_BATCH = 2**20
_TOOTH = 0.45
_SURE = 4.5
"""Errors around a size that is found, within which the true one is looked for."""


@dataclass(frozen=True)
class Found:
    """A size, the bracket that holds the true one at the level of intervals, and a sure one."""

    size: int
    low: int
    high: int
    surely: tuple[int, int]


def search(task: Task, how: How, trials: int, start: int = 64) -> Found | None:
    """Return the size from which on the confidence is reached; None beyond 10¹² draws."""
    few = min(_ROUGH, trials)
    shares = _Shares(task, how, few)
    bracket = _bracket(shares, start, task.confidence)
    if bracket is None:
        return None
    fails, holds = bracket
    if holds == 1:
        return Found(1, 1, 1, (1, 1))
    span = log(holds / max(1, fails))
    between = sqrt(holds * max(1, fails))
    rough = _spread(between, 0.65 * span, 5)
    middle = _crossing(rough, [shares.hits(n, few) for n in rough], few, task.confidence)[0]
    off = min(max(middle - log(between), -0.8 * span), 0.8 * span)
    sizes = _spread(between * exp(off), min(_REACH, 0.6 * span), _SIZES)
    found = []
    for number, n in enumerate(sizes, start=1):
        found.append(shares.hits(n, trials))
        how.watch(number * trials, len(sizes) * trials)
    where, error = _crossing(sizes, found, trials, task.confidence)
    error = hypot(error, _teeth(task, exp(where)))
    reach = float(ndtri((1 + how.level) / 2)) * error
    ends = (where - reach, where, where + reach, where - _SURE * error, where + _SURE * error)
    low, size, high, *surely = (
        ceil(exp(min(max(x, 0.0), log(MOST_DRAWS)))) for x in ends
    )  # the first whole size
    return Found(size, low, high, (surely[0], surely[1]))


def _teeth(task: Task, n: float) -> float:
    """Return how far, in ln n, the true share's teeth move the crossing: about 0.45/n^(K/4).

    Near the edge of what is near enough, in K − 1 dimensions and √n lattice steps wide, lie
    about n^((K − 2)/4) points more or less than its length has (the root mean square of the
    remainder of a lattice count), each with a chance of about n^((1 − K)/2).
    """
    return float(_TOOTH * n ** (-np.count_nonzero(task.p) / 4))


def _bracket(shares: _Shares, start: int, confidence: float) -> tuple[int, int] | None:
    """Return a size that fails and one that holds, near enough for a curve between them."""
    holds = start
    while not shares.holds(holds):
        holds *= 2
        if holds > MOST_DRAWS // 4:
            return None
    fails = holds // 2
    while fails and shares.holds(fails):
        holds, fails = fails, fails // 2
    while holds - fails > 1 and shares.share(fails) < min(0.5, 1 - 6 * (1 - confidence)):
        middle = round(sqrt(holds * max(1, fails)))
        middle = min(max(middle, fails + 1), holds - 1)
        if shares.share(middle) < confidence:
            fails = middle
        else:
            holds = middle
    return fails, holds


class _Shares:
    """How often estimates of fresh trials are near enough."""

    def __init__(self, task: Task, how: How, few: int) -> None:
        self._task, self._how, self._few, self._asked = task, how, few, 0

    def hits(self, n: int, trials: int) -> int:
        """Return how many of so many trials of n draws are near enough."""
        self._asked += 1
        rng = self._how.stream(n, self._asked)
        step = max(1, _A_BATCH // len(self._task.p))
        return sum(
            self._near(next(multinomial_tally(self._task.p, [n], rows, rng)))
            for rows in (min(step, trials - begin) for begin in range(0, trials, step))
        )

    def _near(self, counts: Counts) -> int:
        one = self._task
        return int(one.within(estimates(one.estimator, counts, one.reference, one.target)).sum())

    def share(self, n: int) -> float:
        """Return the share of a few trials that are near enough; 0 of no draws."""
        return self.hits(n, self._few) / self._few if n else 0.0

    def holds(self, n: int) -> bool:
        """Return whether a few trials reach the confidence at n and at 2n."""
        return all(self.share(m) >= self._task.confidence for m in (n, 2 * n))


def _spread(centre: float, reach: float, number: int) -> list[int]:
    """Return sizes evenly spread in ln n around a centre, each once."""
    factors = np.exp(np.linspace(-reach, reach, number))
    return sorted({max(1, round(centre * factor)) for factor in factors.tolist()})


def _crossing(
    sizes: list[int], hits: list[int], trials: int, confidence: float, degree: int = 2
) -> tuple[float, float]:
    """Return ln n where the fitted share is the confidence, and its error.

    The delta method; the error grows by the root of χ² over its degrees of freedom where the
    shares scatter about the curve by more than trials do. Where the curve is too flat to rise
    through the confidence near the sizes, a straight line takes its place.
    """
    x = np.log(np.array(sizes, dtype=np.float64))
    middle, scale = float(x.mean()), max(float(np.ptp(x)) / 2, 1e-9)
    x = (x - middle) / scale
    degree = min(degree, len(sizes) - 1)
    matrix = np.vander(x, degree + 1, increasing=True)
    share = (np.array(hits) + 0.5) / (trials + 1)
    beta = np.zeros(degree + 1)
    beta[0] = logit(share.mean())
    for _ in range(30):
        fitted = expit(matrix @ beta)
        weight = trials * np.maximum(fitted * (1 - fitted), 1e-12)
        information = matrix.T @ (matrix * weight[:, np.newaxis])
        step = np.linalg.lstsq(information, matrix.T @ (trials * (share - fitted)), rcond=None)[0]
        beta += np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-10:
            break
    where, slope = _root(beta, float(logit(confidence)))
    if degree > 1 and (slope < _FLAT or abs(where) > _FAR):
        return _crossing(sizes, hits, trials, confidence, 1)
    row = where ** np.arange(degree + 1)
    variance = float(row @ np.linalg.pinv(information) @ row) / slope**2
    off = float(np.sum(trials**2 * (share - fitted) ** 2 / weight))
    freedom = len(sizes) - degree - 1
    scatter = max(1.0, off / freedom) if freedom > 0 else 1.0
    return where * scale + middle, scale * sqrt(variance * scatter)


def _root(beta: Floats, level: float) -> tuple[float, float]:
    """Return where the curve rises through the level, and its slope; the sizes are in −1 … 1."""
    where, powers = 0.0, np.arange(len(beta))
    for _ in range(60):
        value = float(beta @ where**powers)
        slope = max(float(beta[1:] @ (powers[1:] * where ** powers[:-1])), 1e-3)
        move = min(max((level - value) / slope, -0.5), 0.5)
        where = min(max(where + move, -4.0), 4.0)
        if abs(move) < 1e-12:
            break
    return where, slope
