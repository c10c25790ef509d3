"""How many values a cell will have: more than an analysis keeps in one reading?"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sim.analysis.series import series

KEPT_WHOLE = 2048
"""Different values of a cell beyond which an analysis reads the trials again (docs/scale.md)."""


def many_values(batches: Iterable[pa.Table]) -> bool:
    """Return whether some cell has more values than an analysis keeps, as far as can be told.

    By how many came once and twice: as many as Chao 1984 expects.
    """
    return any(
        _values_in_all(one.estimate) > KEPT_WHOLE
        for rows in batches
        for one in series(rows)
        if not one.key.line.is_control
    )


def _values_in_all(estimates: NDArray[np.float64]) -> float:
    _, often = np.unique(estimates, return_counts=True)
    once, twice = np.count_nonzero(often == 1), np.count_nonzero(often == 2)
    return float(len(often) + once * (once - 1) / (2 * (twice + 1)))
