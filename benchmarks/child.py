"""One whole run in a process of its own: prints its seconds of work and its peak memory.

    python -m benchmarks.child side_numpy '{"colours": 2, ...}' FOLDER

Only the side that is asked for is imported, so nobody pays for another's imports.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from pathlib import Path

from benchmarks.cases import Case


def peak_mb() -> float:
    """Return the most memory that this process has held, in MB."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    # not ru_maxrss: across exec it keeps the size of the process that started this one
    line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


def main() -> None:
    """Do the run that the arguments name."""
    name, case, folder = sys.argv[1:]
    if hasattr(os, "sched_setaffinity"):  # one core each, whatever threads a side has
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    side = importlib.import_module(f"benchmarks.{name}")
    begun = time.perf_counter()
    side.whole_run(Case(**json.loads(case)), Path(folder))
    print(json.dumps({"work": time.perf_counter() - begun, "peak": peak_mb()}))


if __name__ == "__main__":
    main()
