"""`klsim verify` names every bad file of a run and nothing else, mends nothing, writes nothing."""

from __future__ import annotations

import json
import os
import re
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from runs import COINS, TABLES, built, files, klsim, laid, tables

import sim
from sim.api import reanalyze, status, verify
from sim.config.reading import dump
from sim.loop.crew import BlockFailed
from sim.loop.scrutiny import same_bits
from sim.store.coverage import header
from sim.store.directory import Directory, NoResults
from sim.store.parts import UnreadablePart, encode, part_name
from sim.tables import TRIALS
from sim.trials import block_rows

STOP = {"bias_mcse": 1e-9, "max_trials": 9000}
NOBODY = 65534
PARTS = [f"trials/{part_name(bag, index)}" for bag in COINS["bags"] for index in range(3)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The files of a complete run of COINS, three blocks a bag."""
    return files(sim.run(built(), out=tmp_path_factory.mktemp("finished")).path)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The files of a run that `stop` ended after one block of a bag."""
    experiment = built(stop={**STOP, "bias_mcse": 0.1}, trials=10)
    return files(sim.run(experiment, out=tmp_path_factory.mktemp("stopped")).path)


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def named(folder: Path, recompute: int = 0) -> dict[str, str]:
    """Return what is wrong with each file that is named."""
    return {fault["file"]: fault["what"] for fault in verify(folder, recompute)["faults"]}


def traces(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return of all that lies in a folder, itself too, when it was last touched."""
    every = [folder, *folder.rglob("*")]
    stats = {str(path): path.lstat() for path in every}
    return {name: (s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for name, s in stats.items()}


# What is whole


def test_every_check_of_a_complete_run_holds(tmp_path, finished):
    told = verify(laid(finished, tmp_path / "coins"))
    assert told["faults"] == told["notes"] == []
    assert (told["name"], told["complete"], told["parts"]) == ("coins", True, 6)
    assert told["rows"] == 2 * 9000 * 2 * (5 + 3)


def test_nothing_is_written_not_even_a_lock(tmp_path, finished):
    folder = laid(finished, tmp_path / "coins")
    before = traces(tmp_path)
    assert ".lock" not in os.listdir(folder)
    verify(folder, recompute=1)
    status(folder)
    assert traces(tmp_path) == before


def test_a_run_that_stop_ended_is_whole(tmp_path, stopped):
    told = verify(laid(stopped, tmp_path / "coins"))
    assert told["faults"] == told["notes"] == []
    assert (told["complete"], told["parts"]) == (True, 2)


def test_a_link_that_the_user_names_is_followed(tmp_path, finished):
    (tmp_path / "link").symlink_to(laid(finished, tmp_path / "coins"))
    assert named(tmp_path / "link") == {}
    assert status(tmp_path / "link")["complete"]
    reanalyze(tmp_path / "link")
    assert tables(tmp_path / "coins") == {k: v for k, v in finished.items() if "parquet" in k}


def test_an_unfinished_run_is_told_and_is_no_fault(tmp_path, finished):
    left = {name: finished[name] for name in ("experiment.yaml", *PARTS[:2])}
    told = verify(laid(left, tmp_path / "coins"))
    assert (told["faults"], told["complete"], told["parts"]) == ([], False, 2)
    assert told["notes"] == [
        "not finished: 2 of 6 blocks are here; go on with the `klsim run` that began it"
    ]


def test_a_run_that_was_not_recorded_is_done_for_nobody(tmp_path, finished):
    folder = laid(finished, tmp_path / "coins")
    (folder / "run.json").unlink()
    assert status(folder)["bags"] == {"back": (3, 3), "out": (3, 3)}
    assert status(folder)["complete"] is verify(folder)["complete"] is False
    sim.run(built(), out=tmp_path)
    assert status(folder)["complete"] is verify(folder)["complete"] is True
    (folder / PARTS[1]).unlink()
    assert status(folder)["complete"] is verify(folder)["complete"] is False


def test_an_extension_that_was_begun_is_no_fault(tmp_path, finished):
    folder = laid(finished, tmp_path / "coins")
    Directory(folder).save_experiment(dump(built(trials=10_000, sizes=[5, 20, 50])))
    told = verify(folder)
    assert (told["faults"], told["complete"], told["parts"]) == ([], False, 0)
    assert "0 of 6 blocks" in told["notes"][-1]
    assert "6 parts are not what the experiment asks yet" in told["notes"][0]


def test_where_no_run_was_there_is_nothing_to_verify(tmp_path):
    with pytest.raises(NoResults, match="expected the directory of a run"):
        verify(tmp_path)


# What is not


@pytest.mark.parametrize("name", [*PARTS[::2], *TABLES])
@pytest.mark.parametrize("how", ["flipped", "footer", "cut", "empty"])
def test_a_damaged_file_is_named_alone_and_what_is_advised_mends_it(tmp_path, finished, name, how):
    folder = laid(finished, tmp_path / "coins")
    good = finished[name]
    bad = {
        "flipped": flipped(good, len(good) // 3),
        "footer": flipped(good, len(good) - 40),
        "cut": good[:-9],
        "empty": b"",
    }
    (folder / name).write_bytes(bad[how])
    (fault,) = verify(folder)["faults"]
    assert fault["file"] == name
    assert fault["what"].startswith("damaged: it")
    assert ("klsim run" if name in PARTS else "klsim analyze") in fault["mend"]
    if name in ("summary.parquet", PARTS[0]) and how == "footer":
        reanalyze(folder) if name in TABLES else sim.run(built(), out=tmp_path)
        assert named(folder) == {}
        assert tables(folder) == tables(laid(finished, tmp_path / "quiet"))


@pytest.mark.parametrize("name", [*PARTS[:1], *TABLES])
def test_a_missing_file_is_named(tmp_path, finished, name):
    folder = laid(finished, tmp_path / "coins")
    (folder / name).unlink()
    assert named(folder) == {name: "missing"}


def test_many_missing_parts_are_named_in_runs(tmp_path, finished):
    folder = laid(finished, tmp_path / "coins")
    for name in (PARTS[0], *PARTS[4:]):
        (folder / name).unlink()
    assert named(folder) == {
        PARTS[0]: "missing",
        PARTS[4]: "missing, and all after it up to block 2",
    }


@pytest.mark.parametrize("name", ["notes.md", ".hidden", "a\x1b[2J\n.parquet", PARTS[0][7:] + "x"])
def test_a_stranger_among_the_parts_is_named_in_print(tmp_path, finished, name):
    folder = laid({**finished, f"trials/{name}": b"mine"}, tmp_path / "coins")
    ((shown, what),) = named(folder).items()
    assert what == "no part of this experiment"
    assert shown.isprintable()
    assert len(shown) == len(f"trials/{name}")


def test_a_stranger_beside_the_tables_is_nobodys_business(tmp_path, finished):
    assert named(laid({**finished, "notes.md": b"mine"}, tmp_path / "coins")) == {}


def test_what_a_killed_writer_left_is_no_stranger(tmp_path, finished):
    left = {f"trials/.{PARTS[0][7:]}.0123456789ab.tmp": b"half"}
    assert named(laid({**finished, **left}, tmp_path / "coins")) == {}


def test_parts_in_each_others_place_are_named(tmp_path, finished):
    folder = laid(finished, tmp_path / "coins")
    for one, other in ((0, 1), (1, 0)):
        (folder / PARTS[one]).write_bytes(finished[PARTS[other]])
    assert named(folder) == {
        PARTS[0]: "not what the experiment asks: block.index: 1 there, 0 asked",
        PARTS[1]: "not what the experiment asks: block.index: 0 there, 1 asked",
    }


def test_a_part_beyond_the_end_is_named(tmp_path, finished, stopped):
    more = f"trials/{part_name('back', 1)}"
    folder = laid({**stopped, more: finished[more]}, tmp_path / "coins")
    (fault,) = verify(folder)["faults"]
    assert (fault["file"], fault["what"]) == (more, "beyond the end of its bag")
    assert fault["mend"].startswith("move or delete it")


def test_a_part_beyond_the_end_that_is_deleted_as_advised_does_not_come_back(tmp_path):
    folder = sim.run(built(trials=9000), out=tmp_path).path
    (folder / "experiment.yaml").unlink()
    sim.run(built(trials=60), out=tmp_path)
    (one, *others) = verify(folder)["faults"]
    assert len(others) == 3
    assert one["what"] == "beyond the end of its bag"
    for fault in (one, *others):
        (folder / fault["file"]).unlink()
    sim.run(built(trials=60), out=tmp_path)
    assert named(folder) == {}


def test_a_table_of_another_experiment_is_named(tmp_path, finished):
    other = sim.run(built(seed=8, trials=60), out=tmp_path / "other").path
    foreign = (other / "summary.parquet").read_bytes()
    folder = laid({**finished, "summary.parquet": foreign}, tmp_path / "coins")
    assert named(folder) == {
        "summary.parquet": "made of another experiment than the one that lies here"
    }
    (folder / "summary.parquet").write_bytes(finished["comparison.parquet"])
    assert "columns are not those" in named(folder)["summary.parquet"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"[" * 100_000, b"9" * 10_000, b'{"a": NaN}', b"\xff", b"null", b'"x"'],
    ids=lambda content: repr(content[:9]),
)
@pytest.mark.parametrize("name", ["run.json", "log.jsonl"])
def test_a_record_that_is_no_json_is_named(tmp_path, finished, name, content):
    line = finished["log.jsonl"].splitlines(keepends=True)[0] if name == "log.jsonl" else b""
    folder = laid({**finished, name: line + content + b"\n"}, tmp_path / "coins")
    fault = named(folder)
    assert list(fault) == [name]
    assert fault[name].startswith("line 2: damaged" if line else "damaged")


RUN_FACTS: list[dict[str, Any]] = [
    {"stop": []},
    {"stop": {"bags": 3}},
    {"stop": None, "digest": 5},
    {"trials": "9000"},
    {"versions": 7, "canary": ["x"]},
    {"digest": 10**400},
]


@pytest.mark.parametrize("facts", RUN_FACTS, ids=str)
def test_a_record_of_other_types_is_not_believed(tmp_path, finished, stopped, facts):
    for content in (finished, stopped):
        told = json.loads(content["run.json"])
        changed = json.dumps({**told, **facts}).encode()
        folder = laid({**content, "run.json": changed}, tmp_path / str(len(content)))
        assert verify(folder, recompute=1)["faults"] == []
        assert len(status(folder)["bags"]) == 2


@pytest.mark.parametrize(
    "end",
    [
        {"trials": 0},
        {"trials": 10**9},
        {"trials": "x"},
        {"trials": True},
        {"reached": 1},
        {"bias_mcse": "small"},
        {"where": {"estimator": "counting"}},
        {"more": 1},
    ],
    ids=str,
)
def test_an_end_of_a_bag_of_other_types_is_not_believed(tmp_path, stopped, end):
    told = json.loads(stopped["run.json"])
    assert told["stop"]["bags"]["back"]["trials"] == 4096
    told["stop"]["bags"]["back"] |= end
    changed = json.dumps(told).encode()
    folder = laid({**stopped, "run.json": changed}, tmp_path / "coins")
    assert sim.open_results(folder).stop is None
    assert status(folder)["used"] is None
    assert not verify(folder)["complete"]


def test_an_experiment_that_cannot_be_read_is_named_and_the_parts_are_checked_all_the_same(
    tmp_path, finished
):
    bad = flipped(finished[PARTS[1]], 900)
    for text in (b"name: {", b"\xff\xfe\x00", b"", b"[" * 100_000):
        folder = laid({**finished, "experiment.yaml": text, PARTS[1]: bad}, tmp_path / "coins")
        told = verify(folder)
        assert {fault["file"] for fault in told["faults"]} == {"experiment.yaml", PARTS[1]}
        assert (told["name"], told["complete"], told["parts"]) == (None, False, 5)


@pytest.mark.parametrize("name", ["experiment.yaml", "run.json", "log.jsonl", PARTS[0], *TABLES])
@pytest.mark.parametrize("what", ["symbolic link", "named pipe", "folder"])
def test_what_is_no_file_is_named_and_not_opened(tmp_path, finished, name, what):
    folder = laid(finished, tmp_path / "coins")
    path = folder / name
    path.rename(tmp_path / "away")
    make = {"symbolic link": lambda: path.symlink_to(tmp_path / "away"), "folder": path.mkdir}
    make.get(what, lambda: os.mkfifo(path))()
    assert named(folder).get(name) == f"expected a file, got a {what}"


# Other arithmetic


def of_canary(content: bytes, index: int, canary: str) -> bytes:
    """Return the part of a block as a machine of other arithmetic would have left it."""
    bag = "back" if index < 3 else "out"
    rows = block_rows(built(), bag, index % 3)
    assert content == encode(rows, header(built(), bag, index % 3))
    return encode(rows, {**header(built(), bag, index % 3), "canary": canary})


def test_a_run_of_another_machine_is_whole_and_that_it_cannot_be_compared_exits_6(
    tmp_path, finished
):
    other = "0123456789abcdef"
    moved = {name: of_canary(finished[name], i, other) for i, name in enumerate(PARTS)}
    facts = {**json.loads(finished["run.json"]), "canary": other}
    content = {**finished, **moved, "run.json": json.dumps(facts).encode()}
    told = verify(laid(content, tmp_path / "coins"), recompute=2)
    assert (told["faults"], told["parts"], told["recomputed"]) == ([], 6, 0)
    assert any("this machine computes otherwise" in note for note in told["notes"])
    done = klsim("verify", tmp_path / "coins", "--recompute", 2)
    assert done.returncode == 6
    assert done.stdout.endswith("; no block could be computed again and compared\n")
    assert klsim("verify", tmp_path / "coins").returncode == 0


def test_a_part_of_another_machine_among_the_others_is_named(tmp_path, finished):
    odd = {PARTS[2]: of_canary(finished[PARTS[2]], 2, "0123456789abcdef")}
    fault = named(laid({**finished, **odd}, tmp_path / "coins"))
    assert list(fault) == [PARTS[2]]
    assert 'canary: "0123456789abcdef" there' in fault[PARTS[2]]


# Computing again


def test_only_computing_again_finds_a_row_that_was_changed_under_a_good_checksum(
    tmp_path, finished
):
    rows = block_rows(built(), "out", 1)
    place = rows.schema.get_field_index("estimate")
    values = rows["estimate"].to_pylist()
    values[77] += 1e-12
    forged = encode(rows.set_column(place, "estimate", pa.array(values)), header(built(), "out", 1))
    folder = laid({**finished, PARTS[4]: forged}, tmp_path / "coins")
    assert named(folder) == named(folder, recompute=1) == {}
    told = verify(folder, recompute=100)
    assert told["recomputed"] == 6
    assert [fault["file"] for fault in told["faults"]] == [PARTS[4]]
    assert "delete it" in told["faults"][0]["mend"]


def of_other_versions(finished: dict[str, bytes]) -> dict[str, bytes]:
    facts = json.loads(finished["run.json"])
    facts["versions"]["numpy"] = "1.0"
    return {**finished, "run.json": json.dumps(facts).encode()}


def test_blocks_made_by_other_versions_are_compared_all_the_same(tmp_path, finished):
    told = verify(laid(of_other_versions(finished), tmp_path / "coins"), recompute=2)
    assert (told["faults"], told["notes"], told["recomputed"]) == ([], [], 2)


def nudged(bag: str, index: int, place: int = 77) -> bytes:
    """Return a part of which one number is false, under a good checksum."""
    rows = block_rows(built(), bag, index)
    values = rows["estimate"].to_numpy().copy()
    values[place] = np.nextafter(values[place], np.inf)
    column = rows.schema.get_field_index("estimate")
    forged = rows.set_column(column, "estimate", pa.array(values))
    return encode(forged, header(built(), bag, index))


def test_where_blocks_differ_other_versions_are_told_of(tmp_path, finished):
    content = {**of_other_versions(finished), PARTS[4]: nudged("out", 1)}
    told = verify(laid(content, tmp_path / "coins"), recompute=6)
    assert [fault["file"] for fault in told["faults"]] == [PARTS[4]]
    assert "run.json does not say that the versions here made it" in told["notes"][0]


@pytest.mark.parametrize("left", [[*PARTS], PARTS[3:5]], ids=len)
def test_without_a_record_of_the_run_what_was_changed_is_found(tmp_path, finished, left):
    parts = {name: finished[name] for name in ("experiment.yaml", *left)}
    folder = laid({**parts, PARTS[4]: nudged("out", 1)}, tmp_path / "coins")
    told = verify(folder, recompute=6)
    assert told["recomputed"] == len(left)
    assert [fault["file"] for fault in told["faults"]] == [PARTS[4]]


def test_the_same_rows_in_the_bytes_of_another_writer_are_no_fault(tmp_path, finished):
    rows = block_rows(built(), "back", 0)
    back = pa.concat_tables([rows.slice(0, 5), rows.slice(5)]).unify_dictionaries()
    other = encode(back, header(built(), "back", 0)).replace(
        b"parquet-cpp-arrow", b"parquet-cpp-other"
    )
    place = other.rfind(b"klsim.crc32\x18\x08") + 13
    digits = b"%08x" % zlib.crc32(other[:place] + b"0" * 8 + other[place + 8 :])
    content = other[:place] + digits + other[place + 8 :]
    assert content != finished[PARTS[0]]
    folder = laid({**finished, PARTS[0]: content}, tmp_path / "coins")
    told = verify(folder, recompute=6)
    assert (told["faults"], told["recomputed"]) == ([], 6)


SAME = [None, 0.0, -0.0, float("nan"), float("inf"), 1.5]


@pytest.mark.parametrize("one", range(len(SAME)))
@pytest.mark.parametrize("other", range(len(SAME)))
def test_rows_are_the_same_where_all_their_bits_are(one, other):
    def rows(value: float | None, labels: list[str]) -> pa.Table:
        nulls = dict.fromkeys(TRIALS.names) | {"bag": "b", "estimate": value}
        table = pa.Table.from_pylist([nulls], schema=TRIALS)
        coded = pa.DictionaryArray.from_arrays(pa.array([labels.index("b")], pa.int32()), labels)
        return table.set_column(0, TRIALS.field("bag"), coded)

    assert same_bits(rows(SAME[one], ["a", "b"]), rows(SAME[other], ["b"])) is (one == other)


def test_rows_that_are_not_of_the_block_are_named(tmp_path, finished):
    rows, other = block_rows(built(), "back", 0), block_rows(built(), "back", 1)
    bag = rows.schema.get_field_index("bag")
    forged = {
        f"{rows.num_rows - 1:,} rows there, {rows.num_rows:,} asked": rows.slice(1),
        "trials other than 0 to 4,095, in this order": other,
        "rows of another bag": rows.set_column(
            bag, rows.schema.field(bag), pa.array(["out"] * rows.num_rows).dictionary_encode()
        ),
    }
    for what, table in forged.items():
        content = encode(table, header(built(), "back", 0))
        folder = laid({**finished, PARTS[0]: content}, tmp_path / "coins")
        assert named(folder) == {PARTS[0]: f"not what the experiment asks: {what}"}


def test_a_bag_that_cannot_be_drawn_again_is_told_without_a_traceback(
    tmp_path, finished, monkeypatch
):
    folder = laid(finished, tmp_path / "coins")

    def torn(*_: object) -> None:
        raise RuntimeError("the bag is torn")

    monkeypatch.setattr(type(built().bags["out"]), "tally", torn)
    with pytest.raises(BlockFailed, match="block 0 of bag 'out' failed: RuntimeError: the bag is"):
        verify(folder, recompute=6)


# What the system does not let be read


@contextmanager
def as_nobody() -> Iterator[None]:
    """Do something without the rights of root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_part_that_may_not_be_read_is_named_and_never_computed_again(finished):
    with tempfile.TemporaryDirectory() as space:  # nobody reaches the folders of the tests
        folder = laid(finished, Path(space) / "coins")
        path = folder / PARTS[1]
        path.chmod(0)
        if os.geteuid() == 0:
            for each in (space, folder, *folder.rglob("*")):
                os.chown(each, NOBODY, -1)
        with as_nobody():
            told = verify(folder)
            assert [fault["file"] for fault in told["faults"]] == [PARTS[1]]
            assert told["faults"][0]["what"] == "cannot be read: Permission denied"
            assert not told["complete"]
            for attempt in (
                lambda: status(folder),
                lambda: reanalyze(folder),
                lambda: sim.run(built(), out=space),
            ):
                with pytest.raises(UnreadablePart, match=re.escape(str(path))) as fault:
                    attempt()
                assert fault.value.exit_code == 1
        assert path.read_bytes() == finished[PARTS[1]] if os.geteuid() == 0 else path.exists()


# The command


def test_the_command_names_each_fault_and_exits_6(tmp_path, finished):
    folder = laid(finished, tmp_path / "coins")
    done = klsim("verify", folder, "--recompute", 1)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "blocks computed again: 1",
        "coins: whole parts 6, rows 288,000; every check holds",
    ]
    (folder / PARTS[3]).write_bytes(finished[PARTS[3]][:-1])
    done = klsim("verify", folder)
    assert (done.returncode, done.stderr) == (6, "")
    rows = block_rows(built(), "out", 0).num_rows
    assert done.stdout.splitlines() == [
        f"{folder}/{PARTS[3]}: damaged: it is cut short, or no Parquet file",
        "    the same `klsim run` computes its block again",
        f"coins: whole parts 5, rows {288_000 - rows:,}; 1 fault",
    ]
    done = klsim("verify", folder, "--json")
    assert done.returncode == 6
    told = json.loads(done.stdout)
    assert [fault["file"] for fault in told["faults"]] == [PARTS[3]]
    assert klsim("verify", tmp_path / "nowhere").returncode == 2
