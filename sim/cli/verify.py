"""`klsim verify`: is every file of a run as it was left?"""

from __future__ import annotations

from typing import Any

import click

from sim import api
from sim.cli import options
from sim.cli.outcome import CHECK_FAILED
from sim.cli.terminal import say


@click.command("verify")
@options.results
@click.option(
    "--recompute",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Compute N blocks again and compare them, spread evenly over those that are here.",
)
@options.as_json
def command(results: str, recompute: int, as_json: bool) -> int:
    """Check every file of a run, to the bit, and name each bad one with what mends it.

    Nothing is written. An unfinished run is no fault; that no block could be computed again, where
    that was asked, is one.
    """
    told = api.verify(results, recompute)
    is_short = recompute > 0 and not told["recomputed"]
    if as_json:
        click.echo(options.strict_json(told))
    else:
        _tell(told, is_short)
    return CHECK_FAILED if told["faults"] or is_short else 0


def _tell(told: dict[str, Any], is_short: bool) -> None:
    for fault in told["faults"]:
        say(f"{told['results']}/{fault['file']}: {fault['what']}\n    {fault['mend']}")
    for note in told["notes"]:
        say(note)
    if told["recomputed"]:
        say(f"blocks computed again: {told['recomputed']:,}")
    name = told["name"] or "what lies here"
    faults = len(told["faults"])
    ends = [f"{faults} fault{'s' if faults > 1 else ''}"] if faults else []
    ends += ["no block could be computed again and compared"] if is_short else []
    end = "; ".join(ends) or "every check holds"
    say(f"{name}: whole parts {told['parts']:,}, rows {told['rows']:,}; {end}")
