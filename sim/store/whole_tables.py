"""The tables of a whole run, such as the summary, to the bytes of their files and back."""

from __future__ import annotations

import pyarrow as pa

from sim.store.sealed import seal, unseal
from sim.tables import COMPARISON, CONVERGENCE, SUMMARY, TRACE

TABLES = {
    "summary": SUMMARY,
    "convergence": CONVERGENCE,
    "comparison": COMPARISON,
    "trace": TRACE,
}

_EXPERIMENT = b"klsim.experiment"


def encode_table(name: str, table: pa.Table, experiment: str) -> bytes:
    """Return the bytes of a table; it carries the text of its experiment in its metadata."""
    schema = TABLES[name]
    table = table if table.schema.equals(schema) else table.cast(schema)
    return seal(table.replace_schema_metadata({_EXPERIMENT: experiment}))


def decode_table(name: str, content: bytes) -> pa.Table:
    """Return the table in a file's bytes; ArrowInvalid where it is damaged, or another."""
    with unseal(content) as file:
        table = file.read()
    if not table.schema.equals(TABLES[name]):
        raise pa.ArrowInvalid("its columns are not those of this table")
    return table


def experiment_of(table: pa.Table) -> str | None:
    """Return the text of the experiment that a table carries."""
    text = (table.schema.metadata or {}).get(_EXPERIMENT)
    return None if text is None else text.decode(errors="replace")
