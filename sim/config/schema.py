"""The JSON Schema of an experiment file, for editors."""

from __future__ import annotations

from typing import Any

from sim.contracts.bag import BAGS
from sim.contracts.component import Family
from sim.contracts.estimator import ESTIMATORS
from sim.contracts.interval import INTERVALS
from sim.contracts.learner import LEARNERS
from sim.contracts.model import MODELS
from sim.experiment import Experiment

FAMILIES = {family.name: family for family in (BAGS, MODELS, LEARNERS, ESTIMATORS, INTERVALS)}


def schema() -> dict[str, Any]:
    """Return the JSON Schema of an experiment, every member of every shelf in `$defs`."""
    members = {
        f"{family.name}.{kind}": _member(family, kind)
        for family in FAMILIES.values()
        for kind in family.kinds()
    }
    whole = Experiment.model_json_schema(by_alias=True)
    whole["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    whole["$defs"] = {**whole.get("$defs", {}), **members}
    linked: dict[str, Any] = _link(whole)
    return linked


def _member(family: Family, kind: str) -> dict[str, Any]:
    inner = f"#/$defs/{family.name}.{kind}/$defs/{{model}}"  # a member keeps its own definitions
    plain = family.member(kind).model_json_schema(by_alias=True, ref_template=inner)
    required = sorted({"kind", *plain.get("required", ())})
    return {**plain, "title": f"{family.name}.{kind}", "required": required}


def _link(node: Any) -> Any:
    """Put the members of a family where the family stands."""
    if isinstance(node, list):
        return [_link(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    linked = {key: _link(inner) for key, inner in node.items() if key != "x-family"}
    if isinstance(node.get("x-family"), str):
        family = FAMILIES[node["x-family"]]
        members = [{"$ref": f"#/$defs/{family.name}.{kind}"} for kind in family.kinds()]
        linked["oneOf"] = [*members, {"enum": [*family.kinds()]}] if family.bare else members
    return linked
