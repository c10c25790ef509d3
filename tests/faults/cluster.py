"""A run on the workers of a Dask scheduler: workers, the scheduler, the coordinator are killed."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable

from clusters import Cluster, cluster, kill

from .kills import SERIAL, coordinator, struck
from .moments import Moment, between_parts, while_a_part_is_written, while_it_starts
from .records import fault
from .scenes import Bench, Run, Scene

MOMENTS: list[Moment] = [between_parts, while_a_part_is_written, while_it_starts]


def strike(
    bench: Bench, started: Cluster, blow: Callable[[Run, random.Random], bool], codes: set[int]
) -> tuple[Scene, Run, str]:
    """Run on a cluster and strike; return what was said."""
    scene = bench.scene(bench.plain)
    is_due = bench.rng.choice(MOMENTS)(scene, bench.rng.random())
    run = scene.start("run", "--engine", started.engine)
    hit = struck(run, is_due, blow, bench.rng)
    said = scene.watch(run, codes)
    bench.record.attempt(hit)
    return scene, run, said


@fault("Dask: kill −9 of a worker, while another joins", rounds=4)
def dask_worker(bench: Bench) -> None:
    """The run survives it."""
    with cluster() as started:
        first = started.add()

        def blow(run: Run, rng: random.Random) -> bool:
            started.add()
            is_alive = first.poll() is None and run.process.poll() is None
            kill(first)
            return is_alive

        scene, _, said = strike(bench, started, blow, {0})
        scene.same(said)


@fault("Dask: kill −9 of all workers, before others join", rounds=2)
def dask_workers(bench: Bench) -> None:
    """The run waits for the others."""
    with cluster() as started:
        there = [started.add(), started.add()]

        def blow(run: Run, rng: random.Random) -> bool:
            for worker in there:
                kill(worker)
            started.add()
            return run.process.poll() is None

        scene, _, said = strike(bench, started, blow, {0})
        scene.same(said)


@fault("Dask: kill −9 of the scheduler", rounds=3)
def dask_scheduler(bench: Bench) -> None:
    """The run says so, and goes on without it."""
    with cluster() as started:
        started.add()

        def blow(run: Run, rng: random.Random) -> bool:
            kill(started.scheduler)
            return True

        scene, run, said = strike(bench, started, blow, {0, 1})
        if run.process.returncode:
            scene.told(said, f"klsim: {started.engine}: ")
    scene.go_on("run", *SERIAL)


@fault("Dask: kill −9 of the coordinator", rounds=4)
def dask_coordinator(bench: Bench) -> None:
    """Nothing of it is left on the scheduler, and the next run finds the same workers."""
    with cluster() as started:
        started.add()
        scene, _, _ = strike(bench, started, coordinator, {-signal.SIGKILL})
        scene.go_on("run", "--engine", started.engine)
