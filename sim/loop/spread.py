"""Work on the parts of a run, spread over the workers of an engine; results keep their order."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from math import isqrt
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Generic, TypeVar, cast

from sim.engines import Engine
from sim.store.parts import Parts

READ_TO_MERGE = 6
"""How many times as long it takes to read a part as to merge here what a piece gave."""

TRIED = 0.5
"""Seconds of work before what is left is guessed from it."""

WORTH_WORKERS = 3.0
"""Seconds of work left that are worth starting processes for."""

P = TypeVar("P")
T = TypeVar("T")

_log = logging.getLogger(__name__)


def pieces(bags: Iterable[Parts]) -> list[Parts]:
    """Return the parts of each bag in pieces, cut by their number and nothing else.

    With r = READ_TO_MERGE, pieces of √(parts/r) parts take r·√(parts/r) to read, all at the same
    time, and as long to merge one by one: no other cut is done sooner, however many workers.
    """
    found: list[Parts] = []
    for parts in bags:
        size = max(1, isqrt(len(parts) // READ_TO_MERGE))
        cuts = range(0, len(parts), size)
        found += [Parts(parts.paths[first : first + size]) for first in cuts]
    return found


@contextmanager
def spread(engine: Engine, worth: float = WORTH_WORKERS) -> Iterator[Spread]:
    """Yield what does as `map` does; workers are started where they pay, and end with it."""
    with ExitStack() as stack:
        yield Spread(engine, worth, stack)


@dataclass
class Spread:
    """Does the work here as long as workers would not pay, then by processes of this machine."""

    engine: Engine
    worth: float
    stack: ExitStack
    workers: Executor | None = None
    broken: bool = False

    def __call__(self, work: Callable[[P], T], pieces: Sequence[P], /) -> Iterator[T]:
        """Yield the results in the order of the pieces."""
        begun = time.monotonic()
        for number, piece in enumerate(pieces):
            if self._pays(time.monotonic() - begun, number, len(pieces) - number):
                yield from self._by_workers(work, pieces[number:])
                return
            yield work(piece)

    def _pays(self, seconds: float, done: int, left: int) -> bool:
        if self.workers is not None:
            return True
        return self.engine.parallel and done > 0 and seconds / done * left > self.worth

    def _by_workers(self, work: Callable[[P], T], pieces: Sequence[P]) -> Iterator[T]:
        if self.workers is None:
            self.workers = self.stack.enter_context(self.engine.open())
        held: deque[_Answer[P, T]] = deque()
        for piece in pieces:
            if len(held) == 2 * self.engine.workers:
                yield self._first(work, held)
            held.append(_Answer.asked(self.workers, work, piece))
        while held:
            yield self._first(work, held)

    def _first(self, work: Callable[[P], T], held: deque[_Answer[P, T]]) -> T:
        """Return the first result; where its worker died, do the work here."""
        while not held[0].is_settled:
            open_ones = {one.ours: one for one in held if not one.is_settled}
            for ready in wait(list(open_ones), timeout=0.05):
                open_ones[cast(Connection, ready)].receive()
            held[0].look()
        answer = held.popleft()
        if answer.is_lost:
            if not self.broken:
                _log.warning("klsim: a worker died while it read trials; the rest is read here")
            self.broken = True
            return work(answer.piece)
        return answer.made[0]


@dataclass
class _Answer(Generic[P, T]):
    """What a worker will send of a piece, through a pipe of its own.

    A pool has one pipe for all: a worker that is killed while it writes megabytes there would
    leave everybody else waiting for the rest. Here its death is the end of the pipe.
    """

    piece: P
    future: Future[None]
    ours: Connection
    theirs: Connection
    made: list[T] = field(default_factory=list)
    is_lost: bool = False

    @classmethod
    def asked(cls, workers: Executor, work: Callable[[P], T], piece: P) -> _Answer[P, T]:
        """Ask workers to do the work of a piece."""
        ours, theirs = Pipe(duplex=False)
        try:
            future = workers.submit(_send, work, piece, theirs)
        except BrokenExecutor as error:
            future = Future()
            future.set_exception(error)
        return cls(piece, future, ours, theirs)

    @property
    def is_settled(self) -> bool:
        """Whether nothing more will come."""
        return bool(self.made) or self.is_lost

    def receive(self) -> None:
        """Take what comes: the worker has its end by now, so that its death ends the pipe."""
        self.theirs.close()
        try:
            self.made.append(self.ours.recv())
        except (EOFError, OSError):
            self.is_lost = True
        self.ours.close()

    def look(self) -> None:
        """Look whether the worker ended without an answer; what it raised is raised here."""
        if self.is_settled or not self.future.done() or self.ours.poll():
            return
        self.theirs.close()
        self.ours.close()
        self.is_lost = True
        error = self.future.exception()
        if error is not None and not isinstance(error, BrokenExecutor):
            raise error


def _send(work: Callable[[P], T], piece: P, theirs: Connection) -> None:
    """Do a piece of work and send its result; runs in a worker."""
    with theirs:
        theirs.send(work(piece))
