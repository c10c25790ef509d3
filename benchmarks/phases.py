"""Where the time of `klsim run configs/red_blue.yaml` goes, from start to end of its process.

    python -m benchmarks.phases [--quick]

A table of milliseconds, medians over the runs: what follows each other in the main thread, and
what goes on beside it. `--workers 1`, a new folder each time; every run is a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.start import CONFIG, environment
from benchmarks.timing import shown

ROUNDS, QUICK = 9, 2
ROOT = Path(__file__).parent.parent

LOOKED_AT = {
    "sim.loop.complete": ("block_rows", "encode", "write_through"),
    "sim.store.parts": ("rows_of",),
    "sim.analysis.analyze": ("gather",),
    "sim.api": ("complete", "analyze", "run"),
    "sim.cli.run": ("tell",),
}
"""By the module that calls it, what is timed."""

PHASES: dict[str, Callable[[Counter[str]], float]] = {
    "start, import, read the YAML": lambda t: t["begun"],
    "draw and estimate": lambda t: t["block_rows"],
    "hand parts over, name them, wait for the last": lambda t: t["complete"] - t["block_rows"],
    "read the parts": lambda t: t["rows_of"],
    "gather moments, quantiles, replicates": lambda t: t["gather"] - t["rows_of"],
    "exact values, fits, comparisons": lambda t: t["analyze"] - t["gather"],
    "write the tables": lambda t: t["run"] - t["complete"] - t["analyze"],
    "print": lambda t: t["tell"],
    "all, with the way out": lambda t: t["whole"],
    "beside: encode parts": lambda t: t["encode"],
    "beside: write them, wait for the disk": lambda t: t["write_through"],
}


def watched(module: Any, name: str, taken: Counter[str]) -> None:
    """Add up what a function takes when it is called from this module."""
    inner = getattr(module, name)

    def timed(*arguments: Any, **options: Any) -> Any:
        begun = time.perf_counter()
        if name == "run":
            taken["begun"] = time.time() - float(sys.argv[2])
        try:
            return inner(*arguments, **options)
        finally:
            taken[name] += time.perf_counter() - begun

    setattr(module, name, timed)


def child(folder: str) -> None:
    """Do the run as the command does, and print what its phases took to stderr."""
    taken: Counter[str] = Counter()
    command = import_module("sim.cli.run").command
    for module, names in LOOKED_AT.items():
        for name in names:
            watched(import_module(module), name, taken)
    command.main([str(CONFIG), "--workers", "1", "--out", folder], standalone_mode=False)
    print(json.dumps(taken), file=sys.stderr)


def one_run() -> Counter[str]:
    """Return the seconds of each phase of one run."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.time()
        command = [sys.executable, "-m", "benchmarks.phases", folder, str(begun)]
        done = subprocess.run(
            command, cwd=ROOT, env=environment(), check=True, capture_output=True, text=True
        )
        whole = time.time() - begun
    return Counter({**json.loads(done.stderr.splitlines()[-1]), "whole": whole})


def main(rounds: int) -> None:
    """Print the table."""
    runs = [one_run() for _ in range(rounds + 1)][1:]  # the first reads files from the disk
    print("| phase | ms |\n| --- | ---: |")
    for name, of in PHASES.items():
        print(f"| {name} | {shown(1e3 * median(map(of, runs)))} |")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        child(sys.argv[1])
    else:
        main(QUICK if "--quick" in sys.argv else ROUNDS)
