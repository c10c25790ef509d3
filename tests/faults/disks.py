"""A disk that is full, a disk that cannot be written to: small file systems in memory."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runs import files

from .kills import CREW, SERIAL
from .records import KEPT, TOLD, NotPossible, fault
from .scenes import FEW, FEW_MORE, Bench

SMALLEST, LARGEST = 8, 0.9
"""Kilobytes into which nothing fits; the share of all files that nearly all do."""


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """Yield a file system in memory; NotPossible where none may be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0 or not shutil.which("mount"):
        raise NotPossible("only root may mount a small file system, and `unshare -rm` is refused")
    _mount("-t", "tmpfs", "-o", options, "tmpfs", folder)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def remount(folder: Path, options: str) -> None:
    _mount("-o", f"remount,{options}", folder)


def _mount(*arguments: object) -> None:
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise NotPossible(done.stderr.strip())


def fill(bench: Bench, small: str, large: str) -> None:
    """Run where there is too little room, then where there is enough."""
    engine = SERIAL if bench.light else bench.rng.choice((CREW, SERIAL))
    with mounted(bench.home, small) as place:
        scene = bench.scene(bench.plain, out=place)
        run = scene.start("run", *engine)
        said = scene.watch(run, {1})
        bench.record.attempt(run.process.returncode != 0)
        scene.told(said, "klsim: ", str(place), "No space left on device")
        remount(place, large)
        scene.go_on("run", *engine)


@fault("disk full, in every phase", rounds=12)
def disk_full(bench: Bench) -> None:
    pages = sum(-(-len(content) // 4096) for content in bench.quiet.of(bench.plain).values())
    kilobytes = bench.rng.randrange(SMALLEST, int(4 * pages * LARGEST), 4)
    fill(bench, f"size={kilobytes}k", "size=8m")


@fault("disk without room for another file", rounds=4)
def inodes_full(bench: Bench) -> None:
    fill(
        bench,
        f"size=8m,nr_inodes={bench.rng.randrange(4, len(bench.quiet.of(bench.plain)))}",
        "nr_inodes=1000",
    )


@fault("read-only directory: `run`, `extend`, `analyze`, `status`", rounds=2)
def read_only(bench: Bench) -> None:
    """Nothing is changed, and each command that writes says why it does not."""
    with mounted(bench.home, "size=8m") as place:
        scene = bench.scene(FEW, out=place, begun=FEW)
        larger = bench.scene(FEW_MORE, out=place)
        for name in ("summary.parquet", *sorted(scene.quiet)[-2:]):
            (scene.folder / name).unlink()
        there = files(scene.folder)
        remount(place, "ro")
        for verb, each in (("run", scene), ("analyze", scene), ("extend", larger)):
            run = each.start(verb)
            said = run.process.wait() and run.said()
            bench.record.ended(run.process.returncode, {1}, run.said())
            bench.record.attempt(run.process.returncode != 0)
            each.told(str(said), "klsim: ", str(place), "Read-only file system")
            bench.record.expect(TOLD, "Traceback" not in run.said(), run.said())
        run = scene.start("status")
        run.process.wait()
        bench.record.attempt(True)
        bench.record.ended(run.process.returncode, {0}, run.said())
        bench.record.expect(TOLD, not run.said(), run.said())
        bench.record.expect(KEPT, files(scene.folder) == there)
        remount(place, "rw")
        scene.before = {}
        scene.go_on()
