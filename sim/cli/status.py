"""`klsim status`: how far has a run come?"""

from __future__ import annotations

import click

from sim import api
from sim.cli import options


@click.command("status")
@options.results
@options.as_json
def command(results: str, as_json: bool) -> None:
    """Say how far a run has come."""
    status = api.status(results)
    if as_json:
        click.echo(options.strict_json(status))
        return
    click.echo(f"{status['name']}: {'complete' if status['complete'] else 'not complete'}")
    for bag, (done, blocks) in status["bags"].items():
        click.echo(f"  bag {bag}: {done:,} of {blocks:,} blocks")
    click.echo("  summary: " + ("there" if status["summary"] else "not made yet"))
    if status["in_use"]:
        click.echo("  a run is at work here now")
    elif not status["complete"]:
        click.echo("  go on with the `klsim run` that began it")
