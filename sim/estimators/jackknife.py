"""The counted KL less its bias, as leaving one draw out shows it."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from sim.contracts.arrays import Mix, Terms
from sim.contracts.entropy import AdditiveEntropy


class Jackknife(AdditiveEntropy):
    """n T − (n−1) · mean of T without one draw (Quenouille 1956); T is the counted KL.

    Takes the 1/n term off the bias, whatever it is. From two samples
    T + (n−1)(T − T̄_c) + (m−1)(T − T̄_d), undefined where a colour that P shows was drawn once
    or never from Q. n = 1 returns T, and m = 1 leaves Q as counted. Good for n ≳ K.

    Example:
        kind: jackknife
    """

    kind: Literal["jackknife"] = "jackknife"
    serves: ClassVar[frozenset[str] | None] = frozenset({"kl", "entropy", "cross_entropy"})
    two_samples: ClassVar[bool] = True
    assumes: ClassVar[str] = "n ≳ K"

    def part(self, c: Terms, n: Terms, colours: int) -> Terms:
        """Return p̂ (D(n) − D(c)), D(x) = x ln x − (x−1) ln(x−1): the sum taken by hand."""
        return np.asarray(c / n * (_step(n) - _step(np.maximum(c, 1))))

    def surprise(self, d: Terms, m: Terms, colours: int) -> Terms:
        """Return D(m) − ln d + (m−1)(d/m) ln(1 − 1/d); NaN where d ≤ 1, but m = 1 gives −ln d."""
        some = np.where(d > 1, d, np.nan)
        left = _step(m) - np.log(some) + (m - 1) * (d / m) * np.log1p(-1 / some)
        return np.where(m == 1, -np.log(d), left)

    def limit_bias(self, p: Mix, q: Mix) -> float:
        """Return 0: what is left falls as 1/n²."""
        return 0.0


def _step(x: Terms) -> Terms:
    """Return x ln x − (x−1) ln(x−1) without cancellation; x ≥ 1."""
    inner = np.maximum(x, 2)
    return np.where(x == 1, 0.0, np.log(inner) - (inner - 1) * np.log1p(-1 / inner))
