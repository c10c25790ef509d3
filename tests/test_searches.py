"""A size by trials: brackets hold the exact size as often as they say."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import sim
from sim.answers import scans, searches
from sim.answers.question import How
from sim.answers.searches import search
from sim.contracts.estimator import ESTIMATORS
from sim.divergences import KL
from sim.exact.task import Task

PLUG_IN = ESTIMATORS.build({"kind": "plug_in"})


@cache
def always_from(weights, error, confidence, sizes):
    """Return the exact size from which on it holds, looked for among these sizes."""
    p = np.array(weights) / sum(weights)
    task = Task(p, p, PLUG_IN, KL, error, confidence)
    share = np.array([scans.chance(task, n) for n in sizes])
    fails = np.flatnonzero(share < confidence)
    assert 0 < len(fails) < len(sizes) - 5, "the sizes begin where it fails and end beyond"
    return task, sizes[fails[-1]] + 1


@pytest.mark.parametrize(
    ("weights", "error", "trials", "sizes"),
    [
        ((2, 3, 5), 0.012, 150, range(180, 230)),
        ((1, 2, 3, 4), 0.03, 100, range(98, 116)),
        ((1, 1, 1, 1, 1), 0.08, 90, range(46, 56)),
    ],
    ids=["K = 3", "K = 4", "K = 5"],
)
def test_brackets_hold_the_exact_size_as_often_as_they_say(weights, error, trials, sizes):
    task, exact = always_from(weights, error, 0.9, sizes)
    found = [search(task, How(seed=seed), trials) for seed in range(350)]
    held = np.mean([one.low <= exact <= one.high for one in found])
    assert 0.92 <= held <= 0.98, held
    assert abs(np.median([one.size for one in found]) - exact) <= 3


def test_a_sharp_change_of_many_colours_is_found_sharply():
    """The share of near estimates of 1000 colours goes from 0 to 1 within a few per cent."""
    found = sim.size_for_error([1] * 1000, 0.5, trials=200)
    assert not found.exact
    assert found.high - found.low < 0.03 * found.size
    task = Task(np.full(1000, 1e-3), np.full(1000, 1e-3), PLUG_IN, KL, 0.5, 0.95)
    rng = np.random.default_rng(4)
    low, high = (
        task.near(rng.multinomial(n, task.p, 2000)).mean() for n in (found.low, found.high)
    )
    assert low - 0.02 <= 0.95 <= high + 0.02


def test_trials_agree_with_the_exact_size_of_two_colours():
    exact = sim.size_for_error([10, 15], 0.001, model=[1, 1])
    task = Task(np.array([0.4, 0.6]), np.array([0.5, 0.5]), PLUG_IN, KL, 0.001, 0.95)
    drawn = search(task, How(level=0.999), 5000)
    assert drawn.surely[0] < drawn.low < exact.size < drawn.high < drawn.surely[1]
    assert drawn.high < 1.1 * exact.size
    assert drawn == search(task, How(level=0.999), 5000)


def test_brackets_beyond_what_can_be_listed_hold_the_exact_size(monkeypatch):
    """A share of independent trials is binomial about its exact chance: none is drawn here."""
    p, q = np.array([0.2, 0.4, 0.4]), np.full(3, 1 / 3)
    task = Task(p, q, PLUG_IN, KL, 0.02, 0.95)
    chance = cache(lambda n: scans.chance(task, n))
    exact = 1 + max(n for n in range(735, 800) if chance(n) < 0.95)
    assert 735 < exact < 780
    rng = np.random.default_rng(20241125)
    monkeypatch.setattr(
        searches._Shares, "hits", lambda self, n, trials: int(rng.binomial(trials, chance(n)))
    )
    found = [search(task, How(), 5000) for _ in range(1000)]
    held = np.mean([one.low <= exact <= one.high for one in found])
    assert 0.92 <= held <= 0.98, held
    assert all(one.surely[0] < exact < one.surely[1] for one in found)
