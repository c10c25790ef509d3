"""Peak memory of whole runs of klsim: it must not grow with the number of trials."""

from __future__ import annotations

from benchmarks.cases import Case
from benchmarks.timing import Row, shown
from benchmarks.whole_runs import run

TIMES = 10


def row(case: Case) -> Row:
    """Return the peak memory at some trials and at TIMES as many."""
    few, many = (run("side_klsim", case.of(case.trials * times)).peak for times in (1, TIMES))
    return Row(
        what=f"memory, {TIMES} × trials",
        colours=case.colours,
        trials=f"{case.trials:,} → {case.trials * TIMES:,}",
        peak=f"{shown(few)} → {shown(many)}",
    )
