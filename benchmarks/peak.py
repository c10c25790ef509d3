"""The most memory that a whole run holds where a bag has many colours and draws are many.

    python -m benchmarks.peak [--quick]

`klsim run` of a uniform bag of 100,000 colours, at sizes up to 1,000,000, a few trials: the most
memory of its process, in KB as the system counts them (`ru_maxrss`), beside what its libraries
take alone and what the counts of one block weigh: a block is drawn whole, however few are kept.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.start import LIBRARIES, LOADED

COLOURS, LARGEST, QUICK = 100_000, 1_000_000, 1_000
TRIALS = 10
BLOCK = 64 * 2**20 // (8 * COLOURS)
"""Trials of a block: its counts fill 64 MiB."""


def text(largest: int) -> str:
    """Return the experiment."""
    return (
        f"name: peak\nseed: 1\ntrials: {TRIALS}\n"
        f"sizes: {{from: 10, to: {largest}, per_decade: 1}}\n"
        f"bags:\n  bag: {{kind: with_replacement, balls: {{uniform: {{colours: {COLOURS}}}}}}}\n"
    )


def held(*command: str) -> int:
    """Return the most memory that a command holds, in KB."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return usage.ru_maxrss


def run(largest: int) -> int:
    """Return the most memory that a run holds, one process, in KB."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "peak.yaml")
        config.write_text(text(largest), encoding="utf-8")
        klsim = str(Path(sys.executable).with_name("klsim"))
        return held(klsim, "run", str(config), "--out", folder, "--workers", "1")


def lines(largest: int) -> Iterator[str]:
    """Yield what each takes, in a line each."""
    yield f"{LOADED}: {held(sys.executable, '-c', LIBRARIES):,} KB"
    yield f"klsim run, K = {COLOURS:,}, n to {largest:,}, {TRIALS} trials: {run(largest):,} KB"
    counts = BLOCK * COLOURS * 8 // 1024
    yield f"the counts of a block, {BLOCK} trials × {COLOURS:,} colours × 8 bytes: {counts:,} KB"


def main() -> None:
    """Print what each takes."""
    for line in lines(QUICK if "--quick" in sys.argv else LARGEST):
        print(line)


if __name__ == "__main__":
    main()
