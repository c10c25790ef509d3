"""The lowest and the highest KL(p‖q) over all p near p̂: those with KL(p̂‖p) ≤ radius.

A colour that p̂ lacks may have a part in p. `shares` are rows of p̂, shape (m, K), `radius` has
shape (m,), q (K,). KL(p̂‖p) is summed as Σ p̂ ln(p̂/p) + p − p̂: no term cancels near p̂.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.divergences import KL, Divergence
from sim.laws.pmf import Floats, deviance
from sim.roots import crossing
from sim.special import rel_entr, wrightomega

_PUSHED = 3
_CLIMBS = 500
_GAIN = 1e-13
_WIDE = 200.0
"""Logarithms between −200 and 200 hold every multiplier that a radius asks for."""


def ends(share: Floats, radius: Floats) -> tuple[Floats, Floats]:
    """Return the least and the greatest p of one of two colours whose share is p̂; all (m,)."""
    one, zero = np.ones_like(share), np.zeros_like(share)
    return _end(share, radius, zero, 100), _end(share, radius, one, 100)


def _end(share: Floats, radius: Floats, out: Floats, halvings: int) -> Floats:
    near = share.copy()
    for _ in range(halvings):
        middle = (out + near) / 2
        off = _gaps(share, middle) + _gaps(1 - share, 1 - middle) > radius
        out, near = np.where(off, middle, out), np.where(off, near, middle)
    return near


def projected(target: Divergence, low: Floats, high: Floats, q: Floats) -> tuple[Floats, Floats]:
    """Return the least and greatest D(p, q) of two colours, p₁ between `low` and `high`; (m,).

    For a target that is 0 at p = q and grows away from it on both sides.
    """
    one, other = (target(np.stack([p, 1 - p], axis=-1), q) for p in (low, high))
    inside = (low <= q[0]) & (q[0] <= high)
    return np.where(inside, 0.0, np.minimum(one, other)), np.maximum(one, other)


def lowest(shares: Floats, q: Floats, radius: Floats) -> Floats:
    """Return the least KL(p‖q), shape (m,): 0 where q itself is near, a convex problem."""
    alive = q > 0
    inner, q = shares[:, alive], q[alive]
    lost = shares[:, ~alive].any(axis=1)
    found = np.where(lost, np.inf, 0.0)
    some = np.flatnonzero(~lost & (KL(inner, q) > radius))
    if len(some):
        found[some] = KL(_Nearest(inner[some], q, radius[some]).p, q)
    return found


class _Nearest:
    """The p nearest to q: with y + ln y = a + ln(b p̂/q), p = b p̂/y, and q e^−a where p̂ = 0.

    Σ p = 1 gives a for each b, and KL(p̂‖p) = radius gives b.
    """

    def __init__(self, shares: Floats, q: Floats, radius: Floats) -> None:
        self._shares, self._q, self._radius = shares, q, radius
        with np.errstate(divide="ignore"):
            self._log_ratio = np.log(shares / q)
        with np.errstate(divide="ignore"):
            self._fewest = np.log(np.where(shares > 0, 0.0, q).sum(axis=1))
        mean, spread = _moments(shares, np.where(shares > 0, self._log_ratio, 0.0))
        self._less = mean  # b − a, near KL(p‖q): where the search for a starts
        every = np.arange(len(shares))
        start = _of_spread(spread, radius)
        wide = np.full(len(shares), _WIDE)
        self.p = self._at(crossing(self._off, start, -wide, wide), every)[0]

    def _at(self, log_b: Floats, left: NDArray[Any]) -> tuple[Floats, Floats]:
        """Return p and 1/(1 + y) for each b."""
        b = np.exp(log_b)
        shares, fixed = self._shares[left], self._log_ratio[left] + log_b[:, np.newaxis]
        # Σ p = 1 makes b − a the KL(p‖q) of that p, and no part of p passes 1
        least = np.maximum(b + np.log(self._q.min()), self._fewest[left])
        a = np.clip(b - self._less[left], least, b)
        for _ in range(60):
            y = wrightomega(a[:, np.newaxis] + fixed)
            unseen = self._q * np.exp(-a)[:, np.newaxis]
            p = np.where(shares > 0, b[:, np.newaxis] * shares / np.where(y > 0, y, 1.0), unseen)
            part = 1 / (1 + y)
            total = p.sum(axis=1)
            step = np.log(total) * total / (p * part).sum(axis=1)
            step = np.clip(a + step, least, b) - a
            a += step
            if np.all(np.abs(step) <= 1e-14 * (1 + np.abs(a))):
                break
        self._less[left] = b - a
        return p / total[:, np.newaxis], part

    def _off(self, log_b: Floats, left: NDArray[Any]) -> tuple[Floats, Floats]:
        p, part = self._at(log_b, left)
        shares = self._shares[left]
        slope = ((shares - p) * part).sum(axis=1) / (p * part).sum(axis=1)
        return _compared(_gaps(shares, p).sum(axis=1), slope, self._radius[left])


def highest(shares: Floats, q: Floats, radius: Floats) -> Floats:
    """Return the greatest KL(p‖q), shape (m,): the top of a convex function on a convex set.

    Each step climbs to the p that is farthest along the slope where it stands, which never
    falls; it starts where the slope at p̂ leads, and from p with as much as may be of one
    colour, the colours with which that gets highest. Infinite where q has a 0.
    """
    if not q.all():
        return np.full(len(shares), np.inf if len(q) > 1 else 0.0)
    ball = _Ball(shares, radius)
    with np.errstate(divide="ignore"):
        found = _climbed(ball, ball.farthest(np.log(shares / q), np.arange(len(shares))), q)
    for p in _pushed(shares, q, radius):
        found = np.maximum(found, _climbed(ball, p, q))
    return found


def _pushed(shares: Floats, q: Floats, radius: Floats) -> list[Floats]:
    """Return p with one colour as great as may be, the others in proportion; the best few."""
    out = np.ones_like(shares)
    most = _end(shares, np.broadcast_to(radius[:, np.newaxis], shares.shape), out, 30)
    parts = rel_entr(shares, q)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.nan_to_num((1 - most) / (1 - shares))
    value = rel_entr(most, q) + left * (parts.sum(axis=1, keepdims=True) - parts)
    value += rel_entr(left * (1 - shares), 1 - shares)
    every = np.arange(len(shares))
    found = []
    for colour in np.argsort(-value, axis=1, kind="stable").T[:_PUSHED]:
        p = shares * left[every, colour][:, np.newaxis]
        p[every, colour] = most[every, colour]
        found.append(p)
    return found


def _climbed(ball: _Ball, p: Floats, q: Floats) -> Floats:
    value, left = KL(p, q), np.arange(len(p))
    for _ in range(_CLIMBS):
        with np.errstate(divide="ignore"):
            slope = np.log(p / q)
        p = ball.farthest(slope, left)
        got = KL(p, q)
        more = got > value[left] + _GAIN * (1 + got)
        value[left] = np.maximum(got, value[left])
        left, p = left[more], p[more]
        if not len(left):
            break
    return value


class _Ball:
    """All p with KL(p̂‖p) ≤ radius, and which of them lies farthest along a slope.

    p = p̂/(a − w) up to a factor (Filippi, Cappé & Garivier 2010); where even the least a that
    the slope w of a colour with p̂ = 0 allows lies inside, that colour takes what is left.
    """

    def __init__(self, shares: Floats, radius: Floats) -> None:
        self._shares, self._radius = shares, radius

    def farthest(self, slope: Floats, rows: NDArray[Any]) -> Floats:
        """Return p with the greatest Σ slope·p for these rows; −∞ is of a colour that is out."""
        shares, radius = self._shares[rows], self._radius[rows]
        seen = shares > 0
        top = np.max(np.where(seen, slope, -np.inf), axis=1, keepdims=True)
        below = np.where(seen, top - slope, 1.0)
        over = np.where(seen, -np.inf, slope - top).max(axis=1)
        low = np.log(np.maximum(over, np.exp(-_WIDE)))
        _, spread = _moments(shares, np.where(seen, below, 0.0))
        off = partial(_off_along, shares, below, radius)
        t = low.copy()
        far = np.flatnonzero(off(low, np.arange(len(rows)))[0] > 0)
        start = _of_spread(spread, radius)[far]
        inner = partial(_off_along, shares[far], below[far], radius[far])
        t[far] = crossing(inner, start, low[far], np.full(len(far), _WIDE))
        p = _along(shares, below, t)[0]
        open_ = np.flatnonzero((over > 0) & (t == low))
        colour = np.where(seen, -np.inf, slope).argmax(axis=1)[open_]
        kept = np.exp(_gaps(shares[open_], p[open_]).sum(axis=1) - radius[open_])
        p[open_] *= kept[:, np.newaxis]
        p[open_, colour] = 1 - kept
        return p


def _along(shares: Floats, below: Floats, t: Floats) -> tuple[Floats, Floats]:
    """Return p ∝ p̂/(e^t + below), and 1/(e^t + below)."""
    each = 1 / (np.exp(t)[:, np.newaxis] + below)
    p = shares * each
    return p / p.sum(axis=1, keepdims=True), each


def _off_along(
    shares: Floats, below: Floats, radius: Floats, t: Floats, left: NDArray[Any]
) -> tuple[Floats, Floats]:
    shares = shares[left]
    p, each = _along(shares, below[left], t)
    slope = ((shares - p) * each).sum(axis=1) * np.exp(t)
    return _compared(_gaps(shares, p).sum(axis=1), slope, radius[left])


def _compared(gap: Floats, slope: Floats, radius: Floats) -> tuple[Floats, Floats]:
    """Return ½ ln(gap/radius), nearly straight in the logarithm of a multiplier, and its slope."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(gap / radius) / 2, slope / gap / 2


def _of_spread(spread: Floats, radius: Floats) -> Floats:
    """Return the logarithm of the multiplier that a small radius asks for."""
    return np.log(np.where(spread > 0, spread / (2 * radius), 1.0)) / 2


def _moments(shares: Floats, values: Floats) -> tuple[Floats, Floats]:
    mean = (shares * values).sum(axis=1)
    return mean, (shares * (values - mean[:, np.newaxis]) ** 2).sum(axis=1)


def _gaps(shares: Floats, p: Floats) -> Floats:
    """Return each colour's p̂ ln(p̂/p) + p − p̂; p where p̂ is 0."""
    seen = shares > 0
    with np.errstate(divide="ignore"):
        return np.where(seen, deviance(np.where(seen, shares, 1.0), np.where(seen, p, 1.0)), p)
