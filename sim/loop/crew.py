"""A crew computes blocks: a bounded window of them in its hands, and what when a worker dies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field
from itertools import islice

from sim.engines import Engine
from sim.errors import Fault


@dataclass(frozen=True)
class Block:
    """One block of a bag's trials."""

    bag: str
    index: int


class BlockFailed(Fault):
    """A block that could not be computed; all that was finished is kept."""


Task = Callable[[], None]
"""What computes a block: it travels to a worker, so it can be pickled."""


@dataclass
class Crew:
    """Workers, the blocks in their hands, and what to do when one dies.

    `task` says how a block is computed, `keep` takes one that is; a block that is no longer
    `wanted` is not waited for.
    """

    engine: Engine
    task: Callable[[Block], Task]
    keep: Callable[[Block], None]
    wanted: Callable[[Block], bool] = lambda block: True
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
            while any(map(self.wanted, self.held.values())):
                done, _ = wait(self.held, return_when=FIRST_COMPLETED)
                for future in sorted(done, key=_went_wrong):  # keep what is good first
                    self._take(future)
                self._hand_out(executor, islice(blocks, len(done)))
        self.held.clear()

    def _hand_out(self, executor: Executor, blocks: Iterable[Block]) -> None:
        for block in blocks:
            self.loose = block  # submit raises where the pool is broken: then nobody has it
            self.held[executor.submit(self.task(block))] = block
            self.loose = None

    def _take(self, future: Future[None]) -> None:
        error = future.exception()
        if isinstance(error, BrokenExecutor):
            raise error
        block = self.held.pop(future)
        if error is None:
            self.keep(block)
        elif self.wanted(block):
            raise _failure(block, error) from error

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
        if not self.wanted(block):
            return
        try:
            with self.engine.open(workers=1) as executor:
                executor.submit(self.task(block)).result()
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
