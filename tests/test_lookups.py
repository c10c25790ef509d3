"""Functions of a count by table: the same numbers as without one, with less work where it pays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from members import tables
from scipy.special import psi, xlogy

from sim.lookups import Lookup, pieces

FUNCTIONS = {
    "p ln p": lambda c, n: np.asarray(xlogy(c / n, c / n)),
    "digamma": lambda c, n: np.asarray(c / n * (psi(n) - psi(np.maximum(c, 1)))),
    "of the count alone": lambda c, n: np.asarray(np.sqrt(c) + 0 * n),
}
every_function = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
few_examples = settings(deadline=None, derandomize=True, max_examples=40)
EVERY = slice(None)


class Watched:
    """A function that notes for how many elements it was asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, c, n):
        self.asked.append(np.broadcast(c, n).size)
        assert c.dtype == n.dtype == np.float64
        return c / n


def plainly(function, counts, size):
    return function(counts.astype(np.float64), np.asarray(size, dtype=np.float64))


# by table


@every_function
@few_examples
@given(counts=tables())
def test_a_table_gives_what_the_function_gives(function, counts):
    size = counts.sum(axis=1, keepdims=True)
    found = Lookup(function, counts, size)(EVERY)
    np.testing.assert_allclose(found, plainly(function, counts, size), rtol=1e-15, atol=0)


@every_function
@few_examples
@given(counts=st.lists(st.integers(0, 12), min_size=1, max_size=40), size=st.integers(1, 10**9))
def test_a_size_may_be_a_number_a_cell_or_a_column(function, counts, size):
    counts = np.array([counts, counts[::-1]])
    expected = plainly(function, counts, size)
    for form in (size, np.int64(size), np.array(size), np.full((2, 1), size)):
        found = Lookup(function, counts, form)
        np.testing.assert_allclose(found(EVERY), expected, rtol=1e-15, atol=0)
        np.testing.assert_allclose(found(slice(1, 2)), expected[1:], rtol=1e-15, atol=0)


@every_function
@few_examples
@given(counts=tables(), data=st.data())
def test_any_rows_are_those_rows_of_all(function, counts, data):
    lookup = Lookup(function, counts, counts.sum(axis=1, keepdims=True))
    begin = data.draw(st.integers(0, len(counts) - 1))
    end = data.draw(st.integers(begin + 1, len(counts)))
    assert lookup(slice(begin, end)).tobytes() == lookup(EVERY)[begin:end].tobytes()


@few_examples
@given(counts=tables())
def test_no_count_is_changed_and_nothing_is_remembered(counts):
    before, size = counts.copy(), counts.sum(axis=1, keepdims=True)
    lookup = Lookup(FUNCTIONS["digamma"], counts, size)
    assert lookup(EVERY).tobytes() == lookup(EVERY).tobytes()
    assert np.array_equal(counts, before)


def test_small_counts_are_worked_out_once_each():
    counts, watched = np.tile([0, 1, 2, 3], (50, 5)), Watched()
    lookup = Lookup(watched, counts, counts.sum(axis=1, keepdims=True))
    assert np.array_equal(lookup(EVERY), counts / 30)
    assert np.array_equal(lookup(slice(7, 9)), counts[7:9] / 30)
    assert watched.asked == [4]


def test_counts_above_their_number_take_no_table():
    counts, watched = np.array([[10**9, 0, 5]]), Watched()
    lookup = Lookup(watched, counts, 10**9 + 5)
    assert watched.asked == []
    assert lookup(EVERY).tolist() == (counts / (10**9 + 5)).tolist()
    assert watched.asked == [3]


def test_rows_of_unlike_sizes_take_no_table():
    counts, watched = np.array([[1, 0, 1], [1, 1, 1]]), Watched()
    found = Lookup(watched, counts, counts.sum(axis=1, keepdims=True))(EVERY)
    assert watched.asked == [6]
    assert found[0].tolist() == [0.5, 0.0, 0.5]
    assert found[1].tolist() == [1 / 3] * 3


def test_a_count_of_as_many_as_there_are_elements_is_the_first_without_a_table():
    watched = Watched()
    Lookup(watched, np.array([[0, 3, 0, 0]]), 3)
    assert watched.asked == [4]
    Lookup(watched, np.array([[0, 4, 0, 0]]), 4)
    assert watched.asked == [4]


def test_rows_without_a_draw_come_through_as_what_they_are():
    with np.errstate(all="ignore"):
        found = Lookup(Watched(), np.zeros((2, 3), dtype=np.int64), 0)(EVERY)
    assert found.shape == (2, 3)
    assert np.isnan(found).all()  # 0/0: nobody made a number of it


# in pieces


@few_examples
@given(trials=st.integers(1, 5000), colours=st.integers(1, 200_000))
def test_pieces_are_all_rows_once_and_in_order(trials, colours):
    found = list(pieces((trials, colours)))
    assert [part.start for part in found] == [0, *(part.stop for part in found[:-1])]
    assert all(part.start < min(part.stop, trials) for part in found)
    assert found[-1].stop >= trials


@pytest.mark.parametrize("colours", [1, 2, 1000, 2**15, 10**6])
def test_a_piece_holds_few_numbers_and_at_least_a_row(colours):
    for part in pieces((100, colours)):
        rows = part.stop - part.start
        assert rows == 1 or rows * colours <= 2**15


def test_no_rows_are_one_piece_without_any():
    [part] = pieces((0, 5))
    assert np.zeros((0, 5))[part].shape == (0, 5)
