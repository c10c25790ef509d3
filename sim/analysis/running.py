"""A trace goes in; what the KL of all that was drawn so far was, draw by draw, comes out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pandas as pd

from sim.consistency import meets
from sim.contracts.bag import TimedBag
from sim.divergences import KL
from sim.experiment import Experiment

RUNNING: Final = ["bag", "model", "trial", "time", "draws", "kl"]

_MOST_TRIALS = 10
_MOST_POINTS = 60


def running(experiment: Experiment, trace: pd.DataFrame) -> pd.DataFrame:
    """Return the KL of the draws so far against Q as it is there, in the experiment's unit.

    Only models whose Q is known are here; some 60 draws of each of the first trials, spread
    evenly over the decades.
    """
    found = [
        pd.DataFrame(_rows(experiment, str(bag), model, draws)).assign(trial=trial)
        for (bag, trial), draws in _drawn(experiment, trace)
        for model in _known(experiment, str(bag))
    ]
    return pd.concat(found, ignore_index=True)[RUNNING] if found else pd.DataFrame(columns=RUNNING)


def _drawn(experiment: Experiment, trace: pd.DataFrame) -> Iterator[tuple[Any, pd.DataFrame]]:
    """Yield the draws of each trial; what else happened is left out."""
    for (bag, trial), rows in trace.groupby(["bag", "trial"], sort=False, observed=True):
        known = experiment.bags.get(str(bag))
        if isinstance(known, TimedBag) and trial < _MOST_TRIALS:
            yield (bag, trial), rows[rows["event"] == known.drawn]


def _known(experiment: Experiment, bag: str) -> Iterator[str]:
    for label, model in experiment.models.items():
        if meets(model.bags, bag) and model.drawn(experiment.sizes_of(bag)[-1]) is None:
            yield label


def _rows(experiment: Experiment, label: str, model: str, draws: pd.DataFrame) -> dict[str, Any]:
    bag, known = experiment.bags[label], experiment.models[model]
    colours = [bag.colours.index(str(colour)) for colour in draws["colour"]]
    counts = np.cumsum(np.eye(len(bag.colours))[colours], axis=0)
    last = len(colours)
    steps = np.unique(np.geomspace(1, max(1, last), _MOST_POINTS).round().astype(int))
    steps = steps[steps <= last]
    worth = KL.per_unit(experiment.unit)
    kl = [float(KL(counts[n - 1] / n, known.truth(bag, int(n)))) / worth for n in steps]
    time = draws["time"].to_numpy()[steps - 1]
    return {"bag": label, "model": model, "time": time, "draws": steps, "kl": kl}
