"""A curve passes a level where it is drawn to do so, and its band does so before and after."""

from __future__ import annotations

from math import inf, isnan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.analysis.curves import curve, likeness

NAN = float("nan")
X = np.log([10.0, 20.0, 50.0, 100.0])


def through(values, below=0.0, above=0.0, alike=0.0):
    number = len(values)
    sides = (np.broadcast_to(np.asarray(side, dtype=float), number) for side in (below, above))
    return curve(X[:number], np.array(values, float), *sides, np.full(number - 1, alike))


def test_a_straight_line_is_last_above_where_it_passes():
    line = through(3 - X)
    for level in (-1.0, -0.3, 0.2, 0.6):
        assert line.last_above(level) == pytest.approx((3 - level,) * 3, rel=1e-12)


def test_of_a_sawtooth_the_last_tooth_counts():
    *_, high = through([2.0, 0.0, 1.0, 0.0]).last_above(0.5)
    assert high == pytest.approx((X[2] + X[3]) / 2)


def test_a_curve_below_is_nowhere_above_and_one_that_ends_above_is_so_to_the_end():
    assert through([1.0, 0.5, 0.2]).last_above(2.0) == (-inf,) * 3
    assert through([1.0, 0.5, 3.0]).last_above(2.0) == (inf,) * 3
    assert through([1.0]).last_above(0.5) == (inf,) * 3
    assert through([1.0]).last_above(1.5) == (-inf,) * 3


@pytest.mark.parametrize(("alike", "share"), [(1.0, 1.0), (0.0, sqrt(0.5)), (0.5, sqrt(0.75))])
def test_between_two_sizes_errors_are_those_of_the_mean_of_two(alike, share):
    line = through([1.0, 0.0], 0.2, 0.1, alike)
    middle = len(line.x) // 2
    assert line.middle[middle] - line.lower[middle] == pytest.approx(0.2 * share)
    assert line.upper[middle] - line.middle[middle] == pytest.approx(0.1 * share)
    assert (line.lower[0], line.upper[-1]) == pytest.approx((0.8, 0.1))


numbers = st.floats(-5, 5)
sides = st.floats(0, 2)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(st.lists(numbers, min_size=2, max_size=4), sides, sides, st.floats(-1, 1), numbers)
def test_the_ends_stand_on_both_sides_and_a_wider_band_has_wider_ends(
    values, below, above, alike, level
):
    low, middle, high = through(values, below, above, alike).last_above(level)
    assert low <= middle <= high
    lower, same, higher = through(values, 2 * below, 2 * above, alike).last_above(level)
    assert lower <= low
    assert same == middle
    assert high <= higher


def test_from_an_infinite_value_to_the_next_size_nothing_is_known():
    assert through([inf, 0.0, -1.0]).last_above(0.5)[1] == X[1]
    assert through([1.0, -inf]).last_above(0.5)[1] == X[1]
    assert through([-inf, -inf]).last_above(0.5) == (-inf,) * 3


def test_an_end_that_is_not_known_says_nothing_but_before_one_that_is_above():
    missing = through([3.0, 2.0, 1.0, 0.0], above=[NAN, 0.1, 0.1, 0.1]).last_above(1.5)
    assert missing[2] > missing[1] == pytest.approx((X[1] + X[2]) / 2)
    assert isnan(through([3.0, 2.0, 1.0, 0.0], above=[0, 0, 0, NAN]).last_above(1.5)[2])
    assert isnan(through([1.0, 0.0], above=[NAN, NAN]).last_above(3.0)[2])


def test_likeness_is_the_correlation_of_neighbours_and_0_where_one_does_not_vary():
    rng = np.random.default_rng(5)
    first, other = rng.standard_normal((2, 4000))
    found = likeness(np.stack([first, 0.6 * first + 0.8 * other, np.ones(4000)], axis=1))
    assert found[0] == pytest.approx(0.6, abs=4 * 0.64 / sqrt(4000))
    assert found[1] == 0
