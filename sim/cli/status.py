"""`klsim status`: how far has a run come?"""

from __future__ import annotations

from typing import Any

import click

from sim import api
from sim.cli import options
from sim.cli.terminal import say


@click.command("status")
@options.results
@options.as_json
def command(results: str, as_json: bool) -> None:
    """Say how far a run has come."""
    status = api.status(results)
    if as_json:
        click.echo(options.strict_json(status))
        return
    say(f"{status['name']}: {'complete' if status['complete'] else 'not complete'}")
    most = "at most " if status.get("used", {}) is None else ""
    for bag, (done, blocks) in status["bags"].items():
        say(f"  bag {bag}: {done:,} of {most}{blocks:,} blocks{_used(status, bag)}")
    say("  summary: " + ("there" if status["summary"] else "not made yet"))
    if status["in_use"]:
        say("  a run is at work here now")
    elif not status["complete"]:
        say("  go on with the `klsim run` that began it")


def _used(status: dict[str, Any], bag: str) -> str:
    """Return how many trials a bag needed, where a rule said when to stop."""
    return f", {status['used'][bag]:,} trials" if status.get("used") else ""
