"""A file, or its text, becomes an Experiment; an Experiment becomes text again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path as FilePath
from typing import Any

import yaml
from pydantic import ValidationError

from sim.checks import UNKNOWN_KEY, relocate, shown
from sim.compositions import FROM_FILE, FromFile
from sim.config.documents import Document, parse
from sim.config.documents import plain as plain_value
from sim.config.files import FileFault, counts
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
    file = FilePath(path)
    return read(_text(file), str(path), changes, file.parent)


def read(
    text: str,
    name: str = "experiment",
    changes: Iterable[str] = (),
    folder: FilePath | None = None,
) -> Experiment:
    """Return the experiment in a text; `name` is what messages call it.

    Files that it counts lie in `folder`; without one, `from_file` is a fault.
    """
    document = parse(Source(name, text))
    for change in changes:
        _change(document, change)
    if folder is not None:
        known = len(document.problems)
        document.data = _filled(document, (), document.data, folder)
        if len(document.problems) > known:  # without those counts nothing else can be judged
            raise ConfigurationError(document.problems)
    return _build(document)


def dump(experiment: Experiment) -> str:
    """Return an experiment as YAML, complete in itself; `read` gives an equal one back."""
    plain = experiment.model_dump(mode="json", by_alias=True, exclude_none=True)
    options: dict[str, Any] = {"sort_keys": False, "allow_unicode": True, "width": 100}
    return str(yaml.dump(plain, Dumper=_Dumper, **options))


class _Dumper(yaml.SafeDumper):
    """Puts quotes around text that YAML 1.2 would take for something else; PyYAML knows 1.1."""


def _quoted(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    bare = isinstance(plain_value(value), str) and "\x85" not in value
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if bare else '"')


_Dumper.add_representer(str, _quoted)


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
    except UnicodeDecodeError as error:
        problem = f"expected text in UTF-8: {error}"
    except ValueError as error:  # a name that no file can have
        problem = f"cannot be read: {error}"
    raise _refusal(Source(str(path), ""), problem)


def _change(document: Document, change: str) -> None:
    """Put the value of `dotted.key=value` into the document, with a place of its own."""
    key, equals, value = change.partition("=")
    source = Source(f"--set {key}", value)
    path: Path = tuple(key.split("."))
    if not equals or not all(path):
        raise _refusal(source, "expected key=value, the key as in trials or bags.bag.balls.red")
    new = parse(source)
    document.problems += new.problems
    document.data = _replaced(document.data, path, new.data, source)
    for places in (document.values, document.keys):
        for old in [place for place in places if place[: len(path)] == path]:
            del places[old]
    document.values[path] = Mark(source, 0, 0)  # also where the value is nothing
    document.values.update({path + place: mark for place, mark in new.values.items()})


def _replaced(node: Any, path: Path, value: Any, source: Source) -> Any:
    """Return the data with one value replaced; what an alias shares stays as it is."""
    if not path:
        return value
    if not isinstance(node, dict):
        raise _refusal(source, f"there is no mapping to put {path[0]!r} into")
    return {**node, path[0]: _replaced(node.get(path[0], {}), path[1:], value, source)}


def _refusal(source: Source, message: str) -> ConfigurationError:
    return ConfigurationError([Problem(Mark(source, 0, 0), (), message)])


def _filled(document: Document, path: Path, node: Any, folder: FilePath) -> Any:
    """Return the data with every `from_file` replaced by the counts of its column."""
    if isinstance(node, tuple):
        return tuple(_filled(document, (*path, i), x, folder) for i, x in enumerate(node))
    if not isinstance(node, dict):
        return node
    if node.keys() != {FROM_FILE}:
        return {key: _filled(document, (*path, key), x, folder) for key, x in node.items()}
    inner = (*path, FROM_FILE)
    try:
        return counts(FromFile.model_validate(node[FROM_FILE]), folder)
    except FileFault as fault:
        document.problems.append(Problem(document.mark(inner), inner, str(fault)))
    except ValidationError as error:
        lines = relocate(error, inner).errors(include_url=False)
        document.problems += [_problem(document, dict(line)) for line in lines]
    return None


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
    of_key = line["loc"][-1:] == ("[key]",)  # pydantic's mark of a fault in a key
    path: Path = line["loc"][:-1] if of_key else line["loc"]
    at_key = line["type"] == UNKNOWN_KEY or of_key
    words = _WORDS.get(line["type"])
    message = words(line.get("ctx", {}), shown(line["input"])) if words else line["msg"]
    return Problem(document.mark(path, key=at_key), path, message)
