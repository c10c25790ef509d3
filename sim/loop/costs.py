"""What pieces of a run cost goes in; what the whole run costs comes out: nothing but arithmetic."""

from __future__ import annotations

import os
from dataclasses import dataclass

from sim.engines import Engine
from sim.loop.spread import TRIED, WORTH_WORKERS

KEEPING = 0.003
"""Seconds until the disk has a part and it has its name (docs/scale.md)."""

AROUND = 0.15
"""Seconds to begin and end a run: its lock, its log, its tables on the disk."""

STARTING = 1.5
"""Seconds until worker processes are there."""

SHARED = 0.93
"""Of a core, what a worker has of it beside the coordinator and the others (docs/scale.md)."""


@dataclass(frozen=True)
class Work:
    """Work in pieces, all seconds of one core: what can be shared, and what cannot."""

    pieces: int
    shared: float
    alone: float

    @property
    def total(self) -> float:
        """Seconds of one core for all of it."""
        return self.shared + self.alone

    def seconds(self, engine: Engine) -> float:
        """Return the seconds that it takes this engine on this machine."""
        hands = min(hands_of(engine), max(1, self.pieces))
        begun = TRIED if engine.hesitant else 0.0
        left = self.shared - begun
        if hands == 1 or (engine.hesitant and left <= WORTH_WORKERS):
            return self.shared + self.alone
        longest = self.shared / self.pieces
        spread = max(left / (hands * SHARED), longest, self.alone)
        return begun + STARTING + spread


def hands_of(engine: Engine) -> int:
    """Return how many blocks are computed at the same time: no more than there are cores.

    Nobody asks a scheduler of Dask: its workers are taken for as many as this machine has cores.
    """
    cores = os.cpu_count() or 1
    if engine.remote:
        return cores
    return min(engine.workers, cores) if engine.parallel else 1
