"""`klsim extend`: what a larger experiment asks for beyond its results is added to them."""

from __future__ import annotations

import time

import click
from rich.console import Console

from sim import api
from sim.cli import options
from sim.cli.outcome import code, tell
from sim.cli.progress import watching
from sim.config.reading import load


@click.command("extend")
@click.argument("config", type=click.Path(dir_okay=False))
@options.changes
@options.out
@options.workers
@options.engine
@options.as_json
def command(
    config: str,
    changes: tuple[str, ...],
    out: str,
    workers: int | None,
    engine: str,
    as_json: bool,
) -> int:
    """Add to a result what a larger experiment asks for; what is there stays as it is.

    It may have more trials, sizes beyond the largest, more bags, models, targets, estimators
    and learners. Only what is missing is computed.
    """
    experiment = load(config, changes)
    started = time.monotonic()
    with watching(experiment.name, Console(stderr=True)) as progress:
        number = options.number_of(workers, engine)
        results = api.extend(experiment, out=out, workers=number, engine=engine, progress=progress)
    told = {**results.report(), "seconds": round(time.monotonic() - started, 3)}
    if as_json:
        click.echo(options.strict_json(told))
    else:
        tell(told, options.console())
    return code(told)
