"""A bag whose blocks go wrong on purpose, and small tasks for workers; workers import it."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from threadpoolctl import threadpool_info

from sim.contracts.arrays import Counts, Mix
from sim.contracts.bag import BAGS, Bag
from sim.experiment import Experiment

if TYPE_CHECKING:  # a worker starts sooner without it
    import pytest


class Odd(Exception):
    """An error that pickles and does not come back: it is made from two arguments."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"{what} {where}")


class Faulty(Bag):
    """A fair coin; a block goes wrong where the first number of its stream is below `share`."""

    kind: Literal["faulty"] = "faulty"
    fault: Literal["raise", "odd", "exit", "kill", "threads"] = "raise"
    share: float = 0.0
    pause: float = 0.0
    most_trials_a_block: ClassVar[int] = 8

    @property
    def colours(self) -> tuple[str, ...]:
        return ("heads", "tails")

    def truth(self, n: int) -> Mix:
        return np.array([0.5, 0.5])

    def tally(
        self, sizes: Sequence[int], trials: int, rng: np.random.Generator
    ) -> Iterator[Counts]:
        if rng.random() < self.share:
            self.go_wrong()
        time.sleep(self.pause)
        counts = np.zeros((trials, 2), dtype=np.int64)
        before = 0
        for size in sizes:
            heads = rng.binomial(size - before, 0.5, size=trials)
            counts += np.stack([heads, size - before - heads], axis=1)
            before = size
            yield counts

    def go_wrong(self) -> None:
        if self.fault == "raise":
            raise RuntimeError("the bag is torn")
        if self.fault == "odd":
            raise Odd("the bag", "is torn")
        if self.fault == "exit":
            os._exit(3)
        if self.fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if any(library["num_threads"] != 1 for library in threadpool_info()):
            raise RuntimeError(f"more than one thread: {threadpool_info()}")


def guilty(experiment: Experiment, bag: str) -> list[int]:
    """Return the blocks of a faulty bag that go wrong."""
    share = experiment.bags[bag].share
    blocks = range(experiment.blocks(bag))
    return [i for i in blocks if experiment.stream(bag, index=i).random() < share]


def install(folder: Path) -> Path:
    """Write what `pip install` would leave of a package with this bag; return its folder."""
    facts = folder / "klsim_faulty-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: klsim-faulty\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[klsim]\nbags.faulty = faulty:Faulty\n")
    return folder


def install_here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the bag on the shelf of this process and of its workers, until the test ends."""
    BAGS.kinds()  # so that there is a list of installed members to put back
    monkeypatch.syspath_prepend(install(folder))
    monkeypatch.delitem(vars(BAGS), "_installed")


GREETING = "hello"


def greet() -> str:
    return GREETING


def pid() -> int:
    return os.getpid()


def nap(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def interrupt_oneself() -> str:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.2)
    return "still here"


def end_at_once() -> None:
    os._exit(1)


def fail() -> None:
    raise ValueError("no")


def threads() -> dict[str, int]:
    """Return the threads of each numeric library, once numpy and scipy have loaded theirs."""
    import scipy.linalg  # noqa: F401

    return {library["filepath"]: library["num_threads"] for library in threadpool_info()}


def sleep_in_workers() -> None:
    """Start two workers, one busy and one idle, say who they are, and wait to be killed."""
    from sim.engines import Engine

    with Engine("processes", 2).open() as executor:
        first = executor.submit(nap, 1.0)
        executor.submit(nap, 300.0)
        executor.submit(nap, 0.0)
        busy = {process.pid for process in executor._processes.values()}
        first.result()
        print(*busy, flush=True)
        sys.stdin.read()
