"""A bag: balls of known proportions and the rule by which they are drawn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray
from simpy import Environment, Event

from sim.cells import Cells
from sim.contracts.arrays import Colours, Counts, Mix
from sim.contracts.component import Component, Family
from sim.sizes import Sizes

if TYPE_CHECKING:
    from sim.laws.counts import CountLaw


class Bag(Component, ABC):
    """What every bag gives: its colours, its truth, and counts of draws in bulk.

    A new bag extends this class, and gives `tally`, where counts can be drawn in bulk;
    `SequentialBag`, and gives `draw`, where balls leave one after another; or `TimedBag`,
    and gives `begin`, where a clock decides. `sizes:` on a bag replaces the experiment's.
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

    def expected(self, n: int) -> Mix:
        """Return E p̂ of n draws; shape (K,). A bag where this is not the truth says so here."""
        return self.truth(n)

    @abstractmethod
    def tally(
        self, sizes: Sequence[int], trials: int, rng: np.random.Generator
    ) -> Iterator[Counts]:
        """Yield the counts after each of the ascending `sizes`; shape (trials, K), cumulative.

        The array may be changed by the next step: whoever keeps it, copies it.
        """

    def cells(self, sizes: Sequence[int], trials: int, rng: np.random.Generator) -> Iterator[Cells]:
        """Yield the counts of `tally`; a bag that holds them in fewer bytes gives those here."""
        for size, counts in zip(sizes, self.tally(sizes, trials, rng), strict=True):
            yield Cells(counts, size)

    def count_law(self, n: int) -> CountLaw | None:
        """Return the exact law of the counts of n draws; None where it is not known."""
        return None

    def count_variance(self, n: int) -> Mix | None:
        """Return the exact variance of each count of n draws, (K,); None where not known."""
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
        number, edges = len(self.colours), list(pairwise((0, *sizes)))
        drawn = (self.draw(sizes[-1], stream) for stream in rng.spawn(trials))
        if len(sizes) * number > sizes[-1]:  # keep the draws where they are fewer than the counts
            kept = np.stack([colours.astype(np.int32) for colours in drawn])
            steps: Iterable[Counts] = (_counted(kept[:, a:b], number) for a, b in edges)
        else:
            held = np.zeros((len(sizes), trials, number), dtype=np.int64)
            for trial, colours in enumerate(drawn):
                for step, (start, end) in zip(held, edges, strict=True):
                    step[trial] = np.bincount(colours[start:end], minlength=number)
            steps = held
        counts = np.zeros((trials, number), dtype=np.int64)
        for step in steps:
            counts += step
            yield counts


def _counted(drawn: NDArray[np.int32], number: int) -> Counts:
    return np.stack([np.bincount(row, minlength=number) for row in drawn])


Happening: TypeAlias = tuple[float, str, int]
"""A time, what happened, and the position of its colour (−1 where it has none)."""

Log: TypeAlias = list[Happening]


class TimedBag(SequentialBag, ABC):
    """A bag with a clock, a SimPy simulation: what happens when is part of its result."""

    most_trials_a_block: ClassVar[int] = 64
    drawn: ClassVar[str] = "draw"
    """What a draw is called in the log."""

    @abstractmethod
    def begin(self, env: Environment, n: int, rng: np.random.Generator, log: Log) -> Event:
        """Start the simulation; return the event that ends it, when n balls are drawn.

        Whatever happens is added to the log when it happens.
        """

    def events(self, n: int, rng: np.random.Generator) -> Iterator[Happening]:
        """Yield what happens, in order of time, until n balls are drawn."""
        env, log = Environment(), Log()
        end = self.begin(env, n, rng, log)
        while not end.processed:
            env.step()
            yield from log
            log.clear()

    def draw(self, n: int, rng: np.random.Generator) -> Colours:
        """Return the colours of the first n draws."""
        env, log = Environment(), Log()
        env.run(self.begin(env, n, rng, log))
        drawn = (colour for _, name, colour in log if name == self.drawn)
        return np.fromiter(drawn, dtype=np.int64, count=n)


BAGS = Family("bags", "bag")
AnyBag = Annotated[Bag, BAGS]
