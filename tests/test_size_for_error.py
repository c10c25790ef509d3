"""How many draws are enough: exact and proved for two colours, with a calibrated bracket beyond."""

from __future__ import annotations

from math import inf, log

import numpy as np
import pytest
from scipy import special, stats

import sim
from sim.answers import scans
from sim.asked import InputFault
from sim.contracts.estimator import ESTIMATORS
from sim.divergences import KL, divergence
from sim.exact.task import Task
from sim.exact.windows import UNIMODAL, above, below

PLUG_IN = ESTIMATORS.build({"kind": "plug_in"})


def chances(p, value, truth, error, sizes):
    """Return P(|value(c, n) − truth| ≤ error) at each size, by binomial sums done anew."""
    found = []
    for n in sizes:
        near = [abs(value(c, n) - truth) <= error + 1e-12 for c in range(n + 1)]
        found.append(stats.binom.pmf(np.arange(n + 1), n, p)[near].sum())
    return np.array(found)


def kl(p, q):
    return sum(a * log(a / b) if b else inf for a, b in ((p, q), (1 - p, 1 - q)) if a > 0)


def held_to(found, share, confidence):
    """Hold first, last failing and always from to the chances at 1, 2, …."""
    holds, fails = np.flatnonzero(share >= confidence) + 1, np.flatnonzero(share < confidence) + 1
    assert found.first == holds[0]
    assert found.last_failing == (fails[-1] if len(fails) else None)
    assert found.size == (fails[-1] + 1 if len(fails) else 1)


def test_ten_red_and_fifteen_blue_are_enough_at_190_not_at_200_always_from_201():
    found = sim.size_for_error([10, 15], 0.01, 0.95)
    assert (found.first, found.last_failing, found.size) == (190, 200, 201)
    assert (found.exact, found.proved, found.truth) == (True, True, 0)
    assert found.scanned_to >= 201


@pytest.mark.parametrize(
    ("p", "q", "error", "confidence"),
    [(0.4, 0.4, 0.03, 0.9), (0.4, 0.5, 0.05, 0.95), (0.9, 0.3, 0.3, 0.99), (0.4, 0.45, 0.02, 0.9),
     (0.01, 0.3, 0.1, 0.9), (0.5, 0.5, 0.02, 0.95), (0.3, 0.01, 0.4, 0.9)],
)  # fmt: skip
def test_every_size_is_held_to_binomial_sums(p, q, error, confidence):
    found = sim.size_for_error([p, 1 - p], error, confidence, model=[q, 1 - q])
    share = chances(p, lambda c, n: kl(c / n, q), kl(p, q), error, range(1, found.scanned_to + 1))
    held_to(found, share, confidence)


@pytest.mark.parametrize("name", sorted(UNIMODAL | {"renyi(2)", "renyi(0.5)"}))
@pytest.mark.parametrize("q", [0.5, 0.3], ids=["away", "at Q = P"])
def test_all_sizes_at_once_agree_with_each_size_by_its_outcomes(name, q):
    target = divergence(name)
    truth = float(target(np.array([0.3, 0.7]), np.array([q, 1 - q])))
    error = truth / 2 or (0.1 if name in ("js_distance", "total_variation") else 0.02)
    found = sim.size_for_error([3, 7], error, 0.9, model=[q, 1 - q], target=name)
    task = Task(np.array([0.3, 0.7]), np.array([q, 1 - q]), PLUG_IN, target, error, 0.9)
    assert found.proved
    share = np.array([scans.chance(task, n) for n in range(1, found.scanned_to + 1)])
    held_to(found, share, 0.9)


@pytest.mark.parametrize(("p", "q", "error"), [(0.4, 0.4, 1e-4), (0.4, 0.5, 2e-3)])
def test_large_sizes_are_exact_around_where_they_change(p, q, error):
    """No stretch of sizes is taken for another: each is worked out again near the ends."""
    found = sim.size_for_error([p, 1 - p], error, model=[q, 1 - q])
    task = Task(np.array([p, 1 - p]), np.array([q, 1 - q]), PLUG_IN, KL, error, 0.95)
    assert scans.chance(task, found.first) >= 0.95
    assert all(scans.chance(task, n) < 0.95 for n in range(found.first - 40, found.first))
    assert scans.chance(task, found.last_failing) < 0.95
    assert all(scans.chance(task, n) >= 0.95 for n in range(found.size, found.size + 40))
    rng = np.random.default_rng(1)
    for n in rng.integers(found.size, 2 * found.scanned_to, 40).tolist():
        assert scans.chance(task, n) >= 0.95


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        ({"estimator": "miller_madow"}, lambda c, n: kl(c / n, 0.5) - 1 / (2 * n)),
        (
            {"learner": {"kind": "add_constant", "amount": "laplace"}},
            lambda c, n: kl((c + 1) / (n + 2), 0.5),
        ),
        (
            {"learner": {"kind": "add_constant", "amount": "minimax"}},
            lambda c, n: kl((c + n**0.5 / 2) / (n + n**0.5), 0.5),
        ),
    ],
    ids=["miller_madow", "laplace", "minimax"],
)
def test_estimates_near_the_counted_one_are_proved_too(keys, value):
    found = sim.size_for_error([3, 7], 0.08, 0.9, model=[1, 1], **keys)
    assert found.proved
    share = chances(0.3, value, kl(0.3, 0.5), 0.08, range(1, found.scanned_to + 1))
    held_to(found, share, 0.9)
    rng = np.random.default_rng(2)
    beyond = rng.integers(found.scanned_to, 6 * found.scanned_to, 10).tolist()
    assert (chances(0.3, value, kl(0.3, 0.5), 0.08, beyond) >= 0.9).all()


def test_where_nothing_is_proved_it_says_how_far_it_looked():
    found = sim.size_for_error([3, 7], 0.1, 0.9, model=[1, 1], estimator="jackknife")
    assert (found.exact, found.proved) == (True, False)
    assert found.size < found.scanned_to

    def jackknife(c, n):
        if n == 1:
            return inf
        one = c * kl((c - 1) / (n - 1), 0.5) if c else 0
        other = (n - c) * kl(c / (n - 1), 0.5) if c < n else 0
        return n * kl(c / n, 0.5) - (n - 1) * (one + other) / n

    share = chances(0.3, jackknife, kl(0.3, 0.5), 0.1, range(1, found.scanned_to + 1))
    held_to(found, share, 0.9)


@pytest.mark.parametrize("trials", [None, 1000, 50_000])
@pytest.mark.parametrize(
    ("weights", "model", "error", "confidence"),
    [((2, 3, 5), (2, 3, 5), 0.012, 0.9), ((1, 2, 2), (1, 1, 1), 0.05, 0.95)],
    ids=["at Q = P", "away"],
)
def test_sizes_around_the_one_that_trials_find_are_worked_out(
    weights, model, error, confidence, trials
):
    """More trials bring the scan nearer, and change nothing of the answer."""
    found = sim.size_for_error(weights, error, confidence, model=model, trials=trials, seed=4)
    assert (found.exact, found.proved, found.first) == (True, False, None)
    p, q = (np.array(one) / sum(one) for one in (weights, model))
    task = Task(p, q, PLUG_IN, KL, error, confidence)
    scanned = range(found.scanned_from, found.scanned_to + 1)
    assert scanned[0] < 0.95 * found.size or trials == 50_000
    share = np.array([_chance_by_hand(p, q, task.truth, error, n) for n in scanned])
    fails = np.flatnonzero(share < confidence)
    assert found.last_failing == scanned[fails[-1]] == found.size - 1
    assert share[-1] > confidence


def _chance_by_hand(p, q, truth, error, n):
    """Return P(|KL − truth| ≤ error), three colours, by every outcome."""
    a, b = (one.ravel() for one in np.meshgrid(np.arange(n + 1), np.arange(n + 1)))
    counts = np.stack([a, b, n - a - b], axis=1)[a + b <= n]
    near = np.abs(special.rel_entr(counts / n, q).sum(axis=1) - truth) <= error + 1e-12
    return stats.multinomial.pmf(counts[near], n, p).sum()


def test_three_colours_are_scanned_where_that_is_cheap():
    found = sim.size_for_error([1, 1, 1], 0.05, 0.9)
    assert (found.exact, found.proved) == (True, True)
    task = Task(np.full(3, 1 / 3), np.full(3, 1 / 3), PLUG_IN, KL, 0.05, 0.9)
    drawn = np.random.default_rng(3).multinomial(found.size, task.p, 200_000)
    assert task.near(drawn).mean() == pytest.approx(scans.chance(task, found.size), abs=0.003)
    beyond = [scans.chance(task, n) for n in range(found.scanned_to, found.scanned_to + 30, 3)]
    assert min(beyond) >= 0.9


@pytest.mark.parametrize(
    ("balls", "model", "target"),
    [
        ([1, 1], [1, 0], "kl"),
        ([1, 1, 1], [1, 0, 1], "kl"),
        ([1, 0], [1, 1], "reverse_kl"),
    ],
)
def test_where_the_truth_is_infinite_no_number_is_enough(balls, model, target):
    found = sim.size_for_error(balls, 0.1, model=model, target=target)
    assert (found.size, found.truth) == (None, inf)
    assert "infinite" in found.reason


def test_what_no_number_of_draws_reaches_is_told():
    found = sim.size_for_error([1, 1, 1], 1e-14, trials=1000)
    assert found.size is None
    assert "not reached" in found.reason


def test_a_bag_of_one_colour_is_known_at_once():
    assert sim.size_for_error([5], 0.01).size == 1
    assert sim.size_for_error([5, 0], 0.01, model=[1, 1]).size == 1


def test_a_colour_by_name_meets_its_own():
    one = sim.size_for_error({"red": 2, "blue": 3}, 0.05, model={"blue": 1, "red": 4})
    assert one.truth == pytest.approx(kl(0.4, 0.8))
    assert one.size == sim.size_for_error([2, 3], 0.05, model=[4, 1]).size


def test_bits_are_nats_in_another_unit():
    one = sim.size_for_error([10, 15], 0.01, unit="nats")
    other = sim.size_for_error([10, 15], 0.01 / log(2), unit="bits")
    assert (one.first, one.size) == (other.first, other.size)


def test_an_exact_answer_is_given_where_trials_are_asked_for_too():
    """Trials are of the search: what can be known is never told less well for them."""
    assert sim.size_for_error([10, 15], 0.01, trials=5000) == sim.size_for_error([10, 15], 0.01)


def test_the_same_seed_finds_the_same_size():
    one, same, other = (sim.size_for_error([1] * 6, 0.01, trials=400, seed=s) for s in (1, 1, 2))
    assert one == same != other
    assert not one.exact
    assert one.low < one.size < one.high


@pytest.mark.parametrize("n", [1, 2, 17, 1000])
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_tails_are_those_of_the_binomial_law(n, p):
    y = np.array([-1, 0, 0.5, 1, 0.3 * n, n - 0.5, n, n + 1.0])
    law, sizes = stats.binom(n, p), np.full(len(y), n)
    assert below(sizes, y, p) == pytest.approx(law.cdf(np.ceil(y) - 1), abs=1e-13)
    assert above(sizes, y, p) == pytest.approx(law.sf(np.floor(y)), abs=1e-13)


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        ("error: expected a number above 0; got 0", {"error": 0}),
        ("error: expected a number above 0; got nan", {"error": float("nan")}),
        ("confidence: expected a number above 0 and below 1; got 1", {"confidence": 1}),
        ("model: expected 2 colours, as in the bag; got 3", {"model": [1, 2, 3]}),
        ("model.2: expected a number of balls", {"model": [1, -2]}),
        ("the bag's colour '1' is missing", {"model": {"red": 1, "blue": 2}}),
        ("does not estimate js", {"estimator": "nsb", "target": "js"}),
        ("at least 1,000, for a confidence of 0.99;", {"confidence": 0.99, "trials": 900}),
        ("would take too long", {"balls": [1] * 1000, "trials": 10**6}),
    ],
)
def test_a_fault_is_told_in_a_sentence(words, keys):
    with pytest.raises(InputFault) as fault:
        sim.size_for_error(**{"balls": [1, 2], "error": 0.1, **keys})
    assert words in str(fault.value)
