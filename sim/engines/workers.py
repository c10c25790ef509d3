"""Those who compute: an executor that says how much it takes in hand and whether it still is."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NoReturn


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


@dataclass(frozen=True)
class Rest:
    """What is left of a task and hardly needs Python: it can be done beside the next task."""

    finish: Callable[[], Any]


class SerialWorkers(Workers):
    """Runs each task at once, in this process; the rest of one in a thread beside the next.

    Tasks end in their order.
    """

    def __init__(self) -> None:
        self._beside: ThreadPoolExecutor | None = None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return a future that is already done, or that ends with the rest of the task."""
        future: Future[Any] = Future()
        try:
            made = fn(*args, **kwargs)
        except Exception as error:  # the future carries it, as a pool's would
            if self._beside is not None:
                return self._beside.submit(_raise, error)
            future.set_exception(error)
            return future
        if isinstance(made, Rest):
            return self._thread().submit(made.finish)
        future.set_result(made)
        return future

    def _thread(self) -> ThreadPoolExecutor:
        if self._beside is None:
            self._beside = ThreadPoolExecutor(1, "klsim-rest")
            self.window = max(2, self.window)
        return self._beside

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the thread: what it has in hand is finished, so that it writes nothing later."""
        if self._beside is not None:
            self._beside.shutdown(wait=wait, cancel_futures=cancel_futures)


def _raise(error: Exception) -> NoReturn:
    raise error
