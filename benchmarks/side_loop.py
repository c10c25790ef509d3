"""The peer that a user would write first: one trial and one size at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import entropy

from benchmarks.cases import LEVELS, SEED, Case


def kernel(case: Case) -> NDArray[np.float64]:
    """Return the counted KL of every trial, shape (sizes, trials)."""
    rng = np.random.default_rng(SEED)
    p = case.probabilities
    estimates = np.empty((len(case.sizes), case.trials))
    for trial in range(case.trials):
        for place, size in enumerate(case.sizes):
            draws = rng.choice(case.colours, size=size, p=p)
            counts = np.bincount(draws, minlength=case.colours)
            estimates[place, trial] = entropy(counts, p)
    return estimates


def whole_run(case: Case, folder: Path) -> list[list[float]]:
    """Write every trial to Parquet; return size, mean, sd and quantiles, a row for each size."""
    estimates = kernel(case)
    rows = [
        {"size": size, "trial": trial, "estimate": estimates[place, trial]}
        for place, size in enumerate(case.sizes)
        for trial in range(case.trials)
    ]
    frame = pd.DataFrame(rows)
    frame.to_parquet(folder / "trials.parquet", compression="zstd", index=False)
    groups = frame.groupby("size")["estimate"]
    quantiles = groups.quantile(list(LEVELS)).unstack()
    table = pd.concat([groups.mean(), groups.std(), quantiles], axis=1)
    return table.reset_index().to_numpy().tolist()
