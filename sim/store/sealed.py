"""Tables to the bytes of Parquet files that carry a checksum of all their bytes, and back.

The footer holds `klsim.crc32`: eight hexadecimal digits, the CRC-32 of the file with zeros in
their place. Any reader of Parquet takes it for one more key of the metadata.
"""

from __future__ import annotations

import zlib
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_KEY = "klsim.crc32"
_BLANK = b"00000000"
_MARK = _KEY.encode() + b"\x18\x08"  # as Thrift writes it: a text of eight bytes follows
_END = b"PAR1"

_ROW_BYTES = 8192
"""The most bytes of a row, however long its labels and its reason are."""

_BESIDE = 2**20
"""Bytes of a part beside its rows, more than there can be."""


class Unsealed(pa.ArrowInvalid):  # type: ignore[misc]
    """A Parquet file without a checksum: an earlier klsim wrote it, or somebody else."""


def seal(table: pa.Table, **options: Any) -> bytes:
    """Return a table as a Parquet file; the same table gives the same bytes."""
    sink = pa.BufferOutputStream()  # all in one call, beside which other threads go on
    options = {"compression": "zstd", "write_page_checksum": True, **options}
    with pq.ParquetWriter(sink, table.schema, **options) as writer:
        writer.write_table(table, row_group_size=2**20)
        writer.add_key_value_metadata({_KEY: _BLANK.decode()})
    content = bytearray(sink.getvalue())
    place = _place(content)
    content[place : place + len(_BLANK)] = _digits(memoryview(content), place)
    return bytes(content)


def unseal(content: bytes) -> pq.ParquetFile:
    """Return the Parquet file with these bytes; ArrowInvalid where one bit is not as written."""
    if not content.endswith(_END):
        raise pa.ArrowInvalid("it is cut short, or no Parquet file")
    if _MARK not in content:
        raise Unsealed("it carries no checksum")
    place = _place(content)
    if content[place : place + len(_BLANK)] != _digits(memoryview(content), place):
        raise pa.ArrowInvalid("its checksum does not hold")
    digits = content[place : place + len(_BLANK)]
    owned = pa.allocate_buffer(len(content))  # arrow's threads let go of it without python
    memoryview(owned).cast("B")[:] = content
    file = pq.ParquetFile(pa.BufferReader(owned))
    if (file.metadata.metadata or {}).get(_KEY.encode()) != digits:  # a text in some page
        file.close()
        raise Unsealed("it carries no checksum")
    return file


def expect_bounded(facts: pq.FileMetaData, most: int) -> None:
    """Refuse a part that would fill the memory: it may be small on the disk."""
    groups = [facts.row_group(index) for index in range(facts.num_row_groups)]
    rows = max(facts.num_rows, sum(group.num_rows for group in groups))
    size = sum(group.total_byte_size for group in groups)
    if rows > most or size > rows * _ROW_BYTES + _BESIDE:
        told = f"it has {rows:,} rows of {size:,} bytes in all"
        raise pa.ArrowInvalid(f"{told}; expected at most {most:,} rows of {_ROW_BYTES:,} bytes")


def _place(content: bytes | bytearray) -> int:
    """Return where the digits are: nothing that a label could be stands behind them."""
    return content.rfind(_MARK) + len(_MARK)


def _digits(content: memoryview, place: int) -> bytes:
    before = zlib.crc32(_BLANK, zlib.crc32(content[:place]))
    return b"%08x" % zlib.crc32(content[place + len(_BLANK) :], before)
