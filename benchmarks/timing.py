"""Seconds of interleaved rounds, and what may be said of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import median

Seconds = Sequence[float]


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds `work` takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def rounds(number: int, measures: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Take every measure once a round, so that a slow minute is slow for all of them."""
    taken: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(number):
        for name, measure in measures.items():
            taken[name].append(measure())
    return taken


def ratio(theirs: Seconds, ours: Seconds) -> str:
    """Return the median over rounds of theirs/ours, with the least and the greatest."""
    values = [a / b for a, b in zip(theirs, ours, strict=True)]
    low, middle, high = (shown(x) for x in (min(values), median(values), max(values)))
    return f"{middle} ({low}–{high})"


def shown(value: float) -> str:
    """Return a number with three digits: 0.0123, 1.23, 123, 12,300."""
    if value >= 1000:
        rounded = float(f"{value:.3g}")
        return f"{rounded:,.0f}"
    return f"{value:#.3g}".rstrip(".")


@dataclass(frozen=True)
class Row:
    """One row of the table; what does not apply to it is a dash."""

    what: str
    colours: int
    trials: str
    rate: str = "–"
    against_numpy: str = "–"
    against_loop: str = "–"
    trial: str = "–"
    floor: str = "–"
    gap: str = "–"
    peak: str = "–"


HEADS = (
    "what",
    "K",
    "trials",
    "trials × sizes a second",
    "times numpy",
    "times the loop",
    "µs a trial",
    "floor, µs",
    "gap",
    "peak MB",
)


def table(rows: Sequence[Row]) -> str:
    """Return rows as a Markdown table."""
    names = [field.name for field in fields(Row)]
    lines = [HEADS, ["---"] + ["---:"] * (len(HEADS) - 1)]
    lines += [[format_cell(getattr(row, name)) for name in names] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def format_cell(value: object) -> str:
    """Return a cell's text."""
    return f"{value:,}" if isinstance(value, int) else str(value)
