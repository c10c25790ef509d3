"""The process of the command: its signals, its streams and its exit code.

Nothing heavy is imported before signals are attended to: they may come at any time.
"""

from __future__ import annotations

import atexit
import gc
import io
import os
import signal
import sys
from contextlib import suppress
from importlib import import_module
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SAID = (
    "klsim: interrupted; every finished block is kept, and the same command goes on from there\n"
)


def main() -> NoReturn:
    """Run the command and exit with its code; a signal that ends it leaves no traceback."""
    end = _End()
    try:
        end.attend()
        _mend_streams()
        gc.disable()  # of what is imported nothing is ever rubbish; `Verbs` ends this
        code = import_module("sim.cli.verbs").code()
        end.now(code)
    except BaseException as error:
        if not (end.near or isinstance(error, KeyboardInterrupt)):
            raise
        end.now(INTERRUPTED)  # whatever else went wrong on the way out
        _say_interrupted()
        code = INTERRUPTED
    _flush()
    atexit._run_exitfuncs()  # noqa: SLF001 (what libraries have to put away at the end)
    os._exit(code)  # python's own way out takes its time, and is not safe from signals


class _End:
    """Turns the first signal into a KeyboardInterrupt; one that comes later ends at once.

    Whatever lies on the disk is whole at any time, and a worker ends with its coordinator.
    """

    def __init__(self) -> None:
        self.near = False
        self._code = INTERRUPTED

    def attend(self) -> None:
        """Take the signals that end a process; one that is ignored stays ignored."""
        for number in _ENDING:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._come)
        sys.unraisablehook = self._lost

    def now(self, code: int) -> None:
        """Leave with this code whatever comes."""
        self._code, self.near = code, True

    def _come(self, _: int, __: FrameType | None) -> None:
        if self.near:
            os._exit(self._code)
        self.near = True
        raise KeyboardInterrupt

    def _lost(self, lost: sys.UnraisableHookArgs) -> None:
        """End where an interrupt came in a place that no exception leaves: a finalizer."""
        if issubclass(lost.exc_type, KeyboardInterrupt):
            _say_interrupted()
            os._exit(INTERRUPTED)
        sys.__unraisablehook__(lost)


class _Lenient(io.TextIOWrapper):
    """Stderr that may go: a message that reaches nobody is no reason to stop."""

    def write(self, text: str) -> int:
        """Write as far as anybody reads."""
        try:
            return super().write(text)
        except OSError:
            _drop(self.fileno())
            return len(text)

    def flush(self) -> None:
        """Flush as far as anybody reads."""
        try:
            super().flush()
        except OSError:
            _drop(self.fileno())


def _mend_streams() -> None:
    """Put nothing where a stream was closed, lest a file that is opened takes its place."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number is free
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    if isinstance(sys.stderr, io.TextIOWrapper):
        encoding = sys.stderr.encoding
        sys.stderr = _Lenient(sys.stderr.detach(), encoding, "replace", line_buffering=True)


def _drop(number: int) -> None:
    """Let nothing more be said to one who has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def _flush() -> None:
    """Write what is still to be written; whoever read may have gone."""
    with suppress(OSError):
        sys.stdout.flush()
    with suppress(OSError):
        sys.stderr.flush()


def _say_interrupted() -> None:
    with suppress(OSError, ValueError):
        if sys.stderr is not None:
            sys.stderr.write(_SAID)
            sys.stderr.flush()
