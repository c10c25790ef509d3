"""Times for bags with a clock: fixed or random spans, and events that come first at ties."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping
from math import nextafter
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import PlainSerializer, PlainValidator, ValidationError, WithJsonSchema
from simpy import Environment
from simpy.events import URGENT, Event

from sim.checks import Value, guess, placed, problem, relocate, shown

_BATCH = 256
_LONGEST = 1e15


Steps = Generator[Event, object, None]
"""What a SimPy process is: it yields the events that it waits for."""


class First(Event):
    """Something that happens at a time, before whatever else happens at that time."""

    def __init__(
        self, env: Environment, time: float, then: Callable[[First], None], colour: int = -1
    ) -> None:
        super().__init__(env)
        self._ok = True
        self._value = None
        self.colour = colour
        self.callbacks = [then]
        delay = max(0.0, time - env.now)
        if env.now + delay > time:  # rounding must not make it late
            delay = max(0.0, nextafter(delay, 0.0))
        env.schedule(self, priority=URGENT, delay=delay)


class Span(Value, ABC):
    """A time that passes: fixed, or random and independent each time."""

    @property
    @abstractmethod
    def mean(self) -> float:
        """The mean of the time."""

    @abstractmethod
    def batch(self, rng: np.random.Generator) -> list[float]:
        """Return the next few times."""

    def times(self, rng: np.random.Generator) -> Iterator[float]:
        """Yield one time after the other, without end."""
        while True:
            yield from self.batch(rng)


class Fixed(Span):
    """The same time, each time."""

    value: float

    @property
    def mean(self) -> float:
        """The time."""
        return self.value

    def batch(self, rng: np.random.Generator) -> list[float]:
        """Return the time, many times."""
        return [self.value] * _BATCH


class Random(Span, ABC):
    """A random time, of a family with a name and parameters."""

    key: ClassVar[str]
    names: ClassVar[tuple[str, ...]]
    parameters: tuple[float, ...]


class Exponential(Random):
    """Exponential times with a mean: events of a Poisson process."""

    key = "exponential"
    names = ("mean",)

    @property
    def mean(self) -> float:
        """The mean."""
        return self.parameters[0]

    def batch(self, rng: np.random.Generator) -> list[float]:
        """Return exponential times."""
        return list(rng.exponential(self.parameters[0], _BATCH))


class UniformTime(Random):
    """Times uniform between two ends."""

    key = "uniform"
    names = ("from", "to")

    @property
    def mean(self) -> float:
        """The middle."""
        return (self.parameters[0] + self.parameters[1]) / 2

    def batch(self, rng: np.random.Generator) -> list[float]:
        """Return uniform times."""
        low, high = self.parameters
        return list(rng.uniform(low, high, _BATCH))


class Gamma(Random):
    """Gamma times with shape and scale."""

    key = "gamma"
    names = ("shape", "scale")

    @property
    def mean(self) -> float:
        """Shape times scale."""
        return self.parameters[0] * self.parameters[1]

    def batch(self, rng: np.random.Generator) -> list[float]:
        """Return gamma times."""
        shape, scale = self.parameters
        return list(rng.gamma(shape, scale, _BATCH))


_FAMILIES: dict[str, type[Random]] = {f.key: f for f in (Exponential, UniformTime, Gamma)}


def span(value: Any) -> Span:
    """Return the time that a number, or `{exponential: mean}` and its like, says."""
    if isinstance(value, Span):
        return value
    if isinstance(value, Mapping) and len(value) == 1:
        family, parameters = next(iter(value.items()))
        if family not in _FAMILIES:
            raise problem(f"unknown time {shown(family)}{guess(str(family), _FAMILIES)}")
        return _random(_FAMILIES[family], parameters)
    if isinstance(value, bool) or not isinstance(value, int | float):
        names = ", ".join(_FAMILIES)
        raise problem(f"expected a time: a number, or one of {names}; got {shown(value)}")
    if not 0 <= value <= _LONGEST:
        raise problem(f"expected a time from 0 to 1e15; got {shown(value)}")
    return Fixed(value=float(value))


def _random(family: type[Random], given: Any) -> Random:
    numbers = given if isinstance(given, tuple | list) else (given,)
    wanted = ", ".join(family.names)
    bad = any(isinstance(x, bool) or not isinstance(x, int | float) for x in numbers)
    if bad or len(numbers) != len(family.names):
        placed([((family.key,), f"expected {wanted}; got {shown(given)}")], "time")
    low = 0.0 if family is UniformTime else 1e-300
    if any(not low <= x <= _LONGEST for x in numbers) or (low == 0.0 and numbers[0] > numbers[1]):
        placed([((family.key,), f"expected {wanted}, positive, at most 1e15, in order")], "time")
    try:
        return family(parameters=tuple(float(x) for x in numbers))
    except ValidationError as error:
        raise relocate(error, (family.key,)) from None


def _written(value: Span) -> Any:
    if isinstance(value, Fixed):
        return value.value
    assert isinstance(value, Random)
    one = len(value.parameters) == 1
    return {value.key: value.parameters[0] if one else list(value.parameters)}


_NUMBER = {"type": "number", "minimum": 0}
_PAIR = {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}
_SCHEMA = {
    "anyOf": [
        _NUMBER,
        *(
            {
                "type": "object",
                "properties": {key: _NUMBER if len(family.names) == 1 else _PAIR},
                "required": [key],
                "additionalProperties": False,
            }
            for key, family in _FAMILIES.items()
        ),
    ]
}
Time = Annotated[Span, PlainValidator(span), PlainSerializer(_written), WithJsonSchema(_SCHEMA)]
