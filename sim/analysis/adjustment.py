"""The adjusted bias of each cell: its estimates held against the control variates beside them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from sim.analysis.regression import Adjusted, Adjustment
from sim.analysis.series import Key, Line, Series
from sim.cells import Cells
from sim.contracts.arrays import Counts, Mix, Reference, Values
from sim.contracts.bag import Bag
from sim.controls import PLUG_IN, QUADRATIC, Controls
from sim.experiment import Cell, Experiment

__all__ = ["Adjusted", "Adjustments"]

_OUTCOMES = 48
"""More than the trials that a regression on three controls needs."""

_AT_ONCE = 2**20

Place = tuple[str, int, str | None]
"""Bag, size and model: cells there share their controls."""


class Adjustments:
    """The adjusted biases of all cells of a run; `add` each part's series, controls included."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._combinations: dict[Key, bool] = {}
        self._found: dict[Place, Adjustment] = {}
        self._columns: dict[Key, int] = {}
        self._keys: dict[Place, list[Key]] = {}

    def add(self, batch: Sequence[Series]) -> None:
        """Take the series of one part: they share their trials."""
        cells: dict[Place, list[Series]] = defaultdict(list)
        controls: dict[tuple[str, int], list[Series]] = defaultdict(list)
        for one in batch:
            line, size = one.key
            if line.is_control:
                controls[line.bag, size].append(one)
            else:
                cells[line.bag, size, line.model].append(one)
        for place, own in cells.items():
            bag, size, model = place
            every = {c.key.line: c for c in controls[bag, size]}
            used = self._used(bag, [line for line in every if line.model in (None, model)])
            if used:
                keys = [one.key for one in own]
                self._keep(place, keys, _adjusted(own, [every[line] for line in used]))

    def _used(self, bag: str, controls: list[Line]) -> list[Line]:
        names = used([line.estimator for line in controls], self._experiment.bags[bag])
        return [line for line in controls if line.estimator in names]

    def merge(self, other: Adjustments) -> None:
        """Take what was found of further parts."""
        for place, found in other._found.items():
            self._keep(place, other._keys[place], found)

    def _keep(self, place: Place, keys: list[Key], found: Adjustment) -> None:
        """Take what was found of the cells of a place.

        Parts differ where an extension was cut short: what only some have has no adjusted bias.
        """
        if place not in self._found:
            self._found[place], self._keys[place] = found, keys
            self._columns.update({key: column for column, key in enumerate(keys)})
            return
        columns = {key: column for column, key in enumerate(keys)}
        found = found.picked([columns.get(key) for key in self._keys[place]])
        self._found[place].merge(found)

    def of(self, key: Key) -> Adjusted | None:
        """Return the adjusted bias of a cell; None where it has none (see `Adjustment.of`).

        Nor has one of which the controls leave nothing in the trials seen, but not by formula:
        what was not seen may differ, and the error of that is not known.
        """
        line, size = key
        found = self._found.get((line.bag, size, line.model))
        column = self._columns.get(key)
        one = None if found is None or column is None else found.of(column)
        if one is None or one.mcse > 0:
            return one
        if key not in self._combinations:
            self._combinations.update(self._tried((line.bag, size, line.model)))
        return one if self._combinations[key] else None

    def _tried(self, place: Place) -> dict[Key, bool]:
        """Return of each cell of a place whose trials leave nothing whether any counts would."""
        found = self._found[place]
        keys = [key for key in self._keys[place] if _leaves_nothing(found, self._columns[key])]
        return dict(zip(keys, are_combinations(self._experiment, place, keys), strict=True))

    def columns(self, key: Key) -> dict[str, float | None]:
        """Return the columns of the summary that say it; none where it has none."""
        one = self.of(key)
        if one is None:
            return {}
        return {
            "adjusted_bias": one.bias,
            "adjusted_bias_mcse": one.mcse,
            "variance_reduction": one.variance_reduction,
        }


def _adjusted(cells: Sequence[Series], controls: Sequence[Series]) -> Adjustment:
    """Return the regression of the cells of a place in one part."""
    found = Adjustment([one.truth for one in cells], [one.truth for one in controls])
    values, x = (np.stack([one.estimate for one in each]).T for each in (cells, controls))
    found.add(values, x)
    return found


def used(controls: Sequence[str], bag: Bag) -> list[str]:
    """Return the names of the controls that take part.

    Of two colours one count decides everything: `quadratic` beside `plug_in` would explain
    little more, and leave so little that few trials carry it; its error would be told too small.
    """
    twice = len(bag.colours) == 2 and PLUG_IN in controls
    return [name for name in controls if not (twice and name == QUADRATIC)]


def are_combinations(experiment: Experiment, place: Place, keys: Sequence[Key]) -> list[bool]:
    """Return of each cell of a place whether it is a combination of its controls for any counts.

    Tried on outcomes far more spread than trials are: many lack a colour, or show one only.
    """
    label, size, model = place
    there = experiment.cells(label)
    cells = [next(cell for cell in there if _is_of(cell, key)) for key in keys]
    bag = experiment.bags[label]
    models = {model: experiment.models[model]} if model is not None else {}
    controls = Controls(bag, models, experiment.unit)
    rng = np.random.default_rng(0)
    found: Adjustment | None = None
    for counts in _spread(bag.expected(size), size, rng):
        known = _reference(experiment, place, len(counts), rng)
        units = [cell.target.per_unit(experiment.unit) for cell in cells]
        values = np.stack([_values(cell, counts, known) for cell in cells], axis=1) / units
        every = {one.estimator: one for one in controls.outcomes(Cells(counts, size))}
        beside = [every[name] for name in used(list(every), bag)]
        found = found or Adjustment(np.zeros(len(cells)), [one.truth for one in beside])
        x = np.stack([one.estimates for one in beside], axis=1)
        found.add(values, x)
    return [found is not None and _leaves_nothing(found, column) for column in range(len(cells))]


def _leaves_nothing(found: Adjustment, column: int) -> bool:
    one = found.of(column)
    return one is not None and one.mcse == 0


def _values(cell: Cell, counts: Counts, known: Reference) -> Values:
    """Return the estimates; NaN where they raise: an estimator need not answer to what cannot be.

    One that is not finite has no result.
    """
    with np.errstate(all="ignore"):
        try:
            return cell.estimator.estimate(counts, known, cell.target)
        except Exception:  # anybody's estimator
            return np.full(len(counts), np.nan)


def _is_of(cell: Cell, key: Key) -> bool:
    own = (cell.model, cell.target.name, cell.label)
    return own == (key.line.model, key.line.target, key.line.estimator)


def _spread(p: Mix, size: int, rng: np.random.Generator) -> Iterator[Counts]:
    """Yield outcomes of draws from compositions far from p, of the colours that p has."""
    drawn = np.flatnonzero(p)
    step = max(1, _AT_ONCE // len(p))
    for begin in range(0, _OUTCOMES, step):
        trials = min(step, _OUTCOMES - begin)
        counts = np.zeros((trials, len(p)), dtype=np.int64)
        shares = rng.dirichlet(np.full(len(drawn), max(0.3, 2 / len(drawn))), trials)
        counts[:, drawn] = rng.multinomial(size, shares)
        if begin == 0:  # one colour alone
            counts[0] = 0
            counts[0, drawn[0]] = size
        yield counts


def _reference(
    experiment: Experiment, place: Place, trials: int, rng: np.random.Generator
) -> Reference:
    label, size, beside = place
    bag = experiment.bags[label]
    if beside is None:
        return Reference.known(bag.truth(size))
    model = experiment.models[beside]
    q, number = model.truth(bag, size), model.drawn(size)
    if number is None:
        return Reference.known(q)
    return Reference.counted(rng.multinomial(number, q / q.sum(), trials))
