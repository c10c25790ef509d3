"""Work that is spread over workers gives what `map` gives, whatever becomes of the workers."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import struct
import time
from array import array
from collections import deque
from functools import partial
from math import inf
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from runs import COINS, built, tables

import sim
from sim.api import reanalyze
from sim.engines import Engine
from sim.loop import spread as spreading
from sim.loop.spread import pieces, spread
from sim.store.directory import Directory
from sim.store.part_files import PartFiles
from sim.store.parts import DamagedPart, Parts, part_name

PAIR = Engine("processes", 2)


def pid_and_square(number: int) -> tuple[int, int]:
    """Return who worked, and the result; the first takes longest."""
    time.sleep(0.3 if number == 2 else 0.0)
    return os.getpid(), number * number


def die_at(deadly: int, coordinator: int, number: int) -> int:
    """Return a square, but die at one number in whatever worker meets it."""
    if number == deadly and os.getpid() != coordinator:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def fail(number: int) -> int:
    if number == 3:
        raise DamagedPart("this part is damaged")
    return number


def test_two_workers_do_what_map_does_in_the_same_order_and_stay_for_the_next():
    before = set(multiprocessing.active_children())
    with spread(PAIR, worth=0) as mapped:
        first, second = (list(mapped(pid_and_square, range(1, 9))) for _ in range(2))
        mine = set(multiprocessing.active_children()) - before
    assert [square for _, square in first] == [n * n for n in range(1, 9)]
    assert [square for _, square in second] == [n * n for n in range(1, 9)]
    assert first[0][0] == os.getpid()  # by which it is guessed what the rest takes
    workers = {child.pid for child in mine}
    assert {pid for pid, _ in first[1:]} | {pid for pid, _ in second} <= workers
    assert len(workers) == 2
    assert set(multiprocessing.active_children()) == before


@pytest.mark.parametrize(
    ("engine", "worth"), [(PAIR, inf), (Engine("serial"), 0), (Engine("auto", 1), 0)], ids=str
)
def test_workers_are_started_only_where_they_pay_and_are_asked_for(engine, worth):
    with spread(engine, worth) as mapped:
        done = list(mapped(pid_and_square, range(3)))
    assert done == [(os.getpid(), n * n) for n in range(3)]


def test_work_in_the_hands_of_workers_that_die_is_done_here(caplog):
    work = partial(die_at, 4, os.getpid())
    with spread(PAIR, worth=0) as mapped:
        assert list(mapped(work, range(12))) == [n * n for n in range(12)]
        assert list(mapped(work, range(3))) == [0, 1, 4]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "a worker died" in caplog.text


def send_half(theirs: Connection) -> None:
    """Announce a megabyte, send a kilobyte of it, and die."""
    os.write(theirs.fileno(), struct.pack("!i", 2**20) + b"x" * 2**10)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_dies_while_it_sends_its_result_keeps_nobody_waiting(caplog):
    with spread(PAIR, worth=0) as mapped:
        assert list(mapped(abs, [-1, -2])) == [1, 2]
        ours, theirs = Pipe(duplex=False)
        future = mapped.workers.submit(send_half, theirs)
        held = deque([spreading._Answer(-3, future, ours, theirs)])
        assert mapped._first(abs, held) == 3
        assert list(mapped(abs, [-4, -5])) == [4, 5]
    assert caplog.text.count("a worker died") == 1


def test_what_a_worker_raises_is_raised_here_and_nothing_is_left():
    with (
        pytest.raises(DamagedPart, match="this part is damaged"),
        spread(PAIR, worth=0) as mapped,
    ):
        list(mapped(fail, range(9)))
    assert not multiprocessing.active_children()


@pytest.fixture(scope="module")
def serial(tmp_path_factory) -> Path:
    return sim.run(built(COINS), out=tmp_path_factory.mktemp("serial"), engine="serial").path


def test_the_tables_are_the_same_bytes_where_workers_read_the_parts(serial, monkeypatch):
    before = tables(serial)
    monkeypatch.setattr("sim.api.spread", partial(spread, worth=0))
    asked, send = [], spreading._Answer.asked
    monkeypatch.setattr(spreading._Answer, "asked", lambda *task: asked.append(task) or send(*task))
    reanalyze(serial, workers=2, engine="processes")
    assert tables(serial) == before
    assert len(asked) == 2 * 3 - 1  # the first piece is read here


def test_a_part_that_is_damaged_is_told_of_by_workers_too(serial, monkeypatch):
    monkeypatch.setattr("sim.api.spread", partial(spread, worth=0))
    path = serial / "trials" / part_name("out", 1)
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    try:
        with pytest.raises(DamagedPart, match=path.name):
            reanalyze(serial, workers=2, engine="processes")
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize(("number", "size"), [(1, 1), (23, 1), (24, 2), (96, 4), (60_000, 100)])
def test_pieces_grow_as_the_root_of_the_parts(tmp_path, number, size):
    directory = Directory(tmp_path)
    paths = tuple(directory.part("back", index) for index in range(number))
    found = pieces([Parts(paths)])
    assert [len(piece) for piece in found[:-1]] == [size] * (len(found) - 1)
    assert 1 <= len(found[-1]) <= size
    assert tuple(path for piece in found for path in piece.paths) == paths


def test_a_piece_is_of_one_bag(tmp_path):
    directory = Directory(tmp_path)
    bags = [PartFiles(directory.trials, bag, array("q", range(31))) for bag in ("back", "out")]
    found = pieces(map(Parts, bags))
    assert [len(piece) for piece in found] == [*[2] * 15, 1] * 2
    assert [path for piece in found for path in piece.paths] == [
        directory.part(bag, index) for bag in ("back", "out") for index in range(31)
    ]


def test_the_files_of_a_billion_trials_take_little_room(tmp_path):
    blocks = array("q", range(10**9 // 4096 + 1))
    found = pieces([Parts(PartFiles(tmp_path, "back", blocks))])
    assert sum(map(len, found)) == len(blocks)
    assert len(pickle.dumps(found)) < 10 * len(blocks)
    assert found[-1].paths[-1] == tmp_path / part_name("back", len(blocks) - 1)
