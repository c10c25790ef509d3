"""Multinomial counts: every way of drawing them has the law of numpy's, from exact tables."""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise
from math import sqrt

import numpy as np
import pytest
from fitting import fits, hits
from hypothesis import given, settings
from hypothesis import strategies as st
from members import multinomial, outcomes
from scipy import stats

from sim.multinomial import multinomial_tally, narrow_tally
from sim.multinomial.alias import BITS, MOST_BOXES, Boxes, boxes
from sim.multinomial.laws import binomial, poissons
from sim.multinomial.picks import Picks
from sim.multinomial.ways import Binomial, Choice, OneByOne, Poissons, Split, ways

SIGMAS = 4.5
WHOLE = 1 << BITS
GAPS = np.array([0.45, 0.25, 0.0, 0.15, 0.07, 0.05, 0.0, 0.03])
steady = settings(deadline=None, derandomize=True, max_examples=60)


def rng(seed=20_240_601):
    return np.random.Generator(np.random.SFC64(seed))


def zipf(colours):
    weights = 1 / np.arange(1, colours + 1)
    return weights / weights.sum()


def counted(p, sizes, trials, seed=20_240_601):
    """Return the counts at each size, shape (sizes, trials, K)."""
    return np.stack([counts.copy() for counts in multinomial_tally(p, sizes, trials, rng(seed))])


def added(way, trials, colours):
    counts = np.zeros((trials, colours), dtype=np.int32)
    way.add(counts, rng())
    return counts


# the law of every outcome

WAYS = {
    "numpy's": lambda: Choice(GAPS).split(5),
    "ball by ball": lambda: Choice(GAPS).one_by_one(5),
    "Poisson counts, some for many": lambda: Choice(GAPS).poissons(5, 0.5),
    "Poisson counts, mostly drawn anew": lambda: Choice(GAPS).poissons(5, 0.01),
    "Poisson counts, mostly too few": lambda: Choice(GAPS).poissons(5, 2.0),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_each_way_has_the_law_of_every_outcome(way):
    possible = outcomes(5, len(GAPS))
    counts = added(way(), 40_000, len(GAPS))
    assert fits(hits(counts, possible), multinomial(possible, GAPS))


def test_poisson_counts_without_rare_colours_have_the_law_of_every_outcome():
    p = np.array([0.2, 0.5, 0.3])
    way = Choice(p).poissons(8, 1.0)
    assert way.rare is None
    possible = outcomes(8, 3)
    assert fits(hits(added(way, 40_000, 3), possible), multinomial(possible, p))


@pytest.mark.parametrize("p", [[0.4, 0.6], [0.0, 0.97, 0.0, 0.03], [1e-3, 1 - 1e-3]], ids=str)
@pytest.mark.parametrize("m", [1, 7, 400])
def test_of_two_colours_the_first_is_binomial_and_the_second_what_is_left(p, m):
    p = np.array(p)
    first, second = np.flatnonzero(p)
    counts = added(Choice(p).binomial(m), 20_000, len(p))
    assert fits(np.bincount(counts[:, first], minlength=m + 1), binomial_pmf(m, p[first]))
    assert np.array_equal(counts[:, second], m - counts[:, first])
    assert counts.sum() == 20_000 * m


def binomial_pmf(n, p):
    return stats.binom.pmf(np.arange(n + 1), n, p)


@pytest.mark.parametrize("sizes", [(4,), (1, 2, 4), (1, 2, 3, 4)], ids=str)
def test_counts_of_several_increments_have_the_law_of_every_outcome(sizes):
    p = np.array([0.2, 0.5, 0.0, 0.3])
    possible = outcomes(4, 4)
    assert fits(hits(counted(p, sizes, 20_000)[-1], possible), multinomial(possible, p))


def test_each_trial_may_have_a_composition_of_its_own():
    rows = np.tile([[0.2, 0.8, 0.0], [0.6, 0.1, 0.3]], (10_000, 1))
    counts = counted(rows, (1, 5), 20_000)[-1]
    possible = outcomes(5, 3)
    for parity in (0, 1):
        assert fits(hits(counts[parity::2], possible), multinomial(possible, rows[parity]))


# means, variances, covariances of many colours

LARGE = {2: 20_000, 5: 20_000, 100: 4_000, 1000: 600, 10_000: 100}
SIZES = (20, 150, 1200, 30_000, 100_000)


@pytest.fixture(scope="module", params=LARGE, ids=lambda colours: f"{colours} colours")
def large(request):
    """Probabilities, and counts at all sizes."""
    p = np.array([0.4, 0.6]) if request.param == 2 else zipf(request.param)
    return p, counted(p, SIZES, LARGE[request.param])


def within(values, mean, sd):
    """Hold the mean of values against its own, in Monte Carlo errors."""
    assert abs(np.mean(values) - mean) <= SIGMAS * sd / sqrt(len(values))


def test_every_row_of_large_counts_sums_to_its_size_and_none_shrinks(large):
    _, counts = large
    assert all((c.sum(axis=1) == size).all() for c, size in zip(counts, SIZES, strict=True))
    assert (np.diff(counts, axis=0, prepend=0) >= 0).all()


def directions(p):
    """Return directions to look along, less their mean: one colour, the rare, and at random."""
    signs = np.random.default_rng(1).choice([-1.0, 1.0], size=(4, len(p)))
    rare = (np.cumsum(p) > 0.85).astype(float)
    every = np.array([np.arange(len(p)) == 0, rare, np.arange(len(p)) / len(p), *signs])
    every -= (every @ p)[:, np.newaxis]
    return every[every**2 @ p > 1e-9]  # of two colours, a sign for both says nothing


def test_large_counts_have_the_mean_and_variance_of_the_law_along_any_direction(large):
    p, counts = large
    for drawn, size in zip(counts.astype(float), SIZES, strict=True):
        for each in directions(p):
            variance, fourth = (each**2) @ p, (each**4) @ p
            along = drawn @ each
            within(along, 0.0, sqrt(size * variance))
            # Var(S²) of a sum of independent draws
            spread = 2 * (size * variance) ** 2 + size * (fourth - 3 * variance**2)
            within(along**2, size * variance, sqrt(spread))


def test_pearsons_statistic_of_large_counts_has_its_exact_mean(large):
    p, counts = large
    colours = len(p)
    for drawn, size in zip(counts, SIZES, strict=True):
        statistic = ((drawn - size * p) ** 2 / (size * p)).sum(axis=1)
        variance = 2 * (colours - 1) + (np.sum(1 / p) - colours**2 - 2 * colours + 2) / size
        within(statistic, colours - 1, sqrt(variance))


def test_neither_increments_nor_neighbouring_trials_know_each_other(large):
    p, counts = large
    increments = np.diff(counts, axis=0, prepend=0).astype(float)
    numbers = np.diff(SIZES, prepend=0)
    for each in directions(p):
        along = increments @ each / np.sqrt(numbers * (each**2 @ p))[:, np.newaxis]
        for one, other in pairwise(along):
            within(one * other, 0.0, 1.0)
        for one in along:
            within(one[1:] * one[:-1], 0.0, 1.0)


# colours that cannot be drawn


@pytest.mark.parametrize("m", [3, 40, 3_000, 10**6])
def test_a_colour_without_a_chance_is_never_drawn(m):
    p = zipf(200)
    p[::3] = 0
    p /= p.sum()
    counts = counted(p, (m, 2 * m), 300)
    assert not counts[:, :, ::3].any()
    assert (counts.sum(axis=2) == [[m], [2 * m]]).all()


@pytest.mark.parametrize("p", [[1.0], [0.0, 1.0], [0.0, 1.0, 0.0]], ids=str)
def test_one_colour_alone_takes_every_draw(p):
    assert counted(np.array(p), (3, 50), 4)[1].tolist() == [[50 * int(x) for x in p]] * 4


def test_a_colour_without_a_chance_does_not_get_what_rounding_leaves_over():
    p = np.array([0.1] * 10 + [0.0])
    n = 4 * 10**18
    # ten tenths are a little less than 1: numpy gives the rest to the last colour
    assert np.random.default_rng(1).multinomial(n, p)[-1] > 0
    counts = counted(p, (n,), 3)[-1]
    assert counts[:, -1].tolist() == [0, 0, 0]
    assert counts.sum(axis=1).tolist() == [n] * 3


# tables and boxes


def chances(made: Boxes) -> np.ndarray:
    """Return how much of all boxes each outcome has: what `boxes` was given, over 2^40."""
    taken = np.bincount(made.other, weights=1 - made.threshold, minlength=len(made.other))
    return made.threshold + taken


def law(picks: Picks, place: int, outcomes_of: int) -> np.ndarray:
    """Return the chance of each outcome of one law: what its places and boxes say."""
    ends = np.append(picks.place, len(picks.table))
    table = picks.table[ends[place] : ends[place + 1]]
    chance = np.bincount(table[table >= 0], minlength=outcomes_of) / len(table)
    ends = np.append(picks.box, len(picks.outcomes))
    own = slice(ends[place], ends[place + 1])
    if own.start < own.stop:
        share = chances(picks.boxes)[own] / (own.stop - own.start)
        np.add.at(chance, picks.outcomes[own], share * np.mean(table < 0))
    return chance


@steady
@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=40).filter(any), st.integers(1, 3))
def test_boxes_hold_exactly_the_parts_that_were_put_in(weights, laws):
    """In whole numbers: nothing is lost, and a law gives nothing to another."""
    many, total = len(weights), sum(weights)
    parts = [weight * many * WHOLE // total for weight in weights]
    parts[int(np.argmax(parts))] += many * WHOLE - sum(parts)
    made = boxes(np.array(parts * laws))
    assert (chances(made) * WHOLE).tolist() == parts * laws
    assert (made.other // many == np.arange(many * laws) // many).all()
    assert ((made.threshold >= 0) & (made.threshold <= 1)).all()


def test_a_box_is_picked_from_by_its_threshold():
    made = Boxes(np.array([0.25, 1.0]), np.array([1, 1]))
    places = np.array([0.0, 0.2499, 0.25, 0.9999, 1.0, 1.9999])
    assert made.pick(places).tolist() == [0, 0, 1, 1, 1, 1]
    two = Boxes(np.array([1.0, 1.0, 0.25, 1.0]), np.array([0, 1, 3, 3]))
    assert two.pick(places, np.full(6, 2)).tolist() == [2, 2, 3, 3, 3, 3]


@pytest.mark.parametrize("n", [1, 2, 30, 1000, 10**5])
@pytest.mark.parametrize("p", [0.5, 0.4, 0.01, 1 - 1e-6])
def test_a_table_of_one_count_is_binomial(n, p):
    picks = binomial(n, p)
    found = law(picks, 0, n + 1)
    assert found.sum() == pytest.approx(1, abs=1e-12)
    assert found == pytest.approx(binomial_pmf(n, p), abs=1e-11)


def test_a_table_of_many_counts_is_poisson_law_by_law():
    means = np.array([0.3, 900.0, 1.0, 7.5, 4e4, 0.3, 1e-3])
    picks = poissons(means)
    assert len(picks.place) == len(means)
    for place, mean in enumerate(means):
        most = int(mean + 10 * sqrt(mean) + 40)
        expected = stats.poisson.pmf(np.arange(most), mean)
        assert law(picks, place, most) == pytest.approx(expected, abs=1e-11)


@steady
@given(st.lists(st.floats(1e-12, 1.0), min_size=1, max_size=60))
def test_a_law_of_any_weights_is_kept_to_a_part_in_2_to_the_40(weights):
    p = np.array(weights) / sum(weights)
    picks = Picks.of(p, np.arange(len(p)), np.array([len(p)]))
    assert law(picks, 0, len(p)) == pytest.approx(p, rel=0, abs=2.0**-BITS)


def test_outcomes_beyond_two_bytes_are_held_in_four():
    assert Picks.of(np.ones(1), np.array([2**15 - 1]), np.ones(1, int)).table.dtype == np.int16
    wide = Picks.of(np.ones(1), np.array([2**15]), np.ones(1, int))
    assert wide.table.dtype == np.int32
    assert wide.draw(3, rng()).tolist() == [[2**15]] * 3


# which way is chosen


@pytest.mark.parametrize(
    ("p", "m", "way"),
    [
        ([0.4, 0.6], 1, Binomial),
        ([0.4, 0.0, 0.6], 10**6, Binomial),
        ([0.4, 0.6], 10**12, Split),  # no table is so wide
        ([0.0, 1.0], 10, Split),
        ([0.2, 0.3, 0.5], 3, OneByOne),
        ([0.2, 0.3, 0.5], 10**6, Split),
        (zipf(100), 10, OneByOne),
        (zipf(100), 1_000, Poissons),
        (zipf(100), 10**15, Split),
        (zipf(10_000), 40, OneByOne),
        (zipf(10_000), 10**5, Poissons),
        (np.full(MOST_BOXES + 1, 1 / MOST_BOXES), 3, Split),  # more than whole numbers can hold
        (np.full(10_000, 1e-4), 5_000, OneByOne),  # all are rare: no Poisson count is worth it
    ],
)
def test_the_cheapest_way_is_chosen_by_law_and_draws(p, m, way):
    assert type(Choice(np.array(p)).way(m)) is way


def test_ways_follow_from_the_law_and_their_increment_alone():
    p = zipf(300)
    together = counted(p, (30, 2030), 50)
    assert [type(way) for way in ways(p.tobytes(), (30, 2000))] == [OneByOne, Poissons]
    stream = rng()
    first = next(multinomial_tally(p, (30,), 50, stream))
    second = next(multinomial_tally(p, (2000,), 50, stream))
    assert np.array_equal(together, [first, first + second])


@pytest.mark.parametrize("shape", [(3,), (6, 3)], ids=str)
def test_a_larger_size_changes_no_count_before_it(shape):
    p = np.broadcast_to([0.2, 0.3, 0.5], shape)
    short, long = counted(p, (2, 9), 6), counted(p, (2, 9, 40), 6)
    assert np.array_equal(short, long[:2])
    assert long.sum(axis=2).tolist() == [[size] * 6 for size in (2, 9, 40)]


# how they are held


@pytest.mark.parametrize(("most", "kind"), [(2**31 - 1, np.int32), (2**31, np.int64)])
def test_counts_are_held_in_four_bytes_where_they_fit(most, kind):
    p = np.array([0.2, 0.8])
    narrow = [counts.copy() for counts in narrow_tally(p, (5, most), 20, rng())]
    assert {counts.dtype for counts in narrow} == {np.dtype(kind)}
    assert np.array_equal(narrow, counted(p, (5, most), 20))


BITS_OF_A_STREAM = {
    2: "c9916487b5ca5024",
    5: "8c5643c4530a6459",
    100: "f2c9d629cd656432",
    2000: "9cdb4b52043f3caa",
}


@pytest.mark.parametrize("colours", BITS_OF_A_STREAM)
def test_a_stream_gives_the_same_counts_on_any_machine_and_in_any_release(colours):
    """Other bits are another stream version: sim.experiment.STREAM_VERSION has to be raised."""
    weights = np.arange(1.0, colours + 1)
    counts = counted(weights / (colours * (colours + 1) / 2), (10, 100, 3000, 50_000), 30, seed=7)
    found = sha256(counts.astype("<i8").tobytes()).hexdigest()[:16]
    assert found == BITS_OF_A_STREAM[colours]
