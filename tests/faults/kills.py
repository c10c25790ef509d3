"""Kill −9 of the coordinator, of workers, of all: at random moments, again and again."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterable, Sequence

import psutil

from .moments import (
    MOMENTS,
    Moment,
    after,
    between_parts,
    while_a_part_is_written,
    while_a_table_is_written,
    while_it_loads,
    while_it_starts,
)
from .records import fault
from .scenes import LIMIT, LONGEST, STOPPING, Bench, Run, Scene

CREW = ("--workers", 2, "--engine", "processes")
SERIAL = ("--engine", "serial")
Blow = Callable[[Run, random.Random], bool]
"""What strikes a run; returns whether it found what it is aimed at alive."""


def coordinator(run: Run, rng: random.Random) -> bool:
    return _killed([run.process.pid])


def everyone(run: Run, rng: random.Random) -> bool:
    os.killpg(run.process.pid, signal.SIGKILL)
    return True


def coordinator_or_everyone(run: Run, rng: random.Random) -> bool:
    return rng.choice((coordinator, everyone))(run, rng)


def one_worker(run: Run, rng: random.Random) -> bool:
    there = workers(run)
    return bool(there) and _killed([rng.choice(there)])


def all_workers(run: Run, rng: random.Random) -> bool:
    return _killed(workers(run))


def workers(run: Run) -> list[int]:
    """Return the worker processes of a run."""
    try:
        children = psutil.Process(run.process.pid).children()
        return [child.pid for child in children if "spawn_main" in " ".join(child.cmdline())]
    except psutil.Error:
        return []


def _killed(pids: Iterable[int]) -> bool:
    number = 0
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
            number += 1
        except ProcessLookupError:
            continue
    return number > 0


def struck(run: Run, is_due: Callable[[], bool], blow: Blow, rng: random.Random) -> bool:
    """Strike a run when it is time; return whether it still ran."""
    end = after(LIMIT)
    while not is_due() and run.process.poll() is None and not end():
        time.sleep(0.0005)
    return run.process.poll() is None and blow(run, rng)


def chain(
    bench: Bench,
    scene: Scene,
    blow: Blow,
    verb: str = "run",
    options: tuple[object, ...] = CREW,
    moments: Sequence[Moment] = MOMENTS,
) -> None:
    """Strike runs in one directory, one after the other, each at its moment; then let one end."""
    for moment in moments[:: 2 if bench.light else 1]:
        is_due = moment(scene, bench.rng.random())
        run = scene.start(verb, *options)
        struck(run, is_due, blow, bench.rng)
        scene.watch(run, {0, -signal.SIGKILL})  # 0: it was on its way out already
        bench.record.attempt(run.process.returncode == -signal.SIGKILL)
    scene.go_on(verb, *(SERIAL if options else ()))  # by others, to the same bits


@fault("kill −9 of the coordinator", rounds=7)
def kill_coordinator(bench: Bench) -> None:
    chain(bench, bench.scene(bench.plain), coordinator)


@fault("kill −9 of coordinator and workers at once", rounds=7)
def kill_both(bench: Bench) -> None:
    chain(bench, bench.scene(bench.plain), everyone)


@fault("kill −9 of a run without workers", rounds=3)
def kill_serial(bench: Bench) -> None:
    chain(bench, bench.scene(bench.plain), coordinator, options=SERIAL)


@fault("kill −9 of a run with `stop`", rounds=3)
def kill_stopping(bench: Bench) -> None:
    scene = bench.scene(STOPPING)
    longest = bench.quiet.of(LONGEST)  # workers are ahead of the rule that ends a bag
    scene.allow({name: content for name, content in longest.items() if name.startswith("trials")})
    chain(bench, scene, coordinator_or_everyone)


@fault("kill −9 of `extend`", rounds=3)
def kill_extend(bench: Bench) -> None:
    scene = bench.scene(bench.larger, begun=bench.plain)
    chain(bench, scene, coordinator_or_everyone, verb="extend")


@fault("kill −9 of `analyze`", rounds=2)
def kill_analyze(bench: Bench) -> None:
    scene = bench.scene(bench.plain, begun=bench.plain)
    moments = [while_it_loads, while_it_loads, while_a_table_is_written] * 3
    chain(bench, scene, coordinator, verb="analyze", options=(), moments=moments)


WORKING: list[Moment] = [between_parts, while_a_part_is_written, while_it_starts]


def survived(bench: Bench, blow: Blow) -> None:
    """Strike the workers of a run once: it ends well by itself."""
    scene = bench.scene(bench.plain)
    is_due = bench.rng.choice(WORKING)(scene, bench.rng.random())
    run = scene.start("run", *CREW)
    hit = struck(run, lambda: is_due() and len(workers(run)) > 1, blow, bench.rng)
    said = scene.watch(run, {0})
    bench.record.attempt(hit)
    scene.same(said)


@fault("kill −9 of one worker: the run survives it", rounds=24)
def kill_worker(bench: Bench) -> None:
    survived(bench, one_worker)


@fault("kill −9 of all workers: the run survives it", rounds=12)
def kill_workers(bench: Bench) -> None:
    survived(bench, all_workers)


@fault("kill −9 of workers, again and again", rounds=6)
def kill_workers_often(bench: Bench) -> None:
    """A block whose worker dies twice is given up: named, with all that is finished kept."""
    scene = bench.scene(bench.plain)
    for _ in range(1 if bench.light else 3):
        run = scene.start("run", *CREW)
        while run.process.poll() is None:
            blow = bench.rng.choice((one_worker, all_workers))
            if struck(run, after(1.3 * bench.rng.random()), blow, bench.rng):
                bench.record.attempt(True)  # before there are workers, there is nothing to try
        said = scene.watch(run, {0, 1})
        if run.process.returncode == 1:
            scene.told(
                said, "klsim: block ", "(killed, or out of memory)", "every finished block is"
            )
    scene.go_on("run", *SERIAL)
