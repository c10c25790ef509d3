"""What all estimators cost together on the same counts, beside the plug-in alone.

`python -m benchmarks.estimators`; `--quick` for a glance.
"""

from __future__ import annotations

import sys
from time import perf_counter

import numpy as np
import pandas as pd

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


def cost(estimator: Estimator, c: np.ndarray, q: Reference) -> float:
    """Return nanoseconds a count of one run."""
    rows = slice(8 if estimator.slow else len(c))
    c, q = c[rows], q.rows(rows)
    begin = perf_counter()
    with np.errstate(all="ignore"):
        estimator.estimate(c, q, KL)
    return (perf_counter() - begin) * 1e9 / c.size


def rounds(every: dict[str, Estimator], c: np.ndarray, q: Reference, number: int) -> pd.DataFrame:
    """Return the costs, a row for each round in which every estimator ran once."""
    found = [{name: cost(e, c, q) for name, e in every.items()} for _ in range(number + 1)]
    return pd.DataFrame(found[1:])  # the first warms up


def main(quick: bool) -> None:
    trials, number = (64, 1) if quick else (4096, 7)  # a block of 1000 colours
    print(f"K = {COLOURS}, Zipf, {number} rounds: medians; ns a count, and times the plug-in alone")
    for size in (1000,) if quick else (1000, 100_000):
        c, d = counts(size, trials)
        for form in FORMS:
            q = Reference.known(np.full(COLOURS, 1 / COLOURS))
            if form == "Q counted":
                q = Reference.counted(d)
            own = shelf(form)
            every = {**own, **learners()}
            table = rounds(every, c, q, number)
            fast = [name for name, e in own.items() if not e.slow]
            together = (table[fast].sum(axis=1) / table["plug_in"]).sort_values()
            low, high = together.iloc[0], together.iloc[-1]
            print(f"\nn = {size:,}, {form}: all but the slow together")
            print(f"  {together.median():.2f} × plug_in (from {low:.2f} to {high:.2f})")
            for name, e in sorted(every.items()):
                ns, slow = table[name].median(), " (slow)" if e.slow else ""
                ratio = (table[name] / table["plug_in"]).median()
                print(f"  {name:32}{ns:10,.1f}{ratio:10.2f}{slow}")


if __name__ == "__main__":
    main("--quick" in sys.argv)
