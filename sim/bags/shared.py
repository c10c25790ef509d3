"""A bag that several drawers share."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator
from simpy import Environment, Event, Resource

from sim.checks import WHOLE, Label, Value, guess, placed
from sim.clock import Fixed, Steps, Time
from sim.compositions import Balls, number_of_balls, one_by_one
from sim.contracts.arrays import Mix
from sim.contracts.bag import Log, TimedBag
from sim.kernels import take_ball, uniforms
from sim.laws.counts import Hypergeometric


class Drawer(Value):
    """Somebody who comes `every` so often, and keeps the bag for a time, `hold`.

    `most` is how often at most; it must be given for all but the observed one.
    """

    every: Time | None = None
    hold: Time = Fixed(value=0.0)
    most: Annotated[int, Field(ge=0), WHOLE] | None = None


class Shared(TimedBag):
    """Several drawers contend for one bag, each at its own pace; one is observed.

    A SimPy simulation: the bag is a resource with room for one; who comes while it is taken
    queues. Whoever gets it draws a ball, which stays out, and keeps the bag for its `hold`.
    Balls are exchangeable: whatever the others do, the observed draws have the law of
    `without_replacement`. The others' draws lower the limit. With one drawer who comes at
    exponential times and keeps the bag for exponential ones this is the M/M/1 queue.

    Example:
        kind: shared
        balls: {red: 10, blue: 15}
        drawers:
            ann: {hold: {exponential: 0.5}}
            bob: {every: {exponential: 1}, hold: {uniform: [0, 1]}, most: 5}
        every: 1
        observed: ann
    """

    kind: Literal["shared"] = "shared"
    balls: Balls
    drawers: dict[Label, Drawer] = Field(min_length=1)
    every: Time = Fixed(value=1.0)
    observed: Label

    @model_validator(mode="after")
    def _enough_balls(self) -> Shared:
        number_of_balls(self.balls)
        if self.observed not in self.drawers:
            fault = f"no drawer is called {self.observed!r}{guess(self.observed, self.drawers)}"
            placed([(("observed",), fault)], self.kind)
        for label, drawer in self.drawers.items():
            if label != self.observed and drawer.most is None:
                fault = "expected `most`: how many balls this one may take from the observed"
                placed([(("drawers", label), fault)], self.kind)
        if self.limit < 1:
            placed([(("drawers",), "the others may take all the balls; none is left")], self.kind)
        return self

    @property
    def colours(self) -> tuple[str, ...]:
        """The names of the balls' colours."""
        return self.balls.colours

    @property
    def limit(self) -> int:
        """The balls that the others cannot take, or the observed one's `most`."""
        others = sum(d.most or 0 for label, d in self.drawers.items() if label != self.observed)
        left = int(self.balls.weights.sum()) - others
        most = self.drawers[self.observed].most
        return left if most is None else min(left, most)

    def truth(self, n: int) -> Mix:
        """Return the balls' proportions."""
        return self.balls.probabilities

    def count_law(self, n: int) -> Hypergeometric:
        """Return the hypergeometric law of each count."""
        return Hypergeometric(n, self.balls.weights)

    def count_variance(self, n: int) -> Mix:
        """Return n p(1 − p)(N − n)/(N − 1), N all balls."""
        p, number = self.balls.probabilities, float(self.balls.weights.sum())
        return np.asarray(n * p * (1 - p) * ((number - n) / max(number - 1, 1)))

    def begin(self, env: Environment, n: int, rng: np.random.Generator, log: Log) -> Event:
        """Let everybody come, draw and leave; it ends when n draws are observed.

        What the observed one does is `arrive`, `draw`, `leave`; others add their names.
        """
        visits = _Visits(env, one_by_one(self.balls), log)
        streams = rng.spawn(len(self.drawers))
        for (label, drawer), stream in zip(self.drawers.items(), streams, strict=True):
            own = label == self.observed
            most = n if own else drawer.most or 0
            spans = (drawer.every or self.every, drawer.hold)
            env.process(visits.arrivals("" if own else f" {label}", most, spans, stream))
        return visits.over(n)


class _Visits:
    """One simulation: the bag as a resource, the balls that are left, and what happened."""

    def __init__(self, env: Environment, left: list[int], log: Log) -> None:
        self.env, self.left, self.log = env, left, log
        self.bag = Resource(env, capacity=1)
        self.wanted = 0
        self.end = env.event()

    def over(self, n: int) -> Event:
        """Return the event that happens when n draws are observed."""
        self.wanted = n
        return self.end

    def arrivals(
        self, who: str, most: int, spans: tuple[Time, Time], rng: np.random.Generator
    ) -> Steps:
        """Come so many times at most, whether or not earlier visits are over."""
        gaps, holds, picks = rng.spawn(3)
        every, hold = spans[0].times(gaps), spans[1].times(holds)
        uniform = uniforms(picks)
        for _ in range(most):
            yield self.env.timeout(next(every))
            self.log.append((self.env.now, f"arrive{who}", -1))
            self.env.process(self._visit(who, next(hold), next(uniform)))

    def _visit(self, who: str, hold: float, uniform: float) -> Steps:
        with self.bag.request() as turn:
            yield turn
            self.log.append((self.env.now, f"draw{who}", take_ball(self.left, uniform)))
            if not who:
                self._observe()
            yield self.env.timeout(hold)
        self.log.append((self.env.now, f"leave{who}", -1))

    def _observe(self) -> None:
        self.wanted -= 1
        if self.wanted == 0:
            self.end.succeed()
