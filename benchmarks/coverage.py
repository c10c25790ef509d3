"""How often intervals hold the truth, two colours: python -m benchmarks.coverage [--trials N].

Prints the Markdown table of docs/intervals.md: exact where there is an exact value, else
simulated with its Monte Carlo error.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import cast

import numpy as np

from sim.analysis.summary import proportion_mcse
from sim.contracts.arrays import Reference
from sim.contracts.estimator import ESTIMATORS, Estimator
from sim.contracts.interval import INTERVALS, Interval, Sample, covers
from sim.divergences import KL
from sim.exact import Stated, coverage
from sim.laws import Multinomial

P = np.array([0.4, 0.6])
FAIR = np.array([0.5, 0.5])
SIZES = (10, 25, 100, 1000)
LEVEL = 0.95
SEED = 20240601


def simulated(stated: Stated, n: int, q: np.ndarray, trials: int) -> tuple[float, float]:
    """Return the share of trials whose interval holds the truth, and its error."""
    rng = np.random.default_rng([SEED, n])
    counts = rng.multinomial(n, P, size=trials)
    sample = Sample(counts, Reference.known(q), KL)
    with np.errstate(all="ignore"):
        bounds = stated.interval.bounds(cast(Estimator, stated.estimator), sample, LEVEL, rng)
    held = int(covers(bounds.lower, bounds.upper, float(KL(P, q))).sum())
    return held / trials, proportion_mcse(held, trials)


def cell(stated: Stated, n: int, q: np.ndarray, trials: int) -> str:
    """Return the coverage as it is printed."""
    known = coverage(Multinomial(n, P), Reference.known(q), stated, float(KL(P, q)))
    if known is not None:
        return f"{known:.4f}"
    share, error = simulated(stated, n, q, trials)
    return f"{share:.3f} ± {error:.3f}"


def lines(trials: int) -> Iterator[str]:
    """Yield the table, line by line."""
    heads = [f"{case}, n = {n:,}" for case in ("P = Q", "P ≠ Q") for n in SIZES]
    yield f"| interval | {' | '.join(heads)} |"
    yield f"|---|{'---:|' * len(heads)}"
    estimator = cast(Estimator, ESTIMATORS.build({"kind": "plug_in"}))
    for kind in INTERVALS.kinds():
        stated = Stated(estimator, cast(Interval, INTERVALS.build(kind)), KL, LEVEL)
        cells = [cell(stated, n, q, trials) for q in (P, FAIR) for n in SIZES]
        yield f"| `{kind}` | {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=__doc__)
    parser.add_argument("--trials", type=int, default=4000, help="where it is simulated")
    for line in lines(parser.parse_args().trials):
        print(line, flush=True)


if __name__ == "__main__":
    main()
