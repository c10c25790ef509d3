"""What a worker is asked before it computes.

It travels as text, so that any Python can read it, and knows nothing of klsim, so that it can
speak where klsim is missing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def enter(expected: dict[str, str], task: bytes) -> tuple[str, list[str], Any]:
    """Do a sealed task where this process is as expected.

    Returns the address of the worker, why it is refused, and else what it made.
    """
    address = import_module("distributed").get_worker().address
    try:
        there = import_module("sim.engines.likeness")
    except ImportError:
        return address, ["klsim is not installed there, or not this version"], None
    reasons = there.unlike(expected)
    made = None if reasons else import_module("cloudpickle").loads(task)()
    return address, reasons, made
