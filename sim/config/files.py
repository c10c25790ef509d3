"""Balls that stand in a file: `from_file` goes in, the counts of its column come out."""

from __future__ import annotations

from collections import Counter
from math import isnan
from pathlib import Path as FilePath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from sim.checks import guess
from sim.compositions import FromFile
from sim.errors import Fault

MOST_DISTINCT = 100_000
MISSING = "missing"


class FileFault(Fault):
    """A file that gives no counts; the message says why."""

    exit_code = 2


def counts(asked: FromFile, folder: FilePath) -> dict[str, int]:
    """Return how often each value of the column occurs, as text, in the order of the values.

    Raises FileFault with what was expected and what was got.
    """
    column = _column(_inside(folder, asked.path), asked.column)
    if len(column) == 0:
        raise FileFault(f"{asked.path}: column {asked.column!r} has no rows")
    every = [(row["values"], row["counts"]) for row in pc.value_counts(column).to_pylist()]
    found = [(value, number) for value, number in every if not _is_missing(value)]
    missing = len(column) - sum(number for _, number in found)
    if missing and asked.missing is None:
        raise FileFault(
            f"{missing} of {len(column)} values of {asked.column!r} are missing; say what they "
            "are: `missing: drop` or `missing: colour`"
        )
    texts = _texts(found, asked)
    if missing and asked.missing == "colour":
        if MISSING in texts:
            raise FileFault(f"{asked.column!r} has a value called {MISSING!r} already")
        texts[MISSING] = missing
    if not texts:
        raise FileFault(f"every value of {asked.column!r} is missing")
    return texts


def _texts(found: list[tuple[Any, int]], asked: FromFile) -> dict[str, int]:
    """Return the number of each value by its text; values that read alike are one colour."""
    if len(found) > MOST_DISTINCT:
        raise FileFault(
            f"{len(found)} distinct values in {asked.column!r}; expected at most {MOST_DISTINCT}: "
            "a bag of real numbers wants bins first"
        )
    texts: Counter[str] = Counter()
    for value, number in sorted(found):
        texts[_text(value)] += number
    return dict(texts)


def _inside(folder: FilePath, name: str) -> FilePath:
    """Return the file, which must lie in the configuration's folder, links followed."""
    try:
        path = (folder / name).resolve()
        inside = path.is_relative_to(folder.resolve())
        there = path.is_file()
    except (OSError, ValueError) as error:
        raise FileFault(f"{name!r} is no file name: {error}") from None
    if not inside:
        raise FileFault(f"{name!r} leaves the folder of this configuration; put the file beside it")
    if not there:
        raise FileFault(f"{name!r} is not there (looked for beside this configuration)")
    return path


def _column(path: FilePath, name: str) -> pa.ChunkedArray:
    try:
        known = _names(path)
        if name not in known:
            raise FileFault(f"{path.name}: no column {name!r}{guess(name, known)}")
        if known.count(name) > 1:
            raise FileFault(f"{path.name}: more than one column is called {name!r}")
        column = _read(path, name)
    except (OSError, pa.ArrowException, UnicodeError) as error:
        first = str(error).partition("\n")[0]
        raise FileFault(f"{path.name} cannot be read as {_kind(path)}: {first}") from None
    if pa.types.is_nested(column.type):
        raise FileFault(f"{path.name}: column {name!r} holds lists or records, not single values")
    return column


def _kind(path: FilePath) -> str:
    kinds = {".parquet": "Parquet", ".csv": "CSV"}
    if path.suffix.lower() not in kinds:
        raise FileFault(f"{path.name}: expected a file that ends in .parquet or .csv")
    return kinds[path.suffix.lower()]


def _names(path: FilePath) -> list[str]:
    if _kind(path) == "Parquet":
        return list(pq.read_schema(path).names)
    with pcsv.open_csv(path) as reader:
        return list(reader.schema.names)


def _read(path: FilePath, name: str) -> pa.ChunkedArray:
    if _kind(path) == "Parquet":
        return pq.read_table(path, columns=[name]).column(name)
    # text as written: 010 and 1.0 are colours, not numbers
    options = pcsv.ConvertOptions(
        include_columns=[name], column_types={name: pa.string()}, strings_can_be_null=True
    )
    return pcsv.read_csv(path, convert_options=options).column(name)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and isnan(value))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
