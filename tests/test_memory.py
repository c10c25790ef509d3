"""Memory does not grow with the number of trials."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from runs import COINS, environment, text

PLAIN = {
    **COINS,
    "sizes": [5, 10, 15, 20, 30, 40, 45, 50],
    "bags": {"out": COINS["bags"]["out"]},
    "learners": {},
}
"""32 rows a trial: two models, two estimators, eight sizes."""

ONE = 4 * 4096
"""Trials enough that all that is loaded once is loaded, and that every block is full."""

CHILD = """
import json, resource, sys
import sim
from sim.engines import Engine
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
experiment = sim.load(sys.argv[1], [f"trials={sys.argv[2]}"])
sim.run(experiment, out=sys.argv[3], engine="serial")
print(json.dumps([before, peak()]))
"""

BETWEEN = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"
"""A small process between this one and the child, which would begin with this one's peak."""


def peaks(tmp_path: Path, trials: int) -> list[int]:
    """Return the peak memory of a process before and after a run."""
    config = tmp_path / "coins.yaml"
    config.write_text(text(PLAIN))
    child = [sys.executable, "-c", CHILD, config, str(trials), tmp_path / str(trials)]
    command = [sys.executable, "-c", BETWEEN, *child]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.strip("[]\n").split(",")]


def test_ten_times_the_trials_need_no_tenth_more_of_memory(tmp_path):
    """One number kept for each of 5 million rows would be 40 MB; a tenth is about 20."""
    before, one = peaks(tmp_path, ONE)
    _, ten = peaks(tmp_path, 10 * ONE)
    assert before < one / 1.5, "the peak was there before the run"
    assert ten <= 1.1 * one
