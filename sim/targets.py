"""The name of a target, as an experiment file has it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from sim.checks import guess, problem, shown
from sim.divergences import NAMES, RENYI, TARGETS, divergence


def _target(name: str) -> str:
    known = divergence(name)
    if known is None:
        order = "; `renyi(a)` takes an order above 0, below 10 and not 1"
        known_here = order if name.startswith("renyi(") else guess(name, NAMES)
        raise problem(f"unknown target {shown(name)}{known_here}")
    return known.name


_SCHEMA = {"anyOf": [{"enum": [*TARGETS]}, {"pattern": f"^{RENYI}$"}]}
Target = Annotated[str, AfterValidator(_target), Field(json_schema_extra=_SCHEMA)]
