"""Counting after a few balls of every colour."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import PlainValidator, WithJsonSchema

from sim.checks import guess, problem, shown
from sim.contracts.arrays import Counts, Mix, Sizes
from sim.contracts.learner import ElementwiseLearner

_NAMED: dict[str, Callable[[Sizes | int, int], Any]] = {
    "laplace": lambda n, colours: 1.0,
    "jeffreys": lambda n, colours: 0.5,
    "perks": lambda n, colours: 1 / colours,
    "minimax": lambda n, colours: np.sqrt(n) / colours,
    "krichevsky": lambda n, colours: 0.50922,
}


def _amount(value: object) -> int | float | str:
    if isinstance(value, str):
        if value not in _NAMED:
            raise problem(f"unknown amount {shown(value)}{guess(value, _NAMED)}")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1e9:
        names = ", ".join(_NAMED)
        raise problem(f"expected a number above 0, at most 1e9, or {names}; got {shown(value)}")
    return value


_SCHEMA = {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"enum": list(_NAMED)}]}


class AddConstant(ElementwiseLearner):
    """Adds `amount` to every count: (c + a)/(n + K a). No colour is ever held impossible.

    A number or a name: `laplace` 1 (Laplace 1774), `jeffreys` ½ (Krichevsky & Trofimov 1981),
    `perks` 1/K (Perks 1947), `minimax` √n/K (for squared error), `krichevsky` 0.50922
    (Krichevsky 1998: the least worst case of D(P‖learned) at K = 2). Good where n is not
    small beside K·a; draws a rare tail towards the uniform distribution otherwise.

    Example:
        kind: add_constant
        amount: laplace
    """

    kind: Literal["add_constant"] = "add_constant"
    assumes: ClassVar[str] = "n not small beside K, or a truth near uniform"
    amount: Annotated[int | float | str, PlainValidator(_amount), WithJsonSchema(_SCHEMA)]

    @classmethod
    def customary(cls) -> tuple[dict[str, Any], ...]:
        """Return the named amounts."""
        return tuple({"amount": name} for name in _NAMED)

    def share(self, counts: Counts, size: Sizes | int, colours: int) -> Mix:
        """Return (c + a)/(n + K a)."""
        amount = self.added(size, colours)
        return np.asarray((counts + amount) / (size + colours * amount))

    def drift(self, p: Mix) -> Mix | None:
        """Return a(1 − K p); None for an amount that grows with n."""
        if self.amount == "minimax":
            return None
        return np.asarray(self.added(1, len(p)) * (1 - len(p) * p))

    def added(self, size: Sizes | int, colours: int) -> Any:
        """Return what is added to each count of `size` draws."""
        if isinstance(self.amount, str):
            return _NAMED[self.amount](size, colours)
        return float(self.amount)
