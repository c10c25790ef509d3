"""What `klsim plan` says before three runs, held against these runs: python -m benchmarks.plan."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import sim
from benchmarks.timing import format_cell
from sim.analysis.plan import Plan

CONFIGS = Path(__file__).parent.parent / "configs"


@dataclass(frozen=True)
class Case:
    """An experiment file, what is changed in it, and how long a step of a pilot may take."""

    config: str
    changes: Sequence[str] = ()
    patience: float = 60.0

    @property
    def name(self) -> str:
        """What the table calls it."""
        return ", ".join((self.config, *self.changes))


FULL = (
    Case("red_blue"),
    Case("draw_laws"),
    Case("estimators", ("trials=400", "sizes=[10, 100]")),
)
QUICK = (
    Case("red_blue", ("trials=500", "sizes=[10, 100]")),
    Case("draw_laws", ("trials=64", "sizes=[10, 20]"), 0.2),
    Case("estimators", ("trials=8", "sizes=[10]"), 0.1),
)
HEADS = (
    "run of",
    "pilot, s",
    "seconds, predicted",
    "real",
    "predicted/real",
    "MB, predicted",
    "real",
    "errors from exact sd",
    "within 20 %",
    "farthest off",
    "from pilot",
    "within 20 %",
    "farthest off",
)


def row(case: Case, workers: int) -> list[object]:
    """Plan a run, do it, and return the row of both."""
    experiment = sim.load(CONFIGS / f"{case.config}.yaml", case.changes)
    planned = sim.plan(experiment, workers=workers, patience=case.patience)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        ran = sim.run(experiment, out=folder, workers=workers)
        real = time.perf_counter() - begun
        size = sum(part.stat().st_size for part in (ran.path / "trials").iterdir())
        exact, pilot = ratios(planned, ran)
    predicted = sum(bag.bytes for bag in planned.bags)
    numbers = (planned.pilot_seconds, planned.seconds, real, planned.seconds / real)
    return [
        case.name,
        *(f"{number:#.3g}".rstrip(".") for number in numbers),
        f"{predicted / 1e6:.2f}",
        f"{size / 1e6:.2f}",
        len(exact),
        near(exact),
        farthest(exact),
        len(pilot),
        near(pilot),
        farthest(pilot),
    ]


def ratios(planned: Plan, ran: sim.Results) -> tuple[list[float], list[float]]:
    """Return predicted over real MCSE of each bias, by exact sd and by pilot."""
    keys = ["bag", "model", "target", "estimator", "size"]
    real = {tuple(one[key] for key in keys): one for one in ran.table("summary").to_pylist()}
    found: dict[str, list[float]] = {"exact": [], "pilot": []}
    for one in planned.rows(planned.cells):
        error = real[tuple(one[key] for key in keys)]["bias_mcse"]
        if one["bias_mcse"] and error:
            found[one["source"]].append(one["bias_mcse"] / error)
    return found["exact"], found["pilot"]


def near(ratios: Sequence[float]) -> int:
    """Return how many ratios are within 20 % of 1."""
    return sum(0.8 <= ratio <= 1.2 for ratio in ratios)


def farthest(ratios: Sequence[float]) -> str:
    """Return the ratio that is farthest from 1."""
    return f"{max(ratios, key=lambda x: max(x, 1 / x)):.3f}" if ratios else "–"


def main() -> None:
    """Print the table to stdout, and to stderr how far it is."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plan", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="see that it works")
    parser.add_argument("--workers", type=int, default=1)
    asked = parser.parse_args()
    print(f"{os.cpu_count()} cores, {asked.workers} used\n")
    rows = []
    for case in QUICK if asked.quick else FULL:
        print(case.name, file=sys.stderr, flush=True)
        rows.append(row(case, asked.workers))
    for line in (HEADS, ["---", *["---:"] * (len(HEADS) - 1)], *rows):
        print(f"| {' | '.join(map(format_cell, line))} |")


if __name__ == "__main__":
    main()
