"""Bags without a clock against numpy's bulk form of the same draws.

Prints microseconds a trial for each, and the ratio: medians over repeats that take turns.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from sim.contracts.bag import BAGS

Bulk = Callable[[int, int, np.random.Generator], np.ndarray]
P = np.array([0.4, 0.6])
BALLS = {"red": 10, "blue": 15}


def reds(colours: np.ndarray) -> np.ndarray:
    """Return counts, (trials, 2), of an array of draws, (trials, n), 1 where blue."""
    blue = colours.sum(axis=1)
    return np.stack([colours.shape[1] - blue, blue], axis=1)


def multinomial(n: int, trials: int, rng: np.random.Generator) -> np.ndarray:
    """Draw with replacement."""
    return rng.multinomial(n, P, size=trials)


def hypergeometric(n: int, trials: int, rng: np.random.Generator) -> np.ndarray:
    """Draw without replacement."""
    return rng.multivariate_hypergeometric([10, 15], n, size=trials)


def compound(n: int, trials: int, rng: np.random.Generator) -> np.ndarray:
    """Draw from a composition of each trial's own."""
    return rng.multinomial(n, rng.dirichlet(25 * P, size=trials))


def numbers(n: int, trials: int, rng: np.random.Generator) -> np.ndarray:
    """Draw numbers from 1 to 10."""
    return reds(rng.integers(1, 11, size=(trials, n)) > 4)


def chain(n: int, trials: int, rng: np.random.Generator) -> np.ndarray:
    """Keep the last colour half of the time."""
    fresh = rng.random((trials, n)) >= 0.5
    fresh[:, 0] = True
    last = np.maximum.accumulate(np.where(fresh, np.arange(n), 0), axis=1)
    return reds(np.take_along_axis(rng.random((trials, n)) >= 0.4, last, axis=1))


def moving(n: int, trials: int, rng: np.random.Generator) -> np.ndarray:
    """Move from one composition to the other within 100 draws."""
    weight = np.minimum(np.arange(n) / 100, 1)
    moved = rng.random((trials, n)) < weight
    return reds(rng.random((trials, n)) >= np.where(moved, 0.6, 0.4))


CONFUSION = {"red": {"red": 0.9, "blue": 0.1}}
CASES: dict[str, tuple[Bulk, int, dict[str, object]]] = {
    "with_replacement": (multinomial, 100, {"balls": BALLS}),
    "without_replacement": (hypergeometric, 20, {"balls": BALLS}),
    "mislabelled": (multinomial, 100, {"balls": BALLS, "confusion": CONFUSION}),
    "polya": (compound, 100, {"balls": BALLS, "added": 1.0}),
    "mixed": (compound, 100, {"balls": BALLS, "concentration": 25.0}),
    "number_rule": (
        numbers,
        1000,
        {"low": 1, "high": 10, "colours": {"red": (1, 4), "blue": (5, 10)}},
    ),
    "sticky": (chain, 1000, {"balls": BALLS, "stay": 0.5}),
    "drifting": (moving, 1000, {"balls": BALLS, "later": {"red": 15, "blue": 10}, "span": 100}),
}


def measure(kind: str, trials: int, repeats: int) -> tuple[float, float]:
    """Return median seconds of the bag and of numpy for the counts of one size."""
    bulk, n, parameters = CASES[kind]
    bag = BAGS.build({"kind": kind, **parameters})
    seconds: tuple[list[float], list[float]] = ([], [])
    for repeat in range(repeats):
        for place, own in enumerate(seconds):
            rng = np.random.Generator(np.random.SFC64(repeat))
            begin = time.perf_counter()
            _ = bulk(n, trials, rng) if place else next(iter(bag.tally([n], trials, rng)))
            own.append(time.perf_counter() - begin)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def main(quick: bool = False) -> None:
    """Print a line for each bag."""
    trials, repeats = (50, 3) if quick else (4096, 9)
    print("| bag | n | klsim, µs a trial | numpy, µs a trial | ratio |\n|---|---:|---:|---:|---:|")
    for kind, (_, n, _) in CASES.items():
        own, bulk = (1e6 * seconds / trials for seconds in measure(kind, trials, repeats))
        print(f"| {kind} | {n} | {own:.2f} | {bulk:.2f} | {own / bulk:.2f} |")


if __name__ == "__main__":
    main("--quick" in sys.argv)
