"""`klsim estimate`: what every estimator makes of your own counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sim.cli import options
from sim.cli.colours import Named, Numbers, aligned, listed, of_file
from sim.divergences import Divergence, Unit, divergence
from sim.numbers import plain
from sim.own_counts import Row, every_estimate


@click.command("estimate")
@click.option("--counts", type=Numbers(), help="Draws by colour: 4,2,3,0 or red=4,blue=2.")
@click.option("--model", type=Numbers(), help="Q, known: probabilities or weights by colour.")
@click.option("--model-counts", type=Numbers(), help="Q, only drawn from: its draws by colour.")
@click.option(
    "--file",
    "path",
    type=click.Path(exists=True, dir_okay=False),
    help="A Parquet or CSV file of draws: the counts, or with --counts the draws from Q.",
)
@click.option("--column", help="The column of the file to count.")
@click.option("--model-column", help="The column of the file that holds draws from Q.")
@click.option("--missing", type=click.Choice(["drop", "colour"]), help="What its gaps are.")
@click.option("--target", default="kl", show_default=True, help="kl, js, renyi(2), …")
@click.option("--unit", type=click.Choice(["nats", "bits"]), default="nats", show_default=True)
@options.as_json
def command(
    counts: Named | None,
    model: Named | None,
    model_counts: Named | None,
    path: str | None,
    column: str | None,
    model_column: str | None,
    missing: str | None,
    target: str,
    unit: Unit,
    as_json: bool,
) -> None:
    """Estimate a divergence D(P‖Q) from your own counts, by every estimator that applies.

    Without --model, --model-counts or a second sample in --file, Q is uniform.
    """
    own, second = _samples(counts, model_counts, (path, column, model_column), missing)
    _only_one(model, second)
    other = model or second or Named((colour, 1.0) for colour in own)
    names, p, q = aligned(own, other, counted=second is not None)
    rows = every_estimate(p, None if second else q, q if second else None, target, unit)
    known = cast(Divergence, divergence(target))
    if as_json:
        sides = {"counts": [int(c) for c in p], "model_counts" if second else "model": q}
        click.echo(options.strict_json(_plain(names, sides, rows, known.name, unit)))
        return
    console = options.console()
    console.print(Text(f"P: {_sample(names, p, 'n')}"))
    told = _sample(names, q, "m") if second else _known(names, q, model)
    console.print(Text(f"Q: {told}"))
    per = "" if known.bit == 1 else f", in {unit}"
    _show(console, f"{known.name}{per}: {known.about}", rows, sum(p) / len(p))


def _only_one(model: Named | None, second: Named | None) -> None:
    if model is not None and second is not None:
        raise click.UsageError("expected one Q: --model, --model-counts or --file")


def _samples(
    counts: Named | None,
    model_counts: Named | None,
    places: tuple[str | None, str | None, str | None],
    missing: str | None,
) -> tuple[Named, Named | None]:
    """Return the counts of P, and those of Q where there are any."""
    drawn = _drawn(places, missing)
    if counts is None and not (drawn and places[1]):
        raise click.UsageError("expected --counts 4,2,3,0, or --file and --column")
    found = [each for each in (counts, *drawn, model_counts) if each is not None]
    if len(found) > 2:
        raise click.UsageError("expected one Q: --model, --model-counts or --file")
    return found[0], found[1] if len(found) == 2 else None


def _drawn(places: tuple[str | None, str | None, str | None], missing: str | None) -> list[Named]:
    """Return the counts of each column that is named."""
    path, *columns = places
    if (path is None) != (columns == [None, None]):
        raise click.UsageError("--file and --column go together")
    if missing and not path:
        raise click.UsageError("--missing says what the gaps of --file are; there is no --file")
    return [of_file(path, name, missing) for name in columns if path and name]


def _plain(
    names: list[str], sides: dict[str, Any], rows: Sequence[Row], target: str, unit: str
) -> dict[str, Any]:
    estimates = [
        {
            "estimator": row.label,
            "parameters": row.parameters,
            "estimate": None if row.estimate != row.estimate else row.estimate,
            "assumes": row.assumes,
        }
        for row in rows
    ]
    return {"colours": names, **sides, "target": target, "unit": unit, "estimates": estimates}


def _sample(names: list[str], counts: list[float], size: str) -> str:
    unseen = sum(1 for count in counts if count == 0)
    each = listed(names, [plain(count, 16) for count in counts])
    lack = f"{unseen:,} colour{'' if unseen == 1 else 's'} not drawn"
    return f"{each}; {size} = {sum(counts):,.0f}, K = {len(counts):,}, {lack}"


def _known(names: list[str], weights: list[float], model: Named | None) -> str:
    each = [plain(weight / sum(weights), 4) for weight in weights]
    return f"{listed(names, each)}; known" if model else "uniform; known"


def _show(console: Console, what: str, rows: Sequence[Row], draws: float) -> None:
    hint = f"n/K = {plain(draws, 3)}: docs/estimators.md says which to believe there"
    caption = f"{hint}; – is undefined"
    table = Table("estimator", title=f"Estimates of {what}", caption=caption)
    table.title_justify = table.caption_justify = "left"
    table.add_column("estimate", justify="right")
    table.add_column("believe it where")
    for row in rows:
        table.add_row(Text(row.label), plain(row.estimate), Text(row.assumes))
    console.print(table)
