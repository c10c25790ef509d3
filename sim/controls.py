"""Control variates: counts of a bag go in; out come numbers whose means are known exactly.

With e = E p̂, and q a model's probabilities: `linear` is L = Σ (p̂ − e) ln(e/q), mean 0, one for
each model; `quadratic` is χ² = Σ (p̂ − e)²/e, mean Σ Var p̂/e; `plug_in` is KL(p̂‖e), its mean
the exact one. Lavenberg & Welch 1981; docs/controls.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

from sim.cells import Cells
from sim.contracts.arrays import Colours, Mix, Reference, Values
from sim.contracts.bag import Bag
from sim.contracts.estimator import ESTIMATORS, Estimator
from sim.contracts.model import Model
from sim.divergences import KL, Unit
from sim.exact.one_sample import exact_mean
from sim.laws.counts import CountLaw
from sim.rows import Key, Outcome
from sim.tables import CONTROL

LINEAR, QUADRATIC, PLUG_IN = LABELS = ("linear", "quadratic", "plug_in")
"""What stands as the estimator of a control's rows."""

_ALIKE = 1e-12
"""Spread of ln(e/q) below which it is one number, and L nothing but rounding."""


@dataclass(frozen=True, eq=False)
class Controls:
    """The control variates of one bag and the models that it meets, in a unit."""

    bag: Bag
    models: Mapping[str, Model]
    unit: Unit

    def keys(self, size: int) -> list[Key]:
        """Return the keys of the outcomes at a size, in their order."""
        expected = self.bag.expected(size)
        keys: list[Key] = [
            (name, CONTROL, LINEAR, size) for name in self._surprises(size, expected, expected > 0)
        ]
        if self.bag.count_variance(size) is not None:
            keys.append((None, CONTROL, QUADRATIC, size))
        if self._means.at(size) is not None:
            keys.append((None, CONTROL, PLUG_IN, size))
        return keys

    def outcomes(self, cells: Cells) -> Iterator[Outcome]:
        """Yield the controls of counts of so many draws; each has its own mean.

        A control that cannot be had at a size is left out there: the linear one where ln(e/q)
        is infinite or one number, the others where the bag does not know their mean.
        """
        size, expected = cells.size, self.bag.expected(cells.size)
        drawn = expected > 0
        surprises = self._surprises(size, expected, drawn)
        square, plug_in = self._mean_square(size, expected, drawn), self._means.at(size)
        if not (surprises or square is not None or plug_in is not None):
            return
        work = _Work(cells, expected)
        linear = [work.linear(surprise) for surprise in surprises.values()]
        nats = KL.per_unit(self.unit)
        for values, (name, model) in zip(linear, self._named(surprises), strict=True):
            drawn_of_q = model.drawn(size)
            yield Outcome(name, CONTROL, LINEAR, size, drawn_of_q, 0.0, values / nats)
        if square is not None:
            yield Outcome(None, CONTROL, QUADRATIC, size, None, square, work.quadratic())
        if plug_in is not None:
            own = work.plug_in() / nats
            yield Outcome(None, CONTROL, PLUG_IN, size, None, plug_in / nats, own)

    def _named(self, surprises: Mapping[str, Mix]) -> list[tuple[str, Model]]:
        return [(name, self.models[name]) for name in surprises]

    def _surprises(self, size: int, e: Mix, drawn: NDArray[np.bool_]) -> dict[str, Mix]:
        """Return ln(e/q) less its mean, by model, where it is finite and not one number.

        Shape (K,), 0 for a colour that is never drawn.
        """
        found = {}
        for name, model in self.models.items():
            with np.errstate(divide="ignore"):
                ratio = np.log(e[drawn] / model.truth(self.bag, size)[drawn])
            if np.isfinite(ratio).all() and np.ptp(ratio) > _ALIKE:
                found[name] = np.zeros_like(e)
                found[name][drawn] = ratio - np.sum(e[drawn] * ratio)
        return found

    def _mean_square(self, size: int, e: Mix, drawn: NDArray[np.bool_]) -> float | None:
        variance = self.bag.count_variance(size)
        return None if variance is None else float(np.sum((variance / size**2)[drawn] / e[drawn]))

    @cached_property
    def _means(self) -> _Means:
        return _means_of(self.bag)


@dataclass(frozen=True, eq=False)
class _Work:
    """Counts, and their expected shares e, (K,); a colour whose e is 0 is never drawn."""

    cells: Cells
    e: Mix

    def linear(self, surprise: Mix) -> Values:
        """Return Σ (p̂ − e) · surprise; shape (trials,)."""
        return self._sums(lambda share, colour: (share - self.e[colour]) * surprise[colour])

    def quadratic(self) -> Values:
        """Return χ², Σ (p̂ − e)²/e."""
        some = np.where(self.e > 0, self.e, 1.0)
        return self._sums(lambda share, colour: (share - self.e[colour]) ** 2 / some[colour])

    def plug_in(self) -> Values:
        """Return KL(p̂‖e); where a counted KL is of this e, it is the same."""
        return _counting().added(self.cells, Reference.known(self.e), KL)

    def _sums(self, term: Callable[[Mix, Colours], Mix]) -> Values:
        size = self.cells.size
        return self.cells.sums(lambda counts, colour: term(np.asarray(counts / size), colour))


@cache
def _counting() -> Estimator:
    return cast(Estimator, ESTIMATORS.build({"kind": "plug_in"}))


@dataclass(frozen=True, eq=False)
class _Means:
    """The means of a bag's plug_in control, by size, each worked out once."""

    bag: Bag
    known: dict[int, float | None] = field(default_factory=dict)

    def at(self, size: int) -> float | None:
        """Return the exact mean of KL(p̂‖e), nats; None where it is not known."""
        if size not in self.known:
            law = self.bag.count_law(size)
            self.known[size] = None if law is None else self._mean(law, size)
        return self.known[size]

    def _mean(self, law: CountLaw, size: int) -> float | None:
        with np.errstate(all="ignore"):
            return exact_mean(law, _counting(), Reference.known(self.bag.expected(size)), KL)


_means_of = lru_cache(maxsize=64)(_Means)
"""Those of equal bags are the same: a worker gets a bag anew with every block."""
