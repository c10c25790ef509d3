"""Options that several verbs share."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from math import isinf
from typing import Any

import click
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult

from sim.cli.terminal import harmless
from sim.engines import ENGINES, Engine

configs = click.argument(
    "configs", nargs=-1, required=True, metavar="CONFIG…", type=click.Path(dir_okay=False)
)
results = click.argument("results", metavar="RESULTS", type=click.Path(file_okay=False))
changes = click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a key, such as trials=1000.",
)
out = click.option("--out", default="results", show_default=True, help="Where results/<name> goes.")
workers = click.option(
    "--workers",
    type=click.IntRange(1, 1024),
    help="Worker processes; all cores by default, 1 for none.",
)


def _engine(_: click.Context, __: click.Parameter, name: str) -> str:
    try:
        return Engine(name).name
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


engine = click.option(
    "--engine",
    metavar="|".join((*ENGINES, "dask://HOST:PORT")),
    default="auto",
    show_default=True,
    callback=_engine,
    help="auto starts processes only where they pay.",
)


def number_of(workers: int | None, engine: str) -> int:
    """Return how many worker processes to start: all cores unless said otherwise."""
    if workers is not None and Engine(engine).remote:
        raise click.UsageError(
            "--workers is for processes of this machine; start those of Dask beside its scheduler: "
            "dask worker HOST:PORT --nworkers N --nthreads 1"
        )
    return workers or os.cpu_count() or 1


def console() -> Console:
    """Return where results go: as wide as the terminal, 120 columns where there is none."""
    console = Console(width=None if sys.stdout.isatty() else 120, emoji=False)
    console.push_render_hook(_Harmless())
    return console


class _Harmless(RenderHook):
    """Takes out of all that is printed what would drive the terminal; colours come later."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Return what prints the same, harmless."""
        return [_HarmlessOne(one) for one in renderables]


@dataclass(frozen=True)
class _HarmlessOne:
    inner: ConsoleRenderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self.inner, options):
            yield segment if segment.control else segment._replace(text=harmless(segment.text))


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


def strict_json(value: Any) -> str:
    """Return JSON in ASCII; infinity is the text "Infinity", for JSON has no number for it."""
    return json.dumps(_finite(value), allow_nan=False, indent=1)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value
