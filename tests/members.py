"""Every member of every shelf, built from the YAML in its docstring and from what it offers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import yaml
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.special import gammaln, xlogy

from sim.config.documents import parse
from sim.config.problems import Source
from sim.contracts.bag import BAGS, TimedBag
from sim.contracts.component import Component, Family
from sim.contracts.estimator import ESTIMATORS
from sim.contracts.interval import INTERVALS
from sim.contracts.learner import LEARNERS
from sim.contracts.model import MODELS

FAMILIES = (BAGS, MODELS, LEARNERS, ESTIMATORS, INTERVALS)
WIDE = {"a": 2, "b": 9, "c": 14, "d": 0}
"""More than two colours, the last without a chance: no bag may give it what is left over."""


def shown(family: Family, kind: str) -> dict[str, Any]:
    """Return the data of a member's `Example:` block, read as a file is read."""
    return parse(Source(kind, family.member(kind).example())).data


def written(value: Any) -> str:
    """Return plain data as YAML, inner lists and mappings on one line each."""
    return yaml.safe_dump(value, sort_keys=False, default_flow_style=None, width=10_000)


@dataclass(frozen=True, eq=False)
class Case:
    """A member as its example shows it, or with one of its choices made otherwise.

    A `customary` one has the parameters that it names as customary, and no others.
    """

    family: Family
    kind: str
    change: dict[str, Any] = field(default_factory=dict)
    customary: bool = False

    @property
    def data(self) -> dict[str, Any]:
        kept = {"kind": self.kind} if self.customary else shown(self.family, self.kind)
        return {**kept, **self.change}

    def build(self) -> Any:
        return self.family.build(self.data)

    @property
    def label(self) -> str:
        words = [f"{key}={_word(value)}" for key, value in self.change.items()]
        return "-".join([self.kind, *(["customary"] if self.customary else []), *words])


def _word(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    rest = [str(part) for key, part in value.items() if key != "kind"] if "kind" in value else []
    return " ".join([value.get("kind", "wide"), *rest])


def cases(family: Family) -> list[Any]:
    """Return a parameter for each example and for each choice that a member offers.

    And for each way in which it is customarily used. A member that cannot even be imported
    fails its own laws, not everybody's collection.
    """
    return [
        pytest.param(case, id=case.label) for kind in family.kinds() for case in _of(family, kind)
    ]


@cache
def _of(family: Family, kind: str) -> list[Case]:
    """Return the cases of one member; they are looked for once."""
    found = [Case(family, kind)]
    with suppress(Exception):
        found += _choices(family, kind)
    return found


def those(family: Family, fit: Callable[[Any], bool]) -> list[Any]:
    """Return the parameters whose member fits, and those that cannot be built."""
    return [param for param in cases(family) if _fits(param.values[0], fit)]


def _fits(case: Case, fit: Callable[[Any], bool]) -> bool:
    try:
        return fit(case.build())
    except Exception:
        return True


def _choices(family: Family, kind: str) -> Iterator[Case]:
    known = [family.build(shown(family, kind))]
    for name, plain in family.member(kind).model_json_schema()["properties"].items():
        for value in _offered(family, name, plain):
            case = Case(family, kind, {name: value})
            if name != "kind" and _is_new(case, known):
                yield case
    for keys in family.member(kind).customary():
        case = Case(family, kind, keys, customary=True)
        if _is_new(case, known):
            yield case


def _offered(family: Family, name: str, plain: dict[str, Any]) -> list[Any]:
    if plain.get("x-family") == LEARNERS.name:
        return [shown(LEARNERS, kind) for kind in LEARNERS.kinds()]
    if name == "balls" and family is BAGS:
        return [WIDE]
    if plain.get("type") == "boolean":
        return [False, True]
    return [value for part in (plain, *plain.get("anyOf", ())) for value in part.get("enum", ())]


def _is_new(case: Case, known: list[Any]) -> bool:
    """Return whether a case can be built and is none of those that are known; now it is."""
    try:
        built = case.build()
    except ValidationError:
        return False
    if not isinstance(built, Component) or built in known:
        return False
    known.append(built)
    return True


def urn(**balls: float) -> Any:
    """Return the plainest bag: these balls, each put back."""
    return BAGS.build({"kind": "with_replacement", "balls": balls})


class Ticking(TimedBag):
    """Three colours that come at random times, with a glance at the bag before each."""

    kind: Literal["ticking"] = "ticking"
    colours: ClassVar[tuple[str, ...]] = ("red", "green", "blue")

    def truth(self, n):
        return np.full(3, 1 / 3)

    def begin(self, env, n, rng, log):
        return env.process(self._ticks(env, n, rng, log))

    def _ticks(self, env, n, rng, log):
        for _ in range(n):
            yield env.timeout(rng.exponential())
            log.append((env.now, "glance", -1))
            log.append((env.now, "draw", int(rng.integers(3))))


def outcomes(n: int, colours: int) -> np.ndarray:
    """Return every way in which n draws fall on the colours; shape (ways, colours)."""
    bars = np.array(list(combinations(range(n + colours - 1), colours - 1)), dtype=np.int64)
    ends = np.full((len(bars), 1), -1), np.full((len(bars), 1), n + colours - 1)
    return np.diff(np.hstack([ends[0], bars, ends[1]]), axis=1) - 1


def multinomial(counts: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return the multinomial probability of each row of counts, from its textbook formula."""
    ways = gammaln(counts.sum(axis=1) + 1) - gammaln(counts + 1).sum(axis=1)
    return np.exp(ways + xlogy(counts, p).sum(axis=1))


@st.composite
def tables(draw: st.DrawFn, least_colours: int = 1) -> np.ndarray:
    """Draw counts of a few trials and colours, each row with a draw or more."""
    trials = draw(st.integers(1, 4))
    number = draw(st.integers(least_colours, 6))
    count = st.one_of(st.just(0), st.integers(0, 9), st.integers(0, 10**6))
    rows = draw(
        st.lists(
            st.lists(count, min_size=number, max_size=number).filter(any),
            min_size=trials,
            max_size=trials,
        )
    )
    return np.array(rows, dtype=np.int64)
