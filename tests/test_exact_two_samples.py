"""Exact values of two samples: every pair of outcomes, closed forms, draws, and no guess."""

from __future__ import annotations

from functools import cache
from itertools import combinations, product
from math import comb, fsum, sqrt
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from members import multinomial, outcomes
from scipy.special import gammaln

from sim.contracts.arrays import Reference
from sim.contracts.estimator import ESTIMATORS, Estimator
from sim.divergences import KL, NAMES, Divergence, divergence
from sim.exact import UNKNOWN, Exact, exact
from sim.exact.crosses import Cross
from sim.exact.values import Support
from sim.laws import (
    CountLaw,
    Hypergeometric,
    JointLaw,
    Multinomial,
    dirichlet_multinomial,
    multinomial_mixture,
    poisson_binomial,
)

SIGMAS = 4.5
quick = settings(deadline=None, derandomize=True, max_examples=30)


def mix(*balls: float) -> np.ndarray:
    return np.array(balls, dtype=np.float64) / sum(balls)


def target(name: str) -> Divergence:
    known = divergence(name)
    assert known is not None
    return known


def build(kind: str, **keys: Any) -> Any:
    return ESTIMATORS.build({"kind": kind, **keys})


LAPLACE = {"kind": "add_constant", "amount": "laplace"}
PLAIN = {"counted": {"kind": "relative_frequency"}, "laplace": LAPLACE}


# The laws, and every outcome of each with its chance, from textbook formulas


@cache
def replaced(n: int, *balls: int) -> tuple[CountLaw, np.ndarray, np.ndarray]:
    every = outcomes(n, len(balls))
    return Multinomial(n, mix(*balls)), every, multinomial(every, mix(*balls))


@cache
def kept_out(n: int, *balls: int) -> tuple[CountLaw, np.ndarray, np.ndarray]:
    every = outcomes(n, len(balls))
    ways = [np.prod([float(comb(b, c)) for b, c in zip(balls, row, strict=True)]) for row in every]
    law = Hypergeometric(n, np.array(balls, dtype=np.float64))
    return law, every, np.array(ways) / comb(sum(balls), n)


@cache
def urns(n: int, *balls: int) -> tuple[CountLaw, np.ndarray, np.ndarray]:
    """Return Pólya's urn: two balls of its colour go in with each one that comes out."""
    shapes = np.array(balls) / 2
    every = outcomes(n, len(balls))
    logs = gammaln(n + 1) + gammaln(shapes.sum()) - gammaln(n + shapes.sum())
    logs = logs + (gammaln(every + shapes) - gammaln(shapes) - gammaln(every + 1)).sum(axis=1)
    law = dirichlet_multinomial(n, shapes)
    assert law is not None
    return law, every, np.exp(logs)


@cache
def mixed(n: int, *balls: int) -> tuple[CountLaw, np.ndarray, np.ndarray]:
    """Return the law of draws from one of two bags, the second turned round."""
    rows, weights = np.stack([mix(*balls), mix(*balls)[::-1]]), np.array([0.3, 0.7])
    every = outcomes(n, len(balls))
    law = multinomial_mixture(n, weights, rows)
    assert law is not None
    return (
        law,
        every,
        sum(w * multinomial(every, row) for w, row in zip(weights, rows, strict=True)),
    )


@cache
def changing(n: int, *balls: int) -> tuple[CountLaw, np.ndarray, np.ndarray]:
    """Return the law of draws from a bag into which a ball of each colour falls after each."""
    p = np.stack([mix(*(b + t for b in balls)) for t in range(n)])
    law = poisson_binomial(p)
    assert law is not None
    every = outcomes(n, len(balls))
    place = {tuple(row): index for index, row in enumerate(every.tolist())}
    chances = np.zeros(len(every))
    for colours in product(range(len(balls)), repeat=n):
        counts = np.bincount(colours, minlength=len(balls))
        chances[place[tuple(counts.tolist())]] += np.prod(p[np.arange(n), colours])
    return law, every, chances


LAWS = {"with": replaced, "without": kept_out, "urn": urns, "mixed": mixed, "changing": changing}
FIRST = {1: (5,), 2: (3, 4), 3: (2, 5, 3), 4: (4, 2, 3, 2)}
SECOND = {1: (7,), 2: (5, 4), 3: (3, 3, 4), 4: (3, 2, 5, 4)}
PAIRS = [
    ("with", 4, "with", 5),
    ("with", 3, "without", 8),
    ("without", 5, "with", 2),
    ("urn", 3, "without", 5),
    ("without", 2, "urn", 4),
    ("changing", 3, "with", 4),
    ("with", 4, "mixed", 3),
    ("mixed", 1, "changing", 1),
]
pairs = pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: "-".join(map(str, pair)))


# The estimators: each that reads counts of Q, with each target that it serves


def readers() -> list[tuple[str, Estimator, str]]:
    """Return name, estimator and target of all that is customarily asked of two samples."""
    found = []
    for kind in ESTIMATORS.kinds():
        for keys in ESTIMATORS.member(kind).customary():
            one = ESTIMATORS.build({"kind": kind, **keys})
            if not one.two_samples or one.slow:
                continue
            plain = keys.get("learner", {}).get("amount", 1) in (1, "laplace")
            every = [*NAMES, "renyi(0.5)"] if plain else ["kl"]
            words = [
                v.get("amount", v["kind"]) if isinstance(v, dict) else v for v in keys.values()
            ]
            label = "-".join([kind, *map(str, words)])
            found += [(label, one, name) for name in sorted(one.serves or every)]
    return found


READERS = readers()
each_reader = pytest.mark.parametrize(
    ("estimator", "name"),
    [pytest.param(one, name, id=f"{label}-{name}") for label, one, name in READERS],
)


def additive(estimator: Estimator, wanted: Divergence) -> bool:
    one = np.ones((1, 2), dtype=np.int64)
    with np.errstate(all="ignore"):
        return estimator.terms(one, 2, Reference.counted(one), wanted) is not None


def all_estimates(estimator: Estimator, wanted: Divergence, first: Any, second: Any) -> Any:
    """Return the estimate of each pair of outcomes that may come, and its chance."""
    (_, c, w), (_, d, v) = first, second
    i, j = np.meshgrid(np.flatnonzero(w > 0), np.flatnonzero(v > 0), indexing="ij")
    i, j = i.ravel(), j.ravel()
    with np.errstate(all="ignore"):
        values = estimator.estimate(c[i], Reference.counted(d[j]), wanted)
    return values, w[i] * v[j]


def assert_agrees(found: Exact, estimator: Estimator, wanted: Divergence, first: Any, second: Any):
    """Hold what is exactly known against all outcomes; null only where it must be."""
    values, chances = all_estimates(estimator, wanted, first, second)
    assert fsum(chances) == pytest.approx(1, abs=1e-12)
    few = first[0].colours <= 2
    if np.isnan(values).any() or not (few or additive(estimator, wanted)):
        assert found == UNKNOWN
        return
    finite = np.isfinite(values)
    joint = isinstance(first[0], JointLaw) and isinstance(second[0], JointLaw)
    if not (finite.all() or few or joint):
        assert found == UNKNOWN
        return
    kept = fsum(chances[finite])
    assert found.p_infinite == pytest.approx(fsum(chances[~finite]), abs=1e-12)
    if not finite.any() or not (finite.all() or few or estimator.separable(wanted)):
        assert found.mean is None
        return
    mean = fsum(chances[finite] * values[finite]) / kept
    assert found.mean == pytest.approx(mean, rel=1e-10, abs=1e-12)
    if not few:
        assert found.sd is None
        return
    sd = sqrt(fsum(chances[finite] * (values[finite] - mean) ** 2) / kept)
    assert found.sd == pytest.approx(sd, rel=1e-9, abs=1e-8 * sqrt(1e-16 + mean**2))


@pairs
@each_reader
def test_an_estimate_of_two_samples_has_the_moments_of_all_pairs_of_outcomes(estimator, name, pair):
    one, n, other, m = pair
    for colours in FIRST:
        first = LAWS[one](min(n, sum(FIRST[colours])), *FIRST[colours])
        second = LAWS[other](min(m, sum(SECOND[colours])), *SECOND[colours])
        found = exact(first[0], estimator, second[0], target(name))
        assert_agrees(found, estimator, target(name), first, second)


@pytest.mark.parametrize(
    ("balls", "others"),
    [
        ((3, 0, 4), (2, 5, 1)),
        ((3, 1, 4), (2, 0, 1)),
        ((3, 0, 4, 1), (2, 0, 1, 0)),
        ((0, 4), (4, 0)),
    ],
    ids=str,
)
@pytest.mark.parametrize("kinds", [("with", "with"), ("with", "without")], ids="-".join)
@pytest.mark.parametrize("name", ["kl", "reverse_kl", "chi_square", "jeffreys", "js", "entropy"])
@pytest.mark.parametrize("learner", PLAIN)
def test_colours_that_one_of_the_two_never_shows_have_their_share(
    learner, name, kinds, balls, others
):
    estimator = build("plug_in", learner=PLAIN[learner])
    first, second = LAWS[kinds[0]](4, *balls), LAWS[kinds[1]](3, *others)
    found = exact(first[0], estimator, second[0], target(name))
    assert_agrees(found, estimator, target(name), first, second)


@pytest.mark.parametrize("kind", ["jackknife", "miller_madow"])
@pytest.mark.parametrize("name", ["kl", "entropy", "cross_entropy"])
def test_where_every_colour_is_surely_drawn_twice_from_q_nothing_is_undefined(kind, name):
    """Of 4 + 5 + 6 balls 12 are taken, so that at least one, two or three of each are."""
    first, second = replaced(3, 2, 5, 3), kept_out(13, 4, 5, 6)
    assert second[1][second[2] > 0].min() == 2
    found = exact(first[0], build(kind), second[0], target(name))
    assert_agrees(found, build(kind), target(name), first, second)
    assert found.mean is not None


# The cross of few terms against every pair of counts

SEPARABLE = [
    pytest.param(one, name, id=f"{label}-{name}")
    for label, one, name in READERS
    if additive(one, target(name)) and one.separable(target(name))
]


@st.composite
def spans(draw: st.DrawFn) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Draw first and last counts of a few colours in both samples; many do not touch 0."""
    low = st.one_of(st.just(0), st.integers(1, 3), st.integers(20, 400))
    span = st.tuples(low, st.integers(0, 9)).map(lambda pair: (pair[0], sum(pair)))
    number = draw(st.integers(1, 4))
    return tuple(draw(st.lists(span, min_size=number, max_size=number)) for _ in range(2))


def by_pairs(term: Any, first: Support, other: Support, w: Any, v: Any) -> tuple[Any, Any]:
    """Return each colour's sums over pairs with finite terms: of the weights, of weight × term."""
    weight, part = [], []
    for colour in range(len(first.starts)):
        c, d = (s.count[s.colour == colour] for s in (first, other))
        pairs = np.outer(w[first.colour == colour], v[other.colour == colour])
        terms = term(np.repeat(c, len(d)), np.tile(d, len(c))).reshape(pairs.shape)
        finite = np.isfinite(terms)
        weight.append(pairs[finite].sum())
        part.append((pairs[finite] * terms[finite]).sum())
    return np.array(weight), np.array(part)


@pytest.mark.parametrize(("estimator", "name"), SEPARABLE)
@quick
@given(both=spans(), seed=st.integers(0, 9))
def test_a_cross_holds_all_pairs_of_counts(estimator, name, both, seed):
    first, other = (Support.of(*(np.array(ends) for ends in zip(*s, strict=True))) for s in both)
    n, m = (int(sum(high for _, high in span)) + 1 for span in both)

    def term(c: np.ndarray, d: np.ndarray) -> np.ndarray:
        seen = Reference(colours=len(both[0]), counts=d[np.newaxis], size=m)
        with np.errstate(all="ignore"):
            terms = estimator.terms(c[np.newaxis], n, seen, target(name))
        return np.broadcast_to(terms[0], c.shape)

    cross = Cross.of(term, first, other)
    if np.isnan(cross.edges).any() or not cross.inside_known:
        assert estimator.kind in ("jackknife", "miller_madow")  # no cross is made of these
        return
    rng = np.random.default_rng(seed)
    w, v = (
        rng.random(len(s.count)) * np.exp(1j * rng.random(len(s.count))) for s in (first, other)
    )
    found = cross.sums(cross.first.sums(w[:, np.newaxis]), cross.other.sums(v[:, np.newaxis]))
    expected = by_pairs(term, first, other, w, v)
    for one, sums in zip(found, expected, strict=True):
        size = 1 + abs(sums).max()
        assert one[:, 0, 0] == pytest.approx(sums, rel=1e-9, abs=1e-10 * size)


def direct(law: CountLaw, second: CountLaw, estimator: Estimator, wanted: Divergence) -> float:
    """Return the mean of an additive estimator by its double sum, colour by colour."""
    total = []
    for colour in range(law.colours):
        c, d = (
            np.arange(low[colour], high[colour] + 1)
            for low, high in (law.window(), second.window())
        )
        w = law.pmf(np.full_like(c, colour), c)
        v = second.pmf(np.full_like(d, colour), d)
        seen = Reference(
            colours=law.colours, counts=np.tile(d, len(c))[np.newaxis], size=second.size
        )
        terms = estimator.terms(np.repeat(c, len(d))[np.newaxis], law.size, seen, wanted)
        total.append(w @ np.reshape(terms, (len(c), len(d))) @ v)
    return fsum(total)


FAR = [
    (Multinomial(2000, mix(5, 3, 2)), Multinomial(3000, mix(4, 4, 2))),
    (Multinomial(2000, mix(5, 3, 0.01)), Multinomial(3000, mix(4, 4, 0.5))),
    (Multinomial(2000, mix(5, 0, 2)), Multinomial(3000, mix(4, 4, 2))),
    (Hypergeometric(900, np.array([300.0, 300, 400])), Multinomial(3000, mix(1, 1, 1))),
    (Multinomial(30, mix(5, 3, 2)), Multinomial(3000, mix(4, 4, 2))),
    (Multinomial(2500, mix(*range(20, 30))), Multinomial(2500, mix(*range(30, 20, -1)))),
]  # fmt: skip


@pytest.mark.parametrize(("law", "second"), FAR, ids=range(len(FAR)))
@pytest.mark.parametrize(("estimator", "name"), SEPARABLE)
def test_far_from_nothing_the_cross_is_the_double_sum(estimator, name, law, second):
    wanted = target(name)
    found = exact(law, estimator, second, wanted)
    with np.errstate(all="ignore"):
        expected = direct(law, second, estimator, wanted)
    if not np.isfinite(expected):
        infinite = name == "reverse_kl" and law.window()[0].min() == 0
        assert infinite or found == UNKNOWN
        return
    assert found.p_infinite == 0
    assert found.mean == pytest.approx(expected, rel=1e-9, abs=1e-12)


# More colours than can be listed, against draws


def zipf(colours: int, exponent: float = 1.0) -> np.ndarray:
    return mix(*(np.arange(1.0, colours + 1) ** -exponent))


def z_of(law: Any, second: Any, estimator: Estimator, wanted: Divergence, trials: int) -> Any:
    """Return the exact values, and how many errors the mean and the share of infinity are off."""
    rng = np.random.default_rng(12)
    c = rng.multinomial(law.n, law.p, trials)
    d = rng.multinomial(second.n, second.p, trials)
    with np.errstate(all="ignore"):
        values = estimator.estimate(c, Reference.counted(d), wanted)
    found = exact(law, estimator, second, wanted)
    finite = values[np.isfinite(values)]
    share = 1 - len(finite) / trials
    spread = sqrt(found.p_infinite * (1 - found.p_infinite) / trials)
    of_share = 0 if share == found.p_infinite else (share - found.p_infinite) / spread
    if found.mean is None:
        return found, None, of_share
    return found, (finite.mean() - found.mean) / (finite.std() / sqrt(len(finite))), of_share


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        *[(build("plug_in", learner=LAPLACE), name) for name in ("kl", "reverse_kl", "js")],
        *[(build("plug_in"), name) for name in ("js", "total_variation", "hellinger_squared")],
        *[(build("zhang_grabchak"), name) for name in ("kl", "entropy", "cross_entropy")],
        (build("augmented_plug_in"), "kl"),
        (build("bu_plug_in"), "kl"),
        (build("dirichlet_mean"), "kl"),
        (build("dirichlet_mean", amount=0.02), "cross_entropy"),
    ],
    ids=lambda value: getattr(value, "kind", value),
)
@pytest.mark.parametrize(
    ("colours", "n", "m", "trials"), [(100, 150, 400, 2000), (1000, 300, 2000, 300)]
)
def test_many_colours_have_the_mean_of_many_draws(estimator, name, colours, n, m, trials):
    law, second = Multinomial(n, zipf(colours)), Multinomial(m, zipf(colours, 0.5)[::-1])
    found, z, of_share = z_of(law, second, estimator, target(name), trials)
    assert (found.p_infinite, found.sd, of_share) == (0.0, None, 0)
    assert abs(z) <= SIGMAS


@pytest.mark.parametrize("name", ["kl", "chi_square", "reverse_kl", "cross_entropy", "jeffreys"])
@pytest.mark.parametrize(("n", "m"), [(20, 900), (900, 20), (900, 1000)])
def test_infinite_values_of_a_hundred_colours_come_as_often_as_in_draws(name, n, m):
    p = np.append(zipf(5) * 0.99, np.full(95, 0.01 / 95))
    law, second = Multinomial(n, p), Multinomial(m, np.append(zipf(5) * 0.9, np.full(95, 0.1 / 95)))
    found, z, of_share = z_of(law, second, build("plug_in"), target(name), 4000)
    assert 0 < found.p_infinite <= 1
    assert abs(of_share) <= SIGMAS
    if name == "jeffreys" or found.p_infinite > 1 - 1e-4:
        assert found.mean is None
    else:
        assert abs(z) <= SIGMAS


# Closed forms of Zhang and Grabchak's Z


def beyond(p: np.ndarray, start: int, weights: np.ndarray) -> float:
    """Return Σ weight Σ_{k ≥ start} (1 − p)^k/k."""
    every = []
    for share, weight in zip(p, weights, strict=True):
        k = np.arange(start, start + int(50 / share) + 2, dtype=np.float64)
        every += (weight * (1 - share) ** k / k).tolist()
    return fsum(every)


@pytest.mark.parametrize("n", [1, 2, 5, 30, 200, 1000])
@pytest.mark.parametrize(
    ("p", "q"),
    [
        (mix(2, 3), mix(1, 1)),
        (mix(1, 2, 7), mix(3, 3, 1)),
        (mix(1, 0, 7), mix(3, 3, 1)),
        (zipf(30), zipf(30)[::-1]),
        (mix(*[1] * 80), zipf(80)),
    ],
    ids=["2", "3", "3-one-without-a-ball", "30", "80"],
)
def test_the_bias_of_z_is_what_its_paper_says(p, q, n):
    alive = p > 0
    own = beyond(p[alive], n, p[alive])
    one = exact(Multinomial(n, p), build("zhang_grabchak"), Reference.known(q), KL)
    assert one.mean - KL(p, q) == pytest.approx(own, abs=1e-12)
    for m in (1, 3, 40, 700):
        two = exact(Multinomial(n, p), build("zhang_grabchak"), Multinomial(m, q), KL)
        bias = own - beyond(q[alive], m + 1, p[alive])
        assert two.mean - KL(p, q) == pytest.approx(bias, abs=1e-12)


@pytest.mark.parametrize("draws", [10**4, 10**6, 10**8])
def test_z_of_many_draws_has_no_bias(draws):
    p, q = mix(5, 3, 2), mix(1, 1, 1)
    law, second = Multinomial(draws, p), Multinomial(draws, q)
    found = exact(law, build("zhang_grabchak"), second, KL)
    assert found.mean == pytest.approx(float(KL(p, q)), abs=1e-12)


def test_counting_two_samples_has_the_bias_of_theory():
    p, q = mix(5, 3, 2), mix(2, 3, 4)
    for n, m in ((10**4, 10**6), (10**6, 10**4), (10**5, 10**5)):
        found = exact(Multinomial(n, p), build("plug_in"), Multinomial(m, q), KL)
        first_order = 2 / (2 * n) + (np.sum(p / q) - 1) / (2 * m)
        left = 2 / n**2 + 5 * np.sum(p / q**2) / m**2
        assert abs(found.mean - KL(p, q) - first_order) <= left + 1e-13


# How often an estimate is infinite


def unseen(n: int, p: np.ndarray) -> float:
    """Return the chance that a colour is not drawn: inclusion and exclusion."""
    return fsum(
        (-1) ** (some + 1) * (1 - fsum(gone)) ** n
        for some in range(1, len(p) + 1)
        for gone in combinations(p.tolist(), some)
    )


@pytest.mark.parametrize("colours", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("n", [1, 4, 9, 40, 120, 400])
def test_a_reverse_kl_is_infinite_where_a_colour_of_q_is_not_drawn(colours, n):
    p, q = mix(*range(1, colours + 1)), mix(*range(colours, 0, -1))
    found = exact(Multinomial(n, p), build("plug_in"), Reference.known(q), target("reverse_kl"))
    expected = unseen(n, p)
    if found.p_infinite is None:
        assert expected < 2e-12
    else:
        assert 0 <= found.p_infinite <= 1
        assert found.p_infinite == pytest.approx(expected, abs=2e-14)


@pytest.mark.parametrize(("colours", "n"), [(30, 60), (30, 300), (100, 700), (365, 2500)])
def test_all_colours_alike_are_all_drawn_as_often_as_coupons_say(colours, n):
    ways = sum((-1) ** j * comb(colours, j) * (colours - j) ** n for j in range(colours + 1))
    p = np.full(colours, 1 / colours)
    found = exact(Multinomial(n, p), build("plug_in"), Reference.known(p), target("reverse_kl"))
    assert 1 - found.p_infinite == pytest.approx(ways / colours**n, rel=1e-9, abs=1e-13)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (5, 3), (40, 60), (300, 500)])
def test_counting_is_infinite_where_q_lacks_what_p_shows(n, m):
    """P(finite) = Σ over what d lacks, by inclusion and exclusion over both samples."""
    p, q = mix(4, 3, 2, 1), mix(1, 2, 3, 2)
    finite = 0.0
    for some in range(4):
        for lacking in combinations(range(4), some):
            there = [k for k in range(4) if k not in lacking]
            just = fsum(  # exactly these colours are not drawn from Q
                (-1) ** more * fsum(q[k] for k in there if k not in gone) ** m
                for more in range(len(there))
                for gone in combinations(there, more)
            )
            finite += just * fsum(p[k] for k in there) ** n
    found = exact(Multinomial(n, p), build("plug_in"), Multinomial(m, q), KL)
    if found.p_infinite is None:
        assert 1 - finite < 2e-12
    else:
        assert found.p_infinite == pytest.approx(1 - finite, abs=1e-13)
    assert found.mean is not None


def test_a_chance_is_never_beyond_nothing_and_one():
    chances = []
    for colours, n in product((3, 26, 30, 60), (1, 5, 30, 199, 300)):
        law = Multinomial(n, np.full(colours, 1 / colours))
        for name in ("kl", "reverse_kl", "jeffreys"):
            for second in (law, Multinomial(1, law.p), Multinomial(4 * n, zipf(colours, 2))):
                found = exact(law, build("plug_in"), second, target(name))
                chances.append(found.p_infinite)
    known = [chance for chance in chances if chance is not None]
    assert len(known) > 40
    assert 0 <= min(known) <= max(known) <= 1


# What cannot be known is left out

THREE = Multinomial(6, mix(5, 3, 2)), Multinomial(8, mix(4, 4, 2))


@pytest.mark.parametrize(
    "estimator", [build("jackknife"), build("miller_madow")], ids=["jackknife", "miller_madow"]
)
def test_where_an_estimate_may_be_undefined_nothing_is_known(estimator):
    two = Multinomial(6, mix(5, 3)), Multinomial(8, mix(4, 4))
    for law, second in (two, THREE):
        assert exact(law, estimator, second, KL) == UNKNOWN
        entropy = exact(law, estimator, second, target("entropy"))
        alone = exact(law, estimator, Reference.known(second.p), target("entropy"))
        assert entropy.mean == pytest.approx(alone.mean, rel=1e-12)  # Q takes no part


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (build("plug_in", learner={"kind": "james_stein"}), "kl"),
        (build("plug_in", learner={"kind": "good_turing"}), "kl"),
        (build("plug_in", learner={"kind": "absolute_discounting"}), "kl"),
        (build("plug_in"), "js_distance"),
        (build("plug_in"), "renyi(2)"),
        (build("dirichlet_mixture"), "kl"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.kind,
)
def test_what_is_no_sum_over_colours_is_known_for_two_of_them_only(estimator, name):
    assert exact(*(THREE[0], estimator, THREE[1]), target(name)) == UNKNOWN
    law, second = Multinomial(3, mix(5, 3)), Multinomial(4, mix(4, 4))
    found = exact(law, estimator, second, target(name))
    values, chances = all_estimates(estimator, target(name), replaced(3, 5, 3), replaced(4, 4, 4))
    finite = np.isfinite(values)
    mean = fsum(chances[finite] * values[finite]) / fsum(chances[finite])
    assert found.mean == pytest.approx(mean, rel=1e-12)


@pytest.mark.parametrize("kind", ["nsb", "chao_shen", "grassberger", "bootstrap_corrected"])
def test_an_estimator_that_does_not_read_counts_of_q_is_not_known_beside_them(kind):
    for law, second in ((Multinomial(2, mix(1, 1)), Multinomial(3, mix(1, 1))), THREE):
        assert exact(law, build(kind), second, KL) == UNKNOWN


@pytest.mark.parametrize(
    "kind", ["zhang_grabchak", "plug_in", "augmented_plug_in", "dirichlet_mean"]
)
def test_without_the_law_of_both_samples_nothing_is_known(kind):
    assert exact(None, build(kind), THREE[1], KL) == UNKNOWN
    assert exact(THREE[0], build(kind), None, KL) == UNKNOWN


class Broken(Estimator):
    """It cannot bear a colour that was drawn six times from P."""

    kind: Literal["broken"] = "broken"

    def terms(self, counts, size, reference, target):
        if np.any(counts == 6):
            raise ValueError("six")
        return counts / size * reference.d


def test_an_estimator_that_fails_on_what_may_come_is_not_known():
    assert exact(THREE[0], Broken(), THREE[1], KL) == UNKNOWN
    fewer = Multinomial(5, THREE[0].p)
    expected = 8 * np.sum(THREE[0].p * THREE[1].p)
    assert exact(fewer, Broken(), THREE[1], KL).mean == pytest.approx(expected, rel=1e-12)


def test_beyond_the_most_work_a_mean_is_null_never_an_approximation():
    many = Multinomial(10**6, mix(5, 3, 2)), Multinomial(10**6, mix(4, 4, 2))
    assert exact(many[0], build("plug_in"), many[1], target("js")).mean is None
    assert exact(many[0], build("plug_in"), many[1], KL).mean is not None  # it comes apart
    huge = Multinomial(10**14, mix(5, 3, 2))
    assert exact(huge, build("plug_in"), many[1], KL) == UNKNOWN
    assert exact(many[0], build("plug_in"), huge, KL) == UNKNOWN
    wide = Multinomial(10**4, np.full(10**4, 1e-4))
    assert exact(wide, build("plug_in"), wide, KL) == UNKNOWN  # infinite terms need both angles
    assert exact(wide, build("zhang_grabchak"), wide, KL).mean is not None


def test_a_slow_estimator_is_listed_for_few_outcomes_only():
    slow = build("dirichlet_mixture")
    few = exact(Multinomial(2, mix(1, 1)), slow, Multinomial(3, mix(1, 2)), KL)
    assert few.mean is not None
    many = Multinomial(40, mix(1, 1))
    assert exact(many, slow, many, KL) == UNKNOWN
    assert exact(many, build("plug_in", learner=LAPLACE), many, KL).sd is not None


def test_a_second_sample_of_any_size_comes_closer_to_a_known_q():
    """With m → ∞ what is exact of two samples becomes what is exact of one."""
    p, q, n = mix(5, 3, 2), mix(4, 4, 2), 12
    for name in ("kl", "chi_square", "cross_entropy", "hellinger_squared", "js"):
        alone = exact(Multinomial(n, p), build("plug_in"), Reference.known(q), target(name)).mean
        off = [
            abs(
                exact(Multinomial(n, p), build("plug_in"), Multinomial(m, q), target(name)).mean
                - alone
            )
            for m in (10**3, 10**4, 10**5)
        ]
        assert off[0] > 5 * off[1] > 25 * off[2]
        assert off[2] < 1e-4


def test_entropy_beside_counts_is_entropy_beside_a_known_q():
    law, second = Multinomial(9, zipf(12)), Multinomial(5, zipf(12)[::-1])
    for kind in ("plug_in", "zhang_grabchak", "miller_madow", "jackknife", "dirichlet_mean"):
        two = exact(law, build(kind), second, target("entropy"))
        one = exact(law, build(kind), Reference.known(second.p), target("entropy"))
        assert (two.mean, two.p_infinite) == (pytest.approx(one.mean, rel=1e-12), 0.0)
