"""Quantiles of a stream are those of the sorted values, and what is kept of it stays small."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.analysis.quantiles import FEW, PASSES, Quantiles, distinct, ordered, value_of, values_of
from sim.analysis.ranks import LEVELS, interval_ranks

PERCENT = (5, 25, 50, 75, 95)
TINY = 5e-324
INF = float("inf")
RNG = np.random.default_rng(7)


def inverse_cdf(values) -> list[float]:
    """The smallest value v with F(v) ≥ level, by sorting and whole numbers."""
    values = np.sort(np.asarray(values, dtype=float) + 0.0)
    return [float(values[-(-len(values) * percent // 100) - 1]) for percent in PERCENT]


def quantiles(values, cuts=(), passes=PASSES, level=None, few=FEW) -> Quantiles:
    found = Quantiles(level, few)
    for _ in range(passes):
        for batch in np.split(np.asarray(values, dtype=float), list(cuts)):
            found.add(batch)
        found.narrow()
    return found


STREAMS = {
    "one": [0.3],
    "two": [2.0, 1.0],
    "nineteen": np.arange(19.0),
    "twenty": np.arange(20.0),
    "twenty_one": np.arange(21.0),
    "a_hundred": np.arange(100.0)[::-1],
    "all_equal": [0.1] * 77,
    "counts": RNG.binomial(10, 0.4, 1000) / 10,
    "normal": RNG.standard_normal(5000),
    "chi_square": RNG.chisquare(1, 5000) * 1e-5,
    "all_scales": np.exp(RNG.uniform(-700, 700, 3000)) * RNG.choice([-1, 1], 3000),
    "last_bit": 1 + np.arange(100) * 2.0**-52,
    "denormal": RNG.integers(-50, 50, 500) * TINY,
    "signed_zeros": [0.0, -0.0, -1.0, 1.0, -0.0, 0.0],
    "mostly_infinite": [1.0, 2.0] + [INF] * 20,
    "both_infinite": [-INF] * 10 + [0.0] * 80 + [INF] * 10,
    "only_infinite": [INF] * 3,
    "extremes": [np.finfo(float).max, -np.finfo(float).max, TINY, -TINY, 0.0],
}


@pytest.mark.parametrize("few", [0, 50, FEW])
@pytest.mark.parametrize("cut", ["whole", "tens", "singles"])
@pytest.mark.parametrize("values", STREAMS.values(), ids=STREAMS)
def test_quantiles_are_those_of_the_sorted_values(values, cut, few):
    step = {"whole": len(values), "tens": 10, "singles": 1 + len(values) // 300}[cut]
    found = quantiles(values, range(step, len(values), step), few=few).values
    assert found == inverse_cdf(values)


@pytest.mark.parametrize("few", [0, 50, FEW])
@pytest.mark.parametrize("values", STREAMS.values(), ids=STREAMS)
def test_what_others_counted_is_merged_in_any_order(values, few):
    found = Quantiles(0.95, few)
    pieces = np.array_split(np.asarray(values, dtype=float), 7)
    while not found.done:
        others = [found.empty() for _ in pieces]
        for other, piece in zip(others, pieces, strict=True):
            other.add(piece)
        for other in others[::-2] + others[-2::-2]:
            found.merge(other)
        found.narrow()
    alone = quantiles(values, level=0.95, few=few)
    assert found.values == alone.values == inverse_cdf(values)
    assert np.array_equal(found.intervals, alone.intervals, equal_nan=True)


@pytest.mark.parametrize("few", [0, 7, 99, 100, 1000])
def test_few_values_are_read_once_and_many_are_not(few):
    values = np.arange(100.0)
    found = quantiles(np.tile(values, 9), range(50, 900, 50), passes=1, few=few)
    assert found.done is (few >= 100)
    assert bool(found.values) is (few >= 100)


def test_ranks_that_few_values_are_left_for_need_no_third_reading():
    values = np.random.default_rng(3).chisquare(3, 20_000)
    found = quantiles(values, passes=2)
    assert found.done
    assert found.values == inverse_cdf(values)
    assert not quantiles(values, passes=2, few=30).done


def test_once_they_are_found_nothing_is_read_any_more():
    found = quantiles([1.0, 2.0, 3.0])
    found.add(np.array([7.0] * 50))
    found.narrow()
    assert found.values == [1.0, 1.0, 2.0, 3.0, 3.0]


numbers = st.one_of(
    st.floats(allow_nan=False),
    st.sampled_from([0.0, -0.0, TINY, -TINY, INF, -INF, 1.0, 0.1, 0.25, np.nextafter(1.0, 2.0)]),
)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(
    st.lists(numbers, min_size=1, max_size=60).flatmap(
        lambda values: st.tuples(
            st.just(values), st.lists(st.integers(0, len(values)), max_size=5).map(sorted)
        )
    )
)
def test_any_cut_of_any_stream_gives_the_same_quantiles(given_):
    values, cuts = given_
    assert quantiles(values, cuts).values == inverse_cdf(values)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.lists(numbers, max_size=30))
def test_different_keys_come_once_each_and_say_how_often_they_came(values):
    keys, often = distinct(np.array(values * 2 + values[:1], dtype=np.float64))
    known, expected = np.unique(np.array(values * 2 + values[:1]) + 0.0, return_counts=True)
    assert values_of(keys).tolist() == known.tolist()
    assert often.tolist() == expected.tolist()


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.lists(numbers, min_size=2, max_size=30))
def test_keys_sort_as_values_do_and_lead_back_to_them(values):
    values = np.array(values)
    keys = ordered(values)
    assert [value_of(key) for key in keys.tolist()] == values_of(keys).tolist() == values.tolist()
    assert np.array_equal(np.less.outer(values, values), np.less.outer(keys, keys))


def test_minus_zero_is_zero():
    assert ordered(np.array([-0.0])) == ordered(np.array([0.0]))
    assert not np.signbit(quantiles([-0.0]).values).any()


@pytest.mark.parametrize("number", [*range(1, 42), 99, 100, 101, 1000, 4096, 9999, 10_000])
def test_the_rank_is_the_least_whose_share_reaches_the_level(number):
    found = quantiles(np.arange(1.0, number + 1)).values
    for percent, rank in zip(PERCENT, found, strict=True):
        assert 100 * rank >= percent * number > 100 * (rank - 1)


def test_the_rank_of_a_very_long_stream_is_exact():
    # how often each key came is all that is kept: here 10⁹ times in all
    found = Quantiles(few=0)
    for _ in range(PASSES):
        found.add(np.array([1.0, 2.0, 3.0]))
        assert found._numbers.tolist() == [1, 1, 1]
        found._numbers = np.array([50_000_000, 899_999_999, 50_000_001])
        found.narrow()
    assert found.values == [1.0, 2.0, 2.0, 2.0, 3.0]


def test_nothing_has_no_quantiles():
    assert quantiles([]).values == []


def test_quantiles_are_told_only_after_all_passes():
    values = np.arange(30.0)
    told = [len(quantiles(values, passes=n, few=0).values) for n in range(PASSES + 1)]
    assert told == [0] * PASSES + [5]


def test_the_levels_are_those_of_the_tables():
    assert tuple(percent / 100 for percent in PERCENT) == LEVELS


def kept(values, cuts=(), level=None) -> list[int]:
    """How many keys are held at the end of each pass, where values are never few."""
    found, most = Quantiles(level, few=0), []
    for _ in range(PASSES):
        for batch in np.split(np.asarray(values), list(cuts)):
            found.add(batch)
        most.append(len(found._keys))
        found.narrow()
    return most


@pytest.fixture(scope="module")
def long_stream() -> np.ndarray:
    return np.random.default_rng(8).chisquare(3, 200_000) * 1e-4


def test_a_pass_keeps_only_the_prefixes_it_needs(long_stream):
    keys = np.sort(ordered(long_stream))
    ranks = [-(-len(keys) * percent // 100) - 1 for percent in PERCENT]
    expected, inside = [], np.ones(len(keys), dtype=bool)
    for bits in (20, 32, 44, 56, 64):
        prefixes = keys >> np.uint64(64 - bits)
        expected.append(len(np.unique(prefixes[inside])))
        inside = np.isin(prefixes, prefixes[ranks])
    assert kept(long_stream, range(9999, 200_000, 9999)) == expected


def test_few_of_the_values_are_kept(long_stream):
    assert len(np.unique(long_stream)) == 200_000
    assert max(kept(long_stream)) < 0.03 * 200_000


def test_what_is_kept_does_not_grow_with_the_stream():
    # estimates from counts: the same few values again and again
    values = np.random.default_rng(9).binomial(100, 0.4, 20_000) / 100
    again = np.tile(values, 10)
    assert kept(again, range(4096, len(again), 4096)) == kept(values)


def test_a_first_pass_keeps_at_most_the_keys_of_20_bits():
    every = np.arange(2**21, dtype=np.uint64) << np.uint64(43)
    values = every.view(np.float64)
    values = values[~np.isnan(values)]
    found = Quantiles()
    found.add(values)
    assert len(found._keys) > FEW
    assert len(values) > 2**20
    assert len(found._keys) <= 2**20


# --- intervals -----------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
@pytest.mark.parametrize("values", STREAMS.values(), ids=STREAMS)
def test_the_ends_of_an_interval_are_those_of_the_sorted_values(values, level):
    found = quantiles(values, range(10, len(values), 97), level=level)
    ordered_ = np.sort(np.asarray(values, dtype=float) + 0.0)
    ends = [rank for pair in interval_ranks(len(values), level) for rank in pair]
    expected = [np.nan if rank is None else ordered_[rank - 1] for rank in ends]
    assert np.array_equal(np.ravel(found.intervals), expected, equal_nan=True)
    assert found.values == inverse_cdf(values)


def test_without_a_level_there_are_no_intervals():
    assert quantiles(np.arange(100.0)).intervals == []


def test_intervals_are_told_only_after_all_passes():
    values = np.arange(300.0)
    told = [
        len(quantiles(values, passes=n, level=0.95, few=0).intervals) for n in range(PASSES + 1)
    ]
    assert told == [0] * PASSES + [5]


def test_a_later_pass_keeps_at_most_4096_keys_for_each_rank():
    """Values so near each other that they differ in the last 44 bits only, and in all of these."""
    bits = np.random.default_rng(5).integers(0, 2**44, 300_000).astype(np.uint64)
    values = (np.uint64(0x3FF << 52) + bits).view(np.float64)
    most = kept(values, range(50_000, 300_000, 50_000), level=0.95)
    assert most[0] == 1
    assert most[1] == 2**12
    assert max(most[2:]) <= 15 * 2**12
    assert quantiles(values, level=0.95).values == inverse_cdf(values)


def test_three_times_the_ranks_keep_less_than_twice_the_keys(long_stream):
    # the ends lie near their quantile: most share its first 20 bits
    few, many = kept(long_stream), kept(long_stream, level=0.95)
    assert many[0] == few[0]
    assert max(many) < 2 * max(few)


def test_a_batch_is_left_as_it_was():
    values = np.array([3.0, -0.0, 2.0])
    quantiles(values)
    assert values.tolist() == [3.0, 0.0, 2.0]
    assert np.signbit(values[1])
