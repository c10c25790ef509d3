"""Are the rows of a part those of its block?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa

from sim.experiment import Experiment
from sim.loop.crew import Block, BlockFailed


@contextmanager
def computing(block: Block) -> Iterator[None]:
    """Raise BlockFailed for whatever goes wrong in a block: a bag may be anybody's."""
    try:
        yield
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        raise BlockFailed(f"block {block.index} of bag {block.bag!r} failed: {told}") from error


def misfit_of(rows: pa.Table, experiment: Experiment, block: Block, each: int) -> str | None:
    """Say what of a part's rows cannot be of its block; None where nothing is known against them.

    Their number, `each` for a trial, their bag and their trials are looked at, not what was
    estimated.
    """
    kept = experiment.kept(block.bag, block.index)
    if rows.num_rows != each * kept:
        return f"{rows.num_rows:,} rows there, {each * kept:,} asked"
    if rows.num_rows and rows["bag"].unique().to_pylist() != [block.bag]:
        return "rows of another bag"
    first = block.index * experiment.block_trials(block.bag)
    trials = rows["trial"]
    if (
        trials.null_count
        or (trials.to_numpy().reshape(each, kept) != np.arange(first, first + kept)).any()
    ):
        return f"trials other than {first:,} to {first + kept - 1:,}, in this order"
    return None


def same_bits(one: pa.Table, other: pa.Table) -> bool:
    """Return whether two tables of trials have the same rows to the bit, however they are stored.

    Rows are compared, not files: another pyarrow writes the same rows in other bytes.
    """
    pairs = zip(one.columns, other.columns, strict=True)
    return all(_bits(mine).equals(_bits(theirs)) for mine, theirs in pairs)


def _bits(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return what is equal where all bits are: NaN is itself, null is no NaN, 0.0 is not -0.0."""
    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)  # the same labels may have other codes
    if pa.types.is_floating(column.type):
        chunks = [chunk.view(pa.int64()) for chunk in column.chunks]
        return pa.chunked_array(chunks, pa.int64())
    return column
