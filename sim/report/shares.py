"""Shares of trials by the draws: whose interval holds the truth, and which have no number."""

from __future__ import annotations

from typing import Any

from sim.report.by_size import TIPS, bars, free_axes, looks, shown, undashed
from sim.report.extra import alt
from sim.report.groups import PANEL
from sim.report.material import Material, Picture
from sim.report.panels import POINTS, Axis, draws_of, level, panels, tips
from sim.report.points import coverage, without_number
from sim.report.words import ends

_COLUMNS = [PANEL, "estimator", "size", "value", "low", "high", "exact"]


def coverage_by_size(material: Material) -> Picture | None:
    """Return how often the intervals hold the truth; None where no estimator has one."""
    rows, beyond = shown(material, coverage(material.summary))
    if rows.empty:
        return None
    least = min(float(rows["low"].min()), material.level - 0.1)
    y = Axis("share that holds the truth", "linear", (max(0.0, least), 1.0), "%")
    base = alt.Chart().encode(x=draws_of(rows, free_axes(rows)).x("size"))
    line, point = looks(material, rows)
    about = tips(**TIPS, value="share", mcse="± (MCSE)", exact="exact")
    layers = [
        level(material.level),
        *_lines(base, y, line),
        base.mark_point(clip=False, size=16, strokeWidth=1.2)
        .encode(y=y.y("value"), tooltip=about, **point)
        .properties(name=POINTS),
    ]
    told = f"Share of intervals that hold the truth, of {material.level:g} asked, by draws"
    chart = panels(layers, rows[[*_COLUMNS, "mcse"]], told, free=free_axes(rows))
    caption = (
        f"Of all trials, the share whose interval holds the true value. It should be "
        f"{material.level:g} (dashed); below it, the error bar promises too much. "
        f"Bars: 1.96 Monte Carlo errors; solid line: exact.{beyond}"
    )
    return Picture("coverage", "Do the error bars hold", caption, ends(rows, "value"), chart)


def _lines(base: Any, y: Axis, line: dict[str, Any]) -> list[Any]:
    return [
        base.mark_line(strokeWidth=1, strokeOpacity=0.4, aria=False).encode(y=y.y("value"), **line),
        base.mark_line(strokeWidth=1, aria=False).encode(y=y.y("exact"), **line),
        bars(base).encode(y=y.y("low"), y2="high", **undashed(line)),
    ]


def without_number_by_size(material: Material) -> Picture | None:
    """Return how often there is no finite estimate; None where there always is."""
    rows, beyond = shown(material, without_number(material.summary))
    if rows.empty:
        return None
    rows = rows.assign(panel=rows[PANEL] + ": " + rows["what"])
    y = Axis("share of trials", "linear", (0.0, 1.0), "%")
    base = alt.Chart().encode(x=draws_of(rows, free_axes(rows)).x("size"))
    line, point = looks(material, rows)
    about = tips(**TIPS, value="share of trials", exact="exact")
    layers = [
        *_lines(base, y, line),
        base.mark_point(size=16, strokeWidth=1.2)
        .encode(y=y.y("value"), tooltip=about, **point)
        .properties(name=POINTS),
    ]
    told = "Share of trials without a finite estimate, by the number of draws"
    chart = panels(layers, rows[_COLUMNS], told, free=free_axes(rows))
    caption = (
        "The share of trials whose estimate is infinite, undefined or failed; the other pictures "
        "are of the finite ones only. A counted KL is infinite where a colour was drawn that the "
        f"model never shows. Bars: 1.96 Monte Carlo errors; solid line: exact.{beyond}"
    )
    name, title = "without-number", "How often there is no number"
    return Picture(name, title, caption, ends(rows, "value"), chart)
