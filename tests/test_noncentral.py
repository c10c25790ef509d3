"""The noncentral χ² law and its inverse, against sums of 40 digits; and crossings of functions."""

from __future__ import annotations

from functools import cache

import mpmath
import numpy as np
import pytest
from scipy import stats

from sim.laws.noncentral import noncentral_cdf, noncentrality
from sim.roots import crossing


@cache
def exact(x: float, freedom: int, centre: float) -> float:
    """Return P(χ²_k(λ) ≤ x) as its Poisson mixture of central laws, in 40 digits."""
    with mpmath.workdps(40):
        x_, half = mpmath.mpf(x) / 2, mpmath.mpf(centre) / 2
        first = max(0, int(half - 14 * mpmath.sqrt(half + 1) - 60))
        last = int(half + 14 * mpmath.sqrt(half + 1) + 60)
        a = mpmath.mpf(freedom) / 2 + first
        below = mpmath.gammainc(a, 0, x_, regularized=True)
        step = mpmath.exp(a * mpmath.log(x_) - x_ - mpmath.loggamma(a + 1))
        weight = mpmath.exp(first * mpmath.log(half) - half - mpmath.loggamma(first + 1))
        total = mpmath.mpf(0)
        for j in range(first, last):
            total += weight * below
            below, a = below - step, a + 1
            step *= x_ / a
            weight *= half / (j + 1)
        return float(total)


@pytest.mark.parametrize("freedom", [1, 2, 3, 5, 49, 999])
@pytest.mark.parametrize("centre", [1e-3, 0.5, 3.0, 20.0, 300.0, 4000.0])
def test_the_law_agrees_with_its_series(freedom, centre):
    mean, sd = freedom + centre, np.sqrt(2 * (freedom + 2 * centre))
    x = np.maximum(mean + sd * np.array([-3.0, -1.5, 0.0, 2.0, 4.0]), 1e-3)
    known = [exact(float(each), freedom, centre) for each in x]
    assert noncentral_cdf(x, freedom, np.full(5, centre)) == pytest.approx(known, abs=2e-14)


@pytest.mark.parametrize("freedom", [1, 2, 7, 100])
def test_without_a_centre_it_is_the_chi_square_law(freedom):
    x = np.array([1e-9, 0.1, 1.0, freedom, 3 * freedom + 20.0])
    known = stats.chi2.cdf(x, freedom)
    assert noncentral_cdf(x, freedom, np.zeros(5)) == pytest.approx(known, abs=2e-14)


def test_nothing_lies_below_0():
    assert noncentral_cdf(np.zeros(2), 3, np.array([0.0, 5.0])) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("freedom", [1, 2, 4, 49])
@pytest.mark.parametrize("chance", [0.005, 0.025, 0.5, 0.975])
def test_the_centre_that_is_found_gives_the_chance(freedom, chance):
    x = np.array([2.0, 10.0, 60.0, 1000.0, 6000.0]) + freedom
    found = noncentrality(x, freedom, chance)
    for value, centre in zip(x.tolist(), found.tolist(), strict=True):
        if centre == 0:
            assert stats.chi2.cdf(value, freedom) <= chance
        else:
            assert exact(value, freedom, centre) == pytest.approx(chance, abs=1e-13)


@pytest.mark.parametrize("freedom", [1, 3, 50])
@pytest.mark.parametrize("x", [1e5, 1e6, 1e8])
def test_it_is_right_far_out_where_series_are_long(freedom, x):
    low, high = (noncentrality(np.array([x]), freedom, chance)[0] for chance in (0.975, 0.025))
    assert stats.ncx2.cdf(x, freedom, low) == pytest.approx(0.975, abs=1e-11)
    assert stats.ncx2.cdf(x, freedom, high) == pytest.approx(0.025, abs=1e-11)
    # and beyond any series: √(x) − √λ is normal there, less (k − 1)/(2√x)
    z = stats.norm.ppf(0.975)
    beyond = noncentrality(np.array([1e14]), freedom, 0.025)[0]
    assert np.sqrt(beyond) - 1e7 == pytest.approx(z - (freedom - 1) / 2e7, abs=1e-7)


def test_many_colours_have_their_law_too():
    x = np.array([1e5 + 2000.0])
    found = noncentrality(x, 10**5, 0.025)
    assert stats.ncx2.cdf(x[0], 10**5, found[0]) == pytest.approx(0.025, abs=1e-10)


def test_the_centre_is_0_where_even_that_lies_too_high():
    x = stats.chi2.ppf([0.01, 0.024, 0.026, 0.5], 4)
    found = noncentrality(x, 4, 0.025)
    assert found[:2].tolist() == [0.0, 0.0]
    assert np.all(found[2:] > 0)
    assert noncentrality(np.zeros(1), 4, 0.025)[0] == 0.0
    assert len(noncentrality(np.zeros(0), 4, 0.025)) == 0


# crossings


def test_a_crossing_is_found_where_newton_alone_would_run_away():
    def f(x, which):
        return -np.arctan(x - which), -1 / (1 + (x - which) ** 2)

    start, far = np.full(4, 40.0), np.full(4, 100.0)
    assert crossing(f, start, -far, far) == pytest.approx([0.0, 1.0, 2.0, 3.0], abs=1e-12)


def test_without_a_crossing_the_nearer_end_is_given():
    def f(x, which):
        return np.where(which == 0, 1.0, -1.0) - x / 1e9, np.full(len(x), -1e-9)

    found = crossing(f, np.zeros(2), np.full(2, -5.0), np.full(2, 7.0))
    assert found == pytest.approx([7.0, -5.0], abs=1e-9)
