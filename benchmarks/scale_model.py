"""What a run takes, from what its pieces take: a model of one screen, and nothing but arithmetic.

Workers draw blocks while the coordinator keeps what they drew: the slower of both decides. Then
workers read pieces of parts while the coordinator merges what they found: again the slower one.
With one worker everything is done in turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isqrt

from sim.loop.spread import READ_TO_MERGE


@dataclass(frozen=True)
class Costs:
    """What one kind of experiment costs, in seconds; of a bag."""

    trials: int
    """Trials of a block."""
    block: float
    """A worker draws a block, estimates, and writes its part."""
    keep: float
    """The coordinator hands a block out, takes it back and gives the part its name."""
    read: float
    """A worker gathers a part, in all the readings that there are."""
    merge: float
    """The coordinator takes what was gathered of a piece and merges it."""
    once: float
    """Exact values and tables: once, whatever the trials."""


@dataclass(frozen=True)
class Predicted:
    """Seconds of both stages of a run."""

    drawing: float
    analysis: float

    @property
    def total(self) -> float:
        """Seconds of the whole."""
        return self.drawing + self.analysis


def cut(parts: int) -> tuple[int, int]:
    """Return how many parts a piece has, and how many pieces there are."""
    size = max(1, isqrt(parts // READ_TO_MERGE))
    return size, ceil(parts / size)


def predict(costs: Costs, trials: int, workers: int, start: float = 0.0) -> Predicted:
    """Return the seconds of a run; `start` is what workers take to start, in both stages."""
    parts = ceil(trials / costs.trials)
    size, pieces = cut(parts)
    if workers == 1:
        drawing = parts * (costs.block + costs.keep)
        return Predicted(drawing, parts * costs.read + pieces * costs.merge + costs.once)
    # fewer than a whole block each is not possible; of many, who is done first takes the next
    blocks, shares = max(1.0, parts / workers), max(1.0, pieces / workers)
    drawing = start + max(blocks * costs.block, parts * costs.keep)
    reading = start + max(shares * size * costs.read, pieces * costs.merge)
    return Predicted(drawing, reading + costs.once)


def saturation(costs: Costs) -> int:
    """Return the number of workers beyond which the coordinator is the slower one."""
    return max(1, int(costs.block / costs.keep))
