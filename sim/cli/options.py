"""Options that several verbs share."""

from __future__ import annotations

import json
import sys
from math import isinf
from typing import Any

import click
from rich.console import Console

from sim.engines import ENGINES

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
engine = click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default="auto",
    show_default=True,
    help="auto starts processes only where they pay.",
)


def console() -> Console:
    """Return where results go: as wide as the terminal, 120 columns where there is none."""
    return Console(width=None if sys.stdout.isatty() else 120)


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
