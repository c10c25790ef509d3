"""Values that come in at the door: strict, frozen, each fault named with its bound."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

MOST_COLOURS = 1_000_000
MOST_DRAWS = 10**12
MOST_SIZES = 1_000
LONGEST_LABEL = 200
MOST_FAULTS = 200
"""Faults of one value that are told; nobody mends more at once."""


UNKNOWN_KEY = "unknown_key"


def problem(message: str, kind: str = "klsim") -> PydanticCustomError:
    """Return a validation error that says `message`, braces and all."""
    return PydanticCustomError(kind, "{message}", {"message": message})


def guess(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" or, without a near one, what is known."""
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known here: {', '.join(known)}" if known else ""


def relocate(
    error: ValidationError,
    prefix: tuple[int | str, ...] = (),
    known: Mapping[str, Any] | None = None,
    drop: int = 0,
) -> ValidationError:
    """Return the error with its places under `prefix`, less their first `drop` steps.

    With `known`, a key that is not in it gets a near guess.
    """
    details: list[InitErrorDetails] = []
    for line in error.errors(include_url=False)[:MOST_FAULTS]:
        kind: str | PydanticCustomError = line["type"]
        if kind == "too_short" and len(line["input"]) >= line["ctx"]["min_length"]:
            continue  # its entries are wrong, and are told one by one
        if kind == "extra_forbidden" and known is not None and len(line["loc"]) == 1:
            key = str(line["loc"][0])
            kind = problem(f"unknown key {shown(key)}{guess(key, known)}", UNKNOWN_KEY)
        elif kind in ("klsim", UNKNOWN_KEY):
            kind = problem(line["msg"], kind)
        details.append(
            {
                "type": kind,
                "loc": prefix + line["loc"][drop:],
                "input": line["input"],
                "ctx": line.get("ctx", {}),
            }
        )
    return ValidationError.from_exception_data(error.title, details)


def either(expected: str, *nested: tuple[tuple[type, ...], Any]) -> WrapValidator:
    """Say in one sentence what was expected of a value of several forms, where none fits.

    A value of one of the `nested` types is checked as its form alone, fault by fault.
    """
    forms = [(types, TypeAdapter(form)) for types, form in nested]

    def check(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        for types, form in forms:
            if isinstance(value, types):
                return form.validate_python(value)
        try:
            return handler(value)
        except ValidationError:
            raise problem(f"expected {expected}; got {shown(value)}") from None

    return WrapValidator(check)


def placed(faults: Iterable[tuple[tuple[int | str, ...], str]], title: str) -> None:
    """Raise one ValidationError for all (place, message) pairs; do nothing where none."""
    details: list[InitErrorDetails] = [
        {"type": problem(message), "loc": place, "input": None}
        for place, message in islice(faults, MOST_FAULTS)
    ]
    if details:
        raise ValidationError.from_exception_data(title, details)


class Value(BaseModel):
    """A frozen value: strict types, no unknown keys, equal where its fields are equal.

    Arrays that a value caches (`functools.cached_property`) take no part in equality,
    hashing or pickling.
    """

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, validate_default=False
    )

    @model_validator(mode="wrap")
    @classmethod
    def _name_unknown_keys(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(data)
        except ValidationError as error:
            names = {field.alias or name: field for name, field in cls.model_fields.items()}
            raise relocate(error, known=names) from None

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return self.model_dump_json() == other.model_dump_json()

    def __hash__(self) -> int:
        return hash((type(self), self.model_dump_json()))

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        fields = type(self).model_fields
        return {**state, "__dict__": {k: v for k, v in state["__dict__"].items() if k in fields}}


def _whole(value: object) -> object:
    """Take 1e6 for 1000000: YAML has no other way to write a large count briefly."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _amount(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise problem(f"expected a number of balls, 0 or more; got {shown(value)}")
    if not 0 <= value <= 1e15:
        raise problem(f"expected a number of balls from 0 to 1e15; got {shown(value)}")
    return int(value) if value == int(value) else value  # 10.0 balls are 10 balls


def _label(value: str) -> str:
    if not value.strip():
        raise problem("expected a label; got an empty text")
    if len(value) > LONGEST_LABEL:
        raise problem(f"expected a label of at most {LONGEST_LABEL} characters; got {len(value)}")
    if any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000 for c in value):
        raise problem(f"expected a label without control characters; got {shown(value)}")
    return value


def _folder(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", value):
        raise problem(
            "expected a plain folder name (letters, digits, '.', '_', '-'; it begins with a "
            f"letter or a digit; at most 100); got {shown(value)}"
        )
    return value


def _unpaired(value: str) -> str:
    if any(0xD800 <= ord(c) < 0xE000 for c in value):
        raise problem("expected text; got half of a surrogate pair")
    return value


def shown(value: object) -> str:
    """Return a value as a message shows it: short, with its type where that is the fault."""
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, tuple | list):
        return "a list"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


WHOLE = BeforeValidator(_whole)
"""For whole numbers; stands after their bounds, so that JSON Schema shows them."""

Amount = Annotated[
    int | float, PlainValidator(_amount), WithJsonSchema({"type": "number", "minimum": 0})
]
Label = Annotated[str, AfterValidator(_label)]
Text = Annotated[str, AfterValidator(_unpaired)]
FolderName = Annotated[str, AfterValidator(_folder)]
Draws = Annotated[int, Field(ge=1, le=MOST_DRAWS), WHOLE]
