"""From Python: one trial of a run again, and whether it is what is stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from threadpoolctl import threadpool_limits

from sim.canary import canary
from sim.checks import guess, shown
from sim.experiment import Experiment
from sim.loop.admission import expect_run, experiment_there
from sim.loop.crew import Block
from sim.loop.scrutiny import computing
from sim.one_trial import Trial, one_trial
from sim.store import coverage
from sim.store.directory import Directory, NoResults
from sim.store.heads import most_rows
from sim.store.parts import DamagedPart, read_header, rows_of

_KEY = ("model", "target", "estimator", "size")
_WHOLE_ROW = "row"


class Difference(NamedTuple):
    """A value of a row that is stored otherwise than it was replayed."""

    model: str | None
    target: str
    estimator: str
    size: int
    column: str
    stored: Any
    replayed: Any


@dataclass(frozen=True)
class Stored:
    """What the part of a trial's block holds of the trial, against what was replayed.

    `equal` rows are equal to the bit; `lacking` ones are not stored yet. `fault` says why there
    is nothing to compare with.
    """

    part: Path
    state: Literal["equal", "different", "missing", "damaged"]
    equal: int = 0
    lacking: int = 0
    differences: Sequence[Difference] = ()
    fault: str = ""


@dataclass(frozen=True, eq=False)
class Replay:
    """One trial, made again from the experiment alone, beside what is stored of it.

    `doubt` says why its bits may differ from those of the run; empty where nothing speaks
    against them.
    """

    experiment: Experiment
    bag: str
    number: int
    block: int
    trial: Trial
    stored: Stored
    doubt: str


def replay(path: str | Path, bag: str, trial: int) -> Replay:
    """Make one trial of a run again, bit for bit, and hold it against what is stored.

    Raises NoResults where there is no run, no such bag or no such trial, and BlockFailed where
    its block cannot be computed.
    """
    directory = Directory(Path(path))
    expect_run(directory)
    experiment = experiment_there(directory)
    _expect_trial(experiment, bag, trial)
    block = trial // experiment.block_trials(bag)
    # in one thread, as in a run: sums in several have other last bits
    with threadpool_limits(1), computing(Block(bag, block)):
        again = one_trial(experiment, bag, trial)
    stored = _stored(directory, experiment, (bag, block, trial), again.rows)
    doubt = _doubt(directory, experiment, stored.part)
    return Replay(experiment, bag, trial, block, again, stored, doubt)


def _expect_trial(experiment: Experiment, bag: str, trial: int) -> None:
    if bag not in experiment.bags:
        raise NoResults(f"{experiment.name} has no bag {shown(bag)}{guess(bag, experiment.bags)}")
    last = experiment.most_trials - 1
    if not 0 <= trial <= last:
        raise NoResults(f"bag {bag!r} has no trial {trial}; expected 0 to {last}")


def _stored(
    directory: Directory, experiment: Experiment, place: tuple[str, int, int], again: pa.Table
) -> Stored:
    """Return what is stored of a trial of a bag, (bag, block, trial), against its rows."""
    bag, block, trial = place
    part = directory.part(bag, block)
    if not part.exists():
        return Stored(part, "missing", lacking=again.num_rows, fault=f"{part} is not there")
    head = coverage.header(experiment, bag, block)
    try:
        rows = rows_of(part, most_rows(head))
    except DamagedPart as damaged:
        return Stored(part, "damaged", fault=str(damaged))
    own = rows.filter(pc.equal(rows["trial"], trial)).to_pylist()
    there = {_key(row): row for row in own}
    asked = {_key(row): row for row in again.to_pylist()}
    lacking = [asked[key] for key in asked if key not in there]
    whole = read_header(part) == head
    differences = [
        *(found for row in there.values() for found in _differences(row, asked.get(_key(row)))),
        *(
            _difference(row, _WHOLE_ROW, "twice", "once")
            for row in own
            if row is not there[_key(row)]
        ),
        *(_difference(row, _WHOLE_ROW, "missing", "there") for row in lacking if whole),
    ]
    wrong = {difference[: len(_KEY)] for difference in differences}
    if lacking and not own and not differences:
        fault = f"{part} does not hold this trial yet"
        return Stored(part, "missing", lacking=len(lacking), fault=fault)
    state: Literal["different", "equal"] = "different" if differences else "equal"
    equal = len(there.keys() - wrong)
    return Stored(part, state, equal, len(lacking), differences)


def _differences(stored: dict[str, Any], replayed: dict[str, Any] | None) -> Iterator[Difference]:
    if replayed is None:
        yield _difference(stored, _WHOLE_ROW, "there", "missing")
        return
    for column, value in stored.items():
        if _bits(value) != _bits(replayed[column]):
            yield _difference(stored, column, value, replayed[column])


def _difference(row: dict[str, Any], column: str, stored: Any, replayed: Any) -> Difference:
    place = {name: row[name] for name in _KEY}
    return Difference(**place, column=column, stored=stored, replayed=replayed)


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in _KEY)


def _bits(value: Any) -> Any:
    """Return what is equal where all bits are: 0.0 is not -0.0."""
    return value.hex() if isinstance(value, float) else value


def _doubt(directory: Directory, experiment: Experiment, part: Path) -> str:
    """Say why a trial replayed here may have other bits; nothing where it may not."""
    head = read_header(part) or {}
    if head.get("stream", experiment.identity["stream"]) != experiment.identity["stream"]:
        return "the part was drawn by another version of the random streams: its draws differ"
    told = (directory.run_facts().get("canary"), head.get("canary"))
    others = {str(one) for one in told if one is not None} - {canary()}
    if not others:
        return ""
    return (
        "this machine or its libraries round otherwise than those of the run (canary "
        f"{canary()} here, {', '.join(sorted(others))} there): the bits may differ"
    )
