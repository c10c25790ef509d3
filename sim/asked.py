"""What is asked for by name: a target, a unit, an estimator; each fault says how to mend it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from pydantic import ValidationError

from sim.checks import guess, shown
from sim.contracts.arrays import Reference
from sim.contracts.estimator import ESTIMATORS, Estimator
from sim.divergences import NAMES, Divergence, Unit, divergence
from sim.errors import Fault

_FILTERS = {"kind", "interval", "targets", "models", "bags"}


class InputFault(Fault, ValueError):
    """Counts, a model or a name that nothing can be answered of; the message says why."""

    exit_code = 2


def target_of(name: str) -> Divergence:
    """Return the divergence of this name."""
    known = divergence(name) if isinstance(name, str) else None
    if known is None:
        raise InputFault(f"unknown target {shown(name)}{guess(str(name), NAMES)}")
    return known


def worth_of(target: Divergence, unit: str) -> float:
    """Return what a unit of the target is worth in nats."""
    if unit not in ("nats", "bits"):
        raise InputFault(f"expected the unit nats or bits; got {shown(unit)}")
    return target.per_unit(cast(Unit, unit))


def chosen(kind: str, parameters: dict[str, Any], target: Divergence, q: Reference) -> Estimator:
    """Return the estimator of this kind; InputFault where it does not serve target, Q or K."""
    counted = q.counts is not None
    found = _built(kind, parameters)
    if not able(found, target, counted):
        names = ", ".join(name for name, member in _shelf() if able(member, target, counted))
        form = "counts of Q" if counted else "a known Q"
        raise InputFault(f"{kind} does not estimate {target.name} from {form}; able: {names}")
    fault = found.misfit(q.colours)
    if fault:
        raise InputFault(fault)
    return found


def able(estimator: Estimator | type[Estimator], target: Divergence, counted: bool) -> bool:
    """Return whether it estimates this target from a known Q, or from counts of Q."""
    reads = estimator.two_samples if counted else estimator.one_sample
    return reads and (estimator.serves is None or target.name in estimator.serves)


def customary() -> Iterator[tuple[dict[str, Any], Estimator]]:
    """Yield every estimator of the shelf as it is customarily used, and how it is asked for."""
    for kind, member in _shelf():
        for parameters in member.customary():
            keys = {"kind": kind, **parameters}
            yield keys, cast(Estimator, ESTIMATORS.build(keys))


def by_label(text: str) -> dict[str, Any]:
    """Return how an estimator is asked for by its kind or its label, such as plug_in (laplace)."""
    found = (keys for keys, _ in customary() if label(keys) == text)
    return next(found, {"kind": text})


def label(keys: dict[str, Any]) -> str:
    """Return `plug_in (laplace)` for what stands in a file as a mapping in a mapping."""
    words = [_word(value) for key, value in keys.items() if key != "kind"]
    words = [word for word in words if word != "relative_frequency"]
    return f"{keys['kind']} ({', '.join(words)})" if words else str(keys["kind"])


def _shelf() -> Iterator[tuple[str, type[Estimator]]]:
    for kind in ESTIMATORS.kinds():
        yield kind, cast(type[Estimator], ESTIMATORS.member(kind))


def _built(kind: str, parameters: dict[str, Any]) -> Estimator:
    for key in parameters.keys() & _FILTERS:
        raise InputFault(f"{key}: stands in an experiment only; give one estimator and one target")
    try:
        return cast(Estimator, ESTIMATORS.build({"kind": kind, **parameters}))
    except ValidationError as error:
        lines = [(".".join(map(str, e["loc"])) or kind, e["msg"]) for e in error.errors()]
        raise InputFault("; ".join(f"{place}: {message}" for place, message in lines)) from None


def _word(value: Any) -> str:
    return str(value.get("amount", value["kind"]) if isinstance(value, dict) else value)
