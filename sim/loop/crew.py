"""A crew computes blocks: a bounded window of them in its hands, and what when a worker dies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sim.engines import Engine
from sim.engines.workers import WorkerDied, Workers
from sim.errors import Fault


@dataclass(frozen=True)
class Block:
    """One block of a bag's trials."""

    bag: str
    index: int


class BlockFailed(Fault):
    """A block that could not be computed; all that was finished is kept."""


class BlockError(Exception):
    """What went wrong in a block, in words: not every exception can travel between processes."""


@contextmanager
def in_words() -> Iterator[None]:
    """Raise whatever goes wrong inside as a BlockError."""
    try:
        yield
    except Exception as error:
        raise BlockError(f"{type(error).__name__}: {error}") from None


Made = bytes | None
"""What a worker gives back: the bytes of a part, or nothing where it wrote them itself."""

Task = Callable[[], Any]
"""What computes a block and gives what was made of it, or the rest that gives it.

One that travels to a worker can be pickled, and has no rest.
"""

LOOK = 1.0
"""Seconds after which workers are looked after though none has finished."""


@dataclass
class Crew:
    """Workers, the blocks in their hands, and what to do when one dies.

    `task` says how a block is computed, `keep` takes one that is; a block that is no longer
    `wanted` is not waited for.
    """

    engine: Engine
    task: Callable[[Block], Task]
    keep: Callable[[Block, Made], None]
    wanted: Callable[[Block], bool] = lambda block: True
    held: dict[Future[Made], Block] = field(default_factory=dict)
    lost: list[Block] = field(default_factory=list)

    def work(self, blocks: Iterator[Block]) -> None:
        """Compute all blocks; after a worker's death go on with new workers.

        A broken pool does not say which block broke it: those in hand are computed again
        one at a time, so that the guilty one is alone when it does it again.
        """
        more = True
        while more:
            try:
                self._flow(blocks)
                more = bool(self.lost)
            except BrokenExecutor:
                self._save_the_rest()
            while self.lost:
                self._alone(self.lost.pop(0))

    def _flow(self, blocks: Iterator[Block]) -> None:
        with self.engine.open() as workers:
            self._hand_out(workers, blocks)
            while any(map(self.wanted, self.held.values())):
                for future in self._done(workers):
                    self._take(future)
                self._hand_out(workers, blocks)
        self.held.clear()

    def _hand_out(self, workers: Workers, blocks: Iterator[Block]) -> None:
        if self.lost:
            return  # first those: a bag may be waiting for one of them to end
        while len(self.held) < workers.window and (block := next(blocks, None)) is not None:
            self.lost.append(block)  # submit raises where the pool is broken: nobody has it then
            self.held[workers.submit(self.task(block))] = block
            self.lost.remove(block)

    def _done(self, workers: Workers) -> list[Future[Made]]:
        """Wait for some that are done; return what is good first, so that it is kept."""
        done, _ = wait(self.held, timeout=LOOK, return_when=FIRST_COMPLETED)
        workers.check()
        return sorted(done, key=_went_wrong)

    def _take(self, future: Future[Made]) -> None:
        error = future.exception()
        if isinstance(error, WorkerDied):
            self.lost.append(self.held.pop(future))
            return
        if isinstance(error, BrokenExecutor):
            raise error
        block = self.held.pop(future)
        if error is None:
            self.keep(block, future.result())
        elif self.wanted(block):
            raise _failure(block, error) from error

    def _save_the_rest(self) -> None:
        """Keep what was finished before the pool broke; the rest of what was in hand is lost."""
        for future, block in self.held.items():
            if future.done() and future.exception() is None:
                self.keep(block, future.result())
            else:
                self.lost.append(block)
        self.held.clear()

    def _alone(self, block: Block) -> None:
        """Compute a block with nothing beside it, so that a death is its own."""
        if not self.wanted(block):
            return
        try:
            with self.engine.open(workers=1) as workers:
                self.held[workers.submit(self.task(block))] = block
                while not (done := self._done(workers)):
                    pass
                made = done[0].result()
        except BrokenExecutor as error:
            raise BlockFailed(
                f"block {block.index} of bag {block.bag!r}: every worker that computed it died "
                "(killed, or out of memory); every finished block is kept, and the same command "
                "goes on from there"
            ) from error
        except Exception as error:
            raise _failure(block, error) from error
        finally:
            self.held.clear()
        self.keep(block, made)


def _went_wrong(future: Future[Made]) -> bool:
    return future.exception() is not None


def _failure(block: Block, error: BaseException) -> Fault:
    if isinstance(error, Fault):  # of the workers, not of the block
        return error
    return BlockFailed(
        f"block {block.index} of bag {block.bag!r} failed: {error}; "
        "every finished block is kept, and the same command goes on from there"
    )
