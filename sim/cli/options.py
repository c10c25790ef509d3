"""Options that several verbs share."""

from __future__ import annotations

import click

configs = click.argument(
    "configs", nargs=-1, required=True, metavar="CONFIG…", type=click.Path(dir_okay=False)
)
results = click.argument("results", metavar="RESULTS", type=click.Path(file_okay=False))
changes = click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a key, such as trials=1000.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
