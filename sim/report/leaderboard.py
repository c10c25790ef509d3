"""Which estimator is best at which size: a heat map of their errors beside the best one's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sim.report.extra import alt
from sim.report.groups import PANEL, chosen, named
from sim.report.layouts import COLUMN
from sim.report.material import Material, Picture
from sim.report.panels import dressed, rounded, tips
from sim.report.points import leaders
from sim.report.scales import INK
from sim.report.words import left_out

_MOST_PANELS = 4
_MOST_ROWS = 60
_MOST_SIZES = 7
_ROW = 14
_NAMES = 84
_FAR = 3.0
"""A ratio from which on no cell is any paler."""


def leaderboard(material: Material) -> Picture | None:
    """Return the rmse of every estimator beside the best one; None where there is one only."""
    rows = leaders(material.summary, material.best)
    rows = named(rows[rows["best"].notna()])
    if rows.empty:
        return None
    number = rows[PANEL].nunique()
    most = max(1, min(_MOST_PANELS, _MOST_ROWS // rows["estimator"].nunique()))
    panels = chosen(rows, most)
    rows = pd.concat([_some_sizes(rows[rows[PANEL] == panel]) for panel in panels])
    chart = alt.concat(
        *(_map(rows[rows[PANEL] == panel], panel, place) for place, panel in enumerate(panels)),
        columns=COLUMN.maps,
        spacing=12,
        description="The error of each estimator beside the smallest, by the number of draws",
    )
    caption = (
        "How many times the error (rmse) of each estimator is the smallest one at that number of "
        "draws; the bluer, the better. “best”: surely the smallest; ≈: these trials cannot tell "
        "it from the best; ∞: some estimates are infinite; –: some have no number."
    ) + left_out(number, len(panels), "panels")
    return Picture("leaderboard", "Which one is best", caption, _told(rows), dressed(chart))


def _some_sizes(rows: pd.DataFrame) -> pd.DataFrame:
    sizes = np.sort(rows["size"].unique())
    places = np.unique(np.linspace(0, len(sizes) - 1, min(len(sizes), _MOST_SIZES)).round())
    return rows[rows["size"].isin(sizes[places.astype(int)])]


def _map(rows: pd.DataFrame, panel: str, place: int) -> Any:
    data = rounded(rows[["estimator", "size", "ratio", "rmse", "words"]])
    order = list(dict.fromkeys(data["estimator"]))
    near = alt.Scale(domain=[1, _FAR], range=[0.9, 0.0], type="log", clamp=True)
    about = tips(estimator="estimator", size="draws n", rmse="rmse", ratio="times the smallest")
    axis = alt.Axis(format=".3~s", labelAngle=0, grid=False, domain=False)
    names = alt.Axis(labelLimit=_NAMES, minExtent=_NAMES, grid=False, domain=False, ticks=False)
    base = alt.Chart(data).encode(
        x=alt.X("size:O", title="draws n", axis=axis),
        y=alt.Y("estimator:N", title=None, sort=order, axis=names),
        tooltip=about,
    )
    cells = base.mark_rect(color="#0072B2", stroke=INK, strokeOpacity=0.15).encode(
        fillOpacity=alt.FillOpacity("ratio:Q", scale=near, legend=None)
    )
    dark = "isValid(datum.ratio) && datum.ratio < 1.2"
    words = base.mark_text(fontSize=8, aria=False).encode(
        text="words:N", color=alt.condition(dark, alt.value("white"), alt.value(INK))
    )
    title = alt.Title(panel, fontSize=11, fontWeight="normal", limit=COLUMN.width, color=INK)
    layered = alt.layer(cells, words).properties(title=title, name=f"map{place}")
    return layered.properties(width=COLUMN.cells, height=_ROW * len(order))


def _told(rows: pd.DataFrame) -> str:
    told = []
    for panel, group in rows.groupby(PANEL, sort=False):
        last = group[group["size"] == group["size"].max()].iloc[0]
        rivals = [] if last["rivals"] is None else list(last["rivals"])
        others = f"{len(rivals)} other" + "s" * (len(rivals) > 1)
        more = f", not to be told from {others}" if rivals else ""
        told.append(f"{panel}: {last['best']} is best at n = {last['size']:,}{more}")
    return "; ".join(told) + "."
