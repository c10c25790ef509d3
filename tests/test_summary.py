"""Every measure of the summary is what the trials say when they are laid side by side."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, isfinite, isnan, log, nan, sqrt
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.stats import binom

from sim.analysis.analyze import analyze
from sim.analysis.ranks import interval_ranks
from sim.analysis.series import Key, Line, Series
from sim.analysis.summary import Tally, proportion_mcse, row
from sim.contracts.estimator import Estimator
from sim.exact import UNKNOWN, Exact
from sim.experiment import Experiment
from sim.tables import CONTROL, STATUS, SUMMARY
from sim.trials import block_rows

CELL = ["bag", "model", "target", "estimator", "size"]
ERROR_MEASURES = ("bias", "bias_mcse", "rmse", "rmse_mcse", "mae", "mae_mcse")
INF = float("inf")


class Odd(Estimator):
    """Does not answer at no red ball, fails at one, is infinite at two, red's share beyond."""

    kind: Literal["odd"] = "odd"

    def estimate(self, counts, reference, target):
        if np.any(counts[:, 0] == 1):
            raise ValueError("one red ball")
        share = counts[:, 0] / counts.sum(axis=1)
        return np.select([counts[:, 0] == 0, counts[:, 0] == 2], [nan, INF], share)


@dataclass(frozen=True)
class Memory:
    """Parts that were never written."""

    tables: tuple[pa.Table, ...]

    def read(self, columns=None):
        return (table.select(columns or table.column_names) for table in self.tables)


def experiment(**changes) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "summary",
            "seed": 18,
            "trials": 5000,
            "sizes": [1, 3, 10, 40],
            "bags": {
                "put_back": {"kind": "with_replacement", "balls": {"red": 10, "blue": 15}},
                "kept_out": {
                    "kind": "without_replacement",
                    "balls": {"red": 10, "blue": 15},
                    "sizes": [5, 25],
                },
                "three": {
                    "kind": "with_replacement",
                    "balls": {"red": 2, "blue": 2, "green": 1},
                },
            },
            "models": {
                "itself": {"kind": "itself"},
                "fair": {"kind": "uniform"},
                "no_blue": {
                    "kind": "fixed",
                    "balls": {"red": 1, "blue": 0},
                    "bags": ("put_back", "kept_out"),
                },
            },
            "estimators": {
                "counting": {"kind": "plug_in"},
                "laplace": {"kind": "plug_in", "learner": {"kind": "add_constant", "amount": 1}},
                "odd": Odd(models=("fair",), bags=("three",)),
            },
            "learners": {"frequency": {"kind": "relative_frequency"}},
            **changes,
        }
    )


def parts_of(known: Experiment) -> Memory:
    blocks = [(bag, index) for bag in known.bags for index in range(known.blocks(bag))]
    return Memory(tuple(block_rows(known, bag, index) for bag, index in blocks))


def summary_of(known: Experiment, parts: Memory) -> dict[tuple, dict]:
    rows = analyze(known, parts).summary.to_pylist()
    return {tuple(one[name] for name in CELL): one for one in rows}


@dataclass(frozen=True)
class Study:
    """An experiment's summary, and its trials cell by cell."""

    summary: dict[tuple, dict]
    cells: dict[tuple, pd.DataFrame]

    @classmethod
    def of(cls, known: Experiment) -> Study:
        parts = parts_of(known)
        frame = pa.concat_tables(parts.tables).to_pandas()
        frame = frame[frame["target"] != CONTROL]
        groups = frame.groupby(CELL, observed=True, dropna=False, sort=False)
        cells = {
            tuple(None if isinstance(label, float) else label for label in key): cell
            for key, cell in groups
        }
        return cls(summary_of(known, parts), cells)


@pytest.fixture(scope="module")
def study() -> Study:
    return Study.of(experiment())


def finite(cell: pd.DataFrame) -> np.ndarray:
    return cell.loc[np.isfinite(cell["estimate"]), "estimate"].to_numpy()


def errors(cell: pd.DataFrame) -> np.ndarray:
    """Errors of the finite estimates; none where the truth is infinite."""
    truth = cell["truth"].iloc[0]
    return finite(cell) - truth if isfinite(truth) else np.zeros(0)


def mean(values: np.ndarray) -> float | None:
    return values.mean() if len(values) else None


def sd(values: np.ndarray) -> float | None:
    return values.std(ddof=1) if len(values) > 1 else None


def mean_mcse(values: np.ndarray) -> float | None:
    return sd(values) / sqrt(len(values)) if len(values) > 1 else None


def sd_mcse(values: np.ndarray) -> float | None:
    if len(values) < 2 or np.ptp(values) == 0:
        return None
    deviations = values - values.mean()
    kurtosis = np.mean(deviations**4) / np.mean(deviations**2) ** 2
    return sd(values) / 2 * sqrt((kurtosis - 1) / len(values))


def rmse(values: np.ndarray) -> float | None:
    return sqrt(np.mean(values**2)) if len(values) else None


def rmse_mcse(values: np.ndarray) -> float | None:
    number = len(values)
    if number < 2 or not values.any():
        return None
    squares = values**2
    of_mse = sqrt(np.sum((squares - squares.mean()) ** 2) / (number * (number - 1)))
    return of_mse / (2 * rmse(values))


def answers(cell: pd.DataFrame) -> np.ndarray:
    return np.sort(cell.loc[cell["status"].isin(["ok", "infinite"]), "estimate"].to_numpy())


def quantile(percent: int):
    def of(cell: pd.DataFrame) -> float | None:
        values = answers(cell)
        return values[-(-len(values) * percent // 100) - 1] if len(values) else None

    return of


def p_infinite(cell: pd.DataFrame) -> float | None:
    return np.isinf(answers(cell)).mean() if len(answers(cell)) else None


def p_infinite_mcse(cell: pd.DataFrame) -> float | None:
    number, infinite = len(answers(cell)), np.isinf(answers(cell)).sum()
    if not number:
        return None
    p = infinite / number
    if p in (0, 1):
        p, number = (infinite + 2) / (number + 4), number + 4
    return sqrt(p * (1 - p) / number)


MEASURES = {
    "trials": len,
    "truth": lambda cell: cell["truth"].iloc[0],
    "p_infinite": p_infinite,
    "p_infinite_mcse": p_infinite_mcse,
    "mean": lambda cell: mean(finite(cell)),
    "bias": lambda cell: mean(errors(cell)),
    "bias_mcse": lambda cell: mean_mcse(errors(cell)),
    "sd": lambda cell: sd(finite(cell)),
    "sd_mcse": lambda cell: sd_mcse(finite(cell)),
    "rmse": lambda cell: rmse(errors(cell)),
    "rmse_mcse": lambda cell: rmse_mcse(errors(cell)),
    "mae": lambda cell: mean(np.abs(errors(cell))),
    "mae_mcse": lambda cell: mean_mcse(np.abs(errors(cell))),
    "q05": quantile(5),
    "q25": quantile(25),
    "median": quantile(50),
    "q75": quantile(75),
    "q95": quantile(95),
}


@pytest.mark.parametrize("measure", MEASURES)
def test_a_measure_is_what_the_trials_say(study, measure):
    assert set(study.summary) == set(study.cells)
    for key, one in study.summary.items():
        expected, found = MEASURES[measure](study.cells[key]), one[measure]
        if expected is None or found is None:
            assert found is expected, key
        else:
            assert found == pytest.approx(expected, rel=1e-10, abs=1e-15), key


@pytest.mark.parametrize("measure", ["q05", "q25", "median", "q75", "q95"])
def test_a_quantile_is_one_of_the_estimates_to_the_bit(study, measure):
    for key, one in study.summary.items():
        assert one[measure] == MEASURES[measure](study.cells[key]), key


@pytest.mark.parametrize("status", STATUS[1:])
def test_what_went_wrong_is_counted(study, status):
    counted = {key: int((cell["status"] == status).sum()) for key, cell in study.cells.items()}
    assert {key: one[status] for key, one in study.summary.items()} == counted
    assert sum(counted.values()) > 0


def test_undefined_and_failed_trials_have_no_part_in_the_chance_of_infinity(study):
    one = study.summary["three", "fair", "kl", "odd", 3]
    p = 0.4
    chances = {
        "undefined": (1 - p) ** 3,
        "failed": 3 * p * (1 - p) ** 2,
        "infinite": 3 * p**2 * (1 - p),
    }
    for name, chance in chances.items():
        assert abs(one[name] - 5000 * chance) < 4 * sqrt(5000 * chance * (1 - chance)), name
    answered = 5000 - one["undefined"] - one["failed"]
    assert one["p_infinite"] == one["infinite"] / answered
    assert one["mean"] == 1
    assert one["sd"] == 0


def test_an_infinite_truth_leaves_no_error_to_measure(study):
    one = study.summary["put_back", "no_blue", "kl", "counting", 1]
    assert one["truth"] == INF
    assert [one[name] for name in ERROR_MEASURES] == [None] * 6
    # red alone: p̂ = q, so 0; blue: infinite
    assert (one["mean"], one["sd"], one["q05"], one["q95"]) == (0, 0, 0, INF)
    assert abs(one["p_infinite"] - 0.6) < 4 * one["p_infinite_mcse"]


def test_measures_are_over_finite_estimates_and_the_rest_is_told_beside_them(study):
    # P(no red) + P(no blue) among 3 draws; otherwise ln of something
    one = study.summary["put_back", None, "kl_loss", "frequency", 3]
    assert abs(one["p_infinite"] - (0.6**3 + 0.4**3)) < 4 * one["p_infinite_mcse"]
    seen = [0.4 * log(0.4 * 3 / k) + 0.6 * log(0.6 * 3 / (3 - k)) for k in (1, 2)]
    share = 0.6 / (0.4 + 0.6)
    assert abs(one["mean"] - (share * seen[0] + (1 - share) * seen[1])) < 4 * one["bias_mcse"]
    assert one["q95"] == INF


@pytest.mark.parametrize("size", [10, 40])
def test_a_cell_without_a_finite_estimate_has_only_quantiles(size):
    known = experiment(
        trials=50,
        sizes=[size],
        bags={"b": {"kind": "with_replacement", "balls": {"red": 0, "blue": 1}}},
        models={"no_blue": {"kind": "fixed", "balls": {"red": 1, "blue": 0}}},
        estimators={"counting": {"kind": "plug_in"}},
    )
    one = summary_of(known, parts_of(known))["b", "no_blue", "kl", "counting", size]
    assert (one["infinite"], one["p_infinite"]) == (50, 1)
    assert one["p_infinite_mcse"] == pytest.approx(sqrt(52 / 54 * 2 / 54 / 54), rel=1e-12)
    assert [one[name] for name in ("q05", "median", "q95")] == [INF] * 3
    assert [one[name] for name in ("mean", "sd", "sd_mcse", "z", *ERROR_MEASURES)] == [None] * 10


def test_an_emptied_bag_has_errors_of_0_and_no_z(study):
    one = study.summary["kept_out", "fair", "kl", "laplace", 25]
    assert (one["sd"], one["bias_mcse"], one["rmse_mcse"], one["mae_mcse"]) == (0, 0, 0, 0)
    assert (one["sd_mcse"], one["z"]) == (None, None)
    assert one["q05"] == one["median"] == one["q95"]


# --- proportions ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("successes", "trials", "squared"),
    [
        (5, 10, 0.25 / 10),
        (1, 1000, 0.001 * 0.999 / 1000),
        (0, 996, 0.002 * 0.998 / 1000),
        (996, 996, 0.002 * 0.998 / 1000),
        (0, 1, 0.4 * 0.6 / 5),
    ],
)
def test_the_error_of_a_proportion(successes, trials, squared):
    assert proportion_mcse(successes, trials) == pytest.approx(sqrt(squared), rel=1e-12)


def test_the_error_of_a_proportion_is_never_0():
    errors_ = [proportion_mcse(successes, 50) for successes in range(51)]
    assert min(errors_) > 0
    assert errors_ == pytest.approx(errors_[::-1])


def test_no_trials_have_no_proportion():
    assert np.isnan(proportion_mcse(0, 0))


# --- exact values and z --------------------------------------------------------------------


def binomial(n: int, value) -> tuple[float, float]:
    """Exact mean and sd of value(k) for k of n balls red, p = 0.4."""
    weights = [comb(n, k) * 0.4**k * 0.6 ** (n - k) for k in range(n + 1)]
    first = sum(w * value(k) for k, w in enumerate(weights))
    return first, sqrt(sum(w * (value(k) - first) ** 2 for k, w in enumerate(weights)))


def kl(p: float, q: float) -> float:
    return sum(a * log(a / b) for a, b in ((p, q), (1 - p, 1 - q)) if a > 0)


@pytest.mark.parametrize("size", [1, 3, 10, 40])
@pytest.mark.parametrize(("model", "q"), [("itself", 0.4), ("fair", 0.5)])
def test_z_is_the_distance_from_the_exact_mean_in_exact_errors(study, model, q, size):
    for label, amount in (("counting", 0), ("laplace", 1)):
        one = study.summary["put_back", model, "kl", label, size]
        exact_mean, exact_sd = binomial(size, lambda k, a=amount: kl((k + a) / (size + 2 * a), q))
        assert one["exact_mean"] == pytest.approx(exact_mean, rel=1e-12)
        known = exact_sd > 1e-12  # one ball against a fair coin: ln 2 whatever it is
        assert one["exact_sd"] == pytest.approx(exact_sd, rel=1e-9, abs=1e-12)
        assert (one["z"] is not None) == known
        if known:
            z = (finite(study.cells["put_back", model, "kl", label, size]).mean() - exact_mean) / (
                exact_sd / sqrt(5000)
            )
            assert one["z"] == pytest.approx(z, rel=1e-6)
            assert abs(z) < 4


def test_an_estimate_that_nobody_knows_exactly_has_no_z(study):
    one = study.summary["three", "fair", "kl", "odd", 40]
    assert [one[name] for name in ("exact_mean", "exact_sd", "exact_p_infinite", "z")] == [None] * 4
    assert one["mean"] is not None


def tally(values, truth: float = 0.0, cuts=()) -> Tally:
    found = Tally(truth)
    for batch in np.split(np.asarray(values, dtype=float), list(cuts)):
        found.add(Series(KEY, np.arange(len(batch)), batch, truth, failed=0))
    return found


KEY = Key(Line("bag", None, "kl", "counting"), 10)
VALUES = np.random.default_rng(3).exponential(size=400)


def test_z_takes_the_exact_sd_where_it_is_known_and_that_of_the_trials_where_not():
    values = tally(VALUES)
    known = row(KEY, values, Exact(1.0, 1.0, 0.0), 1.0)
    unknown = row(KEY, values, Exact(1.0, None, 0.0), 1.0)
    assert known["z"] == pytest.approx((VALUES.mean() - 1) * 20, rel=1e-12)
    assert unknown["z"] == pytest.approx((VALUES.mean() - 1) / mean_mcse(VALUES), rel=1e-12)
    assert np.isnan(row(KEY, values, UNKNOWN, 1.0)["z"])


@pytest.mark.parametrize("exact_sd", [0.0, 1e-17])
def test_a_spread_that_is_rounding_error_gives_no_z(exact_sd):
    values = tally(np.full(100, 0.1 + 0.2))
    assert np.isnan(row(KEY, values, Exact(0.3, exact_sd, 0.0), 1.0)["z"])
    assert np.isnan(row(KEY, values, Exact(0.3, None, 0.0), 1.0)["z"])


def test_z_counts_finite_estimates_only():
    values = tally([*VALUES, INF, INF, nan])
    assert row(KEY, values, Exact(1.0, 1.0, 0.005), 1.0)["z"] == pytest.approx(
        (VALUES.mean() - 1) * 20, rel=1e-12
    )


# --- a row as a whole ----------------------------------------------------------------------


@pytest.mark.parametrize("cuts", [[], [1], [200], [0, 3, 3, 399], range(1, 400)], ids=str)
def test_a_row_does_not_follow_from_the_batches(cuts):
    values = np.concatenate([VALUES[:200], [INF, nan, -INF], VALUES[200:]])
    one, other = (row(KEY, tally(values, 0.3, c), UNKNOWN, 1.0) for c in ([], cuts))
    for name in set(one) - set(KEY.line._fields):
        assert other[name] == pytest.approx(one[name], rel=1e-12, nan_ok=True), name


def test_the_error_of_the_sd_is_that_of_the_jackknife(study):
    cell = finite(study.cells["put_back", "fair", "kl", "counting", 40])
    number = len(cell)
    away = (cell - cell.mean()) ** 2
    left = np.sqrt((away.sum() - away * number / (number - 1)) / (number - 2))
    jackknife = sqrt((number - 1) / number * np.sum((left - left.mean()) ** 2))
    found = study.summary["put_back", "fair", "kl", "counting", 40]["sd_mcse"]
    # they differ in the second order of what one trial adds to the variance
    assert found == pytest.approx(jackknife, rel=away.max() / away.sum())


def test_bits_are_nats_over_ln_2(study):
    bits = summary_of(experiment(unit="bits"), parts_of(experiment(unit="bits")))
    same = ("z", "p_infinite", "p_infinite_mcse", "exact_p_infinite", "trials")
    names = [*MEASURES, "exact_mean", "exact_sd", "exact_p_infinite", "z"]
    for key, one in study.summary.items():
        for name in names:
            if one[name] is None:
                assert bits[key][name] is None, (key, name)
            else:
                expected = one[name] / (1 if name in same else log(2))
                assert bits[key][name] == pytest.approx(expected, rel=1e-7, abs=1e-15), (key, name)


def test_a_row_has_columns_of_the_summary_only(study):
    made = row(KEY, tally(VALUES), UNKNOWN, 1.0)
    assert set(made) <= set(SUMMARY.names)
    assert all(list(one) == SUMMARY.names for one in study.summary.values())


def test_without_intervals_there_is_no_coverage(study):
    for one in study.summary.values():
        names = ("coverage", "coverage_mcse", "width", "width_mcse", "exact_coverage")
        assert [one[name] for name in names] == [None] * 5


# --- quantile intervals --------------------------------------------------------------------


def ends_are_at_their_ranks(study: Study, level: float) -> None:
    for key, one in study.summary.items():
        values = answers(study.cells[key])
        ends = interval_ranks(len(values), level)
        for name, pair in zip(("q05", "q25", "median", "q75", "q95"), ends, strict=True):
            found = one[f"{name}_low"], one[f"{name}_high"]
            assert found == tuple(None if r is None else values[r - 1] for r in pair), key


def test_the_ends_of_a_quantile_are_estimates_at_their_ranks(study):
    ends_are_at_their_ranks(study, 0.95)


@pytest.mark.parametrize(("level", "trials"), [(0.5, 300), (0.999, 300), (0.95, 60)])
def test_the_level_of_the_experiment_is_that_of_the_ends(level, trials):
    known = Study.of(experiment(level=level, sizes=[40], trials=trials))
    ends_are_at_their_ranks(known, level)
    one = known.summary["three", "fair", "kl", "counting", 40]
    assert (one["q05_low"] is None) == (0.95**trials > (1 - level) / 2)
    assert one["median_low"] < one["median_high"]


# --- errors that few trials carry ----------------------------------------------------------


def rare(trials: int, ones: int) -> dict:
    """Return the row of so many trials of which so many are 1, the others 0."""
    return row(KEY, tally(np.repeat([0.0, 1.0], [trials - ones, ones])), UNKNOWN, 1.0)


@pytest.mark.parametrize("trials", [100, 1000, 4096])
@pytest.mark.parametrize("expected", [0.01, 0.1, 0.5, 1.0, 5.0, 20.0, 50.0])
def test_an_error_that_is_far_off_is_mostly_not_told(trials, expected):
    # 1 with chance p, else 0, truth 0: sd and rmse follow from how many are 1, of which the law
    # is known; so what an error would be, and what it should be, are sums and no draws
    p = expected / trials
    ones = np.arange(trials + 1)
    chance = binom.pmf(ones, trials, p)
    share = ones / trials
    measures = {
        "sd": (np.sqrt(share * (1 - share) * trials / (trials - 1)), (1 - 2 * share) ** 2),
        "rmse": (np.sqrt(share), 1 - share),
    }
    for name, (value, factor) in measures.items():
        inside = (ones > 0) & (ones < trials)
        spread = sqrt(chance @ value**2 - (chance @ value) ** 2)
        errors = np.sqrt(factor[inside] / trials) / 2
        errors *= sqrt(trials / (trials - 1)) if name == "sd" else 1.0
        reported = sqrt(chance[inside] @ errors**2 / chance[inside].sum())
        told = [x for x in range(1, 20) if not isnan(rare(trials, x)[f"{name}_mcse"])]
        not_told = chance[: min(told)].sum()
        if not 0.5 < reported / spread < 2:
            assert not_told > 0.5, (name, reported / spread)
        if expected >= 20:
            assert not_told < 1e-4, name


@pytest.mark.parametrize("name", ["sd", "rmse"])
def test_an_error_that_three_trials_carry_is_not_told_and_of_five_it_is(name):
    assert [isnan(rare(1000, ones)[f"{name}_mcse"]) for ones in (1, 2, 3, 5, 9)] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert not isnan(rare(1000, 1)[name])


def test_errors_of_nearly_normal_estimates_are_always_told():
    rng = np.random.default_rng(12)
    for values in rng.standard_normal((1000, 100)):
        one = row(KEY, tally(values, truth=0.2), UNKNOWN, 1.0)
        assert not isnan(one["sd_mcse"] + one["rmse_mcse"])
