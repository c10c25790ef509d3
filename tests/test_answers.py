"""Intervals of rates, limits, sizes and onsets hold what they are of as often as they say.

Few studies here, a thousand for docs/calibration.md (`python -m tests.answers`). A share of 0.95 in
R studies is known to √(0.95·0.05/R): it must lie within 4 such errors, with a fixed seed.
"""

from __future__ import annotations

from math import sqrt

import pytest
from answers import Share, studies

REPEATS = 120
RATES = [f"{quantity}: rate" for quantity in ("bias", "sd", "rmse")]
LIMITS = [f"{quantity}: limit" for quantity in ("bias", "sd", "rmse")]
SIZES = ["size inside", "size beyond"]
TOLD = {
    "five / itself": [*RATES, *SIZES, "bias: asymptotic from"],
    "fifty / uniform": [*RATES, *SIZES],
    "misread / itself": [*RATES, LIMITS[0], LIMITS[2]],
    "polya / itself": [*RATES, *LIMITS],
}
"""What is told in at least nine studies of ten, and is held to its share."""


def within(share: float, nominal: float, repeats: int) -> bool:
    return abs(share - nominal) <= 4 * sqrt(nominal * (1 - nominal) / repeats)


@pytest.mark.parametrize("name", TOLD)
def test_intervals_hold_as_often_as_they_say(name):
    found = studies(name, REPEATS)
    for what in TOLD[name]:
        share = found.shares[what]
        assert share.told >= 0.9 * REPEATS, what
        assert within(share.share, 0.95, share.told), (what, share)
    # what converges is called a plateau by chance alone, and what does not is called one
    if any(limit in TOLD[name] for limit in LIMITS):
        assert found.limits_told >= 0.9 * REPEATS
    else:
        assert found.limits_told <= 0.01 * REPEATS + 4 * sqrt(0.01 * 0.99 * REPEATS)


def test_of_two_colours_every_study_has_the_exact_size():
    for name in ("two / itself", "two / uniform"):
        found = studies(name, 3)
        for what in SIZES:  # both ends are the size, so what holds it is it
            assert (found.shares[what].told, found.shares[what].held) == (3, 3), (name, what)


def test_a_share_counts_what_is_told_and_open_ends_hold():
    share = Share()
    for low, high, truth in [(1, 3, 2), (None, 3, 2), (1, None, 2), (3, 4, 2), (0, 1, 2)]:
        share.add(low, high, truth)
    share.add(None, None, 2)
    assert (share.of, share.told, share.held, share.below) == (6, 5, 3, 1)
