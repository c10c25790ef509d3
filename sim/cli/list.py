"""`klsim list`: what may stand in an experiment."""

from __future__ import annotations

import click
from rich.table import Table
from rich.text import Text

from sim.cli import options
from sim.config.schema import FAMILIES


@click.command("list")
@click.argument("family", required=False, type=click.Choice(list(FAMILIES)))
@options.as_json
def command(family: str | None, as_json: bool) -> None:
    """List the kinds of bags, models, learners, estimators and intervals."""
    names = [family] if family else list(FAMILIES)
    kinds = {
        name: [
            {"kind": k, "about": FAMILIES[name].member(k).about()} for k in FAMILIES[name].kinds()
        ]
        for name in names
    }
    if as_json:
        click.echo(options.strict_json(kinds[family] if family else kinds))
        return
    console = options.console()
    for name in names:
        table = Table(title=name, title_justify="left", show_header=False, box=None)
        table.add_column(no_wrap=True)
        for member in kinds[name]:
            table.add_row(Text(member["kind"], style="bold"), Text(member["about"]))
        console.print(table)
