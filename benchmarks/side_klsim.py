"""klsim: the same work, by its bag and its estimator alone or as a whole run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import sim
from benchmarks.cases import SEED, Case
from sim.config import reading

COLUMNS = ["size", "mean", "sd", "q05", "q25", "median", "q75", "q95"]


def text(case: Case) -> str:
    """Return the experiment of a case."""
    return (
        f"name: benchmark\nseed: {SEED}\ntrials: {case.trials}\nsizes: {list(case.sizes)}\n"
        f"bags:\n  bag: {{kind: with_replacement, balls: {case.balls}}}\n"
    )


def kernel(case: Case) -> NDArray[np.float64]:
    """Return the counted KL of every trial, shape (sizes, trials)."""
    experiment = reading.read(text(case), "benchmark")
    bag = experiment.bags["bag"]
    (cell,) = experiment.cells("bag")
    model = experiment.models[cell.model]
    block = experiment.block_trials("bag")
    estimates = np.empty((len(case.sizes), case.trials))
    for index in range(experiment.blocks("bag")):
        begin = index * block
        end = min(begin + block, case.trials)
        rng = experiment.stream("bag", index=index)
        revealed = model.reveal(bag, case.sizes, end - begin, rng)
        tallies = bag.cells(case.sizes, end - begin, rng)
        for place, (cells, known) in enumerate(zip(tallies, revealed, strict=True)):
            estimates[place, begin:end] = cell.estimator.summed(cells, known, cell.target)
    return estimates


def whole_run(case: Case, folder: Path) -> list[list[float]]:
    """Load and run an experiment; return size, mean, sd and quantiles, a row for each size."""
    config = folder / "benchmark.yaml"
    config.write_text(text(case), encoding="utf-8")
    results = sim.run(sim.load(config), out=folder, workers=1)
    return results.summary[COLUMNS].to_numpy().tolist()
