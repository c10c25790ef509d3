"""Two colours: which shares p̂ give a divergence near the true one, and bounds that follow.

A divergence of p̂ from q falls up to p̂ = q and rises beyond, so the shares that are near enough
are one stretch around p, and at times a second one on the other side of q.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, log

import numpy as np
from scipy.special import betainc, betaincc, rel_entr

from sim.divergences import Divergence
from sim.exact.values import Floats, Ints

UNIMODAL = frozenset(
    {"kl", "reverse_kl", "jeffreys", "js", "js_distance", "chi_square", "hellinger_squared"}
    | {"total_variation"}
)
"""Targets, and every renyi(a), that fall up to p̂ = q and rise beyond, for two colours."""


def is_unimodal(target: Divergence) -> bool:
    """Return whether a target falls up to q and rises beyond."""
    return target.name in UNIMODAL or target.name.startswith("renyi")


@dataclass(frozen=True)
class Window:
    """The shares of the first colour, low … high around p, that are near enough.

    `other` is the stretch on the other side of q, None where there is none.
    """

    p: float
    low: float
    high: float
    other: tuple[float, float] | None = None

    @classmethod
    def of(cls, p: float, q: float, target: Divergence, error: float) -> Window | None:
        """Return the window of an error, p and q of the first colour; None where it is empty."""

        def height(x: float) -> float:
            with np.errstate(all="ignore"):
                return float(target(np.array([x, 1 - x]), np.array([q, 1 - q])))

        truth = height(p)
        if error <= 0:
            return None
        top, bottom = truth + error, truth - error
        below = (_edge(height, q, 0.0, top), _edge(height, q, 0.0, bottom))
        above = (_edge(height, q, 1.0, top), _edge(height, q, 1.0, bottom))
        if bottom <= 0:
            return cls(p, below[0], above[0])
        if p <= q:
            return cls(p, *below, other=(above[1], above[0]))
        return cls(p, above[1], above[0], other=below)

    def narrowed(self, shift: float) -> Window | None:
        """Return the window of shares that stay in this one when shifted; None if p does not."""
        low = self.low + shift if self.low > 0 else 0.0
        high = self.high - shift if self.high < 1 else 1.0
        return Window(self.p, low, high) if low <= self.p <= high else None

    def proved(self, confidence: float) -> float:
        """Return an n from which on P(p̂ inside) ≥ confidence always holds; inf if unknown.

        P(p̂ ≤ a) ≤ e^−nKL(a‖p) for a below p, and alike above (Chernoff 1952): it falls with n.
        """
        rates = [self._rate(x) for x in (self.low, self.high) if 0 < x < 1]
        if not rates:
            return 1.0
        if min(rates) <= 0:
            return float("inf")
        # each side at most half of what may be missed
        return float(max(1, ceil(log(2 / (1 - confidence)) / min(rates))))

    def _rate(self, x: float) -> float:
        return float(rel_entr(x, self.p) + rel_entr(1 - x, 1 - self.p))


def _edge(height: Callable[[float], float], start: float, end: float, level: float) -> float:
    """Return the share nearest to `end`, from `start` on, where the height is at most `level`."""
    if level <= 0:
        return start
    if height(end) <= level:
        return end
    inside, outside = start, end
    while True:
        middle = (inside + outside) / 2
        if middle in (inside, outside):
            return inside
        if height(middle) <= level:
            inside = middle
        else:
            outside = middle


def below(n: Ints, y: Floats, p: float) -> Floats:
    """Return P(X < y), X binomial(n, p)."""
    k = np.ceil(y) - 1
    safe = np.clip(k, 0, n - 1)
    inner = betaincc(safe + 1, n - safe, p)
    return np.where(k < 0, 0.0, np.where(k >= n, 1.0, inner))


def above(n: Ints, y: Floats, p: float) -> Floats:
    """Return P(X > y), X binomial(n, p)."""
    k = np.floor(y) + 1
    safe = np.clip(k, 1, n)
    inner = betainc(safe, n - safe + 1, p)
    return np.where(k > n, 0.0, np.where(k <= 0, 1.0, inner))
