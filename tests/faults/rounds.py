"""All faults there are, and how one is injected in a folder of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

from . import (  # noqa: F401
    cluster,
    crowds,
    damage,
    disks,
    kills,
    memory,
    signals,
    streams,
    surroundings,
)
from .records import FAULTS, Fault, NotPossible, Record
from .scenes import Bench, Quiet

__all__ = ["FAULTS", "injected"]


def injected(fault: Fault, folder: Path, quiet: Quiet, seed: str, *, light: bool = False) -> Record:
    """Return what was seen of one round of a fault; where all held, nothing is left of it.

    A light round is of a smaller experiment, and fewer times.
    """
    folder.mkdir(parents=True)
    bench = Bench(folder / "results", quiet, seed, light=light)
    try:
        fault.inject(bench)
    except NotPossible as reason:
        bench.record.reasons.append(str(reason))
    if not bench.record.broken:
        shutil.rmtree(folder)
    return bench.record
