"""How many draws are enough: the table of the sizes for the tolerance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

Row = Mapping[str, Any]

DEFAULT: Mapping[str, float] = MappingProxyType({"error": 0.01, "confidence": 0.95})
_MOST_LINES = 40


def show_enough(
    convergence: Sequence[Row],
    unit: str,
    level: float,
    tolerance: Mapping[str, float],
    console: Console,
) -> None:
    """Print from which size on errors are small enough; nothing where nobody has worked it out."""
    rows = [row for row in convergence if row["quantity"] == "rmse" and "size_for_error" in row]
    if not rows:
        return
    share, error = 100 * tolerance["confidence"], tolerance["error"]
    title = f"How many draws are enough: from n on, {share:g} % of errors are at most {error:g}"
    console.print(Text(f"{title} ({unit})", style="bold"))
    table = Table()
    table.add_column("bag / model / estimator", overflow="fold")
    table.add_column("n", justify="right", no_wrap=True)
    table.add_column(f"interval at {level:g}", justify="right", no_wrap=True)
    table.add_column("")
    for row in rows[:_MOST_LINES]:
        model = "learned" if row["model"] is None else row["model"]
        target = "" if row["target"] in ("kl", "kl_loss") else f" / {row['target']}"
        what = f"{row['bag']} / {model}{target} / {row['estimator']}"
        table.add_row(*map(Text, [what, size_text(row), ends_text(row), _why(row)]))
    console.print(table)
    if len(rows) > _MOST_LINES:
        console.print(Text(f"… and {len(rows) - _MOST_LINES} more in convergence.parquet"))


def size_text(row: Row) -> str:
    """Return the size for the tolerance of a line: `183`, `~4,148` where extrapolated, `never`."""
    size, reason = row["size_for_error"], row["size_reason"]
    if size is None:
        return "never" if reason is not None and reason.startswith("never") else "–"
    mark = "≤ " if reason is not None else "~" if row["extrapolated"] else ""
    return f"{mark}{size:,}"


def ends_text(row: Row) -> str:
    """Return the ends of its interval, one number where they meet; one that is not told is open."""
    low, high = row["size_for_error_low"], row["size_for_error_high"]
    if low is None and high is None:
        return ""
    if high is None:
        return f"{low:,} or more"
    if low == high:
        return f"{low:,}"
    return f"up to {high:,}" if low is None else f"{low:,} to {high:,}"


def _why(row: Row) -> str:
    reason = row["size_reason"] or ""
    if row["extrapolated"]:
        return "~ beyond the sizes that were drawn"
    return str(reason.removeprefix("never: "))
