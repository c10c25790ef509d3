"""`klsim replay`: one trial again, bit for bit, beside what is stored of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sim.cli import options
from sim.cli.colours import listed
from sim.cli.outcome import CHECK_FAILED
from sim.numbers import plain
from sim.one_trial import Tally
from sim.replay import Difference, Replay, replay
from sim.tables import CONTROL

_MOST_DRAWS = 60
_MOST_LINES = 40


@click.command("replay")
@options.results
@click.option("--bag", required=True, help="The label of the bag.")
@click.option("--trial", type=int, required=True, help="As in the column `trial`, from 0.")
@click.option("--size", type=int, help="Show this size alone; all are compared.")
@options.as_json
def command(results: str, bag: str, trial: int, size: int | None, as_json: bool) -> int:
    """Give one trial again, bit for bit: its draws, its counts by size, its estimates.

    The estimates are compared with the stored ones; one that differs in any bit
    exits 6, and so does a damaged part.
    """
    again = replay(results, bag, trial)
    sizes = [tally.size for tally in again.trial.tallies]
    if size is not None and size not in sizes:
        raise click.UsageError(f"bag {bag} has no size {size}; expected one of {sizes}")
    told = _told(again, sizes if size is None else [size])
    if as_json:
        click.echo(options.strict_json(told))
    else:
        _show(again, told, options.console())
    return CHECK_FAILED if again.stored.state in ("different", "damaged") else 0


def _told(again: Replay, sizes: Sequence[int]) -> dict[str, Any]:
    """Return a trial at some sizes as plain data; its draws go up to the largest."""
    trial, stored = again.trial, again.stored
    happened = None if trial.happened is None else trial.happened.to_pylist()
    draws = None if trial.draws is None else trial.draws[: sizes[-1]]
    return {
        "name": again.experiment.name,
        "bag": again.bag,
        "trial": again.number,
        "block": again.block,
        "unit": again.experiment.unit,
        "draws": None if draws is None else [trial.colours[colour] for colour in draws],
        "events": happened
        and [{key: event[key] for key in ("time", "event", "colour")} for event in happened],
        "counts": [_counts(tally, trial.colours) for tally in trial.tallies if tally.size in sizes],
        "estimates": [row for row in trial.rows.to_pylist() if row["size"] in sizes],
        "stored": {
            "part": str(stored.part),
            "state": stored.state,
            "equal": stored.equal,
            "lacking": stored.lacking,
            "differences": [difference._asdict() for difference in stored.differences],
        },
        "doubt": again.doubt or None,
    }


def _counts(tally: Tally, colours: Sequence[str]) -> dict[str, Any]:
    def named(counts: Any) -> dict[str, int]:
        return dict(zip(colours, counts.tolist(), strict=True))

    models = {name: named(counts) for name, counts in tally.models.items()}
    return {"size": tally.size, "counts": named(tally.counts), "models": models}


def _show(again: Replay, told: dict[str, Any], console: Console) -> None:
    head = f"{told['name']}: trial {again.number} of bag {again.bag}, in block {again.block}"
    console.print(Text(head, style="bold"))
    if told["draws"] is not None:
        console.print(Text("Draws: " + _cut(told["draws"], _MOST_DRAWS, ", ")))
    estimates = [row for row in told["estimates"] if row["target"] != CONTROL]
    for rows, table in (
        (told["events"], _events),
        (told["counts"], _counted),
        (estimates, _estimates),
    ):
        if rows:
            console.print(table(rows))
        if rows and len(rows) > _MOST_LINES:
            more = f"… {len(rows) - _MOST_LINES:,} more; --json gives all, --size N one size"
            console.print(Text(more))
    for line in _verdict(again):
        console.print(Text(line), soft_wrap=True)


def _cut(texts: Sequence[str], most: int, between: str) -> str:
    more = len(texts) - most
    return between.join([*texts[:most], *([f"… {more:,} more"] if more > 0 else [])])


def _events(events: Sequence[dict[str, Any]]) -> Table:
    table = _table("What happened when", "time", "event", "colour")
    for event in events[:_MOST_LINES]:
        texts = (repr(event["time"]), event["event"], event["colour"] or "–")
        table.add_row(*map(Text, texts))
    return table


def _counted(counts: Sequence[dict[str, Any]]) -> Table:
    models = list(counts[0]["models"])
    beside = [f"drawn of model {name}" for name in models]
    table = _table("Counts by size", "n", "drawn", *beside)
    for each in counts[:_MOST_LINES]:
        drawn = [each["counts"], *(each["models"][name] for name in models)]
        texts = [listed(list(one), [f"{n:,}" for n in one.values()]) for one in drawn]
        table.add_row(*map(Text, [f"{each['size']:,}", *texts]))
    return table


def _estimates(rows: Sequence[dict[str, Any]]) -> Table:
    """Return a line for each estimate, itself with all its digits."""
    bounds = ("se", "lower", "upper") if any(row["se"] is not None for row in rows) else ()
    table = _table("Estimates", "model / target / estimator", "n", "estimate", "truth")
    for name in bounds:
        table.add_column(name, no_wrap=True)
    for row in rows[:_MOST_LINES]:
        cell = f"{row['model'] or 'learned'} / {row['target']} / {row['estimator']}"
        numbers = [_digits(row), *(plain(row[name]) for name in ("truth", *bounds))]
        table.add_row(*map(Text, [cell, f"{row['size']:,}", *numbers]))
    return table


def _digits(row: dict[str, Any]) -> str:
    value = row["estimate"]
    if value is None:
        return str(row["status"])
    return repr(value) if isfinite(value) else plain(value)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    return table


def _verdict(again: Replay) -> Iterator[str]:
    """Yield what came of the comparison with what is stored."""
    stored = again.stored
    if again.doubt:
        yield again.doubt
    if stored.fault:
        yield f"nothing to compare with: {stored.fault}"
        return
    if stored.differences:
        wrong = len({difference[:4] for difference in stored.differences})
        yield f"{wrong:,} rows differ from the stored ones in {stored.part}:"
        for difference in stored.differences[:_MOST_LINES]:
            yield f"  {_said(difference)}"
        if len(stored.differences) > _MOST_LINES:
            yield f"  … {len(stored.differences) - _MOST_LINES:,} more"
        yield f"{stored.equal:,} rows equal the stored ones to the bit"
        return
    yield f"all {stored.equal:,} rows equal the stored ones to the bit"
    if stored.lacking:
        yield f"{stored.lacking:,} more rows are not stored yet"


def _said(difference: Difference) -> str:
    model, target, estimator, size, column, stored, replayed = difference
    place = f"{model or 'learned'} / {target} / {estimator} at n = {size:,}"
    return f"{place}: {column} {_value(stored)} stored, {_value(replayed)} replayed"


def _value(value: Any) -> str:
    return "nothing" if value is None else str(value)
