"""Those who compute: an executor that says how much it takes in hand and whether it still is."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Any


class WorkerDied(BrokenExecutor):
    """All that computed this one task died; the other tasks go on."""


class Workers(Executor):
    """An executor for blocks.

    A task that nobody will ever finish ends in a BrokenExecutor: as a WorkerDied where only
    that task is lost, as any other where all are.
    """

    window: int = 1
    """How many tasks to keep in hand: enough that nobody waits for the next one."""

    def check(self) -> None:
        """Be called now and then while tasks are in hand; a Fault where they cannot end."""


class SerialWorkers(Workers):
    """Runs each task at once, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return a future that is already done."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # the future carries it, as a pool's would
            future.set_exception(error)
        return future
