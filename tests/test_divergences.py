"""Divergences of known distributions: every target keeps the laws; KL agrees with exact sums."""

from __future__ import annotations

from fractions import Fraction
from math import inf, log

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from sim.divergences import KL, KL_LOSS, TARGETS, Divergence

steady = settings(deadline=None, derandomize=True, max_examples=80)
targets = pytest.mark.parametrize("target", [*TARGETS.values(), KL_LOSS], ids=lambda t: t.name)
weights = st.integers(1, 1000) | st.just(0)


@st.composite
def pairs(draw, least=1, most=8):
    """Two distributions over the same colours, as whole numbers of balls; p within q's support."""
    colours = draw(st.integers(least, most))
    p = draw(st.lists(weights, min_size=colours, max_size=colours).filter(any))
    q = [max(draw(weights), int(a > 0)) for a in p]
    return p, q if any(q) else [1] * colours


def mix(balls):
    return np.array(balls, dtype=np.float64) / sum(balls)


def kl_of(p, q):
    """KL of whole numbers of balls to 40 digits."""
    with mp.workdps(40):
        total = mp.mpf(0)
        for a, b in zip(p, q, strict=True):
            if a:
                ratio = Fraction(a * sum(q), b * sum(p))
                share = mp.mpf(a) / sum(p)
                total += share * mp.log(mp.mpf(ratio.numerator) / ratio.denominator)
        return float(total)


def test_kl_of_three_colours_is_the_published_number():
    p, q = np.array([0.2, 0.2, 0.6]), np.array([0.1, 0.4, 0.5])
    assert KL(p, q) == pytest.approx(0.109392934076373, rel=1e-12, abs=0)
    assert KL(p, q) / KL.per_unit("bits") == pytest.approx(0.157820643500276, rel=1e-12, abs=0)


def test_kl_of_the_red_and_blue_bag_from_a_fair_one():
    p, fair = mix([10, 15]), np.array([0.5, 0.5])
    assert KL(p, fair) == pytest.approx(0.0201355135506889, rel=1e-12, abs=0)
    assert log(2) - KL(p, fair) == pytest.approx(0.673011667009256, rel=1e-12, abs=0)


@steady
@given(pairs())
def test_kl_agrees_with_exact_sums_and_with_scipy(balls):
    p, q = map(mix, balls)
    assert KL(p, q) == pytest.approx(kl_of(*balls), rel=1e-12, abs=1e-15)
    assert KL(p, q) == pytest.approx(entropy(p, q), rel=1e-12, abs=1e-15)


@steady
@given(pairs())
def test_kl_is_never_below_zero_and_zero_only_at_equality(balls):
    p, q = map(mix, balls)
    assert KL(p, p) == 0
    gap = float(np.abs(p - q).sum())
    assert KL(p, q) >= gap**2 / 2 - 1e-15  # Pinsker


@steady
@given(pairs(least=2), st.integers(1, 6))
def test_kl_never_grows_when_colours_are_mistaken_for_each_other(balls, cut):
    p, q = map(mix, balls)
    starts = [0, min(cut, len(p) - 1)]
    merged = KL(np.add.reduceat(p, starts), np.add.reduceat(q, starts))
    assert merged <= KL(p, q) + 1e-14


@steady
@given(pairs(most=4), pairs(most=4))
def test_kl_of_two_independent_draws_is_the_sum(first, second):
    (p, q), (r, s) = map(mix, first), map(mix, second)
    both = KL(np.outer(p, r).ravel(), np.outer(q, s).ravel())
    assert both == pytest.approx(KL(p, q) + KL(r, s), rel=1e-12, abs=1e-14)


def test_a_colour_that_is_nowhere_adds_nothing():
    assert KL.terms(np.array([0.0, 0.0, 0.5]), np.array([0.0, 0.3, 0.5])).tolist() == [0, 0, 0]


def test_kl_is_infinite_where_q_lacks_a_colour_of_p():
    p, q = np.array([0.5, 0.5]), np.array([1.0, 0.0])
    assert KL(p, q) == inf
    assert KL(q, p) == pytest.approx(log(2), rel=1e-15, abs=0)


def test_the_loss_of_a_learner_is_kl_under_its_own_name():
    p, q = mix([1, 2, 3]), mix([3, 2, 1])
    assert KL_LOSS(p, q) == KL(p, q)
    assert KL_LOSS.name == "kl_loss"
    assert KL_LOSS.name not in TARGETS  # no estimator can be asked for it


def test_targets_go_by_their_own_names():
    assert TARGETS["kl"] is KL
    assert all(name == target.name for name, target in TARGETS.items())
    assert all(target.about for target in TARGETS.values())


@targets
def test_a_divergence_is_the_finished_sum_of_its_terms(target):
    p, q = mix([3, 1, 4, 1]), mix([2, 7, 1, 8])
    total = np.sum(target.terms(p, q), axis=-1)
    assert target(p, q) == (total if target.finish is None else target.finish(total))


@targets
def test_terms_are_elementwise(target):
    p, q = mix([3, 1, 0, 4, 1]), mix([2, 7, 1, 0, 8])
    whole = target.terms(p, q)
    alone = [float(target.terms(p[k : k + 1], q[k : k + 1])[0]) for k in range(5)]
    assert whole.tolist() == alone


@targets
def test_a_divergence_does_not_depend_on_the_order_of_colours(target):
    p, q, order = mix([3, 1, 0, 4]), mix([2, 7, 1, 8]), [2, 0, 3, 1]
    assert target(p[order], q[order]) == pytest.approx(target(p, q), rel=1e-14, abs=0)


@targets
def test_rows_of_distributions_meet_one_or_as_many(target):
    rows = np.stack([mix([1, 2, 3]), mix([3, 2, 1]), mix([0, 1, 5])])
    q = mix([2, 2, 1])
    one_by_one = [float(target(row, q)) for row in rows]
    assert target(rows, q).tolist() == one_by_one
    assert target(rows, np.tile(q, (3, 1))).tolist() == one_by_one
    assert target(rows[:, np.newaxis], np.tile(q, (4, 1))).shape == (3, 4)


@targets
def test_only_what_is_a_logarithm_has_a_unit(target):
    assert target.per_unit("nats") == 1
    assert target.per_unit("bits") == (log(2) if target.entropic else 1)


def test_a_divergence_may_finish_its_sum_and_have_no_unit():
    hellinger = Divergence(
        "hellinger",
        "√(1 − Σ√pq)",
        terms=lambda p, q: (np.sqrt(p) - np.sqrt(q)) ** 2,
        finish=lambda total: np.sqrt(total / 2),
        entropic=False,
    )
    p, q = mix([1, 3, 7, 4, 8]), mix([2, 5, 1, 3, 6])
    assert hellinger(p, q) ** 2 == pytest.approx(0.073252118120102, rel=1e-12, abs=0)
    assert hellinger(p, p) == 0
    assert hellinger.per_unit("bits") == 1
