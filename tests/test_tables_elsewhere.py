"""docs/tables.md: its blocks run as they stand, and give the numbers of the summary."""

from __future__ import annotations

import math
import re
import warnings

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from fenced import ROOT, blocks
from runs import built

import sim
from sim.tables import COMPARISON, CONVERGENCE, SUMMARY, TRACE, TRIALS

PAGE = "docs/tables.md"
READERS = ["pandas", "DuckDB", "polars"]
CELL = ["bag", "model", "target", "estimator", "size"]
BAG = {"kind": "with_replacement", "balls": {"red": 1, "blue": 3, "green": 6}}
ODD = {
    "name": "red_blue",  # as the page has it
    "seed": 3,
    "trials": 400,
    "sizes": [1, 5, 20],
    "bags": {"back": BAG, "out": {**BAG, "kind": "without_replacement", "sizes": [4, 10]}},
    "models": {
        "mimic": {"kind": "itself"},
        "lacking": {"kind": "fixed", "balls": {"red": 0, "blue": 1, "green": 1}},
        "seen": {"kind": "drawn", "bag": BAG, "draws": "same"},
    },
    "targets": ["kl", "reverse_kl"],
    "estimators": {"counting": {"kind": "plug_in"}, "jackknife": {"kind": "jackknife"}},
    "learners": {"raw": {"kind": "relative_frequency"}},
}
"""Estimates that are infinite, undefined, of an infinite truth, without a model."""


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> sim.Results:
    return sim.run(built(ODD), out=tmp_path_factory.mktemp("place") / "results")


@pytest.fixture
def place(results, monkeypatch):
    """Stand where the page's paths lead to the results."""
    monkeypatch.chdir(results.path.parent.parent)


def as_arrow(frame) -> pa.Table:
    """Return the table of any reader, NaN of pandas as null."""
    if isinstance(frame, pd.DataFrame):
        indexed = frame.reset_index() if frame.index.names != [None] else frame
        return pa.Table.from_pandas(indexed, preserve_index=False)
    return (
        frame.to_arrow_table() if isinstance(frame, duckdb.DuckDBPyRelation) else frame.to_arrow()
    )


def by_cell(rows) -> dict[tuple, dict]:
    return {tuple(row[name] for name in CELL): row for row in rows}


def run_block(reader: str) -> dict:
    """Run the block below the heading of a reader; return its names."""
    (block,) = (block for block in blocks(PAGE, "python") if block.heading == reader)
    names: dict = {}
    exec(compile(block.text, f"{PAGE}: {reader}", "exec"), names)
    return names


def test_each_reader_has_one_block():
    assert [block.heading for block in blocks(PAGE, "python")] == READERS
    assert [block.heading for block in blocks(PAGE, "r")] == ["R"]


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("reader", READERS)
def test_a_block_makes_the_numbers_of_the_summary_from_the_trials(results, reader):
    own = by_cell(as_arrow(run_block(reader)["measures"]).to_pylist())
    told = by_cell(results.rows()["summary"])
    assert own.keys() == told.keys()
    for cell, row in own.items():
        assert (row["trials"], row["infinite"]) == (told[cell]["trials"], told[cell]["infinite"])
        for name in ("mean", "bias", "bias_mcse"):
            assert (row[name] is None) == (told[cell][name] is None), (cell, name)
            if row[name] is not None:
                assert row[name] == pytest.approx(told[cell][name], rel=1e-9, abs=1e-13)


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("reader", READERS)
def test_a_block_reads_every_row_and_the_experiment(results, reader):
    names = run_block(reader)
    assert as_arrow(names["trials"]).num_rows == len(results.trials)
    summary = as_arrow(names["summary"])
    assert summary.column_names == SUMMARY.names
    assert summary.num_rows == len(results.summary)
    assert names["experiment"] == (results.path / "experiment.yaml").read_text()
    assert yaml.safe_load(names["experiment"])["name"] == "red_blue"


def test_the_results_read_elsewhere_have_all_that_is_hard_to_read(results):
    rows = results.rows()["summary"]
    assert any(row["infinite"] for row in rows)
    assert any(row["undefined"] for row in rows)
    assert any(math.isinf(row["truth"]) and row["bias"] is None for row in rows)
    assert any(row["model"] is None for row in rows)
    assert any(row["mean"] is None for row in rows), "no cell is infinite in every trial"


def test_no_column_holds_nan(results):
    parts = [pq.read_table(path) for path in results.path.glob("trials/*.parquet")]
    tables = [*parts, *(results.table(n) for n in ("summary", "convergence", "comparison"))]
    for table in tables:
        for field in table.schema:
            if pa.types.is_floating(field.type):
                assert not pc.any(pc.is_nan(table[field.name])).as_py(), field.name


def section(heading: str) -> set[str]:
    """Return the words in code of a section of the page."""
    text = (ROOT / PAGE).read_text(encoding="utf-8").split(f"\n### {heading}\n")[1]
    return set(re.findall(r"`([^`]+)`", text.split("\n##")[0]))


@pytest.mark.parametrize(
    ("heading", "schema"),
    [
        ("trials", TRIALS),
        ("summary", SUMMARY),
        ("convergence", CONVERGENCE),
        ("comparison", COMPARISON),
        ("trace", TRACE),
    ],
)
def test_the_page_names_every_column_and_no_other(heading, schema):
    named = section(heading)
    endings = tuple(word.removeprefix("…") for word in named if word.startswith("…"))
    quantiles = {f"exact_{name}" for name in ("q25", "median", "q75")}  # `exact_q05` … `exact_q95`
    for column in schema.names:
        stems = [column.removesuffix(end) for end in endings if column.endswith(end)]
        assert column in named | quantiles or any(stem in named for stem in stems), column
    looks_like_a_column = {word for word in named if re.fullmatch(r"[a-z0-9]+_[a-z0-9_]+", word)}
    assert looks_like_a_column - {"kl_loss"} <= set(schema.names)


# The traps, as the page has them


@pytest.fixture
def frame(results) -> pd.DataFrame:
    return pd.read_parquet(results.path / "trials")


def often_infinite(frame):
    return frame[(frame["target"] == "reverse_kl") & (frame["model"] == "mimic")]["estimate"]


def test_pandas_reads_as_the_page_says(frame, results):
    undefined = frame[frame["status"] == "undefined"]
    assert len(undefined) > 0
    assert undefined["estimate"].isna().all()
    assert frame["model_size"].dtype == "float64"
    assert all(isinstance(frame[name].dtype, pd.CategoricalDtype) for name in CELL[:4])
    values = often_infinite(frame)
    with warnings.catch_warnings(record=True) as warned, np.errstate(all="warn"):
        warnings.simplefilter("always")
        assert math.isinf(values.mean())
        assert math.isnan(values.std())
    assert warned
    with warnings.catch_warnings(action="ignore"):
        assert math.isnan(values.quantile(0.95))
    assert math.isinf(values.quantile(0.95, interpolation="lower"))
    no_model = frame["model"].isna().sum()
    assert (frame["model"] != "mimic").sum() == no_model + frame["model"].isin(
        ["lacking", "seen"]
    ).sum()
    kept = frame.groupby(CELL, observed=True, dropna=False).ngroups
    assert frame.groupby(CELL, observed=True).ngroups < kept
    estimates = (frame["target"] != "control").sum()
    assert len(frame.merge(results.summary, on=CELL)) == estimates


def test_duckdb_reads_as_the_page_says(frame, results, monkeypatch):
    monkeypatch.chdir(results.path)
    (told,) = duckdb.sql("""
        SELECT count(*) FILTER (status = 'undefined' AND estimate IS NULL), any_value(typeof(bag)),
            count(*) FILTER (model <> 'mimic'), count(*) FILTER (model IS DISTINCT FROM 'mimic')
        FROM 'trials/*.parquet'
    """).fetchall()
    no_model = int(frame["model"].isna().sum())
    others = int(frame["model"].isin(["lacking", "seen"]).sum())
    undefined = int((frame["status"] == "undefined").sum())
    assert told == (undefined, "VARCHAR", others, others + no_model)
    ((mean, spread, high),) = duckdb.sql("""
        SELECT avg(estimate), stddev_samp(estimate), quantile_cont(estimate, 0.95)
        FROM 'trials/*.parquet' WHERE target = 'reverse_kl' AND model = 'mimic'
    """).fetchall()
    assert (mean, high) == (math.inf, math.inf)
    assert math.isnan(spread)
    using = "USING (bag, model, target, estimator, size)"
    alike = " AND ".join(f"a.{name} IS NOT DISTINCT FROM b.{name}" for name in CELL)
    pair = "SELECT count(*) FROM 'trials/*.parquet' a JOIN 'summary.parquet' b"
    estimates = int((frame["target"] != "control").sum())
    losses = int((frame["target"] == "kl_loss").sum())
    assert duckdb.sql(f"{pair} {using}").fetchall() == [(estimates - losses,)]
    assert duckdb.sql(f"{pair} ON {alike}").fetchall() == [(estimates,)]


def test_polars_reads_as_the_page_says(frame, results):
    trials = pl.read_parquet(results.path / "trials" / "*.parquet")
    summary = pl.read_parquet(results.path / "summary.parquet")
    undefined = trials.filter(pl.col("status") == "undefined")["estimate"]
    assert undefined.null_count() == len(undefined) > 0
    assert [trials.schema[name] for name in CELL[:4]] == [pl.Categorical] * 4
    values = trials.filter(pl.col("target") == "reverse_kl", pl.col("model") == "mimic")["estimate"]
    assert values.mean() == values.quantile(0.95) == math.inf
    assert math.isnan(values.std())
    no_model = trials["model"].null_count()
    others = trials.filter(pl.col("model") != "mimic").height
    assert trials.filter(pl.col("model").ne_missing("mimic")).height == others + no_model
    assert trials.group_by(CELL).len().height == frame.groupby(CELL, dropna=False).ngroups
    with pytest.raises(pl.exceptions.SchemaError):
        trials.join(summary, on=CELL)
    as_text = trials.with_columns(pl.col(CELL[:4]).cast(pl.String))
    joined = as_text.join(summary, on=CELL, nulls_equal=True)
    assert joined.height == (frame["target"] != "control").sum()
