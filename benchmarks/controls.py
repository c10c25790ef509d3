"""What control variates are worth: variance reduction, a bias nobody sees without, CPU-seconds.

`python -m benchmarks.controls` prints three Markdown tables; `--quick` for a glance.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from time import process_time

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.cases import SEED
from benchmarks.timing import shown
from sim.analysis.moments import Moments
from sim.analysis.regression import Adjusted, Adjustment
from sim.cells import Cells
from sim.contracts.arrays import Counts, Reference, Values
from sim.contracts.bag import BAGS, Bag
from sim.contracts.estimator import ESTIMATORS, Estimator
from sim.contracts.model import MODELS
from sim.controls import Controls
from sim.divergences import KL
from sim.exact import exact

COUNTING = {"kind": "plug_in"}
LAPLACE = {"kind": "plug_in", "learner": {"kind": "add_constant", "amount": 1}}
UNIFORM = MODELS.build({"kind": "uniform"})
BLOCK = 4096

SOURCE = {
    (10, 100): (9.9, 13.5, 197, 742),
    (10, 10_000): (1.2e3, 1.4e3, 2.7e6, 1.2e7),
    (100, 100): (4.5, 9.3, 42, 44),
    (100, 10_000): (59, 435, 4.0e4, 6.2e4),
    (100, 100_000): (593, 4.4e3, 4.2e6, 6.3e6),
}
"""Factors measured elsewhere, with 5,000 to 20,000 trials: what ours are held against."""

PAIRS = (
    ("plug-in KL(p̂‖p) on χ²", "counting", "p", ("quadratic",)),
    ("plug-in KL(p̂‖q) on L", "counting", "q", ("linear",)),
    ("plug-in KL(p̂‖q) on L + χ²", "counting", "q", ("linear", "quadratic")),
    ("Laplace on L + χ² + plug-in", "laplace", "q", ("linear", "quadratic", "plug_in")),
)
"""What is estimated, by which estimator, against P or Q, on which controls."""


@dataclass(frozen=True)
class Case:
    """Zipf's bag of K colours, n draws, Q uniform."""

    colours: int
    size: int

    @cached_property
    def bag(self) -> Bag:
        zipf = {"zipf": {"colours": self.colours, "exponent": 1}}
        return BAGS.build({"kind": "with_replacement", "balls": zipf})

    @cached_property
    def p(self) -> np.ndarray:
        return self.bag.truth(self.size)

    @cached_property
    def q(self) -> np.ndarray:
        return UNIFORM.truth(self.bag, self.size)

    def blocks(self, trials: int) -> Iterator[Counts]:
        """Yield counts of so many trials, a block at a time, each from its own stream."""
        for number, begin in enumerate(range(0, trials, BLOCK)):
            rng = np.random.Generator(np.random.SFC64([SEED, number]))
            yield next(self.bag.tally((self.size,), min(BLOCK, trials - begin), rng))

    def controls(self, counts: Counts, labels: tuple[str, ...]) -> tuple[np.ndarray, list[float]]:
        found = Controls(self.bag, {"q": UNIFORM}, "nats").outcomes(Cells(counts, self.size))
        every = {one.estimator: one for one in found}
        own = [every[label] for label in labels]
        return np.stack([one.estimates for one in own], axis=1), [one.truth for one in own]


def estimator(name: str) -> Estimator:
    return ESTIMATORS.build({"counting": COUNTING, "laplace": LAPLACE}[name])


def adjusted(case: Case, trials: int, pair: int) -> Adjusted:
    """Return the adjusted bias of one of the pairs."""
    _, name, against, labels = PAIRS[pair]
    q = case.p if against == "p" else case.q
    found = None
    for counts in case.blocks(trials):
        values = estimator(name).estimate(counts, Reference.known(q), KL)
        x, means = case.controls(counts, labels)
        found = found or Adjustment([float(KL(case.p, q))], means)
        found.add(values[:, np.newaxis], x)
    one = found.of(0)
    assert one is not None
    return one


def reductions(trials: int) -> Iterator[str]:
    """Yield the table of variance reductions, ours beside those measured elsewhere."""
    yield "| K | n | " + " | ".join(name for name, *_ in PAIRS) + " |"
    yield "|---:" * (2 + len(PAIRS)) + "|"
    for (colours, size), source in SOURCE.items():
        case = Case(colours, size)
        own = [adjusted(case, trials, pair).variance_reduction for pair in range(len(PAIRS))]
        cells = [f"{_short(a)} ({_short(b)})" for a, b in zip(own, source, strict=True)]
        yield f"| {colours} | {size:,} | " + " | ".join(cells) + " |"


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.1e}" if value >= 1000 else shown(value)


def small_bias(case: Case, trials: int) -> Iterator[str]:
    """Yield the bias of laplace with and without controls beside the exact one."""
    plain = Moments()
    for values in estimates(case, trials):
        plain.add(values)
    truth = float(KL(case.p, case.q))
    law = case.bag.count_law(case.size)
    mean = exact(law, estimator("laplace"), Reference.known(case.q), KL).mean
    one = adjusted(case, trials, 3)
    yield "| bias of laplace | value | MCSE | relative error | z |"
    yield "|---|---:|---:|---:|---:|"
    rows = (("plain", plain.mean - truth, plain.mean_mcse), ("adjusted", one.bias, one.mcse))
    for name, bias, mcse in rows:
        off = bias - (mean - truth)
        relative = f"{abs(off / (mean - truth)):.1e}"
        yield f"| {name} | {bias:.6e} | {mcse:.1e} | {relative} | {off / mcse:+.2f} |"
    yield f"| exact | {mean - truth:.6e} | – | – | – |"


def estimates(case: Case, trials: int) -> Iterator[Values]:
    for counts in case.blocks(trials):
        yield estimator("laplace").estimate(counts, Reference.known(case.q), KL)


def seconds(case: Case, trials: int) -> Iterator[str]:
    """Yield CPU-seconds to the MCSE that controls reach with so many trials, by both ways."""
    begin = process_time()
    plain = Moments()
    for values in estimates(case, trials):
        plain.add(values)
    without = process_time() - begin
    begin = process_time()
    one = adjusted(case, trials, 3)
    with_them = process_time() - begin
    needed = without * (plain.mean_mcse / one.mcse) ** 2
    cells = (f"{one.mcse:.1e}", shown(with_them), shown(needed), f"{needed / with_them:,.0f}")
    overhead = f"{with_them / without:.2f}"
    yield f"| {case.colours} | {case.size:,} | " + " | ".join(cells) + f" | {overhead} |"


def main(quick: bool) -> None:
    trials = 400 if quick else 20_000
    print("Variance reduction of the mean, ours (theirs); Zipf P, uniform Q\n")
    print(*reductions(trials), sep="\n")
    few = 400 if quick else 10_000
    print(f"\nK = 100, n = 1,000,000, {few:,} trials\n")
    print(*small_bias(Case(100, 10**6), few), sep="\n")
    print("\nCPU-seconds of one thread to the same MCSE of the bias of laplace\n")
    print("| K | n | MCSE | with controls | plain, scaled by MCSE² | times | cost of a trial, × |")
    print("|---:" * 7 + "|")
    for size in (1000, 100_000):
        print(*seconds(Case(100, size), trials), sep="\n")


if __name__ == "__main__":
    with threadpool_limits(1):
        main("--quick" in sys.argv)
