"""Two colours: the size for the tolerance, exact and of every whole size, where that can be had.

Independent draws, and an estimate near the counted divergence, come with a proof: the size is
good for ever. Elsewhere the outcomes of each size are listed, from the end of the bag, or the
largest size that was drawn, down to the last that misses the confidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from sim.contracts.bag import Bag
from sim.contracts.estimator import Loss
from sim.divergences import TARGETS
from sim.estimators.plug_in import PlugIn
from sim.exact.always import every_size, listed_chance
from sim.exact.listing import MOST_SLOW, outcomes
from sim.exact.task import Task
from sim.exact.values import reaches
from sim.experiment import Cell, Experiment
from sim.laws.counts import CountLaw, Multinomial
from sim.laws.tables import Tabulated

MOST_LISTED = 2_000_000
"""Outcomes of all sizes of a line together, and entries of tables: a second at most."""

_A_SIZE = 100
"""Outcomes that take as long as all else that a size takes."""


@dataclass(frozen=True)
class Asked:
    """What is asked of one line: a bag of two colours, beside a known Q."""

    experiment: Experiment
    bag: Bag
    cell: Cell

    def is_counted(self, n: int) -> bool:
        """Return whether of Q only counts are known."""
        model = self.cell.model
        return model is not None and self.experiment.models[model].drawn(n) is not None

    def task(self, n: int, law: CountLaw) -> Task:
        """Return what is asked of n draws with this law."""
        p, tolerance = self.bag.truth(n), self.experiment.tolerance
        error = tolerance.error * self.cell.target.per_unit(self.experiment.unit)
        read = law.p if isinstance(law, Multinomial) else p
        estimator, target, q = self.cell.estimator, self.cell.target, p
        if self.cell.model is not None:
            q = self.experiment.models[self.cell.model].truth(self.bag, n)
        elif isinstance(estimator, Loss):  # D(P‖learned): what is learned goes first
            estimator, target = PlugIn(learner=estimator.learner), TARGETS["reverse_kl"]
        return Task(read, q, estimator, target, error, tolerance.confidence, p)


def exact_size(
    experiment: Experiment,
    cell: Cell,
    summary: Sequence[Mapping[str, Any]],
    laws: Callable[[str, int], CountLaw | None],
) -> int | None:
    """Return the size from which on the tolerance always holds; None where not exactly known.

    `summary` has the rows of the line, `laws` gives those of counts by bag and size.
    """
    label, sizes = summary[0]["bag"], [row["size"] for row in summary]
    asked = Asked(experiment, experiment.bags[label], cell)
    if len(asked.bag.colours) > 2 or asked.is_counted(sizes[0]):
        return None
    known = {size: law for size in sizes if (law := laws(label, size)) is not None}
    if len(known) < len(sizes) or not all(isfinite(row["truth"]) for row in summary):
        return None
    chances = np.array([row["exact_p_within"] for row in summary])
    misses = ~reaches(chances, experiment.tolerance.confidence) & ~np.isnan(chances)
    failing = max((size for size, one in zip(sizes, misses, strict=True) if one), default=0)
    alike = _alike(asked, known)
    proof = None if alike is None else every_size(alike)
    if proof is not None:
        return proof.last_failing(failing) + 1
    return _listed(asked, failing, known)


def _alike(asked: Asked, known: Mapping[int, CountLaw]) -> Task | None:
    """Return what is asked at any size; None where draws are not independent and alike."""
    one = asked.bag.count_law(1)
    if one is None:
        return None
    first, *rest = (asked.task(n, law) for n, law in {1: one, **known}.items())
    is_same = all(
        np.array_equal(getattr(first, name), getattr(each, name))
        for each in rest
        for name in ("p", "q", "of")
    )
    is_independent = isinstance(one, Multinomial) and len(one.p) == 2
    is_independent &= all(isinstance(law, Multinomial) for law in known.values())
    return first if is_same and is_independent else None


def _listed(asked: Asked, failing: int, known: Mapping[int, CountLaw]) -> int | None:
    """Return the size by the outcomes of every size down to one that fails."""
    last = asked.bag.limit or max(known)
    end = asked.bag.count_law(last)
    if end is None or not _affordable(asked, last - failing, [*known.values(), end]):
        return None
    for n in range(last, failing, -1):
        is_reached = _reached(asked, n)
        if is_reached is None:
            return None
        if not is_reached:
            return n + 1 if n < last else None
    return failing + 1 if failing < last else None


def _reached(asked: Asked, n: int) -> bool | None:
    """Return whether a size reaches the confidence; None where that is not known."""
    law = asked.bag.count_law(n)
    if law is None:
        return None
    task = asked.task(n, law)
    chance = listed_chance(task, law)
    return None if chance is None else bool(task.reached(np.array(chance)))


def _affordable(asked: Asked, sizes: int, laws: Iterable[CountLaw]) -> bool:
    """Return whether the outcomes of so many sizes, at most as many each as these, are few."""
    each = 0
    for law in laws:
        number = outcomes(law, asked.task(law.size, law).reference) or 0
        each = max(each, number + (law.size if isinstance(law, Tabulated) else 0))
    if asked.cell.estimator.slow:
        return sizes * each <= MOST_SLOW
    return sizes * (each + _A_SIZE) <= MOST_LISTED
