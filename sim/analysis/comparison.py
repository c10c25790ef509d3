"""The series of all parts go in; which estimator has the smaller error comes out, pair by pair."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from math import isfinite, nan
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sim.analysis.crossings import Crossing, crossing
from sim.analysis.pairs import Pairs, Place, gather, paired
from sim.analysis.replicates import Replicate
from sim.analysis.series import Key, Line, Series
from sim.tables import COMPARISON

Row = Mapping[str, Any]
Floats = NDArray[np.float64]

_ROUNDING = 4e-16
"""Of a value, what an exact error must be beyond to be more than rounding."""


class Comparison:
    """The pairs of every place, gathered part by part; memory does not grow with the trials."""

    def __init__(self) -> None:
        self.places: dict[Place, Pairs] = {}

    def add(self, batch: Iterable[Series]) -> None:
        """Take the series of one part: they share their trials."""
        for place, group in gather(batch):
            self._keep(place, paired(group))

    def merge(self, other: Comparison) -> None:
        """Take the pairs of further parts."""
        for place, pairs in other.places.items():
            self._keep(place, pairs)

    def _keep(self, place: Place, pairs: Pairs) -> None:
        known = self.places.get(place)
        self.places[place] = pairs if known is None else known.merged(pairs)

    def table(self, summary: Sequence[Row], replicates: Mapping[Key, Replicate]) -> pa.Table:
        """Return the rows of all pairs, size by size, in the order of the summary."""
        cells = {_key(row): row for row in summary}
        lines = [_alike(list(group)) for group in self._lines(summary)]
        parts = [part for line in lines for part in _parts(line, cells, replicates)]
        arrays = [
            pa.array(_joined(parts, field.name), field.type, from_pandas=True)
            for field in COMPARISON
        ]
        return pa.Table.from_arrays(arrays, schema=COMPARISON)

    def _lines(self, summary: Sequence[Row]) -> Iterator[Iterator[tuple[Place, Pairs]]]:
        """Yield for each bag, model and target what there is at its sizes, ascending."""
        names = dict.fromkeys((row["bag"], row["model"], row["target"]) for row in summary)
        order = {name: number for number, name in enumerate(names)}
        known = [(place, pairs) for place, pairs in self.places.items() if place[:3] in order]
        known.sort(key=lambda one: (order[one[0][:3]], one[0].size))
        return (group for _, group in groupby(known, lambda one: one[0][:3]))


def _alike(line: list[tuple[Place, Pairs]]) -> list[tuple[Place, Pairs]]:
    """Return a line whose sizes all have the same pairs: those that every size has."""
    shared = set.intersection(*(set(pairs.labels) for _, pairs in line))
    return [(place, pairs.of(tuple(shared))) for place, pairs in line]


def _key(row: Row) -> Key:
    return Key(Line(*(row[name] for name in Line._fields)), row["size"])


def _keys(place: Place, pairs: Pairs) -> list[Key]:
    return [Key(Line(*place[:3], label), place.size) for label in pairs.labels]


def _parts(
    line: list[tuple[Place, Pairs]],
    cells: Mapping[Key, Row],
    replicates: Mapping[Key, Replicate],
) -> Iterator[dict[str, Any]]:
    """Yield the columns of each size of a line."""
    crossings = _crossings(line, cells, replicates)
    for number, (place, pairs) in enumerate(line):
        first, second = pairs.places
        labels = np.array([*pairs.labels, None], dtype=object)
        better = np.where(pairs.better < 0, first, second)
        better[pairs.better == 0] = len(pairs.labels)
        own = [crossings.get((number, pair)) for pair in range(len(first))]
        yield {
            **{name: [value] * len(first) for name, value in place._asdict().items()},
            "first": labels[first],
            "second": labels[second],
            "trials": pairs.trials,
            "difference": pairs.difference,
            "difference_mcse": pairs.difference_mcse,
            "mse_ratio": pairs.mse_ratio,
            "mse_ratio_mcse": pairs.mse_ratio_mcse,
            **_exact(pairs, [cells[key] for key in _keys(place, pairs)]),
            "better": labels[better],
            "crossover": [nan if one is None else one.size for one in own],
            "crossover_se": [nan if one is None else one.size_se for one in own],
        }


def _joined(parts: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    return [value for part in parts for value in part[name]]


def _exact(pairs: Pairs, rows: Sequence[Row]) -> dict[str, Floats]:
    """Return the exact difference and ratio; NaN where one of both is not known.

    Nor where an estimate may be infinite: the exact values are over the finite ones of each.
    """
    mean, sd = (np.array([_number(row[name]) for row in rows]) for name in _EXACT)
    always = np.array([_number(row["exact_p_infinite"]) <= _ROUNDING for row in rows])
    mean[~always] = nan
    if not isfinite(pairs.truth):
        mean[:] = nan
    bias = mean - pairs.truth
    least = _ROUNDING * np.maximum(np.abs(mean), abs(pairs.truth))
    error = np.hypot(bias, sd)
    error[~(error > least)] = nan
    first, second = pairs.places
    return {
        "exact_difference": mean[first] - mean[second],
        "exact_mse_ratio": (error[first] / error[second]) ** 2,
    }


_EXACT = ("exact_mean", "exact_sd")


def _number(value: float | None) -> float:
    return nan if value is None else value


def _crossings(
    line: list[tuple[Place, Pairs]],
    cells: Mapping[Key, Row],
    replicates: Mapping[Key, Replicate],
) -> dict[tuple[int, int], Crossing]:
    """Return by place in the line and pair where the better one changes from there upwards."""
    found = {}
    for low, high, pair in _changes(np.stack([pairs.better for _, pairs in line])):
        one = _between(line[low : high + 1], pair, cells, replicates)
        if one is not None:
            found[low, pair] = one
    return found


def _changes(better: NDArray[np.int64]) -> Iterator[tuple[int, int, int]]:
    """Yield where the sign in a column of (sizes, pairs) changes: both rows, and the column."""
    for pair in np.flatnonzero((better > 0).any(axis=0) & (better < 0).any(axis=0)).tolist():
        known = np.flatnonzero(better[:, pair]).tolist()
        for low, high in pairwise(known):
            if better[low, pair] != better[high, pair]:
                yield low, high, pair


def _between(
    span: Sequence[tuple[Place, Pairs]],
    pair: int,
    cells: Mapping[Key, Row],
    replicates: Mapping[Key, Replicate],
) -> Crossing | None:
    """Return where a pair crosses from the first size to the last, which are told apart.

    None where not every trial is finite at all of them.
    """
    if any(pairs.trials[pair] < _most(place, pairs, cells) for place, pairs in span):
        return None
    logs = np.array([pairs.log_ratio[pair] for _, pairs in span])
    if not np.isfinite(logs).all():
        return None
    resampled = np.stack([_logs(place, pairs, pair, replicates) for place, pairs in span], axis=1)
    return crossing(np.array([float(place.size) for place, _ in span]), logs, resampled)


def _most(place: Place, pairs: Pairs, cells: Mapping[Key, Row]) -> int:
    return max(int(cells[key]["trials"]) for key in _keys(place, pairs))


def _logs(
    place: Place, pairs: Pairs, pair: int, replicates: Mapping[Key, Replicate]
) -> NDArray[np.float64]:
    """Return ln of the ratio of mean squared errors in each replicate."""
    keys, (first, second) = _keys(place, pairs), pairs.places
    rmse = [replicates[keys[which[pair]]].errors(pairs.truth)["rmse"] for which in (first, second)]
    with np.errstate(all="ignore"):
        logs: Floats = 2 * (np.log(rmse[0]) - np.log(rmse[1]))
    return logs
