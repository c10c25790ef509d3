"""A part says what it is, comes back as it was written, and hides no damage."""

from __future__ import annotations

import io
import json
import random
import re
import zlib
from collections.abc import Callable
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
from sim.store.coverage import header, reusable
from sim.store.parts import (
    DamagedPart,
    Parts,
    UnreadablePart,
    announces,
    content_of,
    encode,
    holds,
    part_name,
    read_header,
    rows_of,
    whole_facts,
)
from sim.store.sealed import seal, unseal
from sim.tables import TRIALS
from sim.trials import block_rows

ONE = built(COINS, **SMALL)
HEAD = header(ONE, "back", 0)
ROWS = block_rows(ONE, "back", 0)
GOOD = encode(ROWS, HEAD)
TEXT = pa.schema([("text", pa.string())])


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
    assert {name for name in columns if columns[name].is_stats_set} == {"size", "trial"}


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


def flipped(at: int, bit: int, content: bytes = GOOD) -> bytes:
    changed = bytearray(content)
    changed[at] ^= 1 << bit
    return bytes(changed)


def is_taken(content: bytes) -> bool:
    """Return whether the bytes of a part are taken for what was written."""
    try:
        unseal(content).close()
    except pa.ArrowInvalid:
        return False
    return True


def test_every_flipped_bit_of_a_part_is_found():
    assert is_taken(GOOD)
    places = ((at, bit) for at in range(len(GOOD)) for bit in range(8))
    assert [place for place in places if is_taken(flipped(*place))] == []


def test_a_part_cut_short_or_lengthened_anywhere_is_found():
    assert not any(is_taken(GOOD[:length]) for length in range(len(GOOD)))
    assert not any(is_taken(GOOD[length:]) for length in range(1, len(GOOD), 7))
    assert not is_taken(GOOD + b"\0")
    assert not is_taken(GOOD + GOOD)


def test_a_part_whose_bytes_are_exchanged_erased_or_of_another_is_found():
    other = encode(ROWS.slice(1), HEAD)
    rng = random.Random(1)
    for _ in range(2000):
        at, length = rng.randrange(len(GOOD) - 1), rng.choice([1, 2, 8, 64, 512])
        for patch in (bytes(length), b"\xff" * length, other[at : at + length]):
            content = GOOD[:at] + patch[: len(GOOD) - at] + GOOD[at + len(patch) :]
            assert is_taken(content) is (content == GOOD), (at, length)


@pytest.mark.parametrize("at", ["middle", "footer", "checksum", "cut"])
def test_a_damaged_part_is_named_and_is_not_one_that_is_here(path, at):
    places = {
        "middle": flipped(len(GOOD) // 2, 3),
        "footer": flipped(GOOD.rfind(b"klsim.rows") + 3, 1),
        "checksum": flipped(GOOD.rfind(b"klsim.crc32") + 15, 0),
        "cut": GOOD[:-500],
    }
    path.write_bytes(places[at])
    for look in (lambda: read(path), lambda: read(path, COLUMNS), lambda: holds(path, HEAD)):
        with pytest.raises(DamagedPart) as fault:
            look()
        assert str(path) in str(fault.value)
        assert "`klsim run` computes its block again" in str(fault.value)
    assert reusable(content_of(path), HEAD) == []


def test_a_letter_of_the_checksum_in_upper_case_is_another():
    place = GOOD.rfind(b"klsim.crc32") + len(b"klsim.crc32") + 2
    digits = GOOD[place : place + 8]
    assert int(digits, 16) >= 0
    rows, head = ROWS, HEAD
    while not re.search(rb"[a-f]", digits):  # digits alone have no case
        rows = rows.slice(1)
        content = encode(rows, head)
        digits = content[place : place + 8]
    content = encode(rows, head)
    place = content.rfind(digits)
    upper = content[:place] + digits.upper() + content[place + 8 :]
    assert is_taken(content)
    assert not is_taken(upper)


def test_a_part_without_a_checksum_is_none(path):
    pq.write_table(pq.read_table(pa.BufferReader(GOOD)), path)
    assert read_header(path) == HEAD, "what it says of itself is there still"
    assert not holds(path, HEAD)
    assert reusable(content_of(path), HEAD) == []
    with pytest.raises(DamagedPart, match="carries no checksum"):
        read(path)


def test_a_reason_that_looks_like_the_checksum_does_not_hide_it(path):
    mark = "klsim.crc32\x18\x081a2b3c4d"
    reasons = pa.array([mark] * ROWS.num_rows).dictionary_encode()
    place = TRIALS.get_field_index("reason")
    rows = ROWS.set_column(place, TRIALS.field(place), reasons.cast(TRIALS.field(place).type))
    content = encode(rows, HEAD)
    path.write_bytes(content)
    assert holds(path, HEAD)
    assert content.count(mark.encode()) >= 1, "it stands in the file as it is"
    at = content.find(mark.encode())
    assert not any(is_taken(flipped(at + 15, bit, content)) for bit in range(8))


def looks(path: Path) -> list[Callable[[], Any]]:
    """Return every way to look at a part."""
    return [
        *(lambda: read(path), lambda: read(path, COLUMNS), lambda: whole_facts(path)),
        *(lambda: holds(path, HEAD), lambda: content_of(path), lambda: read_header(path)),
        lambda: announces(path, HEAD),
    ]


def test_a_mark_in_a_page_does_not_stand_for_a_checksum_in_the_footer(path):
    mark = b"klsim.crc32\x18\x08"
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": [mark.decode() + "0" * 8]}), sink, compression="none")
    content = sink.getvalue()
    assert pq.read_metadata(io.BytesIO(content)).metadata.keys() == {b"ARROW:schema"}
    bare = io.BytesIO()
    with pq.ParquetWriter(bare, TEXT, store_schema=False, compression="none") as writer:
        writer.write_table(pa.table({"text": [mark.decode() + "0" * 8]}))
    assert pq.read_metadata(bare).metadata is None
    for forged in (content, bare.getvalue()):
        place = forged.rfind(mark) + len(mark)
        digits = b"%08x" % zlib.crc32(forged[:place] + b"0" * 8 + forged[place + 8 :])
        path.write_bytes(forged[:place] + digits + forged[place + 8 :])
        assert not holds(path, HEAD)
        assert read_header(path) is None
        assert reusable(content_of(path), HEAD) == []
        for look in (lambda: read(path), lambda: whole_facts(path)):
            with pytest.raises(DamagedPart, match="it carries no checksum"):
                look()


def test_a_part_that_would_fill_the_memory_is_not_read(path):
    rows = ROWS.take(pa.array(np.zeros(3_000_000, dtype=np.int64)))
    path.write_bytes(encode(rows, HEAD))
    assert path.stat().st_size < 200_000
    for look in (lambda: read(path), lambda: holds(path, HEAD)):
        with pytest.raises(DamagedPart, match=r"has 3,000,000 rows of .*; expected at most 1,120"):
            look()
    assert reusable(content_of(path), HEAD) == []


def test_a_long_text_that_would_fill_the_memory_is_not_read(path):
    place = TRIALS.get_field_index("reason")
    codes = pa.array(np.zeros(ROWS.num_rows, dtype=np.int32))
    column = pa.DictionaryArray.from_arrays(codes, ["x" * 10_000_000])
    path.write_bytes(encode(ROWS.set_column(place, TRIALS.field(place), column), HEAD))
    assert path.stat().st_size < 100_000
    with pytest.raises(DamagedPart, match="rows of 8,192 bytes"):
        read(path)


def test_more_rows_than_are_asked_are_not_read(path):
    path.write_bytes(GOOD)
    assert rows_of(path, ROWS.num_rows).equals(ROWS)
    with pytest.raises(DamagedPart, match="expected at most 639 rows"):
        rows_of(path, ROWS.num_rows - 1)


def test_what_the_system_does_not_let_be_read_is_not_called_damaged():
    path = Path("/proc/self/mem")  # a regular file whose first byte is an error to read
    if not path.is_file():
        pytest.skip("expected a system with /proc")
    for look in looks(path):
        with pytest.raises(UnreadablePart, match="this part cannot be read") as fault:
            look()
        assert fault.value.exit_code == 1
        # the end of this file cannot be looked for, where a footer alone is read
        assert fault.value.why in ("Input/output error", "Invalid argument")


def test_a_part_of_other_rows_or_columns_under_a_good_checksum_is_found(path):
    metadata = pq.read_metadata(pa.BufferReader(GOOD)).metadata
    facts = {key: metadata[key] for key in (b"klsim", b"klsim.rows")}
    for table in (ROWS.slice(1), ROWS.drop_columns(["reason"]), ROWS.select(["size", "trial"])):
        path.write_bytes(seal(table.replace_schema_metadata(facts)))
        with pytest.raises(DamagedPart, match="columns or its number of rows"):
            holds(path, HEAD)


@pytest.mark.parametrize("column", TRIALS.names)
def test_whoever_reads_a_part_without_klsim_can_find_a_bad_page(path, column):
    group = pq.read_metadata(pa.BufferReader(GOOD)).row_group(0)
    own = group.column(TRIALS.get_field_index(column))
    begin = own.dictionary_page_offset or own.data_page_offset
    path.write_bytes(flipped(begin + own.total_compressed_size - 1, 0))
    with pytest.raises(OSError, match="CRC"):
        pq.read_table(path, page_checksum_verification=True)


HOSTILE_HEADERS = [
    b"",
    b"null",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"9" * 10_000,
    b"NaN",
    b"\xff\xfe",
    b"{}",
    b'{"block": 1, "covers": 2}',
    b'{"block": {}, "covers": {}}',
    b'{"block": {"is": []}, "covers": {"sizes": 3}}',
    json.dumps({**HEAD, "covers": {**HEAD["covers"], "trials": 10**12}}).encode(),
    json.dumps({**HEAD, "covers": {**HEAD["covers"], "trials": "40"}}).encode(),
    json.dumps({**HEAD, "covers": {**HEAD["covers"], "models": [1]}}).encode(),
    json.dumps({**HEAD, "covers": {**HEAD["covers"], "learners": {"a": 1}}}).encode(),
    json.dumps({**HEAD, "block": []}).encode(),
]


@pytest.mark.parametrize("text", HOSTILE_HEADERS, ids=lambda text: text[:40].decode("latin-1"))
def test_a_header_of_any_text_is_read_or_is_none(path, text):
    path.write_bytes(seal(ROWS.replace_schema_metadata({b"klsim": text, b"klsim.rows": b"640"})))
    assert read_header(path) is None
    assert not holds(path, HEAD)
    assert reusable(content_of(path), HEAD) == []
    with pytest.raises(DamagedPart, match="it does not say what it is"):
        read(path)
