"""A component is one member of a shelf; a family finds its members and builds them."""

from __future__ import annotations

import inspect
import pkgutil
import sys
from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from sim.checks import Value, guess, placed, problem, shown

_GROUP = "klsim"


class Component(Value, ABC):
    """A frozen value that YAML names by its `kind` and gives its parameters.

    A member is one file on its shelf, named like its kind, with one class that begins
    `kind: Literal["…"] = "…"`. Its docstring says what it is, names the paper, and ends in
    an `Example:` block of YAML, which the tests build and hold to the shelf's laws.
    """

    kind: str

    @classmethod
    def customary(cls) -> tuple[dict[str, Any], ...]:
        """Return the parameters that it is customarily used with; by default, none."""
        return ({},)

    @classmethod
    def about(cls) -> str:
        """Return the first line of the docstring."""
        return (inspect.getdoc(cls) or "").partition("\n")[0]

    @classmethod
    def example(cls) -> str:
        """Return the YAML of the docstring's `Example:` block, "" where it has none."""
        _, _, block = (inspect.getdoc(cls) or "").partition("\nExample:\n")
        return inspect.cleandoc(block)


@cache
def _entry_points(_path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Return those of all families: to look through what is installed takes its time.

    What that is follows from the path of imports.
    """
    return tuple(entry_points(group=_GROUP))


@dataclass(frozen=True)
class Family:
    """The members of one shelf, by kind; a member is imported when it is asked for.

    Members are the files of the package `sim.<name>`, and the entry points `<name>.<kind>`
    of the group `klsim` in installed packages. As a pydantic annotation a family turns
    `{kind: …, …}` into its member, and where it is `bare`, a kind alone too.
    """

    name: str
    singular: str
    bare: bool = False

    @cached_property
    def _files(self) -> tuple[str, ...]:
        paths = import_module(f"sim.{self.name}").__path__
        return tuple(sorted(m.name for m in pkgutil.iter_modules(paths)))

    @cached_property
    def _installed(self) -> dict[str, EntryPoint]:
        prefix = f"{self.name}."
        points = (p for p in _entry_points(tuple(sys.path)) if p.name.startswith(prefix))
        return {point.name.removeprefix(prefix): point for point in points}

    @property
    def _one(self) -> str:
        return f"{'an' if self.singular[0] in 'aeiou' else 'a'} {self.singular}"

    def kinds(self) -> tuple[str, ...]:
        """Return the kinds of all members: the shelf's own, then those installed."""
        return self._files + tuple(sorted(set(self._installed) - set(self._files)))

    def member(self, kind: str) -> type[Component]:
        """Return the class of a kind that is in `kinds()`."""
        if kind not in self._files:
            loaded: type[Component] = self._installed[kind].load()
            return loaded
        module = import_module(f"sim.{self.name}.{kind}")
        own = (
            m for _, m in inspect.getmembers(module, inspect.isclass) if issubclass(m, Component)
        )
        return next(m for m in own if "kind" in m.model_fields and m.__module__ == module.__name__)

    def build(self, value: Any) -> Component:
        """Return the member that `{kind: …, …}` says, with every fault in its place."""
        if isinstance(value, Component):
            return value
        if self.bare and isinstance(value, str):
            value = {"kind": value}
        if not isinstance(value, Mapping):
            raise problem(f"expected {self._one}, {{kind: …}}; got {shown(value)}")
        kind = value.get("kind")
        if not isinstance(kind, str) or kind not in self.kinds():
            known = guess(str(kind), self.kinds()) if kind is not None else guess("", self.kinds())
            what = f"unknown kind {shown(kind)}" if "kind" in value else "`kind` is missing"
            placed([(("kind",) if "kind" in value else (), what + known)], self.singular)
        return self.member(str(kind)).model_validate(value)

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        """Say to pydantic how a member is built and written."""
        return core_schema.no_info_plain_validator_function(
            self.build,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda member: member.model_dump(mode="json", by_alias=True, exclude_none=True)
            ),
        )

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, __: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Name the family; `config.schema` puts its members in (pydantic follows no such $ref)."""
        return {"x-family": self.name}
