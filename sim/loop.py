"""Which blocks, in what order, and what when one fails: only here is anything decided."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field
from itertools import chain, islice

from sim.engines import Engine
from sim.errors import Fault
from sim.experiment import Experiment
from sim.store.directory import Directory
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


class BlockFailed(Fault):
    """A block that could not be computed; all that was finished is kept."""


Progress = Callable[[int, int], None]
"""Called with the trials done and the trials in all, over all bags."""


def all_blocks(experiment: Experiment) -> Iterator[Block]:
    """Yield every block, the first of each bag first: an early stop leaves all bags alike."""
    counts = {bag: experiment.blocks(bag) for bag in experiment.bags}
    for index in range(max(counts.values())):
        yield from (Block(bag, index) for bag, count in counts.items() if index < count)


def make_part(experiment: Experiment, block: Block) -> bytes:
    """Return the bytes of a block's part; runs in a worker."""
    rows = block_rows(experiment, block.bag, block.index)
    return encode(rows, header(experiment, block.bag, block.index))


def complete(
    experiment: Experiment, directory: Directory, engine: Engine, progress: Progress
) -> int:
    """Compute and store every block that is missing; return how many were computed."""
    total = experiment.trials * len(experiment.bags)
    counter = _Counter(experiment, progress, total)
    missing = counter.skipping(directory, all_blocks(experiment))

    def keep(block: Block, content: bytes) -> None:
        directory.save_part(block.bag, block.index, content)
        counter.add(block, computed=True)

    crew = _Crew(experiment, engine, keep)
    if engine.hesitant:
        missing = _begin(crew, missing, counter)
    first = next(missing, None)  # no workers for nothing
    if first is not None:
        crew.work(chain([first], missing))
    return counter.computed


def _begin(crew: _Crew, blocks: Iterator[Block], counter: _Counter) -> Iterator[Block]:
    """Compute here as long as workers would not pay; return the blocks that are left."""
    serial = _Crew(crew.experiment, Engine("serial"), crew.keep)
    begun, before = time.monotonic(), counter.done
    for block in blocks:
        serial.work(iter([block]))
        spent = time.monotonic() - begun
        left = spent / (counter.done - before) * (counter.total - counter.done)
        if spent > TRIED and left > WORTH_WORKERS:
            break
    return blocks


@dataclass
class _Counter:
    """Counts the trials that are done and tells whoever watches."""

    experiment: Experiment
    progress: Progress
    total: int
    done: int = 0
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
        held = self.experiment.block_trials(block.bag)
        self.done += min(held, self.experiment.trials - block.index * held)
        self.computed += computed
        self.progress(self.done, self.total)


@dataclass
class _Crew:
    """Workers, a bounded window of blocks in their hands, and what to do when one dies."""

    experiment: Experiment
    engine: Engine
    keep: Callable[[Block, bytes], None]
    held: dict[Future[bytes], Block] = field(default_factory=dict)
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
                for future in done:
                    self._take(future)
                self._hand_out(executor, islice(blocks, len(done)))

    def _hand_out(self, executor: Executor, blocks: Iterable[Block]) -> None:
        for block in blocks:
            self.loose = block  # submit raises where the pool is broken: then nobody has it
            self.held[executor.submit(make_part, self.experiment, block)] = block
            self.loose = None

    def _take(self, future: Future[bytes]) -> None:
        error = future.exception()
        if isinstance(error, BrokenExecutor):
            raise error
        block = self.held.pop(future)
        if error is not None:
            raise _failure(block, error) from error
        self.keep(block, future.result())

    def _suspects(self) -> list[Block]:
        """Keep what was finished before the pool broke; return the rest of what was in hand."""
        lost = [self.loose] if self.loose else []
        for future, block in self.held.items():
            if future.done() and future.exception() is None:
                self.keep(block, future.result())
            else:
                lost.append(block)
        self.held.clear()
        self.loose = None
        return lost

    def _alone(self, block: Block) -> None:
        try:
            with self.engine.open(workers=1) as executor:
                content = executor.submit(make_part, self.experiment, block).result()
        except BrokenExecutor as error:
            raise BlockFailed(
                f"block {block.index} of bag {block.bag!r}: its worker died twice (killed, or out "
                "of memory); every finished block is kept, and the same command goes on from there"
            ) from error
        except Exception as error:
            raise _failure(block, error) from error
        self.keep(block, content)


def _failure(block: Block, error: BaseException) -> BlockFailed:
    return BlockFailed(
        f"block {block.index} of bag {block.bag!r} failed: {type(error).__name__}: {error}; "
        "every finished block is kept, and the same command goes on from there"
    )
