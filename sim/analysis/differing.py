"""Two results, cell by cell: how far their measures are apart, and whether that is chance.

The chances of many comparisons are adjusted together (Holm 1979), so that two studies of the
same thing show any difference at all in at most 5 of 100 cases.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isfinite, nan, sqrt
from typing import Any, Literal, NamedTuple

import numpy as np

from sim.analysis.pairs import CARRIED, LEAST_TRIALS
from sim.analysis.together import Cell, Switches
from sim.laws.counts import Hypergeometric
from sim.special import bdtr, stdtr

Row = Mapping[str, Any]
Verdict = Literal["better", "worse", "different", "equal", "untold"]

MEASURES = ("bias", "rmse", "p_infinite", "coverage")

CHANCE = 0.05
"""Of any difference to be told between two studies of the same thing."""

IN_UNIT = ("truth", "mean", "bias", "bias_mcse", "rmse", "rmse_mcse")
"""What changes with the unit, of the columns that are read here."""

_ROUNDING = 1e-12


class Apart(NamedTuple):
    """How far a measure of the second result is from that of the first, and by what chance."""

    difference: float
    mcse: float
    p_value: float
    trials: int


UNTOLD = Apart(nan, nan, nan, 0)


def measured(
    first: Row, second: Row, cell: Cell | None, levels: tuple[float, float]
) -> Iterator[dict[str, Any]]:
    """Yield a row for each measure of a cell, from the summaries of both, in one unit.

    `cell` holds the trials of both where they share their random numbers: then all is over the
    trials that both have. `levels` are those of the intervals of each.
    """
    apart = _independent(first, second) if cell is None else _paired(cell)
    values = _apart(first, second) if cell is None else _together(cell)
    for measure, found in apart.items():
        a, b = values[measure]
        if a == a or b == b:
            yield {
                **{name: first[name] for name in ("bag", "model", "target", "estimator", "size")},
                "measure": measure,
                "first": a,
                "second": b,
                "difference": found.difference,
                "difference_mcse": found.mcse,
                "p_value": found.p_value,
                "trials": found.trials,
                "paired": cell is not None,
                "verdict": _direction(measure, (a, b), _number(first["truth"]), levels),
            }


def judged(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows whose p-values are adjusted together, and which say what is not chance."""
    chances = np.array([row["p_value"] for row in rows], dtype=np.float64)
    adjusted = holm(chances)
    verdicts: list[Verdict] = [
        "untold" if p != p else row["verdict"] if p <= CHANCE else "equal"
        for row, p in zip(rows, adjusted.tolist(), strict=True)
    ]
    found = zip(rows, adjusted.tolist(), verdicts, strict=True)
    return [{**row, "p_adjusted": p, "verdict": verdict} for row, p, verdict in found]


def holm(chances: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return p-values adjusted step down (Holm 1979), shape (m,); NaN stays and does not count."""
    told = np.flatnonzero(~np.isnan(chances))
    order = told[np.argsort(chances[told], kind="stable")]
    steps = np.arange(len(order), 0, -1) * chances[order]
    adjusted = np.full(len(chances), np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def same_truth(first: Row, second: Row) -> bool:
    """Return whether both mean the same by an error."""
    a, b = _number(first["truth"]), _number(second["truth"])
    return a == b or (a != a and b != b) or abs(a - b) <= _ROUNDING * max(1.0, abs(a), abs(b))


def in_unit(row: Row, unit: float) -> dict[str, Any]:
    """Return a row of a summary in another unit."""
    return {
        name: value * unit if name in IN_UNIT and value is not None else value
        for name, value in row.items()
    }


def _direction(
    measure: str, values: tuple[float, float], truth: float, levels: tuple[float, float]
) -> Verdict:
    """Return what a difference means, if it is one."""
    first, second = values
    if measure == "bias" or (measure == "p_infinite" and not isfinite(truth)):
        return "different"
    if measure == "coverage":
        first, second = (
            max(0.0, level - share) for level, share in zip(levels, values, strict=True)
        )
    return "worse" if second > first else "better" if second < first else "different"


def _apart(first: Row, second: Row) -> dict[str, tuple[float, float]]:
    return {name: (_number(first[name]), _number(second[name])) for name in MEASURES}


def _together(cell: Cell) -> dict[str, tuple[float, float]]:
    shares = {"p_infinite": cell.infinite.shares, "coverage": cell.covered.shares}
    return {**cell.errors, **shares}


def _paired(cell: Cell) -> dict[str, Apart]:
    assert cell.pairs is not None
    pairs = cell.pairs
    number = int(pairs.trials[0])
    found = dict.fromkeys(("bias", "rmse"), UNTOLD)
    if number >= LEAST_TRIALS:
        difference, mcse = float(pairs.difference[0]), float(pairs.difference_mcse[0])
        if abs(difference) <= _ROUNDING * max(1.0, abs(pairs.truth)):
            difference = 0.0
        found["bias"] = Apart(difference, mcse, _student(difference, mcse, number), number)
        excess, error = cell.excess
        if abs(excess) <= _ROUNDING * max(1.0, pairs.truth**2):
            found["rmse"] = Apart(0.0, 0.0, 1.0, number)
        elif pairs.log_ratio_mcse[0] <= CARRIED:
            chance = _student(excess, error, number)
            found["rmse"] = Apart(*cell.rmse_difference(), chance, number)
    found["p_infinite"] = _switched(cell.infinite)
    found["coverage"] = _switched(cell.covered)
    return found


def _switched(found: Switches) -> Apart:
    """Return how far two shares of the same trials are apart: McNemar's test, exact."""
    one, other, trials = found.first_only, found.second_only, found.trials
    if trials == 0:
        return UNTOLD
    difference = (other - one) / trials
    mcse = sqrt(max(0.0, one + other - (other - one) ** 2 / trials)) / trials
    least, all_switches = min(one, other), one + other
    chance = min(1.0, 2 * float(bdtr(least, all_switches, 0.5))) if all_switches else 1.0
    return Apart(difference, mcse, chance, trials)


def _independent(first: Row, second: Row) -> dict[str, Apart]:
    found = dict.fromkeys(("bias", "rmse"), UNTOLD)
    numbers = [_finite(row) for row in (first, second)]
    if min(numbers) >= LEAST_TRIALS:
        found["bias"] = _means(first, second, "bias", min(numbers))
        found["rmse"] = _means(first, second, "rmse", min(numbers))
    found["p_infinite"] = _shares(
        first, second, "p_infinite", (_answered(first), _answered(second))
    )
    found["coverage"] = _shares(first, second, "coverage", (first["trials"], second["trials"]))
    return found


def _means(first: Row, second: Row, name: str, number: int) -> Apart:
    a, b = _number(first[name]), _number(second[name])
    errors = [_number(row[f"{name}_mcse"]) for row in (first, second)]
    if a != a or b != b or any(error != error for error in errors):
        return UNTOLD
    mcse = sqrt(errors[0] ** 2 + errors[1] ** 2)
    if name == "bias":
        return Apart(b - a, mcse, _student(b - a, mcse, number), number)
    # mean squares, whose error is that of a mean: roots are skewed where trials are few
    error = 2 * sqrt((a * errors[0]) ** 2 + (b * errors[1]) ** 2)
    return Apart(b - a, mcse, _student(b * b - a * a, error, number), number)


def _shares(first: Row, second: Row, name: str, numbers: tuple[int, int]) -> Apart:
    """Return how far two shares of independent trials are apart: Fisher's test, exact."""
    a, b = _number(first[name]), _number(second[name])
    if a != a or b != b or min(numbers) == 0:
        return UNTOLD
    n, m = numbers
    x, y = round(a * n), round(b * m)
    mcse = sqrt(a * (1 - a) / n + b * (1 - b) / m)
    law = Hypergeometric(x + y, np.array([n, m], dtype=np.float64))
    low, high = (int(end[0]) for end in law.window())
    counts = np.arange(low, high + 1)
    chances = law.pmf(np.zeros_like(counts), counts)
    tails = chances[counts <= x].sum(), chances[counts >= x].sum()
    return Apart(b - a, mcse, min(1.0, 2 * float(min(tails))), min(numbers))


def _student(value: float, error: float, number: int) -> float:
    """Return the chance that a mean of so many trials is as far from 0; NaN without an error."""
    if value == 0:
        return 1.0
    if error == 0:
        return 0.0
    return 2 * float(stdtr(number - 1, -abs(value) / error))


def _answered(row: Row) -> int:
    return int(row["trials"] - row["undefined"] - row["failed"])


def _finite(row: Row) -> int:
    return _answered(row) - int(row["infinite"])


def _number(value: float | None) -> float:
    return nan if value is None else float(value)


def counted(rows: Iterable[Row]) -> dict[str, int]:
    """Return how many rows have each verdict."""
    found = dict.fromkeys(("worse", "better", "different", "equal", "untold"), 0)
    for row in rows:
        found[row["verdict"]] += 1
    return found
