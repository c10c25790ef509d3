"""Balls that stand in a file: `from_file` goes in, the counts of its column come out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import isnan
from pathlib import Path as FilePath
from typing import Any

import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from sim.checks import guess
from sim.compositions import FromFile
from sim.errors import Fault, first_line

MOST_DISTINCT = 100_000
MISSING = "missing"
LARGEST_PIECE = 512 * 2**20
"""Bytes of a column in one row group of a Parquet file."""


class FileFault(Fault):
    """A file that gives no counts; the message says why."""

    exit_code = 2


def counts(asked: FromFile, folder: FilePath) -> dict[str, int]:
    """Return how often each value of the column occurs, as text, in the order of the values.

    Raises FileFault with what was expected and what was got.
    """
    every = _counted(_inside(folder, asked.path), asked.column)
    rows = every.total()
    if rows == 0:
        raise FileFault(f"{asked.path}: column {asked.column!r} has no rows")
    found = [(value, number) for (value, _), number in every.items() if value is not None]
    missing = rows - sum(number for _, number in found)
    if missing and asked.missing is None:
        raise FileFault(
            f"{missing} of {rows} values of {asked.column!r} are missing; say what they "
            "are: `missing: drop` or `missing: colour`"
        )
    texts = _texts(found)
    if missing and asked.missing == "colour":
        if MISSING in texts:
            raise FileFault(f"{asked.column!r} has a value called {MISSING!r} already")
        texts[MISSING] = missing
    if not texts:
        raise FileFault(f"every value of {asked.column!r} is missing")
    return texts


def _texts(found: list[tuple[Any, int]]) -> dict[str, int]:
    """Return the number of each value by its text; values that read alike are one colour."""
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
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise FileFault(f"{name!r} is no file name: {error}") from None
    if not inside:
        raise FileFault(f"{name!r} leaves the folder of this configuration; put the file beside it")
    if not there:
        raise FileFault(f"{name!r} is not there (looked for beside this configuration)")
    return path


def _counted(path: FilePath, name: str) -> Counter[tuple[Any, str]]:
    """Return how often each value of a column occurs; however many rows, few are held at once."""
    every: Counter[tuple[Any, str]] = Counter()
    try:
        known = _names(path)
        if name not in known:
            raise FileFault(f"{path.name}: no column {name!r}{guess(name, known)}")
        if known.count(name) > 1:
            raise FileFault(f"{path.name}: more than one column is called {name!r}")
        for piece in _pieces(path, name):
            _add(every, piece, name)
    except (OSError, pa.ArrowException, UnicodeError) as error:
        told = f"{path.name} cannot be read as {_kind(path)}: {first_line(error)}"
        raise FileFault(told) from None
    return every


def _add(every: Counter[tuple[Any, str]], piece: pa.Array, name: str) -> None:
    for row in piece.value_counts().to_pylist():
        every[_key(row["values"])] += row["counts"]
    if len(every) - ((None, "") in every) > MOST_DISTINCT:
        raise FileFault(
            f"more than {MOST_DISTINCT} distinct values in {name!r}; expected at most that many: "
            "a bag of real numbers wants bins first"
        )


def _key(value: Any) -> tuple[Any, str]:
    """Return what tells a value from others: 0.0 from -0.0 too, and no NaN from another."""
    return (None, "") if _is_missing(value) else (value, str(value) if value == 0 else "")


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


def _pieces(path: FilePath, name: str) -> Iterator[pa.Array]:
    """Yield the column piece by piece."""
    if _kind(path) == "CSV":
        # text as written: 010 and 1.0 are colours, not numbers
        options = pcsv.ConvertOptions(
            include_columns=[name], column_types={name: pa.string()}, strings_can_be_null=True
        )
        with pcsv.open_csv(path, convert_options=options) as reader:
            yield from (batch.column(0) for batch in reader)
        return
    if pa.types.is_nested(pq.read_schema(path).field(name).type):
        told = "holds lists or records, not single values"
        raise FileFault(f"{path.name}: column {name!r} {told}")
    with pq.ParquetFile(path, read_dictionary=[name]) as file:  # a long text is held once
        _expect_small(path, file.metadata, name)
        for batch in file.iter_batches(columns=[name]):
            yield batch.column(0)


def _expect_small(path: FilePath, metadata: pq.FileMetaData, name: str) -> None:
    """Refuse a file of which a piece does not fit into memory: it may be small on the disk."""
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        columns = (group.column(place) for place in range(group.num_columns))
        size = sum(c.total_uncompressed_size for c in columns if c.path_in_schema == name)
        if size > LARGEST_PIECE:
            raise FileFault(
                f"{path.name}: column {name!r} has {size} bytes in one row group; expected at "
                f"most {LARGEST_PIECE}: write it with smaller row groups"
            )


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and isnan(value))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
