"""Laws of one count as tables: only + − × ÷ make them, so they are the same bits on any machine."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import floor

import numpy as np

from sim.multinomial.alias import Floats
from sim.multinomial.picks import Picks

_REACH, _MORE = 8.5, 25
"""A law is followed so many standard deviations, and counts more, from its mode."""

_LEAST = 2.0**-44
"""What is less likely is left out."""


def reach(variance: Floats) -> Floats:
    """Return how far from its mode a count of this variance is followed."""
    return np.ceil(_REACH * np.sqrt(variance)) + _MORE


def binomial(n: int, p: float) -> Picks:
    """Return what draws a count of n draws, 0 < p < 1."""
    mode, far = floor((n + 1) * p), int(reach(np.array(n * p * (1 - p))))
    odds = p / (1 - p)
    chance = _chances(np.array([[float(mode)]]), far, lambda j: (n + 1 - j) / j * odds)[0]
    some = np.flatnonzero(chance)
    return Picks.of(chance[some], mode - far + some, np.array([len(some)]))


def poissons(means: Floats) -> Picks:
    """Return what draws Poisson counts; means, shape (L,), above 0."""
    reaches = reach(means)
    _, alike = np.frexp(reaches)  # laws that reach about as far make one array
    chances, counts, owners = [], [], []
    for one in np.unique(alike):
        laws = np.flatnonzero(alike == one)
        mean, far = means[laws, np.newaxis], int(reaches[laws].max())
        chance = _chances(np.floor(mean), far, partial(_poisson_ratio, mean))
        law, place = np.nonzero(chance)
        chances.append(chance[law, place])
        counts.append(np.floor(means[laws]).astype(np.int64)[law] - far + place)
        owners.append(laws[law])
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    return Picks.of(
        np.concatenate(chances)[order], np.concatenate(counts)[order], np.bincount(owner)
    )


def _poisson_ratio(mean: Floats, count: Floats) -> Floats:
    return mean / count


def _chances(mode: Floats, far: int, ratio: Callable[[Floats], Floats]) -> Floats:
    """Return the chances of counts up to `far` from the modes, (L, 1); 0 where there is hardly any.

    `ratio` is P(j)/P(j − 1) for j ≥ 1.
    """
    step = np.arange(1.0, far + 1)
    right = np.cumprod(np.maximum(ratio(mode + step), 0), axis=1)
    above = mode + 1 - step  # P(j − 1) follows from P(j), down to 0
    left = np.cumprod(np.where(above > 0, 1 / ratio(np.maximum(above, 1)), 0), axis=1)
    chance = np.concatenate([left[:, ::-1], np.ones_like(mode), right], axis=1)
    chance /= np.cumsum(chance, axis=1)[:, -1:]
    chance[chance < _LEAST] = 0
    return chance
