"""The noncentral χ² law: which noncentrality puts a value at a given place of its law.

χ²_k(λ) is (Z + √λ)² + χ²_{k−1}. So with r = √x and s = √λ, P(χ²_k(λ) ≤ x) is the integral of
φ(r − s − u) F_{k−1}(u(2r − u)) over u from 0 to 2r: nothing cancels and no series grows with
λ. Where F is 1 the integral is known, at its edge u = w² takes the root out of it.
"""

from __future__ import annotations

from functools import partial
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.laws.pmf import Floats
from sim.roots import crossing
from sim.special import gammainc, gammainccinv, gammaincinv, ndtr, ndtri

_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(64)
_REACH = 9.0
_NOTHING = 1e-18
_DENSITY = 1 / sqrt(2 * np.pi)
_AT_ONCE = 4096


def noncentral_cdf(x: Floats, freedom: int, noncentrality: Floats) -> Floats:
    """Return P(χ²_k(λ) ≤ x), elementwise, k = `freedom` ≥ 1; shapes (m,)."""
    return _chance(np.sqrt(x), np.sqrt(noncentrality), freedom)[0]


def noncentrality(x: Floats, freedom: int, chance: float) -> Floats:
    """Return λ with P(χ²_k(λ) ≤ x) = chance; 0 where even λ = 0 gives no more; shapes (m,)."""
    found = np.zeros(len(x))
    for begin in range(0, len(x), _AT_ONCE):
        part = slice(begin, begin + _AT_ONCE)
        found[part] = _solved(np.sqrt(x[part]), freedom, chance)
    return found


def _solved(r: Floats, freedom: int, chance: float) -> Floats:
    found = np.zeros(len(r))
    some = np.flatnonzero(_chance(r, np.zeros(len(r)), freedom)[0] > chance)
    r, z = r[some], float(ndtri(chance))
    start = np.sqrt(np.maximum(r**2 - freedom + 1, 1.0)) - z
    # P ≤ P(|Z + s| ≤ r) ≤ Φ(r − s): no larger s can be
    most = np.maximum(r - z, 1.0)
    s = crossing(partial(_away, r, freedom, z), start, np.zeros(len(r)), most)
    found[some] = s**2
    return found


def _away(
    r: Floats, freedom: int, z: float, s: Floats, left: NDArray[Any]
) -> tuple[Floats, Floats]:
    """Return Φ⁻¹(P) less z, nearly straight in s, and its slope."""
    chance, slope = _chance(r[left], s, freedom)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        place = ndtri(chance)
        return place - z, slope * np.exp(place * place / 2) / _DENSITY


def _chance(r: Floats, s: Floats, freedom: int) -> tuple[Floats, Floats]:
    """Return P(χ²_k(s²) ≤ r²) and its derivative by s."""
    edges = np.zeros((2, len(r)))
    total, slope = np.zeros(len(r)), np.zeros(len(r))
    if freedom > 1:
        shape = (freedom - 1) / 2
        span = 2 * np.array([gammaincinv(shape, _NOTHING), gammainccinv(shape, _NOTHING)])
        inner = np.minimum(span[:, np.newaxis], r * r)
        with np.errstate(invalid="ignore"):  # r = 0
            edges = np.nan_to_num(inner / (r + np.sqrt(r * r - inner)))
        for sign in (-1.0, 1.0):  # the second is that of the other half, u to 2r − u
            part = _layer(r, r + sign * s, edges, shape)
            total, slope = total + part[0], slope - sign * part[1]
    near, far = r - s - edges[1], r + s - edges[1]
    total += ndtr(near) - ndtr(-far)
    slope += _DENSITY * (np.exp(-far * far / 2) - np.exp(-near * near / 2))
    return total, slope


def _layer(r: Floats, centre: Floats, edges: Floats, shape: float) -> tuple[Floats, Floats]:
    """Return ∫ φ(z) F du and ∫ z φ(z) F du, z = centre − u, over u between the edges."""
    low = np.sqrt(np.clip(centre - _REACH, *edges))
    high = np.sqrt(np.clip(centre + _REACH, *edges))
    half = (high - low)[:, np.newaxis] / 2
    w = low[:, np.newaxis] + half * (_POINTS + 1)
    u = w * w
    z = centre[:, np.newaxis] - u
    share = gammainc(shape, u * (2 * r[:, np.newaxis] - u) / 2)
    mass = _DENSITY * np.exp(-z * z / 2) * share * (2 * w * half * _WEIGHTS)
    return mass.sum(axis=1), (z * mass).sum(axis=1)
