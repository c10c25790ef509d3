"""Pairs of estimators on the same draws: what their trials say when they are laid side by side."""

from __future__ import annotations

from itertools import combinations
from math import comb, inf, isnan, log, nan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.analysis.comparison import Comparison
from sim.analysis.pairs import LEAST_TRIALS, SEEN, Pairs, Place, gather, paired
from sim.analysis.series import Key, Line, Series

PLACE = Place("bag", "model", "kl", 10)
RNG = np.random.default_rng(20240602)


def group(truth: float = 0.3, place: Place = PLACE, **estimates) -> list[Series]:
    """Return the series of estimators on the same trials."""
    columns = {label: np.asarray(values, dtype=float) for label, values in estimates.items()}
    return [
        Series(Key(Line(*place[:3], label), place.size), np.arange(len(x)), x, truth, failed=0)
        for label, x in columns.items()
    ]


def cut(whole: list[Series], cuts) -> list[list[Series]]:
    """Return the parts of series that are cut at the same trials."""
    pieces = [np.split(one.estimate, list(cuts)) for one in whole]
    return [
        [
            Series(one.key, np.arange(len(x)), x, one.truth, 0)
            for one, x in zip(whole, part, strict=True)
        ]
        for part in zip(*pieces, strict=True)
    ]


def compared(whole: list[Series], cuts=()) -> Pairs:
    found = Comparison()
    for part in cut(whole, cuts):
        found.add(part)
    (pairs,) = found.places.values()
    return pairs


SHARED = 0.2 * RNG.standard_normal(3000)
NOISE = RNG.standard_normal((3, 3000))
MIXED = {
    "plain": 0.35 + SHARED + 0.05 * NOISE[0],
    "wide": 0.30 + 2 * SHARED + 0.01 * NOISE[1],
    "close": 0.35 + SHARED + 0.05 * NOISE[0] + 1e-9 * NOISE[2],
    "holes": np.where(NOISE[1] > 1, inf, np.where(NOISE[2] > 1, nan, 0.2 + SHARED)),
    "other_holes": np.where(NOISE[0] > 0, -inf, 0.25 + SHARED * NOISE[1]),
}
CUTS = {"whole": [], "halves": [1500], "many": list(range(7, 3000, 211))}


def direct(first: np.ndarray, second: np.ndarray, truth: float) -> dict[str, float]:
    """The same from the columns of both, with the formulas of the textbook."""
    both = np.isfinite(first) & np.isfinite(second)
    x, y = first[both].astype(np.longdouble), second[both].astype(np.longdouble)
    number, d = len(x), x - y
    a, b = (x - truth) ** 2, (y - truth) ** 2
    ratio = a.mean() / b.mean()
    spread = np.std(a / a.mean() - b / b.mean(), ddof=1)  # the delta method's three terms in one
    return {
        "trials": number,
        "difference": d.mean(),
        "difference_mcse": d.std(ddof=1) / sqrt(number),
        "mse_ratio": ratio,
        "mse_ratio_mcse": ratio * spread / sqrt(number),
    }


@pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)
def test_a_pair_is_what_its_trials_say(cuts):
    found = compared(group(**MIXED), cuts)
    names = list(combinations(MIXED, 2))
    first, second = found.places
    told = [(found.labels[i], found.labels[j]) for i, j in zip(first, second, strict=True)]
    assert told == names
    for number, (first, second) in enumerate(names):
        expected = direct(MIXED[first], MIXED[second], 0.3)
        for name, value in expected.items():
            own = getattr(found, name)[number]
            assert own == pytest.approx(float(value), rel=2e-9), (first, second, name)


def test_errors_of_nearly_equal_estimates_keep_their_digits():
    # from raw sums the variance of a − r b would be 1e-18 of what cancels: nothing would be left
    number = list(combinations(MIXED, 2)).index(("plain", "close"))
    found, expected = compared(group(**MIXED)), direct(MIXED["plain"], MIXED["close"], 0.3)
    assert found.mse_ratio_mcse[number] == pytest.approx(
        float(expected["mse_ratio_mcse"]), rel=1e-6
    )
    less = float(expected["mse_ratio"] - 1)
    assert found.log_ratio[number] == pytest.approx(less, rel=1e-6)
    assert 0 < found.mse_ratio_mcse[number] < 1e-9


def test_the_ratio_is_the_delta_method_of_three_terms():
    a, b = (MIXED[name] - 0.3 for name in ("plain", "wide"))
    a, b = a * a, b * b
    c = np.cov(a, b)
    terms = c[0, 0] / a.mean() ** 2 + c[1, 1] / b.mean() ** 2 - 2 * c[0, 1] / a.mean() / b.mean()
    found = compared(group(plain=MIXED["plain"], wide=MIXED["wide"]))
    expected = a.mean() / b.mean() * sqrt(terms / 3000)
    assert found.mse_ratio_mcse[0] == pytest.approx(expected, rel=1e-10)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.sets(st.integers(1, 2999), max_size=6).map(sorted))
def test_any_cut_gives_the_same_pairs(cuts):
    one, other = compared(group(**MIXED)), compared(group(**MIXED), cuts)
    assert np.array_equal(one.trials, other.trials)
    assert np.array_equal(one.better, other.better)
    for name in ("difference", "difference_mcse", "log_ratio", "mse_ratio_mcse"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-6, abs=1e-17), name


@pytest.mark.parametrize("order", [[4, 0, 3, 1, 2], [1, 0, 2], [3, 2]], ids=str)
def test_parts_whose_estimators_stand_in_another_order_are_merged_pair_by_pair(order):
    whole = group(**MIXED)
    one, other = (Comparison() for _ in range(2))
    first, second = cut(whole, [1700])
    one.add(first)
    other.add([second[place] for place in order])
    one.merge(other)
    [pairs] = one.places.values()
    names = [label for place, label in enumerate(MIXED) if place in order]
    expected = compared(group(**{name: MIXED[name] for name in names}), [1700])
    assert pairs.labels == expected.labels
    assert np.array_equal(pairs.trials, expected.trials)
    assert np.array_equal(pairs.better, expected.better)
    for name in ("difference", "difference_mcse", "log_ratio", "mse_ratio_mcse"):
        assert getattr(pairs, name) == pytest.approx(getattr(expected, name), rel=1e-6), name


def test_who_stands_first_does_not_matter():
    for first, second in combinations(MIXED, 2):
        one = compared(group(**{name: MIXED[name] for name in (first, second)}))
        other = compared(group(**{name: MIXED[name] for name in (second, first)}))
        assert one.trials[0] == other.trials[0]
        assert one.better[0] == -other.better[0]
        assert one.log_ratio[0] == pytest.approx(-other.log_ratio[0], rel=1e-6, abs=1e-15)
        assert one.log_ratio_mcse[0] == pytest.approx(other.log_ratio_mcse[0], rel=1e-6)
        assert one.difference[0] == -other.difference[0]


def test_a_pair_does_not_follow_from_who_else_is_there():
    every = compared(group(**MIXED))
    for number, (first, second) in enumerate(combinations(MIXED, 2)):
        alone = compared(group(**{name: MIXED[name] for name in (first, second)}))
        assert alone.trials[0] == every.trials[number]
        for name in ("difference", "difference_mcse", "mse_ratio", "mse_ratio_mcse"):
            one, other = getattr(alone, name)[0], getattr(every, name)[number]
            assert one == pytest.approx(other, rel=1e-6), (first, second, name)


# --- edges ---------------------------------------------------------------------------------


def measures(pairs: Pairs) -> list[float]:
    names = ("difference", "difference_mcse", "mse_ratio", "mse_ratio_mcse")
    return [float(getattr(pairs, name)[0]) for name in names]


def test_equal_estimates_differ_by_0_with_a_ratio_of_1_and_neither_is_better():
    x = MIXED["plain"]
    found = compared(group(one=x, same=x.copy()), [1000])
    assert measures(found) == [0, 0, 1, 0]
    assert found.better.tolist() == [0]


def test_two_that_are_right_in_every_trial_have_no_ratio():
    exact = np.full(200, 0.3)
    found = compared(group(one=exact, same=exact + 1e-17, rounded=exact * (1 + 2e-16)))
    assert np.isnan(found.mse_ratio).all()
    assert found.better.tolist() == [0, 0, 0]


def test_one_that_is_right_in_every_trial_is_better_than_one_that_is_not():
    exact, off = np.full(200, 0.3), np.full(200, 0.31)
    first, second = compared(group(one=exact, two=off)), compared(group(two=off, one=exact))
    assert measures(first)[2:] == [0, 0]
    assert all(map(isnan, measures(second)[2:]))
    assert (first.better[0], second.better[0]) == (-1, 1)


def test_an_infinite_truth_leaves_no_error_to_compare():
    found = compared(group(truth=inf, one=MIXED["plain"], two=MIXED["holes"]))
    assert found.trials[0] == np.isfinite(MIXED["holes"]).sum()
    assert all(map(isnan, measures(found)))
    assert found.better[0] == 0


def test_estimates_that_are_never_finite_together_have_nothing_to_compare():
    odd = np.arange(100) % 2 == 0
    found = compared(group(one=np.where(odd, inf, 0.1), two=np.where(odd, 0.1, nan)), [40])
    assert found.trials[0] == 0
    assert all(map(isnan, measures(found)))
    assert found.better[0] == 0


def test_one_trial_has_a_difference_and_no_error():
    found = compared(group(one=[0.5], two=[0.4]))
    assert measures(found)[::2] == pytest.approx([0.1, 4.0])
    assert all(map(isnan, measures(found)[1::2]))
    assert found.better[0] == 0


@pytest.mark.parametrize(("trials", "told"), [(LEAST_TRIALS - 1, 0), (LEAST_TRIALS, -1)])
def test_few_trials_tell_nothing(trials, told):
    x = RNG.standard_normal(trials)
    assert compared(group(one=0.3 + x, two=0.3 + 10 * x + 1e-3)).better[0] == told


def test_a_ratio_that_rests_on_one_trial_is_shown_without_error_and_not_judged():
    calm = 0.3 + 0.01 * RNG.standard_normal(1000)
    wild = calm.copy()
    wild[17] += 10
    found = compared(group(calm=calm, wild=wild))
    assert found.mse_ratio[0] < 0.01
    assert isnan(found.mse_ratio_mcse[0])
    assert found.better[0] == 0


def test_huge_estimates_give_no_warning_and_no_false_number():
    found = compared(group(one=[1e200, 2e200, 3e200], two=[0.1, 0.2, 0.3]))
    assert found.difference[0] == pytest.approx(2e200)
    assert isnan(found.mse_ratio_mcse[0])


def test_only_estimators_of_the_same_place_are_compared():
    x = MIXED["plain"]
    other = {
        "model": Place("bag", None, "kl_loss", 10),
        "size": Place("bag", "model", "kl", 20),
        "control": Place("bag", "model", "control", 10),
        "lone": Place("bag", "model", "js", 10),
    }
    batch = group(one=x, two=x)
    batch += group(place=other["model"], one=x, two=x, three=x)
    batch += group(place=other["size"], one=x, two=x)
    batch += group(place=other["control"], linear=x, quadratic=x)
    batch += group(place=other["lone"], one=x)
    found = {place: len(series) for place, series in gather(batch)}
    assert found == {PLACE: 2, other["model"]: 3, other["size"]: 2}


# --- calibration ---------------------------------------------------------------------------


def kl(p: np.ndarray, q: float) -> np.ndarray:
    return sum(
        np.where(a > 0, a * np.log(np.where(a > 0, a, 1) / b), 0)
        for a, b in ((p, q), (1 - p, 1 - q))
    )


def studies(repeats: int, trials: int, n: int, seed: int) -> list[Pairs]:
    """Return the pairs of small studies: counting, Laplace, Miller–Madow; 0.4 against 0.5."""
    drawn = np.random.default_rng(seed).binomial(n, 0.4, size=(repeats, trials))
    truth = float(kl(np.array(0.4), 0.5))
    found = []
    for k in drawn:
        counting = kl(k / n, 0.5)
        estimates = {
            "counting": counting,
            "laplace": kl((k + 1) / (n + 2), 0.5),
            "miller_madow": counting - 1 / (2 * n),
        }
        found.append(paired(group(truth, **estimates)))
    return found


@pytest.mark.parametrize("n", [10, 40])
def test_reported_errors_of_pairs_are_the_spread_over_studies(n):
    repeats = 1000
    found = studies(repeats, 1024, n, seed=3)
    for name in ("difference", "mse_ratio"):
        values = np.array([getattr(one, name) for one in found])
        errors = np.array([getattr(one, f"{name}_mcse") for one in found])
        ratios = np.sqrt(np.mean(errors**2, axis=0)) / values.std(axis=0, ddof=1)
        # of two that differ by a constant the difference has no error but rounding
        ratios = ratios[[0, 2]] if name == "difference" else ratios
        assert np.all(np.abs(ratios - 1) < 4 / sqrt(2 * repeats)), (name, ratios)


def test_the_mean_over_studies_is_the_exact_one():
    n, found = 10, studies(1000, 1024, 10, seed=4)
    k = np.arange(n + 1)
    weights = np.array([comb(n, i) * 0.4**i * 0.6 ** (n - i) for i in k])
    truth = kl(np.array(0.4), 0.5)
    counting, laplace = kl(k / n, 0.5), kl((k + 1) / (n + 2), 0.5)
    values = (counting, laplace, counting - 1 / (2 * n))
    mse = [weights @ (x - truth) ** 2 for x in values]
    exact = np.array([mse[i] / mse[j] for i, j in combinations(range(3), 2)])
    ratios = np.array([one.mse_ratio for one in found])
    # a ratio of means has a bias of the order of its squared relative error: 1/1024 of an error
    error = ratios.std(axis=0) / sqrt(1000)
    assert np.all(np.abs(ratios.mean(axis=0) - exact) < 4 * error + 2e-3 * exact)


@pytest.mark.parametrize("correlation", [0.0, 0.95])
def test_two_that_are_equally_good_are_rarely_told_apart(correlation):
    rng = np.random.default_rng(5)
    told = 0
    for _ in range(2000):
        x, y = rng.standard_normal((2, 200))
        y = correlation * x + sqrt(1 - correlation**2) * y
        told += abs(int(paired(group(one=0.3 + x, two=0.3 + y)).better[0]))
    # beyond 3 errors: 0.27 % of 2000 are 5.4 ± 2.3
    assert told <= 5.4 + 4 * 2.3


def test_a_true_difference_is_told_more_surely_on_the_same_draws_than_on_others():
    rng = np.random.default_rng(6)
    x, other = rng.standard_normal((2, 1000))
    better = 0.3 + 0.9 * x
    shared = paired(group(one=0.3 + x, two=better))
    apart = paired(group(one=0.3 + other, two=better))
    assert shared.better[0] == 1
    assert shared.log_ratio_mcse[0] < 0.01 * apart.log_ratio_mcse[0]
    assert shared.log_ratio[0] == pytest.approx(log(1 / 0.81), rel=1e-9)
    assert abs(apart.log_ratio[0] - log(1 / 0.81)) < 4 * apart.log_ratio_mcse[0]
    assert SEEN == 3
