"""YAML text goes in; plain data by YAML 1.2's rules comes out, with the place of each value.

Built from PyYAML's events, one after the other: no recursion, no object construction, and an
end to aliases that grow. Lists come out as tuples, keys as the text that was written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from sim.config.problems import ConfigurationError, Mark, Path, Problem, Source
from sim.errors import first_line

DEEPEST = 32
MOST_VALUES = 2_000_000

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INTEGER = re.compile(r"[-+]?[0-9]{1,400}|0o[0-7]{1,400}|0x[0-9a-fA-F]{1,400}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"([-+]?)\.(inf|Inf|INF)")
_BASES = {"0o": 8, "0x": 16}

# libyaml where PyYAML has it: the same events, ten times as fast
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class Document:
    """Plain data with the places of its values and of its keys, by path.

    `problems` are faults of the text that did not stop the reading.
    """

    source: Source
    data: Any = None
    problems: list[Problem] = field(default_factory=list)
    values: dict[Path, Mark] = field(default_factory=dict)
    keys: dict[Path, Mark] = field(default_factory=dict)

    def mark(self, path: Path, *, key: bool = False) -> Mark:
        """Return the place of a value or of its key, or of the nearest value around it."""
        if key and path in self.keys:
            return self.keys[path]
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, Mark(self.source, 0, 0))


@dataclass
class _Frame:
    """A list or mapping that is still open."""

    path: Path
    value: list[Any] | dict[str, Any]
    anchor: str | None
    first: int
    key: str | None = None


def plain(text: str) -> Any:
    """Return what a scalar without quotes means in YAML 1.2 (core schema)."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INTEGER.fullmatch(text):
        return int(text[2:], _BASES[text[:2]]) if text[:2] in _BASES else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    infinite = _INFINITE.fullmatch(text)
    if infinite:
        return float(f"{infinite[1]}inf")
    return float("nan") if text in (".nan", ".NaN", ".NAN") else text


def parse(source: Source) -> Document:
    """Return the document in a source; ConfigurationError where it cannot be read to its end."""
    builder = _Builder(source)
    document = builder.document
    try:
        for event in yaml.parse(source.text, Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        where = error.problem_mark or error.context_mark
        mark = Mark(source, where.line, where.column) if where else Mark(source, 0, 0)
        fault = Problem(mark, (), f"not YAML: {error.problem or error.context}")
        raise ConfigurationError([*document.problems, fault]) from None
    except (yaml.YAMLError, UnicodeError) as error:
        fault = Problem(_unprintable(source), (), f"not YAML: {first_line(error)}")
        raise ConfigurationError([*document.problems, fault]) from None
    return document


def _unprintable(source: Source) -> Mark:
    """Return the place of the first character that YAML does not allow."""
    found = yaml.reader.Reader.NON_PRINTABLE.search(source.text)
    before = source.text[: found.start()] if found else ""
    return Mark(source, before.count("\n"), len(before) - before.rfind("\n") - 1)


class _Builder:
    """Takes events in order; holds the document as far as it is built."""

    def __init__(self, source: Source) -> None:
        self.document = Document(source)
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._values = 0
        self._documents = 0

    def take(self, event: Any) -> None:
        """Take one event."""
        mark = Mark(self.document.source, event.start_mark.line, event.start_mark.column)
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._fault(mark, f"tags such as {tag} are not used here; take it out")
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event, mark)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(str(event.anchor), mark)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._open(event, mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close()
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._stop(mark, "a second document; an experiment is one")

    def _fault(self, mark: Mark, message: str) -> None:
        path = self._stack[-1].path if self._stack else ()
        self.document.problems.append(Problem(mark, path, message))

    def _stop(self, mark: Mark, message: str) -> None:
        raise ConfigurationError([*self.document.problems, Problem(mark, (), message)])

    def _count(self, number: int, mark: Mark) -> None:
        self._values += number
        if self._values > MOST_VALUES:
            self._stop(mark, f"more than {MOST_VALUES} values, aliases written out")

    def _scalar(self, event: Any, mark: Mark) -> None:
        frame = self._stack[-1] if self._stack else None
        if frame and isinstance(frame.value, dict) and frame.key is None:
            self._key(frame, event.value, mark)
            return
        value = plain(event.value) if event.implicit[0] else event.value
        self._place(value, 1, mark)
        if event.anchor:
            self._anchors[event.anchor] = (value, 1)

    def _key(self, frame: _Frame, key: str, mark: Mark) -> None:
        path = (*frame.path, key)
        if key in frame.value:
            first = self.document.keys[path].line + 1
            self._fault(mark, f"the key {key!r} stands here twice, first on line {first}")
        self.document.keys.setdefault(path, mark)
        frame.key = key

    def _alias(self, name: str, mark: Mark) -> None:
        if name not in self._anchors:
            still_open = any(frame.anchor == name for frame in self._stack)
            why = "refers to itself" if still_open else "refers to nothing before it"
            self._stop(mark, f"the alias *{name} {why}")
        if self._stack and isinstance(self._stack[-1].value, dict) and self._stack[-1].key is None:
            self._stop(mark, "an alias cannot be a key")
        self._place(*self._anchors[name], mark)

    def _open(self, event: Any, mark: Mark) -> None:
        if len(self._stack) >= DEEPEST:
            self._stop(mark, f"nested more than {DEEPEST} deep")
        top = self._stack[-1] if self._stack else None
        if top and isinstance(top.value, dict) and top.key is None:
            self._stop(mark, "a key must be plain text")
        path: Path = ()
        if top:
            path = (*top.path, top.key if isinstance(top.value, dict) else len(top.value))  # type: ignore[arg-type]
        self.document.values[path] = mark
        empty: list[Any] | dict[str, Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._stack.append(_Frame(path, empty, event.anchor, self._values))

    def _close(self) -> None:
        frame = self._stack.pop()
        value = tuple(frame.value) if isinstance(frame.value, list) else frame.value
        self._place(value, 1, self.document.values[frame.path])
        if frame.anchor:
            self._anchors[frame.anchor] = (value, self._values - frame.first)

    def _place(self, value: Any, number: int, mark: Mark) -> None:
        self._count(number, mark)
        if not self._stack:
            self.document.values[()] = mark
            self.document.data = value
            return
        frame = self._stack[-1]
        if isinstance(frame.value, list):
            self.document.values[(*frame.path, len(frame.value))] = mark
            frame.value.append(value)
        elif frame.key is not None:
            self.document.values[(*frame.path, frame.key)] = mark
            frame.value[frame.key] = value
            frame.key = None
