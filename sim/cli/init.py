"""`klsim init`: a small experiment to begin with."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

from sim.cli.terminal import say


@click.command("init")
@click.argument("file", default="experiment.yaml", type=click.Path(dir_okay=False))
def command(file: str) -> None:
    """Write a small experiment to begin with, to FILE or experiment.yaml."""
    text = files("sim.cli").joinpath("starter.yaml").read_text(encoding="utf-8")
    try:
        with Path(file).open("x", encoding="utf-8") as new:  # a link is there, wherever it leads
            new.write(text)
    except FileExistsError:
        raise click.UsageError(f"{file} is there already; choose another name") from None
    say(f"wrote {file}; run it with: klsim run {file}")
