"""`klsim size`: how many draws bring an estimate near enough to the truth, often enough."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click

from sim.answers.sizes import Needed, size_for_error
from sim.cli import asked, options
from sim.cli.terminal import say
from sim.numbers import plain


@click.command("size")
@asked.bag
@click.option("--error", type=float, required=True, metavar="E", help="So near to the truth.")
@click.option(
    "--confidence", type=float, default=0.95, show_default=True, help="In such a share of cases."
)
@click.option(
    "--model", type=asked.Balls(), metavar="BALLS", help="Q, known; the bag itself by default."
)
@asked.how
@click.option("--trials", type=int, help="At each size that is tried where it cannot be exact.")
@options.as_json
def command(
    balls: asked.Typed | None,
    colours: int | None,
    error: float,
    confidence: float,
    model: asked.Typed | None,
    as_json: bool,
    **how: Any,
) -> None:
    """Say how many draws are enough: from which size on an estimate is always near the truth.

    That is |estimate − truth| ≤ error in a share `confidence` of all cases. Exact where the
    outcomes can be listed, by trials elsewhere. For example:

    klsim size --balls 10,15 --error 0.01 --confidence 0.95
    """
    bag = asked.contents(balls, colours)
    with asked.keys("size", how) as keys:
        found = size_for_error(bag, error, confidence, model, **keys)
    if as_json:
        click.echo(options.strict_json(asdict(found)))
        return
    for line in _lines(found):
        say(line)


def _lines(found: Needed) -> Iterator[str]:
    name = asked.name_of(found.estimator, found.target)
    if found.size is None:
        begin = "No number of draws is enough" if found.exact else "Not found"
        yield f"{begin}: {found.reason}."
        return
    unit = asked.units(found.target, found.unit)
    name += f" of {asked.many(found.colours, 'colour')}"
    near = (
        f"{name} is within {plain(found.error)}{unit} of the true "
        f"{plain(found.truth)} in at least {asked.in_100(found.confidence)}"
    )
    if not found.exact:
        yield f"From about {asked.many(found.size, 'draw')} on, {near}."
        yield (
            f"By {found.trials:,} trials at each of a few sizes, seed {found.seed}: the size lies "
            f"in {found.low:,} … {found.high:,} in 95 of 100 cases."
        )
        return
    yield f"From {asked.many(found.size, 'draw')} on, {near}."
    if found.first is not None and found.last_failing is not None:
        yield from _sawtooth(found.first, found.last_failing)
    begin = f"from {found.scanned_from:,}" if (found.scanned_from or 1) > 1 else "up"
    yield (
        f"Exact: every size {begin} to {found.scanned_to:,} was worked out; "
        + ("beyond, it is proved." if found.proved else "beyond, nothing is proved.")
    )


def _sawtooth(first: int, last: int) -> Iterator[str]:
    if first < last:
        yield (
            f"{first:,} is the first size that is enough, {last:,} the last that is not: counts "
            "are whole, so the chance goes up and down between them."
        )
