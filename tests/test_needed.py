"""The size for a tolerance: exact where the law is, with open ends and reasons where it is not."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, log

import numpy as np
import pytest
from runs import built
from test_convergence import Memory

from sim.analysis.analyze import analyze
from sim.analysis.needed import Errors, Need, needed, settled
from sim.analysis.plateau import NOTHING, Limit, Remains
from sim.contracts.arrays import Reference
from sim.contracts.bag import BAGS
from sim.contracts.estimator import ESTIMATORS
from sim.divergences import KL
from sim.exact import distribution

SIZES = np.array([10.0, 30.0, 100.0, 300.0, 1000.0])
NAN, INF = float("nan"), float("inf")
NONE = NOTHING


def errors(quantiles, *, wide=0.0, sizes=SIZES, rate=-1.0, noise=0.0) -> Errors:
    """The quantiles of errors with ends so far off, beside an rmse of c·n^rate."""
    middle = np.asarray(quantiles, dtype=float)
    ends = np.stack([middle, middle * np.exp(-wide), middle * np.exp(wide)])
    rmse = 0.5 * sizes**rate
    shocks = np.random.default_rng(3).standard_normal((200, len(sizes)))
    return Errors(sizes, ends, rmse, 0.01 * rmse, rmse * np.exp(noise * shocks), 0.95)


def left(limit: float, limit_se: float) -> Remains:
    none = Limit()
    return Remains({"bias": none, "sd": none, "rmse": Limit(limit, limit_se)}, limit)


def law(rate: float, constant: float = 1.0) -> np.ndarray:
    return constant * SIZES**rate


@pytest.mark.parametrize("rate", [-1.0, -0.5, -2.0])
@pytest.mark.parametrize("size", [11, 30, 77, 299.5, 1000])
def test_inside_the_sizes_a_power_law_is_found_exactly(rate, size):
    found = needed(errors(law(rate)), size**rate, NONE, None)
    assert found == Need(*[ceil(size - 1e-9)] * 3, False, None)


@pytest.mark.parametrize("rate", [-1.0, -0.5])
@pytest.mark.parametrize("size", [1001, 5000, 10**9])
def test_beyond_the_sizes_it_goes_on_as_the_rmse_does(rate, size):
    found = needed(errors(law(rate), rate=rate), size**rate, NONE, None)
    assert found.extrapolated
    assert found.size_for_error == pytest.approx(size, rel=1e-6, abs=1)


def test_it_is_the_last_size_that_counts_and_not_the_first():
    found = needed(errors([0.2, 0.01, 0.2, 0.05, 0.02]), 0.1, NONE, None)
    assert 100 < found.size_for_error < 300


def test_the_interval_is_where_the_ends_pass():
    found = needed(errors(law(-1.0), wide=0.1), 1 / 300, NONE, None)
    # at a size of the grid the whole width counts, and one size on either side a little less
    assert found.size_for_error == 300
    assert found.size_for_error_low == pytest.approx(300 * np.exp(-0.1), rel=0.02)
    assert found.size_for_error_high == pytest.approx(300 * np.exp(0.1), rel=0.02)


def test_far_beyond_the_sizes_the_interval_is_that_of_the_rate():
    near, far = (
        needed(errors(law(-1.0), wide=0.02, noise=0.01), 1 / size, NONE, None)
        for size in (2000, 2_000_000)
    )
    spread = [one.size_for_error_high / one.size_for_error_low for one in (near, far)]
    assert 1.02 < spread[0] < 1.2 < spread[1]


def test_what_holds_everywhere_holds_at_the_smallest_size():
    reason = "holds already at the smallest size"
    assert needed(errors(law(-1.0)), 1.0, NONE, None) == Need(10, None, 10, False, reason)
    unsure = needed(errors(law(-1.0), wide=0.5), 0.11, NONE, None)
    assert (unsure.size_for_error, unsure.size_for_error_low) == (10, None)
    assert 10 < unsure.size_for_error_high < 20


def test_an_end_below_the_smallest_size_is_left_open():
    found = needed(errors(law(-1.0), wide=1.0), 0.08, NONE, None)
    assert found.size_for_error == 13
    assert found.size_for_error_low is None


@pytest.mark.parametrize(
    ("given", "most", "remains", "end", "reason"),
    [
        (
            errors([NAN] * 5),
            0.1,
            NONE,
            None,
            "no size has an error: the true value is infinite, or",
        ),
        (
            errors(law(-0.5), rate=-0.5),
            1e-9,
            NONE,
            None,
            "beyond 10^15 draws, if the error falls that far at all",
        ),
        (errors(law(-0.5, 5.0)), 0.1, NONE, 1000, "not up to 1,000 draws, all that this bag gives"),
        (
            errors(law(-0.5, 5.0)),
            *(0.1, NONE, 5000),
            "not up to 1,000 draws, and 5,000 are all that this bag gives",
        ),
        (errors([INF] * 5), 0.1, NONE, None, "too many estimates are infinite"),
        (errors([0.3] * 5), 0.1, left(0.3, 0.01), None, "never: an error of 0.3 remains"),
        (errors([0.3] * 5), 0.1, left(0.11, 0.01), None, "an error of 0.11 remains"),
        (
            errors([0.3] * 5, rate=0.0, noise=0.01),
            0.1,
            NONE,
            None,
            "not up to 1,000 draws, and the error is not",
        ),
        (
            errors([0.3] * 5),
            0.1,
            Remains(NOTHING.limits, 0.11),
            None,
            "still falling, as it seems to",
        ),
        (errors(law(-0.5)[:2], sizes=SIZES[:2]), 0.1, NONE, None, "not up to 30 draws, and no fit"),
    ],
)
def test_where_no_size_is_told_the_reason_is(given, most, remains, end, reason):
    found = needed(given, most, remains, end)
    assert found.size_reason.startswith(reason)
    assert (found.size_for_error, found.size_for_error_high, found.extrapolated) == (None,) * 3


def test_what_is_seen_to_remain_but_is_small_enough_leaves_the_law_to_say():
    small = Remains(NOTHING.limits, 0.01)
    assert needed(errors(law(-1.0)), 0.0002, NONE, None).extrapolated
    given = errors(law(-0.5), rate=-0.5)
    assert needed(given, 0.02, small, None) == needed(given, 0.02, NONE, None)


def test_at_the_end_of_a_bag_no_error_is_left():
    found = needed(errors([0.3, 0.2, 0.15, 0.11, 0.0]), 0.1, NONE, 1000)
    assert (found.size_for_error, found.extrapolated) == (1000, False)


def test_more_than_the_share_of_infinite_estimates_is_too_large_an_error():
    found = needed(errors([INF, INF, 0.01, 0.005, 0.002]), 0.1, NONE, None)
    assert found.size_for_error == 100


# --- two colours: a sawtooth ---------------------------------------------------------------


def exact_quantiles(sizes) -> np.ndarray:
    bag = BAGS.build({"kind": "with_replacement", "balls": {"red": 2, "blue": 3}})
    estimator = ESTIMATORS.build({"kind": "plug_in"})
    known = Reference.known(np.array([0.4, 0.6]))
    return np.array(
        [distribution(bag.count_law(n), estimator, known, KL).quantile(0.95) for n in sizes]
    )


def test_of_the_exact_sawtooth_of_two_colours_it_is_201():
    sizes = np.arange(150.0, 260)
    within = exact_quantiles(range(150, 260)) <= 0.01
    # first at 190, not at 200, and from 201 on always
    assert sizes[within][0] == 190
    assert not within[50]
    assert within[51:].all()
    found = needed(errors(exact_quantiles(range(150, 260)), sizes=sizes), 0.01, NONE, None)
    assert found == Need(201, 201, 201, False, None)


def test_a_run_says_201_whatever_its_sizes_and_its_trials():
    bag = {"kind": "with_replacement", "balls": {"red": 2, "blue": 3}}
    for trials, sizes in [
        (8000, [150, 185, 190, 200, 201, 230]),  # around it
        (200, [178, 316, 562]),  # far apart
        (200, [10, 50, 100]),  # all below
        (200, [1000, 2000]),  # all beyond
    ]:
        plain = {"name": "sawtooth", "seed": 5, "trials": trials, "sizes": sizes}
        known = built(plain, bags={"bag": bag})
        found = analyze(known, Memory.of(known))
        for one in found.summary.to_pylist():
            assert abs(one["p_within"] - one["exact_p_within"]) < 4 * one["p_within_mcse"]
            assert (one["exact_p_within"] >= 0.95) == (one["size"] == 190 or one["size"] > 200)
        one = found.convergence.to_pylist()[0]
        assert {name: one[name] for name in vars(Need())} == vars(Need.exactly(201))


def test_all_three_quantities_of_a_line_have_the_same_size():
    bag = {"kind": "with_replacement", "balls": {"red": 2, "blue": 3, "green": 4}}
    known = built(
        {"name": "same", "seed": 5, "trials": 1000, "sizes": [20, 50, 150]},
        bags={"bag": bag},
        tolerance={"error": 0.005, "confidence": 0.9},
    )
    rows = analyze(known, Memory.of(known)).convergence.to_pylist()
    assert len({one["size_for_error"] for one in rows}) == 1
    # 2n·KL against itself goes to chi-square with two degrees: 4.6052/(2·0.005) = 460.5
    assert rows[0]["extrapolated"]
    assert rows[0]["size_for_error_low"] < 461 < rows[0]["size_for_error_high"]
    assert log(rows[0]["size_for_error_high"] / rows[0]["size_for_error_low"]) < 0.5


def test_what_is_exactly_known_of_a_size_bounds_the_quantile_of_its_trials():
    given = errors(law(-0.5), wide=0.4).quantiles
    chances = [NAN, 0.90, 0.94, 0.96, 0.95]
    low, high = 0.05, 0.2
    tight, loose = (settled(given, chances, (most, 0.95)) for most in (low, high))
    assert (tight[:, 1:3] > low).all()
    assert (tight[:, 3:] <= low).all()
    assert (loose[:, 1:3] > high).all()
    assert (loose[:, 3:] <= high).all()
    assert (tight[:, 0] == given[:, 0]).all()


def test_a_largest_size_that_exactly_fails_is_not_enough_whatever_its_trials_say():
    given = errors(law(-1.0), wide=0.1)
    within = needed(given, 0.0011, NONE, None)
    assert not within.extrapolated
    fails = np.full(len(SIZES), 0.9)
    known = replace(given, quantiles=settled(given.quantiles, fails, (0.0011, 0.95)), lattice=True)
    found = needed(known, 0.0011, NONE, None)
    assert found.extrapolated
    assert found.size_for_error_high >= found.size_for_error > 1000


def test_with_no_exact_size_the_ends_are_sizes_that_are_known_to_fail_and_to_hold():
    given = errors(law(-1.0), wide=0.6)
    chances = [0.5, 0.9, 0.94, 0.96, 0.99]
    known = replace(given, quantiles=settled(given.quantiles, chances, (0.005, 0.95)), lattice=True)
    found = needed(known, 0.005, NONE, None)
    assert (found.size_for_error_low, found.size_for_error_high) == (100, 300)
    assert 100 < found.size_for_error <= 300
