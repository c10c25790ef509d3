"""What both answers are asked with: what is in the bag, an estimator, a target, a unit, trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from pydantic import ValidationError

from sim.asked import InputFault, target_of, worth_of
from sim.checks import MOST_DRAWS, shown
from sim.compositions import aligned, composition
from sim.contracts.arrays import Mix
from sim.divergences import Divergence
from sim.families import Composition

Balls = Composition | Mapping[str, Any] | Sequence[float]
"""Balls by colour, by place, or a family as an experiment file has it."""

Watch = Callable[[int, int], None]
"""Told how many of how many trials are done."""

NO_DIVERGENCE = ("entropy", "cross_entropy")


@dataclass(frozen=True)
class How:
    """How an answer is worked out: what is estimated by what, and how it is drawn.

    Where `trials` are given a floor is drawn by them, even where it could be exact, and a size
    is searched by so many at each size tried; None takes as many as answer within a second or
    two. `parameters` are the estimator's, as an experiment file has them. `level` is that of
    intervals.
    """

    estimator: str = "plug_in"
    target: str = "kl"
    unit: str = "nats"
    trials: int | None = None
    seed: int = 0
    level: float = 0.95
    watch: Watch = lambda done, total: None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, keys: Mapping[str, Any]) -> How:
        """Return it from keyword arguments; those that are not its own are the estimator's."""
        own = cls.__dataclass_fields__.keys() - {"parameters"}
        mine = {key: value for key, value in keys.items() if key in own}
        rest = {key: value for key, value in keys.items() if key not in own}
        if mine.get("trials") is not None:
            mine["trials"] = whole("trials", mine["trials"], 100, 10_000_000)
        for key, check in (("seed", _seed), ("level", partial(within, "level"))):
            if key in mine:
                mine[key] = check(mine[key])
        return cls(**mine, parameters=rest)

    @property
    def known_target(self) -> Divergence:
        """The target; InputFault where there is none of that name."""
        return target_of(self.target)

    @property
    def worth(self) -> float:
        """What the unit is worth in nats."""
        return worth_of(self.known_target, self.unit)

    def stream(self, *key: int) -> np.random.Generator:
        """Return the random stream of a part of the work."""
        return np.random.Generator(np.random.SFC64(np.random.SeedSequence([self.seed, *key])))


def _seed(value: Any) -> int:
    return whole("seed", value, 0, 2**128 - 1)


def whole(name: str, value: Any, least: int = 1, most: int = MOST_DRAWS) -> int:
    """Return a whole number within bounds; InputFault where it is none."""
    is_whole = isinstance(value, int | float | np.integer) and not isinstance(value, bool)
    if not (is_whole and least <= value <= most and value == int(value)):
        raise InputFault(
            f"{name}: expected a whole number from {least:,} to {most:,}; got {shown(value)}"
        )
    return int(value)


def within(name: str, value: Any) -> float:
    """Return a number above 0 and below 1; InputFault where it is none."""
    if not (isinstance(value, int | float | np.floating) and 0 < value < 1):
        raise InputFault(f"{name}: expected a number above 0 and below 1; got {shown(value)}")
    return float(value)


def contents(balls: Balls, name: str = "balls") -> Composition:
    """Return what is in the bag; colours that are given by place are called 1, 2, …"""
    if isinstance(balls, Composition):
        return balls
    if not isinstance(balls, Mapping):
        if isinstance(balls, str) or not isinstance(balls, Sequence | np.ndarray):
            raise InputFault(f"{name}: expected a number of balls for each colour, [10, 15]")
        plain = [one.item() if isinstance(one, np.generic) else one for one in balls]
        balls = {str(place): number for place, number in enumerate(plain, start=1)}
    try:
        return composition(dict(balls))
    except ValidationError as error:
        raise InputFault(told(name, error)) from None


def beside(model: Balls, bag: Composition, name: str = "model") -> Mix:
    """Return the probabilities of Q in the order of the bag's colours; by place where unnamed."""
    found = contents(model, name)
    if isinstance(model, Composition | Mapping):
        try:
            return aligned(found, bag.colours)
        except ValidationError as error:
            raise InputFault(told(name, error)) from None
    if len(found.colours) != len(bag.colours):
        number = f"{len(bag.colours)} colours, as in the bag; got {len(found.colours)}"
        raise InputFault(f"{name}: expected {number}")
    return found.probabilities


def told(name: str, error: ValidationError) -> str:
    """Return the first fault of a value and its place."""
    first = error.errors()[0]
    place = ".".join([name, *map(str, first["loc"])])
    return f"{place}: {first['msg']}"
