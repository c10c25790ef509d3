"""Sample sizes: a list or a grid goes in, ascending whole numbers come out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, WithJsonSchema, WrapValidator, model_validator

from sim.checks import MOST_SIZES, WHOLE, Draws, Value, placed, problem, shown


class SizeGrid(Value):
    """Sizes that grow by a constant factor: `from`, `to`, `per_decade`; rounded, unique."""

    from_: Draws = Field(alias="from")
    to: Draws
    per_decade: Annotated[int, Field(ge=1, le=100), WHOLE] = 4

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if self.to < self.from_:
            placed([(("to",), f"expected at least `from`, {self.from_}; got {self.to}")], "sizes")
        return self

    def expand(self) -> tuple[int, ...]:
        """Return the sizes, ascending, both ends among them."""
        steps = int(np.floor(np.log10(self.to / self.from_) * self.per_decade + 1e-9))
        grid = self.from_ * 10.0 ** (np.arange(steps + 1) / self.per_decade)
        inside = {min(round(size), self.to) for size in grid.tolist()}
        return tuple(sorted(inside | {self.from_, self.to}))


def _expand(value: Any, handler: Callable[[Any], tuple[int, ...]]) -> tuple[int, ...]:
    if isinstance(value, Mapping):
        sizes = SizeGrid.model_validate(value).expand()
    elif isinstance(value, tuple | list):
        sizes = tuple(sorted(set(handler(tuple(value)))))
    else:
        raise problem(f"expected a list of sizes or {{from, to, per_decade}}; got {shown(value)}")
    if not 1 <= len(sizes) <= MOST_SIZES:
        raise problem(f"expected 1 to {MOST_SIZES} sizes; got {len(sizes)}")
    return sizes


_SIZE = {"type": "integer", "minimum": 1}
_SCHEMA = {
    "anyOf": [
        {"type": "array", "items": _SIZE, "minItems": 1, "maxItems": MOST_SIZES},
        {
            "type": "object",
            "properties": {"from": _SIZE, "to": _SIZE, "per_decade": {**_SIZE, "maximum": 100}},
            "required": ["from", "to"],
            "additionalProperties": False,
        },
    ]
}
Sizes = Annotated[
    tuple[Draws, ...],
    WrapValidator(_expand),
    WithJsonSchema(_SCHEMA),
]
