"""The comparison of a run: a row for each pair and size, as its trials and exact values have it."""

from __future__ import annotations

from itertools import combinations
from math import comb, exp, isfinite, log, nan, sqrt

import numpy as np
import pyarrow as pa
import pytest
from test_summary import Memory, Odd

from sim.analysis.analyze import Analysis, analyze
from sim.analysis.crossings import crossing
from sim.experiment import Experiment
from sim.tables import COMPARISON
from sim.trials import block_rows

INF = float("inf")
PLACE = ["bag", "model", "target", "size"]


def experiment(**changes) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "comparison",
            "seed": 31,
            "trials": 5000,
            "sizes": [3, 10, 40],
            "bags": {
                "two": {"kind": "with_replacement", "balls": {"red": 10, "blue": 15}},
                "three": {
                    "kind": "with_replacement",
                    "balls": {"red": 2, "blue": 2, "green": 1},
                    "sizes": [5, 20],
                },
                "out": {
                    "kind": "without_replacement",
                    "balls": {"red": 10, "blue": 15},
                    "sizes": [10, 25],
                },
            },
            "models": {
                "itself": {"kind": "itself"},
                "fair": {"kind": "uniform"},
                "no_blue": {"kind": "fixed", "balls": {"red": 1, "blue": 0}, "bags": ("two",)},
            },
            "targets": ("kl", "reverse_kl"),
            "estimators": {
                "counting": {"kind": "plug_in"},
                "laplace": {"kind": "plug_in", "learner": {"kind": "add_constant", "amount": 1}},
                "jackknife": {"kind": "jackknife", "targets": ("kl",)},
                "odd": Odd(models=("fair",), bags=("three",), targets=("kl",)),
            },
            "learners": {
                "frequency": {"kind": "relative_frequency"},
                "laplace": {"kind": "add_constant", "amount": 1},
                "jeffreys": {"kind": "add_constant", "amount": "jeffreys"},
            },
            **changes,
        }
    )


def parts_of(known: Experiment) -> Memory:
    blocks = [(bag, index) for bag in known.bags for index in range(known.blocks(bag))]
    return Memory(tuple(block_rows(known, bag, index) for bag, index in blocks))


@pytest.fixture(scope="module")
def known() -> Experiment:
    return experiment()


@pytest.fixture(scope="module")
def parts(known) -> Memory:
    return parts_of(known)


@pytest.fixture(scope="module")
def found(known, parts) -> Analysis:
    return analyze(known, parts)


def place_of(row) -> tuple:
    return tuple(row[name] for name in PLACE)


def rows_of(found: Analysis) -> dict[tuple, dict]:
    rows = found.comparison.to_pylist()
    return {(*place_of(row), row["first"], row["second"]): row for row in rows}


def test_there_is_a_row_for_each_pair_and_size_in_order(found, known):
    expected = []
    for bag in known.bags:
        groups: dict[tuple, list[str]] = {}
        for cell in known.cells(bag):
            groups.setdefault((bag, cell.model, cell.target.name), []).append(cell.label)
        for group, labels in groups.items():
            for size in known.sizes_of(bag):
                expected += [(*group, size, *pair) for pair in combinations(labels, 2)]
    assert list(rows_of(found)) == expected
    assert found.comparison.schema == COMPARISON


def test_rows_are_what_the_trials_say(found, parts):
    frame = pa.concat_tables(parts.tables).to_pandas()
    names = [*PLACE, "estimator"]
    columns = {
        tuple(None if isinstance(name, float) else name for name in key): cell
        for key, cell in frame.groupby(names, observed=True, dropna=False)
    }
    for (*place, first, second), row in rows_of(found).items():
        one, two = columns[*place, first], columns[*place, second]
        x, y = one["estimate"].to_numpy(), two["estimate"].to_numpy()
        truth, both = one["truth"].iloc[0], np.isfinite(x) & np.isfinite(y)
        assert row["trials"] == both.sum()
        if not isfinite(truth) or not both.any():
            assert [row[name] for name in ("difference", "mse_ratio", "better")] == [None] * 3
            continue
        d, a, b = (x - y)[both], (x - truth)[both] ** 2, (y - truth)[both] ** 2
        assert row["difference"] == pytest.approx(d.mean(), rel=1e-9, abs=1e-16)
        error = d.std(ddof=1) / sqrt(len(d))
        assert row["difference_mcse"] == pytest.approx(error, rel=1e-6, abs=1e-17)
        if b.mean() > 1e-30:
            assert row["mse_ratio"] == pytest.approx(a.mean() / b.mean(), rel=1e-9, abs=1e-30)
        else:
            assert row["mse_ratio"] is None


def test_differences_and_ratios_lie_near_the_exact_ones(found):
    seen = 0
    for key, row in rows_of(found).items():
        for name in ("difference", "mse_ratio"):
            exact, error = row[f"exact_{name}"], row[f"{name}_mcse"]
            if exact is not None and error is not None:
                assert abs(row[name] - exact) < 4 * error + 1e-12 * abs(exact), (key, name)
                seen += error > 0
    assert seen > 50


def test_exact_values_are_those_of_a_listed_law(found):
    row = rows_of(found)["two", "fair", "kl", 10, "counting", "laplace"]
    k = np.arange(11)
    weights = np.array([comb(10, int(i)) * 0.4**i * 0.6 ** (10 - i) for i in k])

    def kl(p):
        with np.errstate(all="ignore"):
            return np.nansum([x * np.log(2 * x) for x in (p, 1 - p)], axis=0)

    x, y, truth = kl(k / 10), kl((k + 1) / 12), kl(np.array(0.4))
    ratio = weights @ (x - truth) ** 2 / (weights @ (y - truth) ** 2)
    assert row["exact_difference"] == pytest.approx(weights @ (x - y), rel=1e-9)
    assert row["exact_mse_ratio"] == pytest.approx(ratio, rel=1e-9)


def test_nothing_exact_is_claimed_where_an_estimate_may_be_infinite(found):
    row = rows_of(found)["two", "itself", "reverse_kl", 10, "counting", "laplace"]
    assert 0 < row["trials"] < 5000
    assert row["difference"] is not None
    assert (row["exact_difference"], row["exact_mse_ratio"]) == (None, None)


def test_undefined_failed_and_infinite_trials_are_left_out_of_the_pair_alone(found):
    row = rows_of(found)["three", "fair", "kl", 5, "counting", "odd"]
    chance = sum(comb(5, k) * 0.4**k * 0.6 ** (5 - k) for k in (3, 4, 5))
    assert abs(row["trials"] - 5000 * chance) < 4 * sqrt(5000 * chance * (1 - chance))
    assert rows_of(found)["three", "fair", "kl", 5, "counting", "laplace"]["trials"] == 5000


def test_learners_are_compared_by_their_loss(found):
    row = rows_of(found)["two", None, "kl_loss", 40, "laplace", "jeffreys"]
    assert row["trials"] == 5000
    assert row["exact_difference"] < 0
    assert row["better"] == "laplace"


def test_after_the_bag_is_emptied_the_one_that_is_right_is_better(found):
    row = rows_of(found)["out", "fair", "kl", 25, "counting", "laplace"]
    assert (row["mse_ratio"], row["better"], row["exact_mse_ratio"]) == (0, "counting", None)


def test_what_is_not_known_is_null_and_never_nan(found):
    for column in found.comparison.columns:
        if pa.types.is_floating(column.type):
            assert not np.isnan(column.drop_null().to_numpy()).any()


def test_one_estimator_has_no_comparison():
    lone = experiment(
        trials=50, targets=("kl",), estimators={"counting": {"kind": "plug_in"}}, learners={}
    )
    table = analyze(lone, parts_of(lone)).comparison
    assert (table.num_rows, table.schema) == (0, COMPARISON)


def test_bits_give_the_same_ratios(found):
    bits = experiment(unit="bits")
    rows = rows_of(analyze(bits, parts_of(bits)))
    for key, row in rows_of(found).items():
        other = rows[key]
        assert other["better"] == row["better"]
        for name, unit in (("mse_ratio", 1), ("exact_mse_ratio", 1), ("difference", log(2))):
            if row[name] is None:
                assert other[name] is None
            else:
                assert other[name] * unit == pytest.approx(row[name], rel=1e-6, abs=1e-13)


# --- crossings -----------------------------------------------------------------------------


def crossed(sizes, trials=20_000, kind="without_replacement", **changes) -> Experiment:
    """Return an experiment in which Miller–Madow is better than counting at first, then worse."""
    return experiment(
        trials=trials,
        bags={"bag": {"kind": kind, "balls": {"red": 10, "blue": 15}, "sizes": sizes}},
        targets=("kl",),
        estimators={"counting": {"kind": "plug_in"}, "miller_madow": {"kind": "miller_madow"}},
        learners={},
        **{"models": {"fair": {"kind": "uniform"}}, **changes},
    )


def exact_ratio(size: int) -> float:
    """Return the exact ratio of counting over Miller–Madow for 25 balls that stay out."""
    weights, values = [], []
    for k in range(max(0, size - 15), min(10, size) + 1):
        weights.append(comb(10, k) * comb(15, size - k) / comb(25, size))
        values.append(sum(x * log(2 * x) for x in (k / size, 1 - k / size) if x > 0))
    truth = sum(x * log(2 * x) for x in (0.4, 0.6))
    errors = np.array(values) - truth
    other = errors - 1 / (2 * size)
    return float(np.array(weights) @ errors**2 / (np.array(weights) @ other**2))


def root(low: int, high: int) -> float:
    """Return where a line through the exact ln ratios at two sizes passes 0."""
    logs = np.log([exact_ratio(low), exact_ratio(high)])
    return exp(log(low) + (log(high) - log(low)) * logs[0] / (logs[0] - logs[1]))


@pytest.fixture(scope="module")
def crossing_rows() -> list[dict]:
    known = crossed([8, 11, 15, 20])
    return analyze(known, parts_of(known)).comparison.to_pylist()


def test_a_crossing_stands_on_the_row_just_below_it(crossing_rows):
    better = [row["better"] for row in crossing_rows]
    assert better == ["miller_madow", "miller_madow", "counting", "counting"]
    assert [row["crossover"] is not None for row in crossing_rows] == [False, True, False, False]


def test_a_crossing_is_the_exact_one_of_its_two_sizes(crossing_rows):
    row = crossing_rows[1]
    assert 0 < row["crossover_se"] < 0.5
    assert abs(row["crossover"] - root(11, 15)) < 4 * row["crossover_se"]


def test_a_crossing_is_that_of_all_sizes_but_for_the_interpolation(crossing_rows):
    ratios = {size: exact_ratio(size) for size in range(8, 21)}
    (low,) = [n for n in range(8, 20) if ratios[n] > 1 > ratios[n + 1]]
    true, row = root(low, low + 1), crossing_rows[1]
    interpolation = abs(root(11, 15) - true)
    assert abs(row["crossover"] - true) < 4 * row["crossover_se"] + interpolation
    assert interpolation < 0.5


def test_the_error_of_a_crossing_is_its_spread_over_studies():
    found = []
    for seed in range(80):
        # P = Q: 10 errors from 1 at both sizes, so that every study has a crossing
        known = crossed([10, 20], 2000, seed=seed, models={"itself": {"kind": "itself"}})
        row = analyze(known, parts_of(known)).comparison.to_pylist()[0]
        found.append((row["crossover"], row["crossover_se"]))
    sizes, errors = np.array(found).T
    ratio = sqrt(np.mean(errors**2)) / sizes.std(ddof=1)
    assert abs(ratio - 1) < 4 / sqrt(2 * 80)


def test_undecided_sizes_between_say_where_the_ratio_passes_1():
    known = crossed([8, 12, 13, 20], trials=1000)
    rows = analyze(known, parts_of(known)).comparison.to_pylist()
    assert [row["better"] for row in rows] == ["miller_madow", None, None, "counting"]
    assert [row["crossover"] is not None for row in rows] == [True, False, False, False]
    assert abs(rows[0]["crossover"] - root(12, 13)) < 4 * rows[0]["crossover_se"]
    assert abs(rows[0]["crossover"] - root(8, 20)) > 4 * rows[0]["crossover_se"]


def test_no_crossing_is_told_where_a_trial_is_not_finite():
    known = crossed([8, 20], trials=500)
    table = parts_of(known).tables[0]
    estimate = table.column("estimate").to_numpy().copy()
    assert analyze(known, Memory((table,))).comparison.to_pylist()[0]["crossover"] is not None
    estimate[3] = INF
    place = table.column_names.index("estimate")
    holed = table.set_column(place, table.schema.field(place), pa.array(estimate))
    row = analyze(known, Memory((holed,))).comparison.to_pylist()[0]
    assert (row["trials"], row["better"], row["crossover"]) == (499, "miller_madow", None)


def test_a_line_through_two_logarithms_passes_0_where_geometry_has_it():
    ends = np.array([10.0, 1000.0])
    one = crossing(ends, np.array([0.5, -0.5]), np.array([[0.5, -0.5], [0.5, -0.5]]))
    assert one.size == pytest.approx(100)
    assert one.size_se == pytest.approx(0)
    spread = crossing(ends, np.array([-1.0, 3.0]), np.array([[-1.0, 3.0], [-1.0, 1.0]]))
    assert spread.size == pytest.approx(10 * 100**0.25)
    roots = log(100) * np.array([0.25, 0.5])
    assert spread.size_se == pytest.approx(spread.size * roots.std(ddof=1))


def test_a_crossing_without_replicates_has_no_error():
    ends, logs = np.array([10.0, 20.0]), np.array([1.0, -1.0])
    assert np.isnan(crossing(ends, logs, np.full((5, 2), nan)).size_se)


def test_the_first_change_of_sign_along_the_sizes_is_the_crossing():
    sizes, logs = np.array([1.0, 10.0, 100.0, 1000.0]), np.array([1.0, 0.5, -0.5, -1.0])
    later = np.array([[1.0, 0.5, 0.25, -0.25], [1.0, 0.5, 0.25, 0.5]])
    one = crossing(sizes, logs, np.vstack([logs, later]))
    assert one.size == pytest.approx(10**1.5)
    # a replicate crosses where its own sign changes; one that never does tells nothing
    roots = log(10) * np.array([1.5, 2.5])
    assert one.size_se == pytest.approx(one.size * roots.std(ddof=1))
