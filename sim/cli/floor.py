"""`klsim floor`: how much is counted when nothing differs: is what you counted noise?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from sim.answers.floors import Floor, FloorQuantile, Tail, noise_floor
from sim.cli import asked, options
from sim.cli.terminal import say
from sim.numbers import plain, with_error

_ALL = 0.999
"""More of all noise than that is above what is too little even for noise."""

_NOISE, _NO_NOISE = 0.05, 0.01
_ALL = 0.999
"""Where noise is so often above it, that is too little even for noise."""
_LEAST = 1e-15
"""Chances below are not told from 0: outcomes rarer than that are not listed."""


@click.command("floor")
@asked.bag
@click.option("--size", type=int, required=True, metavar="N", help="Draws of P.")
@click.option("--observed", type=float, metavar="D", help="What you counted, all its digits.")
@click.option("--two-sample", type=int, metavar="M", help="Q is only known by M draws, too.")
@click.option("--without-replacement", is_flag=True, help="Balls stay out of the bag.")
@asked.how
@click.option("--trials", type=int, help="Draw so many trials, even where it could be exact.")
@options.as_json
def command(
    balls: asked.Typed | None,
    colours: int | None,
    size: int,
    observed: float | None,
    two_sample: int | None,
    without_replacement: bool,
    as_json: bool,
    **how: Any,
) -> None:
    """Say how much is counted of a divergence when nothing differs, P = Q: the noise floor.

    Exact where the outcomes can be listed, by trials elsewhere. With --observed, the chance of
    as much or more by noise alone. Q is the bag itself; docs/floor.md goes through an example:

    klsim floor --balls 10,15 --size 200 --observed 0.03
    """
    bag = asked.contents(balls, colours)
    with asked.keys("floor", how) as keys:
        found = noise_floor(bag, size, observed, two_sample, without_replacement, **keys)
    if as_json:
        click.echo(options.strict_json(asdict(found)))
        return
    name = asked.name_of(found.estimator, found.target)
    unit = asked.units(found.target, found.unit)
    say(f"What {name} comes to when P = Q{', in' if unit else ''}{unit}")
    options.console().print(_table(found))
    for line in _remarks(found):
        say(line)
    say(_sentence(found))


def _table(found: Floor) -> Table:
    table = Table("in so many cases")
    table.add_column("it is at most", justify="right")
    is_drawn, is_beside = not found.exact, found.quantiles[0].chi_square is not None
    if is_drawn:
        table.add_column("the true one lies in", justify="right")
    if is_beside:
        table.add_column("χ², for large samples", justify="right")
    for each in found.quantiles:
        cells = [f"{100 * each.share:g} %", plain(each.value, 5 if is_drawn else 6)]
        cells += [_between(each)] if is_drawn else []
        cells += [plain(each.chi_square, 5)] if is_beside else []
        table.add_row(*map(Text, cells))
    return table


def _between(each: FloorQuantile) -> str:
    return f"{plain(each.low, 5)} … {plain(each.high, 5)}"


def _remarks(found: Floor) -> list[str]:
    """Return how it was worked out, its mean, and what is infinite or undefined."""
    unit = asked.units(found.target, found.unit)
    if found.exact:
        lines = [f"Exact: every outcome counts. The mean is {plain(found.mean)}{unit}."]
    else:
        mean = "–" if found.mean is None else with_error(found.mean, found.mean_mcse or 0.0)
        lines = [
            f"By {found.trials:,} trials, seed {found.seed}; intervals hold the true value in 95 "
            f"of 100 cases. The mean is {mean}{unit}."
        ]
    for what, share in (("infinite", found.p_infinite), ("undefined", found.p_undefined)):
        if share > _LEAST:
            left = " and left out" if what == "undefined" else ""
            lines.append(f"A share of {plain(share, 3)} of the estimates is {what}{left}.")
    return lines


def _sentence(found: Floor) -> str:
    floor = next(each for each in found.quantiles if each.share == 0.95)
    name = asked.name_of(found.estimator, found.target)
    many = f"{asked.many(found.size, 'draw')} from {asked.many(found.colours, 'colour')}"
    second = "" if found.model_size is None else f" against {found.model_size:,} draws of Q"
    unit = asked.units(found.target, found.unit)
    begin = (
        f"With {many}{second} {name} is at most {plain(floor.value, 4)}{unit} "
        f"in {asked.in_100(0.95)} when nothing differs"
    )
    return f"{begin}." if found.tail is None else f"{begin}; {_verdict(found, found.tail)}"


def _verdict(found: Floor, tail: Tail) -> str:
    """Return what the chance of as much or more says of what was observed."""
    observed, p = plain(tail.observed, 10), _chance(found, tail)
    low = tail.p if tail.low is None else tail.low
    high = tail.p if tail.high is None else tail.high
    if low > _ALL:
        return f"{observed} is less than noise gives ({p}): look at how it was counted."
    if low > _NOISE:
        return f"{observed} is not beyond that ({p}): that is what noise looks like."
    if high > _NOISE:
        return f"{observed} lies there ({p}): more --trials would tell on which side."
    if high > _NO_NOISE:
        return f"{observed} is beyond that ({p}): rare for noise, a hint that something differs."
    return f"{observed} is beyond that ({p}): that is no noise."


def _chance(found: Floor, tail: Tail) -> str:
    if tail.low is None or tail.high is None:
        return f"p = {plain(tail.p, 3)}" if tail.p > _LEAST else f"p < {_LEAST:g}"
    if tail.p == 0:
        return f"p < {plain(tail.high, 1)}: in none of {found.trials:,} trials as much"
    return f"p = {plain(tail.p, 3)}, {plain(tail.low, 3)} … {plain(tail.high, 3)}"
