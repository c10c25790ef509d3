"""`klsim validate`: is this an experiment, and if not, where is it wrong?"""

from __future__ import annotations

from typing import Any

import click

from sim.cli import options
from sim.cli.terminal import say
from sim.config.problems import ConfigurationError, dotted
from sim.config.reading import load

INVALID = 2


@click.command("validate")
@options.configs
@options.changes
@options.as_json
def command(configs: tuple[str, ...], changes: tuple[str, ...], as_json: bool) -> int:
    """Check configuration files and name every fault with its place."""
    reports: list[dict[str, Any]] = []
    for config in configs:
        try:
            experiment = load(config, changes)
        except ConfigurationError as error:
            reports.append({"file": config, "valid": False, "problems": _plain(error)})
            if not as_json:
                say(str(error), err=True)
            continue
        cells = sum(len(experiment.cells(b)) * len(experiment.sizes_of(b)) for b in experiment.bags)
        blocks = sum(experiment.blocks(bag) for bag in experiment.bags)
        reports.append({"file": config, "valid": True, "problems": []})
        if not as_json:
            most = "at most " if experiment.stop else ""
            trials = f"{most}{experiment.most_trials:,} trials in {most}{blocks:,} blocks"
            what = f"{cells} cells of {trials}"
            say(f"{config}: valid; {what}")
    if as_json:
        click.echo(options.strict_json(reports))
    return 0 if all(report["valid"] for report in reports) else INVALID


def _plain(error: ConfigurationError) -> list[dict[str, Any]]:
    return [
        {
            "source": problem.mark.source.name,
            "line": problem.mark.line + 1,
            "column": problem.mark.column + 1,
            "path": dotted(problem.path),
            "message": problem.message,
        }
        for problem in error.problems
    ]
