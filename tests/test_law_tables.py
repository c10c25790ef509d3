"""Laws by table: against every path and outcome, against mpmath, and where they end."""

from __future__ import annotations

from itertools import pairwise, product
from math import comb, fsum

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from members import multinomial, outcomes
from scipy.special import gammaln
from scipy.stats import nbinom

from sim.contracts.arrays import Reference
from sim.contracts.estimator import ESTIMATORS
from sim.divergences import KL
from sim.exact import exact
from sim.laws import JointLaw, Multinomial, binomial_pmf
from sim.laws.pmf import poisson_totals
from sim.laws.tables import (
    MOST_ENTRIES,
    dirichlet_multinomial,
    multinomial_mixture,
    poisson_binomial,
    sticky_counts,
)

steady = settings(deadline=None, derandomize=True, max_examples=40)
PLUG_IN = ESTIMATORS.build({"kind": "plug_in"})
P2, P3 = [0.4, 0.6], [0.2, 0.7, 0.1]


@pytest.fixture(autouse=True, scope="module")
def exact_arithmetic():
    """Count in 40 digits."""
    with mp.workdps(40):
        yield


def table(law):
    """Return P(count = 0 … n) of each colour; shape (K, n + 1)."""
    colour, count = np.indices((law.colours, law.size + 1))
    return law.pmf(colour, count)


def drifted(n, *ends):
    """Return compositions that move from one end to the other; shape (n, K)."""
    share = np.linspace(0, 1, n)[:, np.newaxis]
    return (1 - share) * np.array(ends[0]) + share * np.array(ends[1])


LAWS = {
    "urn": dirichlet_multinomial(30, np.array([10.0, 15.0])),
    "urn of a colour without balls": dirichlet_multinomial(30, np.array([2.0, 0.0, 0.5])),
    "urn of one colour": dirichlet_multinomial(30, np.array([3.0])),
    "urn of one draw": dirichlet_multinomial(1, np.array([1.0, 2.0, 3.0])),
    "a large urn": dirichlet_multinomial(20_000, np.array([0.3, 2.0, 50.0])),
    "sticky": sticky_counts(30, np.array(P3), 0.5),
    "sticky draws of one colour": sticky_counts(30, np.array([1.0]), 0.5),
    "one sticky draw": sticky_counts(1, np.array(P3), 0.5),
    "very sticky": sticky_counts(5_000, np.array(P2), 0.999),
    "drifting": poisson_binomial(drifted(30, P3, P3[::-1])),
    "drifting from nothing to all": poisson_binomial(drifted(200, [0.0, 1.0], [1.0, 0.0])),
    "one drifting draw": poisson_binomial(drifted(1, P3, P3)),
    "a long drift": poisson_binomial(drifted(20_000, P2, P2[::-1])),
    "mixture": multinomial_mixture(30, np.array([0.3, 0.7]), np.array([P3, [0.0, 0.5, 0.5]])),
}
laws = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)


@laws
def test_probabilities_sum_to_one(law):
    rows = table(law)
    assert rows.min() >= 0
    assert rows.sum(axis=1) == pytest.approx(np.ones(law.colours), abs=2e-12)


@laws
def test_the_mean_counts_sum_to_the_size(law):
    assert (table(law) @ np.arange(law.size + 1)).sum() == pytest.approx(law.size, rel=1e-11)


@laws
def test_a_window_holds_all_that_has_a_chance(law):
    low, high = law.window()
    for row, first, last in zip(table(law), low, high, strict=True):
        assert row[first] > 0
        assert row[last] > 0
        assert row[:first].sum() + row[last + 1 :].sum() < 1e-25


@pytest.mark.parametrize("n", [2, 6, 12, 20, 100])
@pytest.mark.parametrize("kind", ["urn", "sticky", "drifting", "mixture"])
def test_a_colour_without_balls_is_never_drawn_and_the_only_one_always(kind, n):
    p = np.array([0.0, 0.3, 0.7])
    never = {
        "urn": lambda p: dirichlet_multinomial(n, p),
        "sticky": lambda p: sticky_counts(n, p, 0.37),
        "drifting": lambda p: poisson_binomial(drifted(n, p, p)),
        "mixture": lambda p: multinomial_mixture(n, np.array([1.0]), p[np.newaxis]),
    }[kind]
    low, high = never(p).window()
    assert (low[0], high[0]) == (0, 0)
    low, high = never(np.array([0.0, 1.0])).window()
    assert (low.tolist(), high.tolist()) == ([0, n], [0, n])


# beta-binomial: Pólya's urn


@pytest.mark.parametrize("n", [1, 2, 7, 60, 800])
@pytest.mark.parametrize(
    "shapes", [[10, 15], [0.01, 0.5, 3], [1e-6, 1], [1e6, 2e6, 5], [1, 1], [0.1] * 4], ids=str
)
def test_urn_probabilities_agree_with_mpmath(n, shapes):
    law = dirichlet_multinomial(n, np.array(shapes, dtype=float))
    total = mp.fsum(mp.mpf(float(a)) for a in shapes)
    places = np.unique(np.linspace(0, n, 15).round().astype(int))
    for colour, own in enumerate(shapes):
        a, b = mp.mpf(float(own)), total - mp.mpf(float(own))
        found = law.pmf(np.full_like(places, colour), places)
        for x, value in zip(places.tolist(), found, strict=True):
            true = mp.binomial(n, x) * mp.beta(x + a, n - x + b) / mp.beta(a, b)
            assert float(value) == pytest.approx(float(true), rel=1e-10, abs=1e-28)


def urn_chances(ways, shapes):
    """Return the chance of each outcome of Pólya's urn, from its textbook formula."""
    n, total = ways.sum(axis=1), shapes.sum()
    logs = gammaln(n + 1) + gammaln(total) - gammaln(n + total)
    parts = gammaln(ways + shapes) - gammaln(shapes) - gammaln(ways + 1)
    return np.exp(logs + parts.sum(axis=1))


@pytest.mark.parametrize("n", [1, 2, 5, 12, 20])
@pytest.mark.parametrize(
    "shapes", [[10, 15, 5], [0.2, 0.5, 3], [1, 1, 1, 1], [4, 2, 0.1, 7]], ids=str
)
def test_exact_mean_and_sd_of_an_urn_are_those_of_all_outcomes(n, shapes):
    shapes = np.array(shapes, dtype=float)
    ways = outcomes(n, len(shapes))
    chances = urn_chances(ways, shapes)
    assert chances.sum() == pytest.approx(1, abs=1e-11)
    law = dirichlet_multinomial(n, shapes)
    assert isinstance(law, JointLaw)
    for q in (shapes / shapes.sum(), np.full(len(shapes), 1 / len(shapes))):
        values = PLUG_IN.estimate(ways, Reference.known(q), KL)
        mean = chances @ values
        found = exact(law, PLUG_IN, Reference.known(q), KL)
        assert found.mean == pytest.approx(mean, rel=1e-10, abs=1e-13)
        sd = np.sqrt(chances @ (values - mean) ** 2)
        if sd > 1e-9:
            assert found.sd == pytest.approx(sd, rel=1e-7)
        else:  # nothing varies: rounding may hide that
            assert found.sd is None or found.sd < 1e-9
        assert found.p_infinite == 0


@pytest.mark.parametrize("shapes", [[10, 15, 5], [0.2, 0.5, 3], [0.0, 1, 1]], ids=str)
def test_the_counts_behind_an_urn_are_negative_binomial_and_cut_off_at_the_size(shapes):
    n, shapes = 25, np.array(shapes, dtype=float)
    law = dirichlet_multinomial(n, shapes)
    colour, count = np.indices((3, n + 1))
    share = shapes.sum() / (n + shapes.sum())
    for own, found in zip(shapes, law.free_pmf(colour, count), strict=True):
        true = nbinom.pmf(np.arange(n + 1), own, share) if own else np.eye(n + 1)[0]
        assert found == pytest.approx(true, rel=1e-11)
    alive = shapes[shapes > 0]
    assert law.free_variance() == pytest.approx(nbinom.var(alive, share).sum(), rel=1e-12)
    assert [end.tolist() for end in law.free_window()] == [[0] * 3, [n] * 3]


def test_the_chance_of_infinity_of_an_urn_is_that_of_all_outcomes():
    shapes, n = np.array([1.0, 2.0, 0.5]), 6
    q = np.array([0.5, 0.5, 0.0])
    ways = outcomes(n, 3)
    chances = urn_chances(ways, shapes)
    never = ways[:, 2] == 0
    found = exact(dirichlet_multinomial(n, shapes), PLUG_IN, Reference.known(q), KL)
    assert found.p_infinite == pytest.approx(chances[~never].sum(), rel=1e-10)
    values = PLUG_IN.estimate(ways[never], Reference.known(q), KL)
    weights = chances[never] / chances[never].sum()
    assert found.mean == pytest.approx(weights @ values, rel=1e-10)
    sd = np.sqrt(weights @ (values - weights @ values) ** 2)
    assert found.sd == pytest.approx(sd, rel=1e-7)


# sticky draws


def by_paths(n, p, stay):
    """Return P(count) of each colour, summed over every path of n sticky draws."""
    parts = [[[] for _ in range(n + 1)] for _ in p]
    for path in product(range(len(p)), repeat=n):
        chance = p[path[0]]
        for before, now in pairwise(path):
            chance *= stay * (before == now) + (1 - stay) * p[now]
        for colour, row in enumerate(parts):
            row[path.count(colour)].append(chance)
    return np.array([[fsum(part) for part in row] for row in parts])


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("p", [P2, P3, [0.25, 0.25, 0.5]], ids=str)
@pytest.mark.parametrize("stay", [0.0, 0.3, 0.95])
def test_sticky_counts_have_the_law_of_all_paths(n, p, stay):
    law = sticky_counts(n, np.array(p), stay)
    assert table(law) == pytest.approx(by_paths(n, p, stay), abs=2e-15)


@pytest.mark.parametrize("n", [10, 1_000, 100_000])
@pytest.mark.parametrize("stay", [0.0, 0.5, 0.99])
def test_sticky_counts_vary_as_the_effective_sample_size_says(n, stay):
    p, h = np.array(P3), np.arange(1, n)
    rows, count = table(sticky_counts(n, p, stay)), np.arange(n + 1)
    means = rows @ count
    assert means == pytest.approx(n * p, rel=1e-10)
    variance = [row @ (count - mean) ** 2 for row, mean in zip(rows, means, strict=True)]
    # Cov of two draws h apart is p(1 − p) stay^h
    inflation = 1 + 2 * ((1 - h / n) * stay**h).sum()
    assert variance == pytest.approx(n * p * (1 - p) * inflation, rel=1e-7)
    if n == 100_000:
        assert inflation == pytest.approx((1 + stay) / (1 - stay), rel=2e-3)


def test_draws_that_do_not_stick_are_binomial():
    found = table(sticky_counts(40, np.array(P2), 0.0))[0]
    true = [comb(40, x) * 0.4**x * 0.6 ** (40 - x) for x in range(41)]
    assert found == pytest.approx(true, abs=1e-15)


@pytest.mark.parametrize("n", [100, 1_000, 100_000])
@pytest.mark.parametrize("p", [P2, P3, [1e-4, 1 - 1e-4]], ids=str)
def test_exact_means_of_draws_that_do_not_stick_are_those_of_independent_ones(p, n):
    q = Reference.known(np.array(p))
    sticky = exact(sticky_counts(n, np.array(p), 0.0), PLUG_IN, q, KL)
    independent = exact(Multinomial(n, np.array(p)), PLUG_IN, q, KL)
    assert sticky.mean == pytest.approx(independent.mean, rel=1e-8, abs=0)


# independent draws from compositions that change


@pytest.mark.parametrize("n", [1, 2, 5, 7])
def test_changing_draws_have_the_law_of_all_paths(n):
    p = np.random.default_rng(n).dirichlet([1, 1, 1], n)
    chances = np.zeros((3, n + 1))
    for path in product(range(3), repeat=n):
        chance = np.prod(p[np.arange(n), path])
        chances[np.arange(3), np.bincount(path, minlength=3)] += chance
    assert table(poisson_binomial(p)) == pytest.approx(chances, rel=1e-13)


@pytest.mark.parametrize("n", [63, 64, 65, 128, 300])
def test_changing_draws_agree_with_mpmath(n):
    p = np.random.default_rng(n).random(n)
    true = [mp.mpf(1)]
    for share in p.tolist():
        new = [mp.mpf(0)] * (len(true) + 1)
        for count, chance in enumerate(true):
            new[count] += chance * (1 - mp.mpf(share))
            new[count + 1] += chance * mp.mpf(share)
        true = new
    found = table(poisson_binomial(np.stack([p, 1 - p], axis=1)))
    exactly = np.array([float(x) for x in true])
    # what is below 1e-30 is cut off wherever halves are folded
    assert found[0] == pytest.approx(exactly, rel=1e-12, abs=1e-26)
    assert found[1] == pytest.approx(exactly[::-1], rel=1e-12, abs=1e-26)


@steady
@given(st.lists(st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1)), min_size=1, max_size=150))
def test_changing_draws_have_mean_and_variance_of_independent_ones(shares):
    p = np.array(shares)
    law = poisson_binomial(np.stack([p, 1 - p], axis=1))
    count = np.arange(len(p) + 1)
    row = table(law)[0]
    assert row.sum() == pytest.approx(1, abs=1e-12)
    assert row @ count == pytest.approx(p.sum(), rel=1e-11, abs=1e-14)
    assert row @ (count - p.sum()) ** 2 == pytest.approx((p * (1 - p)).sum(), rel=1e-9, abs=1e-12)
    low, high = law.window()
    assert low[0] >= (p == 1).sum()
    assert high[0] <= (p > 0).sum()


# mixtures


def test_a_mixture_has_the_law_of_all_its_outcomes():
    weights, rows, n = np.array([0.2, 0.5, 0.3]), np.array([P3, P3[::-1], [0.0, 0.0, 1.0]]), 6
    ways = outcomes(n, 3)
    whole = sum(w * multinomial(ways, p) for w, p in zip(weights, rows, strict=True))
    chances = np.zeros((3, n + 1))
    for way, chance in zip(ways, whole, strict=True):
        chances[np.arange(3), way] += chance
    assert table(multinomial_mixture(n, weights, rows)) == pytest.approx(chances, abs=1e-15)


def test_a_mixture_of_one_is_binomial():
    found = table(multinomial_mixture(50, np.array([1.0]), np.array([P3])))
    for row, p in zip(found, P3, strict=True):
        true = binomial_pmf(np.arange(51.0), np.asarray(50.0), np.float64(p), np.float64(1 - p))
        assert np.array_equal(row, true)


def test_an_urn_is_a_mixture_over_its_dirichlet_compositions():
    """With two balls of one added each: n + 1 counts alike, as of a uniform share."""
    found = table(dirichlet_multinomial(9, np.array([1.0, 1.0])))
    assert found == pytest.approx(np.full((2, 10), 0.1), rel=1e-13)


# where a table ends


def test_a_table_is_left_out_where_it_would_be_too_large():
    n = 99
    most = MOST_ENTRIES // (n + 1)
    shapes = np.arange(1.0, most + 2)
    assert dirichlet_multinomial(n, shapes) is None
    assert sticky_counts(n, shapes / shapes.sum(), 0.5) is None
    row = (shapes / shapes.sum())[np.newaxis]
    assert multinomial_mixture(n, np.array([1.0]), row) is None
    assert poisson_binomial(np.tile(row, (n, 1))) is None


def test_a_table_just_small_enough_is_made():
    n = 99
    law = dirichlet_multinomial(n, np.arange(1.0, MOST_ENTRIES // (n + 1) + 1))
    assert law.rows.size == MOST_ENTRIES
    assert law.rows.sum(axis=1) == pytest.approx(np.ones(len(law.rows)), abs=1e-11)


def test_colours_alike_share_one_row_of_a_table():
    p = np.full(100_000, 1e-5)
    laws = (
        dirichlet_multinomial(50, p),
        sticky_counts(50, p, 0.5),
        multinomial_mixture(50, np.array([0.5, 0.5]), np.stack([p, p])),
        poisson_binomial(np.tile(p[:1_000], (50, 1))),
    )
    for law in laws:
        assert law.rows.shape == (1, 51)
        assert law.window()[0].shape == (law.colours,)


# sums of Poisson probabilities


@pytest.mark.parametrize("means", [[0.0], [1e-9, 0.5, 3.0], [0.0, 700.0], [40.0] * 3], ids=str)
def test_poisson_totals_agree_with_mpmath(means):
    found = poisson_totals(np.array(means))
    for count in np.unique(np.linspace(0, len(found) - 1, 40).round().astype(int)).tolist():
        true = mp.fsum(mp.exp(-mp.mpf(m)) * mp.mpf(m) ** count / mp.factorial(count) for m in means)
        assert float(found[count]) == pytest.approx(float(true), rel=1e-12, abs=1e-290)


def test_poisson_totals_lose_nothing_however_many_means_there_are():
    means = np.linspace(0, 300, 20_001)
    found = poisson_totals(means)
    assert found.sum() == pytest.approx(len(means), rel=1e-12)
    assert found @ np.arange(len(found)) == pytest.approx(means.sum(), rel=1e-12)
    halves = poisson_totals(means[:7_000]), poisson_totals(means[7_000:])
    together = np.zeros(len(found))
    for half in halves:
        together[: len(half)] += half
    assert found == pytest.approx(together, rel=1e-11, abs=1e-20)
