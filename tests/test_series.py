"""A part's rows become series: nothing lost, nothing mixed, whatever the table looks like."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.analysis.series import COLUMNS, Key, Line, series
from sim.experiment import Experiment
from sim.tables import STATUS, TRIALS
from sim.trials import block_rows

LABELS = ["bag", "model", "target", "estimator"]


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return Experiment.model_validate(
        {
            "name": "series",
            "seed": 3,
            "trials": 30,
            "sizes": [1, 2, 5],
            "bags": {
                "two": {"kind": "with_replacement", "balls": {"red": 10, "blue": 15}},
                "three": {"kind": "with_replacement", "balls": {"a": 1, "b": 2, "c": 3}},
            },
            "models": {"itself": {"kind": "itself"}, "uniform": {"kind": "uniform"}},
            "learners": {"frequency": {"kind": "relative_frequency"}},
        }
    )


@pytest.fixture(scope="module", params=["two", "three"])
def rows(request, experiment) -> pa.Table:
    return block_rows(experiment, request.param, 0)


def table(**columns) -> pa.Table:
    """Rows of trials: what is not given is the same in all of them."""
    number = len(columns["estimate"])
    given = {
        **{name: ["one"] * number for name in LABELS},
        "size": [1] * number,
        "trial": list(range(number)),
        "truth": [0.0] * number,
        "status": ["ok"] * number,
        **columns,
    }
    arrays = [
        _coded(given[name]) if name in (*LABELS, "status") else pa.array(given[name], kind)
        for name, kind in zip(TRIALS.names, TRIALS.types, strict=True)
        if name in COLUMNS
    ]
    return pa.table(arrays, [name for name in TRIALS.names if name in COLUMNS]).select(COLUMNS)


def _coded(labels: list[str | None]) -> pa.DictionaryArray:
    """Return labels as codes into all that may occur, as the writer of parts does."""
    known = [*STATUS, *dict.fromkeys(x for x in labels if x is not None and x not in STATUS)]
    codes = [None if x is None else known.index(x) for x in labels]
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(known))


def same(one, other) -> bool:
    return (
        one.key == other.key
        and one.truth == other.truth
        and one.failed == other.failed
        and np.array_equal(one.trial, other.trial)
        and np.array_equal(one.estimate, other.estimate, equal_nan=True)
    )


def test_every_row_of_a_part_is_in_one_series_in_its_order(rows):
    found = list(series(rows.select(COLUMNS)))
    frame = rows.to_pandas()
    assert np.array_equal(np.concatenate([s.estimate for s in found]), frame["estimate"])
    assert np.array_equal(np.concatenate([s.trial for s in found]), frame["trial"])
    assert np.array_equal(np.repeat([s.truth for s in found], 30), frame["truth"])
    assert np.array_equal(np.repeat([s.key.size for s in found], 30), frame["size"])


def test_a_part_gives_one_series_for_each_cell_and_size(rows, experiment):
    keys = [s.key for s in series(rows) if not s.key.line.is_control]
    bag = keys[0].line.bag
    assert keys == [
        Key(Line(bag, cell.model, cell.target.name, cell.label), size)
        for size in experiment.sizes
        for cell in experiment.cells(bag)
    ]


def test_a_series_holds_the_rows_that_its_key_names(rows):
    frame = rows.to_pandas()
    for label in LABELS:
        frame[label] = frame[label].astype(object).where(frame[label].notna(), None)
    for one in series(rows):
        mine = frame["size"] == one.key.size
        for label, value in one.key.line._asdict().items():
            mine &= frame[label].isna() if value is None else frame[label] == value
        assert np.array_equal(one.estimate, frame.loc[mine, "estimate"])


def test_the_loss_of_a_learner_has_no_model(rows):
    models = {s.key.line.target: set() for s in series(rows)}
    for one in series(rows):
        models[one.key.line.target].add(one.key.line.model)
    control = {"uniform", None}  # no linear one where Q = P
    assert models == {"kl": {"itself", "uniform"}, "kl_loss": {None}, "control": control}


def test_a_missing_estimate_is_nan_and_only_a_failed_one_counts_as_failed():
    rows = table(
        estimate=[0.5, None, np.inf, None, -np.inf, None],
        status=["ok", "undefined", "infinite", "failed", "infinite", "failed"],
    )
    (one,) = series(rows)
    expected = [0.5, np.nan, np.inf, np.nan, -np.inf, np.nan]
    assert np.array_equal(one.estimate, expected, equal_nan=True)
    assert one.failed == 2


def test_failures_are_counted_in_their_own_series():
    rows = table(
        estimate=[None, None, 1.0, None],
        status=["failed", "failed", "ok", "failed"],
        size=[1, 1, 2, 2],
    )
    assert [s.failed for s in series(rows)] == [2, 1]


@pytest.mark.parametrize("column", [*LABELS, "size"])
def test_a_change_in_any_one_column_begins_a_series(column):
    values = [1, 2, 2] if column == "size" else ["one", "two", "two"]
    first, second = series(table(estimate=[1.0, 2.0, 3.0], **{column: values}))
    assert first.estimate.tolist() == [1.0]
    assert second.estimate.tolist() == [2.0, 3.0]


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b"]),
            st.sampled_from([None, "a", "b"]),
            st.integers(1, 2),
            st.integers(1, 3),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_runs_of_equal_keys_are_found_whatever_their_order(runs):
    keys = [run[:3] for run in runs for _ in range(run[3])]
    rows = table(
        estimate=np.arange(len(keys), dtype=float).tolist(),
        bag=[key[0] for key in keys],
        model=[key[1] for key in keys],
        size=[key[2] for key in keys],
    )
    expected = []
    for place, key in enumerate(keys):
        if place == 0 or key != keys[place - 1]:
            expected.append((key, []))
        expected[-1][1].append(float(place))
    found = [((s.key.line.bag, s.key.line.model, s.key.size), s.estimate) for s in series(rows)]
    assert [key for key, _ in found] == [key for key, _ in expected]
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(found, expected, strict=True))


def test_parts_of_two_bags_may_be_read_as_one_table(experiment):
    parts = [block_rows(experiment, bag, 0).select(COLUMNS) for bag in experiment.bags]
    apart = [one for part in parts for one in series(part)]
    together = list(series(pa.concat_tables(parts)))
    assert len(together) == len(apart)
    assert all(map(same, together, apart))


@pytest.mark.parametrize("rows_a_group", [7, 10**6])
def test_a_parquet_file_gives_the_same_series(rows, rows_a_group):
    file = io.BytesIO()
    pq.write_table(rows, file, row_group_size=rows_a_group)
    read = pq.ParquetFile(file).read(columns=COLUMNS)
    assert all(map(same, series(read), series(rows)))
    assert len(list(series(read))) == len(list(series(rows)))


@pytest.mark.parametrize("order", [[3, 1, 0, 2], [0, 2, 3, 1]])
def test_labels_may_be_coded_in_any_order(order):
    known = [STATUS[place] for place in order]
    codes = pa.array([known.index("failed"), known.index("ok")], pa.int32())
    rows = table(estimate=[None, 1.0])
    place = rows.column_names.index("status")
    coded = pa.DictionaryArray.from_arrays(codes, pa.array(known))
    (one,) = series(rows.set_column(place, "status", coded))
    assert one.failed == 1


def test_columns_beside_the_wanted_ones_do_not_matter(rows):
    assert all(map(same, series(rows), series(rows.select(COLUMNS))))


def test_a_table_without_rows_has_no_series(rows):
    assert list(series(rows.select(COLUMNS).slice(0, 0))) == []


def test_the_columns_are_those_of_the_trials():
    assert set(COLUMNS) <= set(TRIALS.names)
    assert len(set(COLUMNS)) == len(COLUMNS)
