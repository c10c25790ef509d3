"""Tables go in, plain rows come out: what is null is None, infinity stays a number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

Row = Mapping[str, Any]
LINE = ("bag", "model", "target", "estimator")


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table as plain rows."""
    columns = {name: [_plain(value) for value in frame[name]] for name in frame.columns}
    names = list(columns)
    return [dict(zip(names, line, strict=True)) for line in zip(*columns.values(), strict=True)]


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple) or hasattr(value, "tolist"):
        value = value.tolist() if hasattr(value, "tolist") else list(value)
    if isinstance(value, list):
        return value
    return None if value is None or value is pd.NA or value != value else value


def line(row: Row) -> tuple[Any, ...]:
    """Return which line of the experiment a row is of."""
    return tuple(row[name] for name in LINE)


def group(row: Row) -> tuple[Any, ...]:
    """Return the bag, model and target of a row: those whose estimators are compared."""
    return tuple(row[name] for name in LINE[:3])


def of(rows: Iterable[Row], wanted: tuple[Any, ...]) -> list[Row]:
    """Return the rows of a line, or of a group where three names are given."""
    names = LINE[: len(wanted)]
    return [row for row in rows if tuple(row[name] for name in names) == wanted]
