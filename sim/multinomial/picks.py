"""Laws of whole numbers, ready to be drawn from: tables of places, and Walker's boxes beside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.multinomial.alias import BITS, Boxes, Floats, Ints, Whole, boxes

_WORD = 16
"""Bits of a random number that a table is looked up with."""

_TWO_BYTES = 2**15
"""Where outcomes end that fit two bytes."""

_FINE = 4
"""A law among others has so many times more places than outcomes; one alone has all 2^16."""


@dataclass(frozen=True, eq=False)
class Picks:
    """Draws from L laws, each of its own outcomes.

    A law has 2^bits places of `table`, which hold an outcome each, or −1 where that is left to
    its boxes: what an outcome has beyond whole places (after Marsaglia, Tsang & Wang 2004).
    """

    table: Whole
    place: NDArray[np.int32]
    shift: NDArray[np.uint16]
    outcomes: Ints
    boxes: Boxes
    box: Ints
    number: Floats

    @classmethod
    def of(cls, chances: Floats, outcomes: Ints, many: Ints) -> Picks:
        """Return what draws from laws of so `many` outcomes each, one law after another.

        `chances` are above 0 and sum to 1 for each law, `outcomes` are not negative.
        """
        _, exponent = np.frexp(_FINE * many.astype(np.float64))
        bits = np.minimum(exponent, _WORD) if len(many) > 1 else np.array([_WORD])
        law = np.repeat(np.arange(len(many)), many)
        share = chances * 2.0 ** bits[law]
        sure = np.floor(share).astype(np.int64)
        ends = np.cumsum(many)
        left = (1 << bits) - np.diff(np.cumsum(sure)[ends - 1], prepend=0)
        values, repeats = np.insert(outcomes, ends, -1), np.insert(sure, ends, left)
        some = (share > sure) & (left > 0)[law]
        rest, owner = (share - sure)[some], law[some]
        each = np.bincount(owner, minlength=len(many))
        return cls(
            table=np.repeat(values, repeats).astype(_narrowest(outcomes)),
            place=(np.cumsum(1 << bits) - (1 << bits)).astype(np.int32),
            shift=(_WORD - bits).astype(np.uint16),
            outcomes=outcomes[some],
            boxes=boxes(_parts(rest, owner, each)),
            box=np.cumsum(each) - each,
            number=np.nextafter(each.astype(np.float64), 0),  # a place is never `each` itself
        )

    def draw(self, trials: int, rng: np.random.Generator) -> NDArray[np.int32]:
        """Return independent draws, shape (trials, L)."""
        laws = len(self.place)
        number = trials * laws
        words = rng.integers(0, 2**64, size=-(-number // 4), dtype=np.uint64)
        halves = words.astype("<u8", copy=False).view("<u2")[:number]
        if laws > 1 or self.shift[0]:
            places = (halves.reshape(trials, laws) >> self.shift) + self.place
            found = self.table.take(places).reshape(-1)
        else:
            found = self.table.take(halves)
        unsettled = np.flatnonzero(found < 0)
        law = unsettled % laws
        at = rng.random(len(unsettled)) * self.number[law]
        found[unsettled] = self.outcomes.take(self.boxes.pick(at, self.box[law]))
        return found.astype(np.int32).reshape(trials, laws)


def _narrowest(outcomes: Ints) -> type[np.signedinteger[Any]]:
    """Return the smaller kind that holds outcomes: a table of it stays in a nearer cache."""
    return np.int16 if outcomes.max() < _TWO_BYTES else np.int32


def _parts(rest: Floats, law: Ints, many: Ints) -> Ints:
    """Return weights as whole parts that sum to 2^40 times their number, law by law."""
    total = np.bincount(law, weights=rest, minlength=len(many))
    parts = np.rint(rest / total[law] * many[law] * 2.0**BITS).astype(np.int64)
    ends = np.cumsum(many)
    sums = np.append(0, np.cumsum(parts))
    off = (many << BITS) - (sums[ends] - sums[ends - many])
    most = np.lexsort((parts, law))[ends[many > 0] - 1]
    parts[most] += off[law[most]]
    return parts
