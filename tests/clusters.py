"""Real schedulers and workers of Dask on this machine, for tests that kill them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from runs import environment, session, waited_for

DASK = Path(sys.executable).parent / "dask"

LOOK = """
import json, sys
from distributed import Client
def state(dask_scheduler):
    wanted = [str(key) for key in dask_scheduler.tasks]
    names = [key for key in dask_scheduler.clients if key.startswith("klsim")]
    return {"tasks": wanted, "clients": names, "workers": list(dask_scheduler.workers)}
with Client(sys.argv[1]) as client:
    print(json.dumps(client.run_on_scheduler(state)))
"""
"""What a scheduler still knows, asked for from a process of its own."""


@dataclass
class Cluster:
    """A scheduler and its workers, each in a session of its own so that it can be killed whole."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    address: str = ""

    def start(self) -> None:
        """Start the scheduler on a free port."""
        self.scheduler = self._started("scheduler", "--host", "127.0.0.1", "--port", "0")
        found = self._said(self.scheduler, r"Scheduler at: +tcp://(127\.0\.0\.1:[0-9]+)")
        self.address = found[1]

    @property
    def engine(self) -> str:
        return f"dask://{self.address}"

    def add(
        self, *options: str, nanny: bool = False, paths: tuple[Path, ...] = (), **settings: str
    ) -> subprocess.Popen[bytes]:
        """Start a worker and wait until it has joined."""
        plain = () if nanny else ("--no-nanny",)
        worker = self._started(
            "worker", self.address, "--nthreads", "1", *plain, *options, paths=paths, **settings
        )
        self.workers.append(worker)
        self._said(worker, r"Registered to:")
        return worker

    def state(self) -> dict[str, list[str]]:
        """Return the tasks, klsim's clients and the workers that the scheduler knows."""
        command = [sys.executable, "-W", "ignore", "-c", LOOK, self.address]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        told: dict[str, list[str]] = json.loads(done.stdout)
        return told

    def stop(self) -> None:
        """Kill all of it."""
        for process in (*self.workers, self.scheduler):
            kill(process)

    def _started(
        self, role: str, *options: str, paths: tuple[Path, ...] = (), **settings: str
    ) -> subprocess.Popen[bytes]:
        number = len(list(self.folder.iterdir()))
        log = self.folder / f"{role}-{number}.log"
        with log.open("wb") as told:
            process = subprocess.Popen(
                [DASK, role, *options, "--no-dashboard"],
                stdout=told,
                stderr=subprocess.STDOUT,
                env=environment(*paths) | self.settings | settings,
                cwd=self.folder,
                start_new_session=True,
            )
        self._logs[process.pid] = log
        return process

    def _said(self, process: subprocess.Popen[bytes], pattern: str) -> re.Match[str]:
        log = self._logs[process.pid]
        assert waited_for(
            lambda: re.search(pattern, log.read_text()) or process.poll() is not None
        ), log.read_text()
        found = re.search(pattern, log.read_text())
        assert found, log.read_text()
        return found

    _logs: dict[int, Path] = field(default_factory=dict)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it started, at once."""
    for pid in session(process.pid):
        os.kill(pid, signal.SIGKILL)
    process.wait()


@contextmanager
def cluster(**settings: str) -> Iterator[Cluster]:
    """Yield a scheduler without workers; kill all that was started on the way out."""
    with tempfile.TemporaryDirectory() as folder:
        started = Cluster(Path(folder), settings)
        started.start()
        try:
            yield started
        finally:
            started.stop()
