"""A block's rows become the bytes of one Parquet part, with its identity in the metadata."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sim.errors import Fault, first_line
from sim.store import plain
from sim.store.heads import is_head, most_rows
from sim.store.sealed import Unsealed, expect_bounded, seal, unseal
from sim.tables import TRIALS

PART = re.compile(r"[A-Za-z0-9_]+-[0-9a-f]{8}-([0-9]{9,12})\.parquet")
"""What a part's file is called."""

_KEY = b"klsim"
_ROWS = b"klsim.rows"
_LABELS = ["bag", "model", "target", "estimator", "status", "reason"]
_NUMBERS = ["estimate", "truth", "se", "lower", "upper"]
_BOUNDED = ["size", "trial"]
"""Columns whose least and greatest value are written: who reads a part may pass it over.

Those of the others help nobody, and take a third of the time that it takes to write.
"""


_PAGED = {"write_batch_size": 2**16}
"""Rows that are handled at once: the more, the sooner done."""
if "max_rows_per_page" in signature(pq.ParquetWriter).parameters:  # once there was no such bound
    _PAGED["max_rows_per_page"] = 2**17


NOT_WHOLE = (OSError, ValueError, KeyError, MemoryError, pa.ArrowException)
"""What reading a part may raise, whatever stands in it."""

_MISSING = (FileNotFoundError, NotADirectoryError)


class _PartFault(Fault):
    def __init__(self, message: str, why: str = "") -> None:
        super().__init__(message)
        self.why = why


class DamagedPart(_PartFault):
    """A part whose checksum does not hold, or that is none; `why` says which."""


class UnreadablePart(_PartFault):
    """A part that the system does not let be read, whole or not; `why` is in its words."""


def part_name(bag: str, index: int) -> str:
    """Return the file name of a block: readable, unique, and safe whatever the label."""
    return f"{_stem(bag)}-{index:09d}.parquet"


def _stem(bag: str) -> str:
    slug = re.sub(r"[^A-Za-z0-9]+", "_", bag)[:40].strip("_") or "bag"
    digest = hashlib.blake2b(bag.encode(), digest_size=4).hexdigest()
    return f"{slug}-{digest}"


def stems(bags: Iterable[str]) -> dict[str, str]:
    """Return the bags by what the names of their parts begin with."""
    return {_stem(bag): bag for bag in bags}


def part_block(name: str, bags: Mapping[str, str]) -> tuple[str, int] | None:
    """Return which block of these bags, by their stems, a file is; None for any other file."""
    bag = bags.get(name.rpartition("-")[0])
    index = None if bag is None else part_index(bag, name)
    return None if bag is None or index is None else (bag, index)


def part_index(bag: str, name: str) -> int | None:
    """Return which block of the bag a file is; None for any other file."""
    known = PART.fullmatch(name)
    if known is None or part_name(bag, int(known[1])) != name:
        return None
    return int(known[1])


def encode(rows: pa.Table, head: dict[str, Any]) -> bytes:
    """Return the bytes of a part; the same rows give the same bytes."""
    metadata = {_KEY: _text(head), _ROWS: str(rows.num_rows).encode()}
    return seal(
        rows.replace_schema_metadata(metadata),
        compression_level=1,
        write_statistics=_BOUNDED,
        use_dictionary=_LABELS,
        use_byte_stream_split=_NUMBERS,
        column_encoding=dict.fromkeys(("size", "model_size", "trial"), "DELTA_BINARY_PACKED"),
        **_PAGED,
    )


def _text(head: dict[str, Any]) -> bytes:
    return json.dumps(head).encode()


def announces(path: Path, head: dict[str, Any]) -> bool:
    """Return whether a part says that it is the one with this head: only its footer is read."""
    # as text: the order of models and estimators is that of the rows
    return _footer(path).get(_KEY) == _text(head)


def holds(path: Path, head: dict[str, Any]) -> bool:
    """Return whether the part with this head is here, whole to the last bit.

    Raises DamagedPart where a part is here that is not whole; one that was written without a
    checksum is none.
    """
    with _told(path):
        try:
            with _whole(plain.read(path)) as part:
                return _is(part, head)
        except (*_MISSING, Unsealed):
            return False


def whole_facts(path: Path) -> tuple[dict[str, Any], int]:
    """Return what a part says of itself, and how many rows it has, once it is known to be whole.

    Its rows are not read, so that it takes no memory whatever it says.
    """
    with _told(path), _whole(plain.read(path)) as part:
        return _expect_head(_facts(part)), int(part.metadata.num_rows)


def content_of(path: Path) -> bytes:
    """Return the bytes of a part; none where there is none."""
    with _told(path):
        try:
            return plain.read(path)
        except _MISSING:
            return b""


def rows_of(path: Path, most: int | None = None, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the rows of a part, its checksum verified; DamagedPart where it is not whole."""
    with _told(path):
        return decode(plain.read(path), most, columns)[1]


def decode(
    content: bytes, most: int | None = None, columns: Sequence[str] | None = None
) -> tuple[dict[str, Any], pa.Table]:
    """Return what a part says of itself, and its rows; ArrowInvalid where it is not whole.

    One of more rows than its head allows, or than `most`, is not read.
    """
    with _whole(content) as part:
        head = _expect_head(_facts(part))
        allowed = most_rows(head)
        expect_bounded(part.metadata, allowed if most is None else min(most, allowed))
        rows = part.read(columns=columns, use_threads=False)
    rows.validate(full=True)
    return head, rows


def _whole(content: bytes) -> pq.ParquetFile:
    """Return a part that is whole and a table of trials; ArrowInvalid where it is not."""
    part = unseal(content)
    number = _facts(part).get(_ROWS)
    if number != str(part.metadata.num_rows).encode() or not part.schema_arrow.equals(TRIALS):
        raise pa.ArrowInvalid("its columns or its number of rows are not those of a part")
    return part


def _is(part: pq.ParquetFile, head: dict[str, Any]) -> bool:
    if _facts(part).get(_KEY) != _text(head):
        return False
    expect_bounded(part.metadata, most_rows(head))
    return True


def _facts(part: pq.ParquetFile) -> dict[bytes, bytes]:
    return part.metadata.metadata or {}


def _expect_head(footer: dict[bytes, bytes]) -> dict[str, Any]:
    head = _head(footer)
    if head is None:
        raise pa.ArrowInvalid("it does not say what it is")
    return head


def read_header(path: Path) -> dict[str, Any] | None:
    """Return what a part says of itself; None where it is damaged, or no part."""
    return _head(_footer(path))


def _head(footer: dict[bytes, bytes]) -> dict[str, Any] | None:
    try:
        head = plain.parse_json(footer.get(_KEY, b"null"))
    except ValueError:
        return None
    return head if is_head(head) else None


def _footer(path: Path) -> dict[bytes, bytes]:
    try:
        with _told(path), plain.opened(path) as file:
            return pq.read_metadata(file).metadata or {}
    except DamagedPart:
        return {}


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say what keeps a part from being read: the system, or the part itself."""
    try:
        yield
    except NOT_WHOLE as error:
        first = first_line(error)
        # what the system refuses has a number; what a decoder makes of bytes has none
        if isinstance(error, OSError) and error.errno and not isinstance(error, _MISSING):
            why = error.strerror or first
            told = f"{path}: this part cannot be read ({why}); make it readable and try again"
            raise UnreadablePart(told, why) from None
        told = f"{path}: this part is damaged ({first}); `klsim run` computes its block again"
        raise DamagedPart(told, first) from None


@dataclass(frozen=True)
class Parts:
    """Parts in a fixed order; each iteration reads them from disk again."""

    paths: Sequence[Path]

    def __len__(self) -> int:
        """Return how many parts there are."""
        return len(self.paths)

    def read(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield the rows of each part, as `rows_of` does."""
        for path in self.paths:
            yield rows_of(path, columns=columns)
