"""What remains of an error is found where something does; where nothing does, nothing is told."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from runs import built
from scipy.integrate import quad
from scipy.stats import beta
from test_convergence import Memory

from sim.analysis.analyze import analyze
from sim.analysis.plateau import level, remains

SIZES = np.array([10.0, 18.0, 32.0, 56.0, 100.0, 178.0, 316.0, 562.0, 1000.0])
RNG = np.random.default_rng(11)


def drawn(values: np.ndarray, mcse: np.ndarray, seed: int = 1):
    """Values with errors that sizes share in part, and replicates with the same."""
    rng = np.random.default_rng(seed)
    number = len(values)
    mix = np.linalg.cholesky(0.5 * np.eye(number) + 0.5)
    shocks = rng.standard_normal((201, number)) @ mix.T * mcse
    return values + shocks[0], mcse, values + shocks[0] + shocks[1:]


def shown(bias, sd, share: float = 0.01, seed: int = 1):
    rmse = np.sqrt(bias**2 + sd**2)
    return {
        name: drawn(values, share * np.abs(values), seed + place)
        for place, (name, values) in enumerate({"bias": bias, "sd": sd, "rmse": rmse}.items())
    }


@pytest.mark.parametrize("limit", [0.05, -0.05, 0.0])
@pytest.mark.parametrize("terms", [(0.5,), (0.5, 2.0), (0.5, -2.0, 20.0)])
def test_a_law_of_its_form_is_found_exactly(limit, terms):
    values = limit + sum(c / SIZES**power for power, c in enumerate(terms, start=1))
    mcse = np.full(len(SIZES), 1e-3)
    noise = RNG.standard_normal((200, len(SIZES))) * mcse
    found = level(SIZES, values, mcse, values + noise)
    assert found.value == pytest.approx(limit, abs=1e-12)
    assert found.replicates.mean() == pytest.approx(limit, abs=5 * found.error / sqrt(200))


def test_small_sizes_that_do_not_fit_take_no_part():
    values = 0.05 + 0.5 / SIZES
    values[:2] += 0.3
    mcse = np.full(len(SIZES), 1e-3)
    found = level(SIZES, *drawn(values, mcse))
    assert abs(found.value - 0.05) < 4 * found.error
    assert found.error < 0.01


def test_where_nothing_fits_there_is_no_limit():
    values = 0.05 * (-1.0) ** np.arange(len(SIZES))
    assert level(SIZES, *drawn(values, np.full(len(SIZES), 1e-4))) is None


@pytest.mark.parametrize("number", [1, 2])
def test_two_sizes_are_too_few(number):
    values = np.full(number, 0.05)
    assert level(SIZES[:number], *drawn(values, np.full(number, 1e-3))) is None


def test_three_sizes_are_enough():
    sizes = SIZES[-3:]
    found = level(sizes, *drawn(0.05 + 0.5 / sizes, np.full(3, 1e-4)))
    assert abs(found.value - 0.05) < 4 * found.error


def test_a_size_without_an_error_takes_no_part():
    values, mcse, replicates = drawn(0.05 + 0.5 / SIZES, np.full(len(SIZES), 1e-3))
    kept = np.arange(len(SIZES)) != 4
    mcse[4] = np.nan
    found = level(SIZES, values, mcse, replicates)
    same = level(SIZES[kept], values[kept], mcse[kept], replicates[:, kept])
    assert found.value == same.value


def test_the_rmse_goes_to_what_bias_and_sd_leave():
    found = remains(SIZES, shown(0.05 + 0.5 / SIZES, np.sqrt(0.03**2 + 0.1 / SIZES), 0.003))
    assert abs(found.limits["bias"].limit - 0.05) < 4 * found.limits["bias"].limit_se
    assert abs(found.limits["sd"].limit - 0.03) < 4 * found.limits["sd"].limit_se
    assert (
        abs(found.limits["rmse"].limit - sqrt(0.05**2 + 0.03**2))
        < 4 * found.limits["rmse"].limit_se
    )


def test_a_bias_that_remains_leaves_the_sd_to_fall():
    found = remains(SIZES, shown(0.05 + 0.5 / SIZES, sqrt(0.1) / np.sqrt(SIZES), 0.003))
    assert found.limits["bias"].told
    assert found.limits["rmse"].told
    assert not found.limits["sd"].told


def test_what_falls_to_0_leaves_nothing_but_by_chance():
    told = 0
    for seed in range(300):
        found = remains(SIZES, shown(0.5 / SIZES, 0.7 / SIZES, 0.03, seed=10 * seed))
        told += any(one.told for one in found.limits.values())
    assert told <= 3


def test_what_was_still_falling_at_the_largest_size_is_not_called_a_limit():
    # the limit is a quarter of the last value: seen, but far away
    far = remains(SIZES, shown(0.05 + 150 / SIZES, 0.5 / SIZES, 1e-5))
    found = level(SIZES, *shown(0.05 + 150 / SIZES, 0.5 / SIZES, 1e-5)["bias"])
    assert abs(found.value - 0.05) < 4 * found.error < 0.01
    assert not far.limits["bias"].told
    assert far.left == pytest.approx(0.05, rel=0.1)


def test_a_square_root_of_n_is_not_taken_for_a_plateau():
    # a fit in powers of 1/n leaves something of n^(−1/2) for ever
    for seed in range(20):
        found = remains(SIZES, shown(0.5 / np.sqrt(SIZES), 0.7 / SIZES, 0.002, seed=10 * seed))
        assert not any(one.told for one in found.limits.values())


def study(**bags):
    known = built(
        {"name": "plateau", "seed": 3, "trials": 4000, "sizes": [20, 50, 100, 200, 500, 1000]},
        bags=bags,
    )
    rows = analyze(known, Memory.of(known)).convergence.to_pylist()
    return {(one["bag"], one["quantity"]): one for one in rows}


def kl(p: float) -> float:
    return p * np.log(p / 0.4) + (1 - p) * np.log((1 - p) / 0.6)


BALLS = {"red": 10, "blue": 15}


def test_a_mislabelled_bag_goes_to_the_divergence_of_what_is_read():
    confusion = {"red": {"red": 0.9, "blue": 0.1}, "blue": {"red": 0.2, "blue": 0.8}}
    found = study(bag={"kind": "mislabelled", "balls": BALLS, "confusion": confusion})
    for quantity in ("bias", "rmse"):
        one = found["bag", quantity]
        # 0.4·0.9 + 0.6·0.2 of what is read is red
        assert abs(one["limit"] - kl(0.48)) < 4 * one["limit_se"] < 0.002
        assert one["size_reason"] == "never: an error of 0.013 remains however many draws"
    assert found["bag", "sd"]["limit"] is None


def test_polyas_bag_goes_to_the_divergence_of_a_random_limit():
    found = study(bag={"kind": "polya", "balls": BALLS, "added": 1})
    mean, square = (
        quad(lambda p, power=power: kl(p) ** power * beta.pdf(p, 10, 15), 0, 1)[0]
        for power in (1, 2)
    )
    exact = {"bias": mean, "sd": sqrt(square - mean**2), "rmse": sqrt(square)}
    for quantity, value in exact.items():
        one = found["bag", quantity]
        assert abs(one["limit"] - value) < 4 * one["limit_se"] < value / 3, quantity
        assert one["size_for_error"] is None


def test_bags_that_converge_or_end_have_no_limit():
    found = study(
        back={"kind": "with_replacement", "balls": BALLS},
        sticky={"kind": "sticky", "balls": BALLS, "stay": 0.5},
        drifting={
            "kind": "drifting",
            "balls": BALLS,
            "later": {"red": 15, "blue": 10},
            "span": 100,
        },
        out={"kind": "without_replacement", "balls": BALLS, "sizes": [5, 10, 15, 20]},
    )
    assert {one["limit"] for one in found.values()} == {None}
