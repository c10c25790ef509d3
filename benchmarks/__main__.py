"""Measure everything, what it takes to start too, and print it: python -m benchmarks [--quick]."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Iterator

import numpy as np

from benchmarks import memory, start, whole_runs
from benchmarks.cases import FULL, QUICK, Plan
from benchmarks.floor import prices
from benchmarks.timing import Row, table


def measured(plan: Plan) -> Iterator[Row]:
    """Yield the rows of the table as they are measured."""
    price = prices()
    print(
        f"a random number {price.random * 1e9:.2f} ns, "
        f"a look-up and an addition {price.look_up * 1e9:.2f} ns\n"
    )
    for case in plan.cases:
        yield whole_runs.row(case, plan.run_rounds, price)
    for case in plan.memory:
        yield memory.row(case)


def main() -> None:
    """Print the table to stdout, and to stderr how far it is."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="see that it works; figures mean nothing"
    )
    plan = QUICK if parser.parse_args().quick else FULL
    begun = time.perf_counter()
    versions = f"Python {platform.python_version()}, numpy {np.__version__}"
    print(f"{os.cpu_count()} cores, one used; {versions}")
    rows = []
    for row in measured(plan):
        rows.append(row)
        passed = time.perf_counter() - begun
        print(f"{passed:4.0f} s  {row.what}, K = {row.colours:,}", file=sys.stderr, flush=True)
    print(table(rows), end="\n\n")
    for line in start.lines(start.QUICK if plan is QUICK else start.ROUNDS):
        print(line)


if __name__ == "__main__":
    main()
