"""Small studies, repeated: what each reported error says beside the spread that is seen.

A study is 1024 trials, a quarter of a block, analyzed as a run is. `python -m tests.studies`
prints the tables of docs/calibration.md.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from math import sqrt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from threadpoolctl import threadpool_limits

from sim.analysis import analyze as analyzing
from sim.analysis.adjustment import Adjustments
from sim.analysis.asymptote import Onset
from sim.analysis.crossings import crossing
from sim.analysis.fits import fit
from sim.analysis.needed import Need
from sim.analysis.plateau import NOTHING
from sim.analysis.replicates import Floats
from sim.analysis.resampling import Resampling
from sim.analysis.series import Key, Series
from sim.exact import Exact
from sim.experiment import Experiment
from sim.trials import block_rows

TRIALS = 1024
REPEATS = {"two": 1000, "five": 1000, "fifty": 500, "rare": 500}
REPEATS_OF_RATES = 500
"""Fits cost most: of the first studies only."""

RESAMPLINGS = 16
"""So many sets of replicates go round: given those, studies are as independent as their trials."""

MEASURES = ("bias", "sd", "rmse", "mae", "coverage", "width", "adjusted_bias")
QUANTILES = ("q05", "q25", "median", "q75", "q95")
FLAGGED = 0.05
"""Share of studies without a reported error from which on a row is flagged."""

ROUNDING = 4e-15
"""Nats that an exact value may be off by."""

_BALLS = {
    "two": {"red": 10, "blue": 15},
    "five": {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5},
    "fifty": {"zipf": {"colours": 50, "exponent": 1}},
    "rare": {"red": 1, "blue": 1999},
}
BAGS = tuple(REPEATS)


def experiment(bag: str) -> Experiment:
    """Return the study of one bag, beside itself and beside the uniform distribution."""
    return Experiment.model_validate(
        {
            "name": "calibration",
            "seed": 20240601,
            "trials": REPEATS[bag] * TRIALS,
            "sizes": [10, 25, 50, 100],
            "bags": {bag: {"kind": "with_replacement", "balls": _BALLS[bag]}},
            "models": {"itself": {"kind": "itself"}, "uniform": {"kind": "uniform"}},
            "estimators": {
                "counting": {"kind": "plug_in", "interval": "wald"},
                "laplace": {
                    "kind": "plug_in",
                    "learner": {"kind": "add_constant", "amount": 1},
                    "interval": "clopper_pearson" if len(_BALLS[bag]) == 2 else "wald",
                },
                "miller_madow": {"kind": "miller_madow"},
            },
        }
    )


@dataclass
class Record:
    """What the studies reported of one quantity: its value, its error, what it should be."""

    values: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    truths: list[float] = field(default_factory=list)

    def add(self, value: float | None, error: float | None, truth: float | None = None) -> None:
        """Take one study; a null is NaN."""
        for kept, new in zip(vars(self).values(), (value, error, truth), strict=True):
            kept.append(np.nan if new is None else new)


@dataclass(frozen=True)
class Ratio:
    """The root mean square of the reported errors over that of what they are of.

    About the exact value where it is known, else about the mean of all studies.
    """

    what: tuple[str, ...]
    repeats: int
    flagged: float
    spread: float
    reported: float
    about_exact: bool
    value: float = np.nan

    @classmethod
    def of(cls, what: tuple[str, ...], record: Record) -> Ratio:
        """Return the ratio over the studies that reported both a value and its error."""
        values, errors, truths = (np.array(x) for x in vars(record).values())
        known = ~np.isnan(values) & ~np.isnan(errors)
        flagged = 1 - float(known.mean())
        if known.sum() < 2:
            return cls(what, int(known.sum()), flagged, np.nan, np.nan, False)
        about = not np.isnan(truths[known]).any()
        off = values[known] - (truths[known] if about else values[known].mean())
        degrees = known.sum() - (0 if about else 1)
        spread = sqrt(float(np.sum(off**2)) / degrees)
        reported = sqrt(float(np.mean(errors[known] ** 2)))
        value = float(values[known].mean())
        return cls(what, int(known.sum()), flagged, spread, reported, about, value)

    @property
    def ratio(self) -> float:
        """Reported over seen."""
        return self.reported / self.spread if self.spread else np.inf

    @property
    def error(self) -> float:
        """The relative error of a root mean square over so many nearly normal values."""
        return 1 / sqrt(2 * max(self.repeats, 1))

    @property
    def is_exact(self) -> bool:
        """Whether no error was reported and none but rounding is seen."""
        return self.reported == 0 and self.spread <= ROUNDING

    @property
    def is_flagged(self) -> bool:
        """Whether studies withheld the error often enough to say so."""
        return self.flagged > FLAGGED

    def __str__(self) -> str:
        place = " | ".join(self.what)
        if self.is_flagged:
            return f"| {place} | | flagged in {self.flagged:.0%} | |"
        if self.is_exact:
            return f"| {place} | | exact | |"
        return f"| {place} | {self.spread:.3e} | {self.reported:.3e} | {self.ratio:.3f} |"


@dataclass(frozen=True)
class Studies:
    """All that came out of the repeats of one bag."""

    ratios: list[Ratio]
    repeats: int
    z: dict[tuple[str, ...], np.ndarray]
    covered: dict[tuple[str, ...], float]
    windows: set[tuple[int | None, int | None]]
    """The first and the last size of every fit of the counted KL."""

    def of(self, *names: str) -> list[Ratio]:
        """Return the ratios of these quantities."""
        return [one for one in self.ratios if one.what[-1] in names]


@cache
def studies(bag: str) -> Studies:
    """Repeat the study of one bag and hold each reported error against what is seen."""
    with threadpool_limits(1):
        return _Repeats(experiment(bag)).result()


class _Repeats:
    def __init__(self, plan: Experiment) -> None:
        self.plan = plan
        self.records: dict[tuple[str, ...], Record] = defaultdict(Record)
        self.intervals: dict[tuple[str, ...], list[tuple[float, float]]] = defaultdict(list)
        self.pooled: dict[tuple[str, ...], list[np.ndarray]] = defaultdict(list)
        self.z: dict[tuple[str, ...], list[float]] = defaultdict(list)
        self.windows: set[tuple[int | None, int | None]] = set()

    def result(self) -> Studies:
        for number, rows in enumerate(_tables(self.plan)):
            # another seed: studies do not all resample alike
            own = self.plan.model_copy(update={"seed": 1000 + number % RESAMPLINGS})
            is_fitted = number < REPEATS_OF_RATES
            tables = _analyzed(own, rows, is_fitted)
            self._pool(rows)
            self._take_summary(tables.summary.to_pylist())
            self._take_comparison(tables.comparison.to_pylist())
            if is_fitted:
                self._take_rates(tables.summary.to_pylist(), tables.convergence.to_pylist())
        ratios = [Ratio.of(what, record) for what, record in self.records.items()]
        z = {what: np.array(values) for what, values in self.z.items()}
        return Studies(
            ratios, len(next(iter(z.values()))), z, dict(self._coverages()), self.windows
        )

    def _pool(self, rows: pa.Table) -> None:
        names = ["bag", "model", "estimator", "size"]
        estimates = rows.column("estimate").to_numpy()
        firsts = np.arange(0, len(rows), TRIALS)
        for first, one in zip(firsts, rows.take(firsts).to_pylist(), strict=True):
            if one["target"] == "kl":
                place = tuple(str(one[name]) for name in names)
                self.pooled[place].append(estimates[first : first + TRIALS])

    def _take_summary(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            place = _place(row)
            self.z[place].append(np.nan if row["z"] is None else row["z"])
            bias = row["exact_mean"] - row["truth"]
            truths = {"bias": bias, "adjusted_bias": bias, "sd": row["exact_sd"]}
            truths["rmse"] = sqrt(bias**2 + row["exact_sd"] ** 2)
            truths["coverage"] = row["exact_coverage"]
            for name in MEASURES:
                if name not in ("coverage", "width") or row["coverage"] is not None:
                    error = row[f"{name}_mcse"]
                    self.records[*place, name].add(row[name], error, truths.get(name))
            for name in QUANTILES:
                ends = row[f"{name}_low"], row[f"{name}_high"]
                self.intervals[*place, name].append(ends)

    def _take_comparison(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            place = _pair(row)
            for name in ("difference", "mse_ratio"):
                error, exact = row[f"{name}_mcse"], row[f"exact_{name}"]
                self.records[*place, str(row["size"]), name].add(row[name], error, exact)
        for place in dict.fromkeys(map(_pair, rows)):
            own = [row for row in rows if _pair(row) == place]
            exact = _exact_crossing(own)
            if exact is not None:
                found = next((row for row in own if row["crossover"] is not None), own[0])
                record = self.records[*place, "all", "crossover"]
                record.add(found["crossover"], found["crossover_se"], exact)

    def _take_rates(self, summary: list[dict[str, Any]], lines: list[dict[str, Any]]) -> None:
        for line in lines:
            rows = [row for row in summary if _line(row) == _line(line)]
            quantity = line["quantity"]
            if line["estimator"] == "counting":
                self.windows.add((line["from_size"], line["to_size"]))
            place = (*_line(line), "all", f"{quantity}: rate")
            constant = (*_line(line), "all", f"{quantity}: constant")
            if line["rate_se"] is None:
                self.records[place].add(None, None)
                self.records[constant].add(None, None)
                continue
            exact = _fit_of_exact(rows, quantity, line["from_size"], line["to_size"])
            self.records[place].add(line["rate"], line["rate_se"], exact.rate)
            self.records[constant].add(line["constant"], line["constant_se"], exact.constant)

    def _coverages(self) -> Iterator[tuple[tuple[str, ...], float]]:
        """Yield how often each interval holds the quantile of all studies together."""
        levels = dict(zip(QUANTILES, (0.05, 0.25, 0.5, 0.75, 0.95), strict=True))
        for place, pooled in self.pooled.items():
            every = np.concatenate(pooled)
            ranks = {name: int(np.ceil(level * len(every))) - 1 for name, level in levels.items()}
            every.partition(list(ranks.values()))
            for name, rank in ranks.items():
                low, high = np.array(self.intervals[*place, name], dtype=float).T
                held = (low <= every[rank]) & (every[rank] <= high)
                yield (*place, name), float(np.mean(held))


def _place(row: dict[str, Any]) -> tuple[str, ...]:
    return (*_line(row), str(row["size"]))


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    return (row["bag"], row["model"], row["estimator"])


def _pair(row: dict[str, Any]) -> tuple[str, ...]:
    return (row["bag"], row["model"], f"{row['first']}, {row['second']}")


def _exact_crossing(rows: list[dict[str, Any]]) -> float | None:
    """Return where the exact ratios cross, on the same sizes; None where they do so nowhere."""
    logs = np.log([row["exact_mse_ratio"] for row in rows])
    if np.sign(logs[0]) == np.sign(logs[-1]):
        return None
    sizes = np.array([row["size"] for row in rows], dtype=float)
    return crossing(sizes, logs, logs[np.newaxis]).size


def _fit_of_exact(rows: list[dict[str, Any]], quantity: str, low: int, high: int) -> Any:
    """Return the same weighted fit, of the exact values at the same sizes."""
    rows = [row for row in rows if low <= row["size"] <= high]
    sizes = np.array([row["size"] for row in rows], dtype=float)
    values = np.array([row[quantity] for row in rows])
    mcse = np.array([row[f"{quantity}_mcse"] for row in rows], dtype=float)
    bias = np.array([row["exact_mean"] - row["truth"] for row in rows])
    sd = np.array([row["exact_sd"] for row in rows])
    exact = {"bias": bias, "sd": sd, "rmse": np.sqrt(bias**2 + sd**2)}[quantity]
    # mcse · exact/value: the weights (value/mcse)² stay those of the study
    found = fit(sizes, exact, mcse * np.abs(exact / values), exact[np.newaxis])
    assert not isinstance(found, str), found
    return found


def _tables(plan: Experiment) -> Iterator[pa.Table]:
    """Yield the trials of one study after the other, numbered as first trials of a run."""
    (bag,) = plan.bags
    held = plan.block_trials(bag)
    for index in range(plan.blocks(bag)):
        block = block_rows(plan, bag, index)
        starts = range(0, len(block), held)
        trial = pa.array(np.tile(np.arange(TRIALS), len(starts)))
        for first in range(0, held, TRIALS):
            parts = [block.slice(start + first, TRIALS) for start in starts]
            rows = pa.concat_tables(parts).combine_chunks()
            yield rows.set_column(rows.schema.get_field_index("trial"), "trial", trial)


@dataclass(frozen=True)
class _Batch:
    rows: pa.Table

    def read(self, columns: Any = None) -> Iterator[pa.Table]:
        yield self.rows.select(columns) if columns else self.rows


_KNOWN: dict[Any, Exact] = {}
_COMBINATIONS: dict[Key, bool] = {}
_exact_values: Callable[..., Exact] = analyzing.exact_values


def _remembered(plan: Experiment, cell: Any, key: Any, laws: Any) -> Exact:
    """Return exact values, worked out for the first study only: they follow from no trial."""
    if key not in _KNOWN:
        _KNOWN[key] = _exact_values(plan, cell, key, laws)
    return _KNOWN[key]


class _Remembering(Adjustments):
    """Knows from the first study which estimates are combinations of their controls."""

    def __init__(self, plan: Experiment) -> None:
        super().__init__(plan)
        self._combinations = _COMBINATIONS


_WEIGHTS: dict[tuple[str, int], Floats] = {}


class _GoingRound(Resampling):
    """Draws the replicates of each seed once."""

    def _weights(self, one: Series) -> Floats:
        key = one.key.line.bag, self._experiment.seed
        if key not in _WEIGHTS:
            _WEIGHTS[key] = super()._weights(one)
        return _WEIGHTS[key]


def _unfitted(*_: Any) -> list[dict[str, Any]]:
    return []


_OTHERS = {"remains": NOTHING, "needed": Need(), "onset": Onset()}
"""What limits, sizes and onsets are where none is told: no fit follows from them.

They are worked out and held in `answers`.
"""


def _analyzed(plan: Experiment, rows: pa.Table, is_fitted: bool) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(analyzing, "exact_values", _remembered)
        patch.setattr(analyzing, "Adjustments", _Remembering)
        patch.setattr(analyzing, "Resampling", _GoingRound)
        for name, none in _OTHERS.items():
            patch.setattr(analyzing.convergence, name, lambda *_, told=none: told)
        if not is_fitted:
            patch.setattr(analyzing.convergence, "rows", _unfitted)
        return analyzing.analyze(plan, _Batch(rows))


def lines(found: Studies) -> Iterator[str]:
    """Yield a line for each quantity of each cell."""
    yield from map(str, found.ratios)
    for place, z in found.z.items():
        yield f"| {' | '.join(place)} | z | mean {z.mean():+.3f} | sd {z.std(ddof=1):.3f} | |"


_COLUMNS = {
    **{name: (name,) for name in ("bias", "sd", "rmse", "mae", "coverage", "width")},
    "adjusted bias": ("adjusted_bias",),
    **{f"fit of {name}": (f"{name}: rate", f"{name}: constant") for name in ("bias", "sd", "rmse")},
}
_PAIRED = {name: (name,) for name in ("difference", "mse_ratio", "crossover")}


def tables(every: list[Studies]) -> Iterator[str]:
    """Yield the ratios in two tables, from the least to the greatest of all sizes."""
    for columns in (_COLUMNS, _PAIRED):
        yield f"| bag | Q | estimator | {' | '.join(columns)} |"
        yield "|---|---|---|" + "---:|" * len(columns)
        for found in every:
            yield from _rows(found, columns)
        yield ""


def _rows(found: Studies, columns: dict[str, tuple[str, ...]]) -> Iterator[str]:
    names = {name for group in columns.values() for name in group}
    places = dict.fromkeys(one.what[:3] for one in found.ratios if one.what[-1] in names)
    for place in places:
        own = [one for one in found.of(*names) if one.what[:3] == place]
        texts = (
            _range([one for one in own if one.what[-1] in group]) for group in columns.values()
        )
        yield f"| {' | '.join(place)} | {' | '.join(texts)} |"


def _range(ratios: list[Ratio]) -> str:
    told = [one.ratio for one in ratios if not one.is_flagged and not one.is_exact]
    spread = [ratio for ratio in told if np.isfinite(ratio)]
    words = [f"{min(spread):.2f} … {max(spread):.2f}"] if spread else []
    words += ["no spread"] if len(spread) < len(told) else []
    words += ["exact"] if any(one.is_exact for one in ratios) else []
    words += ["flagged"] if any(one.is_flagged for one in ratios) else []
    return ", ".join(words) or "–"


if __name__ == "__main__":
    print(*tables([studies(each) for each in sys.argv[1:] or BAGS]), sep="\n")
