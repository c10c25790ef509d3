"""What a fault is, and what was seen of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .scenes import Bench

KEPT = "nothing lost"
BYTES = "bytes identical"
ALONE = "nobody left"
TOLD = "told as designed"
PROMISES = (KEPT, BYTES, ALONE, TOLD)
"""What must hold after each fault; nobody left: no process, no lock, no temporary file."""


class NotPossible(Exception):
    """This machine does not let the fault be injected; why."""


@dataclass
class Record:
    """Counts of what was tried, what hit, and what held."""

    tries: int = 0
    hits: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def attempt(self, hit: bool) -> None:
        """Count a try."""
        self.tries += 1
        self.hits += hit

    def ended(self, code: int, wanted: set[int], said: str = "") -> None:
        """Count an exit code; it is one of those that are designed, or it is told."""
        self.codes[_code(code)] += 1
        if code not in wanted:
            self.broken.append(f"exit {_code(code)}, not one of {sorted(wanted)}: {said[-600:]}")

    def expect(self, promise: str, holds: bool, said: object = "") -> None:
        """Count whether a promise was kept; where not, what was seen."""
        self.asked[promise] += 1
        self.held[promise] += holds
        if not holds:
            self.broken.append(f"{promise}: not so: {said}")

    def add(self, other: Record) -> None:
        """Take the counts of another record."""
        self.tries += other.tries
        self.hits += other.hits
        for name in ("asked", "held", "codes"):
            getattr(self, name).update(getattr(other, name))
        self.broken += other.broken
        self.reasons += other.reasons

    def cells(self) -> list[str]:
        """Return the counts as the cells of a table."""
        kept = [
            f"{self.held[one]} of {self.asked[one]}" if self.asked[one] else "–" for one in PROMISES
        ]
        codes = ", ".join(f"{code} × {n}" for code, n in sorted(self.codes.items()))
        return [str(self.tries), str(self.hits), *kept, codes or "–"]


def _code(code: int) -> str:
    return str(code) if code >= 0 else f"killed by {-code}"


@dataclass(frozen=True)
class Fault:
    """One kind of fault: `inject` does it once, or as a chain, and fills the record."""

    name: str
    injected: str
    inject: Callable[[Bench], None]
    rounds: int
    quick: int = 1


FAULTS: dict[str, Fault] = {}
"""Every fault, by name, in the order of the table."""


def fault(
    injected: str, rounds: int, quick: int = 1
) -> Callable[[Callable[[Bench], None]], Callable[[Bench], None]]:
    """Register a function as a fault."""

    def register(inject: Callable[[Bench], None]) -> Callable[[Bench], None]:
        FAULTS[inject.__name__] = Fault(inject.__name__, injected, inject, rounds, quick)
        return inject

    return register
