"""Arrow looks for pandas with its first array; most commands and all workers need none.

To load pandas takes a quarter of a short run. Arrow that has not found it looks again when a
DataFrame is asked for (a test holds that), so it is hidden for the first look.
"""

from __future__ import annotations

import sys
from threading import get_ident
from typing import Any

import pyarrow as pa

NAME = "pandas"


class _Hidden:
    """An importer that knows of one package that it is not there, for one thread only."""

    def __init__(self) -> None:
        self.thread = get_ident()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Refuse pandas; leave all else to the importers that follow."""
        if name == NAME and get_ident() == self.thread:
            raise ModuleNotFoundError(f"{name} is not loaded before it is needed", name=name)


def put_off() -> None:
    """Let Arrow look for pandas once, in vain, unless it is there already."""
    if NAME in sys.modules:
        return
    hidden = _Hidden()
    sys.meta_path.insert(0, hidden)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(hidden)
