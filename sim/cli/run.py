"""`klsim run`: from experiment files to tables and a summary."""

from __future__ import annotations

import time
from functools import partial
from importlib import import_module
from typing import Any

import click
from rich.console import Console

from sim import api
from sim.cli import options
from sim.cli.outcome import FAILED_ESTIMATES, NOT_PRECISE, code, tell
from sim.cli.progress import watching
from sim.cli.terminal import one_line
from sim.config.problems import ConfigurationError
from sim.config.reading import load
from sim.experiment import Experiment


@click.command("run")
@options.configs
@options.changes
@options.out
@options.workers
@options.engine
@click.option("--fresh", is_flag=True, help="Delete what an earlier run left there first.")
@click.option(
    "--trace",
    type=click.IntRange(min=1),
    is_flag=False,
    flag_value=10,
    metavar="[TRIALS]",
    help="Also write trace.parquet: what happened when in the first trials of bags with a clock.",
)
@click.option("--report", is_flag=True, help="Also write report.html, a page to read.")
@options.as_json
def command(
    configs: tuple[str, ...],
    changes: tuple[str, ...],
    out: str,
    workers: int | None,
    engine: str,
    fresh: bool,
    trace: int | None,
    report: bool,
    as_json: bool,
) -> int:
    """Run experiments: what is missing is drawn, then all is summarized.

    A run that was stopped goes on where it was, to the same bits.
    """
    reports: list[dict[str, Any]] = []
    codes: list[int] = []
    number = options.number_of(workers, engine)
    run = partial(api.run, out=out, workers=number, engine=engine, fresh=fresh)
    # what draws is an extra, and slow to import: nobody else pays for it
    pages = [import_module(f"sim.{name}") for name in ("gathering", "paging") if report]
    try:
        for experiment in _load_all(configs, changes):
            started = time.monotonic()
            with watching(experiment.name, Console(stderr=True)) as progress:
                results = run(experiment, progress=progress)
            if trace is not None:
                api.trace(results.path, trace)
            seconds = round(time.monotonic() - started, 3)
            reports.append({**results.report(), "seconds": seconds})
            codes.append(code(reports[-1]))
            if not as_json:
                tell(reports.pop(), options.console())
            if report:
                gathering, paging = pages
                page = paging.write_page(gathering.gather(results.path), results.path)
                click.echo(one_line(str(page)), err=as_json)
    finally:  # what is done is told, whatever becomes of the next
        if as_json and reports:
            click.echo(options.strict_json(reports))
    return next((code for code in (FAILED_ESTIMATES, NOT_PRECISE) if code in codes), 0)


def _load_all(configs: tuple[str, ...], changes: tuple[str, ...]) -> list[Experiment]:
    """Return every experiment, or every fault in all of them, before anything runs."""
    experiments: list[Experiment] = []
    problems = []
    for config in configs:
        try:
            experiments.append(load(config, changes))
        except ConfigurationError as error:
            problems += error.problems
    if problems:
        raise ConfigurationError(problems)
    names = [experiment.name for experiment in experiments]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise click.UsageError(f"two of these experiments are named {twice}; give each its own")
    return experiments
