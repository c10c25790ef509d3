"""What is in a bag: colours and how many balls of each, given or by a family."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
)

from sim.checks import (
    MOST_COLOURS,
    Amount,
    Count,
    Label,
    Value,
    guess,
    placed,
    problem,
    relocate,
    shown,
)


class Composition(Value, ABC):
    """Colours and the weight of each; the balls of a bag, or the shape of a model."""

    @cached_property
    @abstractmethod
    def colours(self) -> tuple[str, ...]:
        """The names of the colours, K of them."""

    @cached_property
    @abstractmethod
    def weights(self) -> NDArray[np.float64]:
        """How many balls of each colour, or in what proportion; shape (K,)."""

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """The proportion of each colour; shape (K,), sum 1."""
        return np.asarray(self.weights / self.weights.sum())

    @property
    def whole(self) -> bool:
        """Whether every weight is a whole number of balls."""
        return bool(np.all(self.weights == np.floor(self.weights)))


class Counted(Composition):
    """Balls counted by colour, as written: `{red: 10, blue: 15}`."""

    balls: dict[Label, Amount] = Field(min_length=1, max_length=MOST_COLOURS)

    def model_post_init(self, _: Any) -> None:
        """Refuse a bag with nothing in it."""
        if not any(self.balls.values()):
            placed([((), "expected at least one ball; got none")], "balls")

    @cached_property
    def colours(self) -> tuple[str, ...]:
        """The names of the colours, as written."""
        return tuple(self.balls)

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """How many balls of each colour; shape (K,)."""
        return np.array(list(self.balls.values()), dtype=np.float64)


class Numbered(Composition, ABC):
    """A family whose colours are named `1` … `K`."""

    key: ClassVar[str]
    number: Annotated[Count, Field(ge=1, le=MOST_COLOURS)] = Field(alias="colours")

    @cached_property
    def colours(self) -> tuple[str, ...]:
        """The names `1` … `K`."""
        return tuple(map(str, range(1, self.number + 1)))


class Zipf(Numbered):
    """Proportions k^−exponent, k = 1 … K: few common colours and a long tail."""

    key = "zipf"
    exponent: float = Field(default=1.0, ge=0, le=20)

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """The weights k^−exponent; shape (K,)."""
        return np.asarray(np.arange(1, self.number + 1, dtype=np.float64) ** -self.exponent)


class Uniform(Numbered):
    """Every colour alike: one ball of each."""

    key = "uniform"

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """Ones; shape (K,)."""
        return np.ones(self.number)


FAMILIES: dict[str, type[Numbered]] = {member.key: member for member in (Zipf, Uniform)}


def composition(value: Any) -> Composition:
    """Return the composition that `{red: 10, …}` or `{family: {…}}` says."""
    if isinstance(value, Composition):
        return value
    if not isinstance(value, Mapping):
        raise problem(
            "expected balls by colour, {red: 10, blue: 15}, or one of "
            f"{', '.join(FAMILIES)}; got {shown(value)}"
        )
    family = next((key for key, inner in value.items() if isinstance(inner, Mapping)), None)
    try:
        if family is None:
            return Counted(balls=dict(value))
        if len(value) > 1 or family not in FAMILIES:
            raise problem(
                f"expected one family alone; got {shown(str(family))}{guess(str(family), FAMILIES)}"
            )
        return FAMILIES[family].model_validate(value[family])
    except ValidationError as error:
        # the places as they stand in YAML: a family is a level of its own, `balls` is not
        raise (relocate(error, (family,)) if family else relocate(error, drop=1)) from None


def _written(value: Composition) -> dict[str, Any]:
    if isinstance(value, Counted):
        return dict(value.balls)
    assert isinstance(value, Numbered)
    return {value.key: value.model_dump(mode="json", by_alias=True)}


def _schema() -> dict[str, Any]:
    families = [
        {
            "type": "object",
            "description": family.__doc__,
            "properties": {key: family.model_json_schema()},
            "required": [key],
            "additionalProperties": False,
        }
        for key, family in FAMILIES.items()
    ]
    counts = {"type": "object", "additionalProperties": {"type": "number", "minimum": 0}}
    return {"anyOf": [{**counts, "minProperties": 1}, *families]}


Balls = Annotated[
    Composition, PlainValidator(composition), PlainSerializer(_written), WithJsonSchema(_schema())
]
