"""Laws of counts: each probability against exact arithmetic, each window against its tails."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import comb, exp

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sim.laws import (
    CountLaw,
    Hypergeometric,
    JointLaw,
    Multinomial,
    binomial_pmf,
    deviance,
    dirichlet_multinomial,
    multinomial_mixture,
    poisson_binomial,
    poisson_pmf,
    sticky_counts,
    stirling_error,
    window,
)

steady = settings(deadline=None, derandomize=True, max_examples=60)
TAIL = exp(-50)
EPS = np.finfo(float).eps
EDGE = [0.0, 1e-300, 1e-12, 1e-6, 0.001, 0.1, 0.3, 0.4, 0.5, 0.6, 0.9, 0.999, 1 - 1e-12, 1.0]


@dataclass(frozen=True)
class Case:
    """A law with the share and the variance of each count."""

    name: str
    law: CountLaw
    share: np.ndarray
    variance: np.ndarray


def drawn_with(n, *balls):
    p = np.array(balls, dtype=np.float64) / sum(balls)
    return Case(f"with-{n}-{balls}", Multinomial(n, p), p, n * p * (1 - p))


def drawn_without(n, *balls):
    p, total = np.array(balls, dtype=np.float64) / sum(balls), sum(balls)
    variance = n * p * (1 - p) * (total - n) / max(total - 1, 1)
    law = Hypergeometric(n, np.array(balls, dtype=np.float64))
    return Case(f"without-{n}-{balls}", law, p, variance)


CASES = [
    drawn_with(1, 10, 15),
    drawn_with(25, 10, 15),
    drawn_with(7, 1, 2, 3, 0),
    drawn_with(40, 5),
    drawn_with(300, 1, 1, 1, 1, 1),
    drawn_with(5000, 9000, 900, 90, 10),
    drawn_with(10**6, 1, 10**6, 10**3),
    drawn_without(1, 10, 15),
    drawn_without(20, 10, 15),
    drawn_without(25, 10, 15),
    drawn_without(7, 1, 2, 3, 0, 5),
    drawn_without(40, 50),
    drawn_without(300, 100, 100, 100, 100, 1),
    drawn_without(999, 400, 600),
    drawn_without(10**6, 10**8, 5 * 10**8, 4 * 10**8 - 1, 3),
]


@pytest.fixture(autouse=True, scope="module")
def exact_arithmetic():
    """Count in 60 digits."""
    with mp.workdps(60):
        yield


laws = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def everything(law):
    """Return each colour's counts in its window with their probabilities."""
    for colour, (low, high) in enumerate(zip(*law.window(), strict=True)):
        count = np.arange(low, high + 1)
        yield colour, count, law.pmf(np.full_like(count, colour), count)


def binomial(x, n, p):
    """Return P(x of n) of a double p; in mpmath's precision."""
    p = mp.mpf(p)
    return mp.binomial(n, x) * p**x * (1 - p) ** (n - x)


def error(found, true):
    """Return the relative error of a double."""
    return float(abs(mp.mpf(float(found)) - true) / true)


def spread(low, high, number=15):
    """Return whole numbers from low to high, both ends among them."""
    return np.unique(np.linspace(low, high, number).round().astype(np.int64))


@pytest.mark.parametrize("p", EDGE)
@pytest.mark.parametrize("n", [1, 2, 3, 10, 16, 25, 100, 1000, 10**4, 10**6])
def test_binomial_probabilities_agree_with_exact_ones(n, p):
    law = Multinomial(n, np.array([p, 1 - p]))
    (low, _), (high, _) = law.window()
    count = spread(low, high)
    found = law.pmf(np.zeros_like(count), count)
    for x, value in zip(count.tolist(), found, strict=True):
        true = binomial(x, n, p)
        if true == 0:
            assert value == 0
        elif true > TAIL / 100:
            # n p and n q are rounded: that alone moves ln P by |x − np|/q of half their last place
            rounded = EPS * abs(x - n * p) / max(1 - p, 1 / n)
            assert error(value, true) <= 1e-13 + rounded
        else:
            assert value <= TAIL


@steady
@given(st.integers(1, 400), st.fractions(0, 1, max_denominator=10**6), st.data())
def test_binomial_probabilities_of_any_small_sample_are_exact_fractions(n, share, data):
    x = data.draw(st.integers(0, n))
    p, q = float(share), float(1 - share)
    true = comb(n, x) * share**x * (1 - share) ** (n - x)
    found = binomial_pmf(np.float64(x), np.float64(n), np.float64(p), np.float64(q))
    # p and q are rounded, and each stands in n factors
    assert float(found) == pytest.approx(float(true), rel=1e-13 + 2 * EPS * n, abs=1e-290)


def test_a_certain_colour_is_always_drawn_and_an_impossible_one_never():
    law = Multinomial(7, np.array([0.0, 1.0]))
    count = np.arange(-1, 9)
    none, all_of_them = (law.pmf(np.full_like(count, k), count) for k in (0, 1))
    assert none.tolist() == (count == 0).tolist()
    assert all_of_them.tolist() == (count == 7).tolist()


def test_no_draw_at_all_is_certain_to_bring_none():
    x = np.array([-1.0, 0.0, 1.0])
    for p in (0.0, 0.3, 1.0):
        assert binomial_pmf(x, np.float64(0), np.float64(p), np.float64(1 - p)).tolist() == [
            0,
            1,
            0,
        ]
    assert poisson_pmf(x, np.float64(0)).tolist() == [0, 1, 0]


@pytest.mark.parametrize("mean", [1e-300, 1e-6, 0.1, 1.0, 4.2, 15.5, 40.0, 1234.5, 1e6])
def test_poisson_probabilities_agree_with_exact_ones(mean):
    (low,), (high,) = window(np.array([mean]), np.array([mean]), np.array([np.inf]))
    count = spread(low, high)
    found = poisson_pmf(count.astype(np.float64), np.float64(mean))
    for x, value in zip(count.tolist(), found, strict=True):
        true = mp.exp(-mp.mpf(mean)) * mp.mpf(mean) ** x / mp.factorial(x)
        if true > TAIL / 100:
            assert error(value, true) <= 1e-13
        else:
            assert value <= TAIL


@pytest.mark.parametrize(
    ("n", "balls"),
    [
        (1, (1, 1)),
        (20, (10, 15)),
        (24, (10, 15)),
        (25, (10, 15)),
        (5, (3, 0, 4)),
        (6, (6,)),
        (100, (30, 50, 120)),
        (199, (30, 50, 120)),
        (900, (7, 993, 2000)),
    ],
    ids=str,
)
def test_hypergeometric_probabilities_are_exact_fractions(n, balls):
    law = Hypergeometric(n, np.array(balls, dtype=np.float64))
    total = sum(balls)
    for colour, count, found in everything(law):
        own = balls[colour]
        for x, value in zip(count.tolist(), found, strict=True):
            true = float(Fraction(comb(own, x) * comb(total - own, n - x), comb(total, n)))
            assert value == pytest.approx(true, rel=1e-13, abs=TAIL / 1e6)


@pytest.mark.parametrize("n", [1000, 10**6, 10**9 - 5])
def test_hypergeometric_probabilities_hold_in_the_largest_bag(n):
    balls = np.array([3 * 10**8, 10**3, 7 * 10**8 - 1001])
    law = Hypergeometric(n, balls.astype(np.float64))
    total = int(balls.sum())
    for colour, count, found in everything(law):
        own = int(balls[colour])
        mean = n * own / total
        variance = mean * (1 - own / total) * (total - n) / (total - 1)
        for place in spread(0, len(count) - 1, 9):
            x = int(count[place])
            true = mp.binomial(own, x) * mp.binomial(total - own, n - x) / mp.binomial(total, n)
            if true > TAIL / 100:
                # |x − mean| / variance: how far ln P moves with the last place of the mean
                rounded = 4 * EPS * mean * abs(x - mean) / max(variance, 1)
                assert error(found[place], true) <= 2e-13 + rounded


@laws
def test_the_probabilities_in_a_window_sum_to_one(case):
    for _, _, found in everything(case.law):
        assert np.all(found >= 0)
        assert found.sum() == pytest.approx(1, abs=2e-13)


@laws
def test_mean_and_variance_of_a_count_are_those_of_its_law(case):
    n = case.law.size
    for colour, count, found in everything(case.law):
        mean = n * case.share[colour]
        assert found @ count == pytest.approx(mean, rel=1e-12, abs=0)
        assert found @ (count - mean) ** 2 == pytest.approx(case.variance[colour], rel=1e-10, abs=0)


@laws
def test_a_window_stays_within_what_can_be_drawn(case):
    low, high = case.law.window()
    assert low.shape == high.shape == case.share.shape == (case.law.colours,)
    assert np.all((low >= 0) & (low <= high) & (high <= case.law.size))
    if isinstance(case.law, Hypergeometric):
        left = case.law.balls.sum() - case.law.balls
        assert np.all(low >= case.law.size - left)
        assert np.all(high <= case.law.balls)


@laws
def test_what_lies_beyond_a_window_is_below_its_bound(case):
    for colour, (low, high) in enumerate(zip(*case.law.window(), strict=True)):
        if isinstance(case.law, Multinomial):
            whole = stats.binom(case.law.size, case.share[colour])
        else:
            balls = case.law.balls.astype(int)
            if balls.sum() > 10**6:
                continue  # scipy sums such a tail term by term
            whole = stats.hypergeom(balls.sum(), balls[colour], case.law.size)
        assert whole.cdf(low - 1) <= TAIL
        assert whole.sf(high) <= TAIL


@laws
def test_what_lies_beyond_a_free_window_is_below_its_bound(case):
    for colour, (low, high) in enumerate(zip(*case.law.free_window(), strict=True)):
        if isinstance(case.law, Multinomial):
            whole = stats.poisson(case.law.size * case.share[colour])
        else:
            balls = case.law.balls
            whole = stats.binom(balls[colour], case.law.size / balls.sum())
        assert whole.cdf(low - 1) <= TAIL
        assert whole.sf(high) <= TAIL


def test_a_window_is_narrow_and_none_where_nothing_varies():
    mean, variance = np.array([0.0, 5e5, 10.0]), np.array([0.0, 2.5e5, 0.0])
    low, high = window(mean, variance, np.full(3, 1e6))
    assert (low[[0, 2]].tolist(), high[[0, 2]].tolist()) == ([0, 10], [0, 10])
    assert high[1] - low[1] < 22 * 500


@laws
def test_the_free_variance_is_that_of_the_independent_counts(case):
    total = mean = 0.0
    for colour, (low, high) in enumerate(zip(*case.law.free_window(), strict=True)):
        count = np.arange(low, high + 1)
        found = case.law.free_pmf(np.full_like(count, colour), count)
        assert found.sum() == pytest.approx(1, abs=2e-13)
        own = found @ count
        mean += own
        total += found @ (count - own) ** 2
    assert mean == pytest.approx(case.law.size, rel=1e-12, abs=0)
    assert total == pytest.approx(case.law.free_variance(), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.law.size <= 300], ids=lambda case: case.name
)
def test_counts_are_the_independent_ones_given_their_sum(case):
    """P(X_k = x) Π_others given ΣX = n, by convolution, is the law of the count."""
    law, n = case.law, case.law.size
    every = np.arange(n + 1)
    free = [law.free_pmf(np.full_like(every, k), every) for k in range(law.colours)]
    for colour, count, found in everything(law):
        others = np.zeros(n + 1)
        others[0] = 1
        for other in free[:colour] + free[colour + 1 :]:
            others = np.convolve(others, other)[: n + 1]
        joint = free[colour] * others[::-1]
        np.testing.assert_allclose(found, (joint / joint.sum())[count], rtol=1e-11, atol=1e-18)


def test_an_emptied_bag_leaves_nothing_to_chance():
    law = Hypergeometric(10**9 - 1, np.array([123456789.0, 1.0, 876543209.0]))
    low, high = law.window()
    assert low.tolist() == law.balls.tolist()
    for colour, count, found in everything(law):
        assert (found == (count == law.balls[colour])).all()
    assert (high - low).max() <= 1
    assert law.free_variance() == 0


def test_stirling_errors_agree_with_exact_ones():
    whole = [*range(1, 60), 100, 10**3, 10**6, 10**9, 10**12]
    found = stirling_error(np.array(whole, dtype=np.float64))
    for n, value in zip(whole, found, strict=True):
        true = mp.loggamma(n + 1) - (mp.log(2 * mp.pi * n) / 2 + n * mp.log(n) - n)
        # it stands in an exponent: what counts is its absolute error
        assert abs(float(mp.mpf(float(value)) - true)) <= 4e-15
        if n >= 16:
            assert error(value, true) <= 3e-14


@steady
@given(st.integers(1, 10**9), st.floats(1e-3, 1e9))
def test_deviances_agree_with_exact_ones(x, mean):
    true = x * mp.log(mp.mpf(x) / mp.mpf(mean)) + mp.mpf(mean) - x
    assert float(deviance(np.float64(x), np.float64(mean))) == pytest.approx(
        float(true), rel=2e-14, abs=0
    )


@pytest.mark.parametrize("mean", [1.0, 40.0, 1e6, 1e12])
@pytest.mark.parametrize("step", [0.0, 1e-15, 1e-9, 1e-3, 0.1, 0.2, 0.2223, 0.3])
def test_a_deviance_does_not_cancel_near_its_mean(mean, step):
    """Both sides of |x − mean| = 0.1 (x + mean), where the series takes over."""
    for x in {mean * (1 + step), mean * (1 - step)}:
        true = mp.mpf(x) * mp.log(mp.mpf(x) / mp.mpf(mean)) + mp.mpf(mean) - mp.mpf(x)
        found = float(deviance(np.float64(x), np.float64(mean)))
        assert found == pytest.approx(float(true), rel=4e-15, abs=0)


def test_a_deviance_from_a_vanishing_mean_is_large_and_quiet():
    assert deviance(np.float64(3.0), np.float64(5e-324)) > 2000


PICKED = [
    Multinomial(7, np.array([0.5, 0.3, 0.0, 0.2])),
    Hypergeometric(7, np.array([4.0, 4.0, 0.0, 9.0])),
    dirichlet_multinomial(7, np.array([2.0, 0.5, 2.0, 1.0])),
    multinomial_mixture(
        7, np.array([0.4, 0.6]), np.array([[0.1, 0.4, 0.4, 0.1], [0.7, 0, 0, 0.3]])
    ),
    poisson_binomial(np.tile([0.1, 0.4, 0.4, 0.1], (7, 1))),
    sticky_counts(7, np.array([0.1, 0.4, 0.4, 0.1]), 0.5),
]


@pytest.mark.parametrize("law", PICKED, ids=lambda law: type(law).__name__)
@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]], ids=str)
def test_a_law_in_another_order_of_colours_is_the_same_law(law, order):
    other = law.picked(np.array(order))
    assert (other.size, other.colours, type(other)) == (law.size, law.colours, type(law))
    count, colour = np.meshgrid(np.arange(8), np.arange(4))
    old = np.array(order)[colour]
    assert np.array_equal(other.pmf(colour, count), law.pmf(old, count))
    for one, two in zip(other.window(), law.window(), strict=True):
        assert np.array_equal(one, two[order])
    if isinstance(law, JointLaw):
        assert np.array_equal(other.free_pmf(colour, count), law.free_pmf(old, count))
        assert other.free_variance() == pytest.approx(law.free_variance(), rel=1e-14)
        for one, two in zip(other.free_window(), law.free_window(), strict=True):
            assert np.array_equal(one, two[order])
