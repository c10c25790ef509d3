"""A file, or its text, becomes an Experiment; an Experiment becomes text again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path as FilePath
from typing import Any

import yaml
from pydantic import ValidationError

from sim.checks import UNKNOWN_KEY, shown
from sim.config.documents import Document, parse
from sim.config.problems import ConfigurationError, Mark, Path, Problem, Source
from sim.experiment import Experiment

LARGEST_FILE = 32 * 2**20

_WORDS: dict[str, Callable[[dict[str, Any], str], str]] = {
    "missing": lambda ctx, got: "missing; it is needed here",
    "int_type": lambda ctx, got: f"expected a whole number; got {got}",
    "float_type": lambda ctx, got: f"expected a number; got {got}",
    "string_type": lambda ctx, got: f"expected text; got {got}",
    "bool_type": lambda ctx, got: f"expected true or false; got {got}",
    "tuple_type": lambda ctx, got: f"expected a list; got {got}",
    "dict_type": lambda ctx, got: f"expected a mapping; got {got}",
    "model_type": lambda ctx, got: f"expected a mapping; got {got}",
    "finite_number": lambda ctx, got: f"expected a finite number; got {got}",
    "greater_than": lambda ctx, got: f"expected more than {ctx['gt']}; got {got}",
    "greater_than_equal": lambda ctx, got: f"expected at least {ctx['ge']}; got {got}",
    "less_than": lambda ctx, got: f"expected less than {ctx['lt']}; got {got}",
    "less_than_equal": lambda ctx, got: f"expected at most {ctx['le']}; got {got}",
    "too_short": lambda ctx, got: (
        f"expected at least {ctx['min_length']} entry; got {ctx['actual_length']}"
    ),
    "too_long": lambda ctx, got: (
        f"expected at most {ctx['max_length']} entries; got {ctx['actual_length']}"
    ),
    "literal_error": lambda ctx, got: f"expected {ctx['expected']}; got {got}",
}


def load(path: str | FilePath, changes: Iterable[str] = ()) -> Experiment:
    """Return the experiment in a file, with `key=value` changes as `--set` makes them.

    Raises ConfigurationError with every problem and its place.
    """
    return read(_text(FilePath(path)), str(path), changes)


def read(text: str, name: str = "experiment", changes: Iterable[str] = ()) -> Experiment:
    """Return the experiment in a text; `name` is what messages call it."""
    document = parse(Source(name, text))
    for change in changes:
        _change(document, change)
    return _build(document)


def dump(experiment: Experiment) -> str:
    """Return an experiment as YAML, complete in itself; `read` gives an equal one back."""
    plain = experiment.model_dump(mode="json", by_alias=True, exclude_none=True)
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)


def _text(path: FilePath) -> str:
    problem = None
    try:
        if path.stat().st_size > LARGEST_FILE:
            problem = f"expected at most {LARGEST_FILE} bytes"
        elif not path.is_file():
            problem = "expected a file"
        else:
            return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except (UnicodeDecodeError, ValueError) as error:
        problem = f"expected text in UTF-8: {error}"
    raise ConfigurationError([Problem(Mark(Source(str(path), ""), 0, 0), (), problem)])


def _change(document: Document, change: str) -> None:
    """Put the value of `dotted.key=value` into the document, with a place of its own."""
    key, equals, value = change.partition("=")
    source = Source(f"--set {key}", value)
    path: Path = tuple(key.split("."))
    fault = None
    if not equals or not all(path):
        fault = "expected key=value, the key as in trials or bags.bag.balls.red"
    new = parse(source) if fault is None else Document(source)
    document.problems += new.problems
    inner = document.data
    for step in path[:-1] if fault is None else ():
        inner = inner.setdefault(step, {}) if isinstance(inner, dict) else None
    if fault is None and not isinstance(inner, dict):
        fault = "there is no mapping on the way to this key"
    if fault is not None:
        raise ConfigurationError([Problem(Mark(source, 0, 0), (), fault)])
    inner[path[-1]] = new.data
    for places in (document.values, document.keys):
        for old in [place for place in places if place[: len(path)] == path]:
            del places[old]
    document.values.update({path + place: mark for place, mark in new.values.items()})


def _build(document: Document) -> Experiment:
    problems = document.problems
    try:
        experiment = Experiment.model_validate(document.data)
    except ValidationError as error:
        lines = error.errors(include_url=False)
        problems = [*problems, *(_problem(document, dict(line)) for line in lines)]
    if problems:
        raise ConfigurationError(problems)
    return experiment


def _problem(document: Document, line: dict[str, Any]) -> Problem:
    path: Path = tuple(step for step in line["loc"] if step != "[key]")
    at_key = line["type"] == UNKNOWN_KEY or "[key]" in line["loc"]
    words = _WORDS.get(line["type"])
    message = words(line.get("ctx", {}), shown(line["input"])) if words else line["msg"]
    return Problem(document.mark(path, key=at_key), path, message)
