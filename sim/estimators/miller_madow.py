"""The counted KL less the first term of its bias."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np

from sim.contracts.arrays import Mix, Terms
from sim.contracts.entropy import AdditiveEntropy
from sim.special import xlogy


class MillerMadow(AdditiveEntropy):
    """The counted KL less (K−1)/(2n), the leading term of its bias (Miller 1955).

    `colours: known` takes K as the number of colours of the bag; `observed` takes the number
    that was drawn, as some packages do under the same name: it corrects less where n ≲ K.
    From two samples (delta method) it takes off (Σ p̂/q̂ − 1)/(2m) too; undefined where a
    colour was drawn from P and not from Q.
    Good for n > K; for n ≪ K the correction does not hold. It may be negative.

    Example:
        kind: miller_madow
        colours: known
    """

    kind: Literal["miller_madow"] = "miller_madow"
    colours: Literal["known", "observed"] = "known"
    serves: ClassVar[frozenset[str] | None] = frozenset({"kl", "entropy", "cross_entropy"})
    two_samples: ClassVar[bool] = True
    assumes: ClassVar[str] = "n > K, every colour seen"

    @classmethod
    def customary(cls) -> tuple[dict[str, Any], ...]:
        """Return both ways to count the colours."""
        return {}, {"colours": "observed"}

    def part(self, c: Terms, n: Terms, colours: int) -> Terms:
        """Return −p̂ ln p̂ and this colour's part of (K−1)/(2n)."""
        counted = 1.0 if self.colours == "known" else np.sign(c)
        return np.asarray(-xlogy(c / n, c / n) + (counted - 1 / colours) / (2 * n))

    def surprise(self, d: Terms, m: Terms, colours: int) -> Terms:
        """Return −ln q̂ − 1/(2d) + 1/(2m); NaN for d = 0."""
        seen = np.where(d > 0, d, np.nan)
        return np.asarray(-np.log(seen / m) - 1 / (2 * seen) + 1 / (2 * m))

    def limit_bias(self, p: Mix, q: Mix) -> float:
        """Return what is taken off for colours that are not there; else 0."""
        alive = np.count_nonzero(p)
        return (alive - len(p)) / 2 if self.colours == "known" else 0.0
