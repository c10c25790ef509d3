"""Real runs are killed at random moments, and go on to the bytes of a run that nobody killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from runs import COINS, KLSIM, files, parts, session, tables, text, waited_for

from sim.store.directory import Directory

PLAIN = {
    "name": "killed",
    "seed": 3,
    "trials": 24_000,
    "sizes": [10, 100, 1000],
    "bags": {
        "back": {"kind": "with_replacement", "balls": {"red": 10, "blue": 15, "green": 5}},
        "out": {"kind": "without_replacement", "balls": {"red": 1000, "blue": 15_000}},
    },
    "models": COINS["models"],
    "estimators": COINS["estimators"],
}
BLOCKS = 12


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "killed.yaml"
    path.write_text(text(PLAIN))
    return path


@pytest.fixture(scope="module")
def quiet(config, tmp_path_factory):
    """The tables of a run that nobody killed, computed without workers."""
    out = tmp_path_factory.mktemp("quiet")
    subprocess.run([KLSIM, "run", config, "--out", out, "--engine", "serial"], check=True)
    return tables(out / "killed")


def started(config: Path, out: Path, stderr: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """Start a run in a session of its own, so that all its processes can be found."""
    options = ("--out", out, "--workers", "2", "--engine", "processes")
    return subprocess.Popen(
        [KLSIM, "run", config, *options],
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        start_new_session=True,
    )


# When to kill: each takes a folder and a random number in [0, 1), and says when it is time

Moment = Callable[[Path, float], Callable[[], bool]]


def after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def while_it_starts(folder: Path, chance: float) -> Callable[[], bool]:
    return after(1.5 * chance)


def between_parts(folder: Path, chance: float) -> Callable[[], bool]:
    wanted = min(BLOCKS, len(parts(folder)) + 1 + int(4 * chance))
    return lambda: len(names(folder / "trials", ".parquet")) >= wanted


def while_a_part_is_written(folder: Path, chance: float) -> Callable[[], bool]:
    return lambda: bool(names(folder / "trials", ".tmp"))


def while_it_analyzes(folder: Path, chance: float) -> Callable[[], bool]:
    runs = begun(folder)
    due: list[Callable[[], bool]] = []

    def is_due() -> bool:
        complete = len(names(folder / "trials", ".parquet")) == BLOCKS
        if complete and not due and begun(folder) > runs:
            due.append(after(chance))
        return bool(due) and due[0]()

    return is_due


def begun(folder: Path) -> int:
    """Return how many runs have begun here."""
    log = folder / "log.jsonl"
    return log.read_text().count('"run"') if log.exists() else 0


def while_a_table_is_written(folder: Path, chance: float) -> Callable[[], bool]:
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.parquet")}

    def is_due() -> bool:
        fresh = [p for p in folder.glob("*.parquet") if p.stat().st_mtime_ns != before.get(p)]
        return bool(fresh) or any(name != ".experiment.yaml.tmp" for name in names(folder, ".tmp"))

    return is_due


def names(folder: Path, ending: str) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if name.endswith(ending)]
    except FileNotFoundError:
        return []


MOMENTS: list[Moment] = [
    while_it_starts,
    between_parts,
    while_a_part_is_written,
    between_parts,
    while_it_starts,
    while_it_analyzes,
    while_it_analyzes,
    while_a_table_is_written,
]


def struck(run: subprocess.Popen[bytes], is_due: Callable[[], bool], *, whole: bool) -> bool:
    """Kill a run when it is time, its workers with it or not; return whether it still ran."""
    while not is_due() and run.poll() is None:
        time.sleep(0.0005)
    alive = run.poll() is None
    if alive and whole:
        os.killpg(run.pid, signal.SIGKILL)
    elif alive:
        run.kill()
    run.wait()
    return alive


@pytest.mark.parametrize("seed", range(3))
def test_a_run_that_is_killed_again_and_again_ends_in_the_bytes_of_a_quiet_one(
    tmp_path, config, quiet, seed
):
    rng = random.Random(seed)
    folder = tmp_path / "killed"
    hits = 0
    for moment in MOMENTS:
        is_due = moment(folder, rng.random())
        run = started(config, tmp_path)
        hits += struck(run, is_due, whole=rng.random() < 0.5)
        assert not folder.is_dir() or not Directory(folder).in_use()
        assert waited_for(lambda leader=run.pid: not any(session(leader))), "orphans"
        assert tables(folder).items() <= quiet.items(), moment.__name__
    assert hits >= len(MOMENTS) - 1, "a run ended before it was killed"
    run = started(config, tmp_path)
    assert run.wait() == 0
    assert waited_for(lambda: not any(session(run.pid)))
    assert tables(folder) == quiet
    left = {Path(name).parent.as_posix() for name in files(folder)}
    assert left == {".", "trials"}
    assert not list(folder.rglob("*.tmp"))


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_a_run_that_is_asked_to_stop_says_so_leaves_nobody_behind_and_goes_on(
    tmp_path, config, quiet, signal_
):
    folder = tmp_path / "killed"
    run = started(config, tmp_path, stderr=subprocess.PIPE)
    try:
        assert waited_for(lambda: len(parts(folder)) >= 2)
        os.killpg(run.pid, signal_)
        said = run.communicate(timeout=60)[1].decode()
    finally:
        run.kill()
    assert run.returncode == 130
    assert said.splitlines()[-1].startswith("klsim: interrupted; every finished block is kept")
    assert "Traceback" not in said
    assert waited_for(lambda: not any(session(run.pid)))
    assert 2 <= len(parts(folder)) < BLOCKS
    subprocess.run([KLSIM, "run", config, "--out", tmp_path], check=True, capture_output=True)
    assert tables(folder) == quiet
