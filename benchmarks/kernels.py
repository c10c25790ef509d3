"""The kernel alone: counts at all sizes and a counted KL of each, beside numpy's and the floor.

`python -m benchmarks.kernels`; `--quick` only sees that it works. CPU time, not the clock: others
may be at work on the machine. Both sides draw the same trials of the same bag, in turn.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from statistics import median

from benchmarks import side_klsim, side_numpy
from benchmarks.cases import Case
from benchmarks.child import peak_mb
from benchmarks.floor import Prices, floor, prices
from benchmarks.timing import ratio, rounds, shown

SIDES = {"klsim": side_klsim.kernel, "numpy": side_numpy.kernel}
CASES = tuple(
    Case(colours, trials=trials, loop_trials=0)
    for colours, trials in ((2, 20 * 4096), (100, 4096), (1000, 1024), (10_000, 419))
)
QUICK = (Case(2, 50, 0, sizes=(10, 100)),)
HEAD = (
    "K",
    "trials",
    "times numpy",
    "klsim, µs a trial",
    "numpy, µs a trial",
    "floor, µs",
    "gap",
    "peak MB, klsim",
    "peak MB, numpy",
)


def cpu(work: Callable[[], object]) -> float:
    """Return how many seconds of this process `work` takes."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def peak(side: str, case: Case) -> float:
    """Return the most memory in MB that a process held which did this and nothing else."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.kernels", side, json.dumps(asdict(case))],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def row(case: Case, number: int, price: Prices) -> tuple[str, ...]:
    """Return one case measured."""
    measures = {name: lambda side=side: cpu(lambda: side(case)) for name, side in SIDES.items()}
    rounds(1, measures)  # nobody pays for being first
    taken = rounds(number, measures)
    own, theirs = (median(taken[name]) / case.trials for name in SIDES)
    least = floor(case, price)
    return (
        f"{case.colours:,}",
        f"{case.trials:,}",
        ratio(taken["numpy"], taken["klsim"]),
        *(shown(seconds * 1e6) for seconds in (own, theirs, least)),
        shown(own / least),
        *(shown(peak(name, case)) for name in SIDES),
    )


def main(quick: bool) -> None:
    """Print one table."""
    cases, number = (QUICK, 1) if quick else (CASES, 5)
    price = prices()
    print(
        f"a random number {price.random * 1e9:.2f} ns, "
        f"a look-up and an addition {price.look_up * 1e9:.2f} ns\n"
    )
    print(f"| {' | '.join(HEAD)} |\n|{'---:|' * len(HEAD)}")
    for case in cases:
        print(f"| {' | '.join(row(case, number, price))} |", flush=True)


def child(side: str, case: str) -> None:
    """Do the work of one side, and print its peak memory."""
    SIDES[side](Case(**json.loads(case)))
    print(peak_mb())


if __name__ == "__main__":
    if len(sys.argv) == 3:
        child(*sys.argv[1:])
    else:
        main("--quick" in sys.argv)
