"""What theory says of large n: error ≈ constant · n^rate, for counted KL under i.i.d. draws."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Quantity = Literal["bias", "sd", "rmse"]


@dataclass(frozen=True)
class PowerLaw:
    """A quantity that behaves as constant · n^rate (nats) for large n."""

    rate: float
    constant: float


def counted_kl(
    quantity: Quantity,
    p: NDArray[np.float64],
    q: NDArray[np.float64],
    drift: NDArray[np.float64] | None = None,
) -> PowerLaw | None:
    """Return the leading term of an error of KL(p̃‖q), p̃ learned from n i.i.d. draws of p.

    `p`, `q` have shape (K,); `drift` is lim n(E p̃ − p), shape (K,), None for p̃ = p̂.
    Delta method: bias → (K−1)/(2n) + Σ drift ln(p/q)/n over the colours with p > 0; variance
    → V/n, V = Σ p ln²(p/q) − KL², and (K−1)/(2n²) where V = 0. None where the leading term
    is not a power of n: p leaves q's support, vanishes, or drift feeds a colour with p = 0.
    """
    alive = p > 0
    if np.any(q[alive] == 0) or (drift is not None and np.any(drift[~alive] != 0)):
        return None
    bias = float(np.count_nonzero(alive) - 1) / 2
    if drift is not None:
        bias += float(np.sum(drift[alive] * np.log(p[alive] / q[alive])))
    return like_counted(quantity, p, q, bias)


def like_counted(
    quantity: Quantity, p: NDArray[np.float64], q: NDArray[np.float64], bias: float
) -> PowerLaw | None:
    """Return the law of an estimate of KL(p‖q) with the spread of counting and a bias of its own.

    `bias` is lim n(E D̂ − KL(p‖q)). None as in `counted_kl`.
    """
    alive = p > 0
    if np.any(q[alive] == 0):
        return None
    log_ratio = np.log(p[alive] / q[alive])
    mean = float(np.sum(p[alive] * log_ratio))
    variance = float(np.sum(p[alive] * (log_ratio - mean) ** 2))
    if quantity == "bias":
        law = PowerLaw(-1.0, bias)
    elif variance >= 1e-24:
        law = PowerLaw(-0.5, sqrt(variance))
    else:  # ln(p/q) is one number: the first order vanishes
        squared = (len(log_ratio) - 1) / 2 + (bias**2 if quantity == "rmse" else 0.0)
        law = PowerLaw(-1.0, sqrt(squared))
    return law if abs(law.constant) > 1e-12 else None


def like_counted_entropy(
    quantity: Quantity, p: NDArray[np.float64], bias: float
) -> PowerLaw | None:
    """Return the same of an estimate of the entropy: ln K less a KL against 1/K."""
    law = like_counted(quantity, p, np.full_like(p, 1 / len(p)), -bias)
    if law is None or quantity != "bias":
        return law
    return PowerLaw(law.rate, -law.constant)
