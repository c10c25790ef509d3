"""Whether numbers of hits have the chances that a law says: an exact or χ² test."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy import stats

FALSE_ALARM = 1e-7


def fits(observed, chances) -> bool:
    """Return whether numbers of hits may have these chances: χ², small cells taken together."""
    observed, expected = np.asarray(observed), np.asarray(chances) * np.sum(observed)
    assert np.sum(chances) == pytest.approx(1, abs=1e-9)
    if observed[expected == 0].any():
        return False
    small = expected < 5
    table = np.array([[*x[~small], x[small].sum()] for x in (observed, expected)])
    table = table[:, table[1] > 0]
    statistic = ((table[0] - table[1]) ** 2 / table[1]).sum()
    return bool(stats.chi2.sf(statistic, max(table.shape[1] - 1, 1)) >= FALSE_ALARM)


def hits(rows, ways):
    """Return how often each of the ways occurs among the rows; all of them are ways."""
    found = Counter(map(tuple, rows.tolist()))
    numbers = [found.pop(tuple(way), 0) for way in ways.tolist()]
    assert not found
    return numbers
