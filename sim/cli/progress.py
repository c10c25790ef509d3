"""Progress on stderr: a bar on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

EVERY = 5.0

Watcher = Callable[[int, int], None]
"""Called with the trials done and the trials in all."""


@contextmanager
def watching(name: str, console: Console) -> Iterator[Watcher]:
    """Yield what a run calls with the trials done and the trials in all."""
    if not console.is_terminal:
        yield _lines(name, console)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(name, total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield advance


def _lines(name: str, console: Console) -> Watcher:
    last = time.monotonic()

    def advance(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= EVERY:
            last = now
            console.print(Text(f"{name}: {done:,} of {total:,} trials ({done / total:.0%})"))

    return advance
