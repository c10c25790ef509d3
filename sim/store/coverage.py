"""What the parts of a run cover of an experiment, and what of one that covers less still holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sim.canary import canary
from sim.experiment import Experiment
from sim.rows import Outcome, outcomes
from sim.store.directory import Directory
from sim.store.parts import CONTROLS_VERSION, GROWING, SHELVES, DamagedPart, Parts, own, read_header
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


def parts(directory: Directory, experiment: Experiment) -> Parts:
    """Return the parts of an experiment that are here, bag by bag, block by block."""
    return directory.parts({bag: experiment.blocks(bag) for bag in experiment.bags})


def stored(directory: Directory, experiment: Experiment, bag: str) -> int:
    """Return how many blocks of a bag are here; a damaged part counts as missing."""
    blocks = (index for index in directory.here(bag) if index < experiment.blocks(bag))
    return sum(directory.has(header(experiment, bag, index)) for index in blocks)


def trials_there(directory: Directory, experiment: Experiment) -> int:
    """Return the number of the last trial of any bag that is here, counted from 1."""
    last = ((bag, index) for bag in experiment.bags for index in directory.here(bag)[-1:])
    return max((_end(experiment, bag, index) for bag, index in last), default=0)


def _end(experiment: Experiment, bag: str, index: int) -> int:
    return index * experiment.block_trials(bag) + max(0, experiment.kept(bag, index))


def reusable(there: Path, head: dict[str, Any]) -> list[Outcome]:
    """Return what a part that lies there holds as it would be computed for this head.

    Nothing where it is damaged, of other draws, or of fewer trials: then all is computed anew.
    """
    old = read_header(there)
    if old is None or _draws(old) != _draws(head):
        return []
    asked, covered = head["covers"], old["covers"]
    if asked["sizes"][: len(covered["sizes"])] != covered["sizes"]:
        return []
    try:
        (rows,) = Parts((there,)).read()
    except DamagedPart:
        return []
    same = {family: _same(covered[family], asked[family]) for family in SHELVES}
    return [one for one in outcomes(rows, covered["trials"]) if _stands(one, same)]


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
