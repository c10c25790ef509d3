"""The summary of a pilot goes in; how well each cell will be known after more trials comes out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, isfinite, nan, sqrt
from typing import Any, Literal

from sim.analysis.series import Key, Line
from sim.experiment import Experiment

LEAST_TRIALS = 30
"""Below, the sd of a pilot says nothing."""

SEEN = 3.0
"""Monte Carlo errors that a bias must be away from 0 to be seen."""


@dataclass(frozen=True)
class Forecast:
    """What is known of a cell before the run, in the experiment's unit; NaN for what is not.

    `spread` is the error of the bias of one trial: the error of R trials is spread/√R. `source`
    says where it comes from; `pilot` is how many trials that pilot had. `adjusted_spread` is that
    of the adjusted bias.
    """

    key: Key
    source: Literal["exact", "pilot"]
    pilot: int
    bias: float
    spread: float
    adjusted_spread: float
    rmse_spread: float

    def bias_mcse(self, trials: int) -> float:
        """Return the error that the bias will have after so many trials."""
        return self.spread / sqrt(trials)

    def adjusted_bias_mcse(self, trials: int) -> float:
        """Return the error that the adjusted bias will have after so many trials."""
        return self.adjusted_spread / sqrt(trials)

    def rmse_mcse(self, trials: int) -> float:
        """Return the error that the rmse will have after so many trials."""
        return self.rmse_spread / sqrt(trials)

    def seen(self, trials: int) -> bool:
        """Return whether so many trials will tell the bias from 0."""
        return abs(self.bias) >= SEEN * self.bias_mcse(trials)

    @property
    def stopping_spread(self) -> float:
        """The spread that `stop` looks at: the adjusted one where there is one."""
        return self.spread if self.adjusted_spread != self.adjusted_spread else self.adjusted_spread


def forecasts(summary: Iterable[Mapping[str, Any]]) -> list[Forecast]:
    """Return a forecast for each row of a pilot's summary."""
    return [_forecast(row) for row in summary]


def _forecast(row: Mapping[str, Any]) -> Forecast:
    finite = row["trials"] - row["infinite"] - row["undefined"] - row["failed"]
    share, known = _finite_share(row, finite), row["exact_sd"] is not None
    sd = row["exact_sd"] if known else _number(row["sd"]) if finite >= LEAST_TRIALS else nan
    truth, mean = _number(row["truth"]), row["exact_mean"] if known else row["mean"]
    whole = sqrt(row["trials"])
    can = isfinite(truth) and share > 0
    return Forecast(
        key=Key(Line(*(row[name] for name in Line._fields)), row["size"]),
        source="exact" if known else "pilot",
        pilot=row["trials"],
        bias=_number(mean) - truth if can else nan,
        spread=sd / sqrt(share) if can else nan,
        adjusted_spread=_number(row["adjusted_bias_mcse"]) * whole,
        rmse_spread=_number(row["rmse_mcse"]) * whole,
    )


def _finite_share(row: Mapping[str, Any], finite: int) -> float:
    """Return the share of trials that have a finite estimate."""
    exact = row["exact_p_infinite"]
    if exact is not None and not row["undefined"] and not row["failed"]:
        return float(1 - exact)
    return float(finite / row["trials"])


def _number(value: float | None) -> float:
    return nan if value is None else value


def trials_for(spreads: Iterable[float], target: float) -> int | None:
    """Return how many trials bring every error to a target; None where one is not known.

    R = sd²/m² of the worst cell.
    """
    worst = max(spreads, key=_unknown_last, default=0.0)
    needed = (worst / target) ** 2 if worst == worst else nan
    return max(1, ceil(needed)) if isfinite(needed) else None


def _unknown_last(spread: float) -> float:
    return float("inf") if spread != spread else spread


def worst(cells: Iterable[Forecast], trials: Mapping[str, int]) -> list[Forecast]:
    """Return the cells whose bias will be known at all, the worst known first."""
    known = [cell for cell in cells if cell.spread == cell.spread]

    def error(cell: Forecast) -> float:
        return cell.bias_mcse(trials[cell.key.line.bag])

    return sorted(known, key=error, reverse=True)


@dataclass(frozen=True)
class BagPlan:
    """What a bag will give: `seconds` are those of one core, `pilot` the trials that said so."""

    bag: str
    blocks: int
    trials: int
    rows: int
    bytes: int
    seconds: float
    pilot: int
    pilot_seconds: float


@dataclass(frozen=True)
class Plan:
    """What a run will cost, and how well it will know each cell's bias.

    `drawing` and `analysis` are seconds of this machine; `work` is what one core would take.
    `target` is the Monte Carlo error that is asked for, if any: `trials_needed` of each bag
    bring every bias to it, `trials_adjusted` every adjusted bias where there is one, as `stop`
    judges; None where that is not known.
    """

    experiment: Experiment
    bags: Sequence[BagPlan]
    drawing: float
    analysis: float
    work: float
    pilot_seconds: float
    cells: Sequence[Forecast]
    target: float | None = None
    trials_needed: int | None = None
    trials_adjusted: int | None = None

    @property
    def seconds(self) -> float:
        """Seconds until the tables are there."""
        return self.drawing + self.analysis

    @property
    def trials(self) -> dict[str, int]:
        """The trials of each bag."""
        return {bag.bag: bag.trials for bag in self.bags}

    def reaches(self, bag: str) -> bool:
        """Return whether `stop` will be reached in a bag, as far as is known."""
        stop, trials = self.experiment.stop, self.trials[bag]
        cells = [cell for cell in self.cells if cell.key.line.bag == bag and cell.bias == cell.bias]
        needed = trials_for((cell.stopping_spread for cell in cells), stop.bias_mcse if stop else 1)
        return needed is not None and needed <= trials

    @property
    def worst(self) -> list[Forecast]:
        """The cells whose bias will be known, the worst known first."""
        return worst(self.cells, self.trials)

    def rows(self, cells: Iterable[Forecast]) -> list[dict[str, Any]]:
        """Return cells as plain rows, None for what is not known."""
        return [_row(cell, self.trials[cell.key.line.bag]) for cell in cells]


def _row(cell: Forecast, trials: int) -> dict[str, Any]:
    numbers = {
        "bias": cell.bias,
        "bias_mcse": cell.bias_mcse(trials),
        "adjusted_bias_mcse": cell.adjusted_bias_mcse(trials),
        "rmse_mcse": cell.rmse_mcse(trials),
    }
    return {
        **cell.key.line._asdict(),
        "size": cell.key.size,
        "trials": trials,
        "source": cell.source,
        "pilot": cell.pilot,
        **{name: None if value != value else value for name, value in numbers.items()},
    }
