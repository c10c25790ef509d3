"""What run.json says of a run, and what can be told from it later."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from sim.canary import canary
from sim.checks import Value
from sim.experiment import Experiment

_MAKERS = ("klsim", "numpy", "scipy", "pyarrow", "simpy")
_PACKAGES = (*_MAKERS, "pandas", "pydantic")


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
        "trials": experiment.trials,
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


def made_alike(told: Mapping[str, Any]) -> bool:
    """Return whether a run was made by the versions that are here, and by like arithmetic."""
    made = told.get("versions")
    here = {name: version(name) for name in _MAKERS}
    known = {name: made.get(name) for name in _MAKERS} if isinstance(made, dict) else {}
    return known == here and told.get("canary") == canary()


class _Where(Value):
    """The cell of a bag whose bias is known worst."""

    bag: str
    model: str | None
    target: str
    estimator: str
    size: int


class _End(Value):
    """Why a bag ended, as run.json says it."""

    trials: Annotated[int, Field(ge=1)]
    reached: bool
    bias_mcse: float | None
    where: _Where | None


_ENDS = TypeAdapter(dict[str, _End])


def stopped(told: Mapping[str, Any], experiment: Experiment) -> dict[str, Any] | None:
    """Return what run.json says of a stop; None where it speaks of another rule or run.

    Whatever else may stand there is not believed.
    """
    stop = told.get("stop")
    if not isinstance(stop, dict) or told.get("digest") != experiment.digest:
        return None
    rule = {key: value for key, value in stop.items() if key != "bags"}
    if experiment.stop is None or rule != _rule(experiment):
        return None
    try:
        ends = _ENDS.validate_python(stop.get("bags"))
    except ValidationError:
        return None
    if ends.keys() != experiment.bags.keys():
        return None
    return stop if all(x.trials <= experiment.most_trials for x in ends.values()) else None


def finished(told: Mapping[str, Any], experiment: Experiment) -> bool:
    """Return whether run.json says that all of this experiment was computed."""
    if told.get("digest") != experiment.digest or told.get("trials") != experiment.trials:
        return False
    return experiment.stop is None or stopped(told, experiment) is not None


def trials_used(told: Mapping[str, Any], experiment: Experiment) -> dict[str, int] | None:
    """Return how many trials each bag needed where `stop` stands; None until that is known.

    `told` is what run.json says.
    """
    stop = stopped(told, experiment)
    return None if stop is None else {bag: end["trials"] for bag, end in stop["bags"].items()}


def blocks(experiment: Experiment, bag: str, used: Mapping[str, int] | None) -> int:
    """Return how many blocks a bag has, or where it is known how many trials it used, needed."""
    if used is None:
        return experiment.blocks(bag)
    return -(-used[bag] // experiment.block_trials(bag))
