"""Estimates of one's own counts: any estimator by name, or every one that applies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import ValidationError

from sim.checks import guess, shown
from sim.contracts.arrays import Counts, Mix, Reference, Values
from sim.contracts.estimator import ESTIMATORS, Estimator
from sim.divergences import NAMES, Divergence, Unit, divergence
from sim.errors import Fault

_FILTERS = {"kind", "interval", "targets", "models", "bags"}


class InputFault(Fault, ValueError):
    """Counts, a model or a name that no estimate can be made of; the message says why."""

    exit_code = 2


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
    known = _target(target)
    q = _reference(p, model, model_counts)
    chosen = _estimator(estimator, parameters)
    able = _able(known, q)
    if not able(chosen):
        names = ", ".join(kind for kind, member in _shelf() if able(member))
        form = "counts of Q" if q.counts is not None else "a known Q"
        raise InputFault(f"{estimator} does not estimate {known.name} from {form}; able: {names}")
    fault = chosen.misfit(q.colours)
    if fault:
        raise InputFault(fault)
    return _values(chosen, p, q, known) / _per_unit(known, unit)


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
    known = _target(target)
    q, worth = _reference(p, model, model_counts), _per_unit(known, unit)
    able = _able(known, q)
    rows = [
        Row(_label(keys), keys, float(_values(member, p, q, known)) / worth, member.assumption())
        for keys, member in _customary()
        if able(member) and member.misfit(q.colours) is None
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


def _target(name: str) -> Divergence:
    known = divergence(name) if isinstance(name, str) else None
    if known is None:
        raise InputFault(f"unknown target {shown(name)}{guess(str(name), NAMES)}")
    return known


def _per_unit(target: Divergence, unit: str) -> float:
    if unit not in ("nats", "bits"):
        raise InputFault(f"expected the unit nats or bits; got {shown(unit)}")
    return target.per_unit(cast(Unit, unit))


def _estimator(kind: str, parameters: dict[str, Any]) -> Estimator:
    for key in parameters.keys() & _FILTERS:
        raise InputFault(f"{key}: stands in an experiment only; give one estimator and one target")
    try:
        return cast(Estimator, ESTIMATORS.build({"kind": kind, **parameters}))
    except ValidationError as error:
        lines = [(".".join(map(str, e["loc"])) or kind, e["msg"]) for e in error.errors()]
        raise InputFault("; ".join(f"{place}: {message}" for place, message in lines)) from None


def _able(target: Divergence, q: Reference) -> Any:
    counted = q.counts is not None

    def able(estimator: Estimator | type[Estimator]) -> bool:
        reads = estimator.two_samples if counted else estimator.one_sample
        return reads and (estimator.serves is None or target.name in estimator.serves)

    return able


def _shelf() -> Iterator[tuple[str, type[Estimator]]]:
    for kind in ESTIMATORS.kinds():
        yield kind, cast(type[Estimator], ESTIMATORS.member(kind))


def _customary() -> Iterator[tuple[dict[str, Any], Estimator]]:
    for kind, member in _shelf():
        for parameters in member.customary():
            keys = {"kind": kind, **parameters}
            yield keys, cast(Estimator, ESTIMATORS.build(keys))


def _label(keys: dict[str, Any]) -> str:
    """Return `plug_in (laplace)` for what stands in a file as a mapping in a mapping."""
    words = [_word(value) for key, value in keys.items() if key != "kind"]
    words = [word for word in words if word != "relative_frequency"]
    return f"{keys['kind']} ({', '.join(words)})" if words else str(keys["kind"])


def _word(value: Any) -> str:
    return str(value.get("amount", value["kind"]) if isinstance(value, dict) else value)


def _values(estimator: Estimator, p: Counts, q: Reference, target: Divergence) -> NDArray[Any]:
    with np.errstate(all="ignore"):
        values = estimator.estimate(p.reshape(-1, p.shape[-1]), q, target)
    return values.reshape(p.shape[:-1])[()]
