"""Means over a Dirichlet prior's constant: parts against 40 digits, integrals to 1e-6 or better."""

from __future__ import annotations

from math import erf, exp, log, pi, sqrt

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.priors import log_likelihood, log_rise, nodes, slope, spectrum

AMOUNTS = [1e-15, 1e-9, 1e-3, 0.5, 1.0, 37.0, 9999.0, 10001.0, 1e6, 1e12, 1e15]
SEAM = [9999.999, 10000.0, 10000.001]
few_examples = settings(deadline=None, derandomize=True, max_examples=40)
rows = st.lists(st.integers(0, 50), min_size=1, max_size=12).filter(any)


def precise(function, *arguments):
    """Return a function of numbers to 40 digits, rounded once."""
    with mp.workdps(60):
        return float(function(*map(mp.mpf, arguments)))


def rise(r, amount):
    return mp.loggamma(r + amount) - mp.loggamma(amount)


def entropy_slope(amount, colours):
    return colours * mp.psi(1, colours * amount + 1) - mp.psi(1, amount + 1)


def cross_slope(amount, colours):
    return mp.psi(1, amount) - colours * mp.psi(1, colours * amount)


# counts


@few_examples
@given(row=rows)
def test_a_spectrum_says_how_many_colours_have_each_count(row):
    values, number = spectrum(np.array(row))
    assert values.tolist() == sorted(set(row))
    assert [row.count(value) for value in values] == number.tolist()
    assert values @ number == sum(row)
    assert number.sum() == len(row)


@few_examples
@given(row=rows, amount=st.sampled_from(AMOUNTS))
def test_the_likelihood_is_that_of_the_polya_urn(row, amount):
    """One draw after another: P(colour) = (drawn so far + β)/(all so far + Kβ)."""
    with mp.workdps(40):
        beta, total, done = mp.mpf(amount), mp.mpf(0), 0
        for count in row:
            for own in range(count):
                total += mp.log((own + beta) / (done + len(row) * beta))
                done += 1
    # the function's argument is ln β: what its rounding does to the sum is not its fault
    found = log_likelihood(spectrum(np.array(row)), np.log([amount]))[0]
    assert found == pytest.approx(float(total), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("r", [0, 1, 2, 50, 10**6, 10**9])
@pytest.mark.parametrize("amount", [*AMOUNTS, *SEAM])
def test_a_rise_of_the_log_gamma_keeps_its_digits(amount, r):
    [found] = log_rise(np.array([float(r)]), np.array([amount]))
    exactly = precise(rise, r, amount)
    assert found == pytest.approx(exactly, rel=1e-9, abs=1e-12)


def test_no_draw_is_certain_and_one_draw_of_any_colour_is_as_likely_under_any_prior():
    amounts = np.log(AMOUNTS)
    assert log_rise(np.zeros(len(AMOUNTS)), np.array(AMOUNTS)).tolist() == [0.0] * len(AMOUNTS)
    one = log_likelihood(spectrum(np.array([0, 1, 0, 0])), amounts)
    assert one == pytest.approx(np.full(len(AMOUNTS), -log(4)), rel=1e-9)


# how fast the means rise


@pytest.mark.parametrize("colours", [2, 3, 11, 1000, 100_000])
@pytest.mark.parametrize("amount", [*AMOUNTS, *SEAM])
def test_the_slope_of_the_entropy_keeps_its_digits(amount, colours):
    [found] = slope(np.array([amount]), float(colours))
    assert found == pytest.approx(precise(entropy_slope, amount, colours), rel=1e-8, abs=0)
    assert found > 0


@pytest.mark.parametrize("colours", [2, 3, 11, 1000])
@pytest.mark.parametrize("amount", [*AMOUNTS[1:], *SEAM])
def test_the_slope_of_the_cross_entropy_keeps_its_digits(amount, colours):
    [found] = slope(np.array([amount]), float(colours), of_cross_entropy=True)
    assert found == pytest.approx(precise(cross_slope, amount, colours), rel=1e-8, abs=0)
    assert found > 0


@pytest.mark.parametrize("colours", [2, 11, 1000])
def test_the_slope_of_the_entropy_sums_to_the_most_entropy_there_is(colours):
    """∫ dA over β from 0 to ∞ is ln K: all entropies are about alike likely before."""
    x = np.linspace(-40, 40, 8001)
    assert np.trapezoid(slope(np.exp(x), colours) * np.exp(x), x) == pytest.approx(
        log(colours), rel=1e-6
    )


# integrals


def mean_over(f, g, low, high, points=128):
    x, weight = nodes(f, low, high, points)
    assert weight.sum() == pytest.approx(1, rel=1e-14)
    assert np.all((x >= low) & (x <= high))
    return float(weight @ g(x))


@pytest.mark.parametrize("width", [1e-3, 0.1, 1.0, 5.0])
@pytest.mark.parametrize("centre", [-12.3, 0.0, 20.01])
def test_the_moments_of_a_bell_are_found_wherever_it_is_and_however_narrow(centre, width):
    def bell(x):
        return -(((x - centre) / width) ** 2) / 2

    assert mean_over(bell, lambda x: x, -60, 60) == pytest.approx(centre, abs=1e-8)
    spread = mean_over(bell, lambda x: (x - centre) ** 2, -60, 60)
    assert sqrt(spread) == pytest.approx(width, rel=1e-6)


@pytest.mark.parametrize(("centre", "ends"), [(-5.0, (-4, 10)), (0.0, (0, 9)), (3.0, (-7, 1))])
def test_a_top_at_an_end_or_beyond_it_is_held(centre, ends):
    low, high = ends

    def bell(x):
        return -((x - centre) ** 2) / 2

    part = [(end - centre) / sqrt(2) for end in ends]
    area = sqrt(pi / 2) * (erf(part[1]) - erf(part[0]))
    rise = exp(bell(low)) - exp(bell(high))
    assert mean_over(bell, lambda x: x, low, high) == pytest.approx(centre + rise / area, rel=1e-7)


def test_a_flat_weight_is_a_mean_over_the_whole_range():
    assert mean_over(np.zeros_like, lambda x: x, -3, 7) == pytest.approx(2, rel=1e-9)
    assert mean_over(np.zeros_like, np.square, -3, 7) == pytest.approx(37 / 3, rel=1e-9)


def test_a_long_tail_on_one_side_is_followed_to_its_end():
    """The law of ln X, X exponential: mean −γ, variance π²/6, a tail e^x to the left."""

    def gumbel(x):
        return x - np.exp(x)

    assert mean_over(gumbel, lambda x: x, -40, 5) == pytest.approx(-np.euler_gamma, abs=1e-8)
    square = mean_over(gumbel, lambda x: (x + np.euler_gamma) ** 2, -40, 5)
    assert square == pytest.approx(pi**2 / 6, rel=1e-7)


def test_more_points_change_nothing():
    def likely(x):
        return log_likelihood(spectrum(np.array([4, 2, 3, 0, 2, 4, 0, 0, 2, 1, 1])), x)

    few, many = (mean_over(likely, np.tanh, -20, 12, points) for points in (128, 256))
    assert few == pytest.approx(many, rel=1e-9)


def test_weights_far_below_the_least_float_are_weighed():
    first, other = (
        mean_over(lambda x, down=down: -(x**2) - down, np.exp, -9, 9) for down in (0, 1e5)
    )
    assert first == pytest.approx(exp(1 / 4), rel=1e-9)
    assert other == pytest.approx(first, rel=1e-9)
