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
    dimension = float(np.count_nonzero(alive) - 1)
    log_ratio = np.log(p[alive] / q[alive])
    mean = float(np.sum(p[alive] * log_ratio))
    variance = float(np.sum(p[alive] * (log_ratio - mean) ** 2))
    level = variance < 1e-24  # ln(p/q) is one number: the first order vanishes
    bias = dimension / 2
    if drift is not None and not level:
        bias += float(np.sum(drift[alive] * log_ratio))
    if quantity == "bias":
        law = PowerLaw(-1.0, bias)
    elif not level:
        law = PowerLaw(-0.5, sqrt(variance))
    else:
        squared = dimension / 2 + (bias**2 if quantity == "rmse" else 0.0)
        law = PowerLaw(-1.0, sqrt(squared))
    return law if law.constant != 0 else None
