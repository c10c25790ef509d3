"""From Python: what a run will cost and how well each bias will be known, before it is run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from math import isqrt
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from threadpoolctl import threadpool_limits

from sim.analysis.analyze import Batches, analyze, gather
from sim.analysis.distinct import many_values
from sim.analysis.plan import BagPlan, Forecast, Plan, forecasts, trials_for
from sim.analysis.series import COLUMNS, Line
from sim.engines import Engine
from sim.experiment import Experiment
from sim.loop.costs import AROUND, KEEPING, Work
from sim.loop.pilot import Curve, Pilot, pilots
from sim.loop.spread import READ_TO_MERGE
from sim.loop.stopping import LEAST_TRIALS
from sim.store.coverage import header
from sim.store.parts import encode
from sim.tables import TRIALS
from sim.trials import rows_a_trial

T = TypeVar("T")

PATIENCE = 5.0
"""Seconds that a step of the pilot of a bag may take."""

_AGAIN = 1.0
"""What reading again takes, twice, of what gathering took (docs/scale.md)."""


def plan(
    experiment: Experiment,
    *,
    workers: int = 1,
    engine: str = "auto",
    mcse: float | None = None,
    patience: float = PATIENCE,
    watch: Callable[[str], None] = lambda bag: None,
) -> Plan:
    """Return what a run of an experiment will cost, and how well it will know each bias.

    A small pilot is drawn and timed; nothing is written. `mcse` is an error of the bias to reach,
    by default that of `stop`. Where trials are slow, no step of a bag's pilot takes much more than
    `patience` seconds. `watch` is called with each bag before its pilot.
    """
    if mcse is not None and not mcse > 0:
        raise ValueError(f"mcse: expected more than 0; got {mcse}")
    target = experiment.stop.bias_mcse if mcse is None and experiment.stop else mcse
    begun = time.perf_counter()
    scouts = list(_sent(experiment, patience, watch))
    cells = list(chain.from_iterable(scout.cells for scout in scouts))
    biased = [cell for cell in cells if cell.bias == cell.bias]
    drawing, analysis = _works(scouts)
    known = Engine(engine, workers)

    def needed(spreads: Iterable[float]) -> int | None:
        return None if target is None else trials_for(spreads, target)

    return Plan(
        experiment=experiment,
        bags=[scout.plan() for scout in scouts],
        drawing=drawing.seconds(known),
        analysis=analysis.seconds(known.here),
        work=drawing.total + analysis.total,
        pilot_seconds=time.perf_counter() - begun,
        cells=cells,
        target=target,
        trials_needed=needed(cell.spread for cell in biased),
        trials_adjusted=needed(cell.stopping_spread for cell in biased),
    )


def _works(scouts: Sequence[_Scout]) -> tuple[Work, Work]:
    """Return what it is to draw all bags, and what to analyze them."""
    blocks = sum(scout.blocks for scout in scouts)
    drawing = Work(blocks, sum(scout.plan().seconds for scout in scouts), KEEPING * blocks)
    analysis = Work(
        sum(scout.pieces for scout in scouts),
        sum(scout.gathering for scout in scouts),
        AROUND + sum(scout.finishing for scout in scouts),
    )
    return drawing, analysis


def _sent(
    experiment: Experiment, patience: float, watch: Callable[[str], None]
) -> Iterator[_Scout]:
    with threadpool_limits(1):
        for bag in experiment.bags:
            watch(bag)
            begun = time.perf_counter()
            found = [_Found.of(pilot) for pilot in pilots(experiment, bag, patience)]
            yield _Scout(experiment, bag, found, time.perf_counter() - begun)


@dataclass(frozen=True, eq=False)
class _Found:
    """A pilot and what its analysis showed and took."""

    pilot: Pilot
    cells: Sequence[Forecast]
    gathering: Curve
    finishing: float

    @classmethod
    def of(cls, pilot: Pilot) -> _Found:
        passes = _Passes()
        begun = time.perf_counter()
        tables = analyze(pilot.experiment, pilot, mapped=passes)
        finishing = time.perf_counter() - begun - passes.seconds
        sizes, costs = [], []
        block = pilot.blocks[0]
        whole = min(pilot.trials, pilot.experiment.block_trials(pilot.bag))
        for size in sorted({max(1, whole // 4), whole}):
            few = _Batch(block.filter(pc.less(block["trial"], size)))
            sizes.append(size)
            costs.append(min(_seconds(pilot.experiment, few) for _ in range(2)))
        again = 1 + _AGAIN * many_values(pilot.read(COLUMNS))
        gathering = Curve(sizes, [again * cost for cost in costs])
        return cls(pilot, forecasts(tables.summary.to_pylist()), gathering, finishing)


def _seconds(experiment: Experiment, rows: Batches) -> float:
    begun = time.perf_counter()
    gather(experiment, rows)
    return time.perf_counter() - begun


@dataclass(frozen=True, eq=False)
class _Batch:
    rows: pa.Table

    def read(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        yield self.rows if columns is None else self.rows.select(columns)


class _Passes:
    """Does as `map` does, and knows how long that took."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self, work: Callable[[Batches], T], pieces: Sequence[Batches], /) -> Iterator[T]:
        for piece in pieces:
            begun = time.perf_counter()
            found = work(piece)
            self.seconds += time.perf_counter() - begun
            yield found


@dataclass(frozen=True, eq=False)
class _Scout:
    """What the pilots of a bag say of it."""

    experiment: Experiment
    bag: str
    found: Sequence[_Found]
    seconds: float

    @property
    def cells(self) -> list[Forecast]:
        """The forecasts of all its cells, in the order of the tables."""
        cells = [cell for one in self.found for cell in one.cells]
        order = {
            Line(self.bag, cell.model, cell.target.name, cell.label): place
            for place, cell in enumerate(self.experiment.cells(self.bag))
        }
        return sorted(cells, key=lambda cell: (order[cell.key.line], cell.key.size))

    @cached_property
    def trials(self) -> int:
        """How many trials there will be: as many as are asked, or as `stop` will need."""
        stop = self.experiment.stop
        if stop is None:
            return self.experiment.trials
        spreads = (cell.stopping_spread for cell in self.cells if cell.bias == cell.bias)
        needed = trials_for(spreads, stop.bias_mcse)
        least = max(self.experiment.trials, LEAST_TRIALS)
        drawn = self.experiment.block_trials(self.bag)
        blocks = -(-max(least, needed or stop.max_trials) // drawn)
        return min(blocks * drawn, stop.max_trials)

    @property
    def blocks(self) -> int:
        """How many blocks hold them."""
        return -(-self.trials // self.experiment.block_trials(self.bag))

    def _all(self, cost: Callable[[int], float]) -> float:
        """Return the sum over blocks of a cost by the trials that are kept of one."""
        drawn = self.experiment.block_trials(self.bag)
        last = self.trials - (self.blocks - 1) * drawn
        return (self.blocks - 1) * cost(drawn) + cost(last)

    @property
    def pieces(self) -> int:
        """In how many pieces an analysis reads the parts."""
        return -(-self.blocks // max(1, isqrt(self.blocks // READ_TO_MERGE)))

    @property
    def gathering(self) -> float:
        """Seconds of one core to read all parts."""
        return sum(self._all(one.gathering.at) for one in self.found)

    @property
    def finishing(self) -> float:
        """Seconds until what was read is merged and is tables."""
        merging = self.gathering / self.blocks / READ_TO_MERGE
        return merging * (self.pieces - 1) + sum(one.finishing for one in self.found)

    def plan(self) -> BagPlan:
        """Return what the bag will give."""
        drawn = self.experiment.block_trials(self.bag)
        pilots = [one.pilot for one in self.found]
        head = header(self.experiment, self.bag, 0)
        empty = 0 if pilots else self.blocks * len(encode(TRIALS.empty_table(), head))
        return BagPlan(
            bag=self.bag,
            blocks=self.blocks,
            trials=self.trials,
            rows=self.trials * rows_a_trial(self.experiment, self.bag),
            bytes=round(empty + sum(self._all(pilot.weight.at) for pilot in pilots)),
            seconds=sum(
                self.blocks * pilot.drawing.at(drawn) + self._all(pilot.estimating.at)
                for pilot in pilots
            ),
            pilot=min((pilot.trials for pilot in pilots), default=0),
            pilot_seconds=self.seconds,
        )
