"""`klsim schema`: the JSON Schema of an experiment file."""

from __future__ import annotations

import json

import click

from sim.config.schema import schema


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of an experiment file, for editors."""
    click.echo(json.dumps(schema(), ensure_ascii=False, indent=1))
