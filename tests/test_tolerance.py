"""How often an error is small enough, and how large it is at the confidence that is asked."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, inf, isfinite, log, nan

import numpy as np
import pytest
from test_summary import KEY, Study, errors, experiment, proportion_mcse

from sim.analysis.answers import Answers
from sim.analysis.ranks import interval_ranks
from sim.analysis.series import Series
from sim.analysis.summary import Tally, row
from sim.exact import UNKNOWN
from sim.exact.values import Distribution, is_within
from sim.experiment import Tolerance

ASKED = {"error": 0.03, "confidence": 0.8}
NAMES = ("p_within", "p_within_mcse", "error_quantile", "error_quantile_low", "error_quantile_high")


@pytest.fixture(scope="module")
def study() -> Study:
    return Study.of(experiment(tolerance=ASKED))


def off(cell) -> np.ndarray:
    """Absolute errors of all answers, infinite ones last."""
    known = cell.loc[cell["status"].isin(["ok", "infinite"])]
    return np.sort(np.abs(known["estimate"].to_numpy() - known["truth"].to_numpy()))


def test_the_share_within_is_of_all_trials(study):
    judged = 0
    for key, one in study.summary.items():
        cell = study.cells[key]
        if not isfinite(one["truth"]):
            assert [one[name] for name in (*NAMES, "exact_p_within")] == [None] * 6, key
            continue
        within = int(np.count_nonzero(np.abs(errors(cell)) <= ASKED["error"]))
        assert one["p_within"] == within / len(cell), key
        assert one["p_within_mcse"] == proportion_mcse(within, len(cell))
        judged += 0 < within < len(cell)
    assert judged > 20


def test_the_exact_share_is_near_that_of_the_trials_and_there_for_two_colours(study):
    told = 0
    for key, one in study.summary.items():
        exact = one["exact_p_within"]
        if exact is not None:
            assert abs(one["p_within"] - exact) <= 4 * one["p_within_mcse"], key
            assert key[0] != "three"
            told += 0 < exact < 1
    assert told > 10


def test_the_quantile_of_the_error_and_its_ends_are_errors_at_their_ranks(study):
    for key, one in study.summary.items():
        if isfinite(one["truth"]):
            values = off(study.cells[key])
            found = [one[name] for name in NAMES[2:]]
            if len(values) == 0:
                assert found == [None] * 3, key
                continue
            rank = ceil(Fraction(4, 5) * len(values))
            ((low, high),) = interval_ranks(len(values), 0.95, (0.8,))
            ends = [None if r is None else values[r - 1] for r in (rank, low, high)]
            assert found == ends, key


def test_the_tolerance_is_in_the_experiments_unit(study):
    error = ASKED["error"] / log(2)
    bits = Study.of(experiment(unit="bits", tolerance={**ASKED, "error": error}))
    for key, one in study.summary.items():
        other = bits.summary[key]
        assert other["p_within"] == one["p_within"]
        if one["exact_p_within"] is not None:
            assert other["exact_p_within"] == pytest.approx(one["exact_p_within"], rel=1e-12)
        if one["error_quantile"] is not None:
            scaled = other["error_quantile"] * log(2)
            assert scaled == pytest.approx(one["error_quantile"], rel=1e-12, abs=1e-15)


def told(values, truth=0.0, **asked) -> dict:
    found = Tally(truth, tolerance=Tolerance(**asked))
    found.add(Series(KEY, np.arange(len(values)), np.array(values), truth, failed=0))
    found.answers.narrow()
    return row(KEY, found, UNKNOWN, 1.0)


def test_undefined_and_infinite_answers_are_not_within():
    one = told([0.0, 0.005, -0.005, 0.02, inf, nan, nan, nan])
    assert one["p_within"] == 3 / 8
    assert one["error_quantile"] == inf
    assert told([0.0, 0.005, 0.02, inf], confidence=0.75)["error_quantile"] == 0.02


def test_an_error_that_rounding_puts_beyond_the_bound_is_within():
    # 0.41 − 0.4 is a little more than 0.01 in floating point, 0.39 − 0.4 a little less
    truth, values = 0.4, [0.41, 0.39]
    assert max(abs(value - truth) for value in values) > 0.01
    assert told(values, truth, error=0.01)["p_within"] == 1
    assert told([0.4100001], truth, error=0.01)["p_within"] == 0


@pytest.mark.parametrize("truth", [0.0, 1.0, 1e6])
def test_no_more_than_rounding_is_forgiven(truth):
    most = 1e-9 * max(1.0, truth)
    values = np.array([most, -most, most * (1 + 1e-6), -most * (1 + 1e-6)])
    assert is_within(values, truth, most).tolist() == [True, True, False, False]


def test_the_chance_of_a_distribution_to_be_within():
    known = Distribution.of(np.array([0.1, 0.2, 0.3, inf]), np.array([0.4, 0.3, 0.2, 0.1]))
    assert known.within(0.2, 0.05) == pytest.approx(0.3)
    assert known.within(0.2, 0.1) == pytest.approx(0.9)  # both ends belong to it
    assert known.within(0.0, 0.05) == 0
    assert Distribution.of(np.zeros(3), np.full(3, 0.4)).within(0.0, 1.0) == 1


def test_answers_are_sorted_in_any_number_of_pieces_and_passes():
    rng = np.random.default_rng(5)
    values = rng.standard_normal(9000)
    whole = Answers(0.1, 0.95, 0.9)
    while not whole.done:
        for piece in np.split(values, 3):
            other = whole.empty()
            other.add(piece)
            whole.merge(other)
        whole.narrow()
    rank = ceil(0.9 * len(values)) - 1
    assert whole.errors.values == [np.sort(np.abs(values - 0.1))[rank]]
    assert whole.estimates.values[2] == np.sort(values)[4499]


def test_nothing_is_off_an_infinite_truth():
    answers = Answers(inf, 0.95, 0.9)
    answers.add(np.array([1.0, inf]))
    answers.narrow()
    assert answers.done
    assert answers.errors.values == []
