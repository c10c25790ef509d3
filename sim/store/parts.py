"""A block's rows become the bytes of one Parquet part, with its identity in the metadata."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sim.errors import Fault
from sim.tables import TRIALS

PART = re.compile(r"[A-Za-z0-9_]+-[0-9a-f]{8}-([0-9]{9,12})\.parquet")
"""What a part's file is called."""

CONTROLS_VERSION = 1
"""Raised where a part has other control rows than before; parts without any have none."""

SHELVES = ("models", "estimators", "learners")
"""The families whose members an extension may add."""

GROWING = ("sizes", "targets", *SHELVES)
"""What a part covers and may cover more of, trials and bags aside."""

_PLACES = ("bags", "models", "targets", "sizes")
"""The keys of a member that say where it stands, not what it is."""

_KEY = b"klsim"
_ROWS = b"klsim.rows"
_LABELS = ["bag", "model", "target", "estimator", "status", "reason"]
_NUMBERS = ["estimate", "truth", "se", "lower", "upper"]


class DamagedPart(Fault):
    """A part that cannot be read, or whose checksum does not hold."""


def part_name(bag: str, index: int) -> str:
    """Return the file name of a block: readable, unique, and safe whatever the label."""
    slug = re.sub(r"[^A-Za-z0-9]+", "_", bag)[:40].strip("_") or "bag"
    digest = hashlib.blake2b(bag.encode(), digest_size=4).hexdigest()
    return f"{slug}-{digest}-{index:09d}.parquet"


def part_index(bag: str, name: str) -> int | None:
    """Return which block of the bag a file is; None for any other file."""
    known = PART.fullmatch(name)
    if known is None or part_name(bag, int(known[1])) != name:
        return None
    return int(known[1])


def own(member: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a member without what says where it stands: filters, and the sizes of a bag."""
    return None if member is None else {k: v for k, v in member.items() if k not in _PLACES}


def encode(rows: pa.Table, head: dict[str, Any]) -> bytes:
    """Return the bytes of a part; the same rows give the same bytes."""
    metadata = {_KEY: json.dumps(head).encode(), _ROWS: str(rows.num_rows).encode()}
    sink = io.BytesIO()
    pq.write_table(
        rows.replace_schema_metadata(metadata),
        sink,
        compression="zstd",
        compression_level=1,
        use_dictionary=_LABELS,
        use_byte_stream_split=_NUMBERS,
        column_encoding=dict.fromkeys(("size", "model_size", "trial"), "DELTA_BINARY_PACKED"),
        write_page_checksum=True,
        row_group_size=2**20,
    )
    return sink.getvalue()


def read_header(path: Path) -> dict[str, Any] | None:
    """Return what a part says of itself; None where it cannot be read."""
    try:
        metadata = pq.read_metadata(path).metadata or {}
        head = json.loads(metadata.get(_KEY, b"null"))
    except (OSError, pa.ArrowException, ValueError):
        return None
    return head if isinstance(head, dict) else None


@dataclass(frozen=True)
class Parts:
    """The parts of a run in a fixed order; each iteration reads them from disk again."""

    paths: tuple[Path, ...]

    def __len__(self) -> int:
        """Return how many parts there are."""
        return len(self.paths)

    def read(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield the rows of each part, checksums verified; DamagedPart names a bad one."""
        for path in self.paths:
            try:
                with pq.ParquetFile(path, page_checksum_verification=True) as part:
                    rows = part.read(columns=columns)
                _check(rows, (part.metadata.metadata or {}).get(_ROWS), columns)
            except (OSError, ValueError, KeyError, pa.ArrowException) as error:
                first = str(error).partition("\n")[0]
                raise DamagedPart(
                    f"{path}: this part is damaged ({first}); delete it and run again"
                ) from None
            yield rows


def _check(rows: pa.Table, number: bytes | None, columns: Sequence[str] | None) -> None:
    """Raise ArrowInvalid where a footer that was damaged still could be read."""
    wanted = pa.schema([TRIALS.field(name) for name in columns or TRIALS.names])
    if number != str(rows.num_rows).encode() or not rows.schema.equals(wanted):
        raise pa.ArrowInvalid("its schema or its number of rows is not what was written")
    rows.validate(full=True)
