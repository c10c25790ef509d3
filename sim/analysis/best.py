"""The rows of the comparison go in; which estimator has the smallest error comes out.

Each comparison is held to 3 Monte Carlo errors, however many there are: the chance that the
estimator that is truly best is neither named nor among the rivals is at most 0.13 % for each
other estimator, 2.6 % with twenty (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

_PLACE = ("bag", "model", "target", "size")


def best(comparison: Sequence[Row], summary: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Yield for each bag, model, target and size the estimator with the smallest error.

    Keys: bag, model, target, size; `best`, a label; its `rmse`; `rivals`, the labels that the
    data cannot tell apart from it; `told`, whether there are none. Only estimators with a finite
    estimate in every trial are looked at: any other has no mean squared error at all. None where
    there is no such one, or where the truth is infinite.
    """
    pairs: dict[tuple[Any, ...], dict[frozenset[str], Row]] = {}
    for row in comparison:
        known = pairs.setdefault(_place(row), {})
        known[frozenset((row["first"], row["second"]))] = row
    cells: dict[tuple[Any, ...], list[Row]] = {place: [] for place in pairs}
    compared = {place: set[str]().union(*known) for place, known in pairs.items()}
    for row in summary:
        # one that only some parts have is not in the comparison: trials would not be the same
        if row["estimator"] in compared.get(_place(row), ()) and _always(row):
            cells[_place(row)].append(row)
    for place, rows in cells.items():
        yield {**dict(zip(_PLACE, place, strict=True)), **_chosen(rows, pairs[place])}


def _place(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in _PLACE)


def _always(row: Row) -> bool:
    missing = row["infinite"] + row["undefined"] + row["failed"]
    return row["rmse"] is not None and not missing


def _chosen(rows: Sequence[Row], pairs: Mapping[frozenset[str], Row]) -> dict[str, Any]:
    if not rows:
        return {"best": None, "rmse": None, "rivals": [], "told": False}
    first = min(rows, key=lambda row: float(row["rmse"]))
    label = first["estimator"]
    others = [row["estimator"] for row in rows if row is not first]
    rivals = [other for other in others if pairs[frozenset((label, other))]["better"] is None]
    return {"best": label, "rmse": first["rmse"], "rivals": rivals, "told": not rivals}
