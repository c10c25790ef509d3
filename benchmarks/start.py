"""The command as a whole process, beside what any program of its kind must load.

    python -m benchmarks.start [--quick]

`klsim run configs/red_blue.yaml` from start to end (trials, analysis, printing; no page; a new
folder each time) over `python -c "import numpy, pandas, pyarrow, simpy"`, and `klsim --help`
over a bare interpreter. Both sides are the same interpreter with the same flags, and import
`site` as the command does; modules are compiled once, as they are where klsim is installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.timing import ratio, rounds, shown, timed

CONFIG = Path(__file__).parent.parent / "configs" / "red_blue.yaml"
LIBRARIES = "import numpy, pandas, pyarrow, simpy"
ROUNDS, QUICK = 9, 2

BARE, LOADED, HELP = "a bare interpreter", "numpy, pandas, pyarrow, simpy", "klsim --help"
RUN, SERIAL = "klsim run", "klsim run --workers 1"

PAIRS = ((HELP, BARE), (RUN, LOADED), (SERIAL, LOADED))


def process(*arguments: str) -> float:
    """Return the seconds of an interpreter with these arguments, from start to end."""
    return _timed(sys.executable, *arguments)


def run(*options: str) -> float:
    """Return the seconds of a whole run into a folder that was not there."""
    with tempfile.TemporaryDirectory() as folder:
        return klsim("run", str(CONFIG), "--out", str(Path(folder, "results")), *options)


def klsim(*arguments: str) -> float:
    """Return the seconds of the command: the script that is installed beside the interpreter."""
    return _timed(str(Path(sys.executable).with_name("klsim")), *arguments)


def _timed(*command: str) -> float:
    known = environment()
    return timed(partial(subprocess.run, command, check=True, capture_output=True, env=known))


def environment() -> dict[str, str]:
    """Return the environment of whoever installed klsim: modules are compiled once."""
    return {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def sides() -> Mapping[str, Callable[[], float]]:
    """Return what is measured, by its name."""
    return {
        BARE: partial(process, "-c", "pass"),
        HELP: partial(klsim, "--help"),
        LOADED: partial(process, "-c", LIBRARIES),
        RUN: run,
        SERIAL: partial(run, "--workers", "1"),
    }


def lines(number: int) -> Iterator[str]:
    """Yield the milliseconds of each process and the ratios, in a line each."""
    measures = sides()
    rounds(1, measures)  # files are read from the disk once, by whoever comes first
    taken = rounds(number, measures)
    for name, seconds in taken.items():
        yield f"{name}: {shown(1e3 * median(seconds))} ms"
    for own, other in PAIRS:
        yield f"{own} over {other}: {ratio(taken[own], taken[other])}"


def main(quick: bool = False) -> None:
    """Print what each process takes, and over what it is measured."""
    for line in lines(QUICK if quick else ROUNDS):
        print(line)


if __name__ == "__main__":
    main("--quick" in sys.argv)
