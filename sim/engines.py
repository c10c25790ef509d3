"""Where blocks are computed: each engine is a context manager that yields an Executor."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from threadpoolctl import threadpool_limits

from sim.canary import canary

EngineName = Literal["auto", "serial", "processes"]
ENGINES: tuple[EngineName, ...] = ("auto", "serial", "processes")


class SerialExecutor(Executor):
    """Runs each task at once, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return a future that is already done."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # the future carries it, as a pool's would
            future.set_exception(error)
        return future


@dataclass(frozen=True)
class Engine:
    """Where to compute: `serial`, `processes`, or `auto`.

    `auto` begins here and starts processes only where they pay, so that a small run does not
    wait for them. The rows are the same.
    """

    name: EngineName = "serial"
    workers: int = 1

    def __post_init__(self) -> None:
        if self.name not in ENGINES:
            raise ValueError(f"expected an engine of {', '.join(ENGINES)}; got {self.name!r}")
        if self.workers < 1:
            raise ValueError(f"expected at least 1 worker; got {self.workers}")

    @property
    def hesitant(self) -> bool:
        """Whether workers are started only where more is left than they take to start."""
        return self.name == "auto" and self.workers > 1

    @property
    def parallel(self) -> bool:
        """Whether there are worker processes."""
        return self.name == "processes" or (self.name == "auto" and self.workers > 1)

    @contextmanager
    def open(self, workers: int | None = None) -> Iterator[Executor]:
        """Yield the executor; on the way out, whatever the reason, no worker is left."""
        if not self.parallel:
            yield SerialExecutor()
            return
        before = set(multiprocessing.active_children())
        pool = _Pool(
            max_workers=workers or self.workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_prepare_worker,
        )
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in set(multiprocessing.active_children()) - before:
                child.terminate()
                child.join()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


class _Pool(ProcessPoolExecutor):
    """Starts its workers deaf to Ctrl-C: they inherit what is blocked while they are started."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submit a task, which may start a worker."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(fn, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare_worker() -> None:
    """Leave signals to the coordinator, end with it, and use one thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    canary()  # loads the numeric libraries: only what is loaded can be limited
    threadpool_limits(1)


def _end_with(parent: Any) -> None:
    """Wait for the coordinator to end, however it ends: a pool's workers would live on."""
    parent.join()
    os._exit(1)
