"""What is wrong with a configuration: each problem with its place, all at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from sim.errors import Fault

Path = tuple[str | int, ...]

_LONGEST_KEY = 240
_MOST_SHOWN = 100


@dataclass(frozen=True, eq=False)
class Source:
    """A text and what to call it: a file, or a `--set` on the command line."""

    name: str
    text: str

    @cached_property
    def _lines(self) -> list[str]:
        return self.text.splitlines()

    def line(self, number: int) -> str:
        """Return a line, counted from 0; "" beyond the end."""
        return self._lines[number] if 0 <= number < len(self._lines) else ""


@dataclass(frozen=True)
class Mark:
    """A place in a source; line and column counted from 0."""

    source: Source
    line: int
    column: int

    def show(self) -> str:
        """Return `file:line:column`, counted from 1."""
        return f"{_printable(self.source.name)}:{self.line + 1}:{self.column + 1}"

    def caret(self) -> str:
        """Return the line with a caret under the place, cut to fit a terminal."""
        line = self.source.line(self.line)
        start = max(0, self.column - 60)
        cut = line[start : start + 100]
        shown = "".join(c if c.isprintable() else " " for c in cut)
        return f"    {shown}\n    {' ' * (self.column - start)}^" if shown.strip() else ""


@dataclass(frozen=True)
class Problem:
    """One fault: its place, the path of keys that leads there, and what to do."""

    mark: Mark
    path: Path
    message: str

    def show(self) -> str:
        """Return `file:line:column: path: message`, the line and a caret."""
        path = f"{dotted(self.path)}: " if self.path else ""
        head = f"{self.mark.show()}: {path}{self.message}"
        return "\n".join(filter(None, (head, self.mark.caret())))


class ConfigurationError(Fault):
    """A configuration that cannot run; `problems` holds every fault, in order of place."""

    exit_code = 2

    def __init__(self, problems: Iterable[Problem]) -> None:
        key = lambda p: (p.mark.source.name, p.mark.line, p.mark.column)  # noqa: E731
        self.problems = sorted(problems, key=key)
        shown = [problem.show() for problem in self.problems[:_MOST_SHOWN]]
        more = len(self.problems) - len(shown)
        super().__init__("\n".join([*shown, *([f"… and {more} more"] if more else [])]))


def _short(key: str) -> str:
    return key if len(key) <= _LONGEST_KEY else key[:_LONGEST_KEY] + "…"


def dotted(path: Path) -> str:
    """Return a path as it is read: `bags.urn.sizes[2]`."""
    text = ""
    for step in path:
        text += (
            f"[{step}]" if isinstance(step, int) else f".{_short(step)}" if text else _short(step)
        )
    return _printable(text)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "�" for c in text)
