"""Control variates: counts of a bag go in; out come numbers whose means are known exactly.

With e = E p̂, and q a model's probabilities: `linear` is L = Σ (p̂ − e) ln(e/q), mean 0, one for
each model; `quadratic` is χ² = Σ (p̂ − e)²/e, mean Σ Var p̂/e; `plug_in` is KL(p̂‖e), its mean
the exact one. Lavenberg & Welch 1981; docs/controls.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

from sim.contracts.arrays import Counts, Mix, Reference, Values
from sim.contracts.bag import Bag
from sim.contracts.estimator import ESTIMATORS, Estimator
from sim.contracts.model import Model
from sim.divergences import KL, Unit
from sim.exact.one_sample import exact_mean
from sim.laws.counts import CountLaw
from sim.lookups import Floats, Lookup, pieces
from sim.rows import Key, Outcome
from sim.tables import CONTROL

LINEAR, QUADRATIC, PLUG_IN = LABELS = ("linear", "quadratic", "plug_in")
"""What stands as the estimator of a control's rows."""

_ALIKE = 1e-12
"""Spread of ln(e/q) below which it is one number, and L nothing but rounding."""

_FEW = 16


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

    def outcomes(self, size: int, counts: Counts) -> Iterator[Outcome]:
        """Yield the controls of counts, (trials, K), of `size` draws; each has its own mean.

        A control that cannot be had at a size is left out there: the linear one where ln(e/q)
        is infinite or one number, the others where the bag does not know their mean.
        """
        expected = self.bag.expected(size)
        drawn = expected > 0
        e = expected[drawn]
        surprises = self._surprises(size, expected, drawn)
        square, plug_in = self._mean_square(size, expected, drawn), self._means.at(size)
        if not (surprises or square is not None or plug_in is not None):
            return
        work = _Work(counts if drawn.all() else counts[:, drawn], size, e)
        linear, quadratic, own = work.sums(list(surprises.values()), plug_in is not None)
        nats = KL.per_unit(self.unit)
        for values, (name, model) in zip(linear, self._named(surprises), strict=True):
            drawn_of_q = model.drawn(size)
            yield Outcome(name, CONTROL, LINEAR, size, drawn_of_q, 0.0, values / nats)
        if square is not None:
            yield Outcome(None, CONTROL, QUADRATIC, size, None, square, quadratic)
        if plug_in is not None:
            yield Outcome(None, CONTROL, PLUG_IN, size, None, plug_in / nats, own / nats)

    def _named(self, surprises: Mapping[str, Mix]) -> list[tuple[str, Model]]:
        return [(name, self.models[name]) for name in surprises]

    def _surprises(self, size: int, e: Mix, drawn: NDArray[np.bool_]) -> dict[str, Mix]:
        """Return ln(e/q) less its mean, by model, where it is finite and not one number."""
        found = {}
        for name, model in self.models.items():
            with np.errstate(divide="ignore"):
                ratio = np.log(e[drawn] / model.truth(self.bag, size)[drawn])
            if np.isfinite(ratio).all() and np.ptp(ratio) > _ALIKE:
                found[name] = ratio - np.sum(e[drawn] * ratio)
        return found

    def _mean_square(self, size: int, e: Mix, drawn: NDArray[np.bool_]) -> float | None:
        variance = self.bag.count_variance(size)
        return None if variance is None else float(np.sum((variance / size**2)[drawn] / e[drawn]))

    @cached_property
    def _means(self) -> _Means:
        return _means_of(self.bag)


@dataclass(frozen=True, eq=False)
class _Work:
    """Counts of the colours that may be drawn, (trials, K), and their expected shares, (K,)."""

    counts: Counts
    size: int
    e: Mix

    def sums(self, surprises: list[Mix], plug_in: bool) -> tuple[Floats, Values, Values]:
        """Return L for each surprise, (models, trials), χ² and KL(p̂‖e), in one pass.

        Nothing of a trial depends on the other trials beside it, not even in its last bit: no
        BLAS, whose sums follow from where a row stands.
        """
        trials = len(self.counts)
        linear = np.empty((len(surprises), trials))
        square, own = np.empty(trials), np.empty(trials)
        inverse, log_e = 1 / self.e, np.log(self.e)
        logs = Lookup(_log_share, self.counts, self.size)
        for rows in pieces(self.counts.shape):
            share = self.counts[rows] / self.size
            away = share - self.e
            for values, surprise in zip(linear, surprises, strict=True):
                values[rows] = _dot(away, surprise)
            if plug_in:
                own[rows] = _dot(share, logs(rows) - log_e)  # colour by colour: it cancels
            away *= away
            square[rows] = _dot(away, inverse)
        return linear, square, own


def _log_share(count: Floats, size: Floats) -> Floats:
    """Return ln(c/n); something finite for c = 0, whose share is 0."""
    return np.asarray(np.log(np.maximum(count, 1.0) / size))


def _dot(rows: Floats, weights: Floats) -> Values:
    """Return Σ over colours of row × weight, each row by itself; weights (K,) or like rows."""
    if rows.shape[1] > _FEW:
        return np.asarray(np.einsum("ij,j->i" if weights.ndim == 1 else "ij,ij->i", rows, weights))
    total = rows[:, 0] * weights[..., 0]
    for colour in range(1, rows.shape[1]):
        total += rows[:, colour] * weights[..., colour]
    return np.asarray(total)


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
