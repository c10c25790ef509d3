"""What is in a bag, as YAML says it: `{red: 10, blue: 15}`, a family, or a column of a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PlainSerializer, PlainValidator, ValidationError, WithJsonSchema

from sim.checks import Text, Value, guess, placed, problem, relocate, shown
from sim.families import Composition, Counted, Dirichlet, Geometric, Numbered, Uniform, Zipf

FAMILIES: dict[str, type[Numbered]] = {
    member.key: member for member in (Zipf, Uniform, Geometric, Dirichlet)
}


FROM_FILE = "from_file"


class FromFile(Value):
    """Which column of which file to count; the configuration replaces it by its counts.

    `missing` says what missing values are: left out, or a colour called `missing`.
    """

    path: Text
    column: Text
    missing: Literal["drop", "colour"] | None = None


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
        if family == FROM_FILE:
            raise problem("from_file stands in a configuration file only, which it is beside")
        if family not in FAMILIES:
            raise problem(f"unknown family {shown(str(family))}{guess(str(family), FAMILIES)}")
        if len(value) > 1:
            raise problem(f"expected {family!r} alone, or balls by colour; got both")
        return FAMILIES[family].model_validate(value[family])
    except ValidationError as error:
        # the places as they stand in YAML: a family is a level of its own, `balls` is not
        raise (relocate(error, (family,)) if family else relocate(error, drop=1)) from None


def number_of_balls(balls: Composition, most: int = 10_000_000) -> int:
    """Return how many balls there are to take out one by one.

    A ValidationError at `balls` says so where they are not whole, or more than `most`.
    """
    number = float(balls.weights.sum())
    if not balls.whole:
        placed([(("balls",), "expected whole numbers of balls, to draw them out")], "balls")
    if number > most:
        placed([(("balls",), f"expected at most {most} balls; got {number:g}")], "balls")
    return int(number)


def one_by_one(balls: Composition) -> list[int]:
    """Return the colour of each ball, as positions in `colours`."""
    numbers = balls.weights.astype(np.int64)
    return [int(colour) for colour in np.repeat(np.arange(len(numbers)), numbers)]


def misfit(own: tuple[str, ...], bag: tuple[str, ...]) -> str | None:
    """Say in what colours differ from those of a bag; None where they are the same."""
    missing = next(iter(sorted(set(bag) - set(own))), None)
    if missing is not None:
        return f"the bag's colour {shown(missing)} is missing (write 0 where it never shows)"
    foreign = next(iter(sorted(set(own) - set(bag))), None)
    return None if foreign is None else f"the bag has no colour {shown(foreign)}"


def aligned(
    other: Composition, colours: tuple[str, ...], place: tuple[str | int, ...] = ()
) -> NDArray[np.float64]:
    """Return a composition's probabilities in the order of these colours; shape (K,).

    A ValidationError at `place` names a colour that only one of the two has.
    """
    fault = misfit(other.colours, colours)
    if fault is not None:
        placed([(place, fault)], "balls")
    if other.colours == colours:
        return other.probabilities
    index = {colour: position for position, colour in enumerate(other.colours)}
    order = np.array([index[colour] for colour in colours])
    return np.asarray(other.probabilities[order])


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
    from_file = {
        "type": "object",
        "description": "The value counts of a column of a Parquet or CSV file beside this one.",
        "properties": {FROM_FILE: FromFile.model_json_schema()},
        "required": [FROM_FILE],
        "additionalProperties": False,
    }
    return {"anyOf": [{**counts, "minProperties": 1}, *families, from_file]}


Balls = Annotated[
    Composition, PlainValidator(composition), PlainSerializer(_written), WithJsonSchema(_schema())
]
