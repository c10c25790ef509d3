"""One layered chart goes in; the same for each group, side by side and below, comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, floor
from typing import Any, Literal

import numpy as np
import pandas as pd

from sim.report.extra import alt
from sim.report.groups import PANEL
from sim.report.layouts import COLUMN, GAP
from sim.report.scales import INK, pick

MOST_PANELS = 12

POINTS = "points"
"""What the layer is called that has the points of a chart."""


@dataclass(frozen=True)
class Axis:
    """What is on an axis: its words with the unit, and how it is scaled."""

    title: str
    kind: Literal["linear", "log", "sqrt"] = "log"
    domain: tuple[float, float] | None = None
    format: str = "~g"
    zero: bool = True
    nice: bool = True

    def of(self, column: str) -> dict[str, Any]:
        """Return the encoding of a column on this axis."""
        given: dict[str, Any] = {"type": self.kind, "nice": self.nice}
        if self.domain is not None:
            given |= {"domain": list(self.domain), "nice": False}
        if self.kind != "log":
            given["zero"] = self.zero
        axis = alt.Axis(format=self.format, labelOverlap="greedy", **self._ticks())
        scale = alt.Scale(**given)
        return {"field": column, "type": "quantitative", "title": self.title} | {
            "scale": scale,
            "axis": axis,
        }

    def _ticks(self) -> dict[str, Any]:
        """Return where there are ticks: at the powers of ten of a known domain."""
        if self.domain is None or self.kind != "log":
            return {"tickCount": 4}
        low, high = np.log10(self.domain)
        first, last = ceil(low - 1e-9), floor(high + 1e-9)
        if last <= first:
            return {"tickCount": 4}
        step = max(1, (last - first) // 5)
        return {"values": [10.0**power for power in range(first, last + 1, step)]}

    def x(self, column: str) -> alt.X:
        """Return a column along x, without lines across the panel."""
        given = self.of(column)
        given["axis"]["grid"] = False
        given["axis"]["ticks"] = self.kind != "log"
        given["scale"]["padding"] = 5
        return alt.X(**given)

    def y(self, column: str) -> alt.Y:
        """Return a column along y."""
        return alt.Y(**self.of(column))


DRAWS = Axis("draws n", format=".3~s", nice=False)


def draws_of(rows: pd.DataFrame, free: Sequence[str]) -> Axis:
    """Return the axis of the sizes in these rows; each panel has its own where x is free."""
    sizes = rows["size"]
    apart = "x" in free or sizes.min() == sizes.max()
    return DRAWS if apart else replace(DRAWS, domain=(int(sizes.min()), int(sizes.max())))


def tips(**titles: str) -> list[alt.Tooltip]:
    """Return what is shown of a mark that is pointed at: a title for each column."""
    numbers = {"size": ",", "panel": "", "estimator": "", "way": "", "what": "", "rivals": ""}
    return [
        alt.Tooltip(field=column, type="nominal", title=title)
        if numbers.get(column) == ""
        else alt.Tooltip(
            field=column, type="quantitative", title=title, format=numbers.get(column, ".3~g")
        )
        for column, title in titles.items()
    ]


def level(value: float) -> Any:
    """Return a dashed line across each panel."""
    once = alt.Chart(alt.InlineData(values=[{"level": value}]))
    mark = once.mark_rule(color=INK, strokeDash=[4, 3], opacity=0.7, aria=False)
    return mark.encode(y="level:Q")


def said(text: str) -> Any:
    """Return a word in the lower left of each panel, however high it is."""
    once = alt.Chart(alt.InlineData(values=[{"said": text}]))
    mark = once.mark_text(align="left", dy=-6, fontSize=8, color=INK, opacity=0.8, aria=False)
    return mark.encode(x=alt.value(3), y=alt.value("height"), text="said:N")


def panels(
    layers: Sequence[Any], rows: pd.DataFrame, about: str, free: Sequence[str] = ()
) -> alt.TopLevelMixin:
    """Return the layers for each panel of the rows, in their order, with one legend.

    An axis that is `free` is scaled for each panel by itself. `about` is read to who does not
    see.
    """
    order = list(dict.fromkeys(rows[PANEL]))
    columns = COLUMN.columns_of(len(order))
    width, height = COLUMN.panel(columns, "y" in free), COLUMN.heights[columns]
    layered = alt.layer(*_clickable(layers)).properties(width=width, height=height)
    size = 11 if columns == 1 else 9
    header = alt.Header(title=None, labelLimit=width + 20, labelFontSize=size, labelPadding=3)
    facet = alt.Facet(f"{PANEL}:N", sort=order, header=header)
    chart = layered.facet(facet=facet, columns=columns, data=rounded(rows), spacing=GAP)
    apart: Any = dict.fromkeys(free, "independent")
    chart = chart.resolve_scale(**apart)
    return dressed(chart.properties(description=about))


def _clickable(layers: Sequence[Any]) -> list[Any]:
    """Return the layers so that a click on their legend is heard: by the first that has one.

    Vega-Lite asks only that layer for selections, and the points are drawn last. So a point of
    each estimator, without a size, stands at the bottom.
    """
    points = [layer for layer in layers if layer.name == POINTS]
    if not points:
        return list(layers)
    known = points[0].encoding
    named = [{"estimator": label} for label in known.color["scale"].to_dict()["domain"]]
    first = alt.Chart(alt.InlineData(values=named)).mark_point(size=0, aria=False)
    heard = first.encode(color=known.color, shape=known.shape, opacity=known.opacity)
    return [heard.add_params(pick()).properties(name="key"), *layers]


def rounded(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with seven digits of each number: more cannot be seen, and take their place."""
    return rows.assign(**{name: _digits(rows[name]) for name in rows.select_dtypes("float64")})


def _digits(values: pd.Series) -> list[float | None]:
    return [float(f"{value:.7g}") if np.isfinite(value) else None for value in values]


def dressed(chart: Any) -> alt.TopLevelMixin:
    """Return a chart in the colour of the text around it, without a background."""
    text = {"labelColor": INK, "titleColor": INK}
    lines = {"gridColor": INK, "domainColor": INK, "tickColor": INK}
    thin = {"gridOpacity": 0.12, "domainOpacity": 0.5, "tickOpacity": 0.5, "tickSize": 3}
    sizes = {"labelFontSize": 9, "titleFontSize": 10, "titleFontWeight": "normal"}
    legend = {"orient": "bottom", "columns": COLUMN.legend, "labelLimit": 84}
    legend |= {"columnPadding": 6, "titlePadding": 4}
    config: dict[str, Any] = {
        "background": "transparent",
        "font": "DejaVu Sans, Verdana, sans-serif",
        "axis": {**text, **lines, **thin, **sizes, "titlePadding": 4},
        "legend": {**text, **sizes, **legend, "symbolSize": 50, "symbolStrokeWidth": 2},
        "header": text,
        # where a panel has none of something, its axis still follows from all of its rows
        "mark": {"invalid": "break-paths-show-domains"},
        "title": {"color": INK, "subtitleColor": INK},
        "view": {"stroke": INK, "strokeOpacity": 0.2},
    }
    made: alt.TopLevelMixin = chart.configure(**config)
    return made
