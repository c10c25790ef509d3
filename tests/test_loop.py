"""The loop computes every block once, whoever dies on the way, and says which block is guilty."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from faulty import guilty, install, install_here
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import COINS, built, faulty, files, klsim, lives, parts, text

from sim.engines import Engine
from sim.engines.workers import SerialWorkers, Workers
from sim.experiment import Experiment
from sim.loop.complete import Judge, all_blocks, complete
from sim.loop.crew import Block, BlockFailed
from sim.store.directory import Directory
from sim.store.parts import part_name, read_header

SERIAL = Engine("serial")
PAIR = Engine("processes", 2)


@pytest.fixture(autouse=True)
def _faulty_bags(tmp_path, monkeypatch):
    install_here(tmp_path / "installed", monkeypatch)


def run(
    experiment: Experiment,
    folder: Path,
    engine: Engine = SERIAL,
    progress: Callable[[int, int], None] = lambda done, total: None,
    judges: Mapping[str, Judge] = MappingProxyType({}),
) -> int:
    directory = Directory(folder)
    with directory.locked():
        return complete(experiment, directory, engine, progress, judges)


def names(experiment: Experiment, blocks: Iterator[Block] | list[Block]) -> list[str]:
    return [part_name(block.bag, block.index) for block in blocks]


# The order of blocks


def test_blocks_come_round_by_round_in_the_order_of_the_bags():
    experiment = built(faulty(20, one={}, two={}))
    expected = [("one", 0), ("two", 0), ("one", 1), ("two", 1), ("one", 2), ("two", 2)]
    assert [(block.bag, block.index) for block in all_blocks(experiment)] == expected


def test_a_bag_with_fewer_blocks_ends_sooner():
    wide = {"kind": "with_replacement", "balls": {"uniform": {"colours": 100_000}}}
    experiment = built(COINS, trials=200, bags={**COINS["bags"], "wide": wide})
    expected = [("back", 0), ("out", 0), ("wide", 0), ("wide", 1), ("wide", 2)]
    assert [(block.bag, block.index) for block in all_blocks(experiment)] == expected


@settings(deadline=None, derandomize=True, max_examples=30)
@given(trials=st.integers(1, 10**6), bags=st.integers(1, 4))
def test_every_block_comes_once_and_a_stop_leaves_all_bags_alike(trials, bags):
    balls = {"uniform": {"colours": 100}}
    labels = {f"bag {i}": {"kind": "with_replacement", "balls": balls} for i in range(bags)}
    experiment = built(COINS, trials=trials, bags=labels)
    blocks = list(all_blocks(experiment))
    assert len(set(blocks)) == len(blocks) == bags * -(-trials // 4096)
    done = dict.fromkeys(labels, 0)
    for block in blocks:
        assert block.index == done[block.bag]
        done[block.bag] += 1
        assert max(done.values()) - min(done.values()) <= 1


def test_parts_appear_in_the_order_of_the_blocks(tmp_path):
    experiment = built(faulty(40, one={}, two={}))
    seen: list[str] = []

    def look(done: int, total: int) -> None:
        seen.extend(sorted(set(parts(tmp_path / "run")) - set(seen)))

    run(experiment, tmp_path / "run", progress=look)
    assert seen == names(experiment, all_blocks(experiment))


def test_progress_counts_trials_to_the_last_one_of_a_block_that_is_not_full(tmp_path):
    experiment = built(faulty(20, one={}, two={}))
    told: list[tuple[int, int]] = []
    run(experiment, tmp_path / "run", progress=lambda *numbers: told.append(numbers))
    assert told == [(8, 40), (16, 40), (24, 40), (32, 40), (36, 40), (40, 40)]


def test_what_is_stored_is_counted_and_not_computed_again(tmp_path):
    experiment = built(faulty(40, one={}, two={}))
    assert run(experiment, tmp_path / "run") == 10
    gone = [tmp_path / "run" / "trials" / part_name(*place) for place in (("one", 1), ("two", 4))]
    for path in gone:
        path.unlink()
    before = parts(tmp_path / "run")
    told: list[tuple[int, int]] = []
    computed = run(experiment, tmp_path / "run", progress=lambda *numbers: told.append(numbers))
    assert computed == 2
    assert [done for done, _ in told] == list(range(8, 81, 8))
    assert before.items() <= parts(tmp_path / "run").items()
    assert run(experiment, tmp_path / "run") == 0


def test_a_trillion_trials_begin_at_once(tmp_path):
    class Enough(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done >= 24:
            raise Enough

    experiment = built(faulty(10**12, one={}, two={}))
    with pytest.raises(Enough):
        run(experiment, tmp_path / "run", progress=stop)
    expected = {part_name(*place) for place in (("one", 0), ("two", 0), ("one", 1))}
    assert set(parts(tmp_path / "run")) == expected


# The window


@dataclass
class Watch:
    """What was seen of the executors that an engine opened."""

    opened: int = 0
    handed_out: int = 0
    kept: int = 0
    most: int = 0

    def keep(self, done: int, total: int) -> None:
        self.kept += 1


class Counting(Workers):
    """Counts the blocks that are handed out and not yet kept."""

    watch: Watch

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.watch.handed_out += 1
        self.watch.most = max(self.watch.most, self.watch.handed_out - self.watch.kept)
        return super().submit(fn, *args, **kwargs)


class CountingThreads(Counting, ThreadPoolExecutor):
    """Computes in threads."""


class CountingHere(Counting, SerialWorkers):
    """Computes here, one block after the other."""


@dataclass(frozen=True)
class Watched(Engine):
    """Computes in this process and lets itself be watched."""

    watch: Watch = field(default_factory=Watch)

    @contextmanager
    def open(self, workers: int | None = None) -> Iterator[Executor]:
        self.watch.opened += 1
        number = workers or self.workers
        with CountingThreads(number) if self.parallel else CountingHere() as executor:
            executor.watch = self.watch
            if self.parallel:
                executor.window = 2 * self.workers
            yield executor


@pytest.mark.parametrize(
    ("name", "workers", "window"),
    [("serial", 1, 2), ("processes", 1, 2), ("processes", 2, 4), ("processes", 3, 6)],
)
def test_twice_as_many_blocks_as_workers_are_in_hand_and_no_more(tmp_path, name, workers, window):
    engine = Watched(name, workers)
    assert run(built(faulty(160, one={})), tmp_path / "run", engine, engine.watch.keep) == 20
    assert engine.watch.most == window
    assert engine.watch.opened == 1


def test_no_workers_are_started_where_nothing_is_missing(tmp_path):
    experiment = built(faulty(40, one={}))
    engine = Watched("processes", 2)
    run(experiment, tmp_path / "run", engine)
    run(experiment, tmp_path / "run", engine)
    assert engine.watch.opened == 1


# A worker dies


def workers() -> list[int]:
    """Return the living workers of this process."""
    return [child.pid for child in multiprocessing.active_children() if lives(child.pid)]


def test_a_run_goes_on_to_the_same_bytes_after_workers_are_killed_one_and_later_all(tmp_path):
    experiment = built(faulty(48, one={"pause": 0.05}, two={"pause": 0.05}))
    run(experiment, tmp_path / "quiet")
    deaths = {1: 1, 6: 2}  # after so many blocks so many workers
    killed: list[int] = []

    def kill(done: int, total: int) -> None:
        due = [blocks for blocks in deaths if blocks <= done // 8]
        if due and workers():
            for pid in workers()[: deaths.pop(due[0])]:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    assert run(experiment, tmp_path / "run", PAIR, kill) == 12
    assert len(set(killed)) == 3
    assert parts(tmp_path / "run") == parts(tmp_path / "quiet")
    assert not workers()


def test_a_block_that_always_kills_its_worker_is_named_and_finished_ones_are_kept(tmp_path):
    wrong = {"fault": "exit", "share": 0.2}
    plain = faulty(80, good={}, bad=wrong)
    experiment = built(plain)
    first = guilty(experiment, "bad")[0]
    assert 0 < first < 9
    with pytest.raises(BlockFailed) as failure:
        run(experiment, tmp_path / "run", PAIR)
    assert re.match(f"block {first} of bag 'bad': .* died", str(failure.value))
    before = names(experiment, list(all_blocks(experiment))[: 2 * first + 1])
    kept = parts(tmp_path / "run")
    assert kept.keys() >= set(before)
    healthy = built(faulty(80, good={}, bad={**wrong, "share": 0.0}))
    run(healthy, tmp_path / "quiet")
    good = {name: part for name, part in kept.items() if name.startswith("good")}
    assert good.items() <= parts(tmp_path / "quiet").items()
    assert not workers()


@pytest.mark.parametrize("engine", [SERIAL, PAIR], ids=repr)
@pytest.mark.parametrize(
    ("fault", "message"),
    [("raise", "RuntimeError: the bag is torn"), ("odd", "Odd: the bag is torn")],
)
def test_a_block_that_raises_is_named_with_its_error(tmp_path, engine, fault, message):
    experiment = built(faulty(80, bad={"fault": fault, "share": 0.2}))
    first = guilty(experiment, "bad")[0]
    with pytest.raises(BlockFailed) as failure:
        run(experiment, tmp_path / "run", engine)
    said = str(failure.value)
    assert said.startswith(f"block {first} of bag 'bad' failed: {message}")
    assert "same command goes on" in said
    assert all(map(read_header, (tmp_path / "run" / "trials").iterdir()))
    assert not workers()


class AtOnce(Engine):
    """Hands out a window of blocks that are all done before anybody looks."""

    @contextmanager
    def open(self, workers: int | None = None) -> Iterator[Executor]:
        hands = SerialWorkers()
        hands.window = 2 * self.workers
        yield hands


@pytest.mark.parametrize("seed", range(4))
def test_a_block_that_is_done_when_another_fails_is_kept(tmp_path, seed):
    experiment = built(faulty(80, bad={"share": 0.2}), seed=seed)
    failing = guilty(experiment, "bad")
    assert failing
    with pytest.raises(BlockFailed):
        run(experiment, tmp_path / "run", AtOnce("processes", 5))
    assert len(parts(tmp_path / "run")) == 10 - len(failing)


@pytest.mark.parametrize(("fault", "engine"), [("raise", "serial"), ("kill", "processes")])
def test_the_command_names_the_block_and_exits_1(tmp_path, fault, engine):
    plain = faulty(80, good={}, bad={"fault": fault, "share": 0.2})
    config = tmp_path / "faulty.yaml"
    config.write_text(text(plain))
    options = ("--out", tmp_path, "--engine", engine, "--workers", 2)
    done = klsim("run", config, *options, paths=(install(tmp_path / "elsewhere"),))
    first = guilty(built(plain), "bad")[0]
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"klsim: block {first} of bag 'bad'")
    assert "Traceback" not in done.stderr
    kept = parts(tmp_path / "faulty")
    assert len(kept) >= 2 * first + 1
    assert not (tmp_path / "faulty" / "summary.parquet").exists()
    status = klsim("status", tmp_path / "faulty", "--json", paths=(tmp_path / "elsewhere",))
    told = json.loads(status.stdout)
    assert told["complete"] is False
    assert sum(stored for stored, _ in told["bags"].values()) == len(kept)


@pytest.mark.parametrize("engine", [SERIAL, PAIR], ids=repr)
def test_an_interrupted_run_goes_on_to_the_same_bytes(tmp_path, engine):
    experiment = built(faulty(40, one={}, two={}))
    run(experiment, tmp_path / "quiet")

    def interrupt(done: int, total: int) -> None:
        if done >= 24:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(experiment, tmp_path / "run", engine, interrupt)
    kept = parts(tmp_path / "run")
    assert 3 <= len(kept) < 10
    assert run(experiment, tmp_path / "run", engine) == 10 - len(kept)
    assert files(tmp_path / "run") == files(tmp_path / "quiet")


# The engine that chooses


def test_a_small_run_starts_no_worker_of_its_own_accord(tmp_path):
    seen: set[int] = set()
    engine = Watched("auto", 2)
    run(built(faulty(40, one={})), tmp_path / "run", engine, lambda *_: seen.update(workers()))
    assert not seen
    assert engine.watch.opened == 0


def test_a_long_run_goes_over_to_workers_and_to_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr("sim.loop.complete.TRIED", 0.05)
    monkeypatch.setattr("sim.loop.complete.WORTH_WORKERS", 0.5)
    experiment = built(faulty(80, one={"pause": 0.1}))
    run(experiment, tmp_path / "quiet")
    crew: list[int] = []
    done = run(experiment, tmp_path / "run", Engine("auto", 2), lambda *_: crew.append(workers()))
    assert done == 10
    assert crew[0] == []
    assert len(crew[-1]) == 2
    assert parts(tmp_path / "run") == parts(tmp_path / "quiet")


def test_what_was_stored_before_is_not_taken_for_fast_work(tmp_path, monkeypatch):
    monkeypatch.setattr("sim.loop.complete.TRIED", 0.05)
    monkeypatch.setattr("sim.loop.complete.WORTH_WORKERS", 0.4)
    experiment = built(faulty(240, one={"pause": 0.1}))
    most = built(faulty(160, one={"pause": 0.1}))
    run(most, tmp_path / "run")
    engine = Watched("auto", 2)
    assert run(experiment, tmp_path / "run", engine) == 10
    assert engine.watch.opened == 1
