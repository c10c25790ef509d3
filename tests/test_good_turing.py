"""Simple Good–Turing: Gale and Sampson's own example, and each case that their rule has."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.learners.good_turing import GoodTuring

PROSODY = """
1 120, 2 40, 3 24, 4 13, 5 15, 6 5, 7 11, 8 2, 9 2, 10 1, 12 3, 14 2, 15 1, 16 1, 17 3, 19 1,
20 3, 21 2, 23 3, 24 3, 25 3, 26 2, 27 2, 28 1, 31 2, 32 2, 33 1, 34 2, 36 2, 41 3, 43 1, 45 3,
46 1, 47 1, 50 1, 71 1, 84 1, 101 1, 105 1, 121 1, 124 1, 146 1, 162 1, 193 1, 199 1, 224 1,
226 1, 254 1, 257 1, 339 1, 421 1, 456 1, 481 1, 483 1, 1140 1, 1256 1, 1322 1, 1530 1, 2131 1,
2395 1, 6925 1, 7846 1
"""
"""How many words were seen r times (Gale & Sampson 1995), as `r N_r`."""

PUBLISHED = {
    1: 0.7628079,
    2: 1.706448,
    3: 2.679796,
    4: 3.663988,
    5: 4.653366,
    6: 5.645628,
    7: 6.63966,
    8: 7.634856,
    9: 8.63086,
    10: 9.627446,
}
rows = st.lists(st.integers(0, 30), min_size=2, max_size=25).filter(any)
few_examples = settings(deadline=None, derandomize=True, max_examples=60)


def learned(*counts):
    return GoodTuring().fit(np.array([counts]))[0]


def prosody(unseen):
    pairs = [tuple(map(int, pair.split())) for pair in PROSODY.split(",")]
    return np.concatenate([np.full(number, r) for r, number in pairs] + [np.zeros(unseen, int)])


def plainly(row):
    """Gale and Sampson's steps, written out one after another."""
    n, unseen = sum(row), row.count(0)
    rs = sorted(set(row) - {0})
    number = {r: row.count(r) for r in rs}
    adjusted = {r: float(r) for r in rs}
    if len(rs) > 1:
        z = {}
        for i, r in enumerate(rs):
            before = rs[i - 1] if i else 0
            after = rs[i + 1] if i + 1 < len(rs) else 2 * r - before
            z[r] = 2 * number[r] / (after - before)
        xs, ys = np.log(rs), np.log([z[r] for r in rs])
        spread = xs - xs.mean()
        slope = min(-1.0, (spread @ (ys - ys.mean())) / (spread @ spread))
        turing_holds = True
        for r in rs:
            line = r * (1 + 1 / r) ** (slope + 1)
            up = number.get(r + 1)
            if turing_holds and up is not None:
                turing = (r + 1) * up / number[r]
                error = sqrt((r + 1) ** 2 * up / number[r] ** 2 * (1 + up / number[r]))
                turing_holds = abs(turing - line) > 1.96 * error
            else:
                turing_holds = False
            adjusted[r] = turing if turing_holds else line
    missing = min(number.get(1, 0), n - 1) / n if unseen else 0.0
    total = sum(number[r] * adjusted[r] for r in rs)
    seen = {r: (1 - missing) * adjusted[r] / total for r in rs}
    return [seen[r] if r else missing / unseen for r in row]


# the published example


def test_the_share_of_words_not_seen_is_the_published_one():
    row = prosody(unseen=7)
    assert row.sum() == 30902
    assert GoodTuring().fit(row[np.newaxis])[0][row == 0].sum() == pytest.approx(
        0.003883244, abs=5e-10
    )


@pytest.mark.parametrize(("r", "adjusted"), PUBLISHED.items())
def test_the_adjusted_counts_are_the_published_ones(r, adjusted):
    row = prosody(unseen=7)
    each = 30902 * GoodTuring().fit(row[np.newaxis])[0][row == r]
    assert np.ptp(each) == 0
    # seven digits were printed
    assert each[0] == pytest.approx(adjusted, rel=1e-6, abs=0)


def test_how_many_words_were_not_seen_changes_only_how_they_share():
    first, other = (GoodTuring().fit(prosody(number)[np.newaxis])[0] for number in (1, 1000))
    assert first[:-1].tolist() == other[:-1000].tolist()
    assert other[-1] == pytest.approx(first[-1] / 1000, rel=1e-13)


def test_where_every_word_was_seen_nothing_is_kept_back():
    row = prosody(unseen=0)
    found = GoodTuring().fit(row[np.newaxis])[0]
    beside = GoodTuring().fit(prosody(unseen=1)[np.newaxis])[0]
    assert found.sum() == pytest.approx(1, rel=1e-13)
    assert found * (1 - 120 / 30902) == pytest.approx(beside[:-1], rel=1e-12)


# each case of the rule


@few_examples
@given(row=rows)
def test_it_is_the_rule_written_out_step_by_step(row):
    assert learned(*row) == pytest.approx(plainly(row), rel=1e-9, abs=1e-15)


def test_the_examples_walk_through_every_case_of_the_rule():
    """Turing's estimate is kept at 1 where it differs from the line beyond its error."""
    row = [1] * 300 + [2] * 20 + [3] * 40 + [9] * 2 + [0] * 5
    found, n = learned(*row), sum(row)
    number = {1: 300, 2: 20, 3: 40}
    turing = {r: (r + 1) * number[r + 1] / number[r] for r in (1, 2)}
    ratio = found[300] / found[0]
    assert found == pytest.approx(plainly(row), rel=1e-9)
    assert ratio == pytest.approx(turing[2] / turing[1], rel=1e-9)
    assert found[-5:].sum() == pytest.approx(300 / n, rel=1e-12)


def test_what_was_seen_just_once_is_the_share_of_the_unseen():
    assert learned(5, 3, 1, 1, 0, 0)[-2:] == pytest.approx([0.1, 0.1], rel=1e-12)


def test_where_all_were_seen_just_once_the_unseen_do_not_take_it_all():
    assert learned(1, 1, 1, 0) == pytest.approx([1 / 9, 1 / 9, 1 / 9, 2 / 3], rel=1e-12)
    assert learned(1, 0) == pytest.approx([1, 0], abs=1e-15)


def test_where_none_was_seen_just_once_the_unseen_are_held_impossible():
    found = learned(4, 2, 2, 0)
    assert found[3] == 0
    assert found.sum() == pytest.approx(1, rel=1e-13)


def test_where_all_were_seen_alike_there_is_no_line_and_counting_is_left():
    assert learned(7, 7, 7).tolist() == pytest.approx([1 / 3] * 3, rel=1e-14)
    assert learned(7, 7, 0) == pytest.approx([0.5, 0.5, 0.0], rel=1e-14)


def test_a_line_that_hardly_falls_leaves_counting():
    """Its slope is 0 here: r* would be above r, and what was seen would be held likelier still."""
    assert learned(1, 1, 2, 2) == pytest.approx([1 / 6, 1 / 6, 1 / 3, 1 / 3], rel=1e-12)


def test_a_colour_seen_more_often_is_not_always_held_likelier():
    """The step from Turing's estimates to the line may fall: the published rule allows it."""
    found = learned(*([1] * 10 + [2] * 40 + [3] * 2))
    assert found == pytest.approx(plainly([1] * 10 + [2] * 40 + [3] * 2), rel=1e-9)
    assert found[0] > found[10]


@few_examples
@given(row=rows)
def test_colours_seen_alike_are_held_alike(row):
    found = learned(*row)
    for r in set(row):
        assert np.ptp(found[np.array(row) == r]) == 0
    assert np.all(np.isfinite(found))
    assert found.sum() == pytest.approx(1, rel=1e-12)
