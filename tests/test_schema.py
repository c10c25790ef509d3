"""The JSON Schema accepts what the reader accepts, and knows every member and every field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sim.cli import init
from sim.config.documents import parse
from sim.config.problems import ConfigurationError, Source
from sim.config.reading import dump, load, read
from sim.config.schema import FAMILIES, schema
from sim.contracts.component import Family
from sim.contracts.estimator import ESTIMATORS
from sim.contracts.interval import INTERVALS
from sim.experiment import Experiment

CONFIGS = sorted((Path(__file__).parent.parent / "configs").glob("*.yaml"))
STARTER = Path(init.__file__).with_name("starter.yaml")
MEMBERS = [(family, kind) for family in FAMILIES.values() for kind in family.kinds()]
members = pytest.mark.parametrize(
    ("family", "kind"), MEMBERS, ids=lambda x: x if isinstance(x, str) else x.name
)

TYPES: dict[str, Any] = {
    "object": dict,
    "array": (tuple, list),
    "string": str,
    "boolean": bool,
    "null": type(None),
    "number": (int, float),
    "integer": (int, float),
}
SILENT = {"title", "description", "default", "examples", "$schema", "$defs", "$id", "$comment"}


def is_of(value: Any, name: str) -> bool:
    if name in ("number", "integer") and isinstance(value, bool):
        return False
    whole = name != "integer" or not isinstance(value, float) or value.is_integer()
    return isinstance(value, TYPES[name]) and whole


def one_of(value: Any, options: list[Any]) -> bool:
    return sum(next(faults(value, option), None) is None for option in options) == 1


def any_of(value: Any, options: list[Any]) -> bool:
    return any(next(faults(value, option), None) is None for option in options)


# a word that a value keeps or breaks
HOLDS: dict[str, Any] = {
    "const": lambda value, const: value == const and type(value) is type(const),
    "enum": lambda value, options: value in options,
    "minimum": lambda value, least: isinstance(value, str) or value >= least,
    "maximum": lambda value, most: isinstance(value, str) or value <= most,
    "exclusiveMinimum": lambda value, least: isinstance(value, str) or value > least,
    "exclusiveMaximum": lambda value, most: isinstance(value, str) or value < most,
    "minItems": lambda value, least: len(value) >= least,
    "maxItems": lambda value, most: len(value) <= most,
    "minProperties": lambda value, least: len(value) >= least,
    "maxProperties": lambda value, most: len(value) <= most,
    "minLength": lambda value, least: len(value) >= least,
    "maxLength": lambda value, most: len(value) <= most,
    "pattern": lambda value, pattern: re.search(pattern, value),
    "required": lambda value, names: set(names) <= set(value),
    "oneOf": one_of,
    "anyOf": any_of,
}


@cache
def whole() -> dict[str, Any]:
    return schema()


def target(reference: str) -> Any:
    """Return what a reference within the schema points to."""
    node = whole()
    for step in reference.removeprefix("#/").split("/"):
        node = node[step]
    return node


def places(family: Family) -> list[Any]:
    """Return the rules where members of a family stand: an interval on each estimator."""
    if family is not INTERVALS:
        return [whole()["properties"][family.name]["additionalProperties"]]
    members = [whole()["$defs"][f"estimators.{kind}"] for kind in ESTIMATORS.kinds()]
    options = [member["properties"]["interval"]["anyOf"] for member in members]
    assert all({"type": "null"} in each and len(each) == 2 for each in options)
    return [one for each in options for one in each if "oneOf" in one]


def others(value: Any, rule: dict[str, Any]) -> Iterator[str]:
    return (key for key in value if key not in rule.get("properties", {}))


def rest(value: Any, rule: dict[str, Any]) -> Iterator[Any]:
    return enumerate(value[len(rule.get("prefixItems", ())) :])


# a word of JSON Schema that leads on: (value, rule) gives what is inside, its rule and its place
INNER: dict[str, Any] = {
    "$ref": lambda v, r: [(v, target(r["$ref"]), "")],
    "allOf": lambda v, r: [(v, inner, "") for inner in r["allOf"]],
    "items": lambda v, r: [(inner, r["items"], f"[{n}]") for n, inner in rest(v, r)],
    "prefixItems": lambda v, r: [
        (inner, each, "[]") for inner, each in zip(v, r["prefixItems"], strict=False)
    ],
    "properties": lambda v, r: [
        (v[k], r["properties"][k], f".{k}") for k in v if k in r["properties"]
    ],
    "propertyNames": lambda v, r: [(key, r["propertyNames"], f".{key} (key)") for key in v],
    "additionalProperties": lambda v, r: [
        (v[key], r["additionalProperties"], f".{key}") for key in others(v, r)
    ],
}


def faults(value: Any, rule: Any, path: str = "") -> Iterator[str]:
    """Yield where a value breaks a rule of JSON Schema; like any reader, pass over other words."""
    if isinstance(rule, bool):
        yield from () if rule else (f"{path}: must not be here",)
        return
    named = rule.get("type", [*TYPES])
    if not any(is_of(value, name) for name in ([named] if isinstance(named, str) else named)):
        yield f"{path}: {value!r} is not of type {named}"
        return
    for word, said in rule.items():
        if word in HOLDS and not HOLDS[word](value, said):
            yield f"{path}: {value!r} breaks {word}"
        for inner, each, step in INNER[word](value, rule) if word in INNER else ():
            yield from faults(inner, each, path + step)


def problems(text: str) -> list[str]:
    return list(faults(parse(Source("text", text)).data, whole()))


def words(node: Any, *, of_rules: bool = True) -> Iterator[str]:
    """Yield every word that the schema uses of JSON Schema."""
    if isinstance(node, dict):
        for key, inner in node.items():
            if of_rules:
                yield key
            if key not in ("default", "const", "enum", "required"):
                yield from words(inner, of_rules=key not in ("properties", "$defs"))
    elif isinstance(node, list):
        for inner in node:
            yield from words(inner)


def test_the_schema_uses_only_words_of_json_schema():
    assert set(words(whole())) - {*HOLDS, *INNER, *SILENT, "type"} == set()


def test_the_schema_is_json_and_the_same_each_time():
    text = json.dumps(whole(), allow_nan=False)
    assert json.loads(text) == whole()
    assert json.dumps(schema()) == text


@pytest.mark.parametrize("path", [*CONFIGS, STARTER], ids=lambda path: path.stem)
def test_every_configuration_here_is_accepted_as_written_and_as_resolved(path):
    assert problems(path.read_text(encoding="utf-8")) == []
    assert problems(dump(load(path))) == []


@members
def test_the_example_of_every_member_is_accepted(family, kind):
    example = parse(Source(kind, family.member(kind).example())).data
    assert list(faults(example, whole()["$defs"][f"{family.name}.{kind}"])) == []
    for place in places(family):
        assert list(faults(example, place)) == []


@members
def test_the_properties_of_a_member_are_its_fields(family, kind):
    rule, fields = whole()["$defs"][f"{family.name}.{kind}"], family.member(kind).model_fields
    assert set(rule["properties"]) == {field.alias or name for name, field in fields.items()}
    needed = {field.alias or name for name, field in fields.items() if field.is_required()}
    assert set(rule["required"]) == needed | {"kind"}
    assert rule["additionalProperties"] is False
    assert rule["properties"]["kind"]["const"] == kind


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_every_member_of_a_family_may_stand_where_the_family_stands(family):
    for place in places(family):
        named = {option["$ref"] for option in place["oneOf"] if "$ref" in option}
        assert named == {f"#/$defs/{family.name}.{kind}" for kind in family.kinds()}


@pytest.mark.parametrize("form", ["{}", "{{kind: {}}}"], ids=["bare", "in full"])
@pytest.mark.parametrize("kind", INTERVALS.kinds())
def test_an_interval_may_be_its_kind_alone(kind, form):
    text = BASE + f"estimators:\n  it: {{kind: plug_in, interval: {form.format(kind)}}}\n"
    assert problems(text) == []
    assert read(text).estimators["it"].interval == INTERVALS.build({"kind": kind})


def test_the_properties_of_an_experiment_are_its_fields():
    fields = Experiment.model_fields
    assert set(whole()["properties"]) == set(fields)
    assert set(whole()["required"]) == {n for n, field in fields.items() if field.is_required()}
    assert whole()["additionalProperties"] is False


def test_every_reference_leads_somewhere():
    text = json.dumps(whole())
    references = re.findall(r'"\$ref": "(#[^"]+)"', text)
    assert references
    assert all(isinstance(target(reference), dict) for reference in references)
    assert "x-family" not in text


BASE = """\
name: urn
seed: 1
trials: 1e3
sizes: {from: 1, to: 10}
bags: {urn: {kind: with_replacement, balls: {red: 1, blue: 2}}}
"""
BROKEN = [
    ("name: urn\n", ""),
    ("name: urn", "name: 5"),
    ("trials: 1e3", "trials: 1.5"),
    ("trials: 1e3", "trials: true"),
    ("trials: 1e3", "trials: 0"),
    ("trials: 1e3", "trials: 1e13"),
    ("seed: 1", "seed: -1"),
    ("seed: 1", f"seed: {2**128}"),
    ("seed: 1", "seed: 1\nsead: 2"),
    ("seed: 1", "seed: 1\nunit: nat"),
    ("seed: 1", "seed: 1\ntargets: []"),
    ("seed: 1", "seed: 1\ntargets: [kll]"),
    ("{from: 1, to: 10}", "[]"),
    ("{from: 1, to: 10}", "[0]"),
    ("{from: 1, to: 10}", "[ten]"),
    ("{from: 1, to: 10}", "{from: 1}"),
    ("{from: 1, to: 10}", "{from: 1, to: 10, per_decade: 101}"),
    ("with_replacement", "with_replacment"),
    ("seed: 1", "seed: 1\nlevel: 1"),
    ("seed: 1", "seed: 1\nlevel: 0"),
    ("seed: 1", "seed: 1\nestimators: {it: {kind: plug_in, interval: walt}}"),
    ("seed: 1", "seed: 1\nestimators: {it: {kind: plug_in, interval: {kind: wald, z: 2}}}"),
    ("seed: 1", "seed: 1\nestimators: {it: {kind: plug_in, interval: [wald]}}"),
    ("kind: with_replacement, ", ""),
    ("balls:", "bals:"),
    ("blue: 2", "blue: -2"),
    ("blue: 2", "blue: two"),
    ("{red: 1, blue: 2}", "{}"),
    ("{red: 1, blue: 2}", "{zipf: {exponent: 1}}"),
    ("{red: 1, blue: 2}", "{zipf: {colours: 0}}"),
    ("{red: 1, blue: 2}", "{zipf: {colours: 5, exponent: 21}}"),
]


BROKEN += [
    ("seed: 1", f"seed: 1\ntargets: [{name}]")
    for name in ("renyi(10)", "renyi(-1)", "renyi(a)", "renyi2", "'renyi(2) '", "my renyi(2)")
]
PAIRED = (
    BASE.rstrip()
    + """
models:
  second: {kind: drawn, bag: {kind: with_replacement, balls: {red: 2, blue: 1}}, draws: same}
"""
)
OF_DRAWS = ["twice", "0", "-1", "1.5", "1e13", "true", "[1]", "{}", "{ratio: 0}", "{ratio: 1e7}"]
OF_DRAWS += ["{rate: 2}", "{ratio: 2, most: 3}"]


@pytest.mark.parametrize("draws", ["same", "1", "1e3", "12", "{ratio: 2}", "{ratio: 0.5}"])
def test_what_draws_may_be_is_accepted_by_both(draws):
    text = PAIRED.replace("draws: same", f"draws: {draws}")
    assert problems(text) == []
    assert "second" in read(text).models


@pytest.mark.parametrize("draws", OF_DRAWS)
def test_what_draws_may_not_be_is_refused_by_both(draws):
    text = PAIRED.replace("draws: same", f"draws: {draws}")
    with pytest.raises(ConfigurationError):
        read(text)
    assert problems(text)


@pytest.mark.parametrize("name", ["renyi(2)", "renyi(0.5)", "renyi(9.999999)", "js_distance"])
def test_a_target_with_an_order_is_accepted_by_both(name):
    text = BASE.replace("seed: 1", f"seed: 1\ntargets: [{name}]")
    assert problems(text) == []
    assert read(text).targets == (name,)


def test_the_base_of_what_follows_is_accepted_by_both():
    assert problems(BASE) == []
    assert read(BASE).trials == 1000


@pytest.mark.parametrize(("old", "new"), BROKEN)
def test_what_the_reader_refuses_for_its_form_the_schema_refuses(old, new):
    text = BASE.replace(old, new, 1)
    with pytest.raises(ConfigurationError):
        read(text)
    assert problems(text)
