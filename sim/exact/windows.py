"""Two colours: which shares p̂ give a divergence near the true one, and bounds that follow.

A divergence of p̂ from q falls up to p̂ = q and rises beyond, so the shares that are near enough
are one stretch around p, and at times a second one on the other side of q.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, log
from typing import TYPE_CHECKING

import numpy as np

from sim.special import betainc, rel_entr

if TYPE_CHECKING:
    from sim.divergences import Divergence
    from sim.laws.pmf import Floats, Ints

UNIMODAL = frozenset(
    {"kl", "reverse_kl", "jeffreys", "js", "js_distance", "chi_square", "hellinger_squared"}
    | {"total_variation"}
)
"""Targets, and every renyi(a), that fall up to p̂ = q and rise beyond, for two colours."""


_PIECES, _ROUNDS = 64, 9
"""64⁹ is beyond the digits of a float."""


def is_unimodal(target: Divergence) -> bool:
    """Return whether a target falls up to q and rises beyond."""
    return target.name in UNIMODAL or target.name.startswith("renyi")


@dataclass(frozen=True)
class Window:
    """The shares of the first colour, low … high, that are near enough.

    `other` is the stretch on the other side of q, None where there is none. `falls` are the
    shares below q at the upper and the lower level, `rises` those above q at the lower and upper.
    """

    p: float
    low: float
    high: float
    other: tuple[float, float] | None = None
    falls: tuple[float, float] = (0.0, 0.0)
    rises: tuple[float, float] = (1.0, 1.0)

    @classmethod
    def of(
        cls, p: float, q: float, target: Divergence, levels: tuple[float, float]
    ) -> Window | None:
        """Return where a divergence from q lies between two levels; None where nowhere.

        p and q are of the first colour.
        """
        bottom, top = levels
        if not bottom < top:
            return None

        def height(x: Floats) -> Floats:
            with np.errstate(all="ignore"):
                return np.asarray(target(np.stack([x, 1 - x], axis=-1), np.array([q, 1 - q])))

        ends = np.array([0.0, 1.0, 0.0, 1.0])
        found = _edges(height, q, ends, np.array([top, top, bottom, bottom])).tolist()
        falls, rises = (found[0], found[2]), (found[3], found[1])
        if bottom <= 0:
            return cls(p, falls[0], rises[1], None, falls, rises)
        near, far = (falls, rises) if p <= q else (rises, falls)
        return cls(p, *near, far, falls, rises)

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


def _edges(
    height: Callable[[Floats], Floats], start: float, ends: Floats, levels: Floats
) -> Floats:
    """Return the shares nearest to `ends`, from `start` on, where the height is at most a level.

    Each round cuts what is left into many pieces, until floating point has no more.
    """
    inside, outside = np.full(len(ends), start), ends.copy()
    parts = np.linspace(0.0, 1.0, _PIECES + 1)
    low = levels[:, np.newaxis]
    for _ in range(_ROUNDS):
        shares = inside[:, np.newaxis] + parts * (outside - inside)[:, np.newaxis]
        shares[:, -1] = outside
        kept = np.logical_and.accumulate(height(shares) <= low, axis=1).sum(axis=1)
        rows = np.arange(len(ends))
        inside = shares[rows, np.maximum(kept - 1, 0)]
        outside = shares[rows, np.minimum(kept, _PIECES)]
    return np.where(levels <= 0, start, inside)


def below(n: Ints, y: Floats, p: float) -> Floats:
    """Return P(X < y), X binomial(n, p)."""
    k = np.ceil(y) - 1
    safe = np.clip(k, 0, n - 1)
    inner = betainc(n - safe, safe + 1, 1 - p)  # its complement takes five times as long
    return np.where(k < 0, 0.0, np.where(k >= n, 1.0, inner))


def above(n: Ints, y: Floats, p: float) -> Floats:
    """Return P(X > y), X binomial(n, p)."""
    k = np.floor(y) + 1
    safe = np.clip(k, 1, n)
    inner = betainc(safe, n - safe + 1, p)
    return np.where(k > n, 0.0, np.where(k <= 0, 1.0, inner))
