"""Reported Monte Carlo errors are the spread that is seen when whole studies are repeated.

A study is 1024 trials: a quarter of a block, so a block holds four that share nothing. Each is
summarised and fitted as a run would be. The sd of `repeats` reported values has a relative
error of 1/√(2·repeats) for nearly normal values, and these are: each comes from 1024 trials.
That is 2.2 % for the measures (1000 repeats) and 3.2 % for the rates (500 repeats: resampling
costs most). A ratio must lie within 10 %: 4.5 and 3.2 such errors, with a fixed seed.

    python -m tests.test_calibration        prints all ratios
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from math import sqrt

import numpy as np
import pyarrow as pa
import pytest
from threadpoolctl import threadpool_limits

from sim.analysis import convergence, summary
from sim.analysis.analyze import analyze
from sim.analysis.resampling import Resampling
from sim.analysis.series import COLUMNS, Key, Line, Series, series
from sim.analysis.summary import Tally, proportion_mcse
from sim.exact import Exact
from sim.experiment import Experiment
from sim.trials import block_rows

TRIALS = 1024
REPEATS = 1000
REPEATS_OF_RATES = 500
MEASURES = ("bias", "sd", "rmse", "mae")
QUANTITIES = ("bias", "sd", "rmse")
BOUND = 0.10

# every size shows every quantity, more than 7 errors away from 0: no fit picks its sizes
EXPERIMENT = Experiment.model_validate(
    {
        "name": "calibration",
        "seed": 20240601,
        "trials": REPEATS * TRIALS,
        "sizes": [10, 25, 50, 100],
        "bags": {
            "red_blue": {"kind": "with_replacement", "balls": {"red": 10, "blue": 15}},
            "five": {
                "kind": "with_replacement",
                "balls": {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5},
            },
        },
        "models": {"itself": {"kind": "itself"}, "uniform": {"kind": "uniform"}},
    }
)


@dataclass(frozen=True)
class Ratio:
    """The root mean square of the reported errors over the spread of what they are of."""

    what: tuple[str, ...]
    repeats: int
    spread: float
    reported: float

    @classmethod
    def of(cls, what: tuple[str, ...], pairs: list[tuple[float, float]]) -> Ratio:
        values, errors = np.array(pairs).T
        reported = sqrt(np.mean(errors**2))
        return cls(what, len(values), float(values.std(ddof=1)), reported)

    @property
    def ratio(self) -> float:
        return self.reported / self.spread

    def __str__(self) -> str:
        error = 1 / sqrt(2 * self.repeats)
        place = "  ".join(f"{part:9}" for part in self.what)
        return f"{place}  {self.spread:.3e}  {self.reported:.3e}  {self.ratio:.3f} ± {error:.3f}"


@dataclass(frozen=True)
class Calibration:
    """All that came out of the repeats."""

    measures: list[Ratio]
    rates: list[Ratio]
    z: dict[tuple[str, ...], np.ndarray]
    windows: set[tuple[int | None, int | None]]

    def lines(self) -> Iterator[str]:
        """Yield the table of ratios."""
        yield f"{TRIALS} trials a study; spread over studies, rms of the reported error, ratio"
        yield from map(str, self.measures)
        yield from map(str, self.rates)
        for place, z in self.z.items():
            name = "  ".join(f"{part:9}" for part in (*place, "z"))
            yield f"{name}  mean {z.mean():+.3f}  sd {z.std(ddof=1):.3f}"


@cache
def calibration() -> Calibration:
    """Repeat the study and hold each reported error against the spread that is seen."""
    with threadpool_limits(1):
        return _repeated()


def _repeated() -> Calibration:
    pairs: dict[tuple[str, ...], list[tuple[float, float]]] = defaultdict(list)
    rates: dict[tuple[str, ...], list[tuple[float, float]]] = defaultdict(list)
    z: dict[tuple[str, ...], list[float]] = defaultdict(list)
    windows = set()
    for bag in EXPERIMENT.bags:
        exact = exact_values(bag)
        for number, study in enumerate(studies(bag)):
            rows = {one.key: summarised(one, exact) for one in study}
            for key, row in rows.items():
                place = (bag, str(key.line.model), str(key.size))
                z[place].append(row["z"])
                for name in MEASURES:
                    pairs[*place, name].append((row[name], row[f"{name}_mcse"]))
            if number < REPEATS_OF_RATES:
                for one in fitted(bag, number, study, rows):
                    place = (bag, one["model"], one["quantity"])
                    rates[*place, "rate"].append((one["rate"], one["rate_se"]))
                    rates[*place, "constant"].append((one["constant"], one["constant_se"]))
                    windows.add((one.get("from_size"), one.get("to_size")))
    return Calibration(
        [Ratio.of(what, values) for what, values in pairs.items()],
        [Ratio.of(what, values) for what, values in rates.items()],
        {place: np.array(values) for place, values in z.items()},
        windows,
    )


def studies(bag: str) -> Iterator[list[Series]]:
    """Yield the series of one study after the other, numbered as first trials of a run."""
    for index in range(EXPERIMENT.blocks(bag)):
        block = list(series(block_rows(EXPERIMENT, bag, index).select(COLUMNS)))
        for first in range(0, len(block[0].trial), TRIALS):
            part = slice(first, first + TRIALS)
            yield [
                replace(one, trial=np.arange(TRIALS), estimate=one.estimate[part]) for one in block
            ]


def exact_values(bag: str) -> dict[Key, Exact]:
    """Return what an analysis knows exactly of each cell."""
    one_block = _Block(block_rows(EXPERIMENT, bag, 0))
    return {
        Key(Line(*(row[name] for name in Line._fields)), row["size"]): Exact(
            row["exact_mean"], row["exact_sd"], row["exact_p_infinite"]
        )
        for row in analyze(EXPERIMENT, one_block).summary.to_pylist()
    }


@dataclass(frozen=True)
class _Block:
    rows: pa.Table

    def read(self, columns=None):
        yield self.rows.select(columns)


def summarised(one: Series, exact: dict[Key, Exact]) -> dict:
    tally = Tally(one.truth)
    tally.add(one)
    return summary.row(one.key, tally, exact[one.key], 1.0)


def fitted(bag: str, number: int, study: list[Series], rows: dict[Key, dict]) -> Iterator[dict]:
    """Yield the rows of the convergence of one study, resampled under a seed of its own."""
    own = EXPERIMENT.model_copy(update={"seed": 1000 + number})
    resampling = Resampling(own)
    resampling.add(study)
    for cell in EXPERIMENT.cells(bag):
        line = Line(bag, cell.model, cell.target.name, cell.label)
        mine = [row for key, row in rows.items() if key.line == line]
        yield from convergence.rows(own, line, cell, mine, resampling.cells)


@pytest.fixture(scope="module")
def found() -> Calibration:
    result = calibration()
    print(*result.lines(), sep="\n")
    return result


@pytest.mark.parametrize("measure", MEASURES)
def test_the_reported_error_of_a_measure_is_its_spread_over_studies(found, measure):
    ratios = [one for one in found.measures if one.what[-1] == measure]
    assert len(ratios) == 2 * 2 * 4
    assert {one.repeats for one in ratios} == {REPEATS}
    off = [str(one) for one in ratios if abs(one.ratio - 1) > BOUND]
    assert not off


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_the_reported_error_of_a_fit_is_its_spread_over_studies(found, quantity):
    ratios = [one for one in found.rates if one.what[2] == quantity]
    assert len(ratios) == 2 * 2 * 2
    assert {one.repeats for one in ratios} == {REPEATS_OF_RATES}
    off = [str(one) for one in ratios if abs(one.ratio - 1) > BOUND]
    assert not off


def test_over_all_cells_the_errors_are_neither_too_large_nor_too_small(found):
    # 16 cells of two bags and two models share draws over sizes: as many as 4 that do not
    for measure in MEASURES:
        ratios = [one.ratio for one in found.measures if one.what[-1] == measure]
        assert abs(np.mean(ratios) - 1) < 4 / sqrt(2 * REPEATS * 4), measure


def test_every_study_is_fitted_over_all_sizes(found):
    assert found.windows == {(10, 100)}


def test_z_has_mean_0_and_sd_1(found):
    assert len(found.z) == 2 * 2 * 4
    for place, z in found.z.items():
        assert len(z) == REPEATS
        assert abs(z.mean()) < 4 / sqrt(REPEATS), place
        assert abs(z.std(ddof=1) - 1) < 4 / sqrt(2 * REPEATS), place


@pytest.mark.parametrize("p", [0.5, 0.1, 0.01])
def test_the_reported_error_of_a_proportion_is_its_spread_over_studies(p):
    successes = np.random.default_rng(1).binomial(TRIALS, p, size=4000)
    errors = [proportion_mcse(int(number), TRIALS) for number in successes]
    one = Ratio.of(("p", str(p)), list(zip(successes / TRIALS, errors, strict=True)))
    # 4000 repeats: 1.1 %, and the rms of √(p(1−p)/R) has no bias but p's own, 1/R
    assert abs(one.ratio - 1) < 4 / sqrt(2 * 4000)


if __name__ == "__main__":
    print(*calibration().lines(), sep="\n")
