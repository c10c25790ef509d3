"""Regular files and folders, and nothing else: no link is followed, no pipe is waited for."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO, Literal

from sim.errors import Fault

MOST_TEXT = 256 * 2**20
"""The most bytes of a file that is not a table; no run writes so many."""

_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "symbolic link",
    stat.S_IFIFO: "named pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}
_SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Misplaced(Fault):
    """Something else lies where a run has a file or a folder of its own."""

    exit_code = 4


def kind(path: Path) -> str | None:
    """Return in a word what lies at a path, links not followed; None where nothing does."""
    try:
        return _KINDS.get(stat.S_IFMT(path.lstat().st_mode), "special file")
    except (FileNotFoundError, NotADirectoryError):
        return None


def expect(path: Path, wanted: Literal["file", "folder"]) -> None:
    """Raise Misplaced where something else than is wanted lies at a path."""
    found = kind(path)
    if found not in (None, wanted):
        raise Misplaced(
            f"{path}: expected a {wanted} of a run, got a {found}, which is neither followed nor "
            "opened; move it away, or choose another --out"
        )


def opened(path: Path) -> BinaryIO:
    """Return a regular file, open to be read; Misplaced where something else lies there."""
    expect(path, "file")  # to open a device may already do something
    return os.fdopen(os.open(path, os.O_RDONLY | _SAFELY), "rb")


def read(path: Path, most: int | None = None) -> bytes:
    """Return what a regular file holds; Misplaced where it is something else, or too large."""
    with opened(path) as file:
        if most is not None and os.fstat(file.fileno()).st_size > most:
            raise Misplaced(f"{path}: expected at most {most} bytes; move it away")
        return file.read()


def read_json(path: Path) -> Any:
    """Return the JSON in a file; ValueError where it is none, however it may be broken."""
    return parse_json(read(path, MOST_TEXT))


def parse_json(text: bytes) -> Any:
    """Return the value of a JSON text; ValueError where it is none."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def write_through(path: Path, content: bytes) -> None:
    """Write a new file and wait until the disk has it; leave nothing where that fails."""
    path.unlink(missing_ok=True)  # a worker that died over the same block may have left it
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFELY
        with os.fdopen(os.open(path, flags, 0o666), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def lock_file(path: Path, *, make: bool) -> int:
    """Return the descriptor of a file to lock; nothing is written into it."""
    expect(path, "file")
    return os.open(path, (os.O_RDWR | os.O_CREAT if make else os.O_RDONLY) | _SAFELY, 0o666)
