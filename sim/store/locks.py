"""One writer at a time: the system lets go of a lock however its holder ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sim.store import plain

_POLL = 0.01


@contextmanager
def held(path: Path, seconds: float) -> Iterator[bool]:
    """Hold the lock of a file, after so many seconds at most; yield whether it is held."""
    descriptor = plain.lock_file(path, make=True)
    try:
        yield _got(descriptor, fcntl.LOCK_EX, seconds)
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Return whether somebody holds the lock of a file; where there is no file, none is made."""
    try:
        descriptor = plain.lock_file(path, make=False)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        return not _got(descriptor, fcntl.LOCK_SH, 0)  # who only asks keeps no other asker out
    finally:
        os.close(descriptor)


def _got(descriptor: int, how: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
        time.sleep(_POLL)
