"""The interval of a quantile holds it at least as often as it says, whatever the law."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, comb

import numpy as np
import pytest
from members import multinomial, outcomes
from scipy.special import bdtr, bdtrc

from sim.analysis.ranks import LEVELS, interval_ranks, quantile_ranks
from sim.contracts.arrays import Reference
from sim.contracts.estimator import ESTIMATORS
from sim.divergences import divergence

TRIALS = [1, 2, 5, 10, 13, 14, 29, 58, 59, 72, 73, 100, 137]
INTERVAL_LEVELS = (0.5, 0.8, 0.95, 0.99, 0.999)


def below(total: int, p: Fraction) -> list[Fraction]:
    """Return P(B < rank) for rank 0 … total + 1, B binomial; by whole numbers."""
    terms = [comb(total, k) * p**k * (1 - p) ** (total - k) for k in range(total + 1)]
    sums = [Fraction(0)]
    for term in terms:
        sums.append(sums[-1] + term)
    return sums


@pytest.mark.parametrize("total", TRIALS)
def test_ranks_are_the_closest_whose_tails_are_small_enough(total):
    for place, p in enumerate(LEVELS):
        chance = below(total, Fraction(p))
        for level in INTERVAL_LEVELS:
            tail = Fraction((1 - level) / 2)
            lower = [rank for rank in range(1, total + 1) if chance[rank] <= tail]
            upper = [rank for rank in range(1, total + 1) if 1 - chance[rank] <= tail]
            expected = (max(lower, default=None), min(upper, default=None))
            assert interval_ranks(total, level)[place] == expected, (p, level)


@pytest.mark.parametrize("total", [10**3, 10**6, 10**9, 10**12])
def test_long_runs_have_ranks_about_two_errors_away(total):
    for p, rank, (low, high) in zip(
        LEVELS, quantile_ranks(total), interval_ranks(total, 0.95), strict=True
    ):
        spread = (total * p * (1 - p)) ** 0.5
        assert rank - low == pytest.approx(1.96 * spread, abs=1 + 0.01 * spread)
        assert high - rank == pytest.approx(1.96 * spread, abs=2 + 0.01 * spread)


@pytest.mark.parametrize("level", INTERVAL_LEVELS)
def test_the_quantile_lies_in_its_interval_and_more_level_makes_it_wider(level):
    wider = {total: interval_ranks(total, (1 + level) / 2) for total in range(1, 400)}
    for total, outer in wider.items():
        places = zip(quantile_ranks(total), interval_ranks(total, level), outer, strict=True)
        for rank, (low, high), (lower, higher) in places:
            assert (low or 0) <= rank <= (high or total)
            assert (lower or 0) <= (low or 0)
            assert (higher or total + 1) >= (high or total + 1)


def test_few_trials_have_no_interval_of_a_far_quantile():
    # at 5 %: 0.95^R ≤ 0.025 from R = 72 on; the median: 0.5^R ≤ 0.025 from R = 6 on
    assert interval_ranks(71, 0.95)[0][0] is None
    assert interval_ranks(72, 0.95)[0][0] == 1
    assert interval_ranks(71, 0.95)[4][1] is None
    assert interval_ranks(72, 0.95)[4][1] == 72
    assert interval_ranks(5, 0.95)[2] == (None, None)
    assert interval_ranks(6, 0.95)[2] == (1, 6)


def test_the_ranks_of_quantiles_are_the_least_that_reach_their_share():
    for total in range(1, 300):
        expected = [ceil(Fraction(share, 20) * total) for share in (1, 5, 10, 15, 19)]
        assert quantile_ranks(total) == expected


# --- coverage ------------------------------------------------------------------------------


def coverage(values: np.ndarray, weights: np.ndarray, total: int, level: float) -> list[float]:
    """Return for each of LEVELS the exact chance that the interval holds the quantile.

    x₍l₎ is beyond ξ where fewer than l values are at most ξ; x₍u₎ is below it where u or more are.
    """
    order = np.argsort(values)
    values, cdf = values[order], np.minimum(np.cumsum(weights[order]), 1.0)
    found = []
    for p, (low, high) in zip(LEVELS, interval_ranks(total, level), strict=True):
        xi = values[np.searchsorted(cdf, p - 1e-12)]
        at_most, less = (float(weights[order][side].sum()) for side in (values <= xi, values < xi))
        chance = 1.0
        if low is not None:
            chance -= bdtr(low - 1, total, min(at_most, 1.0))
        if high is not None:
            chance -= bdtrc(high - 1, total, less)
        found.append(chance)
    return found


def law(n: int, kind: str, q: float) -> tuple[np.ndarray, np.ndarray]:
    """Return every value of an estimate from n draws of two colours, and its chance."""
    counts = outcomes(n, 2)
    reference = Reference.known(np.array([q, 1 - q]))
    values = ESTIMATORS.build({"kind": kind}).estimate(counts, reference, divergence("kl"))
    return np.round(values, 12), multinomial(counts, np.array([0.4, 0.6]))


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("total", [10, 72, 137])
def test_coverage_is_at_least_the_level_for_laws_with_atoms(total, level):
    for n in (1, 2, 5, 10, 40):
        for kind, q in (("plug_in", 0.4), ("plug_in", 0.5), ("dirichlet_mean", 0.5)):
            assert min(coverage(*law(n, kind, q), total, level)) >= level - 1e-12, (n, kind, q)


def test_coverage_is_close_to_the_level_where_the_law_has_no_atoms():
    fine = np.arange(20_000.0), np.full(20_000, 1 / 20_000)
    found = coverage(*fine, 1000, 0.95)
    assert min(found) >= 0.95
    assert max(found) < 0.965


def test_coverage_is_what_comes_of_every_possible_sample():
    # three values, eight trials: all 45 ways in which they can come
    p, total = np.array([0.3, 0.45, 0.25]), 8
    ways = outcomes(total, 3)
    chances = multinomial(ways, p)
    for level in (0.5, 0.8):
        expected = []
        for wanted, (low, high) in zip(LEVELS, interval_ranks(total, level), strict=True):
            xi = int(np.searchsorted(np.cumsum(p), wanted))
            held = 0.0
            for way, chance in zip(ways, chances, strict=True):
                sample = np.repeat(np.arange(3), way)
                above = low is not None and sample[low - 1] > xi
                short = high is not None and sample[high - 1] < xi
                held += 0.0 if above or short else float(chance)
            expected.append(held)
        assert coverage(np.arange(3.0), p, total, level) == pytest.approx(expected, abs=1e-12)
        assert min(expected) >= level
