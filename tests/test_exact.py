"""Exact values: the published tables, every outcome of small bags, closed forms, and no guess."""

from __future__ import annotations

import sys
from fractions import Fraction
from functools import cache
from itertools import combinations
from math import comb, exp, factorial, fsum, inf, isinf, log, prod, sqrt
from typing import Literal

import numpy as np
import pytest
from scipy import stats

from sim.contracts.arrays import Reference
from sim.contracts.estimator import Estimator, Loss
from sim.divergences import KL, KL_LOSS
from sim.estimators.miller_madow import MillerMadow
from sim.estimators.plug_in import PlugIn
from sim.exact import UNKNOWN, Exact, exact
from sim.exact.values import Support
from sim.laws import MOST_WORK, Hypergeometric, Multinomial
from sim.laws.counts import LEAST_ANGLES
from sim.laws.tables import dirichlet_multinomial
from sim.learners.add_constant import AddConstant
from sim.learners.relative_frequency import RelativeFrequency

AMOUNTS = {
    "laplace": lambda n, colours: 1.0,
    "jeffreys": lambda n, colours: 0.5,
    "perks": lambda n, colours: 1 / colours,
    "minimax": lambda n, colours: sqrt(n) / colours,
    "krichevsky": lambda n, colours: 0.50922,
    0.01: lambda n, colours: 0.01,
}


def mix(balls):
    return np.array(balls, dtype=np.float64) / sum(balls)


def with_replacement(n, balls):
    return Multinomial(n, mix(balls))


def without_replacement(n, balls):
    return Hypergeometric(n, np.array(balls, dtype=np.float64))


def counting():
    return PlugIn()


def learned(amount):
    return PlugIn(learner=AddConstant(amount=amount))


def loss(amount=None):
    learner = RelativeFrequency() if amount is None else AddConstant(amount=amount)
    return Loss(learner=learner)


def known(law, estimator, q, target=KL):
    return exact(law, estimator, Reference.known(q), target)


def lost(law, p, amount=None):
    return known(law, loss(amount), p, KL_LOSS)


# The red and blue bag: p = (.4, .6)

RED_BLUE = [
    (with_replacement, 10, 0.0533791354743730, 0.00591193662755345, 0.0735146490250619),
    (with_replacement, 25, 0.0204525426887984, 0.000839186053011594, 0.0405880562394873),
    (with_replacement, 100, 0.00502680776307128, 0.0000505448617058958, 0.0251623213137602),
    (without_replacement, 10, 0.0325604873017742, 0.00222931045572751, 0.0526960008524631),
    (without_replacement, 20, 0.00524791146286556, 0.0000489053719395050, 0.0253834250135544),
    (without_replacement, 25, 0.0, 0.0, 0.0201355135506889),
]


@pytest.mark.parametrize(("drawn", "n", "mean", "variance", "from_fair"), RED_BLUE)
def test_the_red_and_blue_bag_has_its_published_values(drawn, n, mean, variance, from_fair):
    law, p = drawn(n, (10, 15)), mix((10, 15))
    own = known(law, counting(), p)
    assert own.mean == pytest.approx(mean, rel=1e-12, abs=1e-16)
    assert own.sd**2 == pytest.approx(variance, rel=1e-12, abs=1e-30)
    assert own.p_infinite == 0
    assert known(law, counting(), mix((1, 1))).mean == pytest.approx(from_fair, rel=1e-12, abs=0)


@pytest.mark.parametrize(
    ("drawn", "n", "chance"),
    [
        (with_replacement, 10, 0.0061514752),
        (with_replacement, 25, 2.84314139298365e-6),
        (with_replacement, 100, 0.4**100 + 0.6**100),  # 6.53e-23
        (without_replacement, 10, 0.000919002924656445),
        (without_replacement, 20, 0.0),
        (without_replacement, 25, 0.0),
    ],
)
def test_a_counted_model_is_infinite_as_often_as_published(drawn, n, chance):
    found = lost(drawn(n, (10, 15)), mix((10, 15))).p_infinite
    assert found == pytest.approx(chance, rel=1e-12, abs=0)


@pytest.mark.parametrize(
    ("amount", "n", "mean"),
    [
        ("laplace", 10, 0.0388531046212006),
        ("laplace", 25, 0.0180924445988608),
        ("jeffreys", 10, 0.0481283150154176),
        ("jeffreys", 25, 0.0196517890393787),
    ],
)
def test_the_loss_of_a_learned_model_is_the_published_one(amount, n, mean):
    law, p = with_replacement(n, (10, 15)), mix((10, 15))
    assert lost(law, p, amount).mean == pytest.approx(mean, rel=1e-12, abs=0)


@pytest.mark.parametrize(
    ("amount", "worst"), [(0.5, 0.510599), ("krichevsky", 0.509225), (1, 1.0)], ids=str
)
def test_the_worst_loss_of_two_colours_is_the_one_of_theory(amount, worst):
    """n E D(P‖learned) at its worst P = (λ/n, 1 − λ/n); it tends to the constant as 1/n."""
    n = 10**6
    shares = np.concatenate([[1e-6, 0.01], np.arange(0.1, 8, 0.1), np.arange(0.4, 2.6, 0.02)]) / n
    losses = [
        n * lost(Multinomial(n, np.array([p, 1 - p])), np.array([p, 1 - p]), amount).mean
        for p in shares
    ]
    assert max(losses) == pytest.approx(worst, abs=3e-5)


# Every outcome of small bags, in plain Python


@cache
def outcomes(n, colours):
    """Return every way that n draws fall on the colours."""
    if colours == 1:
        return [(n,)]
    return [(c, *rest) for c in range(n + 1) for rest in outcomes(n - c, colours - 1)]


@cache
def listed(drawn, n, balls):
    """Return every possible outcome with its chance, an exact fraction."""
    total, chances = sum(balls), {}
    for counts in outcomes(n, len(balls)):
        if drawn is with_replacement:
            ways = Fraction(factorial(n), prod(map(factorial, counts)))
            chance = ways * prod(
                Fraction(b, total) ** c for b, c in zip(balls, counts, strict=True)
            )
        else:
            ways = prod(comb(b, c) for b, c in zip(balls, counts, strict=True))
            chance = Fraction(ways, comb(total, n))
        if chance:
            chances[counts] = chance
    assert sum(chances.values()) == 1
    return chances


def plain_kl(p, q):
    if any(a > 0 and b == 0 for a, b in zip(p, q, strict=True)):
        return inf
    return fsum(a * log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def shares(counts, amount=0.0):
    total = sum(counts) + len(counts) * amount
    return [(c + amount) / total for c in counts]


def named(amount):
    return lambda counts: shares(counts, AMOUNTS[amount](sum(counts), len(counts)))


def filled(fit):
    return lambda counts, q: plain_kl(fit(counts), q)


def corrected(colours_of):
    return lambda c, q: plain_kl(shares(c), q) - (colours_of(c) - 1) / (2 * sum(c))


ESTIMATORS = {
    "counting": (counting(), filled(shares)),
    "known": (MillerMadow(), corrected(len)),
    "observed": (
        MillerMadow(colours="observed"),
        corrected(lambda c: sum(count > 0 for count in c)),
    ),
    **{f"{amount}": (learned(amount), filled(named(amount))) for amount in AMOUNTS},
}
LOSSES = {
    "counting": (loss(), shares),
    **{f"{amount}": (loss(amount), named(amount)) for amount in AMOUNTS},
}
BAGS = [(10, 15), (5, 0), (1, 1, 1), (5, 0, 3), (1, 2, 3, 4), (7, 1, 1, 9), (5, 0, 3, 1, 2), (2,)]
ways = pytest.mark.parametrize("drawn", [with_replacement, without_replacement])
bags = pytest.mark.parametrize("balls", BAGS, ids=str)


def models(balls):
    """Return Qs beside a bag: its own, a uniform one, another, and one without a colour or two."""
    colours = len(balls)
    yield mix(balls)
    yield np.full(colours, 1 / colours)
    yield mix(range(1, colours + 1))
    if colours > 1:
        yield mix([1] * (colours - 1) + [0])
        yield mix([0] * (colours - 1) + [1])


def assert_agrees(found, chances, value_of):
    values = {counts: value_of(counts) for counts in chances}
    finite = [(float(chances[c]), v) for c, v in values.items() if not isinf(v)]
    infinite = float(sum(chances[c] for c, v in values.items() if isinf(v)))
    assert found.p_infinite == pytest.approx(infinite, abs=1e-14)
    if not finite:
        assert found == Exact(p_infinite=1.0)
        return
    weight = fsum(chance for chance, _ in finite)
    mean = fsum(chance * v for chance, v in finite) / weight
    sd = sqrt(fsum(chance * (v - mean) ** 2 for chance, v in finite) / weight)
    assert found.mean == pytest.approx(mean, rel=1e-12, abs=1e-14)
    if found.sd is None:
        assert sd < 1e-14  # nothing varies, and rounding hides that it is nothing
    else:
        assert found.sd == pytest.approx(sd, rel=1e-11, abs=1e-14)


@ways
@bags
@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimate_has_the_moments_of_all_its_outcomes(name, balls, drawn):
    estimator, value_of = ESTIMATORS[name]
    for n in (1, 2, 3, 6):
        if drawn is without_replacement and n > sum(balls):
            continue
        for q in models(balls):
            found = known(drawn(n, balls), estimator, q)
            assert_agrees(found, listed(drawn, n, balls), lambda c, q=q: value_of(c, q.tolist()))


@ways
@bags
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_has_the_moments_of_all_its_outcomes(name, balls, drawn):
    estimator, fit = LOSSES[name]
    p = mix(balls)
    for n in (1, 2, 3, 6):
        if drawn is without_replacement and n > sum(balls):
            continue
        found = known(drawn(n, balls), estimator, p, KL_LOSS)
        assert_agrees(found, listed(drawn, n, balls), lambda c: plain_kl(p.tolist(), fit(c)))


# More draws and colours than can be listed: every pair of counts


def pair_law(law, j, k):
    """Return P(c_j = a, c_k = b) for all a, b: one count, then the other among what is left."""
    n, every = law.size, np.arange(law.size + 1)
    if isinstance(law, Multinomial):
        first = stats.binom.pmf(every, n, law.p[j])
        rest = stats.binom.pmf(every, (n - every)[:, None], law.p[k] / (1 - law.p[j]))
    else:
        total, balls = int(law.balls.sum()), law.balls.astype(int)
        first = stats.hypergeom.pmf(every, total, balls[j], n)
        left = np.minimum(n - every, total - balls[j])[:, None]
        rest = stats.hypergeom.pmf(every, total - balls[j], balls[k], left)
    return first[:, None] * rest


def variance_by_pairs(law, g):
    """Return the variance of Σ g_k(c_k) from the joint law of each two counts."""
    colours, total = law.colours, 0.0
    means = np.zeros(colours)
    for j in range(colours):
        alone = pair_law(law, j, (j + 1) % colours).sum(axis=1)
        means[j] = alone @ g[j]
        total += alone @ (g[j] - means[j]) ** 2
    for j, k in combinations(range(colours), 2):
        total += 2 * (g[j] - means[j]) @ pair_law(law, j, k) @ (g[k] - means[k])
    return means.sum(), total


@pytest.mark.parametrize(
    "law",
    [
        with_replacement(40, (9, 3, 5, 4, 2, 1)),
        with_replacement(150, (1,) * 5),
        with_replacement(250, (90, 30, 20, 3)),
        without_replacement(40, (19, 13, 15, 14, 12)),
        without_replacement(150, (70, 50, 60, 30)),
        without_replacement(250, (300, 200, 50, 20)),
    ],
    ids=lambda law: f"{type(law).__name__}-{law.size}-{law.colours}",
)
@pytest.mark.parametrize(
    "estimator",
    [counting(), learned("laplace"), learned("minimax")],
    ids=["counting", "laplace", "minimax"],
)
def test_mean_and_sd_agree_with_those_from_every_pair_of_counts(estimator, law):
    n, colours = law.size, law.colours
    every = np.tile(np.arange(n + 1)[:, None], (1, colours))
    p = law.p if isinstance(law, Multinomial) else mix(law.balls)
    for q in (p, mix(range(2, colours + 2))):
        g = estimator.terms(every, n, Reference.known(q), KL).T
        mean, variance = variance_by_pairs(law, g)
        found = known(law, estimator, q)
        assert found.mean == pytest.approx(mean, rel=1e-10, abs=0)
        assert found.sd == pytest.approx(sqrt(variance), rel=1e-9, abs=0)


# Closed forms


class ChiSquare(Estimator):
    """Pearson's statistic over n: Σ (p̂ − q)²/q, whose mean and variance are known."""

    kind: Literal["chi_square"] = "chi_square"

    def terms(self, counts, size, reference, target):
        return (counts / size - reference.q) ** 2 / reference.q


class Linear(Estimator):
    """Σ p̂ ln(1/q): a mean of n values."""

    kind: Literal["linear"] = "linear"

    def terms(self, counts, size, reference, target):
        return -counts / size * np.log(reference.q)


@pytest.mark.parametrize("n", [1, 2, 30, 199, 200, 201, 5000, 10**5])
@pytest.mark.parametrize("colours", [3, 10, 40])
def test_pearsons_statistic_has_its_known_mean_and_variance(colours, n):
    p = mix(range(1, colours + 1))
    found = known(Multinomial(n, p), ChiSquare(), p)
    inverse = fsum(1 / p)
    variance = 2 * (colours - 1) + (inverse - colours**2 - 2 * colours + 2) / n
    assert found.mean == pytest.approx((colours - 1) / n, rel=1e-11, abs=0)
    assert found.sd == pytest.approx(sqrt(variance) / n, rel=1e-10, abs=0)


@pytest.mark.parametrize("n", [1, 10, 300, 590, 599, 600])
def test_pearsons_mean_shrinks_as_the_bag_empties(n):
    balls = (100, 200, 250, 50)
    found = known(without_replacement(n, balls), ChiSquare(), mix(balls))
    assert found.mean == pytest.approx(3 / n * (600 - n) / 599, rel=1e-11, abs=1e-16)


@ways
@pytest.mark.parametrize("n", [1, 7, 50, 99, 400])
def test_a_mean_of_draws_has_the_variance_of_one_over_n(n, drawn):
    balls, q = (100, 200, 50, 50, 100), mix((1, 2, 3, 4, 5))
    p = mix(balls)
    mean = p @ -np.log(q)
    variance = p @ (np.log(q) + mean) ** 2 / n
    left = 1.0 if drawn is with_replacement else (500 - n) / 499
    found = known(drawn(n, balls), Linear(), q)
    assert found.mean == pytest.approx(mean, rel=1e-12, abs=0)
    assert found.sd == pytest.approx(sqrt(variance * left), rel=1e-11, abs=0)


@ways
@pytest.mark.parametrize("n", [1, 4, 30, 150])
def test_the_bias_of_counting_does_not_depend_on_q(n, drawn):
    balls = (60, 30, 50, 20, 10)
    law, p = drawn(n, balls), mix(balls)
    own = known(law, counting(), p).mean
    for q in models(balls):
        if np.all(q > 0):
            bias = known(law, counting(), q).mean - float(KL(p, q))
            assert bias == pytest.approx(own, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("n", [1, 5, 60, 2000])
def test_miller_madow_takes_off_what_it_says_and_leaves_the_spread(n):
    balls, q = (8, 4, 2, 1, 1), mix((1, 2, 3, 4, 5))
    law, p = with_replacement(n, balls), mix(balls)
    raw, fixed = known(law, counting(), q), known(law, MillerMadow(), q)
    assert fixed.mean == pytest.approx(raw.mean - 4 / (2 * n), rel=1e-12, abs=1e-14)
    assert fixed.sd == pytest.approx(raw.sd, rel=1e-11, abs=0)
    seen = known(law, MillerMadow(colours="observed"), q)
    expected_colours = fsum(1 - (1 - p) ** n)
    correction = (expected_colours - 1) / (2 * n)
    assert seen.mean == pytest.approx(raw.mean - correction, rel=1e-12, abs=1e-14)


SERIES = [
    ("uniform", 3, 10**5), ("zipf", 3, 10**5), ("uniform", 10, 10**4), ("uniform", 10, 10**5),
    ("zipf", 10, 10**5), ("uniform", 100, 10**5), ("uniform", 1000, 10**6), ("zipf", 100, 10**6),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "colours", "n"), SERIES)
def test_the_bias_of_counting_follows_its_series(shape, colours, n):
    weights = np.ones(colours) if shape == "uniform" else 1 / np.arange(1, colours + 1)
    p = mix(weights)
    one, two, three = (fsum(p**-j) for j in (1, 2, 3))
    series = [
        (colours - 1) / (2 * n),
        (one - 1) / (12 * n**2),
        (two - one) / (12 * n**3),
    ]
    found = known(Multinomial(n, p), counting(), p)
    # the next term, with its leading factor 19 S₃/120; p is rounded in the sixteenth place
    beyond = 0.17 * three / n**4 + 2e-16
    assert abs(found.mean - fsum(series)) <= beyond
    assert beyond < series[1] / 50  # so that the second term is held too


@pytest.mark.parametrize("n", [10**3, 10**4, 10**5])
def test_the_variance_of_counting_follows_its_series(n):
    p = mix((5, 3, 2, 4))
    one, two = fsum(1 / p), fsum(p**-2.0)
    series = 3 / (2 * n**2) + (one - 1) / (6 * n**3)
    found = known(Multinomial(n, p), counting(), p).sd ** 2
    assert abs(found - series) <= two / n**4 + 1e-10 * series


def unseen(law):
    """Return the chance that some colour with balls is not drawn: inclusion and exclusion."""
    if isinstance(law, Multinomial):
        balls, none_of = law.p, lambda gone: (1 - gone) ** law.size
    else:
        balls, total = law.balls, int(law.balls.sum())
        none_of = lambda gone: comb(total - int(gone), law.size) / comb(total, law.size)  # noqa: E731
    alive = [float(b) for b in balls if b > 0]
    return fsum(
        (-1) ** (some + 1) * none_of(fsum(gone))
        for some in range(1, len(alive) + 1)
        for gone in combinations(alive, some)
    )


@pytest.mark.parametrize(
    "law",
    [
        *(with_replacement(n, (4, 3, 2, 1)) for n in (1, 3, 4, 9, 30, 200, 1000)),
        *(with_replacement(n, (30, 0, 30, 30, 9, 1)) for n in (2, 20, 250)),
        *(without_replacement(n, (4, 3, 2, 1)) for n in (1, 4, 7, 9, 10)),
        *(without_replacement(n, (300, 250, 250, 2)) for n in (4, 300, 799, 801)),
    ],
    ids=lambda law: f"{type(law).__name__}-{law.size}-{law.colours}",
)
def test_a_counted_model_is_infinite_where_a_colour_is_not_drawn(law):
    p = law.p if isinstance(law, Multinomial) else mix(law.balls)
    found = lost(law, p)
    assert 0 <= found.p_infinite <= 1
    assert found.p_infinite == pytest.approx(unseen(law), abs=2e-15)
    assert (found.mean is None) == (found.p_infinite == 1)


def test_counting_is_infinite_where_q_lacks_a_drawn_colour():
    p, q, n = mix((16, 3, 1)), mix((1, 1, 0)), 40
    found = known(Multinomial(n, p), counting(), q)
    assert found.p_infinite == pytest.approx(1 - 0.95**n, abs=1e-15)
    # given that the third colour stays away, the first two are drawn as from a bag of their own
    alone = known(with_replacement(n, (16, 3)), counting(), mix((1, 1)))
    assert found.mean == pytest.approx(alone.mean, rel=1e-12, abs=0)
    assert found.sd == pytest.approx(alone.sd, rel=1e-11, abs=0)


def test_a_third_colour_without_balls_changes_nothing():
    for n in (1, 10, 100, 1000):
        two = known(with_replacement(n, (10, 15)), counting(), mix((1, 2)))
        three = known(with_replacement(n, (10, 15, 0)), counting(), mix((1, 2, 0)))
        assert three.mean == pytest.approx(two.mean, rel=1e-12, abs=0)
        assert three.sd == pytest.approx(two.sd, rel=1e-11, abs=0)


# What is not exactly known is left out


def test_an_emptied_bag_is_known_for_certain():
    balls = (4, 3, 2, 1)
    assert known(without_replacement(10, balls), counting(), mix(balls)) == Exact(
        pytest.approx(0, abs=1e-16), 0.0, 0.0
    )


def test_without_a_law_or_a_known_model_nothing_is_known():
    p, law = mix((10, 15)), with_replacement(10, (10, 15))
    assert known(None, counting(), p) == UNKNOWN
    assert exact(law, counting(), None, KL) == UNKNOWN


@pytest.mark.parametrize("balls", [(10, 15), (10, 15, 5)], ids=str)
def test_one_row_of_counts_of_q_is_no_law_of_them(balls):
    counted = Reference.counted(np.array([balls]))
    assert exact(with_replacement(10, balls), counting(), counted, KL) == UNKNOWN


class Largest(Estimator):
    """The largest share: no sum over colours."""

    kind: Literal["largest"] = "largest"

    def estimate(self, counts, reference, target):
        return counts.max(axis=-1) / counts.sum(axis=-1)


def test_an_estimate_that_is_no_sum_is_known_for_two_colours_only():
    found = known(with_replacement(3, (1, 1)), Largest(), mix((1, 1)))
    assert found.mean == pytest.approx(0.25 * 1 + 0.75 * 2 / 3, rel=1e-14, abs=0)
    assert known(with_replacement(3, (1, 1, 1)), Largest(), mix((1, 1, 1))) == UNKNOWN


class Undefined(Estimator):
    """Undefined where a colour was drawn exactly twice."""

    kind: Literal["undefined"] = "undefined"

    def terms(self, counts, size, reference, target):
        return np.where(counts == 2, np.nan, counts * 1.0)


@pytest.mark.parametrize("balls", [(10, 15), (10, 15, 5), (5, 0, 0)])
def test_an_estimate_that_may_be_undefined_has_no_exact_value(balls):
    assert known(with_replacement(5, balls), Undefined(), mix((1,) * len(balls))) == (
        UNKNOWN if balls[1] else Exact(5.0, 0.0, 0.0)
    )


def test_beyond_the_most_work_a_value_is_null_never_an_approximation():
    every = with_replacement(10**12, (1, 1))
    low, high = every.window()
    assert high[0] - low[0] > MOST_WORK
    assert known(every, counting(), mix((1, 1))) == UNKNOWN

    wide = Multinomial(10**6, np.full(10**6, 1e-6))
    assert known(wide, counting(), wide.p) == UNKNOWN


def test_where_only_the_transform_is_too_much_work_the_mean_stays():
    n = colours = 20_000
    law = Multinomial(n, np.full(colours, 1 / colours))
    found = known(law, counting(), law.p)
    count = np.arange(100)
    terms = counting().terms(count[:, None], n, Reference.known(law.p[:1]), KL)[:, 0]
    assert found.mean == pytest.approx(
        n * stats.binom.pmf(count, n, 1 / n) @ terms, rel=1e-11, abs=0
    )
    assert (found.sd, found.p_infinite) == (None, 0.0)
    assert lost(law, law.p) == UNKNOWN  # infinite terms need the transform


@pytest.mark.parametrize(("colours", "n"), [(3, 3), (12, 13), (20, 21), (25, 26), (28, 29)])
def test_an_estimate_that_never_varies_where_finite_has_no_spread_of_rounding(colours, n):
    """All K colours seen in K or K + 1 draws of a uniform bag: one value only."""
    p = np.full(colours, 1 / colours)
    found = lost(Multinomial(n, p), p)
    if found.mean is not None:
        once = [1] * colours if n == colours else [2] + [1] * (colours - 1)
        assert found.mean == pytest.approx(plain_kl(p.tolist(), shares(once)), rel=1e-9, abs=1e-12)
        assert found.sd is None or found.sd < 1e-12


@pytest.mark.parametrize(("colours", "n"), [(26, 26), (28, 29), (30, 30), (31, 31), (33, 34)])
def test_what_is_almost_always_infinite_is_not_said_to_be_always(colours, n):
    p = np.full(colours, 1 / colours)
    onto = factorial(n) * (1 if n == colours else colours / 2)  # ways to draw every colour
    finite = onto / colours**n
    found = lost(Multinomial(n, p), p)
    assert found.p_infinite < 1
    assert 1 - found.p_infinite == pytest.approx(finite, rel=1e-9, abs=2e-16)


@pytest.mark.parametrize("step", [1e-2, 1e-4, 1e-6, 1e-8])
def test_the_sd_of_one_draw_is_right_however_little_it_varies(step):
    p, q = mix((1, 1, 1)), mix((1 + step, 1, 1 - step))
    value = -np.log(q)
    sd = sqrt(p @ (value - p @ value) ** 2)
    found = known(Multinomial(1, p), counting(), q)
    assert found.mean == pytest.approx(p @ value, rel=1e-12, abs=0)
    assert found.sd is None or found.sd == pytest.approx(sd, rel=1e-8, abs=0)


def test_rare_colours_keep_their_exact_values():
    """A colour with a chance of e⁻⁴⁰ a draw is drawn so often, and no oftener."""
    rare = exp(-40)
    p = np.array([0.5, 0.5 - rare, rare])
    found = known(Multinomial(1000, p), counting(), mix((1, 1, 0)))
    assert found.p_infinite == pytest.approx(1000 * rare, abs=2e-16)
    assert found.mean == pytest.approx(
        known(with_replacement(1000, (1, 1)), counting(), mix((1, 1))).mean, rel=1e-11, abs=0
    )


# In pieces


@pytest.mark.parametrize("balls", [(5, 3, 2), (1, 1, 1, 1, 1, 1, 1), (90, 8, 1, 1)], ids=str)
@pytest.mark.parametrize("drawn", [with_replacement, without_replacement])
@pytest.mark.parametrize("together", [1, 7])
def test_pieces_of_a_support_are_the_whole_one_cut_between_colours(balls, drawn, together):
    low, high = drawn(6, balls).window()
    whole = Support.of(low, high)
    assert whole is not None
    pieces = list(Support.pieces(low, high, together))
    assert len(pieces) > 1
    for name in ("colour", "count"):
        joined = np.concatenate([getattr(piece, name) for piece in pieces])
        np.testing.assert_array_equal(joined, getattr(whole, name))
    widest = int((high - low).max()) + 1
    assert all(len(piece.count) <= max(together, widest) for piece in pieces)


@pytest.mark.parametrize(
    ("estimator", "q"),
    [
        (counting(), (0.2, 0.3, 0.5)),
        (counting(), (0.5, 0.5, 0.0)),
        (learned("laplace"), (0.2, 0.3, 0.5)),
        (MillerMadow(), (0.2, 0.3, 0.5)),
        (MillerMadow(), (0.5, 0.5, 0.0)),
    ],
    ids=str,
)
def test_a_value_does_not_depend_on_how_many_counts_are_taken_together(monkeypatch, estimator, q):
    law = with_replacement(30, (5, 3, 2))
    whole = known(law, estimator, np.array(q))
    monkeypatch.setattr(sys.modules["sim.exact.one_sample"], "_AT_ONCE", 10)
    pieces = known(law, estimator, np.array(q))
    assert pieces.mean == pytest.approx(whole.mean, rel=1e-14)
    assert (pieces.sd, pieces.p_infinite) == (whole.sd, whole.p_infinite)


@pytest.mark.parametrize("n", [1, 2, 10, 200, 3000, 10**6])
@pytest.mark.parametrize("balls", [(1, 1, 1), (10**7, 3, 2), (10**6,) * 50], ids=str)
def test_no_law_is_turned_back_from_fewer_angles_than_are_counted_on(n, balls):
    laws = [with_replacement(n, balls), dirichlet_multinomial(min(n, 1000), mix(balls))]
    if n < sum(balls):
        laws.append(without_replacement(n, balls))
    for law in laws:
        for variance in (0.0, 1.0, 200.0, law.free_variance(), 1e3 * law.free_variance()):
            angles, _ = law.grid(variance)
            assert len(angles) >= LEAST_ANGLES or law.colours * (law.size + 1) < MOST_WORK / 26
