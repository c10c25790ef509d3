"""Exact values where Q is known; nothing here is drawn.

Up to two colours every outcome is listed. Beyond, an additive estimator T = Σ g_k(c_k) is
taken apart: its mean needs only the law of each count, its variance the generating function
of independent counts given their sum (see `CountLaw`).
"""

from __future__ import annotations

from math import inf, isfinite, isinf, sqrt

import numpy as np

from sim.contracts.arrays import Reference
from sim.contracts.estimator import Estimator
from sim.divergences import Divergence
from sim.exact.listing import listed_values
from sim.exact.values import UNKNOWN, Exact, Floats, Support, moments
from sim.laws.counts import LEAST_ANGLES, CountLaw, JointLaw
from sim.laws.pmf import MOST_WORK

_AT_ONCE = 2**18
"""Counts whose terms and probabilities are worked out together: they take some ten arrays."""


def exact_mean(
    law: CountLaw, estimator: Estimator, reference: Reference, target: Divergence
) -> float | None:
    """Return the exact mean alone, in nats, Q known; None where not known, or infinite.

    It leaves out the variance, which costs the most.
    """
    if law.colours <= 2:
        listed = _listed(law, estimator, reference, target)
        return listed.mean if listed.p_infinite == 0 else None
    mean = _mean(law, estimator, reference, target)
    return mean if mean is not None and isfinite(mean) else None


def one_sample(
    law: CountLaw, estimator: Estimator, reference: Reference, target: Divergence
) -> Exact:
    """Return what is exactly known of an estimate of counts with this law, Q known."""
    if law.colours <= 2:
        return _listed(law, estimator, reference, target)
    return _additive(law, estimator, reference, target)


def _additive(
    law: CountLaw, estimator: Estimator, reference: Reference, target: Divergence
) -> Exact:
    mean = _mean(law, estimator, reference, target)
    joint = law if isinstance(law, JointLaw) else None
    if mean is None or (isinf(mean) and joint is None):
        return UNKNOWN
    if joint is not None and isinf(mean):
        return _transformed(joint, estimator, reference, target)
    low, high = law.window()
    if np.array_equal(low, high):
        return Exact(mean, 0.0, 0.0)
    counts = int((high - low + 1).sum())
    if joint is None or counts * LEAST_ANGLES > MOST_WORK:
        return Exact(mean, None, 0.0)
    return Exact(mean, _transformed(joint, estimator, reference, target).sd, 0.0)


def _mean(
    law: CountLaw, estimator: Estimator, reference: Reference, target: Divergence
) -> float | None:
    """Return the mean in nats; infinite where a term is, None where it is not known."""
    low, high = law.window()
    if int((high - low + 1).sum()) > MOST_WORK:
        return None
    total, infinite = 0.0, False
    for support in Support.pieces(low, high, _AT_ONCE):
        terms = _terms(support, law, estimator, reference, target)
        if terms is None or np.isnan(terms).any():
            return None
        infinite = infinite or bool(np.isinf(terms).any())
        if not infinite:
            total += float(np.sum(law.pmf(support.colour, support.count) * terms))
    return inf if infinite else total


def _listed(law: CountLaw, estimator: Estimator, reference: Reference, target: Divergence) -> Exact:
    found = listed_values(law, estimator, reference, target)
    return UNKNOWN if found is None else moments(*found)


def _terms(
    support: Support,
    law: CountLaw,
    estimator: Estimator,
    reference: Reference,
    target: Divergence,
) -> Floats | None:
    known = reference.gather(support.colour)
    terms = estimator.terms(support.count[np.newaxis], law.size, known, target)
    return None if terms is None else np.broadcast_to(terms[0], support.count.shape)


def _transformed(
    law: JointLaw, estimator: Estimator, reference: Reference, target: Divergence
) -> Exact:
    """Return mean, sd and chance of infinity from the law given the sum of the counts.

    With X_k the independent counts, Φ_k(θ) = E e^{iθX_k} over finite terms, A = Σ E[g e^{iθX}]/Φ,
    B = Σ (E[g e^{iθX}]/Φ)², C = Σ E[g² e^{iθX}]/Φ and W = ΠΦ e^{−iθn}:
    E T = ΣWA/ΣW and E T² = ΣW(A² − B + C)/ΣW.
    """
    low, high = law.free_window()
    # no count is above n: what the independent ones do there would only be rounded away
    support = Support.of(low, np.minimum(high, law.size))
    if support is None:
        return UNKNOWN
    terms = _terms(support, law, estimator, reference, target)
    if terms is None or np.isnan(terms).any():
        return UNKNOWN
    chance = law.free_pmf(support.colour, support.count)
    finite = np.isfinite(terms)
    found = _tilted(support, np.where(finite, chance, 0.0), law.size)
    if found is None:
        return Exact(p_infinite=1.0)
    kept, scale, variance = found
    angles, weights = law.grid(variance)
    if len(support.count) * len(angles) > MOST_WORK:
        return UNKNOWN
    g, shift = _centred(support, kept, np.where(finite, terms, 0.0), law.size)
    columns = (chance, kept, kept * g, kept * g * g)
    sums = np.zeros(4)
    step = max(1, 2**20 // len(g))
    for begin in range(0, len(angles), step):
        part = slice(begin, begin + step)
        sums += _partial(support, columns, law.size, (angles[part], weights[part]))
    _, some, first, square = (sums / sums[0]).tolist()
    mean, square = first / some, square / some
    variance = square - mean**2
    # rounding leaves about 1e-16 of the parts' own squares: less than this is not known
    sd = sqrt(variance) if variance > 1e-8 * float(columns[3].sum()) else None
    return Exact(shift + mean, sd, 0.0 if finite.all() else max(0.0, 1 - some * scale))


def _tilted(support: Support, chance: Floats, n: int) -> tuple[Floats, float, float] | None:
    """Return chances e^{tx} P(x)/Z with a sum near n, what that takes off, and its variance.

    Given the sum the law is the same for any t; with infinite terms left out, t = 0 may put n
    far into a tail, where rounding hides it. None where no counts with a chance sum to n.
    """
    alive = chance > 0
    least = np.minimum.reduceat(np.where(alive, support.count, n + 1), support.starts)
    most = np.maximum.reduceat(np.where(alive, support.count, -1), support.starts)
    if least.sum() > n or np.any(most < 0) or most.sum() < n:
        return None
    log_chance = np.log(np.where(alive, chance, 1.0))
    t = 0.0
    for _ in range(50):
        exponent = np.where(
            alive, log_chance + t * (support.count - least[support.colour]), -np.inf
        )
        top = np.maximum.reduceat(exponent, support.starts)
        tilted = np.exp(exponent - top[support.colour])
        total = np.add.reduceat(tilted, support.starts)
        tilted /= total[support.colour]
        mean = np.add.reduceat(tilted * support.count, support.starts)
        variance = float(np.sum(tilted * (support.count - mean[support.colour]) ** 2))
        off = n - float(mean.sum())
        if off**2 <= variance / 4 or abs(off) < 1e-9:
            break
        t = max(-40.0, min(40.0, t + max(-1.0, min(1.0, off / max(variance, 1e-300)))))
    scale = float(np.exp(np.sum(np.log(total) + top) - t * (n - least.sum())))
    return tilted, scale, variance


def _centred(support: Support, chance: Floats, g: Floats, n: int) -> tuple[Floats, float]:
    """Return g less each colour's mean and a slope common to all, and what that takes off T.

    The counts sum to n, so a slope common to all colours is a constant in T; without it the
    parts are small where T is: at P = Q the sd of T is that of their second order only.
    """
    share = np.maximum(np.add.reduceat(chance, support.starts), 1e-300)
    mean_count = np.add.reduceat(chance * support.count, support.starts) / share
    mean_term = np.add.reduceat(chance * g, support.starts) / share
    x = support.count - mean_count[support.colour]
    centred = g - mean_term[support.colour]
    spread = float(np.sum(chance * x * x))
    slope = float(np.sum(chance * x * centred)) / spread if spread > 0 else 0.0
    return centred - slope * x, float(mean_term.sum() + slope * (n - mean_count.sum()))


def _partial(
    support: Support,
    columns: tuple[Floats, Floats, Floats, Floats],
    n: int,
    grid: tuple[Floats, Floats],
) -> Floats:
    """Return Σ W, Σ W_finite, Σ W_finite A and Σ W_finite (A² − B + C) over some angles."""
    angles, weights = grid
    turn = np.exp(1j * np.outer(support.count, angles))
    every, phi, first, second = (support.sums(c[:, np.newaxis] * turn) for c in columns)
    back = weights * np.exp(-1j * n * angles)
    with np.errstate(divide="ignore", invalid="ignore"):
        a, c = first / phi, second / phi
    a, c = np.where(phi == 0, 0, a), np.where(phi == 0, 0, c)
    whole, some = np.prod(every, axis=0) * back, np.prod(phi, axis=0) * back
    total = a.sum(axis=0)
    square = total**2 - (a**2).sum(axis=0) + c.sum(axis=0)
    return np.array([whole.sum(), some.sum(), (some * total).sum(), (some * square).sum()]).real
