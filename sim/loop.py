"""Which blocks, in what order, and what when one fails: only here is anything decided."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path

from sim.engines import Engine
from sim.errors import Fault
from sim.experiment import Experiment
from sim.store.directory import Directory, write_through
from sim.store.parts import encode, header
from sim.trials import block_rows

TRIED = 0.5
"""Seconds of work before what is left is guessed from it."""

WORTH_WORKERS = 3.0
"""Seconds of work left that are worth starting processes for."""


@dataclass(frozen=True)
class Block:
    """One block of a bag's trials."""

    bag: str
    index: int


class _BlockError(Exception):
    """What went wrong in a block, in words: not every exception can travel between processes."""


class BlockFailed(Fault):
    """A block that could not be computed; all that was finished is kept."""


Progress = Callable[[int, int], None]
"""Called with the trials done and the trials in all, over all bags."""


def all_blocks(experiment: Experiment) -> Iterator[Block]:
    """Yield every block, the first of each bag first: an early stop leaves all bags alike."""
    counts = {bag: experiment.blocks(bag) for bag in experiment.bags}
    for index in range(max(counts.values())):
        yield from (Block(bag, index) for bag, count in counts.items() if index < count)


def make_part(experiment: Experiment, block: Block, staged: Path) -> None:
    """Write a block's part where the coordinator finds it; runs in a worker.

    Nothing comes back through the pool's pipe: a worker killed while it writes megabytes there
    would leave everybody else waiting for the rest.
    """
    try:
        rows = block_rows(experiment, block.bag, block.index)
        write_through(staged, encode(rows, header(experiment, block.bag, block.index)))
    except Exception as error:
        raise _BlockError(f"{type(error).__name__}: {error}") from None


def complete(
    experiment: Experiment, directory: Directory, engine: Engine, progress: Progress
) -> int:
    """Compute and store every block that is missing; return how many were computed."""
    counter = _Counter(experiment, progress)
    missing = counter.skipping(directory, all_blocks(experiment))

    def keep(block: Block) -> None:
        directory.adopt(block.bag, block.index)
        counter.add(block, computed=True)

    crew = _Crew(experiment, engine, directory, keep)
    if engine.hesitant:
        missing = _begin(crew, missing, counter)
    first = next(missing, None)  # no workers for nothing
    if first is not None:
        crew.work(chain([first], missing))
    return counter.computed


def _begin(crew: _Crew, blocks: Iterator[Block], counter: _Counter) -> Iterator[Block]:
    """Compute here as long as workers would not pay; return the blocks that are left."""
    serial = replace(crew, engine=Engine("serial"), held={})
    begun = time.monotonic()
    paces: dict[str, float] = {}
    for block in blocks:
        before = time.monotonic()
        serial.work(iter([block]))
        now = time.monotonic()
        paces[block.bag] = (now - before) / counter.held(block)
        if now - begun > TRIED and counter.left(paces) > WORTH_WORKERS:
            break
    return blocks


@dataclass
class _Counter:
    """Counts the trials that are done and tells whoever watches."""

    experiment: Experiment
    progress: Progress
    done: Counter[str] = field(default_factory=Counter)
    computed: int = 0

    def skipping(self, directory: Directory, blocks: Iterable[Block]) -> Iterator[Block]:
        """Yield the blocks that are not stored yet; count those that are."""
        for block in blocks:
            if directory.has(self.experiment, block.bag, block.index):
                self.add(block)
            else:
                yield block

    def add(self, block: Block, *, computed: bool = False) -> None:
        """Count one block."""
        self.done[block.bag] += self.held(block)
        self.computed += computed
        self.progress(self.done.total(), self.experiment.trials * len(self.experiment.bags))

    def held(self, block: Block) -> int:
        """Return how many trials of the experiment a block holds."""
        drawn = self.experiment.block_trials(block.bag)
        return min(drawn, self.experiment.trials - block.index * drawn)

    def left(self, paces: Mapping[str, float]) -> float:
        """Return the seconds of work left, at so many seconds a trial of each bag."""
        slowest = max(paces.values())
        trials = ((bag, self.experiment.trials - self.done[bag]) for bag in self.experiment.bags)
        return sum(number * paces.get(bag, slowest) for bag, number in trials)


@dataclass
class _Crew:
    """Workers, a bounded window of blocks in their hands, and what to do when one dies."""

    experiment: Experiment
    engine: Engine
    directory: Directory
    keep: Callable[[Block], None]
    held: dict[Future[None], Block] = field(default_factory=dict)
    loose: Block | None = None

    def work(self, blocks: Iterator[Block]) -> None:
        """Compute all blocks; after a worker's death go on with new workers.

        A broken pool does not say which block broke it: those in hand are computed again
        one at a time, so that the guilty one is alone when it does it again.
        """
        more = True
        while more:
            try:
                self._flow(blocks)
                more = False
            except BrokenExecutor:
                for suspect in self._suspects():
                    self._alone(suspect)

    def _flow(self, blocks: Iterator[Block]) -> None:
        window = 2 * self.engine.workers if self.engine.parallel else 1
        with self.engine.open() as executor:
            self._hand_out(executor, islice(blocks, window))
            while self.held:
                done, _ = wait(self.held, return_when=FIRST_COMPLETED)
                for future in sorted(done, key=_went_wrong):  # keep what is good first
                    self._take(future)
                self._hand_out(executor, islice(blocks, len(done)))

    def _hand_out(self, executor: Executor, blocks: Iterable[Block]) -> None:
        for block in blocks:
            self.loose = block  # submit raises where the pool is broken: then nobody has it
            self.held[self._submit(executor, block)] = block
            self.loose = None

    def _submit(self, executor: Executor, block: Block) -> Future[None]:
        staged = self.directory.staged(block.bag, block.index)
        return executor.submit(make_part, self.experiment, block, staged)

    def _take(self, future: Future[None]) -> None:
        error = future.exception()
        if isinstance(error, BrokenExecutor):
            raise error
        block = self.held.pop(future)
        if error is not None:
            raise _failure(block, error) from error
        self.keep(block)

    def _suspects(self) -> list[Block]:
        """Keep what was finished before the pool broke; return the rest of what was in hand."""
        lost = [self.loose] if self.loose else []
        for future, block in self.held.items():
            if future.done() and future.exception() is None:
                self.keep(block)
            else:
                lost.append(block)
        self.held.clear()
        self.loose = None
        return lost

    def _alone(self, block: Block) -> None:
        try:
            with self.engine.open(workers=1) as executor:
                self._submit(executor, block).result()
        except BrokenExecutor as error:
            raise BlockFailed(
                f"block {block.index} of bag {block.bag!r}: its worker died twice (killed, or out "
                "of memory); every finished block is kept, and the same command goes on from there"
            ) from error
        except Exception as error:
            raise _failure(block, error) from error
        self.keep(block)


def _went_wrong(future: Future[None]) -> bool:
    return future.exception() is not None


def _failure(block: Block, error: BaseException) -> BlockFailed:
    return BlockFailed(
        f"block {block.index} of bag {block.bag!r} failed: {error}; "
        "every finished block is kept, and the same command goes on from there"
    )
