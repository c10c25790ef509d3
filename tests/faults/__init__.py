"""Faults, really injected into real runs: `python -m tests.faults` prints what became of them."""

import sys
from pathlib import Path

_TESTS = str(Path(__file__).parent.parent)
if _TESTS not in sys.path:  # tests import one another by their bare names
    sys.path.insert(0, _TESTS)
