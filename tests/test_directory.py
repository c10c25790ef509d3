"""A run's directory has one writer, keeps every finished file whole, and leaves others' alone."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from runs import (
    COINS,
    KLSIM,
    SMALL,
    built,
    environment,
    files,
    klsim,
    laid,
    parts,
    tables,
    text,
    waited_for,
)

import sim
from sim.api import reanalyze, status
from sim.config.reading import dump, read
from sim.experiment import STREAM_VERSION
from sim.store import coverage
from sim.store.coverage import header
from sim.store.differences import differences
from sim.store.directory import DifferentExperiment, Directory, InUse, NoResults, Unreadable
from sim.store.parts import DamagedPart, encode, part_name
from sim.store.plain import Misplaced, write_through
from sim.tables import CONVERGENCE, SUMMARY, TRIALS
from sim.trials import block_rows

LITTLE = {**COINS, "trials": 40}
"""Two bags of one block each, which is not full."""


@pytest.fixture
def directory(tmp_path):
    return Directory(tmp_path / "run")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The files of a complete run of COINS, three blocks a bag."""
    folder = tmp_path_factory.mktemp("finished")
    sim.run(built(), out=folder)
    return files(folder / "coins")


# Saving


def test_a_saved_file_holds_its_content_and_nothing_lies_beside_it(tmp_path):
    directory = Directory(tmp_path)
    for content in (b"first", b"second, longer", b""):
        directory.save(tmp_path / "file", content)
        assert files(tmp_path) == {"file": content}


WRITER = """
import sys
from pathlib import Path
from sim.store.directory import Directory
directory = Directory(Path(sys.argv[1]))
with directory.locked():
    print("begun", flush=True)
    while True:
        for letter in b"ab":
            directory.save(directory.path / "run.json", bytes([letter]) * 3_000_000)
"""


def test_a_writer_that_is_killed_leaves_the_old_file_or_the_new_one(directory):
    rng = random.Random(2)
    torn = 0
    for _ in range(10):
        command = [sys.executable, "-c", WRITER, str(directory.path)]
        with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE) as writer:
            assert writer.stdout.readline() == b"begun\n"
            time.sleep(rng.uniform(0.01, 0.1))
            writer.send_signal(signal.SIGKILL)
        left = files(directory.path)
        whole = left.pop("run.json", b"a" * 3_000_000)
        assert whole in (b"a" * 3_000_000, b"b" * 3_000_000)
        assert all(re.fullmatch(r"\.run\.json\.\w+\.tmp", name) for name in left)
        torn += len(left)
    assert torn, "no kill came while a file was written"
    with directory.locked():
        assert set(files(directory.path)) == {"run.json"}


def test_a_part_that_was_not_adopted_when_a_run_ends_is_not_left(directory):
    def end_early() -> None:
        with directory.locked():
            directory.staged("back", 0).write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        end_early()
    assert files(directory.path) == {}


def test_a_staged_part_is_no_part_until_it_is_adopted(directory):
    experiment = built(LITTLE)
    directory.trials.mkdir(parents=True)
    content = encode(block_rows(experiment, "back", 0), header(experiment, "back", 0))
    directory.staged("back", 0).write_bytes(content)
    assert not directory.has(header(experiment, "back", 0))
    assert not any(map(len, coverage.parts(directory, experiment)))
    directory.adopt("back", 0)
    assert directory.has(header(experiment, "back", 0))
    assert files(directory.path) == {f"trials/{part_name('back', 0)}": content}


def test_two_writers_stage_in_files_of_their_own(directory):
    other = Directory(directory.path)
    assert directory.staged("back", 0) != other.staged("back", 0)
    assert directory.staged("back", 0) == directory.staged("back", 0)


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
from sim.cli.main import main
main()
"""


def test_a_full_disk_ends_the_run_and_spoils_nothing(tmp_path, finished):
    config = tmp_path / "coins.yaml"
    config.write_text(text(COINS))
    sizes = [len(content) for name, content in finished.items() if name.startswith("trials")]
    most = (min(sizes) + max(sizes)) // 2  # the last part of a bag is smaller
    command = [sys.executable, "-c", LIMITED, most, "run", config, "--out", tmp_path]
    done = subprocess.run([*map(str, command)], env=environment(), capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "too large" in done.stderr
    assert parts(tmp_path / "coins").items() <= named_parts(finished).items()
    assert not list(tmp_path.rglob("*.tmp"))
    sim.run(built(), out=tmp_path)
    assert tables(tmp_path / "coins") == only_tables(finished)


def named_parts(content: dict[str, bytes]) -> dict[str, bytes]:
    return {Path(name).name: data for name, data in content.items() if name.startswith("trials")}


def only_tables(content: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in content.items() if name.endswith(".parquet")}


# The lock


def test_only_one_writer_has_a_directory(directory):
    with directory.locked():
        assert directory.in_use()
        with pytest.raises(InUse, match="in use by another run") as fault, directory.locked():
            pass
        assert fault.value.exit_code == 4
    assert not directory.in_use()
    with directory.locked():
        pass


def test_asking_whether_a_directory_is_in_use_keeps_nobody_out(directory):
    with directory.locked():
        pass
    enough = Event()

    def ask() -> None:
        while not enough.is_set():
            directory.in_use()

    asker = Thread(target=ask)
    asker.start()
    try:
        for _ in range(60):
            with directory.locked():
                pass
    finally:
        enough.set()
        asker.join()


def test_an_error_lets_go_of_the_lock(directory):
    with pytest.raises(ZeroDivisionError), directory.locked():
        raise ZeroDivisionError
    assert not directory.in_use()


def test_a_run_that_is_killed_lets_go_of_the_lock(tmp_path):
    config = tmp_path / "coins.yaml"
    config.write_text(text(COINS, trials=10**7))
    directory = Directory(tmp_path / "coins")
    command = [KLSIM, "run", config, "--out", tmp_path, "--workers", "1"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as runner:
        assert waited_for(lambda: parts(directory.path))
        second = klsim("run", config, "--out", tmp_path)
        assert second.returncode == 4
        assert "in use by another run" in second.stderr
        assert status(directory.path)["in_use"]
        with pytest.raises(InUse):
            reanalyze(directory.path)
        runner.kill()
    assert not status(directory.path)["in_use"]
    with directory.locked():
        pass


def test_what_a_killed_writer_left_is_swept_and_never_read(tmp_path, finished):
    killed = Directory(tmp_path / "coins")
    token = killed.staged("back", 0).name.split(".")[-2]
    content = {f".{name}.{token}.tmp": b"half" for name in ("summary.parquet", "experiment.yaml")}
    content |= {f"trials/.{name}.{token}.tmp": b"half" for name in named_parts(finished)}
    laid(content, killed.path)
    assert killed.staged("out", 2).read_bytes() == b"half"
    sim.run(built(), out=tmp_path)
    assert tables(tmp_path / "coins") == only_tables(finished)
    assert not list((tmp_path / "coins").rglob("*.tmp"))


def test_who_has_no_lock_sweeps_nothing(directory):
    with directory.locked():
        staged = directory.staged("back", 0)
        staged.write_bytes(b"being written")
        with suppress(InUse), Directory(directory.path).locked():
            pass
        assert staged.read_bytes() == b"being written"


# Parts that are here


def stored(directory: Directory, plain: dict[str, Any], bag: str, index: int) -> None:
    experiment = built(plain)
    content = encode(block_rows(experiment, bag, index), header(experiment, bag, index))
    store(directory, bag, index, content)


def store(directory: Directory, bag: str, index: int, content: bytes) -> None:
    directory.staged(bag, index).write_bytes(content)
    directory.adopt(bag, index)


def test_a_part_counts_where_its_header_is_what_is_asked(directory):
    experiment = built(LITTLE)
    directory.trials.mkdir(parents=True)
    assert not directory.has(header(experiment, "back", 0))
    stored(directory, LITTLE, "back", 0)
    assert directory.has(header(experiment, "back", 0))
    assert not directory.has(header(experiment, "out", 0))
    for changes in ({"trials": 41}, {"seed": 8}, {"sizes": [5, 20, 30]}, {"unit": "bits"}):
        assert not directory.has(header(built(LITTLE, **changes), "back", 0))
    assert directory.has(header(built(LITTLE, about="Said otherwise.", name="renamed"), "back", 0))


@pytest.mark.parametrize("name", ["order of colours", "order of estimators"])
def test_a_part_whose_rows_stand_in_another_order_does_not_count(directory, name):
    directory.trials.mkdir(parents=True)
    stored(directory, LITTLE, "back", 0)
    assert not directory.has(header(built(LITTLE, **CHANGES[name][0]), "back", 0))


def test_a_part_from_other_arithmetic_or_another_stream_does_not_count(directory):
    experiment = built(LITTLE)
    directory.trials.mkdir(parents=True)
    head = header(experiment, "back", 0)
    for other in ({"canary": "0" * 16}, {"stream": 0}):
        content = encode(block_rows(experiment, "back", 0), {**head, **other})
        store(directory, "back", 0, content)
        assert not directory.has(header(experiment, "back", 0))


def test_parts_come_bag_by_bag_and_block_by_block(directory, finished):
    laid(finished, directory.path)
    bags = coverage.parts(directory, built())
    names = [path.name for parts in bags for path in parts.paths]
    assert names == [part_name(bag, index) for bag in ("back", "out") for index in range(3)]
    assert coverage.stored(directory, built(), "back") == 3


@pytest.mark.parametrize("missing", [[0], [1], [0, 1], [0, 2]], ids=str)
def test_a_part_beyond_a_gap_is_here_all_the_same(directory, finished, missing):
    one = built(bags={"back": COINS["bags"]["back"]})
    left = [index for index in range(3) if index not in missing]
    directory.trials.mkdir(parents=True)
    for index in left:
        name = part_name("back", index)
        (directory.trials / name).write_bytes(finished[f"trials/{name}"])
    (parts,) = coverage.parts(directory, one)
    assert [path.name for path in parts.paths] == [part_name("back", index) for index in left]
    assert coverage.stored(directory, one, "back") == len(left)


def test_a_directory_without_parts_has_none(directory):
    assert not any(map(len, coverage.parts(directory, built())))
    assert coverage.stored(directory, built(), "back") == 0


def test_files_that_are_no_parts_are_not_read(directory, finished):
    laid({**finished, "trials/mine.parquet": b"mine", "trials/notes.txt": b"x"}, directory.path)
    assert sum(map(len, coverage.parts(directory, built()))) == 6


# The experiment


def test_more_trials_go_on_and_leave_what_one_run_of_all_leaves(tmp_path):
    one_by_one = tmp_path / "steps"
    for trials in (10, 4096, 4097, 9000):
        sim.run(built(trials=trials), out=one_by_one)
    sim.run(built(), out=tmp_path / "once")
    assert tables(one_by_one / "coins") == tables(tmp_path / "once" / "coins")


def test_only_the_part_that_covers_less_is_computed_again(tmp_path):
    for trials in (5000, 9000):
        sim.run(built(trials=trials), out=tmp_path)
        facts = json.loads((tmp_path / "coins" / "run.json").read_text())
        assert facts["computed"] == 4
    assert facts["blocks"] == 6


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "seed": ({"seed": 8}, "seed: 7 there, 8 asked"),
    "sizes": ({"sizes": [5]}, "sizes: [5, 20] there, [5] asked"),
    "unit": ({"unit": "bits"}, 'unit: "nats" there, "bits" asked'),
    "fewer trials": ({"trials": 30}, "trials: 40 there, 30 asked"),
    "balls": (
        {"bags": {**COINS["bags"], "back": {"kind": "with_replacement", "balls": {"red": 1}}}},
        "bags.back.balls.red: 2 there, 1 asked",
    ),
    "a bag more": (
        {"bags": {**COINS["bags"], "third": COINS["bags"]["back"]}},
        "bags.third: nothing there, {",
    ),
    "an estimator less": (
        {"estimators": {"counting": {"kind": "plug_in"}}},
        "estimators.corrected: {",
    ),
    "no learner": ({"learners": {}}, "learners.laplace: {"),
    "order of bags": ({"bags": dict(reversed(COINS["bags"].items()))}, "the order of"),
    "order of estimators": (
        {"estimators": dict(reversed(COINS["estimators"].items()))},
        "the order of",
    ),
    "order of colours": (
        {
            "bags": {
                **COINS["bags"],
                "back": {"kind": "with_replacement", "balls": {"blue": 3, "red": 2}},
            }
        },
        "the order of",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_two_experiments_that_must_not_share_a_directory_differ_in_words(name):
    changes, expected = CHANGES[name]
    lines = differences(built(LITTLE), built(LITTLE, **changes))
    assert any(line.startswith(expected) for line in lines), lines


def test_every_difference_is_named_at_once():
    lines = differences(built(LITTLE), built(LITTLE, seed=8, unit="bits", trials=30))
    assert [line.partition(":")[0] for line in lines] == ["seed", "unit", "trials"]


@pytest.mark.parametrize(
    "changes", [{}, {"trials": 41}, {"about": "Else."}, {"name": "else"}], ids=str
)
def test_words_and_more_trials_make_no_other_experiment(changes):
    assert differences(built(LITTLE), built(LITTLE, **changes)) == []


@pytest.mark.parametrize("name", ["seed", "fewer trials", "order of colours"])
def test_a_different_experiment_is_refused_and_nothing_is_touched(tmp_path, name):
    changes, expected = CHANGES[name]
    folder = sim.run(built(LITTLE), out=tmp_path).path
    before = files(folder)
    with pytest.raises(DifferentExperiment) as fault:
        sim.run(built(LITTLE, **changes), out=tmp_path)
    assert fault.value.exit_code == 4
    assert expected in str(fault.value)
    assert files(folder) == before


def test_the_command_shows_the_difference_and_exits_4(tmp_path):
    config = tmp_path / "coins.yaml"
    config.write_text(text(LITTLE))
    sim.run(built(LITTLE), out=tmp_path)
    done = klsim("run", config, "--out", tmp_path, "--set", "seed=8", "--set", "unit=bits")
    assert done.returncode == 4
    assert "seed: 7 there, 8 asked" in done.stderr
    assert 'unit: "nats" there, "bits" asked' in done.stderr
    assert done.stdout == ""


def test_fresh_makes_room_for_another_experiment(tmp_path):
    sim.run(built(), out=tmp_path)
    sim.run(built(LITTLE, seed=8), out=tmp_path, fresh=True)
    sim.run(built(LITTLE, seed=8), out=tmp_path / "alone")
    assert tables(tmp_path / "coins") == tables(tmp_path / "alone" / "coins")


# Files of others

MINE = {
    "notes.md": b"my notes",
    "report/figure.png": b"\x89PNG",
    "trials/notes.md": b"more notes",
    "trials/mine.parquet": b"not a part",
    ".draft.tmp": b"my draft",
    "trials/.draft.tmp": b"my draft",
}


@pytest.mark.parametrize("name", MINE)
@pytest.mark.parametrize("fresh", [False, True], ids=["", "fresh"])
def test_a_file_that_no_run_wrote_stays_as_it_is(tmp_path, name, fresh):
    sim.run(built(LITTLE), out=tmp_path)
    laid({name: MINE[name]}, tmp_path / "coins")
    results = sim.run(built(LITTLE), out=tmp_path, fresh=fresh)
    assert files(tmp_path / "coins").get(name) == MINE[name]
    assert len(results.trials) == 40 * 2 * 2 * (2 * 2 + 1 + 3)


@pytest.mark.parametrize("fresh", [False, True], ids=["", "fresh"])
def test_a_directory_where_no_run_was_is_refused_and_left_alone(tmp_path, fresh):
    folder = laid(MINE, tmp_path / "coins")
    with pytest.raises(DifferentExperiment, match="files that no run wrote"):
        sim.run(built(LITTLE), out=tmp_path, fresh=fresh)
    assert files(folder) == MINE


def test_a_stranger_among_the_parts_outlives_even_a_first_fresh_run(tmp_path):
    laid({"trials/mine.parquet": b"not a part"}, tmp_path / "coins")
    with suppress(DifferentExperiment):  # to refuse is right as well
        sim.run(built(LITTLE), out=tmp_path, fresh=True)
    assert files(tmp_path / "coins").get("trials/mine.parquet") == b"not a part"


def test_an_empty_directory_is_taken(tmp_path):
    (tmp_path / "coins").mkdir()
    assert len(sim.run(built(LITTLE), out=tmp_path).trials) == 1280


@pytest.mark.parametrize("left", ["experiment.yaml", "run.json", "log.jsonl", "summary.parquet"])
def test_a_run_goes_on_where_one_of_its_own_files_is_gone(tmp_path, finished, left):
    folder = laid(finished, tmp_path / "coins")
    (folder / left).unlink()
    sim.run(built(), out=tmp_path)
    assert tables(folder) == only_tables(finished)
    assert read((folder / "experiment.yaml").read_text()) == built()


# Links, and what else is no file


@pytest.mark.parametrize("verb", ["run", "fresh", "extend"])
def test_a_link_in_the_place_of_the_folder_is_refused_and_not_followed(tmp_path, finished, verb):
    elsewhere = laid(finished, tmp_path / "elsewhere")
    (tmp_path / "coins").symlink_to(elsewhere)
    verbs = {"run": sim.run, "extend": sim.extend, "fresh": partial(sim.run, fresh=True)}
    with pytest.raises(Misplaced, match="coins: expected a folder of a run, got a symbolic link"):
        verbs[verb](built(), out=tmp_path)
    assert files(elsewhere) == finished


def test_a_link_that_the_user_names_by_out_is_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "elsewhere")
    sim.run(built(LITTLE), out=tmp_path / "out")
    assert (tmp_path / "elsewhere" / "coins" / "summary.parquet").is_file()


@pytest.mark.parametrize("name", ["trials", ".lock", "log.jsonl", "run.json", "summary.parquet"])
@pytest.mark.parametrize("fresh", [False, True], ids=["", "fresh"])
def test_a_link_in_the_place_of_a_file_is_refused_before_anything_is_written(
    tmp_path, finished, name, fresh
):
    folder = laid(finished, tmp_path / "coins")
    aim = tmp_path / "aim"
    aim.mkdir() if name == "trials" else aim.write_bytes(b"precious")
    if (folder / name).exists():
        (folder / name).rename(tmp_path / "away")
    (folder / name).symlink_to(aim)
    before = files(tmp_path)
    with pytest.raises(Misplaced, match=f"{name}: expected a .*, got a symbolic link") as fault:
        sim.run(built(), out=tmp_path, fresh=fresh)
    assert fault.value.exit_code == 4
    assert files(tmp_path) == before


def test_what_is_written_is_never_written_through_a_link(tmp_path):
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious")
    directory = Directory(tmp_path / "run")
    directory.trials.mkdir(parents=True)
    staged = directory.staged("back", 0)
    staged.symlink_to(precious)
    write_through(staged, b"part")
    assert (staged.read_bytes(), staged.is_symlink()) == (b"part", False)
    for name in (".lock", "log.jsonl", "run.json"):
        os.link(precious, directory.path / name)
    with directory.locked():
        directory.log("run")
        directory.save_run({})
    assert precious.read_bytes() == b"precious"


def test_the_log_keeps_what_stands_in_it_whatever_it_is(directory):
    directory.path.mkdir()
    for left in (b"\xff half a li", b"whole\n"):
        (directory.path / "log.jsonl").write_bytes(left)
        directory.log("run")
        first, second = (directory.path / "log.jsonl").read_bytes().splitlines()
        assert first == left.rstrip(b"\n")
        assert json.loads(second)["event"] == "run"


@pytest.mark.parametrize("spoilt", [b"name: {", b"\xff\xfe", b"", b"[" * 100_000], ids=repr)
def test_a_spoilt_experiment_is_told_with_two_ways_out(tmp_path, finished, spoilt):
    folder = laid({**finished, "experiment.yaml": spoilt}, tmp_path / "coins")
    for attempt in (
        lambda: sim.run(built(), out=tmp_path),
        lambda: sim.extend(built(), out=tmp_path),
        lambda: status(folder),
        lambda: reanalyze(folder),
    ):
        with pytest.raises(Unreadable, match=r"delete it and run its.*--fresh") as fault:
            attempt()
        assert fault.value.exit_code == 4
    (folder / "experiment.yaml").unlink()
    sim.run(built(), out=tmp_path)
    assert json.loads((folder / "run.json").read_text())["computed"] == 0
    (folder / "experiment.yaml").write_bytes(spoilt)
    sim.run(built(LITTLE), out=tmp_path, fresh=True)
    assert sim.open_results(folder).experiment == built(LITTLE)


# Parts of others


def test_the_tables_are_never_made_from_a_part_of_another_experiment(tmp_path, finished):
    folder = laid(finished, tmp_path / "coins")
    name = part_name("out", 1)
    others = (
        (built(seed=8), "out", 1),
        (built(), "back", 1),
        (built(), "out", 2),
        (built(unit="bits"), "out", 1),
        (built(estimators={"counting": {"kind": "jackknife"}}), "out", 1),
    )
    for experiment, bag, index in others:
        content = encode(block_rows(experiment, bag, index), header(experiment, bag, index))
        (folder / "trials" / name).write_bytes(content)
        with pytest.raises(DamagedPart, match=f"{name}: this part is not of the experiment"):
            reanalyze(folder)
    sim.run(built(), out=tmp_path)
    assert tables(folder) == only_tables(finished)


def test_a_part_that_older_random_streams_drew_is_told_by_its_version_and_drawn_anew(
    tmp_path, finished
):
    folder = laid(finished, tmp_path / "coins")
    part = folder / "trials" / part_name("out", 1)
    head = header(built(), "out", 1)
    assert head["stream"] == STREAM_VERSION
    part.write_bytes(encode(block_rows(built(), "out", 1), head | {"stream": 1}))
    told = f"expected random streams of version {STREAM_VERSION}; got a part drawn by version 1"
    with pytest.raises(DamagedPart, match=told):
        reanalyze(folder)
    sim.run(built(), out=tmp_path)
    assert tables(folder) == only_tables(finished)


@pytest.mark.parametrize("change", ["canary", "trials", "estimators"])
def test_the_tables_may_be_made_from_parts_of_another_machine_or_that_cover_less(
    tmp_path, finished, change
):
    folder = laid(finished, tmp_path / "coins")
    smaller = {"estimators": {"counting": {"kind": "plug_in"}}, "trials": 8500}
    experiment = built(**{key: smaller[key] for key in smaller if key == change})
    head = header(experiment, "out", 2) | ({"canary": "0" * 16} if change == "canary" else {})
    part = folder / "trials" / part_name("out", 2)
    part.write_bytes(encode(block_rows(experiment, "out", 2), head))
    summary = reanalyze(folder).summary
    assert set(summary["trials"]) <= {9000, 8500, 8192}


# Damage


def test_a_part_cut_short_is_computed_again(tmp_path, finished):
    folder = laid(finished, tmp_path / "coins")
    path = folder / "trials" / part_name("out", 1)
    path.write_bytes(path.read_bytes()[:-500])
    assert status(folder)["bags"] == {"back": (3, 3), "out": (2, 3)}
    sim.run(built(), out=tmp_path)
    assert tables(folder) == only_tables(finished)


def test_a_part_with_a_flipped_bit_is_named_and_only_its_block_is_computed_again(
    tmp_path, finished
):
    folder = laid(finished, tmp_path / "coins")
    path = folder / "trials" / part_name("back", 1)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    written = {each: each.stat().st_mtime_ns for each in path.parent.iterdir() if each != path}
    (folder / "summary.parquet").unlink()
    with pytest.raises(DamagedPart, match=re.escape(str(path))):
        _ = sim.open_results(folder).trials
    sim.run(built(), out=tmp_path)
    assert tables(folder) == only_tables(finished)
    assert json.loads((folder / "run.json").read_text())["computed"] == 1
    assert {each: each.stat().st_mtime_ns for each in written} == written
    told = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["part"] for line in told if line["event"] == "damaged"] == [path.name]


def test_a_part_from_before_checksums_is_computed_again_and_not_called_damaged(tmp_path, finished):
    folder = laid(finished, tmp_path / "coins")
    path = folder / "trials" / part_name("back", 1)
    pq.write_table(pq.read_table(path), path)
    sim.run(built(), out=tmp_path)
    assert tables(folder) == only_tables(finished)
    assert "damaged" not in (folder / "log.jsonl").read_text()


@pytest.mark.parametrize("name", ["summary", "convergence", "comparison"])
def test_a_damaged_table_is_named_with_what_mends_it(tmp_path, finished, name):
    folder = laid(finished, tmp_path / "coins")
    path = folder / f"{name}.parquet"
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(content)
    with pytest.raises(NoResults, match=f"{name}.parquet is damaged.*klsim analyze"):
        Directory(folder).table(name)
    reanalyze(folder)
    assert tables(folder) == only_tables(finished)


@pytest.mark.parametrize("name", ["summary", "convergence", "comparison"])
def test_a_table_that_was_not_made_is_named_with_what_makes_it(directory, name):
    with pytest.raises(NoResults, match=f"{name}.parquet is not there.*klsim analyze"):
        directory.table(name)


# What others read


def test_the_parts_read_as_one_table_with_the_declared_schema(tmp_path, finished):
    trials = laid(finished, tmp_path / "coins") / "trials"
    dataset = ds.dataset(trials)
    assert dataset.schema.equals(TRIALS)
    rows = dataset.to_table()
    assert rows.num_rows == 2 * 9000 * 2 * (5 + 3)
    assert rows.column("trial").to_pylist()[-1] == 8999
    picked = dataset.to_table(filter=(ds.field("bag") == "out") & (ds.field("size") == 20))
    assert picked.num_rows == 9000 * (5 + 3)
    assert pq.read_table(trials).schema.equals(TRIALS)


def test_pandas_reads_the_folder_of_parts(tmp_path, finished):
    frame = pd.read_parquet(laid(finished, tmp_path / "coins") / "trials")
    assert list(frame.columns) == TRIALS.names
    assert len(frame) == 2 * 9000 * 2 * (5 + 3)
    assert set(frame["bag"]) == {"back", "out"}
    assert (frame["status"] == "ok").all()
    keys = ["bag", "model", "target", "estimator", "size", "trial"]
    assert not frame.duplicated(keys).any()


@pytest.mark.parametrize(("name", "schema"), [("summary", SUMMARY), ("convergence", CONVERGENCE)])
def test_a_table_has_its_schema_and_carries_the_experiment(tmp_path, finished, name, schema):
    folder = laid(finished, tmp_path / "coins")
    table = pq.read_table(folder / f"{name}.parquet")
    assert table.schema.equals(schema)
    assert read(table.schema.metadata[b"klsim.experiment"].decode()) == built()


def test_a_saved_table_is_cast_to_its_schema(directory):
    directory.path.mkdir()
    row = dict.fromkeys(SUMMARY.names) | {"bag": "back", "size": 5, "mean": float("inf")}
    directory.save_experiment(dump(built()))
    directory.save_table("summary", pa.Table.from_pylist([row], schema=SUMMARY))
    back = directory.table("summary")
    assert back.schema.equals(SUMMARY)
    assert back.to_pylist() == [row]


def test_every_line_of_the_log_is_json_with_a_time(directory):
    directory.path.mkdir()
    directory.log("run", digest="x\n", pid=os.getpid())
    directory.log("done", seconds=1.5)
    lines = [json.loads(line) for line in (directory.path / "log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["run", "done"]
    assert all(pd.Timestamp(line["time"]).tz is not None for line in lines)


def test_labels_of_any_characters_make_safe_files_and_stay_as_they_are_in_the_tables(tmp_path):
    labels = [
        "../../up",
        "a/b",
        "a b",
        "a_b",
        "..",
        ".hidden",
        "红色 🎲",
        "$(x) ';\"<b>",
        "x" * 200,
    ]
    bags = dict.fromkeys(labels, COINS["bags"]["back"])
    models = {label: {"kind": "uniform"} for label in labels[:3]}
    experiment = built({**COINS, **SMALL}, bags=bags, models=models)
    results = sim.run(experiment, out=tmp_path)
    here = set(files(tmp_path))
    assert {Path(name).parent.as_posix() for name in here} == {"coins", "coins/trials"}
    assert len(parts(results.path)) == len(labels)
    assert list(results.summary["bag"].drop_duplicates()) == labels
    assert set(results.trials["bag"]) == set(labels)
    assert set(results.trials["model"].dropna()) == set(labels[:3])
    assert sim.open_results(results.path).experiment == experiment
