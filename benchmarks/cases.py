"""What is measured: bags, sizes and trials, the same for klsim and for its peers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

SEED = 20240601
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
PIECE_BYTES = 64 * 2**20
"""Counts held at once: the piece in which klsim and the vectorised peer draw."""

DECADES = tuple(round(10 ** (step / 4)) for step in range(4, 21))
"""The sizes of configs/red_blue.yaml: 10 to 100,000, four a decade."""


@dataclass(frozen=True)
class Case:
    """One bag, counted at each size: K = 2 is red and blue, 10 to 15; any other K is Zipf's.

    The loop is slow, runs `loop_trials`, and its time is scaled to the trials of the others.
    """

    colours: int
    trials: int
    loop_trials: int
    sizes: tuple[int, ...] = DECADES

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """The bag's proportions, shape (K,)."""
        if self.colours == 2:
            return np.array([0.4, 0.6])
        weights = 1 / np.arange(1, self.colours + 1)
        return weights / weights.sum()

    @property
    def balls(self) -> str:
        """The same as YAML."""
        if self.colours == 2:
            return "{red: 10, blue: 15}"
        return f"{{zipf: {{colours: {self.colours}}}}}"

    def of(self, trials: int) -> Case:
        """Return the same case with another number of trials."""
        return replace(self, trials=trials)


@dataclass(frozen=True)
class Plan:
    """What one benchmark measures, and how often."""

    cases: tuple[Case, ...]
    memory: tuple[Case, ...]
    run_rounds: int


# whole runs of some ten seconds, in whole blocks (klsim draws a block whole); memory from two
# blocks on, for the first leaves room that the second then fills
FULL = Plan(
    cases=(
        Case(2, trials=180 * 4096, loop_trials=80),
        Case(100, trials=50 * 4096, loop_trials=50),
        Case(1000, trials=10 * 4096, loop_trials=30),
        Case(10_000, trials=11 * 838, loop_trials=20),
    ),
    memory=(
        Case(2, 5 * 4096, 0),
        Case(100, 2 * 4096, 0, sizes=(10, 100, 1000)),
        Case(10_000, 2 * 838, 0, sizes=(10,)),
    ),
    run_rounds=5,
)

# that it works, in seconds
QUICK = Plan(
    cases=(Case(3, 50, 5, sizes=(10, 100)),),
    memory=(Case(2, 4096, 0, sizes=(10, 100)),),
    run_rounds=1,
)
