"""What is drawn goes in; the same in words, for who does not see it, comes out."""

from __future__ import annotations

import pandas as pd

from sim.report.groups import PANEL

_MOST = 6


def number(value: float) -> str:
    """Return a number with three digits that count."""
    return f"{value:.3g}"


def ends(rows: pd.DataFrame, column: str, unit: str = "") -> str:
    """Return the first and the last value of each series, those of the first panels only."""
    told, rows = [], rows[rows[column].notna()]
    groups = rows.groupby([PANEL, "estimator"], sort=False)
    for (panel, estimator), group in list(groups)[:_MOST]:
        first, last = group.iloc[0], group.iloc[-1]
        one = f"{panel}, {estimator}: {number(first[column])} at n = {first['size']:,}"
        told.append(one + f", {number(last[column])} at n = {last['size']:,}" * (len(group) > 1))
    more = f"; and {len(groups) - _MOST} more series" if len(groups) > _MOST else ""
    return "; ".join(told) + more + (f". In {unit}." if unit else ".")


def left_out(all_of: int, shown: int, what: str) -> str:
    """Return how many are not drawn, as a sentence; nothing where all are."""
    if shown >= all_of:
        return ""
    return f" {shown} of {all_of} {what} are drawn; the tables have all."
