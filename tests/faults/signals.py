"""A run is asked to stop, by Ctrl-C, by its scheduler, by a terminal that closes."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from .kills import CREW, SERIAL, struck
from .moments import MOMENTS, Moment, between_parts
from .records import NotPossible, fault
from .scenes import Bench, Run, Scene

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def stop(bench: Bench, signal_: signal.Signals, moment: Moment, *, group: bool) -> Scene:
    """Signal a run at a moment: it says so, leaves with 130, and goes on."""
    scene = bench.scene(bench.plain)
    is_due = moment(scene, bench.rng.random())
    run = scene.start("run", *bench.rng.choice((CREW, SERIAL)))
    send = os.killpg if group else os.kill

    def blow(run: Run, _: object) -> bool:
        send(run.process.pid, signal_)
        return True

    hit = struck(run, lambda: listens(run) and is_due(), blow, bench.rng)
    said = scene.watch(run, {130} if hit and not is_done(scene.folder) else {0, 130})
    hit = hit and run.process.returncode != 0
    bench.record.attempt(hit)
    if hit:
        scene.told(said, "klsim: interrupted; every finished block is kept, and the same command")
    return scene


def listens(run: Run) -> bool:
    """Return whether the command has begun to handle signals: before, it is only an interpreter."""
    try:
        status = Path(f"/proc/{run.process.pid}/status").read_text()
    except OSError:
        if not Path("/proc/self/status").exists():
            raise NotPossible("no /proc to see whether a process handles signals") from None
        return False
    caught = next((line for line in status.splitlines() if line.startswith("SigCgt")), "SigCgt: 0")
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def is_done(folder: Path) -> bool:
    """Return whether the last thing that was logged is the end of a run."""
    log = folder / "log.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    return bool(lines) and json.loads(lines[-1])["event"] == "done"


def _any(bench: Bench, signal_: signal.Signals) -> None:
    group = bench.rng.random() < 0.5
    for moment in (bench.rng.choice(MOMENTS), between_parts, between_parts):
        stop(bench, signal_, moment, group=group).go_on("run", *SERIAL)
        if bench.record.hits:  # at random moments it may have been done before
            return


@fault("SIGINT to the coordinator or to all", rounds=12)
def interrupt(bench: Bench) -> None:
    _any(bench, signal.SIGINT)


@fault("SIGTERM to the coordinator or to all", rounds=12)
def terminate(bench: Bench) -> None:
    _any(bench, signal.SIGTERM)


@fault("SIGHUP to the coordinator or to all", rounds=12)
def hang_up(bench: Bench) -> None:
    _any(bench, signal.SIGHUP)
