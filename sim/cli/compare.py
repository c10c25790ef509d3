"""`klsim compare`: in what two results differ beyond their errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sim.cli import options
from sim.cli.outcome import CHECK_FAILED
from sim.comparing import Comparison, compare
from sim.numbers import plain, with_error
from sim.store.differences import short

_MOST_ROWS = 20
_MOST_KEYS = 8
_FAILS = {"worse": ("worse",), "different": ("worse", "better", "different")}
_NAMES = {"p_infinite": "share infinite"}
_folder = click.Path(file_okay=False)


@click.command("compare")
@click.argument("first", metavar="A", type=_folder)
@click.argument("second", metavar="B", type=_folder)
@click.option(
    "--fail-on",
    type=click.Choice(list(_FAILS)),
    help="End with exit code 6 if anything of B is worse, or different at all.",
)
@click.option("--all", "is_all", is_flag=True, help="Show every row that differs, however many.")
@options.as_json
def command(first: str, second: str, fail_on: str | None, is_all: bool, as_json: bool) -> int:
    """Say in what B differs from A beyond the errors of both: bias, rmse, infinity, coverage.

    Trials are paired where both results have the same seed, which makes small differences seen.
    """
    found = compare(first, second)
    if as_json:
        click.echo(options.strict_json(_plain(found)))
    else:
        _show(found, (first, second), None if is_all else _MOST_ROWS, options.console())
    fails = fail_on is not None and bool(found.of(*_FAILS[fail_on]))
    return CHECK_FAILED if fails else 0


def _plain(found: Comparison) -> dict[str, Any]:
    rows = [{key: None if v != v else v for key, v in row.items()} for row in found.rows]
    return {
        "ways": found.ways,
        "unlike": [{"key": key, "first": a, "second": b} for key, a, b in found.unlike],
        "other_truth": found.other_truth,
        "first_only": found.first_only,
        "second_only": found.second_only,
        "counts": found.counts,
        "rows": rows,
    }


def _show(found: Comparison, names: tuple[str, str], most: int | None, console: Console) -> None:
    for line in (*_experiments(found, names), *_ways(found.ways)):
        console.print(Text(line), soft_wrap=True)
    rows = [row for verdict in ("worse", "better", "different") for row in found.of(verdict)]
    if rows:
        console.print(_table(rows[:most]))
    if most is not None and len(rows) > most:
        console.print(Text(f"… and {len(rows) - most} more: --all"))
    for line in _ends(found):
        console.print(Text(line), soft_wrap=True)


def _experiments(found: Comparison, names: tuple[str, str]) -> Iterator[str]:
    yield f"A: {names[0]}"
    yield f"B: {names[1]}"
    if not found.unlike:
        yield "Both are the same experiment."
    for key, one, other in found.unlike[:_MOST_KEYS]:
        yield f"  {key}: {short(one)} in A, {short(other)} in B"
    if len(found.unlike) > _MOST_KEYS:
        yield f"  … and {len(found.unlike) - _MOST_KEYS} more"


_WORDS = {
    "same draws": "the same draws: paired, trial by trial",
    "same random numbers": "the same random numbers for other draws: paired, trial by trial",
    "trials missing": "the same seed, no block in both: not paired, errors too wide",
    "independent": "independent trials",
}


def _ways(ways: Mapping[str, str]) -> Iterator[str]:
    for way, words in _WORDS.items():
        bags = [bag for bag, known in ways.items() if known == way]
        if bags:
            named = f"bag{'s' if len(bags) > 1 else ''} {', '.join(bags)}"
            yield f"{words[0].upper()}{words[1:]} ({named})"


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table()
    table.add_column("bag / model / target / estimator", overflow="fold")
    for name in ("n", "measure", "A", "B", "B − A", "B is"):
        table.add_column(name, justify="left" if name in ("measure", "B is") else "right")
    for row in rows:
        model = "learned" if row["model"] is None else row["model"]
        texts = [
            f"{row['bag']} / {model} / {row['target']} / {row['estimator']}",
            f"{row['size']:,}",
            _NAMES.get(row["measure"], row["measure"]),
            plain(row["first"], 4),
            plain(row["second"], 4),
            with_error(row["difference"], row["difference_mcse"]),
            row["verdict"],
        ]
        table.add_row(*map(Text, texts))
    return table


def _ends(found: Comparison) -> Iterator[str]:
    counts, number = found.counts, len(found.rows)
    named = [f"{counts[name]:,} {name}" for name in ("worse", "better", "different")]
    yield (
        f"B against A, {number:,} measures compared: {', '.join(named)}; {counts['equal']:,} no "
        "further apart than chance makes them."
    )
    if number:
        yield (
            "± is one Monte Carlo standard error. All are judged together (Holm): between two\n"
            "studies of the same thing any difference at all is told in at most 1 of 20 cases."
        )
    if counts["untold"]:
        yield f"{counts['untold']:,} cannot be judged: too few trials, or no error is known."
    if found.other_truth:
        yield f"{found.other_truth:,} cells estimate another true value in B: not compared."
    for number, where in ((found.first_only, "A"), (found.second_only, "B")):
        if number:
            yield f"{number:,} cells are in {where} only."
