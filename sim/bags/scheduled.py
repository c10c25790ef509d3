"""A bag that somebody changes while it is drawn from."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from functools import cached_property, partial
from itertools import accumulate, count, islice, repeat
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator
from simpy import Environment, Process

from sim.checks import MOST_DRAWS, Value, placed
from sim.clock import Exponential, First, Fixed, Steps, Time
from sim.compositions import Balls
from sim.contracts.arrays import Mix, Values
from sim.contracts.bag import Log, TimedBag
from sim.families import Composition
from sim.kernels import Picker, uniforms
from sim.laws.counts import CountLaw
from sim.laws.pmf import MOST_WORK, poisson_totals
from sim.laws.tables import poisson_binomial

_MOST_CHANGES = 100_000

Contents = Mix


class Change(Value):
    """What is done to the bag: `add`, `take` or `replace`; `at` a time, or `every` so often."""

    at: Annotated[float, Field(ge=0, le=1e15)] | None = None
    every: Time | None = None
    add: Balls | None = None
    take: Balls | None = None
    replace: Balls | None = None

    @model_validator(mode="after")
    def _one_of_each(self) -> Change:
        actions = sum(x is not None for x in (self.add, self.take, self.replace))
        timed = isinstance(self.every, Fixed | Exponential | None)
        faults = (
            ((self.at is None) == (self.every is None), (), "expected either `at` or `every`"),
            (actions != 1, (), "expected one of `add`, `take`, `replace`"),
            (not timed, ("every",), "expected a number or {exponential: mean}: truth is known"),
            (self.every == Fixed(value=0), ("every",), "expected a time above 0"),
        )
        placed(((place, message) for wrong, place, message in faults if wrong), "change")
        return self

    @property
    def random(self) -> bool:
        """Whether its times are random."""
        return isinstance(self.every, Exponential)

    @property
    def name(self) -> str:
        """What is done: `add`, `take` or `replace`."""
        return next(x for x in ("add", "take", "replace") if getattr(self, x) is not None)

    @property
    def balls(self) -> Composition:
        """The balls of the change, whatever is done with them."""
        balls: Composition = getattr(self, self.name)
        return balls

    def applied(self, contents: Contents, colours: tuple[str, ...]) -> Contents:
        """Return what is in the bag after the change; shape (K,)."""
        if self.replace is not None:
            contents = np.zeros(len(colours))
        sign = -1.0 if self.take is not None else 1.0
        changed = contents.copy()
        for colour, number in zip(self.balls.colours, self.balls.weights, strict=True):
            changed[colours.index(colour)] += sign * number
        return changed

    def times(self) -> Iterator[float]:
        """Yield the times of a change that is not random."""
        if self.at is not None:
            yield self.at
        elif isinstance(self.every, Fixed):
            yield from (self.every.value * number for number in count(1))


class Scheduled(TimedBag):
    """Balls are added, taken or replaced while draws, each put back, go on; in SimPy.

    Draw i happens at time i · `every`; a change comes before a draw at the same time. Changes
    are planned (`at`, `every: 10`), or one of them random (`every: {exponential: 10}`, a
    Poisson process; an `add`, or a `replace` alone). Truth(n) is the mean over the n draws of
    Σ_j P(j changes by then) · composition after j. With planned changes only, draws are
    independent: each count is Poisson-binomial. A colour that comes later begins with 0.

    Example:
        kind: scheduled
        balls: {red: 10, blue: 15}
        every: 1
        changes:
            - {at: 10, add: {red: 5}}
            - {every: 25, take: {blue: 1}}
    """

    kind: Literal["scheduled"] = "scheduled"
    balls: Balls
    every: Annotated[float, Field(gt=0, le=1e9)] = 1.0
    changes: tuple[Change, ...]

    @model_validator(mode="after")
    def _truth_is_known(self) -> Scheduled:
        for place, change in enumerate(self.changes):
            foreign = set(change.balls.colours) - set(self.colours)
            for colour in sorted(foreign)[:1]:
                fault = f"the bag has no colour {colour!r}; write it in `balls` with 0"
                placed([(("changes", place), fault)], self.kind)
            known = change.add is not None or (change.name == "replace" and len(self.changes) == 1)
            if change.random and not known:
                fault = "at random times expected `add`, or `replace` as the only change"
                placed([(("changes", place), fault)], self.kind)
        if sum(change.random for change in self.changes) > 1:
            placed([(("changes",), "expected at most one change at random times")], self.kind)
        if self.limit is not None and self.limit < 1:
            placed([(("changes",), "the bag is empty before the first draw")], self.kind)
        return self

    @property
    def colours(self) -> tuple[str, ...]:
        """The names of the balls' colours."""
        return self.balls.colours

    def _planned(self) -> Iterator[tuple[float, int, Change]]:
        """Yield the planned changes in order of time, then of the list."""
        dated = (zip(c.times(), repeat(i), repeat(c)) for i, c in enumerate(self.changes))
        return heapq.merge(*dated)

    @property
    def _random(self) -> Change | None:
        return next((change for change in self.changes if change.random), None)

    def _times(self, done: int, before: int) -> Values:
        return np.arange(done + 1, before + 1, dtype=np.float64) * self.every

    def _draws_before(self, time: float) -> int:
        """Return how many draws happen before a time, those at that time left out."""
        if time / self.every >= MOST_DRAWS:
            return MOST_DRAWS
        number = int(time / self.every) + 1
        while number > 0 and number * self.every >= time:
            number -= 1
        return number

    @cached_property
    def limit(self) -> int | None:
        """The draws before planned changes take more than there is, or leave nothing."""
        contents = self.balls.weights
        for number, (time, _, change) in enumerate(self._planned()):
            contents = change.applied(contents, self.colours)
            if number == _MOST_CHANGES or contents.min() < 0 or contents.sum() <= 0:
                return self._draws_before(time)
        return None

    def _stretches(self, n: int) -> Iterator[tuple[Values, Contents]]:
        """Yield draws between planned changes: time since all was replaced, (draws,), contents."""
        contents, renewed, done = self.balls.weights, 0.0, 0
        for time, _, change in self._planned():
            before = min(n, self._draws_before(time))
            if before > done:
                yield self._times(done, before) - renewed, contents
            if before == n:
                return
            done, contents = before, change.applied(contents, self.colours)
            renewed = time if change.replace is not None else renewed
        yield self._times(done, n) - renewed, contents

    @cached_property
    def _truths(self) -> dict[int, Mix]:
        return {}

    def truth(self, n: int) -> Mix:
        """Return the mean composition over n draws."""
        if n not in self._truths:
            sums = (_sum_of_mixes(ages, c, self._random, self) for ages, c in self._stretches(n))
            total = np.sum(list(sums), axis=0)
            self._truths[n] = total / total.sum()
        return self._truths[n]

    def count_law(self, n: int) -> CountLaw | None:
        """Return the Poisson-binomial law of each count; None with random changes."""
        if self._random is not None or n * len(self.colours) > MOST_WORK:
            return None
        rows = [np.tile(c / c.sum(), (len(ages), 1)) for ages, c in self._stretches(n)]
        return poisson_binomial(np.concatenate(rows))

    def count_variance(self, n: int) -> Mix | None:
        """Return Σ p_t(1 − p_t) over the draws t; None with random changes."""
        if self._random is not None:
            return None
        parts = ((len(ages), c / c.sum()) for ages, c in self._stretches(n))
        return np.asarray(np.sum([number * p * (1 - p) for number, p in parts], axis=0))

    def begin(self, env: Environment, n: int, rng: np.random.Generator, log: Log) -> Process:
        """Let draws and changes happen; the drawer ends when n balls are drawn."""
        gaps, picks = rng.spawn(2)
        bag = Picker(self.balls.weights)

        def plan(changes: Iterator[tuple[float, int, Change]]) -> None:
            time, _, change = next(changes, (0.0, 0, None))
            if change is not None:
                First(env, time, partial(happen, change, changes))

        def happen(change: Change, rest: Iterator[tuple[float, int, Change]], _: First) -> None:
            bag.hold(change.applied(bag.weights, self.colours))
            log.append((env.now, change.name, -1))
            plan(rest)

        def drawing(uniform: Iterator[float]) -> Steps:
            every, name, timeout, record = self.every, self.drawn, env.timeout, log.append
            for number, place in enumerate(islice(uniform, n), 1):
                yield timeout(number * every - env.now)
                record((env.now, name, bag.pick(place)))

        plan(self._planned())
        if self._random is not None:
            plan(_surprises(self._random, gaps))
        return env.process(drawing(uniforms(picks)))


def _surprises(change: Change, rng: np.random.Generator) -> Iterator[tuple[float, int, Change]]:
    assert change.every is not None
    return ((time, 0, change) for time in accumulate(change.every.times(rng)))


def _sum_of_mixes(ages: Values, contents: Contents, change: Change | None, bag: Scheduled) -> Mix:
    """Return the sum over draws of the expected composition, given times since all was set."""
    mix = contents / contents.sum()
    if change is None or change.every is None:
        return np.asarray(len(ages) * mix)
    rates = ages / change.every.mean
    if change.replace is not None:
        stayed = float(np.exp(-rates).sum())
        fresh = change.applied(contents, bag.colours)
        return np.asarray(stayed * mix + (len(ages) - stayed) * fresh / fresh.sum())
    weights = poisson_totals(rates)
    added = change.applied(np.zeros(len(contents)), bag.colours)
    after = contents + np.arange(len(weights))[:, np.newaxis] * added
    return np.asarray(
        (weights[:, np.newaxis] * after / after.sum(axis=1, keepdims=True)).sum(axis=0)
    )
