"""Resampled trials: Poisson(1) counts that follow from seed, bag and block, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from runs import cell_rows

from sim.analysis.resampling import REPLICATES, Resampling
from sim.analysis.series import COLUMNS, Key, Line, Series, series
from sim.analysis.summary import Tally
from sim.experiment import Experiment

BLOCK = 4096


def experiment(seed: int = 5, trials: int = 6000, **changes) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "resampling",
            "seed": seed,
            "trials": trials,
            "sizes": [20, 40, 1000],
            "bags": {
                "two": {"kind": "with_replacement", "balls": {"red": 10, "blue": 15}},
                "three": {"kind": "with_replacement", "balls": {"a": 1, "b": 2, "c": 3}},
            },
            "models": {"itself": {"kind": "itself"}, "uniform": {"kind": "uniform"}},
            "estimators": {"counting": {"kind": "plug_in"}, "mm": {"kind": "miller_madow"}},
            **changes,
        }
    )


def draws(*shape: int) -> np.ndarray:
    return np.random.default_rng(11).exponential(size=shape)


def one(estimate, size=1, bag="two", first=0) -> Series:
    estimate = np.asarray(estimate, dtype=float)
    key = Key(Line(bag, "itself", "kl", "counting"), size)
    return Series(key, np.arange(first, first + len(estimate)), estimate, truth=0.0, failed=0)


def replicate(known: Experiment, *parts: Series):
    found = Resampling(known)
    for part in parts:
        found.add([part])
    return found.cells[parts[0].key]


def taken(known: Experiment, trials: int, bag="two", first=0) -> np.ndarray:
    """How often each trial is taken, told by estimates that are 1 at that trial alone."""
    found = Resampling(known)
    singles = [one(np.eye(trials)[place], place + 1, bag, first) for place in range(trials)]
    found.add(singles)
    shares = np.stack([found.cells[s.key].errors(0.0)["bias"] for s in singles], axis=1)
    return shares * found.cells[singles[0].key].weight[:, np.newaxis]


def parts_of(known: Experiment) -> list[list[Series]]:
    return [
        list(series(cell_rows(known, bag, index).select(COLUMNS)))
        for bag in known.bags
        for index in range(known.blocks(bag))
    ]


def cells(known: Experiment, parts) -> Resampling:
    found = Resampling(known)
    for part in parts:
        found.add(part)
    return found


@pytest.fixture(scope="module")
def known() -> Experiment:
    return experiment()


@pytest.fixture(scope="module")
def parts(known) -> list[list[Series]]:
    return parts_of(known)


def whole(parts) -> dict[Key, np.ndarray]:
    """Each cell's estimates from all parts."""
    found: dict[Key, list[np.ndarray]] = {}
    for part in parts:
        for single in part:
            found.setdefault(single.key, []).append(single.estimate)
    return {key: np.concatenate(values) for key, values in found.items()}


def test_trials_are_taken_a_poisson_number_of_times(known):
    weights = taken(known, 100)
    assert np.allclose(weights, np.round(weights), atol=1e-9)
    whole_numbers = np.round(weights).astype(int).ravel()
    number = len(whole_numbers)
    shares = np.bincount(whole_numbers, minlength=5)[:5] / number
    poisson = np.exp(-1) / np.array([1, 1, 2, 6, 24])
    assert np.all(np.abs(shares - poisson) < 4 * np.sqrt(poisson * (1 - poisson) / number))


def test_no_two_trials_are_taken_together_more_than_by_chance(known):
    correlations = np.corrcoef(taken(known, 60), rowvar=False)[np.triu_indices(60, 1)]
    # 1770 correlations of 200 replicates, each with an error of 1/√200
    assert np.abs(correlations).max() < 4.8 / sqrt(REPLICATES)
    assert abs(correlations.mean()) < 4 / sqrt(REPLICATES * len(correlations))


def test_a_trial_is_taken_as_often_when_trials_are_added(known):
    assert np.allclose(taken(known, 30)[:, :20], taken(known, 20), atol=1e-9)


@pytest.mark.parametrize(
    ("other", "bag", "first"),
    [(experiment(seed=6), "two", 0), (experiment(), "three", 0), (experiment(), "two", BLOCK)],
    ids=["seed", "bag", "block"],
)
def test_another_seed_bag_or_block_has_its_own_numbers(known, other, bag, first):
    same = np.isclose(taken(known, 20), taken(other, 20, bag, first)).mean()
    chance = float(np.sum((np.exp(-1) / np.array([1, 1, 2, 6, 24, 120])) ** 2))
    assert abs(same - chance) < 4 * sqrt(chance * (1 - chance) / (20 * REPLICATES))


def test_numbers_follow_from_neither_estimators_nor_sizes_nor_trials(known):
    others = experiment(
        trials=10**6, sizes=[7], estimators={"other": {"kind": "miller_madow"}}, models={}
    )
    assert np.array_equal(taken(known, 20), taken(others, 20))


@pytest.mark.parametrize("truth", [0.0, 0.3, -100.0])
def test_a_replicate_is_bias_sd_and_rmse_of_what_was_taken(known, truth):
    values = draws(25)
    weights = np.round(taken(known, 25)).astype(int)
    errors = replicate(known, one(values)).errors(truth)
    for number, counts in enumerate(weights):
        drawn = np.repeat(values, counts)
        expected = {
            "bias": drawn.mean() - truth,
            "sd": drawn.std(ddof=1),
            "rmse": sqrt(np.mean((drawn - truth) ** 2)),
        }
        for name, value in expected.items():
            assert errors[name][number] == pytest.approx(value, rel=1e-9), name


def test_infinite_and_missing_values_take_no_part(known):
    values = draws(25)
    values[[0, 7, 8]] = np.inf, -np.inf, np.nan
    errors = replicate(known, one(values)).errors(0.1)
    weights = np.round(taken(known, 25)).astype(int)
    finite = np.isfinite(values)
    for number, counts in enumerate(weights):
        drawn = np.repeat(values[finite], counts[finite])
        assert errors["bias"][number] == pytest.approx(drawn.mean() - 0.1, rel=1e-9)
        assert errors["sd"][number] == pytest.approx(drawn.std(ddof=1), rel=1e-9)


def test_an_infinite_value_in_one_cell_leaves_the_others_alone(known):
    calm, wild = draws(2, 25)
    wild[3] = np.inf
    alone = replicate(known, one(calm)).errors(0.0)
    found = cells(known, [[one(calm, 1), one(wild, 2)]])
    beside = found.cells[one(calm, 1).key].errors(0.0)
    for name in alone:
        assert np.allclose(beside[name], alone[name], rtol=1e-12)


def test_a_cell_without_a_finite_value_has_no_replicates(known):
    errors = replicate(known, one([np.inf, np.nan, np.inf])).errors(0.0)
    assert all(np.isnan(values).all() for values in errors.values())


def test_a_part_may_be_infinite_throughout_and_the_next_not(known):
    values = draws(30)
    infinite, finite = one(np.full(40, np.inf)), one(values, first=BLOCK)
    found = replicate(known, infinite, finite).errors(0.0)
    alone = replicate(known, finite).errors(0.0)
    for name in alone:
        assert np.allclose(found[name], alone[name], rtol=1e-12), name


def test_an_infinite_truth_leaves_the_sd(known):
    errors = replicate(known, one(draws(25))).errors(np.inf)
    assert np.isfinite(errors["sd"]).all()
    assert not np.isfinite(errors["bias"]).any()
    assert not np.isfinite(errors["rmse"]).any()


def test_digits_hold_where_the_spread_is_small_beside_the_mean(known):
    values = draws(200) - 1
    near = replicate(known, one(values)).errors(0.0)
    far = replicate(known, one(values * 2.0**-20 + 2.0**10)).errors(2.0**10)
    # 2¹⁰ rounds a value of 2⁻²⁰ at 2⁻⁴³: 2⁻²³ of it
    for name in near:
        assert np.allclose(far[name] * 2.0**20, near[name], rtol=1e-5, atol=1e-6), name


def test_nothing_is_taken_from_no_series(known):
    assert cells(known, [[]]).cells == {}


@pytest.mark.parametrize("order", ["backwards", "shuffled", "series_by_series"])
def test_replicates_do_not_follow_from_the_order_of_reading(known, parts, order):
    read = {
        "backwards": [part[::-1] for part in parts[::-1]],
        "shuffled": parts[1::2] + parts[::2],
        "series_by_series": [[single] for part in parts for single in part],
    }[order]
    straight, other = cells(known, parts), cells(known, read)
    assert set(other.cells) == set(straight.cells)
    for key, found in straight.cells.items():
        assert np.array_equal(other.cells[key].weight, found.weight)
        for name, values in found.errors(0.0).items():
            assert np.allclose(other.cells[key].errors(0.0)[name], values, rtol=1e-9), (key, name)


def test_more_cells_than_are_taken_at_once_get_the_same(known):
    values = draws(150, 40)
    together = cells(known, [[one(v, size) for size, v in enumerate(values, start=1)]])
    for size in (1, 64, 65, 128, 129, 150):
        alone = replicate(known, one(values[size - 1], size)).errors(0.0)
        beside = together.cells[one([], size).key].errors(0.0)
        assert all(np.allclose(beside[name], alone[name], rtol=1e-12) for name in alone)


def test_the_spread_of_the_replicates_is_the_monte_carlo_error(known, parts):
    found = cells(known, parts)
    ratios = {"bias": [], "sd": [], "rmse": []}
    for key, values in whole(parts).items():
        tally = Tally(0.0)
        tally.add(one(values))
        squares = tally.squares
        errors = found.cells[key].errors(0.0)
        reported = {
            "bias": tally.estimates.mean_mcse,
            "sd": tally.estimates.sd_mcse,
            "rmse": squares.mean_mcse / (2 * sqrt(squares.mean)),
        }
        for name, mcse in reported.items():
            ratios[name].append(errors[name].std(ddof=1) / mcse)
    # the sd of 200 replicates has an error of 1/√400; 2 bags × 3 sizes × 2 models share draws
    for name, values in ratios.items():
        assert len(values) == 24
        assert max(abs(np.array(values) - 1)) < 4 / sqrt(2 * REPLICATES), name


def test_the_replicates_lie_around_the_value_itself(known, parts):
    found = cells(known, parts)
    for key, values in whole(parts).items():
        bias = found.cells[key].errors(0.0)["bias"]
        assert abs(bias.mean() - values.mean()) < 4 * bias.std(ddof=1) / sqrt(REPLICATES), key


@pytest.mark.parametrize("model", ["itself", "uniform"])
@pytest.mark.parametrize("pair", [(20, 40), (20, 1000), (40, 1000)])
def test_sizes_that_share_draws_stay_correlated(known, parts, model, pair):
    found, estimates = cells(known, parts), whole(parts)
    keys = [Key(Line("two", model, "kl", "counting"), size) for size in pair]
    seen = np.corrcoef([found.cells[key].errors(0.0)["bias"] for key in keys])[0, 1]
    expected = np.corrcoef([estimates[key] for key in keys])[0, 1]
    # Fisher's z of a correlation of 200 pairs has an error of 1/√197
    assert abs(np.arctanh(seen) - np.arctanh(expected)) < 4 / sqrt(REPLICATES - 3)
    if pair == (20, 40):
        assert expected > 0.4


def test_estimators_of_the_same_draws_stay_correlated(known, parts):
    found = cells(known, parts)
    lines = [Line("two", "itself", "kl", label) for label in ("counting", "mm")]
    first, second = (found.cells[Key(line, 20)].errors(0.0)["bias"] for line in lines)
    assert np.allclose(first - second, 1 / (2 * 20), rtol=1e-9)


def test_bags_do_not_follow_each_other(known, parts):
    found = cells(known, parts)
    keys = [Key(Line(bag, "itself", "kl", "counting"), 20) for bag in ("two", "three")]
    seen = np.corrcoef([found.cells[key].errors(0.0)["bias"] for key in keys])[0, 1]
    assert abs(seen) < 4 / sqrt(REPLICATES)


def test_a_batch_is_left_as_it_was(known):
    single = one([1.0, np.inf, np.nan])
    before = replace(single, estimate=single.estimate.copy())
    replicate(known, single)
    assert np.array_equal(single.estimate, before.estimate, equal_nan=True)
