"""One trial again: (experiment, bag, trial) goes in, its draws, counts and rows come out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sim.contracts.arrays import Colours
from sim.contracts.bag import SequentialBag, TimedBag
from sim.experiment import Experiment
from sim.tables import TRACE
from sim.trials import Drawn, block_rows, draws


@dataclass(frozen=True, eq=False)
class Tally:
    """How often each colour was drawn up to a size, shape (K,): of the bag, and of models.

    A model that is known, and so not drawn, is not among them.
    """

    size: int
    counts: NDArray[np.int64]
    models: Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class Trial:
    """All that came of one trial, as it was when its block was computed.

    `draws` are positions in `colours`, None where a bag gives counts only; `happened` is what
    happened when, None where a bag has no clock; `rows` are rows of the table of trials.
    """

    colours: tuple[str, ...]
    tallies: Sequence[Tally]
    rows: pa.Table
    draws: Colours | None
    happened: pa.Table | None


def one_trial(experiment: Experiment, bag: str, trial: int) -> Trial:
    """Return a trial of a bag; its whole block is drawn and estimated, as in a run."""
    known = experiment.bags[bag]
    index, place = divmod(trial, experiment.block_trials(bag))
    seen: list[Tally] = []

    def look_on(*block: Any) -> Iterator[Drawn]:
        for drawn in draws(*block):
            seen.append(_tally(drawn, place))
            yield drawn

    rows = block_rows(experiment, bag, index, draw=look_on)
    if not seen:  # nobody estimates anything of this bag: its draws are asked for all the same
        deque(look_on(experiment, bag, index, ()), maxlen=0)
    return Trial(
        colours=known.colours,
        tallies=seen,
        rows=rows.filter(pa.array(rows["trial"].to_numpy() == trial)),
        draws=_drawn(experiment, bag, trial),
        happened=trace_rows(experiment, bag, trial) if isinstance(known, TimedBag) else None,
    )


def trace_rows(experiment: Experiment, bag: str, trial: int) -> pa.Table:
    """Return what happened in one trial of a bag with a clock: the same draws as in its block."""
    known = experiment.bags[bag]
    if not isinstance(known, TimedBag):
        raise TypeError(f"bag {bag!r} has no clock")
    stream = _stream(experiment, bag, trial)
    happened = list(known.events(experiment.sizes_of(bag)[-1], stream))
    names = [known.colours[colour] if colour >= 0 else None for _, _, colour in happened]
    rows = {
        "bag": [bag] * len(happened),
        "trial": [trial] * len(happened),
        "time": [time for time, _, _ in happened],
        "event": [event for _, event, _ in happened],
        "colour": names,
    }
    arrays = [pa.array(rows[f.name], f.type) for f in TRACE]
    return pa.Table.from_arrays(arrays, schema=TRACE).unify_dictionaries()


def _drawn(experiment: Experiment, bag: str, trial: int) -> Colours | None:
    """Return the draws in order; None where the counts of the bag do not come from draws."""
    known = experiment.bags[bag]
    if not isinstance(known, SequentialBag) or type(known).tally is not SequentialBag.tally:
        return None
    return known.draw(experiment.sizes_of(bag)[-1], _stream(experiment, bag, trial))


def _stream(experiment: Experiment, bag: str, trial: int) -> np.random.Generator:
    """Return the stream of one trial of a sequential bag: a child of that of its block."""
    index, place = divmod(trial, experiment.block_trials(bag))
    return experiment.stream(bag, index=index).spawn(place + 1)[place]


def _tally(drawn: Drawn, place: int) -> Tally:
    beside = {name: each.counts for name, each in drawn.references.items() if name is not None}
    models = {name: d[place].copy() for name, d in beside.items() if d is not None}
    return Tally(drawn.place.size, drawn.cells.counts[place].copy(), models)
