"""A bag: balls of known proportions and the rule by which they are drawn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, TypeAlias

import numpy as np

from sim.contracts.arrays import Colours, Counts, Mix
from sim.contracts.component import Component, Family
from sim.laws import CountLaw
from sim.sizes import Sizes


class Bag(Component, ABC):
    """What every bag gives: its colours, its truth, and counts of draws in bulk.

    A new bag extends this class, and gives `tally`, where counts can be drawn in bulk;
    `SequentialBag`, and gives `draw`, where balls leave one after another; or `TimedBag`,
    and gives `events`, where a clock decides. `sizes:` on a bag replaces the experiment's.
    """

    sizes: Sizes | None = None

    most_trials_a_block: ClassVar[int] = 4096
    independent: ClassVar[bool] = False
    """Whether draws are independent, all from `truth`: what theory's rates ask for."""

    @property
    @abstractmethod
    def colours(self) -> tuple[str, ...]:
        """The names of the K colours."""

    @property
    def limit(self) -> int | None:
        """The most draws that the bag gives; None where it has no end."""
        return None

    @abstractmethod
    def truth(self, n: int) -> Mix:
        """Return the real distribution that n draws are held against; shape (K,)."""

    @abstractmethod
    def tally(
        self, sizes: Sequence[int], trials: int, rng: np.random.Generator
    ) -> Iterator[Counts]:
        """Yield the counts after each of the ascending `sizes`; shape (trials, K), cumulative.

        The array may be changed by the next step: whoever keeps it, copies it.
        """

    def count_law(self, n: int) -> CountLaw | None:
        """Return the exact law of the counts of n draws; None where it is not known."""
        return None


class SequentialBag(Bag, ABC):
    """A bag whose balls leave one after another; each trial has its own stream."""

    @abstractmethod
    def draw(self, n: int, rng: np.random.Generator) -> Colours:
        """Return n draws in order, shape (n,); `draw(m)` is the prefix of `draw(n)`."""

    def tally(
        self, sizes: Sequence[int], trials: int, rng: np.random.Generator
    ) -> Iterator[Counts]:
        """Yield the counts of `draw` after each of the ascending `sizes`."""
        number = len(self.colours)
        draws = [self.draw(sizes[-1], stream) for stream in rng.spawn(trials)]
        counts = np.zeros((trials, number), dtype=np.int64)
        before = 0
        for size in sizes:
            for row, drawn in zip(counts, draws, strict=True):
                row += np.bincount(drawn[before:size], minlength=number)
            before = size
            yield counts


Event: TypeAlias = tuple[float, str, int]
"""A time, what happened, and the position of its colour (−1 where it has none)."""


class TimedBag(SequentialBag, ABC):
    """A bag with a clock: what happens when is part of its result."""

    most_trials_a_block: ClassVar[int] = 64
    drawn: ClassVar[str] = "draw"
    """The name of the event that is a draw."""

    @abstractmethod
    def events(self, n: int, rng: np.random.Generator) -> Iterator[Event]:
        """Yield what happens, in order of time, until n balls are drawn."""

    def draw(self, n: int, rng: np.random.Generator) -> Colours:
        """Return the colours of the events that are draws."""
        drawn = (colour for _, name, colour in self.events(n, rng) if name == self.drawn)
        return np.fromiter(drawn, dtype=np.int64, count=n)


BAGS = Family("bags", "bag")
AnyBag = Annotated[Bag, BAGS]
