"""Divergences of known distributions: every target keeps the laws; KL agrees with exact sums."""

from __future__ import annotations

from fractions import Fraction
from math import inf, log, sqrt

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from sim.divergences import KL, KL_LOSS, NAMES, TARGETS, divergence

steady = settings(deadline=None, derandomize=True, max_examples=80)
EVERY = [*TARGETS.values(), KL_LOSS, divergence("renyi(2)")]
BITS = {"js_distance": sqrt(log(2)), "chi_square": 1, "hellinger_squared": 1, "total_variation": 1}
"""What one bit is worth; ln 2 for all others."""

targets = pytest.mark.parametrize("target", EVERY, ids=lambda t: t.name)
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


def over(p, q, term):
    return mp.fsum(term(a, b) for a, b in zip(p, q, strict=True))


def plain_kl(p, q):
    """KL of lists of numbers; infinite where q lacks what p has."""
    if any(a and not b for a, b in zip(p, q, strict=True)):
        return mp.inf
    return over(p, q, lambda a, b: a * mp.log(a / b) if a else 0)


def plain_js(p, q):
    middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    return (plain_kl(p, middle) + plain_kl(q, middle)) / 2


def entropy_of(p, q):
    return over(p, q, lambda a, _: -a * mp.log(a) if a else 0)


TEXTBOOK = {
    "kl": plain_kl,
    "kl_loss": plain_kl,
    "reverse_kl": lambda p, q: plain_kl(q, p),
    "jeffreys": lambda p, q: plain_kl(p, q) + plain_kl(q, p),
    "js": plain_js,
    "js_distance": lambda p, q: mp.sqrt(abs(plain_js(p, q))),
    "chi_square": lambda p, q: over(p, q, lambda a, b: (a - b) ** 2 / b if b else 0),
    "hellinger_squared": lambda p, q: 1 - over(p, q, lambda a, b: mp.sqrt(a * b)),
    "total_variation": lambda p, q: over(p, q, lambda a, b: abs(a - b)) / 2,
    "cross_entropy": lambda p, q: entropy_of(p, q) + plain_kl(p, q),
    "entropy": entropy_of,
    "renyi(2)": lambda p, q: mp.log(over(p, q, lambda a, b: a * a / b if a else 0)),
}


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
    assert target.per_unit("bits") == pytest.approx(BITS.get(target.name, log(2)), rel=1e-15, abs=0)


@targets
@steady
@given(balls=pairs(most=5))
def test_a_target_is_what_its_textbook_says(target, balls):
    """To 40 digits, where Q holds every colour of P; infinite where it must be."""
    p, q = balls
    with mp.workdps(40):
        a, b = ([mp.mpf(x) / sum(mix) for x in mix] for mix in (p, q))
        exactly = float(TEXTBOOK[target.name](a, b))
    # a difference of nearly equal numbers keeps the digits of its parts, a root half of them
    close = 1e-7 if target.name == "js_distance" else 1e-13
    assert target(mix(p), mix(q)) == pytest.approx(exactly, rel=1e-11, abs=close)


@targets
def test_a_target_is_zero_at_equality_but_for_entropies(target):
    p = mix([3, 1, 4, 1, 0])
    if target.name in ("cross_entropy", "entropy"):
        assert target(p, p) == pytest.approx(entropy(p), rel=1e-14, abs=0)
    else:
        assert target(p, p) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("js", log(2)),
        ("js_distance", sqrt(log(2))),
        ("hellinger_squared", 1),
        ("total_variation", 1),
    ],
)
@steady
@given(balls=pairs(least=2))
def test_what_is_bounded_keeps_its_bounds_and_reaches_them(name, bound, balls):
    target = TARGETS[name]
    p, q = map(mix, balls)
    assert -1e-15 <= target(p, q) <= bound * (1 + 1e-14)
    assert target(p, q) == pytest.approx(float(target(q, p)), rel=1e-12, abs=1e-9)
    apart = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert target(*apart) == pytest.approx(bound, rel=1e-14, abs=0)


@pytest.mark.parametrize("name", ["kl", "jeffreys", "chi_square", "cross_entropy", "renyi(2)"])
def test_what_leaves_qs_support_is_infinite(name):
    p, q = np.array([0.5, 0.5]), np.array([1.0, 0.0])
    with np.errstate(all="ignore"):
        assert divergence(name)(p, q) == inf


@pytest.mark.parametrize("name", ["reverse_kl", "jeffreys"])
def test_what_leaves_ps_support_is_infinite_the_other_way(name):
    assert TARGETS[name](np.array([1.0, 0.0]), np.array([0.5, 0.5])) == inf


def test_the_ways_round_are_one_another_and_their_sum_is_jeffreys():
    p, q = mix([1, 3, 7, 4, 8]), mix([2, 5, 1, 3, 6])
    assert TARGETS["reverse_kl"](p, q) == KL(q, p)
    assert TARGETS["jeffreys"](p, q) == pytest.approx(KL(p, q) + KL(q, p), rel=1e-14, abs=0)
    cross = TARGETS["cross_entropy"](p, q) - TARGETS["entropy"](p, q)
    assert cross == pytest.approx(KL(p, q), rel=1e-13, abs=0)


# Rényi's


@pytest.mark.parametrize(
    ("written", "plain"), [("renyi(2)", "2"), ("renyi(2.0)", "2"), ("renyi(0.50)", "0.5")]
)
def test_an_order_goes_by_one_name_however_it_is_written(written, plain):
    assert divergence(written).name == f"renyi({plain})"
    assert divergence(divergence(written).name).name == f"renyi({plain})"


@pytest.mark.parametrize(
    "name",
    [
        "renyi",
        "renyi()",
        "renyi(0)",
        "renyi(1)",
        "renyi(1.0)",
        "renyi(0.0)",
        "renyi(10)",
        "renyi(-1)",
        "renyi(inf)",
        "renyi(2) ",
        "Renyi(2)",
        "renyi(٢)",
        "kl_loss",
        "nothing",
    ],
)
def test_what_is_no_target_is_none(name):
    assert divergence(name) is None


@pytest.mark.parametrize("order", [0.25, 0.5, 2, 3.5, 9])
def test_renyis_divergence_is_his_formula(order):
    p, q = mix([3, 1, 0, 4]), mix([2, 7, 1, 8])
    exactly = log(float(np.sum(p**order * q ** (1 - order)))) / (order - 1)
    found = divergence(f"renyi({order})")
    assert found(p, q) == pytest.approx(exactly, rel=1e-13, abs=0)
    assert found.per_unit("bits") == pytest.approx(log(2), rel=1e-15, abs=0)


def test_renyis_divergence_grows_with_its_order_through_kl():
    p, q = mix([1, 3, 7, 4, 8]), mix([2, 5, 1, 3, 6])
    values = [float(divergence(f"renyi({a})")(p, q)) for a in (0.1, 0.5, 0.999999, 1.000001, 2, 5)]
    assert values == sorted(values)
    assert values[2] == pytest.approx(float(KL(p, q)), rel=1e-5, abs=0)
    assert values[3] == pytest.approx(float(KL(p, q)), rel=1e-5, abs=0)
    half = -2 * log(1 - float(TARGETS["hellinger_squared"](p, q)))
    assert values[1] == pytest.approx(half, rel=1e-12, abs=0)
    assert values[4] == pytest.approx(log(1 + float(TARGETS["chi_square"](p, q))), rel=1e-12, abs=0)


def test_every_name_is_a_target():
    assert (*TARGETS, "renyi(2)") == NAMES
    assert all(divergence(name).name == name for name in NAMES)


# what comes apart


def minors(target):
    """Return the largest 2 × 2 minor of a term less its edges, over (its largest entry)²."""
    rng = np.random.default_rng(4)
    p, q = (np.sort(rng.uniform(0.05, 1, 6)) for _ in range(2))
    g = target.terms(p[:, np.newaxis], q[np.newaxis, :])
    inner = (g - g[:1] - g[:, :1] + g[0, 0])[1:, 1:]
    product = np.einsum("ij,kl->ikjl", inner, inner)
    most = abs(product - product.transpose(0, 1, 3, 2)).max()
    return most / max(abs(g).max(), abs(inner).max()) ** 2


@pytest.mark.parametrize(
    "target", [each for each in TARGETS.values() if each.finish is None], ids=lambda t: t.name
)
def test_a_sum_comes_apart_exactly_where_it_is_said_to(target):
    """a(p) + b(q) + s(p) h(q), and only that, has no minor left."""
    assert (minors(target) < 1e-14) == target.separable


@targets
def test_terms_are_elementwise_over_a_table_of_both(target):
    p, q = np.array([0.1, 0.4, 0.5]), np.array([0.2, 0.3, 0.5])
    table = target.terms(p[:, np.newaxis], q[np.newaxis, :])
    assert table.shape == (3, 3)
    for i, j in np.ndindex(3, 3):
        assert table[i, j] == target.terms(p[i : i + 1], q[j : j + 1])[0]
