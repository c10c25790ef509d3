"""The laws that hold for every estimator: every target that it serves, both forms of Q."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, log, sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from members import Case, cases, multinomial, outcomes, tables, urn
from pydantic import ValidationError
from runs import cell_rows

from sim.asymptotics import PowerLaw
from sim.contracts.arrays import Reference
from sim.contracts.entropy import AdditiveEntropy, EntropyEstimator
from sim.contracts.estimator import ESTIMATORS, Estimator
from sim.contracts.model import MODELS
from sim.divergences import KL, NAMES, TARGETS, Divergence, divergence
from sim.exact import exact
from sim.experiment import Experiment
from sim.laws import Multinomial
from sim.trials import block_rows

SIGMAS = 4.5
P = np.array([0.2, 0.3, 0.5])
Q = np.array([0.6, 0.3, 0.1])
BITS = {"js_distance": sqrt(log(2)), "chi_square": 1, "hellinger_squared": 1, "total_variation": 1}
"""What one bit is worth; ln 2 for all others."""

KNOWN, COUNTED = "known", "counted"
INTEGRAL = 1e-6
"""What an integral over a prior may be off, relative to it."""


@dataclass(frozen=True, eq=False)
class Setting:
    """An estimator and a form of Q that it reads."""

    case: Case
    form: str

    @property
    def estimator(self) -> Estimator:
        return self.case.build()

    @property
    def served(self) -> list[Divergence]:
        """The targets that it serves; each law holds on all of them."""
        able = self.estimator.serves
        return [divergence(name) for name in NAMES if able is None or name in able]

    @property
    def slow(self) -> bool:
        return self.estimator.slow

    @property
    def off(self) -> float:
        """What the estimate of the same may differ by, relative to it."""
        return INTEGRAL if self.slow else 1e-10

    @property
    def most(self) -> int:
        """The most colours of a small test of many; what takes more is refused by `misfit`."""
        fits = self.estimator.misfit(100_000) is None
        return 100_000 if fits else 1000

    def reference(self, weights: Any, trials: int = 1) -> Reference:
        """Return Q in this setting's form, in proportion to whole `weights` of one row or more."""
        rows = np.atleast_2d(np.asarray(weights, dtype=np.int64))
        if self.form == KNOWN:
            return Reference.known(rows[0] / rows[0].sum())
        return Reference.counted(
            np.ascontiguousarray(np.broadcast_to(rows, (trials, rows.shape[1])))
        )

    def estimate(self, counts: Any, reference: Reference, target: Divergence = KL) -> np.ndarray:
        """Return the estimates, with numpy as quiet as a block keeps it."""
        with np.errstate(all="ignore"):
            counts = np.asarray(counts, dtype=np.int64)
            return self.estimator.estimate(counts, reference, target)

    def terms(
        self, counts: np.ndarray, size: Any, reference: Reference, target: Divergence = KL
    ) -> np.ndarray | None:
        with np.errstate(all="ignore"):
            return self.estimator.terms(counts, size, reference, target)

    def additive(self, target: Divergence) -> bool:
        return self.terms(np.array([[1, 2]]), 3, self.reference([1, 1]), target) is not None


def _kept(fit: Callable[[Setting], bool], setting: Setting) -> bool:
    try:
        return setting.estimator.reads(setting.form == COUNTED) and fit(setting)
    except Exception:  # it fails its own laws
        return True


def settings_of(fit: Callable[[Setting], bool] = lambda setting: True) -> Any:
    """Return a mark that runs a law over every setting that fits."""
    every = [Setting(p.values[0], form) for p in cases(ESTIMATORS) for form in (KNOWN, COUNTED)]
    found = [setting for setting in every if _kept(fit, setting)]
    return pytest.mark.parametrize(
        "setting", found, ids=[f"{s.case.label}-{s.form}" for s in found]
    )


def adds_up(setting: Setting) -> bool:
    return any(setting.additive(target) for target in setting.served)


every_setting = settings_of()
every_known_q = settings_of(lambda s: s.form == KNOWN)
every_counted_q = settings_of(lambda s: s.form == COUNTED)
every_additive = settings_of(adds_up)
every_additive_known = settings_of(lambda s: s.form == KNOWN and adds_up(s))
every_additive_counted = settings_of(lambda s: s.form == COUNTED and adds_up(s))
every_entropy = settings_of(lambda s: s.form == KNOWN and isinstance(s.estimator, AdditiveEntropy))
every_estimator = pytest.mark.parametrize("case", cases(ESTIMATORS))


def examples(most: int, **drawn: Any) -> Callable[[Any], Any]:
    """Run a law on at most so many examples, on a few where an estimator is slow."""

    def told(law: Any) -> Any:
        def run(setting: Setting) -> None:
            number = max(3, most // 5) if setting.slow else most
            few = settings(deadline=None, derandomize=True, database=None, max_examples=number)

            def one(**values: Any) -> None:
                law(setting, **values)

            few(given(**drawn)(one))()

        run.__name__, run.__doc__ = law.__name__, law.__doc__
        return run

    return told


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Draw counts, and as many weights of Q, none of them 0."""
    counts = draw(tables())
    weight = st.integers(1, 1000)
    row = st.lists(weight, min_size=counts.shape[1], max_size=counts.shape[1])
    rows = st.lists(row, min_size=len(counts), max_size=len(counts))
    return counts, np.array(draw(rows), dtype=np.int64)


def agree(found: Any, expected: Any, within: float, target: Divergence) -> None:
    """Hold two estimates to be the same: to within `within`, infinities and NaN in place.

    Of a square root near 0 the square is held: √ makes 1e-16 into 1e-8.
    """
    found, expected = np.asarray(found), np.asarray(expected)
    if target.name == "js_distance":
        found, expected = found**2, expected**2
    where = f"of {target.name}"
    np.testing.assert_allclose(found, expected, rtol=within, atol=within, err_msg=where)


# what there is


@every_estimator
def test_an_estimator_says_what_it_serves_reads_and_assumes(case):
    estimator = case.build()
    assert estimator.serves is None or estimator.serves <= set(NAMES) | {"kl_continuous"}
    assert estimator.reads(counted=False) or estimator.reads(counted=True)
    assert estimator.reads(counted=False) == estimator.one_sample
    assert estimator.reads(counted=True) == estimator.two_samples
    assert estimator.assumption().strip()
    assert estimator.misfit(2) is None


@pytest.mark.parametrize("kind", ESTIMATORS.kinds())
def test_every_customary_form_is_built_and_none_is_offered_twice(kind):
    customary = ESTIMATORS.member(kind).customary()
    built = [ESTIMATORS.build({"kind": kind, **keys}) for keys in customary]
    assert built
    assert all(one != other for i, one in enumerate(built) for other in built[:i])


@every_estimator
def test_an_experiment_refuses_a_target_that_nobody_serves(case):
    estimator = case.build()
    plain = {"name": "it", "seed": 1, "trials": 1, "sizes": (2,), "bags": {"urn": urn(a=1, b=2)}}
    model = {"kind": "uniform"}
    if not estimator.one_sample:
        model = {"kind": "drawn", "bag": {"kind": "with_replacement", "balls": {"a": 1, "b": 1}}}
    parts = {**plain, "models": {"q": MODELS.build(model)}, "estimators": {"it": estimator}}
    for target in NAMES:
        if estimator.serves is None or target in estimator.serves:
            whole = Experiment(**parts, targets=(target,))
            assert [cell.target.name for cell in whole.cells("urn")] == [target]
        else:
            with pytest.raises(ValidationError, match="serves"):
                Experiment(**parts, targets=(target,))


@every_estimator
def test_a_form_of_q_that_is_not_read_is_refused_and_not_guessed(case):
    estimator = case.build()
    counts = np.array([[3, 2, 1]])
    for counted, reference in ((False, Reference.known(P)), (True, Reference.counted(counts))):
        if not estimator.reads(counted):
            with pytest.raises(TypeError, match=r"needs (Q's probabilities|counts from Q)"):
                Setting(case, COUNTED if counted else KNOWN).estimate(counts, reference)


@every_setting
@examples(12, pair=pairs())
def test_one_number_comes_out_for_each_trial(setting, pair):
    counts, weights = pair
    reference = setting.reference(weights, len(counts))
    before, q_before = counts.copy(), weights.copy()
    for target in setting.served:
        values = setting.estimate(counts, reference, target)
        assert values.shape == (len(counts),)
        assert values.dtype == np.float64
        assert values.tobytes() == setting.estimate(counts, reference, target).tobytes()
    assert np.array_equal(counts, before)
    assert np.array_equal(weights, q_before)


@every_setting
@examples(12, pair=pairs())
def test_trials_together_are_trials_one_by_one_to_the_bit(setting, pair):
    counts, weights = pair
    reference = setting.reference(weights, len(counts))
    for target in setting.served:
        values = setting.estimate(counts, reference, target)
        for trial, value in enumerate(values):
            one = slice(trial, trial + 1)
            alone = setting.estimate(counts[one], reference.rows(one), target)
            assert alone.tobytes() == value.tobytes(), target.name


@every_setting
def test_a_block_of_trials_is_its_trials_one_by_one_to_the_bit(setting):
    """Of one size, as a block is drawn: then counts are looked up by table."""
    rng = np.random.default_rng(5)
    counts = rng.multinomial(30, [0.1, 0.2, 0.3, 0.4], 6 if setting.slow else 60)
    reference = setting.reference(rng.multinomial(50, [0.25] * 4, len(counts)), len(counts))
    for target in setting.served:
        values = setting.estimate(counts, reference, target)
        for trial, value in enumerate(values):
            one = slice(trial, trial + 1)
            alone = setting.estimate(counts[one], reference.rows(one), target)
            assert alone.tobytes() == value.tobytes(), target.name


@every_setting
@examples(12, pair=pairs(), data=st.data())
def test_the_order_of_the_colours_is_of_no_account(setting, pair, data):
    counts, weights = pair
    order = data.draw(st.permutations(range(counts.shape[1])))
    here = setting.reference(weights, len(counts))
    there = setting.reference(weights[:, order], len(counts))
    for target in setting.served:
        values = setting.estimate(counts, here, target)
        agree(setting.estimate(counts[:, order], there, target), values, setting.off, target)


# finite or not


@every_known_q
@examples(12, pair=pairs())
def test_an_estimate_is_finite_where_q_holds_everything_possible(setting, pair):
    counts, weights = pair
    for target in setting.served:
        if target.name in ("reverse_kl", "jeffreys"):
            continue  # infinite where a colour was not drawn
        values = setting.estimate(counts, setting.reference(weights), target)
        assert np.all(np.isfinite(values)), target.name


@every_setting
@examples(12, pair=pairs())
def test_an_estimate_is_finite_where_every_colour_was_drawn_twice(setting, pair):
    counts, weights = pair
    reference = setting.reference(weights + 1, len(counts))
    for target in setting.served:
        values = setting.estimate(counts + 2, reference, target)
        assert np.all(np.isfinite(values)), target.name


def never(c: np.ndarray, d: np.ndarray) -> np.ndarray:
    return np.zeros(len(c), dtype=bool)


def lacking(c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Return where P's draws show a colour that Q's lack."""
    return np.any((c > 0) & (d == 0), axis=1)


def lone(c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Return where they show one that Q's, more than one draw, have once or not at all."""
    return np.any((c > 0) & (d <= 1), axis=1) & (d.sum(axis=1) > 1)


def lacking_from_one(c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Return where they show a colour that Q's only draw is not: there is none to leave out."""
    return lacking(c, d) & (d.sum(axis=1) == 1)


DECLARED = {
    "augmented_plug_in": (never, never),
    "bu_plug_in": (never, never),
    "dirichlet_mean": (never, never),
    "dirichlet_mixture": (never, never),
    "zhang_grabchak": (never, never),
    "plug_in add_constant": (never, never),
    "plug_in relative_frequency": (lacking, never),
    "miller_madow": (never, lacking),
    "jackknife": (lacking_from_one, lone),
}
"""Where the KL of two samples is declared infinite, and where undefined."""


def declared(setting: Setting) -> str:
    learner = getattr(setting.estimator, "learner", None)
    kind = setting.case.kind
    return kind if learner is None else f"{kind} {learner.kind}"


@settings_of(lambda s: s.form == COUNTED and declared(s) in DECLARED)
@examples(25, c=tables(), data=st.data())
def test_two_samples_are_infinite_or_undefined_exactly_where_declared(setting, c, data):
    row = st.lists(st.integers(0, 3), min_size=c.shape[1], max_size=c.shape[1]).filter(any)
    d = np.array(data.draw(st.lists(row, min_size=len(c), max_size=len(c))))
    infinite, undefined = DECLARED[declared(setting)]
    values = setting.estimate(c, Reference.counted(d))
    assert np.array_equal(np.isnan(values), undefined(c, d))
    assert np.array_equal(values == inf, infinite(c, d))
    assert not np.any(values == -inf)


def test_every_estimator_of_two_samples_declares_where_it_is_finite():
    """All but plug-ins with a learner that may hold colours impossible: these follow it."""
    others = {declared(s) for s in every_counted_q.args[1]} - set(DECLARED)
    assert all(name.startswith("plug_in ") for name in others)


@settings_of(lambda s: s.form == COUNTED and hasattr(s.estimator, "learner"))
@examples(12, c=tables(), data=st.data())
def test_a_plug_in_of_two_samples_is_the_divergence_of_what_is_learned(setting, c, data):
    d = c[:, data.draw(st.permutations(range(c.shape[1])))]
    learner = setting.estimator.learner
    with np.errstate(all="ignore"):
        for target in setting.served:
            by_hand = target(learner.fit(c), learner.fit(d))
            agree(setting.estimate(c, Reference.counted(d), target), by_hand, 1e-12, target)


@every_known_q
def test_what_q_holds_impossible_and_is_drawn_makes_the_estimate_infinite(setting):
    counts = [[3, 2, 0], [3, 2, 1], [0, 0, 9]]
    for target in (t for t in setting.served if t.name in ("kl", "jeffreys", "cross_entropy")):
        values = setting.estimate(counts, setting.reference([1, 1, 0]), target)
        assert values[1:].tolist() == [inf, inf], target.name


# a sum over colours


@every_additive
@examples(12, pair=pairs())
def test_terms_sum_to_the_estimate(setting, pair):
    counts, weights = pair
    reference = setting.reference(weights, len(counts))
    for target in filter(setting.additive, setting.served):
        terms = setting.terms(counts, counts.sum(axis=1, keepdims=True), reference, target)
        assert np.broadcast_shapes(terms.shape, counts.shape) == counts.shape
        summed = np.broadcast_to(terms, counts.shape).sum(axis=1)
        agree(summed, setting.estimate(counts, reference, target), 1e-12, target)


@every_additive
@examples(12, pair=pairs(), data=st.data())
def test_a_term_follows_from_its_count_and_colour_alone(setting, pair, data):
    counts, weights = pair
    row, number = counts[:1], counts.shape[1]
    size, reference = int(row.sum()), setting.reference(weights[:1])
    picked = np.array(data.draw(st.lists(st.integers(0, number - 1), min_size=1, max_size=9)))
    if setting.form == KNOWN:
        gathered = reference.gather(picked)
    else:
        gathered = Reference(number, counts=reference.d[:, picked], size=int(weights[0].sum()))
    for target in filter(setting.additive, setting.served):
        whole = np.broadcast_to(setting.terms(row, size, reference, target), row.shape)
        own = setting.terms(row[:, picked], size, gathered, target)
        own = np.broadcast_to(own, (1, len(picked)))
        np.testing.assert_allclose(own, whole[:, picked], rtol=1e-14, err_msg=target.name)


@every_additive
def test_a_size_may_be_a_number_or_an_array_of_any_shape_that_fits(setting):
    counts, reference = np.array([[3, 1, 4]]), setting.reference([2, 5, 3])
    for target in filter(setting.additive, setting.served):
        plain = setting.terms(counts, 8, reference, target)
        for size in (np.int64(8), np.array(8), np.array([[8]])):
            found = setting.terms(counts, size, reference, target)
            assert np.array_equal(found, plain), target.name


@every_additive_counted
def test_an_estimator_that_says_so_is_separable(setting):
    """All 2 × 2 minors of g(c, d) − g(c, d₀) − g(c₀, d) + g(c₀, d₀) vanish, c and d above 0."""
    rng = np.random.default_rng(9)
    for target in filter(setting.additive, setting.served):
        if not setting.estimator.separable(target):
            continue
        for n, m in ((40, 60), (1000, 37)):
            c = np.sort(rng.choice(np.arange(1, n), 7, replace=False))
            d = np.sort(rng.choice(np.arange(2, m), 7, replace=False))
            grid = [x.ravel()[np.newaxis] for x in np.meshgrid(c, d, indexing="ij")]
            seen = Reference(colours=5, counts=grid[1], size=m)
            g = np.broadcast_to(setting.terms(grid[0], n, seen, target), (1, 49)).reshape(7, 7)
            assert np.isfinite(g).all()
            inner = (g - g[:1] - g[:, :1] + g[0, 0])[1:, 1:]
            minors = np.einsum("ij,kl->ikjl", inner, inner) - np.einsum("il,kj->ikjl", inner, inner)
            assert abs(minors).max() <= 1e-12 * max(abs(inner).max(), abs(g).max()) ** 2, (
                target.name
            )


def test_an_estimator_that_gives_nothing_says_so():
    class Idle(Estimator):
        kind: str = "idle"

    reference = Reference.known(np.array([0.5, 0.5]))
    assert Idle().terms(np.array([[1]]), 1, reference, KL) is None
    assert Idle().theory("bias", P, P, KL) is None
    assert Idle().misfit(10**6) is None
    assert not Idle().separable(KL)
    assert not Idle().slow
    assert Idle().reads(counted=True)
    assert Idle().reads(counted=False)
    with pytest.raises(NotImplementedError, match="idle gives neither terms nor estimate"):
        Idle().estimate(np.array([[1, 2]]), reference, KL)


def test_an_estimator_of_entropy_without_a_surprise_reads_no_counts_of_q():
    class Flat(EntropyEstimator):
        kind: str = "flat"

        def entropy(self, counts):
            return np.zeros(len(counts))

    assert not Flat().reads(counted=True)
    assert Flat().estimate(np.array([[1, 1]]), Reference.known(np.array([0.5, 0.5])), KL) == log(2)
    with pytest.raises(TypeError, match="flat needs Q's probabilities"):
        Flat().estimate(np.array([[1, 1]]), Reference.counted(np.array([[1, 2]])), KL)


# extremes


@every_setting
def test_no_trials_give_no_numbers(setting):
    nothing = np.zeros((0, 3), dtype=np.int64)
    reference = setting.reference([2, 3, 4], 0) if setting.form == KNOWN else None
    for target in setting.served:
        beside = reference or Reference.counted(nothing)
        assert setting.estimate(nothing, beside, target).shape == (0,), target.name


@every_setting
@pytest.mark.parametrize("n", [1, 2, 1000, 10**9])
def test_one_colour_alone_is_estimated(setting, n):
    for target in setting.served:
        for other in (1, n):
            [value] = setting.estimate([[n]], setting.reference([other]), target)
            assert np.isfinite(value) or declared(setting) == "jackknife", target.name


@every_setting
@pytest.mark.parametrize("number", [2, 3, 50])
def test_one_draw_gives_an_answer(setting, number):
    drawn = 2 if setting.slow else number
    reference = setting.reference(np.arange(1, number + 1) + 1, drawn)
    for target in setting.served:
        values = setting.estimate(np.eye(number)[:drawn], reference, target)
        assert values.shape == (drawn,)
        assert not np.isnan(values).any(), target.name


@every_setting
@pytest.mark.parametrize("n", [2, 1000, 10**9])
def test_all_draws_may_be_of_one_colour(setting, n):
    reference = setting.reference([50, 50, 100], 3)
    for target in setting.served:
        counts = [[n, 0, 0], [0, n, 0], [0, 0, n]]
        values = setting.estimate(counts, reference, target)
        assert not np.isnan(values).any(), target.name
        agree(values[0], values[1], 1e-12, target)


@every_known_q
@pytest.mark.parametrize("n", [1000, 10**9])
def test_all_draws_of_one_colour_come_near_its_surprise(setting, n):
    [value] = setting.estimate([[0, 0, n]], setting.reference([1, 1, 2]))
    slack = sqrt(n) * log(n) if getattr(setting.estimator, "learner", None) else 10 * log(n)
    assert value == pytest.approx(log(2), abs=slack / n)


@every_counted_q
def test_one_draw_of_q_gives_an_answer(setting):
    reference = Reference.counted(np.array([[0, 1, 0]]))
    for target in setting.served:
        [value] = setting.estimate([[0, 4, 0]], reference, target)
        assert not np.isnan(value), target.name


@every_setting
def test_a_billion_draws_leave_nothing_to_estimate(setting):
    shares, weights = np.array([2, 3, 5]), np.array([6, 3, 1])
    reference = setting.reference(weights * 10**8)
    for target in setting.served:
        truth = float(target(shares / 10, weights / 10))
        [value] = setting.estimate([shares * 10**8], reference, target)
        assert value == pytest.approx(truth, abs=1e-3), target.name


@every_setting
def test_a_hundred_thousand_colours_are_estimated(setting):
    number = setting.most
    counts = np.zeros((2, number), dtype=np.int64)
    counts[0, : number // 300] = 1
    counts[1, ::10] = 3
    reference = setting.reference(np.full(number, 2), 2)
    for target in setting.served:
        values = setting.estimate(counts, reference, target)
        assert values.shape == (2,)
        assert not np.isnan(values).any(), target.name


def test_a_misfit_is_told_before_it_is_tried():
    mixture = ESTIMATORS.build({"kind": "dirichlet_mixture"})
    assert mixture.misfit(1000) is None
    assert "at most 1000 colours; the bag has 1001" in mixture.misfit(1001)
    counts = np.ones((1, 1001), dtype=np.int64)
    with pytest.raises(ValueError, match="at most 1000"):
        mixture.estimate(counts, Reference.counted(counts), KL)


def test_a_plug_in_fits_what_its_learner_fits():
    learner = {"kind": "james_stein", "towards": (1, 2, 3)}
    plug_in = ESTIMATORS.build({"kind": "plug_in", "learner": learner})
    assert plug_in.misfit(3) is None
    assert "3 weights, the bag 2 colours" in plug_in.misfit(2)
    assert plug_in.slow is False
    assert ESTIMATORS.build({"kind": "plug_in", "learner": {"kind": "good_turing"}}).slow


# through an experiment


def experiment(setting: Setting, **parts: Any) -> Experiment:
    """Return trials of a bag of three colours, Q in this setting's form."""
    balls = {"a": 6, "b": 3, "c": 1}
    model: dict[str, Any] = {"kind": "fixed", "balls": balls}
    if setting.form == COUNTED:
        bag = {"kind": "with_replacement", "balls": balls}
        model = {"kind": "drawn", "bag": bag, "draws": 8}
    plain = {
        "name": "it",
        "seed": 77,
        "trials": 60 if setting.slow else 1500,
        "sizes": (6,),
        "bags": {"urn": urn(a=2, b=3, c=5)},
        "models": {"q": MODELS.build(model)},
        "targets": tuple(target.name for target in setting.served),
        "estimators": {"it": setting.estimator},
    }
    return Experiment(**{**plain, **parts})


@every_setting
def test_bits_are_nats_by_what_one_bit_is_worth(setting):
    nats, bits = (
        cell_rows(experiment(setting, trials=4, unit=unit), "urn", 0).to_pandas()
        for unit in ("nats", "bits")
    )
    worth = np.array([BITS.get(name, log(2)) for name in nats["target"]])
    for column in ("estimate", "truth"):
        np.testing.assert_allclose(nats[column] / worth, bits[column], rtol=1e-15)
    assert nats["status"].tolist() == bits["status"].tolist()


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
    assert set(cell_rows(whole, "coin", 0)["estimate"].to_pylist()) == {1.0}


def listed(setting: Setting, n: int, m: int, target: Divergence) -> tuple[float, float, float]:
    """Return mean and sd over finite estimates, and the chance of others, by all outcomes."""
    ways, q_ways = outcomes(n, 3), outcomes(m, 3)
    chances, reference = multinomial(ways, P), Reference.known(Q)
    if setting.form == COUNTED:
        chances = np.outer(chances, multinomial(q_ways, Q)).ravel()
        reference = Reference.counted(np.tile(q_ways, (len(ways), 1)))
        ways = np.repeat(ways, len(q_ways), axis=0)
    values = setting.estimate(ways, reference, target)
    finite = np.isfinite(values)
    lost = chances[~finite].sum()
    weight = chances[finite] / chances[finite].sum()
    mean = weight @ values[finite]
    return mean, np.sqrt(weight @ (values[finite] - mean) ** 2), lost


@settings_of(lambda s: not s.slow)
def test_the_mean_of_the_trials_is_the_mean_of_all_outcomes_within_its_error(setting):
    rows = block_rows(experiment(setting), "urn", 0).to_pandas()
    assert (rows["status"] != "failed").all()
    for target in setting.served:
        mean, sd, lost = listed(setting, 6, 8, target)
        own = rows[rows["target"] == target.name]
        finite = own.query("status == 'ok'")["estimate"]
        mcse = sd / np.sqrt(len(finite))
        assert abs(finite.mean() - mean) <= SIGMAS * mcse + 1e-12, target.name
        wide = np.sqrt(lost * (1 - lost) / len(own))
        assert abs(1 - len(finite) / len(own) - lost) <= SIGMAS * wide + 1e-12, target.name


def exactly(setting: Setting, n: int, m: int, target: Divergence) -> Any:
    q = Reference.known(Q) if setting.form == KNOWN else Multinomial(m, Q)
    return exact(Multinomial(n, P), setting.estimator, q, target)


@every_additive
def test_exact_values_are_those_of_all_outcomes(setting):
    for target in filter(setting.additive, setting.served):
        found = exactly(setting, 5, 4, target)
        mean, sd, lost = listed(setting, 5, 4, target)
        if found.p_infinite is not None:
            assert found.p_infinite == pytest.approx(lost, abs=1e-12), target.name
        if found.mean is not None:
            assert found.mean == pytest.approx(mean, rel=1e-10, abs=1e-13), target.name
        if found.sd is not None:
            assert found.sd == pytest.approx(sd, rel=1e-6), target.name
        if lost == 0:
            assert found.mean is not None, target.name
            assert found.sd is not None or setting.form == COUNTED, target.name


@every_additive
def test_the_mean_of_many_draws_is_the_exact_mean_within_its_error(setting):
    """At sizes whose outcomes nobody lists: 4.5 Monte Carlo errors, the seed fixed."""
    rng = np.random.default_rng(20)
    n, m, trials = 70, 90, 4000
    counts = rng.multinomial(n, P, trials)
    reference = setting.reference([6, 3, 1])
    if setting.form == COUNTED:
        reference = Reference.counted(rng.multinomial(m, Q, trials))
    for target in filter(setting.additive, setting.served):
        found = exactly(setting, n, m, target)
        values = setting.estimate(counts, reference, target)
        finite = values[np.isfinite(values)]
        if found.mean is None:  # what may be undefined, or infinite and not separable, has none
            assert setting.form == COUNTED
            assert len(finite) < trials or found.p_infinite != 0
            continue
        mcse = finite.std() / sqrt(len(finite))
        assert abs(finite.mean() - found.mean) <= SIGMAS * mcse + 1e-12, target.name
        if found.sd is not None:  # sd's own error is about sd √(kurtosis/4N)
            spread = (finite - finite.mean()) ** 2
            wide = spread.std() / (2 * finite.std() * sqrt(len(finite)))
            assert abs(finite.std() - found.sd) <= SIGMAS * wide + 1e-12, target.name


@every_known_q
def test_exact_values_are_left_out_where_they_are_not_known(setting):
    for target in setting.served:
        found = exactly(setting, 5, 4, target)
        assert (found.mean is not None or found.p_infinite is not None) == setting.additive(
            target
        ), target.name


# what theory says


PLACES = [
    ((0.4, 0.6), (0.5, 0.5)),
    ((0.4, 0.6), (0.4, 0.6)),
    ((0.5, 0.5), (0.5, 0.5)),
    ((0.1, 0.9), (0.7, 0.3)),
    ((0.2, 0.3, 0.5), (0.6, 0.3, 0.1)),
    ((0.2, 0.3, 0.5), (0.2, 0.3, 0.5)),
    ((0.1, 0.2, 0.3, 0.4), (0.25, 0.25, 0.25, 0.25)),
    ((0.4, 0.6, 0.0), (0.3, 0.3, 0.4)),
    ((0.4, 0.6, 0.0), (0.4, 0.6, 0.0)),
]
every_place = pytest.mark.parametrize("place", PLACES, ids=str)
FEW, MANY = 10**3, 10**4


def errors(setting: Setting, place: Any, n: int, target: Divergence) -> dict[str, float] | None:
    """Return exact errors of an estimate of n draws; None where they are not known."""
    p, q = map(np.array, place)
    found = exact(Multinomial(n, p), setting.estimator, Reference.known(q), target)
    if found.mean is None:
        return None
    bias = found.mean - float(target(p, q))
    known = {"bias": bias}
    if found.sd is not None:
        known |= {"sd": found.sd, "rmse": float(np.hypot(bias, found.sd))}
    return known


@settings_of(lambda s: s.form == KNOWN and not s.slow)
@every_place
def test_an_error_falls_at_the_rate_of_its_theory_to_its_constant(setting, place):
    p, q = map(np.array, place)
    for target in setting.served:
        laws = {
            quantity: setting.estimator.theory(quantity, p, q, target)
            for quantity in ("bias", "sd", "rmse")
        }
        laws = {quantity: law for quantity, law in laws.items() if law is not None}
        if not laws:
            continue
        at_few, at_many = (errors(setting, place, n, target) for n in (FEW, MANY))
        if at_few is None:
            assert len(p) > 2
            continue
        for quantity, law in laws.items():
            if quantity not in at_few:
                continue
            few = abs(at_few[quantity] / (law.constant * FEW**law.rate) - 1)
            many = abs(at_many[quantity] / (law.constant * MANY**law.rate) - 1)
            where = f"{quantity} of {target.name}: {many:.2e} off, {few:.2e} before"
            assert many <= 0.02, where
            assert many <= max(few / 3, 1e-7), where


@every_entropy
@every_place
def test_n_times_the_bias_tends_to_the_limit_that_an_entropy_declares(setting, place):
    """Where the limit is 0 too: then no theory of the bias is told, and all of it must vanish."""
    p, q = map(np.array, place)
    flat = np.full_like(p, 1 / len(p))
    for name, beside, sign in (("kl", q, 1), ("entropy", flat, -1)):
        limit = setting.estimator.limit_bias(p, beside)
        if limit is None:
            continue
        at_few, at_many = (errors(setting, place, n, TARGETS[name]) for n in (FEW, MANY))
        few, many = (
            abs(n * found["bias"] - sign * limit) for n, found in ((FEW, at_few), (MANY, at_many))
        )
        where = f"{name}: {many:.2e} off {limit}, {few:.2e} before"
        assert many <= 0.005, where
        assert many <= max(few / 5, 1e-8), where


@every_setting
def test_an_error_falls_by_ten_as_draws_grow_a_hundredfold(setting):
    """P is not Q: the spread falls as 1/√n and leads. rmse of 300 trials is known to 4%."""
    rng = np.random.default_rng(31)
    trials = 40 if setting.slow else 300
    rough = setting.slow and setting.form == COUNTED
    found = {target.name: [] for target in setting.served}
    for n in (4000, 400_000):
        counts = rng.multinomial(n, P, trials)
        reference = setting.reference([6, 3, 1])
        if setting.form == COUNTED:
            reference = Reference.counted(rng.multinomial(n, Q, trials))
        for target in setting.served:
            off = setting.estimate(counts, reference, target) - float(target(P, Q))
            found[target.name].append(sqrt(np.mean(off[np.isfinite(off)] ** 2)))
    for name, (few, many) in found.items():
        assert many / few == pytest.approx(0.1, rel=0.5 if rough or setting.slow else 0.3), name


@every_known_q
def test_theory_is_silent_where_the_estimate_may_be_infinite(setting):
    p, q = np.array([0.4, 0.6]), np.array([1.0, 0.0])
    for quantity in ("bias", "sd", "rmse"):
        assert setting.estimator.theory(quantity, p, q, KL) is None


@every_known_q
@pytest.mark.parametrize("quantity", ["bias", "sd", "rmse"])
def test_theory_speaks_of_errors_that_vanish(setting, quantity):
    for place in PLACES:
        p, q = map(np.array, place)
        for target in setting.served:
            theory = setting.estimator.theory(quantity, p, q, target)
            assert theory is None or (isinstance(theory, PowerLaw) and theory.rate < 0)
