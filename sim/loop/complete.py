"""Which blocks, in what order, and when there are enough: only here is anything decided."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import pyarrow as pa
from threadpoolctl import threadpool_limits

from sim.analysis.series import COLUMNS, Series, series
from sim.engines import Engine
from sim.engines.workers import Rest
from sim.experiment import Experiment
from sim.loop.crew import Block, BlockError, Crew, Task, in_words
from sim.loop.spread import TRIED, WORTH_WORKERS
from sim.store.coverage import header, reusable
from sim.store.directory import Directory
from sim.store.parts import content_of, encode, rows_of
from sim.store.plain import write_through
from sim.trials import block_rows

Progress = Callable[[int, int], None]
"""Called with the trials done and, as far as is known, the trials in all, over all bags."""


_Rows = tuple[pa.Table, dict[str, Any]]


class Judge(Protocol):
    """What decides when a bag ends: it takes its blocks one after the other."""

    @property
    def blocks(self) -> int:
        """How many blocks it has taken."""

    @property
    def trials(self) -> int:
        """How many trials they hold."""

    @property
    def over(self) -> bool:
        """Whether the bag ends here."""

    @property
    def expected(self) -> int:
        """How many trials there will be, as far as is known now."""

    def add(self, batch: list[Series]) -> None:
        """Take the series of the next block."""


def all_blocks(
    experiment: Experiment, is_over: Callable[[str], bool] = lambda bag: False
) -> Iterator[Block]:
    """Yield every block, the first of each bag first: an early stop leaves all bags alike.

    A bag that is over gives no more.
    """
    left = {bag: experiment.blocks(bag) for bag in experiment.bags}
    index = 0
    while left:
        for bag in left:
            if not is_over(bag):
                yield Block(bag, index)
        index += 1
        left = {bag: most for bag, most in left.items() if index < most and not is_over(bag)}


def make_part(experiment: Experiment, block: Block, there: Path, staged: Path) -> None:
    """Write a block's part where the coordinator finds it; runs in a worker of this machine.

    Nothing comes back through the pool's pipe: a worker killed while it writes megabytes there
    would leave everybody else waiting for the rest.
    """
    begin_part(experiment, block, there, staged).finish()


def begin_part(experiment: Experiment, block: Block, there: Path, staged: Path) -> Rest:
    """Make a block's rows; the rest is to write them where the coordinator finds them."""
    return Rest(partial(_write, _rows(experiment, block, content_of(there)), staged))


def _write(rows: _Rows, staged: Path) -> None:
    try:
        write_through(staged, _encoded(rows))
    except OSError as error:
        raise BlockError(f"{staged.parent}: {error.strerror}") from None


def send_part(experiment: Experiment, block: Block, there: bytes) -> bytes:
    """Return the bytes of a block's part; runs in a worker, which may see no disk of ours."""
    return _encoded(_rows(experiment, block, there))


def _rows(experiment: Experiment, block: Block, there: bytes) -> _Rows:
    """Compute what the part that is there does not hold; return all, and what is said of it."""
    with in_words(), threadpool_limits(1):
        head = header(experiment, block.bag, block.index)
        return block_rows(experiment, block.bag, block.index, reusable(there, head)), head


def _encoded(rows: _Rows) -> bytes:
    with in_words():
        return encode(*rows)


def complete(
    experiment: Experiment,
    directory: Directory,
    engine: Engine,
    progress: Progress,
    judges: Mapping[str, Judge] = MappingProxyType({}),
) -> int:
    """Compute and store every block that is missing; return how many were computed.

    A bag that has a judge ends where the judge says, any other with its last block.
    """
    ledger = _Ledger(experiment, directory, progress, judges)
    missing = ledger.missing()
    beside = not judges  # a judge is heard before the next block is drawn
    crew = Crew(engine, _tasks(experiment, directory, engine, beside), ledger.keep, ledger.wants)
    if engine.hesitant:
        here = Engine("serial")
        tasks = _tasks(experiment, directory, here, beside)
        replace(crew, engine=here, task=tasks, held={}).work(_few(missing, ledger))
    first = next(missing, None)  # no workers for nothing
    if first is not None:
        crew.work(chain([first], missing))
    ledger.remove_surplus()
    return ledger.computed


def _tasks(
    experiment: Experiment, directory: Directory, engine: Engine, beside: bool
) -> Callable[[Block], Task]:
    """Return what makes a block's task; here, its part may be written beside the next block."""

    def task(block: Block) -> Task:
        there = directory.part(block.bag, block.index)
        if engine.remote:
            return partial(send_part, experiment, block, content_of(there))
        make = begin_part if beside and not engine.parallel else make_part
        return partial(make, experiment, block, there, directory.staged(block.bag, block.index))

    return task


def _few(blocks: Iterator[Block], ledger: _Ledger) -> Iterator[Block]:
    """Yield blocks as long as workers would not pay."""
    begun = before = time.monotonic()
    paces: dict[str, float] = {}
    for block in blocks:
        yield block
        now = time.monotonic()
        paces[block.bag] = (now - before) / ledger.experiment.kept(block.bag, block.index)
        before = now
        if now - begun > TRIED and ledger.left(paces) > WORTH_WORKERS:
            return


class _Ledger:
    """Keeps the blocks that are done, decides which are wanted, and tells whoever watches.

    A bag's blocks are judged in their order, whatever order they come in.
    """

    def __init__(
        self,
        experiment: Experiment,
        directory: Directory,
        progress: Progress,
        judges: Mapping[str, Judge],
    ) -> None:
        self.experiment = experiment
        self.computed = 0
        self._directory, self._progress, self._judges = directory, progress, judges
        self._done: Counter[str] = Counter()
        self._unjudged: dict[str, set[int]] = {bag: set() for bag in experiment.bags}

    def missing(self) -> Iterator[Block]:
        """Yield the blocks that are wanted and not stored yet; count those that are."""
        for block in all_blocks(self.experiment, self._is_over):
            if self._directory.has(header(self.experiment, block.bag, block.index)):
                self._add(block)
            else:
                yield block

    def wants(self, block: Block) -> bool:
        """Return whether a block that is not done yet is asked for."""
        return not self._is_over(block.bag)

    def keep(self, block: Block, made: bytes | None) -> None:
        """Make what a worker wrote or sent the part of its block, unless it came too late."""
        if self.wants(block):
            if made is None:
                self._directory.adopt(block.bag, block.index)
            else:
                self._directory.save(self._directory.part(block.bag, block.index), made)
            self.computed += 1
            self._add(block)

    def remove_surplus(self) -> None:
        """Remove the parts beyond the end of a bag that ended while they were computed."""
        for bag, judge in self._judges.items():
            for index in self._directory.here(bag):
                if index >= judge.blocks:
                    self._directory.remove(bag, index)

    def left(self, paces: Mapping[str, float]) -> float:
        """Return the seconds of work left, at so many seconds a trial of each bag."""
        slowest = max(paces.values())
        trials = ((bag, self._expected(bag) - self._done[bag]) for bag in self.experiment.bags)
        return sum(max(0, number) * paces.get(bag, slowest) for bag, number in trials)

    def _is_over(self, bag: str) -> bool:
        return bag in self._judges and self._judges[bag].over

    def _add(self, block: Block) -> None:
        self._done[block.bag] += self.experiment.kept(block.bag, block.index)
        if block.bag in self._judges:
            self._unjudged[block.bag].add(block.index)
            self._judge(block.bag)
        total = sum(map(self._expected, self.experiment.bags))
        self._progress(self._done.total(), total)

    def _judge(self, bag: str) -> None:
        judge, unjudged = self._judges[bag], self._unjudged[bag]
        while judge.blocks in unjudged and not judge.over:
            unjudged.remove(judge.blocks)
            rows = rows_of(self._directory.part(bag, judge.blocks), columns=COLUMNS)
            judge.add(list(series(rows)))
        if judge.over:
            self._done[bag] = judge.trials

    def _expected(self, bag: str) -> int:
        if bag not in self._judges:
            return self.experiment.trials
        return max(self._done[bag], self._judges[bag].expected)
