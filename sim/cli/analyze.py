"""`klsim analyze`: the tables of a run, made anew."""

from __future__ import annotations

import os

import click

from sim import api
from sim.cli import options
from sim.cli.show import show


@click.command("analyze")
@options.results
@options.workers
@options.as_json
def command(results: str, workers: int | None, as_json: bool) -> None:
    """Make summary, convergence and comparison anew from the trials that are there."""
    analyzed = api.reanalyze(results, workers=workers or os.cpu_count() or 1)
    if as_json:
        click.echo(options.strict_json(analyzed.rows()))
        return
    console = options.console()
    experiment = analyzed.experiment
    tolerance = experiment.tolerance.model_dump()
    show(analyzed.rows(), experiment.unit, console, experiment.level, tolerance)
    if not api.status(results)["complete"]:
        console.print("The run is not complete: these tables hold the trials that are there.")
