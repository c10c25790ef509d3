"""Ways to draw one multinomial increment of a fixed size; which is taken follows from p and m."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import inf, sqrt

import numpy as np

from sim.multinomial.alias import MOST_BOXES, Floats, Ints, Whole
from sim.multinomial.laws import binomial, poissons, reach
from sim.multinomial.picks import Picks

_AT_ONCE = 2**18
"""Numbers worked on at once."""

_LOOK_UP, _SPLIT = 0.8, 12.0
"""What a count costs by table, and by splitting, in draws of one ball."""

_WIDEST = 2**16
"""How far a table of one of two counts may reach."""

_MOST_OUTCOMES = 2**20
"""Outcomes of all Poisson counts of an increment; boxes in whole numbers take no more."""

_SLACKS = (
    # c, Φ(c), E(c − Z | Z < c)
    (0.5, 0.6915, 1.009),
    (1.0, 0.8413, 1.288),
    (1.5, 0.9332, 1.639),
    (2.0, 0.9772, 2.055),
    (3.0, 0.9987, 3.004),
)


class Way(ABC):
    """Adds one increment to counts, (trials, K)."""

    @abstractmethod
    def add(self, counts: Whole, rng: np.random.Generator) -> None:
        """Add Multinomial(m, p), each row its own; more than two colours lie row by row."""


@dataclass(frozen=True, eq=False)
class Split(Way):
    """numpy's: a binomial count for each colour but the last, of what is left.

    `p` has shape (K,), or (trials, K) where each trial has its own.
    """

    m: int
    p: Floats

    def add(self, counts: Whole, rng: np.random.Generator) -> None:
        """Add the increment."""
        # numpy gives what rounding leaves over to the last colour: let it be one that is drawn
        alive = np.flatnonzero(self.p.reshape(-1, self.p.shape[-1]).any(axis=0))
        columns = slice(None) if len(alive) == self.p.shape[-1] else alive
        counts[:, columns] += rng.multinomial(self.m, self.p[..., alive], size=len(counts))


@dataclass(frozen=True, eq=False)
class Binomial(Way):
    """Two colours: one table of the first count."""

    m: int
    picks: Picks
    first: int
    second: int

    def add(self, counts: Whole, rng: np.random.Generator) -> None:
        """Add the increment."""
        for begin in range(0, len(counts), _AT_ONCE):
            rows = counts[begin : begin + _AT_ONCE]
            drawn = self.picks.draw(len(rows), rng)[:, 0]
            rows[:, self.first] += drawn
            rows[:, self.second] += self.m - drawn


@dataclass(frozen=True, eq=False)
class OneByOne(Way):
    """Ball by ball."""

    m: int
    picks: Picks

    def add(self, counts: Whole, rng: np.random.Generator) -> None:
        """Add the increment."""
        _scatter(counts, np.full(len(counts), self.m), self.picks, rng)


@dataclass(frozen=True, eq=False)
class Poissons(Way):
    """Independent Poisson counts of m − c√m draws expected, and what is left ball by ball.

    Given its sum, a row of Poisson counts is multinomial (so it is drawn anew where the sum
    exceeds m), and the rest of m makes it one of m draws. `rare` colours have one Poisson count
    for all of them, which is shared out ball by ball.
    """

    m: int
    counting: Picks
    often: Ints | slice
    rare: Picks | None
    picks: Picks

    def add(self, counts: Whole, rng: np.random.Generator) -> None:
        """Add the increment, some rows at a time: they stay in the cache from step to step."""
        laws = len(self.counting.place)
        step = max(1, _AT_ONCE // laws)
        for begin in range(0, len(counts), step):
            rows = counts[begin : begin + step]
            drawn = self._drawn(len(rows), rng)
            rows[:, self.often] += drawn[:, : laws - (self.rare is not None)]
            if self.rare is not None:
                _scatter(rows, drawn[:, -1], self.rare, rng)
            _scatter(rows, self.m - drawn.sum(axis=1), self.picks, rng)

    def _drawn(self, trials: int, rng: np.random.Generator) -> Whole:
        drawn = self.counting.draw(trials, rng)
        again = np.flatnonzero(drawn.sum(axis=1) > self.m)
        while len(again):
            drawn[again] = more = self.counting.draw(len(again), rng)
            again = again[more.sum(axis=1) > self.m]
        return drawn


def _scatter(counts: Whole, numbers: Whole, picks: Picks, rng: np.random.Generator) -> None:
    """Add so many balls to each row, ball by ball."""
    flat, colours = counts.reshape(-1), counts.shape[1]
    one = flat.dtype.type(1)  # of its own kind: five times as fast
    ends = np.cumsum(numbers)
    starts = ends - numbers
    total, row = int(numbers.sum()), np.arange(len(counts)) * colours
    for begin in range(0, total, _AT_ONCE):
        end = min(begin + _AT_ONCE, total)
        low, high = np.searchsorted(ends, (begin, end - 1), side="right")
        here = np.minimum(ends[low : high + 1], end) - np.maximum(starts[low : high + 1], begin)
        place = np.repeat(row[low : high + 1], here)
        place += picks.draw(end - begin, rng)[:, 0]
        np.add.at(flat, place, one)


@lru_cache(maxsize=8)
def ways(law: bytes, increments: tuple[int, ...]) -> tuple[Way, ...]:
    """Return how increments are best drawn; `law` holds the probabilities, shape (K,), as bytes.

    It follows from these alone, whatever the number of trials.
    """
    choice = Choice(np.frombuffer(law))
    return tuple(choice.way(m) for m in increments)


class Choice:
    """Chooses ways for one law, probabilities of shape (K,); each way can be had by name."""

    def __init__(self, p: Floats) -> None:
        self._whole = p
        self._alive = np.flatnonzero(p)
        self._p = p[self._alive]

    @cached_property
    def _picks(self) -> Picks:
        return _colours(self._p, self._alive)

    def way(self, m: int) -> Way:
        """Return how m draws are best made."""
        if len(self._alive) == 2:
            return self.split(m) if self._is_wide(m) else self.binomial(m)
        if len(self._alive) > MOST_BOXES:
            return self.split(m)
        splitting = _SPLIT * (len(self._alive) - 1)
        cost, slack = min((self._cost(m, *one), one[0]) for one in _SLACKS)
        if splitting <= min(m, cost):
            return self.split(m)
        return self.one_by_one(m) if m <= cost else self.poissons(m, slack)

    def split(self, m: int) -> Split:
        """Return numpy's way."""
        return Split(m, self._whole)

    def one_by_one(self, m: int) -> OneByOne:
        """Return the way ball by ball."""
        return OneByOne(m, self._picks)

    def binomial(self, m: int) -> Binomial:
        """Return the way of two colours."""
        first, second = self._alive.tolist()
        return Binomial(m, binomial(m, float(self._p[0])), first, second)

    def poissons(self, m: int, slack: float) -> Poissons:
        """Return the way by Poisson counts of m − slack √m draws expected, above 0."""
        means = (m - slack * sqrt(m)) * self._p
        often = self._p * m > _LOOK_UP
        rare, laws = None, means[often]
        if not often.all():
            others = self._p[~often]
            rare = _colours(others / np.cumsum(others)[-1], self._alive[~often])
            laws = np.append(laws, np.cumsum(means[~often])[-1])
        return Poissons(m, poissons(laws), _span(self._alive[often]), rare, self._picks)

    def _is_wide(self, m: int) -> bool:
        return bool(reach(np.array(m * self._p[0] * self._p[1])) > _WIDEST)

    def _cost(self, m: int, slack: float, chance: float, left: float) -> float:
        """Return what Poisson counts cost a row, in draws of one ball; inf where they cannot be."""
        often = self._p * m > _LOOK_UP
        if slack * slack >= m or not often.any():
            return inf
        if np.sum(2 * reach(m * self._p[often]) + 1) > _MOST_OUTCOMES:
            return inf
        rare = np.cumsum(np.where(often, 0, self._p))[-1]
        tables = (np.count_nonzero(often) + 1) * _LOOK_UP / chance
        return float(tables + rare * m + left * sqrt(m))


def _span(places: Ints) -> Ints | slice:
    """Return ascending places, as a slice where there is no gap."""
    first, last = int(places[0]), int(places[-1])
    return slice(first, last + 1) if last - first + 1 == len(places) else places


def _colours(p: Floats, colours: Ints) -> Picks:
    return Picks.of(p, colours, np.array([len(p)]))
