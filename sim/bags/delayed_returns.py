"""A bag whose balls come back late."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from pydantic import model_validator
from simpy import Container, Environment, Process

from sim.checks import placed
from sim.clock import First, Fixed, Span, Steps, Time
from sim.compositions import Balls, number_of_balls, one_by_one
from sim.contracts.arrays import Mix
from sim.contracts.bag import Log, TimedBag
from sim.kernels import take_ball, uniforms

_MOST_SKIPS = 1000.0


class DelayedReturns(TimedBag):
    """Each drawn ball is away for a time, `hold`, before it returns; a SimPy simulation.

    Draws are `every` so much time apart. Where the bag is empty a draw waits for the next
    ball, or is skipped (`when_empty`). A return comes before a draw at the same time.
    hold → 0 is drawing with replacement, hold → ∞ without. All balls are alike, so E p̂ is
    the composition; no exact law of the counts is known in between.

    Example:
        kind: delayed_returns
        balls: {red: 10, blue: 15}
        hold: {exponential: 5}
        every: 1
        when_empty: wait
    """

    kind: Literal["delayed_returns"] = "delayed_returns"
    balls: Balls
    hold: Time
    every: Time = Fixed(value=1.0)
    when_empty: Literal["wait", "skip"] = "wait"

    @model_validator(mode="after")
    def _draws_come_to_an_end(self) -> DelayedReturns:
        number = number_of_balls(self.balls)
        if self.when_empty == "skip" and self.hold.mean > _MOST_SKIPS * number * self.every.mean:
            fault = (
                f"with {number:g} balls away for {self.hold.mean:g} on average, more than "
                f"{_MOST_SKIPS:g} draws would be skipped for each that finds a ball; "
                "hold shorter, or `when_empty: wait`"
            )
            placed([(("hold",), fault)], self.kind)
        return self

    @property
    def colours(self) -> tuple[str, ...]:
        """The names of the balls' colours."""
        return self.balls.colours

    def truth(self, n: int) -> Mix:
        """Return the balls' proportions."""
        return self.balls.probabilities

    def begin(self, env: Environment, n: int, rng: np.random.Generator, log: Log) -> Process:
        """Let draws, returns and skipped draws happen; the drawer ends when n are drawn."""
        return env.process(self._drawer(env, n, rng, log))

    def _drawer(self, env: Environment, n: int, rng: np.random.Generator, log: Log) -> Steps:
        gaps, holds, picks = rng.spawn(3)
        every, hold, uniform = self.every.times(gaps), self.hold.times(holds), uniforms(picks)
        inside = one_by_one(self.balls)
        supply = Container(env, init=len(inside))

        def back(event: First) -> None:
            inside.append(event.colour)
            supply.put(1)
            log.append((env.now, "return", event.colour))

        plan = _Plan(self.every, self.hold)
        drawn = 0
        while drawn < n:
            yield env.timeout(plan.next_draw(env.now, every) - env.now)
            if supply.level == 0 and self.when_empty == "skip":
                log.append((env.now, "skip", -1))
                continue
            waits = supply.level == 0
            yield supply.get(1)
            if waits:
                plan.begin(env.now)
            colour = take_ball(inside, next(uniform))
            drawn += 1
            log.append((env.now, self.drawn, colour))
            First(env, plan.due(env.now, hold), back, colour)


class _Plan:
    """When draws and returns happen: fixed times are multiples, not sums, so that ties are ties."""

    def __init__(self, every: Span, hold: Span) -> None:
        self.step = every.mean if isinstance(every, Fixed) else 0.0
        ratio = hold.mean / self.step if isinstance(hold, Fixed) and self.step else 0.5
        whole = abs(ratio - round(ratio)) <= 1e-9 * max(1.0, ratio)
        self.steps = round(ratio) if whole else 0
        self.begin(0.0)

    def begin(self, origin: float) -> None:
        """Count the multiples from here."""
        self.origin, self.number = origin, 0

    def next_draw(self, now: float, gaps: Iterator[float]) -> float:
        """Return the time of the next draw, never before now."""
        if not self.step:
            return now + next(gaps)
        self.number += 1
        return max(now, self.origin + self.number * self.step)

    def due(self, now: float, holds: Iterator[float]) -> float:
        """Return the time when a ball comes back that is drawn now."""
        hold = next(holds)
        if not self.steps:
            return now + hold
        return self.origin + (self.number + self.steps) * self.step
