"""The laws that hold for every estimator: on every target that it serves, at every extreme."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from members import Case, cases, multinomial, outcomes, tables, urn
from pydantic import ValidationError

from sim.asymptotics import PowerLaw
from sim.contracts.arrays import Reference
from sim.contracts.estimator import ESTIMATORS, Estimator
from sim.contracts.model import MODELS
from sim.divergences import KL, TARGETS
from sim.exact import exact
from sim.experiment import Experiment
from sim.laws import Multinomial
from sim.trials import block_rows

SIGMAS = 4.5
P = np.array([0.2, 0.3, 0.5])
few_examples = settings(deadline=None, derandomize=True, max_examples=25)


@dataclass(frozen=True, eq=False)
class Setting:
    """An estimator, a target that it serves, and a form of Q that it reads."""

    case: Case
    target: str
    form: str

    @property
    def estimator(self) -> Estimator:
        return self.case.build()

    def reference(self, weights: Any, trials: int = 1) -> Reference:
        """Return Q in this setting's form, in proportion to whole `weights` of one row or more."""
        rows = np.atleast_2d(np.asarray(weights, dtype=np.int64))
        if self.form == "known":
            return Reference.known(rows[0] / rows[0].sum())
        return Reference.counted(
            np.ascontiguousarray(np.broadcast_to(rows, (trials, rows.shape[1])))
        )

    def estimate(self, counts: Any, reference: Reference) -> np.ndarray:
        """Return the estimates, with numpy as quiet as a block keeps it."""
        with np.errstate(all="ignore"):
            counts = np.asarray(counts, dtype=np.int64)
            return self.estimator.estimate(counts, reference, TARGETS[self.target])

    def terms(self, counts: np.ndarray, size: Any, reference: Reference) -> np.ndarray | None:
        with np.errstate(all="ignore"):
            return self.estimator.terms(counts, size, reference, TARGETS[self.target])


def reads(setting: Setting) -> bool:
    """Return whether an estimator reads this form of Q: a TypeError says that it does not."""
    try:
        setting.estimate([[3, 2]], setting.reference([2, 3]))
    except TypeError:
        return False
    except Exception:  # it reads it, and its laws will say what is wrong
        return True
    return True


def served(case: Case) -> list[str]:
    try:
        able = case.build().serves
    except Exception:  # it fails its own laws
        return ["kl"]
    every = [target for target in TARGETS if able is None or target in able]
    return every[:1] if case.change else every  # one choice is as good as another on the rest


def is_additive(setting: Setting) -> bool:
    one, size = np.array([[1, 2]]), np.array([[3]])
    try:
        return setting.terms(one, size, setting.reference([1, 1])) is not None
    except Exception:  # it fails its own laws
        return True


def settings_of(*, target: str | None = None, form: str | None = None, additive: bool = False):
    """Return a mark that runs a law in every setting of this target and form."""
    every = [
        Setting(param.values[0], one, way)
        for param in cases(ESTIMATORS)
        for one in served(param.values[0])
        for way in ("known", "counted")
    ]
    wanted = [s for s in every if form in (None, s.form) and target in (None, s.target)]
    found = [s for s in wanted if reads(s) and (not additive or is_additive(s))]
    labels = [f"{s.case.label}-{s.target}-{s.form}" for s in found]
    return pytest.mark.parametrize("setting", found, ids=labels)


every_setting = settings_of()
every_known_q = settings_of(form="known")
every_known_kl = settings_of(form="known", target="kl")
every_additive = settings_of(form="known", additive=True)
every_estimator = pytest.mark.parametrize("case", cases(ESTIMATORS))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Draw counts, and as many weights of Q, none of them 0 in the first row."""
    counts = draw(tables())
    weight = st.integers(1, 1000)
    row = st.lists(weight, min_size=counts.shape[1], max_size=counts.shape[1])
    rows = st.lists(row, min_size=len(counts), max_size=len(counts))
    return counts, np.array(draw(rows), dtype=np.int64)


# what comes out


@every_estimator
def test_an_estimator_serves_targets_that_there_are(case):
    estimator = case.build()
    assert estimator.serves is None or estimator.serves <= set(TARGETS) | {"kl_continuous"}
    assert any(reads(Setting(case, target, f)) for target in TARGETS for f in ("known", "counted"))


@every_estimator
def test_an_experiment_refuses_a_target_that_nobody_serves(case):
    able = case.build().serves
    others = [target for target in TARGETS if able is not None and target not in able]
    plain = {"name": "it", "seed": 1, "trials": 1, "sizes": (2,), "bags": {"urn": urn(a=1, b=2)}}
    for target in served(case):
        whole = Experiment(**plain, targets=(target,), estimators={"it": case.build()})
        assert [cell.target.name for cell in whole.cells("urn")] == [target]
    for target in others:
        with pytest.raises(ValidationError, match="serves"):
            Experiment(**plain, targets=(target,), estimators={"it": case.build()})


@every_setting
@few_examples
@given(pair=pairs())
def test_one_number_comes_out_for_each_trial(setting, pair):
    counts, weights = pair
    reference = setting.reference(weights, len(counts))
    before = counts.copy()
    values = setting.estimate(counts, reference)
    assert values.shape == (len(counts),)
    assert values.dtype == np.float64
    assert values.tobytes() == setting.estimate(counts, reference).tobytes()
    assert np.array_equal(counts, before)


@every_known_kl
@few_examples
@given(pair=pairs())
def test_an_estimate_is_finite_where_q_holds_everything_possible(setting, pair):
    counts, weights = pair
    assert np.all(np.isfinite(setting.estimate(counts, setting.reference(weights))))


@every_setting
@few_examples
@given(pair=pairs())
def test_trials_together_are_trials_one_by_one_to_the_bit(setting, pair):
    counts, weights = pair
    reference = setting.reference(weights, len(counts))
    values = setting.estimate(counts, reference)
    for trial, value in enumerate(values):
        own = reference
        if reference.counts is not None:
            own = Reference.counted(reference.counts[trial : trial + 1])
        assert setting.estimate(counts[trial : trial + 1], own).tobytes() == value.tobytes()


@every_setting
@few_examples
@given(pair=pairs(), data=st.data())
def test_the_order_of_the_colours_is_of_no_account(setting, pair, data):
    counts, weights = pair
    order = data.draw(st.permutations(range(counts.shape[1])))
    values = setting.estimate(counts, setting.reference(weights, len(counts)))
    moved = setting.estimate(counts[:, order], setting.reference(weights[:, order], len(counts)))
    assert moved == pytest.approx(values, rel=1e-10, abs=1e-10, nan_ok=True)


# a sum over colours


@every_additive
@few_examples
@given(pair=pairs())
def test_terms_sum_to_the_estimate(setting, pair):
    counts, weights = pair
    reference = setting.reference(weights, len(counts))
    terms = setting.terms(counts, counts.sum(axis=1, keepdims=True), reference)
    assert np.broadcast_shapes(terms.shape, counts.shape) == counts.shape
    summed = np.broadcast_to(terms, counts.shape).sum(axis=1)
    assert summed == pytest.approx(setting.estimate(counts, reference), rel=1e-12, abs=1e-12)


@every_additive
@few_examples
@given(pair=pairs(), data=st.data())
def test_a_term_follows_from_its_count_and_colour_alone(setting, pair, data):
    counts, weights = pair
    row, number = counts[:1], counts.shape[1]
    size, reference = int(row.sum()), setting.reference(weights)
    whole = np.broadcast_to(setting.terms(row, size, reference), row.shape)
    picked = np.array(data.draw(st.lists(st.integers(0, number - 1), min_size=1, max_size=9)))
    own = setting.terms(row[:, picked], size, reference.gather(picked))
    assert np.broadcast_to(own, (1, len(picked))) == pytest.approx(whole[:, picked], rel=1e-14)


def test_an_estimator_that_gives_nothing_says_so():
    class Idle(Estimator):
        kind: str = "idle"

    reference = Reference.known(np.array([0.5, 0.5]))
    assert Idle().terms(np.array([[1]]), 1, reference, KL) is None
    assert Idle().theory("bias", P, P, KL) is None
    with pytest.raises(NotImplementedError, match="idle gives neither terms nor estimate"):
        Idle().estimate(np.array([[1, 2]]), reference, KL)


# extremes


@every_known_q
@pytest.mark.parametrize("n", [1, 2, 1000, 10**9])
def test_one_colour_alone_is_estimated(setting, n):
    [value] = setting.estimate([[n]], setting.reference([1]))
    assert np.isfinite(value)


@every_setting
@pytest.mark.parametrize("number", [2, 3, 50])
def test_one_draw_gives_an_answer(setting, number):
    reference = setting.reference(np.arange(1, number + 1), number)
    values = setting.estimate(np.eye(number), reference)
    assert values.shape == (number,)
    if setting.form == "known":
        assert not np.isnan(values).any()


@every_known_kl
@pytest.mark.parametrize("n", [2, 1000, 10**9])
def test_all_draws_may_be_of_one_colour(setting, n):
    values = setting.estimate([[n, 0, 0], [0, n, 0], [0, 0, n]], setting.reference([1, 1, 2]))
    assert np.all(np.isfinite(values))
    assert values[0] == pytest.approx(values[1], rel=1e-12)


@every_known_kl
@pytest.mark.parametrize("n", [1000, 10**9])
def test_all_draws_of_one_colour_come_near_its_surprise(setting, n):
    [value] = setting.estimate([[0, 0, n]], setting.reference([1, 1, 2]))
    assert value == pytest.approx(log(2), abs=10 * log(n) / n)


@every_setting
def test_a_billion_draws_leave_nothing_to_estimate(setting):
    shares, weights = np.array([2, 3, 5]), np.array([6, 3, 1])
    reference = setting.reference(weights * 10**8)
    truth = TARGETS[setting.target](shares / 10, weights / 10)
    [value] = setting.estimate([shares * 10**8], reference)
    assert value == pytest.approx(float(truth), abs=1e-4)


@every_setting
def test_a_hundred_thousand_colours_are_estimated(setting):
    counts = np.zeros((2, 100_000), dtype=np.int64)
    counts[0, :300] = 1
    counts[1, ::10] = 3
    reference = setting.reference(np.ones(100_000), 2)
    values = setting.estimate(counts, reference)
    assert values.shape == (2,)
    assert setting.form == "counted" or not np.isnan(values).any()


@every_known_kl
def test_what_q_holds_impossible_and_is_drawn_makes_the_estimate_infinite(setting):
    values = setting.estimate([[3, 2, 0], [3, 2, 1], [0, 0, 9]], setting.reference([1, 1, 0]))
    assert values[1:].tolist() == [np.inf, np.inf]


# through an experiment


def experiment(setting: Setting, **parts: Any) -> Experiment:
    plain = {
        "name": "it",
        "seed": 77,
        "trials": 500,
        "sizes": (6,),
        "bags": {"urn": urn(a=2, b=3, c=5)},
        "models": {"flat": MODELS.build({"kind": "fixed", "balls": {"a": 6, "b": 3, "c": 1}})},
        "targets": (setting.target,),
        "estimators": {"it": setting.estimator},
    }
    return Experiment(**{**plain, **parts})


@every_known_q
def test_bits_are_nats_by_the_logarithm_of_two(setting):
    nats, bits = (
        block_rows(experiment(setting, trials=9, unit=unit), "urn", 0) for unit in ("nats", "bits")
    )
    one = log(2) if TARGETS[setting.target].entropic else 1.0
    for column in ("estimate", "truth"):
        values = (rows[column].to_numpy() for rows in (nats, bits))
        assert np.array_equal(next(values) / one, next(values), equal_nan=True)
    assert nats["status"].to_pylist() == bits["status"].to_pylist()


def test_a_fair_coin_that_shows_one_side_is_one_bit_off():
    whole = Experiment(
        name="it",
        seed=1,
        trials=20,
        sizes=(1,),
        unit="bits",
        bags={"coin": urn(heads=1, tails=1)},
        estimators={"counting": ESTIMATORS.build({"kind": "plug_in"})},
    )
    assert set(block_rows(whole, "coin", 0)["estimate"].to_pylist()) == {1.0}


def listed(setting: Setting, n: int, weights: Any) -> tuple[float, float, float]:
    """Return mean and sd over finite estimates, and the chance of others, by all outcomes."""
    ways = outcomes(n, len(P))
    chances = multinomial(ways, P)
    values = setting.estimate(ways, setting.reference(weights))
    finite = np.isfinite(values)
    lost = chances[~finite].sum()
    weight = chances[finite] / chances[finite].sum()
    mean = weight @ values[finite]
    return mean, np.sqrt(weight @ (values[finite] - mean) ** 2), lost


@every_known_q
def test_the_mean_of_the_trials_is_the_mean_of_all_outcomes_within_its_error(setting):
    rows = block_rows(experiment(setting), "urn", 0).to_pandas()
    mean, sd, lost = listed(setting, 6, [6, 3, 1])
    finite = rows.query("status == 'ok'")["estimate"]
    assert abs(finite.mean() - mean) <= SIGMAS * sd / np.sqrt(len(finite)) + 1e-12
    wide = np.sqrt(lost * (1 - lost) / len(rows))
    assert abs(1 - len(finite) / len(rows) - lost) <= SIGMAS * wide + 1e-12
    assert (rows["status"] != "failed").all()


@every_additive
@pytest.mark.parametrize("weights", [(6, 3, 1), (2, 3, 5), (1, 1, 0)], ids=str)
def test_exact_values_are_those_of_all_outcomes(setting, weights):
    mean, sd, lost = listed(setting, 5, weights)
    reference = setting.reference(weights)
    exactly = exact(Multinomial(5, P), setting.estimator, reference, TARGETS[setting.target])
    if lost > 1 - 1e-12:
        assert exactly.p_infinite == 1
        return
    assert exactly.mean == pytest.approx(mean, rel=1e-10, abs=1e-13)
    assert exactly.sd == pytest.approx(sd, rel=1e-6)
    assert exactly.p_infinite == pytest.approx(lost, abs=1e-12)


@every_known_q
def test_exact_values_are_left_out_where_they_are_not_known(setting):
    reference = setting.reference([6, 3, 1])
    exactly = exact(Multinomial(5, P), setting.estimator, reference, TARGETS[setting.target])
    additive = setting.terms(np.array([[1, 2, 2]]), 5, reference) is not None
    assert (exactly.mean is not None) == additive


# what theory says


PLACES = [
    ((0.4, 0.6), (0.5, 0.5)),
    ((0.4, 0.6), (0.4, 0.6)),
    ((0.5, 0.5), (0.5, 0.5)),
    ((0.1, 0.9), (0.7, 0.3)),
    ((0.2, 0.3, 0.5), (0.6, 0.3, 0.1)),
    ((0.2, 0.3, 0.5), (0.2, 0.3, 0.5)),
    ((0.4, 0.6, 0.0), (0.3, 0.3, 0.4)),
    ((0.4, 0.6, 0.0), (0.4, 0.6, 0.0)),
]


def error(setting: Setting, quantity: str, place: Any, n: int) -> float | None:
    """Return an exact error of an estimate of n draws; None where it is not known."""
    p, q = map(np.array, place)
    target = TARGETS[setting.target]
    exactly = exact(Multinomial(n, p), setting.estimator, Reference.known(q), target)
    if exactly.mean is None or exactly.sd is None:
        return None
    bias = exactly.mean - float(target(p, q))
    return {"bias": bias, "sd": exactly.sd, "rmse": float(np.hypot(bias, exactly.sd))}[quantity]


@every_known_q
@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize("quantity", ["bias", "sd", "rmse"])
def test_an_error_falls_at_the_rate_of_its_theory_to_its_constant(setting, quantity, place):
    p, q = map(np.array, place)
    theory = setting.estimator.theory(quantity, p, q, TARGETS[setting.target])
    if theory is None:
        return
    errors = [error(setting, quantity, place, n) for n in (10**3, 10**4)]
    if None in errors:
        assert len(p) > 2
        return
    few, many = (
        abs(value / (theory.constant * n**theory.rate) - 1)
        for value, n in zip(errors, (10**3, 10**4), strict=True)
    )
    assert many <= 0.02
    assert many <= max(few / 3, 1e-9)


@every_known_q
def test_theory_is_silent_where_the_estimate_may_be_infinite(setting):
    p, q = np.array([0.4, 0.6]), np.array([1.0, 0.0])
    for quantity in ("bias", "sd", "rmse"):
        theory = setting.estimator.theory(quantity, p, q, TARGETS[setting.target])
        assert theory is None or setting.target != "kl"


@every_known_q
@pytest.mark.parametrize("quantity", ["bias", "sd", "rmse"])
def test_theory_speaks_of_errors_that_vanish(setting, quantity):
    for place in PLACES:
        p, q = map(np.array, place)
        theory = setting.estimator.theory(quantity, p, q, TARGETS[setting.target])
        assert theory is None or (isinstance(theory, PowerLaw) and theory.rate < 0)
