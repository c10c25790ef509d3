"""A part says what it is, comes back as it was written, and hides no damage."""

from __future__ import annotations

import json
import random
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import COINS, SMALL, built

from sim.analysis.series import COLUMNS
from sim.canary import canary
from sim.experiment import STREAM_VERSION
from sim.store.coverage import header
from sim.store.parts import DamagedPart, Parts, encode, part_name, read_header
from sim.tables import TRIALS
from sim.trials import block_rows

ONE = built(COINS, **SMALL)
HEAD = header(ONE, "back", 0)
ROWS = block_rows(ONE, "back", 0)
GOOD = encode(ROWS, HEAD)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "part.parquet"


def read(path: Path, columns: list[str] | None = None) -> pa.Table:
    (rows,) = Parts((path,)).read(columns)
    return rows


# Names

HOSTILE = [
    "../../etc/passwd",
    "a/b\\c",
    "..",
    ".hidden",
    "-rf *",
    "CON",
    "name.parquet",
    ".x.tmp",
    "$(reboot) `reboot`; reboot | %s {0} <b>\"'",
    "rot und blau",
    "Größe",
    "红色",
    "\u202egnp.exe",
    "🎲" * 200,
    "x" * 200,
]


@pytest.mark.parametrize("label", HOSTILE)
def test_a_label_of_any_characters_gives_a_safe_file_name(label):
    name = part_name(label, 3)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_]*-[0-9a-f]{8}-000000003\.parquet", name)
    assert len(name) < 100


@settings(deadline=None, derandomize=True, max_examples=200)
@given(label=st.text(min_size=1, max_size=200), index=st.integers(0, 10**12))
def test_a_name_is_safe_and_the_same_each_time(label, index):
    name = part_name(label, index)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_]*-[0-9a-f]{8}-[0-9]{9,13}\.parquet", name)
    assert name == part_name(label, index)


def test_labels_that_look_alike_have_names_of_their_own():
    labels = ["a b", "a_b", "a-b", "A b", "a  b", "a/b", "a_b ", "aͣb", "x" * 199, "x" * 200]
    names = [part_name(label, 0).lower() for label in labels]
    assert len(set(names)) == len(labels)


def test_names_sort_by_block():
    names = [part_name("bag", index) for index in (0, 1, 2, 9, 10, 99, 100, 12345678)]
    assert names == sorted(names)


# Headers

CHANGES: dict[str, dict[str, Any]] = {
    "seed": {"seed": 8},
    "balls": {"bags": {"back": {"kind": "with_replacement", "balls": {"red": 2, "blue": 4}}}},
    "order of colours": {
        "bags": {"back": {"kind": "with_replacement", "balls": {"blue": 3, "red": 2}}}
    },
    "trials": {"trials": 41},
    "sizes": {"sizes": [5, 20, 50]},
    "own sizes": {"bags": {"back": {**COINS["bags"]["back"], "sizes": [5]}}},
    "unit": {"unit": "bits"},
    "model": {"models": {"itself": {"kind": "itself"}}},
    "order of models": {"models": dict(reversed(COINS["models"].items()))},
    "estimator": {"estimators": {"counting": {"kind": "plug_in"}}},
    "learner": {"learners": {"laplace": {"kind": "add_constant", "amount": 2}}},
    "no learner": {"learners": {}},
}


def test_any_two_experiments_that_differ_in_a_row_have_different_headers():
    heads = {name: header(built({**COINS, **SMALL, **c}), "back", 0) for name, c in CHANGES.items()}
    texts = [json.dumps(head) for head in (HEAD, *heads.values())]
    assert len(set(texts)) == len(texts) == len(CHANGES) + 1


def test_what_decides_no_row_of_a_block_is_not_in_its_header():
    other = built(COINS, trials=5000, name="other", about="Something else.")
    assert header(other, "back", 0) == header(built(), "back", 0)
    assert header(other, "back", 1) != header(built(), "back", 1)
    more = {**COINS["bags"], "third": COINS["bags"]["back"]}
    assert header(built(bags=more), "back", 1) == header(built(), "back", 1)


def test_each_block_has_its_own_header():
    experiment = built()
    heads = [header(experiment, bag, index) for bag in experiment.bags for index in range(3)]
    assert all(a != b for a, b in combinations(heads, 2))


def test_a_header_names_the_stream_the_arithmetic_and_what_it_covers():
    assert HEAD["stream"] == STREAM_VERSION
    assert HEAD["canary"] == canary()
    assert HEAD["block"]["index"] == 0
    assert HEAD["covers"]["trials"] == 40
    assert HEAD["covers"]["sizes"] == [5, 20]
    assert list(HEAD["covers"]["estimators"]) == ["counting", "corrected"]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        *CHANGES.values(),
        {"seed": 2**128 - 1},
        {"seed": 2**53 + 1},
        {"bags": {"back": {"kind": "with_replacement", "balls": {"a": 0.1, "b": 1e-7}}}},
        {"bags": {"back": {"kind": "with_replacement", "balls": {"ä/\\": 1, "红": 2}}}},
        {"estimators": {'"\\ 🎲': {"kind": "plug_in", "models": ["fair"]}}},
    ],
    ids=str,
)
def test_a_header_comes_back_from_a_file_equal_to_itself(path, changes):
    head = header(built({**COINS, **SMALL, **changes}), "back", 0)
    path.write_bytes(encode(ROWS, head))
    assert read_header(path) == head


@pytest.mark.parametrize(
    "content",
    [b"", b"PAR1", b"PAR1PAR1", b"not a part at all", b"PAR1" + bytes(100) + b"PAR1", GOOD[:-1]],
    ids=["empty", "half", "short", "text", "zeros", "cut"],
)
def test_what_is_not_a_part_has_no_header(path, content):
    path.write_bytes(content)
    assert read_header(path) is None
    with pytest.raises(DamagedPart, match=re.escape(str(path))):
        read(path)


@pytest.mark.parametrize(
    "metadata", [{}, {"klsim": "{"}, {"klsim": "[1]"}, {"klsim": "null"}, {"klsim": b"\xff"}]
)
def test_a_table_of_someone_else_has_no_header(path, metadata):
    pq.write_table(ROWS.replace_schema_metadata(metadata), path)
    assert read_header(path) is None


def test_a_part_that_is_not_there_has_no_header(path):
    assert read_header(path) is None


# Rows


def test_the_same_rows_give_the_same_bytes():
    assert encode(block_rows(ONE, "back", 0), header(ONE, "back", 0)) == GOOD


def test_rows_come_back_as_they_were(path):
    path.write_bytes(GOOD)
    rows = read(path)
    assert rows.equals(ROWS)
    assert rows.schema.equals(TRIALS)
    assert rows.num_rows == 40 * 2 * (2 * 2 + 1 + 3)


def test_infinite_estimates_stay_and_undefined_ones_are_null_with_a_reason(path):
    learners = {"counted": {"kind": "relative_frequency"}}
    experiment = built({**COINS, **SMALL}, sizes=[1], learners=learners)
    rows = block_rows(experiment, "back", 0)
    place = rows.schema.get_field_index("estimate")
    undefined = pa.array(rows["estimate"].to_numpy(), mask=np.arange(rows.num_rows) < 3)
    path.write_bytes(encode(rows.set_column(place, "estimate", undefined), HEAD))
    back = read(path)
    assert back["estimate"].null_count == 3
    infinite = np.isinf(rows["estimate"].to_numpy())
    assert infinite.sum() == 40, "the loss of one draw's frequencies is infinite"
    assert np.array_equal(np.isinf(back["estimate"].to_numpy()), infinite)
    assert set(back.filter(infinite)["status"].to_pylist()) == {"infinite"}


def test_columns_that_are_not_given_are_null(path):
    path.write_bytes(GOOD)
    rows = read(path)
    empty = {name for name in rows.column_names if rows[name].null_count == rows.num_rows}
    assert empty == {"model_size", "se", "lower", "upper", "reason"}


def test_only_the_columns_that_are_asked_for_are_read(path):
    path.write_bytes(GOOD)
    assert read(path, ["size", "estimate"]).column_names == ["size", "estimate"]


def test_parts_are_read_in_their_order_as_often_as_asked(tmp_path):
    experiment = built()
    paths = tuple(tmp_path / f"{index}.parquet" for index in (2, 0, 1))
    for path in paths:
        index = int(path.stem)
        content = encode(block_rows(experiment, "back", index), header(experiment, "back", index))
        path.write_bytes(content)
    every = Parts(paths)
    assert len(every) == 3
    for _ in range(2):
        first = [rows["trial"][0].as_py() for rows in every.read(["trial"])]
        assert first == [2 * 4096, 0, 4096]


def test_a_part_is_stored_as_the_measurements_advise(path):
    path.write_bytes(GOOD)
    group = pq.read_metadata(path).row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    assert {column.compression for column in columns.values()} == {"ZSTD"}
    for name in ("estimate", "truth"):
        assert "BYTE_STREAM_SPLIT" in columns[name].encodings
    for name in ("size", "trial"):
        assert "DELTA_BINARY_PACKED" in columns[name].encodings
    for name in ("bag", "model", "target", "estimator", "status"):
        assert columns[name].has_dictionary_page


def test_pandas_and_datasets_read_a_part_with_the_declared_schema(path):
    path.write_bytes(GOOD)
    assert ds.dataset(path).schema.equals(TRIALS)
    assert ds.dataset(path).to_table().equals(ROWS)
    frame = pd.read_parquet(path)
    assert list(frame.columns) == TRIALS.names
    pd.testing.assert_frame_equal(frame, ROWS.to_pandas())


def test_the_metadata_is_json_that_anyone_can_read():
    metadata = pq.read_metadata(pa.BufferReader(GOOD)).metadata
    assert json.loads(metadata[b"klsim"]) == HEAD


# Damage


def fate(path: Path, content: bytes) -> str:
    """Return what happens to a part with these bytes."""
    path.write_bytes(content)
    if read_header(path) != HEAD:
        return "computed again"
    try:
        whole, needed = read(path), read(path, COLUMNS)
        whole.validate(full=True)
    except DamagedPart as fault:
        return "named" if str(path) in str(fault) else f"not named: {fault}"
    except Exception as error:
        return f"not caught: {error!r}"
    unchanged = whole.equals(ROWS) and needed.equals(ROWS.select(COLUMNS))
    return "harmless" if unchanged and whole.schema.equals(TRIALS) else "believed"


def pages() -> dict[str, range]:
    """Return where the stored values of each column lie, their headers aside."""
    group = pq.read_metadata(pa.BufferReader(GOOD)).row_group(0)
    found = {}
    for column in map(group.column, range(group.num_columns)):
        begin = column.dictionary_page_offset or column.data_page_offset
        end = begin + column.total_compressed_size
        found[column.path_in_schema] = range(max(begin, end - 8), end)
    return found


def flipped(at: int, bit: int) -> bytes:
    content = bytearray(GOOD)
    content[at] ^= 1 << bit
    return bytes(content)


@pytest.mark.parametrize("column", pages())
def test_a_flipped_bit_in_a_page_is_found_and_the_part_is_named(path, column):
    for at in pages()[column]:
        for bit in range(8):
            assert fate(path, flipped(at, bit)) == "named", (at, bit)


def test_a_flipped_bit_anywhere_is_found_or_changes_nothing(path):
    rng = random.Random(1)
    fates = {at: fate(path, flipped(at, rng.randrange(8))) for at in range(0, len(GOOD), 3)}
    assert set(fates.values()) >= {"named", "computed again", "harmless"}
    missed = {at: what for at, what in fates.items() if what.startswith(("not", "believed"))}
    assert not missed


def test_a_part_cut_short_anywhere_is_computed_again(path):
    for length in range(0, len(GOOD), 97):
        assert fate(path, GOOD[:length]) == "computed again", length


def test_a_part_with_a_hole_of_zeros_is_found(path):
    for at in range(4, len(GOOD) - 512, 512):
        content = GOOD[:at] + bytes(512) + GOOD[at + 512 :]
        assert fate(path, content) in ("computed again", "named"), at
