"""Means and products of deviations of many groups are those of the whole, however it is cut."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.analysis.comoments import Comoments

EPS = 2.0**-52
RNG = np.random.default_rng(20240601)
CENTRES = np.array([0.0, 1e6, -3.0])[:, None]
VALUES = RNG.normal(CENTRES, size=(5, 3, 400))
COUNTED = RNG.random((5, 400)) < [[0.5], [0.99], [0.01], [1.0], [0.0]]
CUTS = {"whole": [], "halves": [200], "tens": list(range(10, 400, 10)), "one_first": [1]}


def joined(values, counted=None, cuts=()) -> Comoments:
    parts = np.split(values, list(cuts), axis=-1)
    masks = [None] * len(parts) if counted is None else np.split(counted, list(cuts), axis=-1)
    return reduce(Comoments.merged, map(Comoments.of, parts, masks))


def expected(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and products of one group from shifted values, in long doubles."""
    shift = values[:, :1].astype(np.longdouble)
    away = values - shift
    mean = away.mean(axis=1, keepdims=True)
    deviations = away - mean
    return (shift + mean)[:, 0].astype(float), (deviations @ deviations.T).astype(float)


@pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("counted", [None, COUNTED], ids=["all", "some"])
def test_moments_are_those_of_the_trials_that_count(counted, cuts):
    found = joined(VALUES, counted, cuts)
    for group in range(5):
        mine = VALUES[group] if counted is None else VALUES[group][:, counted[group]]
        assert found.number[group] == mine.shape[1]
        if mine.shape[1]:
            mean, products = expected(mine)
            # n κ ε: Chan, Golub & LeVeque 1983; κ is 1e6 for the second variable
            scale = np.sqrt(np.outer(products.diagonal(), products.diagonal()))
            assert found.mean[group] == pytest.approx(mean, rel=1e-13)
            assert np.all(np.abs(found.products[group] - products) <= 400 * 1e6 * EPS * scale)


@pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)
def test_what_does_not_count_leaves_no_trace(cuts):
    other = np.where(COUNTED[:, None], VALUES, 1e9)
    one, two = joined(VALUES, COUNTED, cuts), joined(other, COUNTED, cuts)
    assert np.array_equal(one.number, two.number)
    some = one.number > 0
    assert np.array_equal(one.mean[some], two.mean[some])
    assert np.array_equal(one.products, two.products)


def test_to_count_all_is_to_say_nothing():
    every = np.ones((5, 400), dtype=bool)
    one, two = joined(VALUES), joined(VALUES, every)
    assert np.array_equal(one.mean, two.mean)
    assert np.array_equal(one.products, two.products)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.floats(-1e70, 1e70), st.lists(st.integers(1, 50), min_size=1, max_size=5))
def test_equal_values_have_a_spread_of_exactly_0(value, lengths):
    parts = [Comoments.of(np.full((1, 2, length), value)) for length in lengths]
    found = reduce(Comoments.merged, parts)
    assert np.all(found.mean == value)
    assert np.all(found.products == 0)


def test_products_are_symmetric_and_of_a_constant_are_0():
    values = VALUES.copy()
    values[:, 1] = 0.3
    found = joined(values, cuts=[100])
    assert np.array_equal(found.products, found.products.swapaxes(1, 2))
    assert np.all(found.products[:, 1] == 0)


def test_a_batch_is_left_as_it_was():
    values = VALUES.copy()
    joined(values, COUNTED, [7])
    assert np.array_equal(values, VALUES)
