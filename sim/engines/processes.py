"""Worker processes on this machine: spawned, deaf to Ctrl-C, and never left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

from threadpoolctl import threadpool_limits

from sim.canary import canary
from sim.engines.workers import Workers


@contextmanager
def open_pool(workers: int) -> Iterator[Workers]:
    """Yield the workers; on the way out, whatever the reason, none of them is left."""
    _start_tracker()
    before = set(multiprocessing.active_children())
    pool = _Pool(
        max_workers=workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_prepare_worker,
    )
    pool.window = 2 * workers
    try:
        yield pool
    except BaseException:
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
            child.join()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_tracker() -> None:
    """Start multiprocessing's own helper deaf to SIGHUP; to other signals it is by itself."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        resource_tracker.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Pool(ProcessPoolExecutor, Workers):
    """Starts its workers deaf to Ctrl-C: they inherit what is blocked while they are started."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submit a task, which may start a worker."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(fn, *args, **kwargs)
        except OSError as error:
            if self._broken:  # it broke while a worker was started
                raise BrokenProcessPool(str(error)) from error
            raise
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
