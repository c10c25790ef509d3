"""What the parts of a run cover of an experiment, and what of one that covers less still holds."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from itertools import chain
from typing import Any

from sim.canary import canary
from sim.experiment import STREAM_VERSION, Experiment
from sim.rows import Outcome, outcomes
from sim.store.directory import Directory
from sim.store.heads import CONTROLS_VERSION, GROWING, SHELVES, most_rows, own
from sim.store.part_files import PartFiles
from sim.store.parts import NOT_WHOLE, DamagedPart, Parts, decode, part_index, read_header
from sim.tables import CONTROL


def header(experiment: Experiment, bag: str, index: int) -> dict[str, Any]:
    """Return what a part says of itself: which block it is, and what it covers of it.

    A part is used only where this is equal to what is asked.
    """
    whole = experiment.identity
    rest = {
        key: whole[key] for key in ("unit", "level", "models", "targets", "estimators", "learners")
    }
    return {
        "stream": whole["stream"],
        "canary": canary(),
        "block": {"seed": whole["seed"], "bag": bag, "is": whole["bags"][bag], "index": index},
        "covers": {
            "trials": experiment.kept(bag, index),
            "sizes": list(experiment.sizes_of(bag)),
            "controls": CONTROLS_VERSION,
            **rest,
        },
    }


def parts(directory: Directory, experiment: Experiment) -> list[Parts]:
    """Return the parts of an experiment that are here: those of each bag, block by block.

    One that covers less, or was made by other arithmetic, is read as it is; DamagedPart names
    one of another experiment.
    """
    found = [_parts(directory, bag, experiment.blocks(bag)) for bag in experiment.bags]
    for path in chain.from_iterable(of_bag.paths for of_bag in found):
        there = read_header(path)  # where it cannot be read, reading its rows says why
        if there is not None and not _belongs(there, path.name, experiment):
            raise DamagedPart(f"{path}: {_foreign(there)}; `klsim run` computes its block again")
    return found


def _parts(directory: Directory, bag: str, blocks: int) -> Parts:
    here = array("q", (index for index in directory.here(bag) if index < blocks))
    return Parts(PartFiles(directory.trials, bag, here))


def stored(directory: Directory, experiment: Experiment, bag: str) -> int:
    """Return how many blocks of a bag are here, as their footers say; a cut one is missing."""
    blocks = (index for index in directory.here(bag) if index < experiment.blocks(bag))
    return sum(directory.announces(header(experiment, bag, index)) for index in blocks)


def gaps(directory: Directory, bag: str, most: int) -> Iterator[tuple[int, int]]:
    """Yield the first and the last of each run of blocks below `most` that have no part here."""
    next_one = 0
    for index in (*(i for i in directory.here(bag) if i < most), most):
        if index > next_one:
            yield next_one, index - 1
        next_one = index + 1


def trials_there(directory: Directory, experiment: Experiment) -> int:
    """Return the number of the last trial of any bag that is here, counted from 1."""
    last = ((bag, index) for bag in experiment.bags for index in directory.here(bag)[-1:])
    return max((_end(experiment, bag, index) for bag, index in last), default=0)


def _end(experiment: Experiment, bag: str, index: int) -> int:
    return index * experiment.block_trials(bag) + max(0, experiment.kept(bag, index))


def reusable(there: bytes, head: dict[str, Any]) -> list[Outcome]:
    """Return what a part with these bytes holds as it would be computed for this head.

    Nothing where it is damaged, of other draws, of fewer trials, or where it holds more than is
    asked: then all is computed anew.
    """
    try:
        old, rows = decode(there, most_rows(head))
    except NOT_WHOLE:
        return []
    asked, covered = head["covers"], old["covers"]
    if _draws(old) != _draws(head) or asked["sizes"][: len(covered["sizes"])] != covered["sizes"]:
        return []
    same = {family: _same(covered[family], asked[family]) for family in SHELVES}
    return [one for one in outcomes(rows, covered["trials"]) if _stands(one, same)]


def _foreign(there: dict[str, Any]) -> str:
    """Say why a part does not belong."""
    drawn_by = there.get("stream")
    if drawn_by != STREAM_VERSION:
        expected = f"expected random streams of version {STREAM_VERSION}"
        return f"{expected}; got a part drawn by version {drawn_by}"
    return "this part is not of the experiment that lies here"


def _belongs(there: dict[str, Any], name: str, experiment: Experiment) -> bool:
    """Return whether a part is of an experiment, or of a smaller one that this one extends."""
    bag, index = there["block"]["bag"], there["block"].get("index")
    if bag not in experiment.bags or index != part_index(bag, name):
        return False
    head = header(experiment, bag, index)
    covered, asked = there["covers"], head["covers"]
    like = {**there, "canary": head["canary"], "covers": {**covered, "trials": asked["trials"]}}
    return (
        _draws(like) == _draws(head)
        and covered["trials"] <= asked["trials"]
        and asked["sizes"][: len(covered["sizes"])] == covered["sizes"]
        and set(covered["targets"]) <= set(asked["targets"])
        and all(covered[each].keys() <= _same(covered[each], asked[each]) for each in SHELVES)
    )


def _draws(head: dict[str, Any]) -> str:
    """Return all of a head but what may grow, as text: the order of colours is in it."""
    covers = {key: value for key, value in head["covers"].items() if key not in GROWING}
    block = {**head["block"], "is": own(head["block"]["is"])}
    return json.dumps({**head, "block": block, "covers": covers})


def _same(there: dict[str, Any], asked: dict[str, Any]) -> set[str]:
    """Return the labels that stand for the same in both."""
    one, other = ({k: json.dumps(own(v)) for k, v in each.items()} for each in (there, asked))
    return {label for label in one if one[label] == other.get(label)}


def _stands(one: Outcome, same: dict[str, set[str]]) -> bool:
    if one.target == CONTROL:
        return one.model is None or one.model in same["models"]
    if one.model is None:
        return one.estimator in same["learners"]
    return one.model in same["models"] and one.estimator in same["estimators"]
