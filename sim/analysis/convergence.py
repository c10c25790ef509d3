"""How an error falls with n: the fitted power of n beside the one that theory gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

import numpy as np

from sim.analysis.asymptote import departs, onset
from sim.analysis.fits import fit
from sim.analysis.needed import Errors, Need, needed, settled
from sim.analysis.plateau import NOTHING, Remains, Shown, remains
from sim.analysis.replicates import Floats, Replicate
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
    exact_size: int | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one line: bias, sd and rmse; `summary` has its sizes, ascending.

    `exact_size` is the size for the tolerance where it is exactly known.
    """
    sizes = np.array([row["size"] for row in summary], dtype=np.float64)
    resampled = [replicates[Key(line, row["size"])].errors(row["truth"]) for row in summary]
    unit = cell.target.per_unit(experiment.unit)
    shown = {one: _shown(summary, resampled, one) for one in get_args(Quantity)}
    endless = experiment.bags[line.bag].limit is None
    left = remains(sizes, shown) if endless else NOTHING
    need = Need.exactly(exact_size)
    if need is None:
        need = _need(experiment, line, summary, shown["rmse"], left)
    for quantity in get_args(Quantity):
        values, mcse, spread = shown[quantity]
        fitted = fit(sizes, values, mcse, spread)
        law = theory(experiment, line.bag, cell, quantity)
        if law is not None:
            law = PowerLaw(law.rate, law.constant / unit)
        yield {
            **line._asdict(),
            "quantity": quantity,
            "theory_rate": law.rate if law else None,
            "theory_constant": law.constant if law else None,
            **({"reason": fitted} if isinstance(fitted, str) else vars(fitted)),
            "departs": departs(fitted, law),
            **vars(left.limits[quantity]),
            **vars(onset(sizes, values, spread, law, experiment.level)),
            **vars(need),
        }


def _shown(
    summary: Sequence[Mapping[str, Any]], resampled: list[dict[str, Floats]], quantity: str
) -> Shown:
    values = np.array([row[quantity] for row in summary])
    mcse = np.array([row[f"{quantity}_mcse"] for row in summary])
    return values, mcse, np.stack([errors[quantity] for errors in resampled], axis=1)


def _need(
    experiment: Experiment,
    line: Line,
    summary: Sequence[Mapping[str, Any]],
    rmse: Shown,
    left: Remains,
) -> Need:
    sizes = np.array([row["size"] for row in summary], dtype=np.float64)
    names = ("error_quantile", "error_quantile_low", "error_quantile_high")
    quantiles = np.array([[row[name] for row in summary] for name in names])
    asked = experiment.tolerance
    chances = [row["exact_p_within"] for row in summary]
    quantiles = settled(quantiles, chances, (asked.error, asked.confidence))
    bag = experiment.bags[line.bag]
    errors = Errors(sizes, quantiles, *rmse, experiment.level, len(bag.colours) <= 2)
    return needed(errors, asked.error, left, bag.limit)
