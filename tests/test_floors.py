"""The noise floor: exact where outcomes can be listed, calibrated where trials stand in."""

from __future__ import annotations

from itertools import product
from math import inf, log

import numpy as np
import pytest
from scipy import stats

import sim
from sim.answers.chances import order_statistics, proportion
from sim.answers.noise import noise_of
from sim.answers.outcomes import every_value, listed, number_of
from sim.answers.question import How
from sim.asked import InputFault
from sim.contracts.arrays import Reference
from sim.contracts.estimator import ESTIMATORS
from sim.divergences import KL
from sim.laws.counts import Hypergeometric, Multinomial

PLUG_IN = ESTIMATORS.build({"kind": "plug_in"})


def kl(p, q):
    """Return KL of two lists of numbers, written out anew."""
    parts = [a * log(a / b) if b else inf for a, b in zip(p, q, strict=True) if a]
    return sum(parts)


def values(floor):
    return {each.share: each.value for each in floor.quantiles}


def test_the_quantiles_of_100_draws_are_the_known_ones():
    known = {0.5: 0.00189203308295, 0.9: 0.0137050007882, 0.95: 0.0204109972601}
    known[0.99] = 0.0343760320616
    found = sim.noise_floor([10, 15], 100)
    assert found.exact
    assert values(found) == pytest.approx(known, rel=1e-11)


@pytest.mark.parametrize("n", [1, 7, 100, 2000])
@pytest.mark.parametrize("p", [0.4, 0.01])
@pytest.mark.parametrize("observed", [0.0, 1e-4, 0.004, 0.03, 0.5])
def test_the_p_value_of_two_colours_is_a_sum_of_binomial_chances(n, p, observed):
    found = sim.noise_floor([p, 1 - p], n, observed)
    counts = np.arange(n + 1)
    kls = np.array([kl((c / n, 1 - c / n), (p, 1 - p)) for c in counts])
    p_value = stats.binom.pmf(counts, n, p)[kls >= observed - 1e-13].sum()
    assert found.tail.p == pytest.approx(p_value, rel=1e-9, abs=1e-20)


def test_what_was_observed_counts_itself_although_it_is_rounded():
    n, c = 200, 90
    observed = kl((c / n, 1 - c / n), (0.4, 0.6))
    exact = sim.noise_floor([10, 15], n, observed).tail.p
    typed = float(f"{observed:.12g}")
    assert typed > observed
    assert sim.noise_floor([10, 15], n, typed).tail.p == exact
    beyond = sim.noise_floor([10, 15], n, observed * 1.0001).tail.p
    assert beyond < exact


def test_a_unit_changes_numbers_and_no_chance():
    nats, bits = (
        sim.noise_floor([1, 2], 30, u, unit=n) for n, u in (("nats", 0.03), ("bits", 0.03 / log(2)))
    )
    assert [q.value / log(2) for q in nats.quantiles] == pytest.approx(
        [q.value for q in bits.quantiles]
    )
    assert nats.tail.p == pytest.approx(bits.tail.p)
    assert nats.tail.chi_square == pytest.approx(bits.tail.chi_square)


@pytest.mark.parametrize(
    ("law", "chance"),
    [
        (Multinomial(7, np.array([0.5, 0.2, 0.3])), stats.multinomial(7, [0.5, 0.2, 0.3])),
        (
            Multinomial(6, np.array([0.1, 0.6, 0.1, 0.2])),
            stats.multinomial(6, [0.1, 0.6, 0.1, 0.2]),
        ),
        (Hypergeometric(5, np.array([3.0, 4, 2])), stats.multivariate_hypergeom([3, 4, 2], 5)),
        (Multinomial(4, np.array([0.5, 0.0, 0.5])), stats.multinomial(4, [0.5, 0.0, 0.5])),
    ],
    ids=["three colours", "four", "balls stay out", "a colour that never comes"],
)
def test_every_outcome_is_listed_once_with_its_chance(law, chance):
    counts, weights = (np.concatenate(column) for column in zip(*listed(law), strict=True))
    seen = {
        tuple(row): weight
        for row, weight in zip(counts.tolist(), weights / weights.sum(), strict=True)
    }
    assert len(seen) == len(counts) <= number_of(law)
    every = [c for c in product(range(law.size + 1), repeat=law.colours) if sum(c) == law.size]
    known = {c: float(chance.pmf(c)) for c in every}
    assert seen.keys() >= {c for c, weight in known.items() if weight > 0}
    for outcome, weight in seen.items():
        assert weight == pytest.approx(known[outcome], rel=1e-11, abs=1e-300)


def test_outcomes_without_a_chance_are_left_out_and_none_is_missed():
    law = Multinomial(5000, np.array([0.001, 0.002, 0.997]))
    found = every_value(law, PLUG_IN, Reference.known(law.p), KL)
    assert found is not None
    values, weights = found
    assert len(values) < 1e-2 * 5000**2 / 2
    mean = sum(
        stats.binom.pmf(np.arange(5001), 5000, p)
        @ np.nan_to_num(np.arange(5001) / 5000 * np.log(np.maximum(np.arange(5001), 1) / 5000 / p))
        for p in law.p
    )
    assert values @ weights == pytest.approx(mean, rel=1e-9)


def test_three_colours_are_held_to_multinomial_chances():
    p, n = (0.2, 0.3, 0.5), 12
    found = sim.noise_floor([2, 3, 5], n, 0.1)
    outcomes = [c for c in product(range(n + 1), repeat=3) if sum(c) == n]
    kls = np.array([kl([x / n for x in c], p) for c in outcomes])
    chances = stats.multinomial(n, p).pmf(outcomes)
    assert found.exact
    assert found.tail.p == pytest.approx(chances[kls >= 0.1].sum(), rel=1e-10)
    assert found.mean == pytest.approx(kls @ chances, rel=1e-10)
    order = np.argsort(kls)
    below = np.cumsum(chances[order])
    for share, value in values(found).items():
        assert value == pytest.approx(kls[order][np.searchsorted(below, share)], rel=1e-10)


@pytest.mark.parametrize("colours", [(0.4, 0.6), (0.2, 0.3, 0.5)], ids=["two", "three"])
def test_two_samples_are_held_to_a_double_sum(colours):
    n, m = 8, 5
    found = sim.noise_floor(list(colours), n, 0.3, two_sample=m)
    chance = {k: stats.multinomial(k, colours).pmf for k in (n, m)}
    pairs = [
        (kl([x / n for x in c], [x / m for x in d]), chance[n](c) * chance[m](d))
        for c in product(range(n + 1), repeat=len(colours)) if sum(c) == n
        for d in product(range(m + 1), repeat=len(colours)) if sum(d) == m
    ]  # fmt: skip
    assert found.exact
    assert found.model_size == m
    assert found.tail.p == pytest.approx(sum(w for value, w in pairs if value >= 0.3), rel=1e-10)
    lost = sum(w for value, w in pairs if value == inf)
    assert found.p_infinite == pytest.approx(lost, rel=1e-10)
    kept = sum(value * w for value, w in pairs if value < inf) / (1 - lost)
    assert found.mean == pytest.approx(kept, rel=1e-9)


def test_balls_that_stay_out_are_held_to_the_hypergeometric_law():
    found = sim.noise_floor({"red": 10, "blue": 15}, 20, 0.01, without_replacement=True)
    c = np.arange(5, 11)
    kls = np.array([kl((x / 20, 1 - x / 20), (0.4, 0.6)) for x in c])
    chances = stats.hypergeom(25, 10, 20).pmf(c)
    assert found.tail.p == pytest.approx(chances[kls >= 0.01].sum(), rel=1e-11)
    empty = sim.noise_floor([10, 15], 25, 0.01, without_replacement=True)
    assert (empty.mean, empty.tail.p, empty.tail.chi_square) == (
        pytest.approx(0, abs=1e-15),
        0,
        None,
    )


@pytest.mark.parametrize(
    ("balls", "n", "two"), [([2, 3], 50, None), ([2, 3], 20, 30), ([1, 2, 3], 15, None)]
)
def test_trials_agree_with_exact_values(balls, n, two):
    """Within 4.5 Monte Carlo errors, and the quantiles within their intervals at 0.99999."""
    exact = sim.noise_floor(balls, n, 0.02, two)
    drawn = sim.noise_floor(balls, n, 0.02, two, trials=20_000, seed=5, level=0.99999)
    assert (exact.exact, drawn.exact, drawn.trials) == (True, False, 20_000)
    assert abs(drawn.mean - exact.mean) < 4.5 * drawn.mean_mcse
    assert drawn.tail.low <= exact.tail.p <= drawn.tail.high
    for one, other in zip(exact.quantiles, drawn.quantiles, strict=True):
        assert other.low * (1 - 1e-9) <= one.value <= other.high * (1 + 1e-9)
        assert one.chi_square == other.chi_square


def test_intervals_by_trials_hold_the_exact_value_as_often_as_they_say():
    balls, n, observed, repeats = [3, 4, 5, 6], 30, 0.08, 1000
    exact = sim.noise_floor(balls, n, observed)
    held = dict.fromkeys([*values(exact), "p"], 0)
    for seed in range(repeats):
        drawn = sim.noise_floor(balls, n, observed, trials=600, seed=seed)
        held["p"] += drawn.tail.low <= exact.tail.p <= drawn.tail.high
        for one, other in zip(exact.quantiles, drawn.quantiles, strict=True):
            held[one.share] += other.low * (1 - 1e-9) <= one.value <= other.high * (1 + 1e-9)
    for what, number in held.items():
        assert 0.92 <= number / repeats <= 0.98, (what, number)


def test_no_hit_is_no_chance_of_0():
    assert proportion(0, 100_000, 0.95) == (0.0, pytest.approx(3e-5, rel=2e-3))
    assert proportion(100, 100, 0.95) == (pytest.approx(0.05 ** (1 / 100)), 1.0)
    found = sim.noise_floor([1] * 8, 400, 0.9).tail
    assert (found.p, found.low) == (0, 0)
    assert found.high == pytest.approx(3e-5, rel=2e-3)


def test_clopper_pearson_is_that_of_scipy():
    known = stats.binomtest(7, 300).proportion_ci(0.95, method="exact")
    assert proportion(7, 300, 0.95) == pytest.approx((known.low, known.high), rel=1e-9)


def test_an_order_statistic_stands_where_the_binomial_law_says():
    ascending = np.arange(1.0, 1001.0)
    value, low, high = order_statistics(ascending, 0.9, 0.95)
    law = stats.binom(1000, 0.9)
    assert value == 900
    assert law.cdf(low - 1) <= 0.025 < law.cdf(low)
    assert law.sf(high - 1) <= 0.025 < law.sf(high - 2)
    assert order_statistics(ascending[:100], 0.99, 0.95)[2] is None


@pytest.mark.parametrize(("colours", "size"), [(2, 10**6), (5, 10**6), (100, 10**7)])
def test_for_large_samples_the_floor_is_that_of_chi_square(colours, size):
    """Within 4 Monte Carlo errors; beside them an atom, for two colours, or (Σ 1/p)/6n."""
    found = sim.noise_floor([1] * colours, size, trials=None if colours == 2 else 20_000, seed=3)
    for each in found.quantiles:
        wilks = stats.chi2(colours - 1)
        assert each.chi_square == pytest.approx(wilks.ppf(each.share) / (2 * size), rel=1e-9)
        share = wilks.cdf(2 * size * each.value)
        if found.exact:
            bound = 2 * stats.binom.pmf(size // 2, size, 0.5)
        else:
            error = (each.share * (1 - each.share) / 20_000) ** 0.5
            bound = 4 * error + colours**2 / (6 * size)
        assert abs(share - each.share) < bound, each


def test_chi_square_of_two_samples_and_of_balls_that_stay_out_follows_their_variance():
    two = sim.noise_floor([1, 1], 4000, two_sample=1000, trials=20_000, seed=1)
    for each in two.quantiles:
        assert each.low * 0.97 <= each.chi_square <= each.high * 1.03
    out = sim.noise_floor([50_000, 50_000], 90_000, without_replacement=True)
    for each in out.quantiles:
        assert each.value == pytest.approx(each.chi_square, rel=0.02)


def test_no_chi_square_stands_beside_what_it_does_not_hold_for():
    for keys in (
        {"estimator": "miller_madow"},
        {"target": "js"},
        {"learner": {"kind": "james_stein"}},
    ):
        found = sim.noise_floor([1, 2], 20, 0.1, **keys)
        assert found.tail.chi_square is None
        assert {each.chi_square for each in found.quantiles} == {None}


@pytest.mark.parametrize("kind", [k for k in ESTIMATORS.kinds() if ESTIMATORS.member(k).one_sample])
def test_every_estimator_has_a_floor(kind):
    found = sim.noise_floor([1, 2, 3], 6, 0.1, estimator=kind)
    assert found.exact
    assert found.estimator == kind
    shares = [each.value for each in found.quantiles]
    assert shares == sorted(shares)


def test_undefined_estimates_are_told_and_left_out():
    found = sim.noise_floor([2, 3], 4, 0.1, two_sample=3, estimator="miller_madow")
    d = stats.binom(3, 0.4)
    none = d.pmf(0) * (1 - 0.6**4) + d.pmf(3) * (1 - 0.4**4)
    assert found.p_undefined == pytest.approx(none, rel=1e-10)
    assert 0 < found.tail.p < 1


def test_the_seed_decides_and_the_batches_do_not_lose_trials(monkeypatch):
    one, same, other = (sim.noise_floor([1] * 9, 99, 0.04, trials=5000, seed=s) for s in (1, 1, 2))
    assert one == same
    assert one.mean != other.mean
    told = []
    monkeypatch.setattr("sim.answers.noise._A_BATCH", 900)
    sim.noise_floor([1] * 9, 99, trials=250, watch=lambda done, total: told.append((done, total)))
    assert told == [(100, 250), (200, 250), (250, 250)]


@pytest.mark.parametrize(
    ("words", "arguments", "keys"),
    [
        ("size: expected a whole number from 1", ([1, 2], 0), {}),
        ("a whole number from 1 to 3; got 4", ([1, 2], 4), {"without_replacement": True}),
        ("whole numbers of balls", ([1.5, 2], 1), {"without_replacement": True}),
        ("observed: expected a number", ([1, 2], 4, float("nan")), {}),
        ("two_sample: expected a whole number", ([1, 2], 4, None, 2.5), {}),
        ("expected at least one ball", ([0, 0], 4), {}),
        ("balls.2: expected a number of balls", ([1, -2], 4), {}),
        ("expected a number of balls for each colour", ("10,15", 4), {}),
        ("0 where P = Q; got entropy", ([1, 2], 4), {"target": "entropy"}),
        ("unknown target 'lk'", ([1, 2], 4), {"target": "lk"}),
        ("did you mean 'plug_in'", ([1, 2], 4), {"estimator": "plugin"}),
        ("learner", ([1, 2], 4), {"learner": {"kind": "nobody"}}),
        ("nsb does not estimate kl from counts of Q", ([1, 2], 4, None, 4), {"estimator": "nsb"}),
        ("unit nats or bits", ([1, 2], 4), {"unit": "bans"}),
        ("trials: expected a whole number from 100", ([1, 2], 4), {"trials": 3}),
        ("seed: expected a whole number from 0", ([1, 2], 4), {"seed": -1}),
        ("level: expected a number above 0", ([1, 2], 4), {"level": 1}),
        ("would take too long", ([1] * 5000, 4), {"trials": 10**6}),
    ],
)  # fmt: skip
def test_a_fault_is_told_in_a_sentence(words, arguments, keys):
    with pytest.raises(InputFault) as fault:
        sim.noise_floor(*arguments, **keys)
    assert words in str(fault.value)


def test_an_estimator_that_raises_is_named(monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("by nothing")

    noise = noise_of([1, 2, 3], 5, None, False, How())
    monkeypatch.setattr(type(noise.estimator), "estimate", fail)
    with pytest.raises(InputFault, match="plug_in fails on counts that may come: by nothing"):
        sim.noise_floor([1, 2, 3], 5)
