"""When to strike: each moment takes a scene and a number in [0, 1), and says when it is time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from .scenes import Scene

Due = Callable[[], bool]
Moment = Callable[[Scene, float], Due]


def after(seconds: float) -> Due:
    """Return what is due after so many seconds."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def while_it_starts(scene: Scene, chance: float) -> Due:
    return after(1.5 * chance)


def while_it_loads(scene: Scene, chance: float) -> Due:
    """Due before a command that has little to do has done it."""
    return after(0.4 * chance)


def between_parts(scene: Scene, chance: float) -> Due:
    """Due when some parts that were missing are there."""
    folder = scene.folder / "trials"
    there = stamps(folder)
    wanted = min(scene.missing(), 1 + int(4 * chance))
    return lambda: len(stamps(folder) - there) >= wanted


def while_a_part_is_written(scene: Scene, chance: float) -> Due:
    return lambda: bool(names(scene.folder / "trials", ".tmp"))


def while_it_analyzes(scene: Scene, chance: float) -> Due:
    """Due somewhen after the last part is there."""
    folder = scene.folder / "trials"
    runs, there, missing = begun(scene.folder), stamps(folder), scene.missing()
    due: list[Due] = []

    def is_due() -> bool:
        is_complete = begun(scene.folder) > runs and len(stamps(folder) - there) >= missing
        if is_complete and not due:
            due.append(after(chance))
        return bool(due) and due[0]()

    return is_due


def while_a_table_is_written(scene: Scene, chance: float) -> Due:
    before = stamps(scene.folder)

    def is_due() -> bool:
        written = [name for name in names(scene.folder, ".tmp") if "experiment" not in name]
        return bool(written) or bool(stamps(scene.folder) - before)

    return is_due


MOMENTS: list[Moment] = [
    while_it_starts,
    between_parts,
    while_a_part_is_written,
    between_parts,
    while_it_starts,
    while_it_analyzes,
    while_it_analyzes,
    while_a_table_is_written,
]
"""A chain through all phases of a run: each strike finds what those before it left."""


def begun(folder: Path) -> int:
    """Return how many runs have begun here."""
    log = folder / "log.jsonl"
    text = log.read_text(errors="replace") if log.exists() else ""
    return text.count('"run"') + text.count('"extend"')


def stamps(folder: Path) -> set[tuple[str, int]]:
    """Return the Parquet files of a folder, each with when it was written."""
    found = set()
    for name in names(folder, ".parquet"):
        try:
            found.add((name, (folder / name).stat().st_mtime_ns))
        except FileNotFoundError:
            continue
    return found


def names(folder: Path, ending: str) -> list[str]:
    """Return the files of a folder whose names end so."""
    try:
        return [name for name in os.listdir(folder) if name.endswith(ending)]
    except FileNotFoundError:
        return []
