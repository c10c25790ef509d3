"""What is wrong with one file of a run, in words; None where nothing is."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from sim.errors import first_line
from sim.store import plain
from sim.store.whole_tables import decode_table, experiment_of


def special_fault(path: Path, wanted: str = "file") -> str | None:
    """Say what lies there instead of the file or folder that is wanted, if anything does."""
    found = plain.kind(path)
    return None if found in (None, wanted) else f"expected a {wanted}, got a {found}"


def record_fault(path: Path) -> str | None:
    """Say what is wrong with a file that holds one JSON object."""
    try:
        return _object_fault(plain.read(path, plain.MOST_TEXT))
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def log_fault(path: Path) -> str | None:
    """Say what is wrong with the first bad line of a file that holds a JSON object a line."""
    try:
        lines = plain.read(path, plain.MOST_TEXT).splitlines()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    faults = ((number, _object_fault(line)) for number, line in enumerate(lines, 1))
    return next((f"line {number}: {fault}" for number, fault in faults if fault), None)


def _object_fault(text: bytes) -> str | None:
    try:
        value = plain.parse_json(text)
    except ValueError as error:
        return f"damaged: {first_line(error)}"
    return None if isinstance(value, dict) else "damaged: expected a JSON object"


def table_fault(path: Path, name: str, experiment: str | None) -> str | None:
    """Say what is wrong with a table, which should carry this experiment where one is given."""
    try:
        table = decode_table(name, plain.read(path))
    except (OSError, MemoryError, pa.ArrowException) as error:
        return f"damaged: {first_line(error)}"
    if experiment is not None and experiment_of(table) != experiment:
        return "made of another experiment than the one that lies here"
    return None
