"""From which size on a quantity is near theory's law; and whether its rate is theory's."""

from __future__ import annotations

from math import ceil, exp, log

import numpy as np
import pytest

from sim.analysis.asymptote import NEAR, Onset, departs, onset
from sim.analysis.fits import Fit
from sim.asymptotics import PowerLaw

SIZES = np.array([10.0, 20.0, 50.0, 100.0, 200.0, 500.0])
LAW = PowerLaw(-1.0, 0.5)
UNKNOWN = Onset()


def found(ratios, share=0.0, law=LAW, sizes=SIZES, level=0.95) -> Onset:
    """The onset of values so many times the law's, with relative errors of a share."""
    ratios = np.asarray(ratios, dtype=float)
    theory = 0.5 / sizes
    shocks = np.random.default_rng(7).standard_normal((400, len(sizes)))
    shocks = (shocks - shocks.mean(axis=0)) / shocks.std(axis=0, ddof=1)
    replicates = theory * (ratios + np.asarray(share) * shocks)
    return onset(sizes, theory * ratios, replicates, law, level)


def test_it_is_where_the_ratio_comes_within_a_tenth():
    # 1.2 at 50, 1.05 at 100: it passes 1.1 at two thirds of the way in ln n
    size = ceil(exp(log(50) + 2 / 3 * log(2)))
    for mirrored in (1.0, -1.0):
        ratios = 1 + mirrored * np.array([0.8, 0.4, 0.2, 0.05, 0.02, 0.0])
        assert found(ratios) == Onset(size, size, size)


def test_a_ratio_that_passes_through_1_counts_from_where_it_stays_near():
    ratios = [1.5, 1.0, 0.7, 0.9 + 1e-9, 1.0, 1.0]
    assert found(ratios).asymptotic_from == 100


def test_what_is_near_from_the_start_is_so_from_the_smallest_size():
    assert found([1.05, 1.02, 1.01, 1.0, 1.0, 1.0]) == Onset(10, None, 10)


def test_errors_make_an_interval_that_a_higher_level_makes_wider():
    ratios = [1.8, 1.4, 1.2, 1.05, 1.02, 1.0]
    exact, wide = found(ratios), found(ratios, 0.02)
    wider = found(ratios, 0.02, level=0.999)
    assert wide.asymptotic_from == exact.asymptotic_from
    ends = [one.asymptotic_from_low for one in (wider, wide, exact)]
    ends += [one.asymptotic_from_high for one in (exact, wide, wider)]
    assert ends == sorted(ends)
    assert ends[0] < ends[1] < ends[2] == ends[3] < ends[4] < ends[5]


@pytest.mark.parametrize(
    ("ratios", "share"),
    [
        ([1.8, 1.4, 1.2, 1.2, 1.2, 1.2], 0.0),  # never near
        ([1.0] * 6, 0.04),  # not known well enough anywhere
        ([1.0, 1.0, 1.0, 1.0, 1.0, 1.11], 0.02),  # not near where it ends
        ([-1.0] * 6, 0.0),  # of the other sign
        ([np.nan] * 6, 0.0),
    ],
)
def test_where_it_cannot_be_told_it_is_not(ratios, share):
    assert found(ratios, share) == UNKNOWN


def test_where_it_may_not_be_near_at_the_end_the_upper_end_is_open():
    one = found([1.3, 1.05, 1.0, 1.0, 1.0, 1.08], 0.02)
    assert 10 < one.asymptotic_from_low <= one.asymptotic_from < 20
    assert one.asymptotic_from_high is None


def test_without_theory_there_is_none():
    assert found([1.0] * 6, law=None) == UNKNOWN


def test_only_sizes_before_the_first_that_is_not_well_known_tell():
    ratios = [1.3, 1.05, 1.0, 1.0, 5.0, 5.0]
    share = [0.001, 0.001, 0.001, 0.001, 0.5, 0.001]
    assert 10 < found(ratios, share).asymptotic_from < 20
    assert found(ratios, share[::-1]) == UNKNOWN


def test_the_bound_is_a_tenth():
    assert NEAR == 0.1
    assert found([1.099] * 6).asymptotic_from == 10
    assert found([1.101] * 6) == UNKNOWN


def fitted(rate: float, rate_se: float) -> Fit:
    return Fit(rate, rate_se, 1.0, 0.1, 10, 100)


@pytest.mark.parametrize(
    ("fit", "law", "said"),
    [
        (fitted(-1.029, 0.01), LAW, False),
        (fitted(-1.031, 0.01), LAW, True),
        (fitted(-0.969, 0.01), LAW, True),
        (fitted(-1.0, float("nan")), LAW, None),
        (fitted(-1.5, 0.01), None, None),
        ("no fit", LAW, None),
    ],
)
def test_a_rate_departs_where_it_is_three_errors_from_theorys(fit, law, said):
    assert departs(fit, law) is said
