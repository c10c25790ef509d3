"""Real runs are killed at random moments, and go on to the bytes of a run that nobody killed."""

from __future__ import annotations

import pytest
from faults.rounds import FAULTS, injected
from faults.scenes import Quiet

KILLS = (
    "kill_coordinator",
    "kill_both",
    "kill_serial",
    "kill_stopping",
    "kill_extend",
    "kill_analyze",
    "kill_worker",
)
OTHERS = (
    "interrupt",
    "terminate",
    "hang_up",
    "disk_full",
    "read_only",
    "much_damaged",
    "many_runs",
    "memory_limited",
    "stdout_closed",
    "stdout_full",
)
"""One of each kind; `python -m tests.faults` injects all there are, and many times."""


@pytest.fixture(scope="session")
def quiet(tmp_path_factory):
    """What runs leave that nobody killed, computed without workers."""
    return Quiet(tmp_path_factory.mktemp("quiet"))


@pytest.mark.parametrize("name", KILLS)
def test_a_run_that_is_killed_goes_on_to_the_bytes_of_a_quiet_one(tmp_path, quiet, name):
    record = injected(FAULTS[name], tmp_path / "here", quiet, name, light=True)
    assert not record.broken, "\n".join(record.broken)
    assert record.hits >= record.tries - 1, "a run ended before it was killed"


@pytest.mark.parametrize("name", OTHERS)
def test_a_run_that_meets_a_fault_loses_nothing_says_so_and_goes_on(tmp_path, quiet, name):
    record = injected(FAULTS[name], tmp_path / "here", quiet, name, light=True)
    if record.reasons:
        pytest.skip(record.reasons[0])
    assert not record.broken, "\n".join(record.broken)
    assert record.hits
