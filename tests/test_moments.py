"""Moments of a stream: as exact as 60 digits show them to be, however it is cut."""

from __future__ import annotations

from math import isnan, sqrt

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sim.analysis.moments import Moments

EPS = 2.0**-52
RNG = np.random.default_rng(20240601)

# NIST's StRD NumAcc sets: a small spread on a large mean
HARD = {
    "numacc1": np.array([10000001.0, 10000003.0, 10000002.0]),
    "numacc2": np.array([1.2] + [1.1, 1.3] * 500),
    "numacc3": np.array([1000000.2] + [1000000.1, 1000000.3] * 500),
    "numacc4": np.array([10000000.2] + [10000000.1, 10000000.3] * 500),
    "one_far_away": np.array([1e8] + [1.0, 2.0, 3.0] * 100),
    "the_far_one_last": np.array([1.0, 2.0, 3.0] * 100 + [1e8]),
    "chi_square_small": RNG.chisquare(1, 1000) * 1e-12,
    "heavy_tail": np.exp(3 * RNG.standard_normal(1000)),
    "both_signs": RNG.standard_normal(1000) - 1e-3,
    "squares_of_small_errors": (RNG.standard_normal(999) * 1e-13) ** 2,
    "large": RNG.standard_normal(500) * 1e60,
    "two_values": np.array([1.0, 1.0 + 2 * EPS]),
    "a_coin": np.array([0.0] * 990 + [1.0] * 10),
}
SPLITS = {
    "whole": lambda n: [],
    "halves": lambda n: [n // 2],
    "one_then_the_rest": lambda n: [1],
    "the_rest_then_one": lambda n: [n - 1],
    "tens": lambda n: list(range(10, n, 10)),
    "one_by_one": lambda n: list(range(1, n)),
    "with_empty_ones": lambda n: [0, 0, n // 3, n // 3, n, n],
}


def moments(values, cuts=()) -> Moments:
    found = Moments()
    for batch in np.split(np.asarray(values, dtype=float), list(cuts)):
        found.add(batch)
    return found


def exact(values) -> dict[str, float]:
    """The same from 60 digits, with the condition number of the variance."""
    with mpmath.workdps(60):
        x = [mpmath.mpf(float(value)) for value in values]
        n = len(x)
        mean = mpmath.fsum(x) / n
        second, fourth = (mpmath.fsum((v - mean) ** k for v in x) for k in (2, 4))
        sd = mpmath.sqrt(second / (n - 1))
        kurtosis = n * fourth / second**2
        return {
            "mean": float(mean),
            "sd": float(sd),
            "mean_mcse": float(sd / mpmath.sqrt(n)),
            "sd_mcse": float(sd / 2 * mpmath.sqrt(max(0, kurtosis - 1) / n)),
            "condition": float(mpmath.sqrt(1 + n * mean**2 / second)),
        }


@pytest.mark.parametrize("values", HARD.values(), ids=HARD)
def test_a_batch_keeps_its_digits(values):
    found, known = moments(values), exact(values)
    # a shifted two-pass sum: n ε in the sums, (κ ε)² from the rounding of the mean
    bound = len(values) * EPS + (known["condition"] * EPS) ** 2 * len(values)
    assert found.number == len(values)
    assert abs(found.mean - known["mean"]) <= bound * (abs(known["mean"]) + known["sd"])
    for name in ("sd", "mean_mcse", "sd_mcse"):
        assert getattr(found, name) == pytest.approx(known[name], rel=4 * bound, abs=0), name


@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS)
@pytest.mark.parametrize("values", HARD.values(), ids=HARD)
def test_cutting_a_stream_costs_no_more_than_the_bound_of_an_update(values, split):
    found, known = moments(values, split(len(values))), exact(values)
    # n κ ε: Chan, Golub & LeVeque 1983 for updating sums of squares
    bound = len(values) * known["condition"] * EPS
    assert found.number == len(values)
    assert found.mean == pytest.approx(known["mean"], rel=bound, abs=bound * known["sd"])
    for name in ("sd", "mean_mcse", "sd_mcse"):
        assert getattr(found, name) == pytest.approx(known[name], rel=bound, abs=0), name


@pytest.mark.parametrize("values", [HARD["chi_square_small"], HARD["heavy_tail"]])
def test_sd_and_mean_are_those_of_numpy(values):
    found = moments(values, [100, 101, 700])
    assert found.mean == pytest.approx(values.mean(), rel=1e-13)
    assert found.sd == pytest.approx(values.std(ddof=1), rel=1e-13)
    assert found.mean_mcse == pytest.approx(values.std(ddof=1) / sqrt(1000), rel=1e-13)


def test_the_error_of_the_sd_follows_the_kurtosis():
    # of a coin with p = 1 %: kurtosis (1 − 3 p q)/(p q), so (k − 1)/R = (1 − 4 p q)/(p q R)
    found = moments(HARD["a_coin"])
    pq = 0.01 * 0.99
    sd = sqrt(pq * 1000 / 999)
    assert found.sd == pytest.approx(sd, rel=1e-13)
    assert found.sd_mcse == pytest.approx(sd / 2 * sqrt((1 - 4 * pq) / pq / 1000), rel=1e-12)


def test_a_fair_coin_knows_its_sd_without_error():
    # half 0, half 1: the kurtosis is 1, and the sd is the same in any such sample
    assert moments([0.0, 1.0] * 50, [50]).sd_mcse == 0


values_and_cuts = st.lists(
    st.floats(-1e6, 1e6, allow_subnormal=False), min_size=2, max_size=40
).flatmap(
    lambda values: st.tuples(
        st.just(values), st.lists(st.integers(0, len(values)), max_size=6).map(sorted)
    )
)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(values_and_cuts)
def test_any_cut_of_any_stream_gives_its_moments(given_):
    values, cuts = given_
    assume(len(set(values)) > 1 and np.ptp(values) > 1e-60)
    found, known = moments(values, cuts), exact(values)
    bound = len(values) * known["condition"] * EPS
    assume(bound < 0.1)
    assert found.number == len(values)
    assert found.mean == pytest.approx(known["mean"], rel=bound, abs=bound * known["sd"])
    assert found.sd == pytest.approx(known["sd"], rel=bound)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(
    st.floats(-1e70, 1e70),
    st.lists(st.integers(1, 50), min_size=1, max_size=6),
)
def test_equal_values_have_a_spread_of_exactly_0(value, lengths):
    found = Moments()
    for length in lengths:
        found.add(np.full(length, value))
    assert found.mean == value
    assert (found.second, found.third, found.fourth) == (0, 0, 0)
    assert found.sd == 0 or sum(lengths) == 1


@pytest.mark.parametrize("cuts", [[], [2]])
def test_values_whose_fourth_power_has_no_double_still_have_mean_and_sd(cuts):
    # χ² against a Q of 1e-100 is such an estimate
    found = moments([1e100, 2e100, 3e100], cuts)
    assert found.mean == pytest.approx(2e100, rel=1e-14)
    assert found.sd == pytest.approx(1e100, rel=1e-14)
    assert found.mean_mcse == pytest.approx(1e100 / sqrt(3), rel=1e-14)
    # its kurtosis, 3/2, needs the fourth power: known or not, it is not 1
    known = 1e100 / 2 * sqrt((1.5 - 1) / 3)
    assert found.sd_mcse == pytest.approx(known) or isnan(found.sd_mcse)


def test_nothing_has_no_moments():
    found = moments([])
    assert found.number == 0
    assert isnan(found.sd)
    assert isnan(found.mean_mcse)
    assert isnan(found.sd_mcse)


def test_one_value_has_a_mean_and_no_spread():
    found = moments([0.7])
    assert found.mean == 0.7
    assert isnan(found.sd)
    assert isnan(found.mean_mcse)
    assert isnan(found.sd_mcse)


def test_equal_values_leave_the_error_of_the_sd_unknown():
    found = moments([0.7, 0.7])
    assert found.sd == 0
    assert found.mean_mcse == 0
    assert isnan(found.sd_mcse)


def test_a_batch_is_left_as_it_was():
    values = np.array([3.0, 1.0, 2.0])
    moments(values)
    assert values.tolist() == [3.0, 1.0, 2.0]
