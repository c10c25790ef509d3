"""The adjusted bias: a regression on control variates, its error, and when there is none.

python -m tests.test_adjustment        prints the ratios of the calibration
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from math import isfinite, log, nan, sqrt
from typing import Any

import mpmath
import numpy as np
import pyarrow as pa
import pytest
from threadpoolctl import threadpool_limits

from sim.analysis.adjustment import Adjusted, Adjustments
from sim.analysis.analyze import analyze
from sim.analysis.moments import Moments
from sim.analysis.regression import Adjustment
from sim.analysis.series import COLUMNS, Key, Series, series
from sim.contracts.estimator import ESTIMATORS
from sim.experiment import Experiment
from sim.trials import block_rows

SIGMAS = 4.5
TWO = {"kind": "with_replacement", "balls": {"red": 10, "blue": 15}}
ZIPF: dict[str, Any] = {"kind": "with_replacement", "balls": {"zipf": {"colours": 5}}}
COUNTING = {"kind": "plug_in"}
LAPLACE = {"kind": "plug_in", "learner": {"kind": "add_constant", "amount": 1}}
MILLER = {"kind": "miller_madow"}
MODELS = {"itself": {"kind": "itself"}, "uniform": {"kind": "uniform"}}


def experiment(**changes: Any) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "adjusted",
            "seed": 20240601,
            "trials": 4096,
            "sizes": [10, 100],
            "bags": {"two": TWO, "five": ZIPF},
            "models": MODELS,
            "estimators": {"counting": COUNTING, "laplace": LAPLACE, "miller": MILLER},
            **changes,
        }
    )


class Drawn:
    """Parts that were never written."""

    def __init__(self, known: Experiment) -> None:
        places = [(bag, index) for bag in known.bags for index in range(known.blocks(bag))]
        self.parts = [block_rows(known, *place).select(COLUMNS) for place in places]

    def read(self, columns: Any = None) -> Iterator[pa.Table]:
        return iter(self.parts)


def rows_of(known: Experiment) -> list[dict[str, Any]]:
    with threadpool_limits(1):
        return analyze(known, Drawn(known)).summary.to_pylist()


def fitted(values: np.ndarray, controls: np.ndarray, means: Any, *cuts: int) -> Adjustment:
    """Return the regression of one cell of truth 0, its trials cut into batches."""
    found = Adjustment([0.0], means)
    for y, x in zip(np.split(values, cuts), np.split(controls, cuts), strict=True):
        found.add(y[:, np.newaxis], x)
    return found


def textbook(values: np.ndarray, controls: np.ndarray, means: np.ndarray) -> tuple[Any, Any, Any]:
    """Return adjusted mean, its squared error and variance reduction, with 60 digits.

    As docs/measures.md has them: centred cross-products, β = S⁻¹ s, RSS, and the error.
    """
    with mpmath.workdps(60):
        x = mpmath.matrix(controls.tolist())
        trials, q = controls.shape
        y = [mpmath.mpf(value) for value in values.tolist()]
        centre = [mpmath.fsum(x[:, k]) / trials for k in range(q)]
        mean = mpmath.fsum(y) / trials
        away = mpmath.matrix(trials, q)
        for i in range(trials):
            for k in range(q):
                away[i, k] = x[i, k] - centre[k]
        s = away.T * away
        beta = mpmath.lu_solve(s, away.T * mpmath.matrix([value - mean for value in y]))
        off = mpmath.matrix([centre[k] - mpmath.mpf(float(means[k])) for k in range(q)])
        left = [y[i] - mean - (away[i, :] * beta)[0] for i in range(trials)]
        rss = mpmath.fsum(value**2 for value in left)
        leverage = mpmath.mpf(1) / trials + (off.T * mpmath.lu_solve(s, off))[0]
        error = rss / (trials - q - 1) * leverage
        spread = mpmath.fsum((value - mean) ** 2 for value in y) / (trials - 1) / trials
        return mean - (off.T * beta)[0], error, spread / error


# numbers


@pytest.mark.parametrize("noise", [1.0, 1e-3, 1e-5, 1e-7])
@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_the_numbers_are_those_of_the_textbook_with_60_digits(noise, scale):
    rng = np.random.default_rng(7)
    x = rng.normal(size=(120, 2)) @ np.array([[1.0, 0.3], [0.0, scale]]) + [3.0, 0.1 * scale]
    x = np.column_stack([x, x[:, 0] ** 2 * scale])
    means = np.array([3.0, 0.1 * scale, 9.9 * scale])
    y = 2 + x @ [0.7, -1.5, 0.2] + noise * scale * rng.normal(size=120)
    found = fitted(y, x, means, 17, 18, 90).of(0)
    mean, error, reduction = textbook(y, x, means)
    # y has 16 digits: what is left of it after the controls has 16 less its share of y
    digits = 64 * 2**-52 * float(np.std(y)) / (noise * scale) + 1e-12
    assert found.bias == pytest.approx(float(mean), abs=1e-13)
    assert found.mcse == pytest.approx(sqrt(error), rel=digits)
    assert found.variance_reduction == pytest.approx(float(reduction), rel=2 * digits)
    assert scale < 1 or noise > 1e-7 or found.variance_reduction > 1e13


def test_the_numbers_of_laplace_at_a_million_draws_are_those_of_the_textbook():
    bags, models = {"bag": TWO}, {"uniform": MODELS["uniform"]}
    known = experiment(trials=150, sizes=[300], bags=bags, models=models)
    batch = list(series(block_rows(known, "bag", 0).select(COLUMNS)))
    # of two colours, quadratic takes no part
    controls = [one for one in batch if one.key.line.estimator in ("linear", "plug_in")]
    x = np.stack([one.estimate for one in controls], axis=1)
    means = np.array([one.truth for one in controls])
    [own] = [one for one in batch if one.key.line.estimator == "laplace"]
    found = Adjustments(known)
    found.add(batch)
    adjusted = found.of(own.key)
    mean, error, reduction = textbook(own.estimate, x, means)
    assert adjusted.variance_reduction > 1e8
    assert adjusted.bias == pytest.approx(float(mean) - own.truth, abs=1e-15)
    # rounding of the estimates, 1e-16, beside what the controls leave of them, 1e-8 and less
    assert adjusted.mcse == pytest.approx(sqrt(error), rel=1e-5)
    assert adjusted.variance_reduction == pytest.approx(float(reduction), rel=1e-5)


def test_without_a_word_from_the_controls_the_error_is_about_the_plain_one():
    rng = np.random.default_rng(1)
    y, x = rng.normal(size=4000), rng.normal(size=(4000, 2))
    plain = Moments()
    plain.add(y)
    found = fitted(y, x, [0.0, 0.0]).of(0)
    assert found.mcse == pytest.approx(plain.mean_mcse, rel=4e-3)
    assert found.variance_reduction == pytest.approx(1.0, rel=8e-3)
    assert abs(found.bias) < SIGMAS * found.mcse


@pytest.mark.parametrize(
    "cuts", [range(1, 300), range(64, 300, 64), [1], [299], [5, 5, 200]], ids=len
)
def test_batches_are_one_batch(cuts):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(300, 3)) * [1, 1e-3, 1e-6]
    y = x @ [1.0, 2.0, 3.0] + 1e-5 * rng.normal(size=300)
    whole, cut = fitted(y, x, np.zeros(3)).of(0), fitted(y, x, np.zeros(3), *cuts).of(0)
    assert cut.bias == pytest.approx(whole.bias, rel=1e-9)
    assert cut.mcse == pytest.approx(whole.mcse, rel=1e-9)
    assert cut.variance_reduction == pytest.approx(whole.variance_reduction, rel=1e-9)


def test_a_control_that_only_later_batches_tell_apart_is_used():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(400, 2))
    x[:200, 1] = x[:200, 0]  # at first the two are one
    y = x @ [1.0, 1.0] + 1e-3 * rng.normal(size=400)
    assert fitted(y[:200], x[:200], [0.0, 0.0]).of(0).mcse == pytest.approx(
        1e-3 / sqrt(200), rel=0.2
    )
    assert fitted(y, x, [0.0, 0.0], 100, 200).of(0).mcse == pytest.approx(1e-3 / 20, rel=0.2)


def test_controls_that_say_the_same_are_one_control():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(500, 1))
    y = x[:, 0] + 0.1 * rng.normal(size=500)
    one = fitted(y, x, [0.0]).of(0)
    for slopes, means in (([1, 3], [0, 0]), ([1, 1 / 7, 0], [0, 0, 0]), ([1, 1], [0, 1 / 3])):
        other = fitted(y, x * slopes + means, means).of(0)
        assert other.bias == pytest.approx(one.bias, rel=1e-10)
        assert other.mcse == pytest.approx(one.mcse, rel=1e-10)


# where there is none


def made(trials: int = 100, controls: int = 1, **changes: Any) -> Adjusted | None:
    """Return what a regression of noise says; `changes` put values into its first trials."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(trials, controls))
    y = x.sum(axis=1) + rng.normal(size=trials)
    y[: len(changes.get("first", ()))] = changes.get("first", ())
    found = Adjustment([changes.get("truth", 0.0)], np.zeros(controls))
    found.add(y[:, np.newaxis], x)
    return found.of(0)


@pytest.mark.parametrize("controls", [1, 2, 3])
def test_fewer_than_20_trials_and_5_a_control_give_none(controls):
    least = 20 + 5 * controls
    assert made(least - 1, controls) is None
    assert made(least, controls).mcse > 0


@pytest.mark.parametrize("value", [np.inf, -np.inf, nan])
def test_one_estimate_that_is_not_finite_takes_its_cell_out_and_no_other(value):
    assert made(first=[value]) is None
    rng = np.random.default_rng(6)
    x = rng.normal(size=(100, 1))
    y = x + rng.normal(size=(100, 2))
    both = Adjustment([0.0, 0.0], [0.0])
    both.add(y[:50], x[:50])
    y[70, 0] = value
    both.add(y[50:], x[50:])
    assert both.of(0) is None
    alone = fitted(y[:, 1], x, [0.0], 50).of(0)
    assert both.of(1).bias == pytest.approx(alone.bias, rel=1e-12)
    assert both.of(1).mcse == pytest.approx(alone.mcse, rel=1e-12)


def test_what_is_picked_is_what_its_cells_alone_would_have_given():
    rng = np.random.default_rng(8)
    x = rng.normal(size=(120, 2))
    y = 5 + x @ rng.normal(size=(2, 3)) + rng.normal(size=(120, 3))
    first, second = Adjustment(np.zeros(3), [0.0, 0.0]), Adjustment(np.zeros(3), [0.0, 0.0])
    first.add(y[:70], x[:70])
    second.add(y[70:, ::-1], x[70:])  # the same cells in another order
    first.merge(second.picked([2, None, 0]))
    assert first.of(1) is None
    for cell in (0, 2):
        alone = fitted(y[:, cell], x, [0.0, 0.0]).of(0)
        assert first.of(cell).bias == pytest.approx(alone.bias, rel=1e-9)
        assert first.of(cell).mcse == pytest.approx(alone.mcse, rel=1e-9)


@pytest.mark.parametrize("truth", [np.inf, nan])
def test_there_is_none_where_truth_is_not_finite(truth):
    assert made(truth=truth) is None


def test_there_is_none_without_trials_or_controls_that_vary():
    assert Adjustment([0.0], [0.0]).of(0) is None
    y = np.random.default_rng(1).normal(size=50)
    assert fitted(y, np.ones((50, 1)), [1.0]).of(0) is None
    assert Adjustments(experiment()).of(Key(_line(), 5)) is None


def test_there_is_none_where_any_plane_fits_the_few_points_that_were_seen():
    """Red has a chance of 1 in 100: 50 trials of 2 draws show 0 or 1, all on one line."""
    x = np.array([0.0] * 48 + [1.0] * 2)[:, np.newaxis]
    y = np.exp(3 * x[:, 0])
    assert fitted(y, x, [0.02]).of(0) is None
    three = np.vstack([x, [[2.0]]])
    assert fitted(np.exp(3 * three[:, 0]), three, [0.02]).of(0).mcse > 0


def test_an_emptied_bag_has_none_nothing_varies():
    out = {"kind": "without_replacement", "balls": TWO["balls"]}
    for row in rows_of(experiment(trials=200, sizes=[20, 25], bags={"out": out})):
        assert (row["adjusted_bias"] is None) == (row["size"] == 25)


def test_with_ten_trials_there_is_none_and_with_few_it_is_honest():
    assert {row["adjusted_bias"] for row in rows_of(experiment(trials=10))} == {None}
    few = rows_of(experiment(trials=35, estimators={"laplace": LAPLACE}, bags={"five": ZIPF}))
    assert len(few) == 4
    for row in few:
        off = row["adjusted_bias"] - (row["exact_mean"] - row["truth"])
        # Student's t with 31 degrees of freedom: beyond 4 with a chance below 4e-4
        assert abs(off) <= 4 * row["adjusted_bias_mcse"] + 1e-15


def _line() -> Any:
    [one, *_] = series(block_rows(experiment(), "two", 0).select(COLUMNS))
    return one.key.line


# where an estimate is a combination of its controls


TAUTOLOGIES = [2, 5, 100]


@cache
def tautological(colours: int) -> dict[tuple[str, str, int], dict[str, Any]]:
    balls = TWO["balls"] if colours == 2 else {"zipf": {"colours": colours}}
    bags = {"bag": {"kind": "with_replacement", "balls": balls}}
    found = rows_of(experiment(trials=600, sizes=[10, 1000, 10**4, 10**6], bags=bags))
    return {(row["model"], row["estimator"], row["size"]): row for row in found}


@pytest.mark.parametrize("colours", TAUTOLOGIES)
def test_an_estimate_that_is_a_combination_of_its_controls_has_the_exact_bias(colours):
    for (_, label, _), row in tautological(colours).items():
        if label == "laplace":
            continue
        assert row["adjusted_bias_mcse"] == 0
        assert row["variance_reduction"] is None
        exactly = row["exact_mean"] - row["truth"]
        assert row["adjusted_bias"] == pytest.approx(exactly, abs=1e-14)


@pytest.mark.parametrize("colours", TAUTOLOGIES)
def test_one_that_is_not_is_not_taken_for_one(colours):
    for (model, label, size), row in tautological(colours).items():
        if label != "laplace":
            continue
        if (colours, model, size) == (2, "uniform", 10**6):
            # four powers of one number leave less than rounding, but it is no combination
            assert row["adjusted_bias"] is None
            continue
        assert row["adjusted_bias_mcse"] > 0
        assert row["variance_reduction"] > 1


def test_what_is_a_combination_in_the_trials_seen_only_has_none():
    """Miller–Madow by observed colours is one until a colour is missed, here in 1 of 10¹³."""
    observed = {"miller": {"kind": "miller_madow", "colours": "observed"}}
    known = experiment(trials=500, sizes=[1, 60], bags={"two": TWO}, estimators=observed)
    found = {(row["model"], row["size"]): row["adjusted_bias"] for row in rows_of(known)}
    assert found["itself", 60] is None
    assert found["uniform", 60] is None


def test_the_entropy_of_one_sample_is_a_combination_beside_a_drawn_q_too():
    fair = {"kind": "with_replacement", "balls": {"red": 1, "blue": 1}}
    models = {"drawn": {"kind": "drawn", "bag": fair, "draws": 30}, "uniform": MODELS["uniform"]}
    bags, targets = {"two": TWO}, ("entropy", "kl")
    known = experiment(trials=100, sizes=[20], bags=bags, models=models, targets=targets)
    rows = [row for row in rows_of(known) if row["estimator"] == "counting"]
    drawn, fixed = ([row for row in rows if row["model"] == model] for model in models)
    assert [row["adjusted_bias_mcse"] for row in fixed] == [0, 0]
    entropy, kl = drawn
    assert (entropy["adjusted_bias_mcse"], entropy["target"]) == (0, "entropy")
    assert entropy["adjusted_bias"] == pytest.approx(fixed[0]["adjusted_bias"], abs=1e-15)
    assert kl["adjusted_bias_mcse"] > 0


def test_a_combination_in_the_long_run_of_blocks_stays_one():
    known = experiment(
        trials=40 * 4096, sizes=[5], bags={"five": ZIPF}, estimators={"it": COUNTING}
    )
    for row in rows_of(known):
        assert row["adjusted_bias_mcse"] == 0
        assert row["adjusted_bias"] == pytest.approx(row["exact_mean"] - row["truth"], abs=1e-14)


def test_a_constant_estimate_beside_controls_that_vary_has_its_exact_bias():
    rng = np.random.default_rng(2)
    assert fitted(np.full(100, 0.3), rng.normal(size=(100, 2)), [0.0, 0.0]).of(0) == Adjusted(
        0.3, 0.0, None
    )


# whole cells


def every_estimator() -> dict[str, dict[str, Any]]:
    found = {}
    for kind in ESTIMATORS.kinds():
        for place, keys in enumerate(ESTIMATORS.member(kind).customary()):
            if not ESTIMATORS.build({"kind": kind, **keys}).slow:
                found[f"{kind}_{place}"] = {"kind": kind, **keys}
    return found


@pytest.fixture(scope="module")
def every() -> list[dict[str, Any]]:
    drawn = {"kind": "drawn", "bag": ZIPF, "draws": 30, "bags": ("five",)}
    models = {**MODELS, "drawn": drawn}
    learners = {"laplace": LAPLACE["learner"]}
    known = experiment(models=models, estimators=every_estimator(), learners=learners, sizes=[30])
    return rows_of(known)


def test_the_adjusted_bias_of_every_estimator_is_the_exact_one_within_its_error(every):
    known = [row for row in every if None not in (row["adjusted_bias"], row["exact_mean"])]
    assert len(known) > 60
    kinds = {row["estimator"].rpartition("_")[0] for row in known}
    assert {"plug_in", "miller_madow", "jackknife", "grassberger", "zhang_grabchak"} <= kinds
    assert len([row for row in known if row["model"] == "drawn"]) >= 4
    for row in known:
        off = row["adjusted_bias"] - (row["exact_mean"] - row["truth"])
        assert abs(off) <= SIGMAS * row["adjusted_bias_mcse"] + 1e-13, row


def test_a_cell_with_an_infinite_or_undefined_estimate_has_none(every):
    lost = [row for row in every if row["infinite"] + row["undefined"] + row["failed"]]
    assert len(lost) >= 5
    for row in lost:
        names = ("adjusted_bias", "adjusted_bias_mcse", "variance_reduction")
        assert [row[name] for name in names] == [None] * 3


def test_all_three_are_null_together_or_the_reduction_alone(every):
    for row in every:
        bias, error, reduction = (
            row[name] for name in ("adjusted_bias", "adjusted_bias_mcse", "variance_reduction")
        )
        assert (bias is None) == (error is None)
        assert (reduction is None) == (not error)
        assert all(value is None or isfinite(value) for value in (bias, error, reduction))


def test_no_error_is_larger_than_the_plain_one_by_more_than_chance(every):
    worst = min(row["variance_reduction"] for row in every if row["variance_reduction"])
    assert worst > 1 - 20 / 4096  # q/R and the leverage of x̄ − μ, of 4 controls at most


def test_bits_are_nats_in_another_unit():
    nats, bits = (rows_of(experiment(trials=500, unit=unit)) for unit in ("nats", "bits"))
    for one, other in zip(nats, bits, strict=True):
        for name in ("adjusted_bias", "adjusted_bias_mcse"):
            assert other[name] * log(2) == pytest.approx(one[name], rel=1e-6, abs=1e-14)


def test_the_summary_and_the_convergence_leave_controls_out():
    tables = analyze(known := experiment(trials=50), Drawn(known))
    for table in (tables.summary, tables.convergence):
        assert "control" not in table.column("target").to_pylist()
        assert table.num_rows > 0


# its error is the spread that is seen

REPEATS = 1000
BOUND = 0.10  # the sd of 1000 repeats has an error of 2.2 %, so that is 4.5 of these


@cache
def calibration(bag: str, model: str, trials: int) -> tuple[float, float, float]:
    """Return the spread over studies of so many trials, the rms of the reported error, mean z."""
    known = experiment(
        trials=trials * REPEATS,
        sizes=[1000],
        bags={bag: {"two": TWO, "five": ZIPF}[bag]},
        models={model: MODELS[model]},
        estimators={"laplace": LAPLACE},
    )
    with threadpool_limits(1):
        pairs = np.array([adjusted(known, study) for study in studies(known, trials)])
    [row] = rows_of(known.model_copy(update={"trials": 50}))
    spread = float(pairs[:, 0].std(ddof=1))
    off = float(pairs[:, 0].mean() - (row["exact_mean"] - row["truth"]))
    return spread, sqrt(np.mean(pairs[:, 1] ** 2)), off / spread


def adjusted(known: Experiment, study: list[Series]) -> tuple[float, float]:
    found = Adjustments(known)
    found.add(study)
    [own] = [one.key for one in study if not one.key.line.is_control]
    one = found.of(own)
    return one.bias, one.mcse


def studies(known: Experiment, trials: int) -> Iterator[list[Series]]:
    """Yield the series of one study after the other, cut from all trials of a bag."""
    parts = [list(series(table)) for table in Drawn(known).read(COLUMNS)]
    whole = [np.concatenate([one.estimate for one in place]) for place in zip(*parts, strict=True)]
    for first in range(0, trials * REPEATS, trials):
        rows = slice(first, first + trials)
        yield [replace(a, estimate=b[rows]) for a, b in zip(parts[0], whole, strict=True)]


# a regression has a bias of its own, of order 1/R: the last number is its bound, in errors. Two
# colours and three controls leave a fourth power of one number: 200 trials are few for that
CALIBRATED = [
    ("two", "itself", 200, 0.1),
    ("two", "uniform", 1000, 0.3),
    ("five", "itself", 35, 0.1),
    ("five", "uniform", 35, 0.1),
    ("five", "itself", 200, 0.1),
    ("five", "uniform", 200, 0.1),
]


@pytest.mark.parametrize(("bag", "model", "trials", "own"), CALIBRATED)
def test_the_reported_error_is_the_spread_over_studies(bag, model, trials, own):
    spread, reported, z = calibration(bag, model, trials)
    assert abs(reported / spread - 1) < BOUND
    assert abs(z) < own + 4 / sqrt(REPEATS)


if __name__ == "__main__":
    for *case, _ in (*CALIBRATED, ("two", "uniform", 200, 0.0)):
        spread, reported, z = calibration(*case)
        print(*case, f"{spread:.3e} {reported:.3e} {reported / spread:.3f} mean z {z:+.3f}")
