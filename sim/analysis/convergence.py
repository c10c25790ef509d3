"""How an error falls with n: the fitted power of n beside the one that theory gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

import numpy as np

from sim.analysis.fits import fit
from sim.analysis.replicates import Replicate
from sim.analysis.series import Key, Line
from sim.asymptotics import PowerLaw, Quantity
from sim.experiment import Cell, Experiment


def theory(experiment: Experiment, bag: str, cell: Cell, quantity: Quantity) -> PowerLaw | None:
    """Return theory's law of an error for large n; None where none is known for this bag."""
    known = experiment.bags[bag]
    if not known.independent:
        return None
    size = experiment.sizes_of(bag)[-1]
    p = known.truth(size)
    if cell.model is None:
        return cell.estimator.theory(quantity, p, p, cell.target)
    model = experiment.models[cell.model]
    if model.drawn(size) is not None:
        return None
    return cell.estimator.theory(quantity, p, model.truth(known, size), cell.target)


def rows(
    experiment: Experiment,
    line: Line,
    cell: Cell,
    summary: Sequence[Mapping[str, Any]],
    replicates: Mapping[Key, Replicate],
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one line: bias, sd and rmse; `summary` has its sizes, ascending."""
    sizes = np.array([row["size"] for row in summary], dtype=np.float64)
    resampled = [replicates[Key(line, row["size"])].errors(row["truth"]) for row in summary]
    unit = cell.target.per_unit(experiment.unit)
    for quantity in get_args(Quantity):
        values = np.array([row[quantity] for row in summary])
        mcse = np.array([row[f"{quantity}_mcse"] for row in summary])
        spread = np.stack([errors[quantity] for errors in resampled], axis=1)
        fitted = fit(sizes, values, mcse, spread)
        law = theory(experiment, line.bag, cell, quantity)
        yield {
            **line._asdict(),
            "quantity": quantity,
            "theory_rate": law.rate if law else None,
            "theory_constant": law.constant / unit if law else None,
            **({"reason": fitted} if isinstance(fitted, str) else vars(fitted)),
        }
