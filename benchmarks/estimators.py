"""What all estimators cost together on the same counts, beside the plug-in alone.

`python -m benchmarks.estimators`; `--quick` for a glance.
"""

from __future__ import annotations

import sys
from statistics import median
from time import perf_counter

import numpy as np

from sim.contracts.arrays import Reference
from sim.contracts.estimator import ESTIMATORS, Estimator
from sim.contracts.learner import LEARNERS
from sim.divergences import KL

COLOURS = 1000
FORMS = ("Q known", "Q counted")


def shelf(form: str) -> dict[str, Estimator]:
    """Return every estimator that reads this form of Q, as its defaults make it."""
    every = {kind: ESTIMATORS.build({"kind": kind}) for kind in ESTIMATORS.kinds()}
    return {kind: e for kind, e in every.items() if e.reads(counted=form == "Q counted")}


def learners() -> dict[str, Estimator]:
    """Return the plug-in with each learner."""
    found = {}
    for kind in LEARNERS.kinds():
        keys = {"kind": kind, **LEARNERS.member(kind).customary()[0]}
        found[f"plug_in, {kind}"] = ESTIMATORS.build({"kind": "plug_in", "learner": keys})
    return found


def counts(size: int, trials: int) -> tuple[np.ndarray, np.ndarray]:
    p = 1 / np.arange(1, COLOURS + 1)
    rng = np.random.default_rng(7)
    return tuple(rng.multinomial(size, p / p.sum(), trials) for _ in range(2))


def cost(estimator: Estimator, c: np.ndarray, q: Reference, repeats: int) -> float:
    """Return nanoseconds a count: the median of some runs after one to warm up."""
    rows = slice(8 if estimator.slow else len(c))
    c, q, times = c[rows], q.rows(rows), []
    for _ in range(repeats + 1):
        begin = perf_counter()
        with np.errstate(all="ignore"):
            estimator.estimate(c, q, KL)
        times.append((perf_counter() - begin) * 1e9 / c.size)
    return median(times[1:])


def main(quick: bool) -> None:
    trials, repeats = (64, 1) if quick else (1000, 7)
    print(f"K = {COLOURS}, Zipf; ns a count, and times the plug-in alone")
    for size in (1000,) if quick else (1000, 100_000):
        c, d = counts(size, trials)
        for form in FORMS:
            q = Reference.known(np.full(COLOURS, 1 / COLOURS))
            if form == "Q counted":
                q = Reference.counted(d)
            every = {kind: (e, cost(e, c, q, repeats)) for kind, e in shelf(form).items()}
            alone = every["plug_in"][1]
            together = sum(ns for e, ns in every.values() if not e.slow)
            print(f"\nn = {size:,}, {form}: all but the slow {together / alone:.2f} × plug_in")
            extra = {name: (e, cost(e, c, q, repeats)) for name, e in learners().items()}
            for name, (e, ns) in sorted({**every, **extra}.items()):
                slow = " (slow)" if e.slow else ""
                print(f"  {name:32}{ns:10,.1f}{ns / alone:10.2f}{slow}")


if __name__ == "__main__":
    main("--quick" in sys.argv)
