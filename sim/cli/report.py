"""`klsim report`: what a result says, as a page or as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from sim.cli import options
from sim.cli.terminal import one_line
from sim.drawings import draw, expect_names
from sim.gathering import gather
from sim.paging import write_page


@click.command("report")
@options.results
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "svg", "png"]),
    default="html",
    show_default=True,
    help="A page; or each picture as a file, as vectors or as points, two for a pixel.",
)
@click.option("--out", type=click.Path(file_okay=False), help="Where pictures go; RESULTS/report.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this picture, such as bias.")
def command(
    results: str, form: Literal["html", "svg", "png"], out: str | None, only: tuple[str, ...]
) -> None:
    """Write what a result says, and say where it lies.

    The page is RESULTS/report.html: words, pictures and tables in one file, for any browser.
    """
    if out == "":
        raise click.UsageError(
            "--out: expected the name of a folder, got ''; "
            "without --out pictures go to RESULTS/report"
        )
    if form == "html":
        if out is not None or only:
            raise click.UsageError("--out and --only are for pictures: --format svg or png")
        paths = [write_page(gather(results), Path(results))]
    else:
        expect_names(only)
        paths = draw(gather(results), results, form, out, only)
    for path in paths:
        click.echo(one_line(str(path)))
