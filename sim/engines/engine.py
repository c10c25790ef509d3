"""Which engine computes: a name and a number go in, workers come out."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from sim.engines.processes import open_pool
from sim.engines.workers import SerialWorkers, Workers
from sim.errors import Fault

ENGINES = ("auto", "serial", "processes")
"""The engines of this machine; beside them, `dask://HOST:PORT` is a scheduler of Dask."""

_SCHEDULER = re.compile(r"dask://([^\s/@]+:([0-9]{1,5}))")


class NoDask(Fault):
    """An engine that needs a package which is not installed."""

    exit_code = 2


@dataclass(frozen=True)
class Engine:
    """Where to compute: `serial`, `processes`, `auto` or `dask://HOST:PORT`.

    `auto` begins here and starts processes only where they pay, so that a small run does not
    wait for them. The rows are the same.
    """

    name: str = "serial"
    workers: int = 1

    def __post_init__(self) -> None:
        if self.name not in ENGINES and not self.scheduler:
            known = f"{', '.join(ENGINES)} or dask://HOST:PORT"
            raise ValueError(f"expected an engine of {known}; got {self.name!r}")
        if self.workers < 1:
            raise ValueError(f"expected at least 1 worker; got {self.workers}")

    @property
    def scheduler(self) -> str:
        """HOST:PORT of the scheduler of Dask; empty for the engines of this machine."""
        known = _SCHEDULER.fullmatch(self.name)
        return known[1] if known and int(known[2]) < 2**16 else ""

    @property
    def remote(self) -> bool:
        """Whether workers may see another disk than this process does."""
        return bool(self.scheduler)

    @property
    def hesitant(self) -> bool:
        """Whether workers are started only where more is left than they take to start."""
        return self.name == "auto" and self.workers > 1

    @property
    def parallel(self) -> bool:
        """Whether there are worker processes of this machine's."""
        return self.name == "processes" or self.hesitant

    @property
    def here(self) -> Engine:
        """The engine for work on files of this machine: itself, or all cores beside a cluster."""
        return Engine("auto", os.cpu_count() or 1) if self.remote else self

    @contextmanager
    def open(self, workers: int | None = None) -> Iterator[Workers]:
        """Yield the workers; on the way out, whatever the reason, nothing of ours is left."""
        if self.scheduler:
            with _cluster().open_cluster(self.scheduler) as hands:
                yield hands
        elif self.parallel:
            with open_pool(workers or self.workers) as hands:
                yield hands
        else:
            hands = SerialWorkers()
            try:
                yield hands
            finally:
                hands.shutdown(cancel_futures=True)


def _cluster() -> Any:
    """Return the module that knows Dask: an extra, and slow to import, so only where asked for."""
    try:
        return import_module("sim.engines.cluster")
    except ModuleNotFoundError as error:
        if error.name not in ("cloudpickle", "dask", "distributed"):
            raise
        raise NoDask(
            "this engine needs Dask, which is not installed; install it with: "
            "pip install 'klsim[dask]'"
        ) from None
