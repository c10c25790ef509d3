"""Coverage: the exact one, the simulated one beside it, and what becomes of a faulty interval."""

from __future__ import annotations

from functools import partial
from itertools import product
from math import inf, isnan, log, nan, sqrt
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
import pytest
from members import multinomial, outcomes
from runs import cell_rows, text
from test_summary import parts_of, summary_of

from sim.analysis import answers
from sim.analysis.analyze import analyze
from sim.analysis.quantiles import PASSES, Quantiles
from sim.analysis.series import Key, Line, Series
from sim.analysis.summary import Tally, proportion_mcse, row
from sim.config.problems import ConfigurationError
from sim.config.reading import read
from sim.contracts.arrays import Reference
from sim.contracts.estimator import ESTIMATORS, Estimator
from sim.contracts.interval import INTERVALS, Bounds, Interval, Sample
from sim.divergences import KL, TARGETS
from sim.exact import UNKNOWN, Stated, coverage, distribution, exact
from sim.experiment import Experiment
from sim.laws import Hypergeometric, Multinomial
from sim.trials import block_rows

P, FAIR = np.array([0.4, 0.6]), np.array([0.5, 0.5])
COUNTING = ESTIMATORS.build({"kind": "plug_in"})
STEADY = [kind for kind in INTERVALS.kinds() if not INTERVALS.build(kind).random]
DRAWING = [kind for kind in INTERVALS.kinds() if kind not in STEADY]


def stated(kind: str, target=KL, level=0.95, estimator=COUNTING) -> Stated:
    return Stated(estimator, INTERVALS.build(kind), target, level)


def covered(n: int, kind: str, p=P, q=FAIR, **changes: object) -> float | None:
    truth = float(changes.get("target", KL)(p, q))
    return coverage(Multinomial(n, p), Reference.known(q), stated(kind, **changes), truth)


class Torn(Interval):
    """Raises, or gives bounds of another shape; three colours at most."""

    kind: Literal["torn"] = "torn"
    fault: Literal["raise", "shape"] = "raise"

    def bounds(self, estimator, sample, level, rng):
        if self.fault == "raise":
            raise ValueError("the ruler broke")
        none = np.zeros(len(sample.counts) + 1)
        return Bounds(none, none, none)


class Thinking(Estimator):
    """The counted KL, slowly: it is asked for few outcomes only."""

    kind: Literal["thinking"] = "thinking"
    serves: ClassVar[frozenset[str] | None] = frozenset({"kl"})

    @property
    def slow(self) -> bool:
        return True

    def estimate(self, counts, reference, target):
        return COUNTING.estimate(counts, reference, target)


# exact coverage


@pytest.mark.parametrize(("n", "share"), [(25, 0.807715514086), (100, 0.866020040129)])
def test_the_wald_interval_has_its_published_coverage(n, share):
    assert covered(n, "wald") == pytest.approx(share, abs=5e-13)


@pytest.mark.parametrize("kind", STEADY)
@pytest.mark.parametrize("q", [FAIR, P, np.array([0.05, 0.95])], ids=str)
def test_exact_coverage_is_the_sum_over_all_outcomes_by_hand(kind, q):
    n, truth = 17, float(KL(P, q))
    counts = outcomes(n, 2)
    with np.errstate(all="ignore"):
        found = INTERVALS.build(kind).bounds(
            COUNTING, Sample(counts, Reference.known(q), KL), 0.9, np.random.default_rng(0)
        )
    held = (found.lower <= truth + 1e-15) & (truth - 1e-15 <= found.upper)
    assert covered(n, kind, q=q, level=0.9) == pytest.approx(
        float(multinomial(counts, P)[held].sum()), rel=1e-12
    )


@pytest.mark.parametrize("n", [2, 10, 40])
@pytest.mark.parametrize("p", [0.03, 0.2, 0.5])
def test_clopper_pearson_never_covers_less_than_its_level(n, p):
    mix = np.array([p, 1 - p])
    for name, q, level in product(("kl", "js", "chi_square"), (FAIR, P, mix), (0.8, 0.95)):
        share = covered(n, "clopper_pearson", p=mix, q=q, target=TARGETS[name], level=level)
        assert share >= level - 1e-12


def test_at_p_equal_to_q_the_boundary_interval_is_about_nominal_and_walds_is_not():
    for n in (25, 100, 1000):
        # both tails are cut: where the lower end is 0 the upper one excludes half of α
        assert covered(n, "boundary", q=P) == pytest.approx(0.975, abs=0.005)
        assert covered(n, "wald", q=P) > 0.999


def test_two_samples_are_covered_as_all_pairs_say():
    n, m, q = 9, 7, np.array([0.55, 0.45])
    c, d = outcomes(n, 2), outcomes(m, 2)
    pairs = [(a, b) for a in c for b in d]
    sample = Sample(
        np.array([a for a, _ in pairs]), Reference.counted(np.array([b for _, b in pairs])), KL
    )
    with np.errstate(all="ignore"):
        found = INTERVALS.build("wald").bounds(COUNTING, sample, 0.95, np.random.default_rng(0))
    truth = float(KL(P, q))
    weights = np.outer(multinomial(c, P), multinomial(d, q)).ravel()
    held = (found.lower <= truth) & (truth <= found.upper)
    own = coverage(Multinomial(n, P), Multinomial(m, q), stated("wald"), truth)
    assert own == pytest.approx(float(weights[held].sum()), rel=1e-12)


def test_coverage_without_replacement_follows_its_own_law():
    law = Hypergeometric(25, np.array([10.0, 15.0]))  # the whole bag: p is known for sure
    truth = float(KL(P, FAIR))
    for kind in STEADY:
        assert coverage(law, Reference.known(FAIR), stated(kind), truth) == 1.0


@pytest.mark.parametrize("kind", DRAWING)
def test_an_interval_that_draws_has_no_exact_coverage(kind):
    assert covered(10, kind) is None


def test_coverage_is_unknown_where_it_would_be_a_guess():
    known, wald = Reference.known(FAIR), stated("wald")
    three = np.full(3, 1 / 3)
    assert coverage(Multinomial(9, three), Reference.known(three), wald, 0.0) is None
    assert coverage(None, known, wald, 0.0) is None
    assert coverage(Multinomial(9, P), None, wald, 0.0) is None
    assert coverage(Multinomial(9, P), known, wald, inf) is None
    torn = Stated(COUNTING, Torn(), KL, 0.95)
    assert coverage(Multinomial(9, P), known, torn, 0.0) is None


def test_a_slow_estimator_is_covered_for_few_outcomes_only():
    slow = stated("wald", estimator=Thinking())
    truth = float(KL(P, FAIR))
    few = coverage(Multinomial(25, P), Reference.known(FAIR), slow, truth)
    assert few == pytest.approx(0.807715514086, abs=5e-13)
    assert coverage(Multinomial(2000, P), Reference.known(FAIR), slow, truth) is None
    assert distribution(Multinomial(2000, P), Thinking(), Reference.known(FAIR), KL) is None
    assert covered(2000, "wald") is not None


def test_too_many_outcomes_have_no_coverage_but_a_distribution():
    n = 10**9
    assert covered(n, "wald") is None
    whole = distribution(Multinomial(n, P), COUNTING, Reference.known(FAIR), KL)
    assert whole.mean == pytest.approx(float(KL(P, FAIR)) + 1 / (2 * n), rel=1e-9)


# the exact distribution


def test_the_distribution_of_two_draws_is_what_it_is():
    found = distribution(Multinomial(2, P), COUNTING, Reference.known(FAIR), KL)
    assert found.values == pytest.approx([0.0, log(2), log(2)])
    assert found.weights.sum() == pytest.approx(1.0, rel=1e-15)
    assert found.cdf(-1e-9) == 0.0
    assert found.cdf(0.0) == pytest.approx(0.48)
    assert found.cdf(1.0) == pytest.approx(1.0)
    assert found.quantile(0.1) == 0.0
    assert found.quantile(0.48) == 0.0
    assert found.quantile(0.49) == found.quantile(1.0) == pytest.approx(log(2))
    assert found.mean == pytest.approx(0.52 * log(2))


@pytest.mark.parametrize("n", [10, 25, 100])
def test_the_distribution_has_the_exact_mean(n):
    law, known = Multinomial(n, P), Reference.known(FAIR)
    found = distribution(law, COUNTING, known, KL)
    assert np.all(np.diff(found.values) >= 0)
    assert found.mean == pytest.approx(exact(law, COUNTING, known, KL).mean, rel=1e-13)


@pytest.mark.parametrize("level", [0.05, 0.25, 0.5, 0.95])
def test_a_quantile_is_the_smallest_value_with_that_much_below(level):
    found = distribution(Multinomial(60, P), COUNTING, Reference.known(FAIR), KL)
    value = found.quantile(level)
    assert found.cdf(value) >= level - 1e-14
    assert found.cdf(np.nextafter(value, -inf)) < level


def test_infinite_values_stand_last():
    found = distribution(Multinomial(5, P), COUNTING, Multinomial(4, FAIR), KL)
    infinite = np.isinf(found.values)
    assert found.values[-1] == inf
    assert found.mean == inf
    assert infinite.any()
    assert not infinite[: np.flatnonzero(infinite)[0]].any()
    lost = exact(Multinomial(5, P), COUNTING, Multinomial(4, FAIR), KL).p_infinite
    assert found.weights[infinite].sum() == pytest.approx(lost, rel=1e-12)
    assert found.cdf(1e300) == pytest.approx(1 - lost, rel=1e-12)


def test_there_is_no_distribution_of_what_may_be_undefined_or_is_not_known():
    jackknife = ESTIMATORS.build({"kind": "jackknife"})
    assert distribution(Multinomial(5, P), jackknife, Multinomial(4, FAIR), KL) is None
    assert distribution(None, COUNTING, Reference.known(FAIR), KL) is None
    three = np.full(3, 1 / 3)
    assert distribution(Multinomial(5, three), COUNTING, Reference.known(three), KL) is None


# what a run says


def experiment(**changes: object) -> Experiment:
    estimators = {
        kind: {"kind": "plug_in", "interval": {"kind": kind, **_few(kind)}}
        for kind in (*STEADY, "posterior")
    }
    plain = {
        "name": "coverage",
        "seed": 4,
        "trials": 6000,
        "sizes": [10, 60],
        "bags": {"urn": {"kind": "with_replacement", "balls": {"red": 10, "blue": 15}}},
        "models": {"itself": {"kind": "itself"}, "fair": {"kind": "uniform"}},
        "estimators": {**estimators, "alone": {"kind": "plug_in"}},
    }
    return read(text(plain, **changes))


def _few(kind: str) -> dict[str, int]:
    return {"draws": 99} if kind == "posterior" else {}


@pytest.fixture(scope="module")
def study():
    known = experiment()
    parts = parts_of(known)
    frame = pd.concat([part.to_pandas() for part in parts.tables])
    return summary_of(known, parts), frame


@pytest.mark.parametrize("kind", STEADY)
@pytest.mark.parametrize("model", ["itself", "fair"])
@pytest.mark.parametrize("size", [10, 60])
def test_simulated_coverage_is_the_exact_one_within_its_errors(study, kind, model, size):
    one = study[0]["urn", model, "kl", kind, size]
    expected = covered(size, kind, q=P if model == "itself" else FAIR)
    assert one["exact_coverage"] == pytest.approx(expected, rel=1e-12)
    error = sqrt(expected * (1 - expected) / 6000)
    assert abs(one["coverage"] - expected) <= 4 * error + 1e-12
    assert one["coverage_mcse"] == pytest.approx(
        proportion_mcse(round(one["coverage"] * 6000), 6000)
    )


@pytest.mark.parametrize("kind", [*STEADY, "posterior"])
def test_coverage_and_width_are_those_of_the_rows(study, kind):
    summary, frame = study
    for model, size in product(("itself", "fair"), (10, 60)):
        cell = (frame.model == model) & (frame.estimator == kind) & (frame["size"] == size)
        rows, one = frame[cell], summary["urn", model, "kl", kind, size]
        held = (rows.lower <= rows.truth + 1e-15) & (rows.truth - 1e-15 <= rows.upper)
        assert one["coverage"] == pytest.approx(held.mean(), rel=1e-12)
        width = (rows.upper - rows.lower)[np.isfinite(rows.upper - rows.lower)]
        assert one["width"] == pytest.approx(width.mean(), rel=1e-10)
        assert one["width_mcse"] == pytest.approx(width.std() / sqrt(len(width)), rel=1e-7)


def test_a_cell_without_an_interval_has_no_coverage_among_those_that_have_one(study):
    names = ("coverage", "coverage_mcse", "width", "width_mcse", "exact_coverage")
    for size in (10, 60):
        assert [study[0]["urn", "fair", "kl", "alone", size][name] for name in names] == [None] * 5
    assert study[0]["urn", "fair", "kl", "posterior", 10]["exact_coverage"] is None


def test_bounds_are_in_the_experiments_unit_and_coverage_has_none():
    in_nats, in_bits = (experiment(unit=unit, trials=300) for unit in ("nats", "bits"))
    nats, bits = (block_rows(known, "urn", 0).to_pandas() for known in (in_nats, in_bits))
    for name in ("lower", "upper", "se"):
        known = pytest.approx(nats[name].to_numpy(), rel=1e-12, nan_ok=True)
        assert bits[name].to_numpy() * log(2) == known
    one, other = (summary_of(known, parts_of(known)) for known in (in_nats, in_bits))
    for key, row_ in one.items():
        assert other[key]["coverage"] == row_["coverage"]
        assert other[key]["exact_coverage"] == pytest.approx(row_["exact_coverage"])


def test_more_trials_and_sizes_leave_every_bound_as_it_is():
    known, longer = experiment(trials=50), experiment(trials=90, sizes=[10, 60, 80])
    one, other = (block_rows(each, "urn", 0).to_pandas() for each in (known, longer))
    again = other[(other.trial < 50) & (other["size"] <= 60)].reset_index(drop=True)
    names = ["estimator", "size", "trial", "lower", "upper", "se"]
    pd.testing.assert_frame_equal(one[names], again[names], check_exact=True)


def test_intervals_are_read_only_where_there_are_any(monkeypatch):
    monkeypatch.setattr(answers, "Quantiles", partial(Quantiles, few=0))  # or once would do
    asked = []

    class Watched:
        def __init__(self, parts):
            self._parts = parts

        def read(self, columns=None):
            asked.append(list(columns))
            return self._parts.read(columns)

    plain = experiment(estimators={"alone": {"kind": "plug_in"}}, trials=20)
    analyze(plain, Watched(parts_of(plain)))
    assert not any("lower" in columns for columns in asked)
    asked.clear()
    bounded = experiment(trials=20)
    analyze(bounded, Watched(parts_of(bounded)))
    assert ["lower" in columns for columns in asked] == [True] + [False] * (PASSES - 1)


KEY = Key(Line("bag", "model", "kl", "estimator"), 7)


def tallied(truth: float, lower: list[float], upper: list[float], *, bounded=True) -> dict:
    number = len(lower)
    tally = Tally(truth, bounded=bounded)
    one = Series(KEY, np.arange(number), np.zeros(number), truth, 0, np.array([lower, upper]))
    tally.add(one)
    return row(KEY, tally, UNKNOWN, 1.0)


def test_a_missing_interval_does_not_cover_and_an_infinite_one_has_no_width():
    one = tallied(1.0, [0.0, nan, 0.5, 2.0], [2.0, nan, inf, 3.0])
    assert one["coverage"] == 0.5
    assert one["coverage_mcse"] == pytest.approx(sqrt(0.25 / 4))
    assert one["width"] == pytest.approx(1.5)
    assert one["width_mcse"] == pytest.approx(np.std([2, 1], ddof=1) / sqrt(2))


def test_an_infinite_truth_is_covered_by_nobody_and_asked_of_nobody():
    one = tallied(inf, [0.0, 1.0], [2.0, inf])
    assert isnan(one["coverage"])
    assert isnan(one["coverage_mcse"])
    assert one["width"] == 2.0


def test_no_interval_at_all_has_neither_coverage_nor_width():
    one = tallied(1.0, [nan], [nan], bounded=False)
    assert all(isnan(one[name]) for name in ("coverage", "coverage_mcse", "width", "width_mcse"))
    missing = tallied(1.0, [nan, nan], [nan, nan])
    assert missing["coverage"] == 0.0
    assert isnan(missing["width"])


# faults


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("raise", "interval: ValueError: the ruler broke"),
        ("shape", "interval: ValueError: expected the shape (30,); got (31,)"),
    ],
)
def test_an_interval_that_fails_leaves_estimates_and_says_why(fault, said):
    plain = experiment(trials=30).model_dump()
    plain["estimators"] = {"torn": COUNTING.model_copy(update={"interval": Torn(fault=fault)})}
    known = Experiment.model_validate(plain)
    rows = cell_rows(known, "urn", 0).to_pandas()
    assert rows[["se", "lower", "upper"]].isna().all(axis=None)
    assert set(rows.reason) == {said}
    assert set(rows.status) == {"ok"}
    assert rows.estimate.notna().all()
    for one in summary_of(known, parts_of(known)).values():
        assert one["coverage"] == 0.0
        assert one["failed"] == 0
        assert one["exact_coverage"] is None


THREE = {"urn": {"kind": "with_replacement", "balls": {"red": 1, "blue": 2, "green": 3}}}


def test_an_interval_that_fits_nothing_is_a_fault_in_its_place():
    with pytest.raises(ConfigurationError) as caught:
        experiment(
            bags=THREE, estimators={"it": {"kind": "plug_in", "interval": "clopper_pearson"}}
        )
    [fault] = caught.value.problems
    assert fault.path == ("estimators", "it", "interval")
    assert fault.message == ("it fits nothing here: clopper_pearson takes two colours only; got 3")


def test_an_interval_that_fits_somewhere_is_left_out_elsewhere():
    two = {"two": {"kind": "with_replacement", "balls": {"red": 1, "blue": 2}}}
    known = experiment(
        bags={**two, **THREE},
        trials=20,
        estimators={"it": {"kind": "plug_in", "interval": "clopper_pearson"}},
    )
    assert {cell.interval is not None for cell in known.cells("two")} == {True}
    assert {cell.interval for cell in known.cells("urn")} == {None}
    summary = summary_of(known, parts_of(known))
    for (bag, *_), one in summary.items():
        assert (one["coverage"] is None) == (bag == "urn")


def test_an_interval_of_a_known_q_does_not_fit_a_counted_one():
    drawn = {"kind": "drawn", "bag": {"kind": "with_replacement", "balls": {"red": 1, "blue": 1}}}
    with pytest.raises(ConfigurationError, match="boundary takes a known Q only"):
        experiment(
            models={"second": drawn},
            estimators={"it": {"kind": "plug_in", "interval": "boundary"}},
        )
    known = experiment(
        models={"second": drawn},
        trials=400,
        estimators={"it": {"kind": "plug_in", "interval": "wald"}},
    )
    for one in summary_of(known, parts_of(known)).values():
        error = sqrt(one["exact_coverage"] * (1 - one["exact_coverage"]) / 400)
        assert abs(one["coverage"] - one["exact_coverage"]) <= 4 * error


# exact quantiles


def test_the_quantiles_of_the_summary_stand_beside_the_exact_ones():
    # each interval misses in at most 1 of 10,000 studies; there are 120 of them
    known = experiment(trials=20_000, unit="bits", level=0.9999)
    found = summary_of(known, parts_of(known))
    for one in found.values():
        for name in ("q05", "q25", "median", "q75", "q95"):
            low, high, exact = one[f"{name}_low"], one[f"{name}_high"], one[f"exact_{name}"]
            assert low - 1e-12 <= exact <= high + 1e-12, (one, name)
    assert len(found) * 5 == 120


def test_exact_quantiles_are_those_of_all_outcomes_infinite_ones_last():
    law = Multinomial(3, np.array([0.5, 0.5]))
    reverse = TARGETS["reverse_kl"]
    # 0 or 3 heads, a quarter of the time, leave Q's other side without a ball: infinite
    found = exact(law, COUNTING, Reference.known(np.array([0.5, 0.5])), reverse)
    value = float(reverse(np.array([1 / 3, 2 / 3]), np.array([0.5, 0.5])))
    assert found.quantiles == pytest.approx((value, value, value, value, inf))
    assert exact(law, COUNTING, Reference.known(np.full(2, 0.5)), KL).quantiles[
        -1
    ] == pytest.approx(np.log(2))


def test_more_than_two_colours_have_no_exact_quantiles():
    three = np.full(3, 1 / 3)
    assert exact(Multinomial(4, three), COUNTING, Reference.known(three), KL).quantiles is None
