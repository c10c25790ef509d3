"""Check vectors: one sample of counts against a known Q, agreed on with published packages."""

from __future__ import annotations

from math import log, sqrt

import numpy as np
import pytest

from sim.contracts.arrays import Reference
from sim.contracts.estimator import ESTIMATORS
from sim.divergences import KL

S1 = np.array([4, 2, 3, 0, 2, 4, 0, 0, 2, 1, 1])
UNIFORM = np.full(11, 1 / 11)
ADD = "add_constant"
VALUES = {
    "plug-in": ({"kind": "plug_in"}, 0.429512864069989),
    "Laplace": ({"kind": "plug_in", "learner": {"kind": ADD, "amount": 1}}, 0.140019754105326),
    "Jeffreys": ({"kind": "plug_in", "learner": {"kind": ADD, "amount": 0.5}}, 0.218414890074669),
    "Perks": ({"kind": "plug_in", "learner": {"kind": ADD, "amount": "perks"}}, 0.361007464674653),
    "minimax": (
        {"kind": "plug_in", "learner": {"kind": ADD, "amount": "minimax"}},
        0.24380408286741,
    ),
    "Miller-Madow, K observed": (
        {"kind": "miller_madow", "colours": "observed"},
        0.2453023377542,
    ),
    "Miller-Madow, K given": ({"kind": "miller_madow"}, 0.166354969333147),
}
vectors = pytest.mark.parametrize(("keys", "value"), VALUES.values(), ids=VALUES)


def estimate(keys, counts, q=UNIFORM):
    estimator = ESTIMATORS.build(keys)
    return estimator.estimate(np.atleast_2d(counts), Reference.known(q), KL)


@vectors
def test_an_estimator_gives_its_agreed_value(keys, value):
    [found] = estimate(keys, S1)
    assert found == pytest.approx(value, rel=1e-12, abs=0)


@vectors
def test_the_value_is_the_sum_of_the_terms(keys, value):
    estimator = ESTIMATORS.build(keys)
    for size in (19, np.array([[19]])):
        terms = estimator.terms(S1[np.newaxis], size, Reference.known(UNIFORM), KL)
        assert terms.shape == (1, 11)
        assert terms.sum() == pytest.approx(value, rel=1e-12, abs=0)


@vectors
def test_the_value_does_not_depend_on_the_order_of_colours_or_trials(keys, value):
    mixed = np.random.default_rng(3).permuted(np.tile(S1, (5, 1)), axis=1)
    assert estimate(keys, mixed).tolist() == pytest.approx([value] * 5, rel=1e-12, abs=0)


@vectors
def test_the_entropy_rule_leads_from_one_model_to_another(keys, value):
    """D̂ = −Ĥ − Σ p̃ ln q, with p̃ what is learned and Ĥ the entropy behind the uniform value."""
    learner = getattr(ESTIMATORS.build(keys), "learner", None)
    learned = S1 / S1.sum() if learner is None else learner.fit(S1[np.newaxis])[0]
    q = np.arange(1, 12) / 66
    [found] = estimate(keys, S1, q)
    assert found == pytest.approx(value - log(11) - learned @ np.log(q), rel=1e-12, abs=0)


@pytest.mark.parametrize(
    ("name", "number"),
    [("laplace", 1), ("jeffreys", 0.5), ("perks", 1 / 11), ("minimax", sqrt(19) / 11)],
)
def test_a_named_amount_is_the_number_it_stands_for(name, number):
    by_name, by_number = (
        {"kind": "plug_in", "learner": {"kind": ADD, "amount": a}} for a in (name, number)
    )
    assert estimate(by_name, S1) == pytest.approx(estimate(by_number, S1), rel=1e-14, abs=0)


def test_krichevskys_amount_is_his_constant():
    [found] = estimate({"kind": "plug_in", "learner": {"kind": ADD, "amount": "krichevsky"}}, S1)
    by_hand = (S1 + 0.50922) / (19 + 11 * 0.50922)
    assert found == pytest.approx(float(np.sum(by_hand * np.log(11 * by_hand))), rel=1e-13, abs=0)


def test_counting_is_infinite_where_the_model_lacks_a_drawn_colour_and_only_there():
    q = np.array([1, 1, 1, 0, 1, 1, 0, 0, 1, 1, 1]) / 8
    [found] = estimate({"kind": "plug_in"}, S1, q)
    assert found == pytest.approx(0.429512864069989 - log(11 / 8), rel=1e-12, abs=0)
    assert estimate({"kind": "plug_in"}, S1, q[::-1]) == np.inf
    assert estimate(VALUES["Laplace"][0], S1, q) == np.inf
