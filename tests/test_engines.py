"""Every engine computes the same and leaves no process behind, however it ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor
from functools import partial

import faulty
import pytest
import runs
from runs import built, environment, lives, waited_for

import sim
from sim.engines import ENGINES, Engine
from sim.engines.workers import Rest, SerialWorkers

EVERY = [Engine("serial"), Engine("auto", 1), Engine("processes", 1), Engine("processes", 2)]
POOL = Engine("processes", 2)


def children() -> set[int]:
    return {child.pid for child in multiprocessing.active_children()}


@pytest.mark.parametrize("engine", EVERY, ids=repr)
def test_an_engine_gives_the_results_in_the_order_of_the_tasks(engine):
    with engine.open() as executor:
        assert list(executor.map(pow, [2, 3, 4], [5, 6, 7])) == [32, 729, 16384]


@pytest.mark.parametrize("engine", EVERY, ids=repr)
def test_an_error_waits_in_its_future_and_the_next_task_is_done(engine):
    with engine.open() as executor:
        failed, next_one = executor.submit(faulty.fail), executor.submit(pow, 2, 3)
        error = failed.exception()
        assert isinstance(error, ValueError)
        assert str(error) == "no"
        assert next_one.result() == 8


def test_the_serial_executor_works_here_and_at_once():
    future = SerialWorkers().submit(faulty.pid)
    assert future.done()
    assert future.result() == os.getpid()


def test_the_serial_executor_takes_arguments_by_place_and_by_name():
    assert SerialWorkers().submit(int, "ff", base=16).result() == 255


def test_the_serial_executor_does_not_hold_back_an_interrupt():
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SerialWorkers().submit(interrupted)


def test_the_rest_of_a_task_is_done_beside_the_next_one():
    come = threading.Event()
    with Engine("serial").open() as executor:
        first = executor.submit(Rest, partial(come.wait, 10))
        assert not first.done()
        second = executor.submit(come.set)
        assert second.done()
        assert first.result() is True


def test_an_error_comes_in_its_turn_after_a_rest():
    come = threading.Event()
    with Engine("serial").open() as executor:
        first, failed = executor.submit(Rest, partial(come.wait, 10)), executor.submit(faulty.fail)
        assert not failed.done()
        come.set()
        assert str(failed.exception()) == "no"
        assert first.done()


def test_what_a_rest_raises_waits_in_its_future():
    with Engine("serial").open() as executor:
        assert str(executor.submit(Rest, faulty.fail).exception()) == "no"


def test_an_interrupt_waits_for_the_rest_in_hand_and_begins_no_other():
    begun, done = threading.Event(), []

    def first() -> None:
        begun.set()
        time.sleep(0.2)
        done.append("first")

    def interrupted() -> None:
        with Engine("serial").open() as executor:
            executor.submit(Rest, first)
            executor.submit(Rest, partial(done.append, "second"))
            begun.wait(10)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == ["first"]


def test_without_a_rest_nothing_is_computed_ahead():
    with Engine("serial").open() as executor:
        executor.submit(pow, 2, 3)
        assert executor.window == 1
        executor.submit(Rest, partial(pow, 2, 3))
        assert executor.window == 2


@pytest.mark.parametrize(
    ("engine", "parallel", "hesitant"),
    [
        (Engine(), False, False),
        (Engine("serial", 8), False, False),
        (Engine("auto", 1), False, False),
        (Engine("auto", 2), True, True),
        (Engine("processes", 1), True, False),
        (Engine("processes", 2), True, False),
    ],
    ids=repr,
)
def test_only_processes_and_more_than_one_automatic_worker_are_parallel(engine, parallel, hesitant):
    assert engine.parallel is parallel
    assert engine.hesitant is hesitant
    assert engine.name in ENGINES


@pytest.mark.parametrize(("asked", "number"), [(None, 2), (1, 1)])
def test_workers_are_other_processes_as_many_as_asked_for(asked, number):
    before = children()
    with POOL.open(asked) as executor:
        done = set(executor.map(faulty.nap, [0.05] * 6))
        mine = children() - before
    assert os.getpid() not in done
    assert done <= mine
    assert len(mine) == number


def test_workers_are_spawned_they_know_nothing_of_what_changed_here(monkeypatch):
    monkeypatch.setattr(faulty, "GREETING", "goodbye")
    with Engine("processes", 1).open() as executor:
        assert executor.submit(faulty.greet).result() == "hello"


def test_a_worker_ignores_an_interrupt_the_coordinator_decides():
    with Engine("processes", 1).open() as executor:
        assert executor.submit(faulty.interrupt_oneself).result() == "still here"
        assert executor.submit(pow, 2, 3).result() == 8


def test_a_worker_computes_with_one_thread_whatever_it_loads_later(monkeypatch):
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    with Engine("processes", 1).open() as executor:
        threads = executor.submit(faulty.threads).result()
    assert threads
    assert set(threads.values()) == {1}, threads


def test_a_worker_ignores_an_interrupt_from_its_first_moment():
    before = children()
    with Engine("processes", 1).open() as executor:
        greeting = executor.submit(faulty.greet)
        (worker,) = children() - before
        while not greeting.done():
            os.kill(worker, signal.SIGINT)
            time.sleep(0.01)
        assert greeting.result() == "hello"


@pytest.mark.parametrize("engine", ["serial", "processes"])
def test_a_block_of_a_run_is_drawn_with_one_thread(tmp_path, monkeypatch, engine):
    faulty.install_here(tmp_path / "installed", monkeypatch)
    bag = {"fault": "threads", "share": 1.0}
    results = sim.run(built(runs.faulty(16, bag=bag)), out=tmp_path, engine=engine)
    assert len(results.trials) == 2 * 16


def test_the_death_of_a_worker_breaks_the_pool():
    with pytest.raises(BrokenExecutor), POOL.open() as executor:
        executor.submit(faulty.end_at_once).result()


def test_a_pool_that_was_closed_has_no_workers_left():
    before = children()
    with POOL.open() as executor:
        list(executor.map(faulty.nap, [0.1] * 4))
        assert children() > before
    assert children() == before


def leave_busy_workers_by(error: type[BaseException], seen: set[int]) -> None:
    with POOL.open() as executor:
        executor.submit(faulty.nap, 0.0).result()
        for _ in range(6):
            executor.submit(faulty.nap, 60.0)
        seen.update(children())
        raise error


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_no_worker_is_left_after_an_exception_even_a_busy_one(error):
    before = children()
    begun = time.monotonic()
    seen: set[int] = set()
    with pytest.raises(error):
        leave_busy_workers_by(error, seen)
    mine = seen - before
    assert len(mine) == 2
    assert not any(map(lives, mine))
    assert time.monotonic() - begun < 30


def test_workers_end_with_a_coordinator_that_is_killed_busy_or_idle():
    coordinator = subprocess.Popen(
        [sys.executable, "-c", "import faulty; faulty.sleep_in_workers()"],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with coordinator:
        workers = [int(word) for word in coordinator.stdout.readline().split()]
        assert len(workers) == 2
        assert all(map(lives, workers))
        coordinator.kill()
    assert waited_for(lambda: not any(map(lives, workers)))
