"""Chao and Shen's entropy, and the KL from it."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from sim.contracts.arrays import Counts, Mix, Terms, Values
from sim.contracts.entropy import EntropyEstimator
from sim.lookups import pieces

_SURE = 40.0
"""Draws expected of a colour from which on 1 − (1 − p)ⁿ is 1 in double precision."""


class ChaoShen(EntropyEstimator):
    """−Ĥ − Σ p̂ ln q with the coverage-adjusted entropy of Chao & Shen 2003.

    Shares are shrunk by the coverage C = 1 − f₁/n (f₁ colours were drawn once; where all were,
    f₁ = n − 1) and weighted by their chance to be seen: −Σ C p̂ ln(C p̂)/(1 − (1 − C p̂)ⁿ). For
    n ≲ K with many colours unseen; noisy; for n ≫ K it is counting, bias and all.

    Example:
        kind: chao_shen
    """

    kind: Literal["chao_shen"] = "chao_shen"
    assumes: ClassVar[str] = "n ≲ K, many colours unseen"

    def entropy(self, counts: Counts) -> Values:
        """Return the coverage-adjusted entropy of each row."""
        size = counts.sum(axis=-1, keepdims=True)
        once = np.count_nonzero(counts == 1, axis=-1, keepdims=True)
        coverage = 1 - np.where(once == size, size - 1, once) / np.maximum(size, 1)
        levels, level = np.unique(coverage, return_inverse=True)
        width = int(counts.max(initial=0)) + 1
        if len(levels) * width < counts.size and np.ptp(size) == 0:  # few coverages: by table
            table = _weight(np.arange(width), size[:1], levels[:, np.newaxis])
            start = level.reshape(-1, 1) * width
            parts = (table.take(counts[rows] + start[rows]) for rows in pieces(counts.shape))
        else:
            each = ((counts[rows], size[rows], coverage[rows]) for rows in pieces(counts.shape))
            parts = (_weight(*three) for three in each)
        return np.concatenate([part.sum(axis=-1) for part in parts])


def _weight(counts: Counts, size: Counts, coverage: Mix) -> Terms:
    share = np.where(counts > 0, coverage * counts / size, 1.0)  # 1 ln 1 is 0
    seen = np.ones_like(share)
    rare = share * size < _SURE
    whole = np.broadcast_to(size, share.shape)[rare]
    seen[rare] = -np.expm1(whole * np.log1p(-np.minimum(share[rare], 1 - 2**-53)))
    return np.asarray(-share * np.log(share) / seen)
