"""The exact values of each cell, with what several cells need worked out once."""

from __future__ import annotations

from dataclasses import replace

from sim.analysis.series import Key
from sim.contracts.arrays import Reference
from sim.exact import Exact, Stated, coverage, exact
from sim.experiment import Cell, Experiment
from sim.laws.counts import CountLaw


class Laws:
    """The count law of each bag and size, worked out once for all cells."""

    def __init__(self, experiment: Experiment) -> None:
        self._bags, self._models = experiment.bags, experiment.models
        self._known: dict[tuple[str, int], CountLaw | None] = {}
        self._of_models: dict[tuple[str, str, int], CountLaw | None] = {}

    def __call__(self, bag: str, size: int) -> CountLaw | None:
        """Return the law of the counts of a bag at a size; None where it is not known."""
        if (bag, size) not in self._known:
            self._known[bag, size] = self._bags[bag].count_law(size)
        return self._known[bag, size]

    def of_model(self, model: str, key: Key) -> CountLaw | None:
        """Return the law of the counts of Q that stand beside a bag at a size."""
        place = (model, key.line.bag, key.size)
        if place not in self._of_models:
            bag = self._bags[key.line.bag]
            self._of_models[place] = self._models[model].count_law(bag, key.size)
        return self._of_models[place]


def exact_values(experiment: Experiment, cell: Cell, key: Key, laws: Laws) -> Exact:
    """Return the exact values of one cell, in nats."""
    bag = experiment.bags[key.line.bag]
    law, p = laws(key.line.bag, key.size), bag.truth(key.size)
    if cell.model is None:
        return exact(law, cell.estimator, Reference.known(p), cell.target)
    model = experiment.models[cell.model]
    true_q = model.truth(bag, key.size)
    counted = model.drawn(key.size) is not None
    seen = laws.of_model(cell.model, key) if counted else Reference.known(true_q)
    known = exact(law, cell.estimator, seen, cell.target)
    if cell.interval is None:
        return known
    stated = Stated(cell.estimator, cell.interval, cell.target, experiment.level)
    return replace(known, coverage=coverage(law, seen, stated, float(cell.target(p, true_q))))
