"""Sums over the pairs of counts of two samples, from a cross of few terms.

The terms g(c, d) of an additive estimator of two samples follow from both counts of a colour.
Where g = a(c) + b(d) + s(c) h(d) for c, d above 0, with anchors c₀, c₁, d₀, d₁ above 0 and
G(c, d) = g(c, d) − g(c, d₀) − g(c₀, d) + g(c₀, d₀), exactly G(c, d) = G(c, d₁) G(c₁, d)/G(c₁, d₁).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.exact.values import Floats, Ints, Support

Term = Callable[[Ints, Ints], Floats]
"""(c, d), shapes alike, to the term of each pair."""

Complex = NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class Side:
    """One sample: its support, and what the terms are along it.

    `edge` is the term where the other sample lacks the colour, `base` that beside the other's
    first anchor, `cross` is G beside its second; 0 at a count of 0, which `edge` tells.
    """

    support: Support
    edge: Floats
    base: Floats
    cross: Floats

    def sums(self, weight: Complex | Floats) -> Sums:
        """Return each colour's sums over its counts of weights (support, points)."""
        some = (self.support.count > 0)[:, np.newaxis]
        finite = np.isfinite(self.edge)[:, np.newaxis]
        above, known = weight * some, weight * finite
        edge = np.where(np.isfinite(self.edge), self.edge, 0.0)[:, np.newaxis]
        sums = self.support.sums
        return Sums(
            none=sums(weight * ~some),
            above=sums(above),
            base=sums(above * self.base[:, np.newaxis]),
            cross=sums(above * self.cross[:, np.newaxis]),
            known=sums(known),
            edge=sums(known * edge),
        )


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over one sample's counts, each of shape (K, points).

    Of the weights at 0 and above it, of the latter times `base` and `cross`; of the weights
    where `edge` is finite, and of these times it.
    """

    none: Complex
    above: Complex
    base: Complex
    cross: Complex
    known: Complex
    edge: Complex


@dataclass(frozen=True, eq=False)
class Cross:
    """All terms over two supports: both edges, and the inside by its cross."""

    first: Side
    other: Side
    corner: float
    pivot: float
    nothing: float

    @classmethod
    def of(cls, term: Term, first: Support, other: Support) -> Cross:
        """Return the cross of a term over the counts of both samples."""
        c, d = first.count, other.count
        c0, c1 = _anchors(c)
        d0, d1 = _anchors(d)
        corner, at_c1, at_d1, far = term(np.array([c0, c1, c0, c1]), np.array([d0, d0, d1, d1]))
        along_c, along_d = _beside(term, c, d0), _beside(_turned(term), d, c0)
        cross_c = _beside(term, c, d1) - along_c - at_d1 + corner
        cross_d = _beside(_turned(term), d, c1) - at_c1 - along_d + corner
        zero = np.zeros(1, dtype=np.int64)
        return cls(
            Side(first, _edge(term, first, other), along_c, np.where(c > 0, cross_c, 0.0)),
            Side(other, _edge(_turned(term), other, first), along_d, np.where(d > 0, cross_d, 0.0)),
            float(corner),
            float(far - at_c1 - at_d1 + corner),
            float(term(zero, zero)[0]),
        )

    @property
    def edges(self) -> Floats:
        """All terms on the edges."""
        return np.concatenate([self.first.edge, self.other.edge, [self.nothing]])

    @property
    def inside_known(self) -> bool:
        """Whether the terms of the cross are finite."""
        every = (self.first.base, self.first.cross, self.other.base, self.other.cross)
        return all(bool(np.isfinite(each).all()) for each in (*every, self.pivot, self.nothing))

    def sums(self, one: Sums, two: Sums) -> tuple[Complex, Complex]:
        """Return each colour's sum of the weights over finite terms, and of weight × term.

        Shapes (K, points of the first, points of the other).
        """
        a, b = np.newaxis, slice(None)
        p = {name: value[b, b, a] for name, value in vars(one).items()}
        q = {name: value[b, a, b] for name, value in vars(two).items()}
        # both edges hold the pair (0, 0); it is taken from the second's
        weight = p["above"] * q["above"] + p["none"] * q["known"]
        weight = weight + (p["known"] - p["none"]) * q["none"]
        inner = p["base"] * q["above"] + p["above"] * q["base"]
        inner = inner - self.corner * p["above"] * q["above"]
        if self.pivot:
            inner = inner + p["cross"] * q["cross"] / self.pivot
        edges = p["none"] * q["edge"] + (p["edge"] - self.nothing * p["none"]) * q["none"]
        return weight, inner + edges


def _anchors(counts: Ints) -> tuple[int, int]:
    some = counts[counts > 0]
    return (int(some.min()), int(some.max())) if some.size else (1, 1)


def _turned(term: Term) -> Term:
    return lambda d, c: term(c, d)


def _beside(term: Term, counts: Ints, anchor: int) -> Floats:
    """Return the terms of counts beside one count of the other sample; 0 at a count of 0."""
    found = term(np.maximum(counts, 1), np.full_like(counts, anchor))
    return np.where(counts > 0, found, 0.0)


def _edge(term: Term, own: Support, other: Support) -> Floats:
    """Return the terms beside no draw of the colour in the other sample; 0 where that cannot be."""
    lacks = (other.count[other.starts] == 0)[own.colour]
    found = term(own.count, np.zeros_like(own.count))
    return np.where(lacks, found, 0.0)
