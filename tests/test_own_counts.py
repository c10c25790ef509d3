"""One's own counts: every shape, every estimator by name, and every fault told so that it mends."""

from __future__ import annotations

from math import inf, isnan, log, nan, sqrt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sim
from sim.contracts.arrays import Reference
from sim.contracts.estimator import ESTIMATORS, Estimator
from sim.contracts.learner import LEARNERS
from sim.divergences import NAMES, TARGETS, divergence
from sim.own_counts import InputFault, every_estimate

C = [4, 2, 3, 0]
D = [3, 1, 2, 2]
Q = [0.1, 0.2, 0.3, 0.4]
BLOCK = np.array(
    [[4, 2, 3, 0], [1, 1, 1, 1], [0, 0, 9, 3], [2, 5, 0, 4], [7, 0, 1, 1], [3, 3, 3, 3]]
)
OTHERS = np.array(
    [[3, 1, 2, 2], [1, 6, 2, 2], [5, 3, 2, 4], [2, 2, 2, 2], [9, 1, 1, 1], [4, 2, 3, 5]]
)
few = settings(deadline=None, derandomize=True, max_examples=25)


def variants(counted: bool, target: str) -> list[dict[str, Any]]:
    """Return each estimator as it is customarily used, of those that can answer."""
    return [
        {"kind": kind, **keys}
        for kind in ESTIMATORS.kinds()
        for keys in ESTIMATORS.member(kind).customary()
        if able(kind, counted, target)
    ]


def able(kind: str, counted: bool, target: str) -> bool:
    member: Any = ESTIMATORS.member(kind)
    reads = member.two_samples if counted else member.one_sample
    return reads and (member.serves is None or target in member.serves)


def named(keys: dict[str, Any]) -> dict[str, Any]:
    """Return the same as `sim.estimate` is asked for it."""
    return {("estimator" if key == "kind" else key): value for key, value in keys.items()}


def direct(keys: dict[str, Any], c: Any, q: Reference, target: str) -> np.ndarray:
    """Return what the estimator itself says, in nats."""
    member: Any = ESTIMATORS.build(keys)
    with np.errstate(all="ignore"):
        return member.estimate(np.atleast_2d(c), q, divergence(target))


def ids(cases: list[dict[str, Any]]) -> list[str]:
    return ["-".join(str(v) for v in case.values()) for case in cases]


ONE = variants(False, "kl")
TWO = variants(True, "kl")
one_sample = pytest.mark.parametrize("keys", ONE, ids=ids(ONE))
two_samples = pytest.mark.parametrize("keys", TWO, ids=ids(TWO))


def same(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13, equal_nan=True)


# values and shapes


@one_sample
def test_an_estimator_by_name_gives_what_it_gives_itself_against_a_known_model(keys):
    for model, q in ((None, np.full(4, 0.25)), (Q, np.array(Q)), ([1, 2, 3, 4], np.array(Q))):
        found = sim.estimate(C, model=model, **named(keys))
        same(found, direct(keys, C, Reference.known(q), "kl")[0])


@two_samples
def test_an_estimator_by_name_gives_what_it_gives_itself_against_a_second_sample(keys):
    q = Reference.counted(np.array([D]))
    same(sim.estimate(C, model_counts=D, **named(keys)), direct(keys, C, q, "kl")[0])


@one_sample
def test_rows_of_any_shape_are_estimated_one_by_one(keys):
    asked = named(keys)
    alone = [float(sim.estimate(row, **asked)) for row in BLOCK]
    for shape in ((6,), (1, 6), (2, 3), (3, 1, 2)):
        found = sim.estimate(BLOCK.reshape(*shape, 4), **asked)
        assert found.shape == shape
        assert found.dtype == np.float64
        same(found.ravel(), alone)


@two_samples
def test_rows_of_two_samples_are_met_pair_by_pair(keys):
    asked = named(keys)
    pairs = zip(BLOCK, OTHERS, strict=True)
    alone = [float(sim.estimate(c, model_counts=d, **asked)) for c, d in pairs]
    for shape in ((6,), (2, 3), (3, 1, 2)):
        found = sim.estimate(
            BLOCK.reshape(*shape, 4), model_counts=OTHERS.reshape(*shape, 4), **asked
        )
        assert found.shape == shape
        same(found.ravel(), alone)


@two_samples
def test_one_row_of_model_counts_stands_beside_every_row(keys):
    asked = named(keys)
    alone = [float(sim.estimate(row, model_counts=D, **asked)) for row in BLOCK]
    found = sim.estimate(BLOCK.reshape(2, 3, 4), model_counts=D, **asked)
    assert found.shape == (2, 3)
    same(found.ravel(), alone)


def test_model_counts_of_a_row_or_a_column_of_rows_are_broadcast():
    block = BLOCK.reshape(2, 3, 4)
    full = sim.estimate(block, model_counts=np.broadcast_to(OTHERS[:3], block.shape))
    same(sim.estimate(block, model_counts=OTHERS[:3]), full)
    column = OTHERS[:2, np.newaxis]
    full = sim.estimate(block, model_counts=np.broadcast_to(column, block.shape))
    same(sim.estimate(block, model_counts=column), full)


def test_a_single_row_gives_a_plain_number():
    found = sim.estimate(C)
    assert isinstance(found, float)
    assert np.ndim(found) == 0


@pytest.mark.parametrize("keys", ONE + [k for k in TWO if k not in ONE], ids=str)
def test_no_rows_give_no_estimates(keys):
    q = {} if keys in ONE else {"model_counts": D}
    for shape in ((0,), (2, 0), (0, 3)):
        assert sim.estimate(np.zeros((*shape, 4)), **q, **named(keys)).shape == shape


@pytest.mark.parametrize(
    "given_as",
    [tuple(C), np.array(C), np.array(C, dtype=np.uint8), [4.0, 2.0, 3.0, 0.0], pd.Series(C)],
    ids=["tuple", "int64", "uint8", "floats", "Series"],
)
def test_counts_come_as_any_array_of_whole_numbers(given_as):
    assert sim.estimate(given_as) == sim.estimate(C)
    assert sim.estimate(C, model_counts=given_as) == 0


def test_the_counts_given_are_left_as_they_were():
    c, d, q = np.array(C), np.array(D), np.array([1.0, 2.0, 3.0, 4.0])
    sim.estimate(c, model_counts=d)
    sim.estimate(c, model=q)
    assert (c.tolist(), d.tolist(), q.tolist()) == (C, D, [1, 2, 3, 4])


@few
@given(st.lists(st.integers(0, 50), min_size=2, max_size=6).filter(any), st.randoms())
def test_weights_count_by_their_ratios_and_colours_in_no_order(counts, random):
    weights = [random.uniform(0.1, 3.0) for _ in counts]
    order = random.sample(range(len(counts)), len(counts))
    for keys in ({}, {"estimator": "miller_madow"}, {"estimator": "chao_shen"}):
        plain = sim.estimate(counts, model=weights, **keys)
        same(sim.estimate(counts, model=[7e100 * w for w in weights], **keys), plain)
        mixed = [[row[i] for i in order] for row in (counts, weights)]
        same(sim.estimate(mixed[0], model=mixed[1], **keys), plain)


# targets and units


@pytest.mark.parametrize("target", [*NAMES, "renyi(0.5)", "renyi(0.50)"])
@pytest.mark.parametrize("counted", [False, True], ids=["known", "counted"])
def test_every_target_is_served_by_counting(target, counted):
    q = {"model_counts": D} if counted else {"model": Q}
    expected = divergence(target)(np.array(C) / 9, np.array(D) / 8 if counted else np.array(Q))
    assert sim.estimate(C, **q, target=target) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("target", NAMES)
def test_bits_are_nats_over_ln_2_where_the_target_has_a_unit(target):
    worth = {"js_distance": sqrt(log(2))} | dict.fromkeys(
        ("chi_square", "hellinger_squared", "total_variation"), 1.0
    )
    bits, nats = (sim.estimate(C, model=Q, target=target, unit=u) for u in ("bits", "nats"))
    assert bits == pytest.approx(nats / worth.get(target, log(2)), rel=1e-15)
    rows = [every_estimate(C, model=Q, target=target, unit=u) for u in ("bits", "nats")]
    for in_bits, in_nats in zip(*rows, strict=True):
        assert in_bits.label == in_nats.label
        assert in_bits.estimate * worth.get(target, log(2)) == pytest.approx(in_nats.estimate)


def test_infinite_and_undefined_come_back_as_such_and_without_a_warning():
    assert sim.estimate([1, 2], model=[1, 0]) == inf
    assert sim.estimate([1, 2], model_counts=[3, 0]) == inf
    assert sim.estimate([[1, 2], [3, 0]], model=[1, 0]).tolist() == [inf, 0]
    assert isnan(sim.estimate([1, 2], model_counts=[3, 0], estimator="miller_madow"))
    assert isnan(sim.estimate(C, model_counts=[4, 2, 3, 1], estimator="jackknife")) is False
    assert isnan(sim.estimate(C, model_counts=D, estimator="jackknife"))


def test_the_largest_counts_are_taken():
    assert sim.estimate([2**52, 2**52]) == 0
    assert sim.estimate([3 * 2**50, 2**50]) == pytest.approx(
        0.75 * log(1.5) + 0.25 * log(0.5), rel=1e-12
    )


def test_many_colours_are_taken():
    counts = np.zeros(100_000, dtype=np.int64)
    counts[:50_000] = 3
    assert sim.estimate(counts) == pytest.approx(log(2), rel=1e-10)


# parameters


@pytest.mark.parametrize("kind", LEARNERS.kinds())
def test_a_plug_in_takes_every_learner_by_name(kind):
    for keys in LEARNERS.member(kind).customary():
        learner: Any = LEARNERS.build({"kind": kind, **keys})
        learned = learner.fit(np.array([C]))[0]
        found = sim.estimate(C, model=Q, learner={"kind": kind, **keys})
        same(found, np.sum(TARGETS["kl"].terms(learned, np.array(Q))))


def test_parameters_are_those_of_an_experiment_file():
    assert sim.estimate(C, estimator="miller_madow") == pytest.approx(
        sim.estimate(C) - 3 / 18, rel=1e-13
    )
    assert sim.estimate(C, estimator="miller_madow", colours="observed") == pytest.approx(
        sim.estimate(C) - 2 / 18, rel=1e-13
    )
    c = np.array(C) + 2.5
    assert sim.estimate(C, learner={"kind": "add_constant", "amount": 2.5}) == pytest.approx(
        np.sum(c / c.sum() * np.log(4 * c / c.sum())), rel=1e-13
    )
    assert sim.estimate(C, estimator="grassberger", year=1988) != sim.estimate(
        C, estimator="grassberger"
    )


@pytest.mark.parametrize("towards", [(1, 1, 1, 1), [1, 1, 1, 1]], ids=["tuple", "list"])
def test_a_list_of_weights_may_be_any_sequence(towards):
    found = sim.estimate(C, learner={"kind": "james_stein", "towards": towards})
    assert found == pytest.approx(sim.estimate(C, learner={"kind": "james_stein"}), rel=1e-13)


# every estimate


@pytest.mark.parametrize("counted", [False, True], ids=["known", "counted"])
@pytest.mark.parametrize("target", NAMES)
def test_every_customary_variant_that_applies_appears_once_with_its_own_value(target, counted):
    q = {"model_counts": D} if counted else {"model": Q}
    rows = every_estimate(C, **q, target=target)
    expected = variants(counted, target)
    assert [row.parameters for row in rows] != []
    assert sorted(map(str, (row.parameters for row in rows))) == sorted(map(str, expected))
    assert len({row.label for row in rows}) == len(rows)
    assert rows[0].label == "plug_in"
    assert [row.label for row in rows[1:]] == sorted(row.label for row in rows[1:])
    known = Reference.counted(np.array([D])) if counted else Reference.known(np.array(Q))
    for row in rows:
        same(row.estimate, direct(row.parameters, C, known, target)[0])
        same(row.estimate, sim.estimate(C, **q, target=target, **named(row.parameters)))
        assert isinstance(row.estimate, float)
        assert row.assumes == ESTIMATORS.build(row.parameters).assumption()
        assert row.assumes


def test_a_label_names_what_is_special_about_a_variant():
    labels = {row.label for row in every_estimate(C)}
    assert {"plug_in", "plug_in (laplace)", "plug_in (james_stein)"} <= labels
    assert {"grassberger", "grassberger (1988)", "miller_madow (observed)"} <= labels


def test_an_estimator_that_cannot_have_so_many_colours_is_left_out():
    few_colours, many = (
        [row.label for row in every_estimate([1] * k, model_counts=[1] * k)] for k in (4, 1001)
    )
    assert set(few_colours) - set(many) == {"dirichlet_mixture"}


# faults


def refused(*words: str, counts: Any = C, **asked: Any) -> None:
    """Hold that it is refused as a ValueError whose one line says all of these words."""
    with pytest.raises(InputFault) as caught:
        sim.estimate(counts, **asked)
    assert isinstance(caught.value, ValueError)
    message = str(caught.value)
    assert "\n" not in message
    missing = [word for word in words if word not in message]
    assert not missing, f"{message!r} does not say {missing}"


COUNTS = {
    "negative": ([1, -2], ["expected whole numbers, 0 or more", "got -2", "[1]"]),
    "fractional": ([1, 2.5], ["expected whole numbers", "got 2.5", "[1]"]),
    "NaN": ([nan, 2], ["expected whole numbers", "got nan", "[0]"]),
    "None": ([2, None], ["expected whole numbers", "got nan", "[1]"]),
    "infinite": ([2, inf], ["expected whole numbers", "got inf", "[1]"]),
    "in a row": ([[1, 2], [3, -4]], ["got -4", "[1, 1]"]),
    "too large": ([2**54, 1], ["expected", "1.80144e+16", "[0]"]),
    "larger than any float": ([10**400, 1], ["expected", "too large"]),
    "too large together": ([2**53] * 2000, ["expected"]),
    "empty": ([], ["expected a count for each colour", "[4, 2, 3, 0]"]),
    "empty rows": ([[], []], ["expected a count for each colour"]),
    "a number": (7, ["expected a count for each colour"]),
    "ragged": ([[1, 2], [3]], ["expected", "rows alike"]),
    "text": (["red", "blue"], ["expected whole numbers", "red"]),
    "a mapping": ({"red": 1}, ["expected whole numbers", "dict"]),
    "all zero": ([0, 0, 0, 0], ["expected at least one draw", "only zeros"]),
    "an all-zero row": ([[1, 2], [0, 0]], ["expected at least one draw", "only zeros", "[1]"]),
}


@pytest.mark.parametrize(("counts", "words"), COUNTS.values(), ids=COUNTS)
def test_wrong_counts_are_refused_with_their_place(counts, words):
    refused("counts: ", *words, counts=counts)


@pytest.mark.parametrize(("counts", "words"), COUNTS.values(), ids=COUNTS)
def test_wrong_counts_of_the_model_are_refused_under_their_own_name(counts, words):
    columns = max(np.shape(counts)[-1:], default=2) if words != COUNTS["ragged"][1] else 2
    refused("model_counts: ", *words, counts=[1] * (columns or 2), model_counts=counts)


MODELS = {
    "negative": ([1, -1, 1, 1], ["0 or more", "got -1", "[1]"]),
    "NaN": ([1, nan, 1, 1], ["0 or more", "got nan", "[1]"]),
    "infinite": ([1, 1, inf, 1], ["got inf", "[2]"]),
    "all zero": ([0, 0, 0, 0], ["not all 0"]),
    "of another K": ([1, 1, 1], ["expected 4 colours", "got 3"]),
    "empty": ([], ["expected"]),
    "rows": ([[1, 1, 1, 1]], ["(1, 4)"]),
    "text": (["a", 1, 1, 1], ["expected numbers", "a"]),
    "a mapping": ({"a": 1}, ["expected numbers", "dict"]),
}


@pytest.mark.parametrize(("model", "words"), MODELS.values(), ids=MODELS)
def test_a_wrong_model_is_refused_with_what_was_got(model, words):
    refused("model: ", *words, model=model)


@pytest.mark.parametrize(
    ("counts", "model_counts", "words"),
    [
        (C, [1, 2, 3], ["expected 4 colours", "got 3"]),
        (BLOCK, OTHERS[:5], ["expected rows like those of counts", "(5,)", "(6,)"]),
        (C, OTHERS, ["expected rows like those of counts", "(6,)", "()"]),
        (BLOCK.reshape(2, 3, 4), OTHERS[:2], ["(2,)", "(2, 3)"]),
    ],
    ids=["another K", "fewer rows", "more rows", "rows that do not broadcast"],
)
def test_model_counts_of_another_shape_are_refused(counts, model_counts, words):
    refused("model_counts: ", *words, counts=counts, model_counts=model_counts)


ASKED = {
    "both models": (
        {"model": Q, "model_counts": D},
        ["either `model` or `model_counts`", "got both"],
    ),
    "an unknown estimator": (
        {"estimator": "milermadow"},
        ["unknown kind 'milermadow'", "did you mean 'miller_madow'?"],
    ),
    "an estimator like none": ({"estimator": "xyz"}, ["unknown", "plug_in", "zhang_grabchak"]),
    "no estimator": ({"estimator": None}, ["unknown", "nothing", "plug_in"]),
    "an unknown target": ({"target": "kll"}, ["unknown target 'kll'", "did you mean 'kl'?"]),
    "a target like none": ({"target": "xyz"}, ["unknown target", "kl", "js", "renyi(2)"]),
    "no target": ({"target": None}, ["unknown target nothing"]),
    "a list of targets": ({"target": ["kl"]}, ["unknown target a list"]),
    "Rényi of order 1": ({"target": "renyi(1)"}, ["unknown target 'renyi(1)'"]),
    "a target of learners": ({"target": "kl_loss"}, ["unknown target 'kl_loss'"]),
    "an unknown unit": ({"unit": "bit"}, ["nats or bits", "got 'bit'"]),
    "no unit": ({"unit": None}, ["nats or bits", "got nothing"]),
    "an unknown parameter": (
        {"lerner": {"kind": "james_stein"}},
        ["unknown key 'lerner'", "did you mean 'learner'?"],
    ),
    "a parameter of another": (
        {"estimator": "nsb", "year": 1988},
        ["year", "unknown key 'year'"],
    ),
    "a parameter out of bounds": (
        {"estimator": "dirichlet_mean", "amount": -1},
        ["amount", "greater than 0"],
    ),
    "a parameter of another type": ({"learner": "james_stein"}, ["learner", "expected a learner"]),
    "an unknown learner": (
        {"learner": {"kind": "james_stien"}},
        ["learner.kind", "did you mean 'james_stein'?"],
    ),
    "a fault within a learner": (
        {"learner": {"kind": "add_constant", "amount": "laplas"}},
        ["learner.amount", "did you mean 'laplace'?"],
    ),
    "too few weights": (
        {"learner": {"kind": "james_stein", "towards": (1, 2)}},
        ["`towards` has 2 weights", "4 colours"],
    ),
    "the kind of another": ({"kind": "nsb"}, ["kind"]),
    "filters of an experiment": ({"targets": ("js",)}, ["targets"]),
}


@pytest.mark.parametrize(("asked", "words"), ASKED.values(), ids=ASKED)
def test_what_is_asked_wrongly_is_refused_with_what_was_meant(asked, words):
    refused(*words, **asked)


@pytest.mark.parametrize("counted", [False, True], ids=["known", "counted"])
@pytest.mark.parametrize("kind", ESTIMATORS.kinds())
def test_an_estimator_that_cannot_answer_names_those_that_can(kind, counted):
    q = {"model_counts": D} if counted else {}
    for target in NAMES:
        if able(kind, counted, target):
            assert np.shape(sim.estimate(C, **q, estimator=kind, target=target)) == ()
            continue
        with pytest.raises(InputFault, match=f"^{kind} does not estimate ") as caught:
            sim.estimate(C, **q, estimator=kind, target=target)
        before, _, named_able = str(caught.value).partition("; able: ")
        assert target in before
        assert ("counts of Q" if counted else "a known Q") in before
        others = [other for other in ESTIMATORS.kinds() if able(other, counted, target)]
        assert named_able.split(", ") == others
        assert "plug_in" in others


def test_too_many_colours_are_refused_by_the_estimator_that_cannot_have_them():
    asked = {"estimator": "dirichlet_mixture", "counts": [1] * 1001, "model_counts": [2] * 1001}
    refused("dirichlet_mixture", "at most 1000 colours", "1001", **asked)


def test_every_estimate_is_of_one_row():
    with pytest.raises(InputFault, match=r"expected one row of counts; got the shape \(6, 4\)"):
        every_estimate(BLOCK)
    for asked in ({"model": Q, "model_counts": D}, {"target": "kll"}, {"unit": "bit"}):
        with pytest.raises(InputFault):
            every_estimate(C, **asked)


def test_an_estimators_own_fault_is_not_hidden(monkeypatch):
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("a bug")

    member: type[Estimator] = ESTIMATORS.member("plug_in")  # type: ignore[assignment]
    monkeypatch.setattr(member, "estimate", broken)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        sim.estimate(C)
