"""A power law is found where there is one, with its error; where there is none, the reason is."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.analysis.fits import LEAST_SIZES, SEEN, Fit, fit, usable

SIZES = np.array([10.0, 32.0, 100.0, 316.0, 1000.0, 3162.0])
MCSE = np.array([3e-3, 2e-3, 4e-4, 1e-4, 5e-5, 1e-5])
NAN, INF = float("nan"), float("inf")


def law(rate: float, constant: float, sizes=SIZES) -> np.ndarray:
    return constant * sizes**rate


def replicates_of(values, mcse, number: int = 200, seed: int = 1) -> np.ndarray:
    return values + mcse * np.random.default_rng(seed).standard_normal((number, len(values)))


def fitted(values, mcse=MCSE, sizes=SIZES, replicates=None) -> Fit | str:
    if replicates is None:
        replicates = np.tile(values, (10, 1))
    return fit(sizes, np.asarray(values, dtype=float), np.asarray(mcse, dtype=float), replicates)


def closed_form(sizes, values, mcse) -> tuple[float, float, np.ndarray, np.ndarray]:
    """Slope, height, and the influence of each ln value on the two: (XᵀWX)⁻¹XᵀW."""
    x = np.stack([np.log(sizes), np.ones(len(sizes))], axis=1)
    w = np.diag((values / mcse) ** 2)
    influence = np.linalg.solve(x.T @ w @ x, x.T @ w)
    slope, height = influence @ np.log(np.abs(values))
    return float(slope), float(height), influence[0], influence[1]


@pytest.mark.parametrize("constant", [0.5, -0.5, 1e-9, 3e8])
@pytest.mark.parametrize("rate", [-2.0, -1.0, -0.5, 0.0, 0.7])
def test_a_power_law_is_found_exactly(rate, constant):
    values = law(rate, constant)
    found = fitted(values, np.abs(values) * np.array([0.1, 0.01, 0.3, 0.002, 0.05, 0.2]))
    assert found.rate == pytest.approx(rate, abs=1e-12)
    assert found.constant == pytest.approx(constant, rel=1e-12)
    assert found.rate_se == pytest.approx(0, abs=1e-12)
    assert (found.from_size, found.to_size) == (10, 3162)


noises = st.lists(st.floats(-0.3, 0.3), min_size=6, max_size=6)
precisions = st.lists(st.floats(0.001, 0.2), min_size=6, max_size=6)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.floats(-2, 2), noises, precisions)
def test_a_fit_is_that_of_weighted_least_squares(rate, noise, precision):
    values = law(rate, 0.7) * np.exp(noise)
    mcse = values * precision
    found = fitted(values, mcse)
    slope, height, _, _ = closed_form(SIZES, values, mcse)
    assert found.rate == pytest.approx(slope, abs=1e-9)
    assert found.constant == pytest.approx(np.exp(height), rel=1e-9)
    # polyfit's weights are those of the residuals, not of their squares
    other, up = np.polyfit(np.log(SIZES), np.log(values), 1, w=1 / np.array(precision))
    assert found.rate == pytest.approx(other, abs=1e-9)
    assert found.constant == pytest.approx(np.exp(up), rel=1e-9)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.floats(1e-6, 1e6), noises, precisions)
def test_another_unit_changes_the_constant_alone(unit, noise, precision):
    values = law(-1.0, 0.5) * np.exp(noise)
    mcse = values * precision
    replicates = replicates_of(values, values * 0.01)
    one = fitted(values, mcse, replicates=replicates)
    other = fitted(values * unit, mcse * unit, replicates=replicates * unit)
    assert other.rate == pytest.approx(one.rate, abs=1e-9)
    assert other.rate_se == pytest.approx(one.rate_se, rel=1e-6)
    assert other.constant == pytest.approx(one.constant * unit, rel=1e-9)
    assert other.constant_se == pytest.approx(one.constant_se * unit, rel=1e-6)


def test_a_quantity_below_0_has_the_same_rate_and_a_negative_constant():
    values = law(-0.9, 0.4) * np.array([1.1, 0.9, 1.0, 1.05, 0.97, 1.0])
    replicates = replicates_of(values, values * 0.02)
    up = fitted(values, values * 0.05, replicates=replicates)
    down = fitted(-values, values * 0.05, replicates=-replicates)
    assert down.constant == -up.constant
    assert (down.rate, down.rate_se, down.constant_se) == (up.rate, up.rate_se, up.constant_se)


@pytest.mark.parametrize("share", [0.0, 0.9])
def test_the_errors_are_those_of_noise_in_the_values(share):
    # independent sizes, and sizes that share most of their noise
    values, relative = law(-1.0, 0.5), np.array([0.01, 0.004, 0.02, 0.01, 0.015, 0.01])
    covariance = (share + (1 - share) * np.eye(6)) * np.outer(relative, relative)
    noise = np.random.default_rng(4).multivariate_normal(np.zeros(6), covariance, 40_000)
    found = fitted(values, values * relative, replicates=values * (1 + noise))
    _, height, rate, constant = closed_form(SIZES, values, values * relative)
    # of 40,000 replicates the sd has an error of 0.35 %; ln(1 + noise) is noise to 0.04 %
    assert found.rate_se == pytest.approx(sqrt(rate @ covariance @ rate), rel=0.016)
    expected = np.exp(height) * sqrt(constant @ covariance @ constant)
    assert found.constant_se == pytest.approx(expected, rel=0.016)


def test_a_noisy_law_is_found_within_its_error():
    true, relative = law(-1.0, 0.5), np.full(6, 0.03)
    z = []
    for seed in range(200):
        (values,) = replicates_of(true, true * relative, number=1, seed=seed)
        replicates = replicates_of(values, true * relative, seed=1000 + seed)
        found = fitted(values, true * relative, replicates=replicates)
        z.append([(found.rate + 1) / found.rate_se, (found.constant - 0.5) / found.constant_se])
    mean, spread = np.mean(z, axis=0), np.std(z, axis=0, ddof=1)
    # 200 repeats: errors of 0.071 and 0.05, and 0.01 from the noise in each reported error
    assert np.all(np.abs(mean) < 4 * 0.071)
    assert np.all(np.abs(spread - 1) < 4 * 0.05 + 0.01)


@pytest.mark.parametrize("number", range(LEAST_SIZES))
def test_too_few_sizes_give_the_reason(number):
    values = np.where(np.arange(6) < number, 1.0, 1e-5)
    reason = fitted(values, np.full(6, 1e-5))
    assert reason == f"{number} of 6 sizes show it (3 errors away from 0); 3 are needed"


def test_an_experiment_of_few_sizes_gives_the_reason():
    reason = fitted([0.5, 0.1], [1e-3, 1e-3], np.array([10.0, 50.0]))
    assert reason == "2 of 2 sizes show it (3 errors away from 0); 3 are needed"


def test_three_sizes_are_enough():
    values = np.where(np.arange(6) < 3, law(-1.0, 0.5), 1e-9)
    found = fitted(values, np.full(6, 1e-3))
    assert found.rate == pytest.approx(-1.0, abs=1e-12)
    assert (found.from_size, found.to_size) == (10, 100)


@pytest.mark.parametrize("place", range(6))
def test_a_change_of_sign_is_not_a_power_law(place):
    values = law(-1.0, 0.5)
    values[place] *= -1
    assert fitted(values, np.abs(values) / 10) == "the sign changes: not a power of n"


@pytest.mark.parametrize(
    ("value", "error"),
    [(-1e-3, 1e-3), (1e-3, 1e-3), (0.1, 0.0), (0.1, NAN), (NAN, 0.1), (INF, 0.1), (-INF, INF)],
    ids=str,
)
@pytest.mark.parametrize("place", [0, 3, 5])
def test_a_size_that_does_not_show_it_takes_no_part(place, value, error):
    values, mcse = law(-1.0, 0.5), law(-1.0, 0.01)
    replicates = replicates_of(values, mcse)
    rest = np.arange(6) != place
    alone = fit(SIZES[rest], values[rest], mcse[rest], replicates[:, rest])
    values[place], mcse[place], replicates[:, place] = value, error, NAN
    assert fitted(values, mcse, replicates=replicates) == alone


def test_usable_are_values_three_errors_away_from_0():
    values = np.array([3.0, 2.999, -3.0, -2.999, 0.0, NAN, INF])
    expected = [True, False, True, False, False, False, False]
    assert usable(values, np.ones(7)).tolist() == expected
    assert SEEN == 3


@pytest.mark.parametrize("error", [0.0, NAN])
def test_a_value_without_an_error_is_not_usable(error):
    assert not usable(np.ones(1), np.array([error])).any()


def test_replicates_of_the_other_sign_say_nothing():
    values = law(-1.0, 0.5)
    replicates = replicates_of(values, values * 0.05)
    zero = values * [1, 0, 1, 1, 1, 1]
    spoilt = np.stack([-replicates[0], replicates[1] * [1, 1, -1, 1, 1, 1], zero, values * NAN])
    clean = fitted(values, values * 0.05, replicates=replicates)
    beside = np.concatenate([replicates, spoilt])
    assert fitted(values, values * 0.05, replicates=beside) == clean


def test_without_replicates_the_error_is_unknown():
    found = fitted(law(-1.0, 0.5), replicates=np.full((5, 6), NAN))
    assert found.rate == pytest.approx(-1.0, abs=1e-12)
    assert np.isnan(found.rate_se)
    assert np.isnan(found.constant_se)
