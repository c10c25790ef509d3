"""Whole runs, from starting the process to its end, each in a process of its own.

Both sides draw, estimate, write every trial to Parquet and give mean, sd and quantiles by
size, on one core. klsim also gives Monte Carlo errors, exact values and fitted rates.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.cases import Case
from benchmarks.floor import Prices, floor
from benchmarks.timing import Row, ratio, rounds, shown

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Run:
    """Seconds to start and to work, and the peak memory in MB."""

    start: float
    work: float
    peak: float

    def scaled(self, scale: float) -> float:
        """Return the seconds that a run of `scale` times the trials would take."""
        return self.start + self.work * scale


def run(side: str, case: Case) -> Run:
    """Run one side in a new process and a new folder."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.child", side, json.dumps(asdict(case)), folder]
        begun = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        whole = time.perf_counter() - begun
    told = json.loads(done.stdout)
    return Run(whole - told["work"], told["work"], told["peak"])


@dataclass
class _Side:
    """One side of the comparison; remembers the memory that its runs took."""

    name: str
    case: Case
    scale: float = 1.0
    peaks: list[float] = field(default_factory=list)

    def measure(self) -> float:
        """Run once; return the seconds, scaled to the trials of the others."""
        one = run(self.name, self.case)
        self.peaks.append(one.peak)
        return one.scaled(self.scale)


def row(case: Case, number: int, price: Prices) -> Row:
    """Return klsim's whole run beside those of both peers, in turn."""
    sides = {
        "klsim": _Side("side_klsim", case),
        "numpy": _Side("side_numpy", case),
        "loop": _Side("side_loop", case.of(case.loop_trials), case.trials / case.loop_trials),
    }
    taken = rounds(number, {name: side.measure for name, side in sides.items()})
    seconds, least = median(taken["klsim"]), floor(case, price)
    peaks = [shown(median(sides[name].peaks)) for name in ("klsim", "numpy")]
    return Row(
        what=f"whole run, {shown(seconds)} s",
        colours=case.colours,
        trials=f"{case.trials:,}",
        rate=shown(case.trials * len(case.sizes) / seconds),
        against_numpy=ratio(taken["numpy"], taken["klsim"]),
        against_loop=ratio(taken["loop"], taken["klsim"]),
        trial=shown(seconds / case.trials * 1e6),
        floor=shown(least * 1e6),
        gap=shown(seconds / case.trials / least),
        peak=f"{peaks[0]}; numpy {peaks[1]}",
    )
