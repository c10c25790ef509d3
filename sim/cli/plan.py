"""`klsim plan`: what will a run cost, and how well will it know each bias?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sim.analysis.plan import LEAST_TRIALS, Forecast, Plan
from sim.cli import options
from sim.cli.terminal import say
from sim.config.reading import load
from sim.experiment import Stop
from sim.loop.pilot import ENOUGH
from sim.numbers import plain
from sim.planning import PATIENCE, plan

_WORST = 5


@click.command("plan")
@click.argument("config", metavar="CONFIG", type=click.Path(dir_okay=False))
@options.changes
@options.workers
@options.engine
@click.option(
    "--mcse",
    type=click.FloatRange(min=0, min_open=True),
    metavar="TARGET",
    help="Also say how many trials bring the Monte Carlo error of every bias to this.",
)
@click.option(
    "--patience",
    type=click.FloatRange(min=0, min_open=True),
    default=PATIENCE,
    show_default=True,
    metavar="SECONDS",
    help="How long a step of a bag's pilot may take; more makes slow ones surer.",
)
@options.as_json
def command(
    config: str,
    changes: tuple[str, ...],
    workers: int | None,
    engine: str,
    mcse: float | None,
    patience: float,
    as_json: bool,
) -> None:
    """Say what a run will cost and how well it will know each bias, before it is run.

    A few trials are drawn and timed; nothing is written.
    """
    experiment = load(config, changes)
    found = plan(
        experiment,
        workers=options.number_of(workers, engine),
        engine=engine,
        mcse=mcse,
        patience=patience,
        watch=lambda bag: say(f"{experiment.name}: a pilot of bag {bag}", err=True),
    )
    if as_json:
        click.echo(options.strict_json(told(found)))
    else:
        _show(found, options.console())


def told(found: Plan) -> dict[str, Any]:
    """Return a plan as plain data: times in seconds, errors in the experiment's unit."""
    experiment = found.experiment
    return {
        "name": experiment.name,
        "unit": experiment.unit,
        "bags": [asdict(bag) for bag in found.bags],
        "blocks": sum(bag.blocks for bag in found.bags),
        "rows": sum(bag.rows for bag in found.bags),
        "bytes": sum(bag.bytes for bag in found.bags),
        "seconds": found.seconds,
        "drawing": found.drawing,
        "analysis": found.analysis,
        "work": found.work,
        "pilot_seconds": found.pilot_seconds,
        "target": found.target,
        "trials_needed": found.trials_needed,
        "trials_adjusted": found.trials_adjusted,
        "worst": found.rows(found.worst[:_WORST]),
        "cells": found.rows(found.cells),
    }


def _show(found: Plan, console: Console) -> None:
    console.print(Text("What will be drawn", style="bold"))
    console.print(_bags(found))
    if found.worst:
        console.print()
        unit = found.experiment.unit
        console.print(Text(f"The biases that will be known worst ({unit})", style="bold"))
        console.print(_cells(found))
    console.print()
    for sentence in sentences(found):
        console.print(Text(sentence), soft_wrap=True)


def _bags(found: Plan) -> Table:
    table = Table()
    table.add_column("bag", overflow="fold")
    for name in ("blocks", "trials", "rows", "MB", "seconds of one core", "pilot trials"):
        table.add_column(name, justify="right")
    for bag in found.bags:
        numbers = (f"{bag.blocks:,}", f"{bag.trials:,}", f"{bag.rows:,}", _mega(bag.bytes))
        table.add_row(Text(bag.bag), *numbers, _short(bag.seconds), f"{bag.pilot:,}")
    return table


def _cells(found: Plan) -> Table:
    table = Table()
    table.add_column("bag / model / estimator", overflow="fold")
    for name in ("n", "bias", "its error", "adjusted", "error from"):
        table.add_column(name, justify="right")
    for cell in found.worst[:_WORST]:
        trials = found.trials[cell.key.line.bag]
        adjusted = cell.adjusted_bias_mcse(trials)
        table.add_row(
            Text(_name(cell)),
            f"{cell.key.size:,}",
            plain(cell.bias, 3),
            plain(cell.bias_mcse(trials), 3),
            plain(None if adjusted != adjusted else adjusted, 3),
            _source(cell),
        )
    return table


def _name(cell: Forecast) -> str:
    line = cell.key.line
    target = "" if line.target in ("kl", "kl_loss") else f" / {line.target}"
    return f"{line.bag} / {line.model or 'learned'}{target} / {line.estimator}"


def _source(cell: Forecast) -> str:
    return "exact sd" if cell.source == "exact" else f"{cell.pilot:,} pilot trials"


def sentences(found: Plan) -> Iterator[str]:
    """Yield what a plan comes to, in words."""
    size = _mega(sum(bag.bytes for bag in found.bags))
    yield (
        f"The run will take about {_time(found.seconds)}: {_time(found.drawing)} for the trials, "
        f"{_time(found.analysis)} for the analysis; {size} MB of trials."
    )
    known = [cell for cell in found.cells if cell.spread == cell.spread]
    seen = sum(cell.seen(found.trials[cell.key.line.bag]) for cell in known)
    yield f"It will tell {seen:,} of {len(known):,} biases from 0, by three of their errors."
    yield from _doubts(found)
    if found.target is not None:
        yield from _target(found, found.target)
    if found.experiment.stop is not None:
        yield from _stops(found, found.experiment.stop)
    yield f"The pilot took {_time(found.pilot_seconds)}; nothing was written."


def _doubts(found: Plan) -> Iterator[str]:
    """Yield what is not known, or not well, because the pilot had few trials."""
    few = [cell for cell in found.cells if cell.source == "pilot" and cell.pilot < ENOUGH]
    rough = [cell for cell in few if cell.spread == cell.spread]
    unknown = [cell for cell in few if cell.pilot < LEAST_TRIALS]
    if rough:
        least = min(cell.pilot for cell in rough)
        number = f"{len(rough):,} of these errors are rough, from {least:,} pilot trials or more"
        yield f"{number}; a larger --patience makes them surer."
    if unknown:
        number = f"{len(unknown):,} errors are not known"
        yield f"{number}: fewer than {LEAST_TRIALS} pilot trials were affordable; see --patience."


def _target(found: Plan, target: float) -> Iterator[str]:
    unit = found.experiment.unit
    if found.trials_needed is None:
        yield f"How many trials bring every bias to an error of {target:g} {unit} is not known."
        return
    yield (
        f"{found.trials_needed:,} trials of each bag bring every bias to an error of "
        f"{target:g} {unit}."
    )
    if found.trials_adjusted is not None and found.trials_adjusted < found.trials_needed:
        yield f"With control variates, as `stop` judges, {found.trials_adjusted:,} do."


def _stops(found: Plan, stop: Stop) -> Iterator[str]:
    """Yield in words that the trials above are a guess, and whether they will do."""
    yield "`stop` decides when a bag ends: the trials above are those that it will take, about."
    most = [bag.bag for bag in found.bags if not found.reaches(bag.bag)]
    if most:
        yield (
            f"{stop.bias_mcse:g} will not be reached, or nobody knows, with at most "
            f"{stop.max_trials:,} trials: {', '.join(most)}."
        )


def _mega(size: int) -> str:
    return f"{size / 1e6:,.2f}" if size < 1e8 else f"{size / 1e6:,.0f}"


def _short(seconds: float) -> str:
    return f"{seconds:,.2f}" if seconds < 10 else f"{seconds:,.0f}"


def _time(seconds: float) -> str:
    """Return a time as people say it, with two digits."""
    for worth, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * worth:
            return (
                f"{seconds / worth:.2g} {name}"
                if seconds < 100 * worth
                else f"{seconds / worth:,.0f} {name}"
            )
    return f"{seconds:.2g} s" if seconds < 100 else f"{seconds:.0f} s"
