"""The folder in the directory of a run that holds its pictures, where they were asked for."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sim.store import plain

FOLDER = "report"

NAMES = (
    "bias",
    "estimates",
    "rmse",
    "sd",
    "leaderboard",
    "coverage",
    "intervals",
    "without-number",
    "chi-square",
    "over-time",
)
"""Of the pictures that there may be: whatever else lies there is the user's."""

_FILE = rf"({'|'.join(NAMES)})\.(svg|png)"
_NAME = re.compile(_FILE)
_LEFT = re.compile(rf"\.{_FILE}\.[0-9a-f]+\.tmp")


def here(results: Path) -> list[Path]:
    """Return the pictures that lie in the directory of a run, and what a killed writer left."""
    folder = results / FOLDER
    names = sorted(os.listdir(folder)) if plain.kind(folder) == "folder" else []
    found = (folder / name for name in names if _NAME.fullmatch(name) or _LEFT.fullmatch(name))
    return [path for path in found if plain.kind(path) == "file"]


def sweep(results: Path) -> None:
    """Remove what a killed writer left."""
    for path in here(results):
        if _LEFT.fullmatch(path.name):
            path.unlink(missing_ok=True)
