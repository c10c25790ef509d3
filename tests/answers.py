"""Small studies, repeated: how often intervals of rates, limits and sizes hold what they are of.

A study is 1024 trials of one bag, one model and counting, analyzed as a run is: its summary, its
replicates, its rows of the convergence. What they are of is the same method applied to exact
values; for quantiles, to those of all studies together; for sizes of two colours, the exact one.
`python -m tests.answers` prints the table of docs/calibration.md.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf, sqrt
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from sim.analysis import convergence
from sim.analysis.asymptote import onset
from sim.analysis.exact_values import Laws, exact_values
from sim.analysis.fits import fit
from sim.analysis.needed import Errors, needed
from sim.analysis.plateau import NOTHING
from sim.analysis.resampling import Resampling
from sim.analysis.series import Key, Line, Series
from sim.analysis.summary import Tally, row
from sim.analysis.whole_sizes import exact_size
from sim.answers.sizes import size_for_error
from sim.asymptotics import PowerLaw
from sim.exact import Exact
from sim.experiment import Experiment
from sim.trials import block_rows

TRIALS = 1024
REPEATS = 1000
QUANTITIES = ("bias", "sd", "rmse")
Z = 1.959963984540054

_TWO = {"red": 10, "blue": 15}
_FIVE = {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}
_NEXT = {"a": "b", "b": "c", "c": "d", "d": "e", "e": "a"}
_MISREAD = {one: {one: 0.8, other: 0.2} for one, other in _NEXT.items()}
_BACK = "with_replacement"
SIZES = (10, 25, 50, 100, 200)
LARGE = (100, 250, 500, 1000, 2000)
MANY = (10, 18, 32, 56, 100, 178, 316, 562, 1000)


@dataclass(frozen=True)
class Case:
    """A bag beside a model, and the errors to stay within: inside the sizes, beyond them."""

    bag: dict[str, Any]
    model: str
    errors: dict[str, float]
    sizes: tuple[int, ...] = SIZES
    trials: int = TRIALS
    limits: dict[str, float] = field(default_factory=dict)

    def experiment(self, repeats: int, **changes: Any) -> Experiment:
        plain = {
            "name": "answers",
            "seed": 20240607,
            "trials": repeats * self.trials,
            "sizes": list(self.sizes),
            "bags": {"bag": self.bag},
            "models": {"model": {"kind": self.model}},
        }
        return Experiment.model_validate(plain | changes)


def _zipf(colours: int) -> dict[str, Any]:
    return {"kind": _BACK, "balls": {"zipf": {"colours": colours, "exponent": 1}}}


CASES = {
    "two / itself": Case(
        {"kind": _BACK, "balls": _TWO}, "itself", {"inside": 0.03, "beyond": 3e-3}
    ),
    "two / uniform": Case(
        {"kind": _BACK, "balls": _TWO},
        "uniform",
        {"inside": 0.014, "beyond": 0.005},
        (25, 50, 100, 250, 1000),
        trials=4096,
    ),
    "five / itself": Case(
        {"kind": _BACK, "balls": _FIVE}, "itself", {"inside": 0.035, "beyond": 0.01}
    ),
    "five / uniform": Case(
        {"kind": _BACK, "balls": _FIVE}, "uniform", {"inside": 0.08, "beyond": 0.03}, trials=4096
    ),
    "fifty / itself": Case(_zipf(50), "itself", {"inside": 0.025, "beyond": 0.005}, LARGE),
    "fifty / uniform": Case(_zipf(50), "uniform", {"inside": 0.06, "beyond": 0.02}, LARGE),
    "misread / itself": Case(
        {"kind": "mislabelled", "balls": _FIVE, "confusion": _MISREAD}, "itself", {}, MANY
    ),
    "polya / itself": Case({"kind": "polya", "balls": _FIVE, "added": 1}, "itself", {}, MANY),
}


@dataclass
class Share:
    """How many intervals were told, and how many of them held what they are of."""

    told: int = 0
    held: int = 0
    of: int = 0
    below: int = 0

    def add(self, low: float | None, high: float | None, truth: float | None) -> None:
        """Take one study; an end that is not told is open where the other is told."""
        self.of += 1
        if truth is None or (low is None and high is None):
            return
        self.told += 1
        low, high = (-inf if low is None else low), (inf if high is None else high)
        self.held += low <= truth <= high
        self.below += truth < low

    @property
    def share(self) -> float:
        return self.held / self.told if self.told else np.nan

    @property
    def error(self) -> float:
        """The Monte Carlo error of a share of 0.95."""
        return sqrt(0.95 * 0.05 / self.told) if self.told else inf


class Studies:
    """The studies of one case."""

    def __init__(self, case: Case, repeats: int) -> None:
        self.case, self.repeats = case, repeats
        self.plan = case.experiment(repeats)
        (self.cell,) = self.plan.cells("bag")
        self.line = Line("bag", "model", "kl", "counting")
        self.shares: dict[str, Share] = defaultdict(Share)
        self.limits_told = 0
        self.laws = Laws(self.plan)

    @cached_property
    def estimates(self) -> np.ndarray:
        """All trials; shape (sizes, repeats · TRIALS)."""
        parts = []
        for index in range(self.plan.blocks("bag")):
            rows = block_rows(self.plan, "bag", index)
            kept = rows.column("target").to_numpy(zero_copy_only=False) == "kl"
            values = rows.column("estimate").to_numpy()[kept]
            parts.append(values.reshape(len(self.case.sizes), -1))
        return np.concatenate(parts, axis=1)

    @cached_property
    def exact(self) -> list[Exact]:
        keys = [Key(self.line, size) for size in self.case.sizes]
        return [exact_values(self.plan, self.cell, key, self.laws) for key in keys]

    @cached_property
    def truth(self) -> float:
        p = self.plan.bags["bag"].truth(1)
        return float(self.cell.target(p, self.plan.models["model"].truth(self.plan.bags["bag"], 1)))

    @cached_property
    def exact_values(self) -> dict[str, np.ndarray]:
        bias = np.array([one.mean for one in self.exact], dtype=float) - self.truth
        if any(one.sd is None for one in self.exact):
            sd = self.estimates.std(axis=1)
        else:
            sd = np.array([one.sd for one in self.exact])
        return {"bias": bias, "sd": sd, "rmse": np.sqrt(bias**2 + sd**2)}

    @cached_property
    def exact_quantiles(self) -> np.ndarray:
        errors = np.sort(np.abs(self.estimates - self.truth), axis=1)
        return errors[:, int(np.ceil(0.95 * errors.shape[1])) - 1]

    def run(self) -> Studies:
        """Analyze each study as a run is."""
        with threadpool_limits(1):
            for number in range(self.repeats):
                self._one(number)
        return self

    def _one(self, number: int) -> None:
        held = self.case.trials
        trials = self.estimates[:, number * held : (number + 1) * held]
        known = self.plan.model_copy(update={"seed": 1000 + number})
        resampling, rows, batch = Resampling(known), [], []
        for size, values in zip(self.case.sizes, trials, strict=True):
            key = Key(self.line, size)
            batch.append(Series(key, np.arange(held), values, self.truth, 0))
            tally = Tally(self.truth)
            tally.add(batch[-1])
            tally.answers.narrow()
            while not tally.answers.done:
                tally.answers.add(values)
                tally.answers.narrow()
            rows.append(row(key, tally, Exact(), 1.0))
        resampling.add(batch)
        self._take_convergence(known, rows, resampling)
        for where, error in self.case.errors.items():
            self._take_size(known, rows, resampling, where, error)

    def _take_convergence(self, known: Experiment, rows: list, resampling: Resampling) -> None:
        limits = []
        for one in convergence.rows(known, self.line, self.cell, rows, resampling.cells):
            quantity = one["quantity"]
            share = self.shares[f"{quantity}: rate"]
            if "rate" in one:
                truth = self._rate(rows, quantity, one["from_size"], one["to_size"])
                share.add(one["rate"] - Z * one["rate_se"], one["rate"] + Z * one["rate_se"], truth)
            if quantity in self.case.limits:
                low, high = (one["limit"] + side * Z * one["limit_se"] for side in (-1, 1))
                truth = self.case.limits[quantity] if low == low else None
                self.shares[f"{quantity}: limit"].add(low, high, truth)
            limits.append(one["limit"] == one["limit"])
            if one["theory_rate"] is not None:
                truth = self._onset(quantity, PowerLaw(one["theory_rate"], one["theory_constant"]))
                ends = one["asymptotic_from_low"], one["asymptotic_from_high"]
                # one at the smallest size lies there or before: no interval could miss it
                truth = None if truth == self.case.sizes[0] else truth
                self.shares[f"{quantity}: asymptotic from"].add(*ends, truth)
        self.limits_told += any(limits)

    def _rate(self, rows: list, quantity: str, low: int, high: int) -> float:
        here = [low <= row["size"] <= high for row in rows]
        sizes, exact, mcse = self._beside(rows, quantity)
        found = fit(sizes[here], exact[here], mcse[here], exact[np.newaxis, here])
        assert not isinstance(found, str), found
        return found.rate

    def _beside(self, rows: list, quantity: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return sizes, exact values, and errors that give these the weights of the study."""
        values = np.array([row[quantity] for row in rows])
        mcse = np.array([row[f"{quantity}_mcse"] for row in rows])
        exact = self.exact_values[quantity]
        return np.array(self.case.sizes, dtype=float), exact, mcse * np.abs(exact / values)

    def _onset(self, quantity: str, law: PowerLaw) -> int | None:
        exact = self.exact_values[quantity]
        sizes = np.array(self.case.sizes, dtype=float)
        return onset(sizes, exact, np.tile(exact, (2, 1)), law, 0.95).asymptotic_from

    def _take_size(
        self, known: Experiment, rows: list, resampling: Resampling, where: str, error: float
    ) -> None:
        tolerance = known.tolerance.model_copy(update={"error": error})
        known = known.model_copy(update={"tolerance": tolerance})
        rows = [
            {**one, "exact_p_within": e.whole.within(self.truth, error) if e.whole else np.nan}
            for one, e in zip(rows, self.exact, strict=True)
        ]
        whole = exact_size(known, self.cell, rows, self.laws)
        one = next(convergence.rows(known, self.line, self.cell, rows, resampling.cells, whole))
        told = one["size_for_error"] is not None
        truth = self._size(rows, error) if told else None
        ends = one["size_for_error_low"], one["size_for_error_high"]
        self.shares[f"size {where}"].add(*ends, truth)

    def _size(self, rows: list, error: float) -> int | None:
        """Return what a size is held to: of two colours the one that `klsim size` gives."""
        balls = self.case.bag["balls"]
        if len(self.plan.bags["bag"].colours) == 2:
            model = {"itself": None, "uniform": dict.fromkeys(balls, 1)}[self.case.model]
            return size_for_error(balls, error, model=model).size
        sizes, exact, mcse = self._beside(rows, "rmse")
        quantiles = np.tile(self.exact_quantiles, (3, 1))
        errors = Errors(sizes, quantiles, exact, mcse, np.tile(exact, (200, 1)), 0.95)
        return needed(errors, error, NOTHING, None).size_for_error


def _with_limits(name: str, case: Case) -> Case:
    """Return a case with the exact limits of its errors, where it has some."""
    p = np.arange(1, 6) / 15
    if name.startswith("misread"):
        read = 0.8 * p + 0.2 * np.roll(p, 1)
        bias = float(np.sum(read * np.log(read / p)))
        return replace(case, limits={"bias": bias, "rmse": bias})
    if name.startswith("polya"):
        # the share of a bag without end is Dirichlet(1 … 5): 4 million of them
        rng = np.random.default_rng(1)
        drawn = np.concatenate([rng.dirichlet(np.arange(1.0, 6), 10**6) for _ in range(4)])
        kl = np.sum(drawn * np.log(np.maximum(drawn, 1e-300) / p), axis=1)
        mean, square = float(kl.mean()), float(np.mean(kl**2))
        limits = {"bias": mean, "sd": sqrt(square - mean**2), "rmse": sqrt(square)}
        return replace(case, limits=limits)
    return case


def studies(name: str, repeats: int = REPEATS) -> Studies:
    """Return the studies of a case, analyzed."""
    return Studies(_with_limits(name, CASES[name]), repeats).run()


def lines(names: list[str], repeats: int) -> Iterator[str]:
    """Yield the rows of the table."""
    for name in names:
        found = studies(name, repeats)
        for what, share in found.shares.items():
            low, told = share.below / max(1, share.told), f"{share.told / share.of:.0%}"
            yield f"| {name} | {what} | {told} | {share.share:.3f} | {low:.3f} |"
        yield f"| {name} | a limit is told | {found.limits_told / repeats:.1%} | | |"


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else REPEATS
    for text in lines(sys.argv[2:] or list(CASES), number):
        print(text, flush=True)
