"""Estimates of one's own counts: any estimator by name, or every one that applies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.asked import InputFault, able, chosen, customary, label, target_of, worth_of
from sim.contracts.arrays import Counts, Mix, Reference, Values
from sim.contracts.estimator import Estimator
from sim.divergences import Divergence, Unit

__all__ = ["InputFault", "Row", "estimate", "every_estimate"]


def estimate(
    counts: ArrayLike,
    model: ArrayLike | None = None,
    model_counts: ArrayLike | None = None,
    estimator: str = "plug_in",
    target: str = "kl",
    unit: Unit = "nats",
    **parameters: Any,
) -> Values:
    """Estimate a divergence from counts of P, shape (…, K) → (…).

    Q is `model`, known probabilities or weights, shape (K,); or only `model_counts` of draws
    from it are known, shape (K,) or (…, K); without either it is uniform. `parameters` are
    those of the estimator as an experiment file has them: `learner={"kind": "james_stein"}`.
    inf is infinite, NaN undefined. Raises ValueError, which says what was expected.

    >>> estimate([4, 2, 3, 0], estimator="miller_madow")
    """
    p = _counts("counts", counts)
    known = target_of(target)
    q = _reference(p, model, model_counts)
    member = chosen(estimator, parameters, known, q)
    return _values(member, p, q, known) / worth_of(known, unit)


@dataclass(frozen=True)
class Row:
    """One estimator's answer: its label, how it is asked for, its estimate, when to believe it."""

    label: str
    parameters: dict[str, Any]
    estimate: float
    assumes: str


def every_estimate(
    counts: ArrayLike,
    model: ArrayLike | None = None,
    model_counts: ArrayLike | None = None,
    target: str = "kl",
    unit: Unit = "nats",
) -> list[Row]:
    """Return what every estimator that applies makes of one row of counts, plainest first."""
    p = _counts("counts", counts)
    if p.ndim != 1:
        raise InputFault(f"expected one row of counts; got the shape {p.shape}")
    known = target_of(target)
    q, worth = _reference(p, model, model_counts), worth_of(known, unit)
    rows = [
        Row(label(keys), keys, float(_values(member, p, q, known)) / worth, member.assumption())
        for keys, member in customary()
        if able(member, known, q.counts is not None) and member.misfit(q.colours) is None
    ]
    return sorted(rows, key=lambda row: (row.label != "plug_in", row.label))


def _counts(name: str, given: ArrayLike) -> Counts:
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputFault(f"{name}: expected whole numbers in rows alike; {error}") from None
    if values.ndim == 0 or values.shape[-1] == 0:
        raise InputFault(f"{name}: expected a count for each colour, such as [4, 2, 3, 0]")
    wrong = ~((values >= 0) & (values <= 2**53) & (values == np.floor(values)))
    _refuse(f"{name}: expected whole numbers, 0 or more", values, wrong)
    drawn = np.atleast_1d(values.sum(axis=-1))
    _refuse(f"{name}: expected at least one draw in each row, not only zeros", drawn, drawn == 0)
    _refuse(f"{name}: expected at most 2^53 draws in a row", drawn, drawn > 2**53)
    return values.astype(np.int64)


def _refuse(expected: str, values: NDArray[np.float64], wrong: NDArray[np.bool_]) -> None:
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise InputFault(f"{expected}; got {values[place]:g} at {list(place)}")


def _weights(given: ArrayLike) -> Mix:
    try:
        weights = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputFault(f"model: expected numbers; {error}") from None
    if weights.ndim != 1:
        raise InputFault(f"model: expected a weight for each colour; got the shape {weights.shape}")
    wrong = ~((weights >= 0) & (weights < np.inf))
    _refuse("model: expected a weight for each colour, 0 or more", weights, wrong)
    if not weights.any():
        raise InputFault("model: expected a weight for each colour, not all 0")
    weights = weights / weights.max()
    return np.asarray(weights / weights.sum())


def _reference(p: Counts, model: ArrayLike | None, model_counts: ArrayLike | None) -> Reference:
    """Return what is known of Q, with a row of counts for each row of p."""
    if model is not None and model_counts is not None:
        raise InputFault("expected either `model` or `model_counts`; got both")
    colours = p.shape[-1]
    if model_counts is not None:
        d = _counts("model_counts", model_counts)
        _same("model_counts", d.shape[-1], colours)
        try:
            d = np.broadcast_to(d, p.shape)
        except ValueError:
            rows = f"{d.shape[:-1]} and {p.shape[:-1]}"
            raise InputFault(
                f"model_counts: expected rows like those of counts; got {rows}"
            ) from None
        return Reference.counted(np.ascontiguousarray(d.reshape(-1, colours)))
    q = np.full(colours, 1 / colours) if model is None else _weights(model)
    _same("model", len(q), colours)
    return Reference.known(q)


def _same(name: str, number: int, colours: int) -> None:
    if number != colours:
        raise InputFault(f"{name}: expected {colours} colours, as in the counts; got {number}")


def _values(estimator: Estimator, p: Counts, q: Reference, target: Divergence) -> NDArray[Any]:
    with np.errstate(all="ignore"):
        values = estimator.estimate(p.reshape(-1, p.shape[-1]), q, target)
    return values.reshape(p.shape[:-1])[()]
