"""The tables of a result go in; which groups are drawn, and how a panel is called, come out."""

from __future__ import annotations

from unicodedata import bidirectional

import pandas as pd

from sim.divergences import divergence

GROUP = ["bag", "model", "target"]

PANEL = "panel"

_PLAIN = {"L", "EN", "ES", "ET", "CS", "NSM", "BN", "WS", "ON"}
"""Kinds of letters that are written from left to right, or either way."""


def unit(rows: pd.DataFrame, known: str) -> str:
    """Return the unit of what is estimated in these rows: not every target has one."""
    targets = [divergence(str(target)) for target in rows["target"].unique()]
    bare = [target is not None and target.per_unit("bits") == 1 for target in targets]
    return "no unit" if bare and all(bare) else f"{known}, or no unit" if any(bare) else known


def named(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with the name of their panel: `bag / model`, and the target unless it is KL."""
    model = rows["model"].where(rows["model"].notna(), "learned").astype(str)
    usual = rows["target"].isin(["kl", "kl_loss"])
    target = (" / " + rows["target"].astype(str)).where(~usual, "")
    bag = rows["bag"].astype(str)
    return rows.assign(panel=bag.map(_apart) + " / " + model.map(_apart) + target)


def _apart(label: str) -> str:
    """Return a label that turns no other text round, whichever way it is written (UAX 9)."""
    is_plain = all(bidirectional(letter) in _PLAIN for letter in label)
    return label if is_plain else f"\u2068{label}\u2069"


def chosen(rows: pd.DataFrame, most: int) -> list[str]:
    """Return the panels to draw, at most so many: the first target first, what is learned last.

    Where there are more, each bag has its first one before any has its second.
    """
    groups = rows.drop_duplicates(PANEL)[[*GROUP, PANEL]].reset_index(drop=True)
    groups["learned"] = groups["model"].isna()
    targets = {target: place for place, target in enumerate(groups["target"].unique())}
    groups["later"] = groups["target"].map(targets)
    groups = groups.sort_values(["learned", "later"], kind="stable")
    groups["turn"] = groups.groupby("bag", sort=False).cumcount()
    kept = groups.sort_values("turn", kind="stable").head(most)
    return [str(panel) for panel in kept.sort_index()[PANEL]]
