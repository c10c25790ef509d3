"""What run.json says of a run, and what can be told from it later."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from sim.canary import canary
from sim.experiment import Experiment

_PACKAGES = ("klsim", "numpy", "scipy", "pyarrow", "pandas", "pydantic")


def facts(
    experiment: Experiment,
    computed: int,
    ends: Mapping[str, Mapping[str, Any]],
    timings: Mapping[str, float],
) -> dict[str, Any]:
    """Return what made the tables of a run, and how long it took.

    `ends` says of each bag why it ended, and is empty where `stop` does not stand.
    """
    used = {bag: end["trials"] for bag, end in ends.items()} or None
    rule = {} if experiment.stop is None else {"stop": {**_rule(experiment), "bags": dict(ends)}}
    return {
        "digest": experiment.digest,
        "canary": canary(),
        "versions": {name: version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "blocks": sum(blocks(experiment, bag, used) for bag in experiment.bags),
        "computed": computed,
        "seconds": {name: round(value, 3) for name, value in timings.items()},
        **rule,
    }


def _rule(experiment: Experiment) -> dict[str, Any]:
    assert experiment.stop is not None
    return {"trials": experiment.trials, **experiment.stop.model_dump()}


def stopped(told: Mapping[str, Any], experiment: Experiment) -> dict[str, Any] | None:
    """Return what run.json says of a stop; None where it speaks of another rule or run."""
    stop: dict[str, Any] | None = told.get("stop")
    if stop is None or experiment.stop is None or told.get("digest") != experiment.digest:
        return None
    rule = {key: value for key, value in stop.items() if key != "bags"}
    return stop if rule == _rule(experiment) else None


def blocks(experiment: Experiment, bag: str, used: Mapping[str, int] | None) -> int:
    """Return how many blocks a bag has, or where it is known how many trials it used, needed."""
    if used is None:
        return experiment.blocks(bag)
    return -(-used[bag] // experiment.block_trials(bag))
