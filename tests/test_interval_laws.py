"""The laws that hold for every interval: bounds come out, in order, whatever counts go in."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise
from math import inf, log
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from members import Case, cases, tables, those
from scipy.stats import beta, bootstrap

from sim.contracts.arrays import Reference
from sim.contracts.estimator import ESTIMATORS
from sim.contracts.interval import INTERVALS, Bounds, Sample, covers
from sim.contracts.replicates import _drawn_anew
from sim.divergences import ENTROPY, KL, NAMES, TARGETS, divergence
from sim.exact import Stated, coverage
from sim.intervals.bootstrap_bca import _acceleration
from sim.laws import Multinomial
from sim.multinomial import multinomial_tally

few_examples = settings(deadline=None, derandomize=True, max_examples=15)
every_interval = pytest.mark.parametrize("case", cases(INTERVALS))
every_random_one = pytest.mark.parametrize("case", those(INTERVALS, lambda one: one.random))
every_other = pytest.mark.parametrize("case", those(INTERVALS, lambda one: not one.random))
every_two_sample_one = pytest.mark.parametrize(
    "case", those(INTERVALS, lambda one: one.two_samples)
)
COUNTING = ESTIMATORS.build({"kind": "plug_in"})
JACKKNIFE = ESTIMATORS.build({"kind": "jackknife"})


def few(case: Case, number: int = 99) -> Any:
    """Return a member; one from replicates has as few as it may have, or so many."""
    fields = INTERVALS.member(case.kind).model_fields
    fewer = {name: number for name in ("resamples", "draws") if name in fields}
    return INTERVALS.build({**case.data, **fewer})


def fits(interval: Any, sample: Sample) -> bool:
    counted = sample.reference.counts is not None
    return interval.misfit(sample.target, sample.counts.shape[1], counted=counted) is None


def bounds(interval: Any, sample: Sample, level=0.95, estimator=COUNTING, seed=3) -> Bounds:
    with np.errstate(all="ignore"):
        return interval.bounds(estimator, sample, level, np.random.default_rng(seed))


def one_sample(counts: Any, q: Any, target=KL) -> Sample:
    mix = np.asarray(q, dtype=np.float64)
    return Sample(np.asarray(counts, dtype=np.int64), Reference.known(mix / mix.sum()), target)


def two_samples(counts: Any, other: Any, target=KL) -> Sample:
    seen = Reference.counted(np.asarray(other, dtype=np.int64))
    return Sample(np.asarray(counts, dtype=np.int64), seen, target)


def same(one: Bounds, other: Bounds, rows: Any = slice(None)) -> bool:
    return all(
        np.array_equal(a[rows], b, equal_nan=True)
        for a, b in zip(vars(one).values(), vars(other).values(), strict=True)
    )


SAMPLES = {
    "two colours": one_sample([[3, 7], [10, 0], [5, 5], [0, 10]], (2, 3)),
    "three colours": one_sample([[3, 7, 2], [12, 0, 0], [0, 6, 6]], (1, 2, 3)),
    "one draw": one_sample([[1, 0], [0, 1]], (1, 1)),
    "one colour": one_sample([[4], [4]], (1,)),
    "an impossible colour": one_sample([[3, 7, 0], [3, 6, 1]], (2, 3, 0)),
    "many draws": one_sample([[10**9 + 7, 10**9], [1, 2 * 10**9 + 6]], (1, 1)),
    "a rare colour": one_sample([[9, 1], [10, 0]], (1, 1e-12)),
    "two samples": two_samples([[3, 7], [10, 0], [5, 5]], [[2, 2], [4, 0], [1, 3]]),
    "one draw of each": two_samples([[1, 0], [0, 1]], [[1, 0], [1, 0]]),
    "sparse samples": two_samples([[3, 0, 1], [0, 2, 2]], [[1, 0, 2], [0, 2, 1]]),
    "no trials": one_sample(np.zeros((0, 2)), (1, 1)),
}
every_sample = pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)


# what comes out


@every_sample
@every_interval
@pytest.mark.parametrize("estimator", [COUNTING, JACKKNIFE], ids=lambda e: e.kind)
def test_bounds_are_three_numbers_a_trial_in_order(case, sample, estimator):
    interval = few(case)
    if not fits(interval, sample):
        return
    found = bounds(interval, sample, estimator=estimator)
    for values in vars(found).values():
        assert values.shape == (len(sample.counts),)
        assert values.dtype == np.float64
    known = ~np.isnan(found.lower)
    assert np.array_equal(known, ~np.isnan(found.upper))
    assert np.all(found.lower[known] <= found.upper[known])
    assert not np.any(found.se < 0)


@every_interval
@few_examples
@given(counts=tables(least_colours=2), data=st.data())
def test_whatever_the_counts_bounds_come_in_order(case, counts, data):
    colours = counts.shape[1]
    q = data.draw(st.lists(st.sampled_from([0, 1, 1, 3]), min_size=colours, max_size=colours))
    sample = one_sample(counts, q if any(q) else [1] * colours)
    interval = few(case)
    if fits(interval, sample):
        found = bounds(interval, sample)
        assert not np.any(found.lower > found.upper)
        assert found.lower.shape == (len(counts),)


@every_interval
@pytest.mark.parametrize("target", NAMES)
def test_every_target_that_an_interval_serves_gets_finite_bounds(case, target):
    interval, known = few(case), divergence(target)
    served = interval.serves is None or target in interval.serves
    served = served or (target == "renyi(2)" and "renyi(a)" in interval.serves)
    assert (interval.misfit(known, 2, counted=False) is None) == served
    if served:
        found = bounds(interval, one_sample([[5, 9], [9, 4]], (1, 2), known))
        assert np.all(np.isfinite([found.lower, found.upper]))
        assert np.all(found.lower < found.upper)


@every_interval
def test_a_misfit_names_what_does_not_fit(case):
    interval = few(case)
    if interval.serves is not None:
        assert "entropy" in (interval.misfit(ENTROPY, 2, counted=False) or "entropy")
        assert (interval.misfit(ENTROPY, 2, counted=False) is None) == (
            "entropy" in interval.serves
        )
    if not interval.two_samples:
        assert "a known Q only" in interval.misfit(KL, 2, counted=True)
    else:
        assert interval.misfit(KL, 2, counted=True) is None


def test_an_interval_of_one_proportion_takes_two_colours_only():
    clopper_pearson = INTERVALS.build("clopper_pearson")
    assert clopper_pearson.misfit(KL, 2, counted=False) is None
    assert clopper_pearson.misfit(divergence("renyi(0.5)"), 2, counted=False) is None
    for colours in (1, 3):
        fault = clopper_pearson.misfit(KL, colours, counted=False)
        assert fault == f"clopper_pearson takes two colours only; got {colours}"


# what it follows from


@every_random_one
@pytest.mark.parametrize("counted", [False, True], ids=["one sample", "two samples"])
def test_the_first_trials_do_not_depend_on_how_many_follow(case, counted, monkeypatch):
    interval = few(case)
    rng = np.random.default_rng(8)
    counts, other = (rng.multinomial(30, (0.2, 0.3, 0.5), size=7) for _ in range(2))

    def first(trials: int) -> Bounds:
        if counted:
            return bounds(interval, two_samples(counts[:trials], other[:trials]))
        return bounds(interval, one_sample(counts[:trials], (1, 1, 1)))

    whole = first(7)
    assert same(whole, first(7))
    assert same(whole, first(3), slice(3))
    # nor on how the work is cut: a trial or less at once
    monkeypatch.setattr("sim.contracts.replicates._TOGETHER", 40)
    assert same(whole, first(7))


@every_random_one
def test_another_stream_gives_other_bounds(case):
    sample = one_sample([[8, 12], [3, 17]], (1, 1))
    interval = few(case)
    assert not same(bounds(interval, sample, seed=1), bounds(interval, sample, seed=2))


@every_random_one
def test_a_million_numbers_stay_within_their_memory(case):
    sample = one_sample(np.full((300, 40), 3), np.ones(40))
    tracemalloc.start()
    bounds(few(case), sample)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 64 * 2**20


@every_other
@every_sample
def test_an_interval_that_is_not_random_ignores_the_stream(case, sample):
    interval = few(case)
    if fits(interval, sample):
        assert same(bounds(interval, sample, seed=1), bounds(interval, sample, seed=2))


@every_other
@few_examples
@given(counts=tables(least_colours=2), data=st.data())
def test_the_order_of_the_colours_is_of_no_account(case, counts, data):
    colours = counts.shape[1]
    order = data.draw(st.permutations(range(colours)))
    q = np.arange(1.0, colours + 1)
    interval = few(case)
    if fits(interval, one_sample(counts, q)):
        one = bounds(interval, one_sample(counts, q))
        other = bounds(interval, one_sample(counts[:, order], q[order]))
        for name in ("lower", "upper"):
            known = pytest.approx(getattr(one, name), rel=1e-7, abs=1e-11, nan_ok=True)
            assert getattr(other, name) == known


@every_sample
@every_interval
def test_a_higher_level_is_never_narrower(case, sample):
    interval = few(case)
    if not fits(interval, sample):
        return
    found = [bounds(interval, sample, level) for level in (0.5, 0.8, 0.95, 0.99, 0.9999)]
    for one, wider in pairwise(found):
        assert not np.any(wider.lower > one.lower * (1 + 1e-12 * np.sign(one.lower)))
        assert not np.any(wider.upper < one.upper * (1 - 1e-12 * np.sign(one.upper)))


@every_interval
def test_an_interval_travels_with_the_scale_of_its_target(case):
    interval = few(case)
    if not fits(interval, one_sample([[3, 7]], (1, 1))):
        return
    first = bounds(interval, one_sample([[30, 70]] * 3, (1, 1)))
    assert np.all(first.upper < log(2))  # nats: no KL from two colours alike is above that
    assert np.all(first.upper > KL(np.array([0.3, 0.7]), np.array([0.5, 0.5])))


# infinities and zeros


@every_interval
def test_a_colour_that_cannot_come_has_an_infinite_interval_or_none(case):
    interval = few(case)
    found = bounds(interval, one_sample([[3, 7], [0, 4]], (0, 1)))
    assert np.isnan(found.lower[0]) or found.lower[0] == inf
    assert np.isnan(found.upper[0]) or found.upper[0] == inf


@every_two_sample_one
def test_q_from_very_many_draws_is_like_q_known(case):
    interval = few(case, 4000)
    counts = [[400, 600], [550, 450], [300, 700]]
    near = bounds(interval, two_samples(counts, [[10**11, 10**11]] * 3), seed=5)
    known = bounds(interval, one_sample(counts, (1, 1)), seed=6)
    # a quantile at 2.5 % of 4000 replicates has an error of .042 sd, .011 of the width
    away = (known.upper - known.lower) * (0.07 if interval.random else 1e-4)
    assert np.all(np.abs(near.lower - known.lower) < away)
    assert np.all(np.abs(near.upper - known.upper) < away)


def test_a_missing_interval_holds_nothing():
    nan = np.array([np.nan])
    assert not covers(nan, nan, 0.0)[0]
    assert covers(np.array([0.0]), np.array([0.0]), 0.0)[0]
    assert covers(np.array([1e-16]), np.array([1.0]), 0.0)[0]
    assert not covers(np.array([1e-9]), np.array([1.0]), 0.0)[0]


# nominal where n is large and P is not Q

P, Q, N, TRIALS = np.array([0.3, 0.7]), np.array([0.5, 0.5]), 2000, 1500


@every_interval
def test_far_from_q_with_many_draws_the_coverage_is_about_the_level(case):
    interval = few(case)
    truth, level = float(KL(P, Q)), 0.9
    rng = np.random.default_rng(20240601)
    counts = next(iter(multinomial_tally(P, [N], TRIALS, rng)))
    found = bounds(interval, one_sample(counts, Q), level)
    share = float(covers(found.lower, found.upper, truth).mean())
    stated = Stated(COUNTING, interval, KL, level)
    exact = coverage(Multinomial(N, P), Reference.known(Q), stated, truth)
    expected = level if exact is None else exact
    # 99 replicates leave a quantile at 5 % a spread of √(.05·.95/99): a width off by up to .01
    allowance = 0.02 if interval.random else 1e-12
    assert abs(share - expected) < 4 * np.sqrt(level * (1 - level) / TRIALS) + allowance
    if exact is not None and case.kind != "boundary":  # whose law is that of P near Q
        assert abs(exact - level) < 0.015


# check values


def test_the_wald_error_of_two_samples_has_its_check_value():
    found = bounds(INTERVALS.build("wald"), two_samples([[1, 3, 7, 4, 8]], [[2, 5, 1, 3, 6]]))
    assert found.se[0] == pytest.approx(0.323495400119379, rel=1e-13)
    z = 1.959963984540054
    assert found.lower[0] == pytest.approx(0.343281382951008 - z * found.se[0], rel=1e-12)
    assert found.upper[0] == pytest.approx(0.343281382951008 + z * found.se[0], rel=1e-12)


def test_the_wald_errors_of_entropies_are_those_of_their_formulas():
    c, q = np.array([3, 9, 8]), np.array([0.2, 0.3, 0.5])
    p = c / 20
    for name, scores in (("entropy", np.log(p)), ("cross_entropy", np.log(q))):
        found = bounds(INTERVALS.build("wald"), one_sample([c], q, TARGETS[name]))
        variance = np.sum(p * scores**2) - np.sum(p * scores) ** 2
        assert found.se[0] == pytest.approx(np.sqrt(variance / 20), rel=1e-13)
    d = np.array([4, 4, 2])
    seen = bounds(INTERVALS.build("wald"), two_samples([c], [d], TARGETS["cross_entropy"]))
    score = np.log(d / 10)
    variance = (np.sum(p * score**2) - np.sum(p * score) ** 2) / 20
    variance += (np.sum(p**2 / (d / 10)) - 1) / 10
    assert seen.se[0] == pytest.approx(np.sqrt(variance), rel=1e-13)
    alone = bounds(INTERVALS.build("wald"), two_samples([c], [d], ENTROPY))
    assert same(alone, bounds(INTERVALS.build("wald"), one_sample([c], q, ENTROPY)))


def test_the_wald_interval_stands_around_the_estimators_own_estimate():
    sample = one_sample([[4, 2, 3, 0, 2, 4, 0, 0, 2, 1, 1]], np.ones(11))
    for kind in ("plug_in", "miller_madow", "zhang_grabchak"):
        estimator = ESTIMATORS.build({"kind": kind})
        found = bounds(INTERVALS.build("wald"), sample, estimator=estimator)
        middle = (found.lower + found.upper) / 2
        assert middle == pytest.approx(estimator.estimate(sample.counts, sample.reference, KL))
        assert found.se == pytest.approx(bounds(INTERVALS.build("wald"), sample).se, rel=1e-14)


def test_the_wald_interval_is_missing_where_its_error_is_infinite():
    laplace = {"kind": "plug_in", "learner": {"kind": "add_constant", "amount": 1}}
    sample = two_samples([[3, 1], [3, 1]], [[4, 0], [3, 1]])
    found = bounds(INTERVALS.build("wald"), sample, estimator=ESTIMATORS.build(laplace))
    assert np.isnan([found.se[0], found.lower[0], found.upper[0]]).all()
    assert np.isfinite([found.se[1], found.lower[1], found.upper[1]]).all()


def test_clopper_pearson_has_its_published_ends():
    # 3 of 10: 0.0667395 to 0.6524529 (Clopper & Pearson's chart; R's binom.test)
    q = np.array([0.9, 0.1])
    sample = one_sample([[3, 7]], q, TARGETS["total_variation"])
    found = bounds(INTERVALS.build("clopper_pearson"), sample)
    assert found.lower[0] == pytest.approx(0.9 - 0.6524528500599972, rel=1e-12)
    assert found.upper[0] == pytest.approx(0.9 - 0.06673951117773447, rel=1e-12)
    none = bounds(INTERVALS.build("clopper_pearson"), one_sample([[0, 10]], (0, 1)))
    assert (none.lower[0], none.upper[0]) == (0.0, inf)


def test_the_posterior_has_the_moments_and_quantiles_of_a_beta_law():
    interval = INTERVALS.build({"kind": "posterior", "amount": 1, "draws": 40_000})
    sample = one_sample([[6, 14]], (1, 0.0), TARGETS["total_variation"])  # 1 − p₁
    found = bounds(interval, sample, level=0.9)
    law = beta(15, 7)
    assert found.se[0] == pytest.approx(law.std(), abs=4 * law.std() / np.sqrt(2 * 40_000))
    for end, share in ((found.lower[0], 0.05), (found.upper[0], 0.95)):
        assert law.cdf(end) == pytest.approx(share, abs=4 * np.sqrt(0.05 * 0.95 / 40_000))


def test_the_percentiles_are_those_of_the_binomial_that_is_drawn():
    interval = INTERVALS.build({"kind": "bootstrap_percentile", "resamples": 40_000})
    sample = one_sample([[6, 14]], (1, 0.0), TARGETS["total_variation"])
    found = bounds(interval, sample, level=0.9)
    # the 5 % and 95 % points of Binomial(20, .7)/20, well inside their steps
    assert (found.lower[0], found.upper[0]) == pytest.approx((0.55, 0.85))
    sd = np.sqrt(0.7 * 0.3 / 20)
    assert found.se[0] == pytest.approx(sd, abs=4 * sd / np.sqrt(2 * 40_000))


def test_bca_moves_the_percentiles_as_scipy_does():
    c, q = np.array([12, 28]), np.array([0.5, 0.5])
    interval = INTERVALS.build({"kind": "bootstrap_bca", "resamples": 60_000})
    found = bounds(interval, one_sample([c], q), level=0.9)

    def kl(draws: np.ndarray, axis: int) -> np.ndarray:
        p = draws.mean(axis=axis)
        return KL(np.stack([p, 1 - p], axis=-1), q)

    draws = (np.repeat([1.0, 0.0], c),)
    theirs = bootstrap(
        draws, kl, n_resamples=60_000, confidence_level=0.9, method="BCa", rng=4, vectorized=True
    ).confidence_interval
    # the estimate takes one value for each count: within one step of the count, at either end
    steps = np.unique([KL(np.array([k, 40 - k]) / 40, q) for k in range(41)])
    for own, other in ((found.lower[0], theirs.low), (found.upper[0], theirs.high)):
        one, two = (np.abs(steps - value).argmin() for value in (own, other))
        assert abs(one - two) <= 1


def test_bca_without_one_draw_to_leave_out_is_no_error():
    found = bounds(INTERVALS.build("bootstrap_bca"), one_sample([[1, 0]], (1, 3)))
    assert found.lower[0] == found.upper[0] == pytest.approx(log(4))


def test_an_undefined_replicate_leaves_no_interval():
    sample = two_samples([[20, 30]], [[1, 9]])
    found = bounds(INTERVALS.build("bootstrap_percentile"), sample, estimator=JACKKNIFE)
    assert np.isnan([found.lower[0], found.upper[0]]).all()


def test_infinite_replicates_take_part_in_the_quantiles():
    # a colour drawn once of ten from Q: (1 − .1)^10 = .35 of the resamples miss it
    found = bounds(INTERVALS.build("bootstrap_percentile"), two_samples([[5, 5]], [[9, 1]]))
    assert found.upper[0] == inf
    assert np.isfinite([found.lower[0], found.se[0]]).all()


def test_the_acceleration_of_bca_is_that_of_every_draw_left_out_by_hand():
    c, d = np.array([4, 7, 0, 2]), np.array([3, 5, 2, 4])

    def parts(counts: np.ndarray, of: Any) -> tuple[float, float]:
        draws = np.repeat(np.arange(4), counts)
        out = np.array([of(counts - np.eye(4, dtype=int)[draw]) for draw in draws])
        influence = (len(draws) - 1) * (out.mean() - out)
        return np.sum(influence**2) / len(draws) ** 2, np.sum(influence**3) / len(draws) ** 3

    def kl(one: np.ndarray, other: np.ndarray) -> float:
        return float(KL(one / one.sum(), other / other.sum()))

    first, second = parts(c, lambda x: kl(x, d)), parts(d, lambda x: kl(c, x))
    alone = _acceleration(COUNTING, one_sample([c], d))[0]
    assert alone == pytest.approx(first[1] / (6 * first[0] ** 1.5), rel=1e-9)
    both = _acceleration(COUNTING, two_samples([c], [d]))[0]
    square, cube = first[0] + second[0], first[1] + second[1]
    assert both == pytest.approx(cube / (6 * square**1.5), rel=1e-9)


def test_no_resample_holds_a_colour_that_was_not_drawn():
    rng = np.random.default_rng(1)
    counts = rng.integers(1, 10**13, size=(40, 9))
    counts[:, 8] = 0
    size = counts.sum(axis=1)
    of = np.repeat(np.arange(40), 50)
    plain = rng.multinomial(
        counts.sum(axis=1)[of], (counts / counts.sum(axis=1, keepdims=True))[of]
    )
    assert plain[:, 8].any()  # numpy alone leaves some there, by rounding
    drawn = _drawn_anew(counts, of, np.random.default_rng(1))
    assert not drawn[:, 8].any()
    assert np.array_equal(drawn.sum(axis=1), size[of])
