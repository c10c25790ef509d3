"""Whole runs of the command with one worker and with two: how long, and how much memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks.scale_costs import text

KLSIM = "import sys; from sim.cli.main import main; sys.exit(main())"


@dataclass(frozen=True)
class Run:
    """Seconds of a run, of its two stages, and the largest peak in MB here and of a worker."""

    whole: float
    drawing: float
    analysis: float
    coordinator: float
    worker: float


def run(kind: str, trials: int, workers: int, changes: tuple[str, ...] = ()) -> Run:
    """Run an experiment from nothing, in a new process and a new folder."""
    engine = "serial" if workers == 1 else "processes"
    with TemporaryDirectory() as folder:
        config = Path(folder, "it.yaml")
        config.write_text(text(kind, trials), encoding="utf-8")
        options = ("--workers", str(workers), "--engine", engine, "--out", folder, "--json")
        sets = [word for change in changes for word in ("--set", change)]
        command = [sys.executable, "-c", KLSIM, "run", str(config), *options, *sets]
        whole, peaks = _watched(command)
        told = json.loads(Path(folder, kind, "run.json").read_text(encoding="utf-8"))["seconds"]
    return Run(whole, told["trials"], told["analysis"], *peaks)


def _watched(command: list[str]) -> tuple[float, tuple[float, float]]:
    """Return the seconds of a command, and the peak in MB of itself and of its processes."""
    peaks: dict[int, float] = {}
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=Path.cwd()) as main:
        while main.poll() is None:
            for process in (main.pid, *_children(main.pid)):
                peaks[process] = max(peaks.get(process, 0.0), _peak_mb(process))
            time.sleep(0.05)
        seconds = time.perf_counter() - begun
    if main.returncode:
        raise RuntimeError(f"{' '.join(command[3:])} ended with {main.returncode}")
    own = peaks.pop(main.pid)
    return seconds, (own, max(peaks.values(), default=0.0))


def _children(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _peak_mb(pid: int) -> float:
    """Return the most memory that a process has held so far; 0 where it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    held = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(held[0].split()[1]) * 1024 / 1e6 if held else 0.0
