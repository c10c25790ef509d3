"""The tables and the sentence that a run ends with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from math import isfinite
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sim.cli.compared import show_best
from sim.cli.enough import DEFAULT, show_enough
from sim.numbers import plain, with_error
from sim.phrases import bias, named, place, thinned, title, unit_of

Row = Mapping[str, Any]

_SEEN = 3.0
_MOST_TABLES = 12
_MOST_LINES = 40


def show(
    tables: Mapping[str, Sequence[Row]],
    unit: str,
    console: Console,
    level: float = 0.95,
    tolerance: Mapping[str, float] = DEFAULT,
) -> None:
    """Print how the errors fall with n and what it means, from the rows of the tables."""
    summary, convergence = tables["summary"], tables["convergence"]
    groups = [list(g) for _, g in groupby(summary, lambda r: (r["bag"], r["model"], r["target"]))]
    for rows in groups[:_MOST_TABLES]:
        console.print(Text(title(rows, unit), style="bold"))
        _print_tables(rows, console, _bias)
        bounded = [row for row in rows if row.get("coverage") is not None]
        if bounded:
            held = f"How often their intervals at {level:g} hold it: "
            console.print(Text(f"{held}{place(rows[0])}", style="bold"))
            _print_tables(bounded, console, _coverage)
    if len(groups) > _MOST_TABLES:
        console.print(f"… and {len(groups) - _MOST_TABLES} more in summary.parquet")
    console.print(Text("± is one Monte Carlo standard error; “not seen”: within 3 of them of 0."))
    console.print()
    console.print(Text("How fast the bias falls: bias = constant · n^power", style="bold"))
    console.print(rate_table(summary, convergence))
    if any(_adjusted(row) for row in summary):
        console.print(Text("“bias there” is adjusted by control variates where it can be."))
    console.print()
    show_enough(convergence, unit, level, tolerance, console)
    show_best(tables.get("comparison", ()), summary, console)
    for sentence in sentences(summary, convergence, unit):
        console.print(Text(sentence))


Texts = Callable[[Row | None], tuple[str, str]]
"""What is said of one row, and of its exact value."""


def size_table(rows: Sequence[Row], texts: Texts) -> Table:
    """Return a table by size, a column for each estimator, the exact value beside."""
    estimators = list(dict.fromkeys(row["estimator"] for row in rows))
    table = Table()
    table.add_column("n", justify="right")
    for label in estimators:
        table.add_column(Text(label), justify="right")
        table.add_column("exact", justify="right", style="dim")
    cells = {(row["size"], row["estimator"]): row for row in rows}
    for size in thinned(list(dict.fromkeys(row["size"] for row in rows))):
        line = [f"{size:,}"]
        for label in estimators:
            line += texts(cells.get((size, label)))
        table.add_row(*map(Text, line))
    return table


def _print_tables(rows: Sequence[Row], console: Console, texts: Texts) -> None:
    for table in _fitting(rows, console, texts):
        console.print(table)


def _fitting(rows: Sequence[Row], console: Console, texts: Texts) -> Iterator[Table]:
    """Yield tables of as many estimators as fit beside each other without a break."""
    labels = list(dict.fromkeys(row["estimator"] for row in rows))
    wide = console.options.update(max_width=10_000)
    while labels:
        for number in range(len(labels), 0, -1):
            table = size_table([r for r in rows if r["estimator"] in labels[:number]], texts)
            if number == 1 or console.measure(table, options=wide).maximum <= console.width:
                break
        yield table
        labels = labels[number:]


def rate_table(summary: Sequence[Row], convergence: Sequence[Row]) -> Table:
    """Return a line for each estimator beside each model and bag: where it is, how it goes."""
    table = Table()
    table.add_column("bag / model / estimator", overflow="fold")
    for name in ("largest n", "bias there", "power of n", "in theory"):
        table.add_column(name, justify="right", no_wrap=True)
    last = {_line(row): row for row in summary}
    fits = {_line(row): row for row in convergence if row["quantity"] == "bias"}
    for line, row in list(last.items())[:_MOST_LINES]:
        fit = fits[line]
        error = float("nan") if fit["rate_se"] is None else fit["rate_se"]
        rate = "no fit" if fit["rate"] is None else with_error(fit["rate"], error)
        model = "learned" if row["model"] is None else row["model"]
        what = f"{row['bag']} / {model} / {row['estimator']}"
        texts = [what, f"{row['size']:,}", _adjusted(row) or _bias(row)[0], rate]
        table.add_row(*map(Text, [*texts, plain(fit["theory_rate"])]))
    return table


def _bias(row: Row | None) -> tuple[str, str]:
    if row is None:
        return "", ""
    exact = row["exact_mean"]
    known = exact is not None and isfinite(row["truth"])
    return bias(row), plain(exact - row["truth"], 5) if known else ""


def _adjusted(row: Row) -> str:
    """Return the bias adjusted by control variates; nothing where it cannot be."""
    bias = row.get("adjusted_bias")
    return "" if bias is None else with_error(bias, row["adjusted_bias_mcse"])


def _coverage(row: Row | None) -> tuple[str, str]:
    if row is None:
        return "", ""
    return with_error(row["coverage"], row["coverage_mcse"]), plain(row["exact_coverage"], 5)


def sentences(summary: Sequence[Row], convergence: Sequence[Row], unit: str) -> Iterator[str]:
    """Yield in plain words what the first line of the experiment means, and what to check."""
    if not summary:
        yield "There are no trials yet."
        return
    line = _line(summary[0])
    yield _bias_sentence([row for row in summary if _line(row) == line], unit)
    for row in convergence:
        if _line(row) == line and row["quantity"] == "bias" and row["rate"] is not None:
            yield _rate_sentence(row)
    yield from _checks(summary)


def _checks(summary: Sequence[Row]) -> Iterator[str]:
    z = [abs(row["z"]) for row in summary if row["z"] is not None]
    if z:
        known = sum(row["exact_mean"] is not None for row in summary)
        yield (
            f"{known} of {len(summary)} means have an exact value beside them; "
            f"the farthest is {max(z):.1f} Monte Carlo errors off."
        )
    failed = sum(row["failed"] for row in summary)
    if failed:
        yield f"{failed} estimates failed; their reasons stand in the trials."


def _bias_sentence(rows: Sequence[Row], unit: str) -> str:
    label = rows[0]["estimator"]
    known = [row for row in rows if row["bias"] is not None and row["bias_mcse"] is not None]
    if not known:
        return f"Nothing can be said of the bias of {label}: no size has finite estimates enough."
    seen = [row for row in known if _seen(row)]
    if not seen:
        return f"No bias of {label} was seen: it is within 3 Monte Carlo errors of 0."
    row = seen[-1]
    verb = "overstates" if row["bias"] > 0 else "understates"
    size = with_error(abs(row["bias"]), row["bias_mcse"])
    exact = row["exact_mean"]
    beside = "" if exact is None else f"; exact {plain(abs(exact - row['truth']))}"
    name = named(row["target"])
    what = f"{row['estimator']} {verb} {name} by {size}{unit_of(row['target'], unit)}{beside}"
    return f"On average, at n = {row['size']:,}, {what}."


def _rate_sentence(row: Row) -> str:
    theory = row["theory_rate"]
    known = "" if theory is None else f" (theory, for large n: {plain(theory)})"
    error = float("nan") if row["rate_se"] is None else row["rate_se"]
    return f"Its bias falls like n to the power {with_error(row['rate'], error)}{known}."


def _line(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("bag", "model", "target", "estimator"))


def _seen(row: Row) -> bool:
    return bool(row["bias"] and abs(row["bias"]) >= _SEEN * (row["bias_mcse"] or 0))
