"""How far a run has come: what lies in its directory, against what its experiment asks."""

from __future__ import annotations

from typing import Any

from sim.experiment import Experiment
from sim.loop.records import blocks, finished, trials_used
from sim.store import coverage
from sim.store.directory import Directory
from sim.store.plain import kind


def standing(directory: Directory, experiment: Experiment) -> dict[str, Any]:
    """Return for each bag the blocks done and the blocks in all, and what else is known.

    Nothing is written, and of the parts only the footers are read.
    """
    told = directory.run_facts()
    used = trials_used(told, experiment)
    bags = {
        bag: (coverage.stored(directory, experiment, bag), blocks(experiment, bag, used))
        for bag in experiment.bags
    }
    return {
        "name": experiment.name,
        "trials": experiment.trials,
        "bags": bags,
        "complete": finished(told, experiment)
        and all(done == most for done, most in bags.values()),
        "summary": kind(directory.path / "summary.parquet") == "file",
        "in_use": directory.in_use(),
        **({} if experiment.stop is None else {"used": used}),
    }
