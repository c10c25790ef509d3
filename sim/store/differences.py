"""In what two experiments differ that would share a directory, and what an extension may not do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from sim.experiment import Experiment
from sim.store.heads import GROWING, SHELVES, own


def differences(there: Experiment, asked: Experiment, stored: int = 0) -> list[str]:
    """Say in what two experiments differ that must not share a directory, line by line.

    More trials of the same experiment simply go on; fewer would leave rows nobody asked for.
    `stored` is how many trials of a bag there are.
    """
    lines = [*_compared("", there.identity, asked.identity), *_fewer(there, asked, stored)]
    if not lines and there.digest != asked.digest:
        lines.append("the order of bags, models, estimators or learners")
    return lines


def obstacles(there: Experiment, asked: Experiment, stored: int = 0) -> list[str]:
    """Say what keeps an experiment from being an extension of the one that is there.

    An extension counts all that was counted, at the same sizes first, and as it was defined.
    """
    before, after = there.identity, asked.identity
    lines: list[str] = []
    for key in before:
        if key in ("bags", *SHELVES):
            lines += _changed(key, before[key], after[key])
        elif key not in GROWING:
            lines += _compared(key, before[key], after[key])
    for bag in there.bags if not lines else ():
        lines += _lost(there, asked, bag)
    return [*lines, *_fewer(there, asked, stored)]


def misfit(there: dict[str, Any], asked: dict[str, Any]) -> str:
    """Say in what a part's header differs from the one that is asked, which it is not."""
    lines = list(_compared("", there, asked)) or ["in another order"]
    return lines[0] + (f" (and {len(lines) - 1} more)" if len(lines) > 1 else "")


def _changed(family: str, there: dict[str, Any], asked: dict[str, Any]) -> Iterator[str]:
    for label, member in there.items():
        path, old, new = f"{family}.{label}", own(member), own(asked.get(label))
        yield from _compared(path, old, new)
        if old == new and json.dumps(old) != json.dumps(new):
            yield f"{path}: in another order"


def _lost(there: Experiment, asked: Experiment, bag: str) -> Iterator[str]:
    """Say which sizes and cells of a bag are no longer counted."""
    sizes, wanted = list(there.sizes_of(bag)), list(asked.sizes_of(bag))
    if wanted[: len(sizes)] != sizes:
        what = f"{short(sizes)} there, {short(wanted)} asked"
        yield f"sizes of bag {bag!r}: {what}; only larger ones can be added"
    kept = {(cell.model, cell.target.name, cell.label) for cell in asked.cells(bag)}
    for cell in there.cells(bag):
        if (cell.model, cell.target.name, cell.label) not in kept:
            what = " / ".join(filter(None, (bag, cell.model, cell.target.name, cell.label)))
            yield f"{what}: there, not asked"


def _fewer(there: Experiment, asked: Experiment, stored: int) -> Iterator[str]:
    """Say where an experiment asks for fewer trials than the one that is there."""
    if asked.trials < there.trials:
        yield f"trials: {there.trials} there, {asked.trials} asked"
    old, new = there.stop, asked.stop
    if old is None or old == new:
        return
    if new is None:
        if asked.trials < stored:
            yield f"stop: {stored} trials there, {asked.trials} asked without it"
        return
    if new.bias_mcse > old.bias_mcse:
        what = f"{old.bias_mcse:g} there, {new.bias_mcse:g} asked, which is looser"
        yield f"stop.bias_mcse: {what}"
    if new.max_trials < old.max_trials:
        yield f"stop.max_trials: {old.max_trials} there, {new.max_trials} asked"


def unlike(path: str, there: Any, asked: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield where two plain values differ: the key, and what stands there in each."""
    if isinstance(there, dict) and isinstance(asked, dict):
        for key in dict.fromkeys([*there, *asked]):
            inner = f"{path}.{key}" if path else str(key)
            yield from unlike(inner, there.get(key), asked.get(key))
    elif there != asked:
        yield path, there, asked


def _compared(path: str, there: Any, asked: Any) -> Iterable[str]:
    for key, old, new in unlike(path, there, asked):
        yield f"{key}: {short(old)} there, {short(new)} asked"


def short(value: Any) -> str:
    """Return a value as JSON, cut where it is long."""
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
