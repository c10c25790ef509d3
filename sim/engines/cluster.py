"""Workers of a Dask scheduler: on any machines, dying and joining as they like."""

from __future__ import annotations

import inspect
import logging
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from functools import partial
from typing import Any

import cloudpickle
import dask
from dask.utils import parse_timedelta
from distributed import Client, KilledWorker

from sim.engines import gate
from sim.engines.likeness import facts
from sim.engines.workers import WorkerDied, Workers
from sim.errors import Fault, first_line

EVERY = 1.0
"""Seconds between two looks at who is there."""

GATE = inspect.getsource(gate)
ENTER = "(lambda names: exec(source, names) or names['enter'](expected, task))({})"
"""An expression that opens the gate; `eval` is the one function that every worker has."""

_KEPT = "every finished block is kept, and the same command goes on from there"

_LOGGERS = (
    *("distributed", "distributed.client", "distributed.core", "distributed.comm"),
    *("tornado", "tornado.application"),
)

_log = logging.getLogger(__name__)


class NoScheduler(Fault):
    """The scheduler cannot be reached, or no longer."""


class NoWorkers(Fault):
    """There is a scheduler, but nobody who could compute."""


@contextmanager
def open_cluster(scheduler: str) -> Iterator[Workers]:
    """Yield the workers at a scheduler's HOST:PORT; on the way out nothing of ours is left there.

    Raises NoScheduler where none answers, NoWorkers where none comes in time.
    """
    with _quiet():
        cluster = _Cluster(scheduler)
        try:
            cluster.wait_for_one()
            yield cluster
        finally:
            cluster.close()


class _Cluster(Workers):
    """Sends each task through the gate; one that a worker was refused for goes to another."""

    def __init__(self, scheduler: str) -> None:
        self._place = f"dask://{scheduler}"
        self._patience = _patience(self._place)
        self._client = _connected(scheduler, self._place, self._patience)
        self._hands = self._client.get_executor(pure=False)
        self._refused: dict[str, list[str]] = {}
        self._unsaid: set[str] = set()
        self._threads: dict[str, int] = {}  # of each worker that was not refused
        self._fitted = False  # whether any worker ever was as it should be
        self._waiting: deque[tuple[bytes, Future[Any]]] = deque()  # until somebody fits
        self._looked = self._seen = time.monotonic()

    def close(self) -> None:
        """Leave: the scheduler forgets what only this client wanted."""
        self._client.close(timeout=5)

    def wait_for_one(self) -> None:
        """Wait for a first worker; NoWorkers where none comes in time."""
        while not self._threads:
            self.check()
            time.sleep(0.02)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Hand a task to the scheduler; NoScheduler where it is gone."""
        future: Future[Any] = Future()
        self._send(cloudpickle.dumps(partial(fn, *args, **kwargs)), future)
        return future

    def check(self) -> None:
        """Look who is there; a Fault where nobody is for too long, or the scheduler is gone."""
        now = time.monotonic()
        if self._threads and now - self._looked < EVERY:
            return
        self._looked = now
        known = self._known()
        self._refused = {who: why for who, why in self._refused.items() if who in known}
        self._threads = {who: known[who] for who in known.keys() - self._refused.keys()}
        self.window = max(2, 2 * sum(self._threads.values()))
        if self._threads:
            self._seen = now
            self._say_who_is_refused()
            self._send_those_who_wait()
        elif (self._refused and not self._fitted) or now - self._seen > self._patience:
            raise self._nobody()

    def _known(self) -> dict[str, int]:
        """Return the threads of every worker that the scheduler knows."""
        scheduler = self._client.scheduler
        try:
            if scheduler is None:
                raise ConnectionError("the connection is closed")
            known: dict[str, int] = self._client.sync(
                scheduler.ncores, callback_timeout=self._patience
            )
        except Exception as error:
            raise self._lost(error) from None
        return known

    def _send(self, task: bytes, future: Future[Any]) -> None:
        """Hand a sealed task to any worker, but where some are refused rather to the others.

        Never to those alone: a worker that joins later could not take what waits for them.
        """
        others = {"workers": sorted(self._threads), "allow_other_workers": True}
        wish = others if self._refused and self._threads else {}
        names = {"source": GATE, "expected": facts(), "task": task}
        try:
            sent = self._hands.submit(eval, ENTER, names, **wish)  # noqa: S307 (our own words)
        except Exception as error:
            raise self._lost(error) from None
        sent.add_done_callback(partial(self._take, task, future))

    def _take(self, task: bytes, future: Future[Any], sent: Future[Any]) -> None:
        """Pass on what became of a task; runs in the client's thread, where nothing may wait."""
        error = CancelledError() if sent.cancelled() else sent.exception()
        if isinstance(error, CancelledError):
            future.set_exception(self._lost(error))
        elif isinstance(error, KilledWorker):
            future.set_exception(WorkerDied(str(error)))
        elif error is not None:
            future.set_exception(error)
        else:
            address, reasons, made = sent.result()
            self._judge(address, reasons)
            if reasons:
                self._waiting.append((task, future))
            else:
                future.set_result(made)

    def _judge(self, address: str, reasons: list[str]) -> None:
        """Keep in mind what a worker said of itself; one that was mended fits from then on."""
        if reasons:
            self._unsaid |= {address} - self._refused.keys()
            self._refused = {**self._refused, address: reasons}
            self._threads = {who: n for who, n in self._threads.items() if who != address}
        else:
            self._fitted = True
            self._refused = {who: why for who, why in self._refused.items() if who != address}

    def _send_those_who_wait(self) -> None:
        while self._waiting:
            self._send(*self._waiting.popleft())

    def _say_who_is_refused(self) -> None:
        for who in sorted(self._unsaid & self._refused.keys()):
            reasons = "; ".join(self._refused[who])
            _log.warning("klsim: worker %s is not used: %s", who, reasons)
        self._unsaid = set()

    def _lost(self, error: BaseException) -> NoScheduler:
        return NoScheduler(f"{self._place}: the scheduler is gone ({first_line(error)}); {_KEPT}")

    def _nobody(self) -> NoWorkers:
        listed = "".join(f"\n  {who}: {'; '.join(why)}" for who, why in self._refused.items())
        if not self._refused:
            left = "left" if self._fitted else "there"
            return NoWorkers(
                f"{self._place}: no worker {left} for {self._patience:g} s; start some with: "
                f"dask worker {self._place.removeprefix('dask://')} --nthreads 1; {_KEPT}"
            )
        left = f"is left for {self._patience:g} s that" if self._fitted else "there"
        return NoWorkers(
            f"{self._place}: no worker {left} computes the same bits as this process:{listed}\n"
            f"install the same packages for the workers, on machines like this one; {_KEPT}"
        )


def _patience(place: str) -> float:
    """Return how many seconds to wait for the scheduler, and for a first or a next worker."""
    name = "distributed.comm.timeouts.connect"
    value = dask.config.get(name)
    try:
        return float(parse_timedelta(value))
    except (ValueError, KeyError, TypeError):
        raise NoScheduler(
            f"{place}: Dask's setting {name} should be a time such as 30s; got {value!r}"
        ) from None


def _connected(scheduler: str, place: str, patience: float) -> Client:
    """Return a client; NoScheduler where none can be made in time, whatever it waits for."""
    made: Future[Client] = Future()

    def connect() -> None:
        try:
            made.set_result(Client(scheduler, timeout=patience, set_as_default=False, name="klsim"))
        except BaseException as error:  # whatever it is, it is told where it is waited for
            made.set_exception(error)

    threading.Thread(target=connect, daemon=True).start()
    try:
        return made.result(patience + 1)
    except (OSError, ValueError, TypeError) as error:
        why = str(error).partition("\n")[0] or f"no answer for {patience:g} s"
    raise NoScheduler(
        f"{place}: no scheduler answers there ({why}); start one with: dask scheduler --host HOST "
        "--port PORT; where it speaks TLS, so must this process (docs/dask.md)"
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask from telling in its own words what is told here in one sentence."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
