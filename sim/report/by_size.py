"""How bias, sd and rmse fall with the draws."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from sim.report.extra import alt
from sim.report.groups import PANEL, chosen, named, unit
from sim.report.material import Material, Picture
from sim.report.panels import POINTS, Axis, draws_of, panels, said, tips
from sim.report.points import bias, spread
from sim.report.scales import INK, labels, series, symbols, telling
from sim.report.words import ends, left_out

_COLUMNS = [PANEL, "estimator", "size", "low", "high", "exact", "theory"]
TIPS: Final = {"panel": "bag / model", "estimator": "estimator", "size": "draws n"}

"""What is said first of any mark that is pointed at."""


def shown(material: Material, rows: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return the rows that are drawn, with their panels, and in words what is left out."""
    rows = named(rows)
    kept = rows[rows["estimator"].isin(telling(material))]
    number = kept["estimator"].nunique()
    kept = kept[kept[PANEL].isin(chosen(kept, 12 if number <= 2 else 6))]
    beyond = left_out(
        rows["estimator"].nunique(),
        number,
        "estimators and learners, the first and those best most often,",
    )
    return kept, beyond + left_out(rows[PANEL].nunique(), kept[PANEL].nunique(), "panels")


def looks(material: Material, rows: pd.DataFrame) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return how the estimators of these rows are drawn: as lines, and as points."""
    known = labels(material)
    drawn = [label for label in known if label in set(rows["estimator"])]
    return series(known, drawn), symbols(known, drawn)


def bias_by_size(material: Material) -> Picture | None:
    """Return by how much the estimates lie off on average; None where nothing is known of it."""
    rows, beyond = shown(material, bias(material.summary, material.convergence))
    seen = rows[["away", "limit"]].max(axis=1)
    if not seen.gt(0).any():
        return None
    least = rows[["floor", "away"]].min(axis=1).min()
    domain = float(least) / 3, float(seen.max()) * 2
    per = unit(rows, material.unit)
    y = Axis(f"off by ({per})", domain=domain, format=".0e")
    chart = panels(
        _bias_layers(material, rows, y),
        rows[[*_COLUMNS, "away", "limit", "floor", "way", "bias", "bias_mcse", "exact_mean"]],
        f"How far the estimates lie off on average, by the number of draws, in {per}",
        free=free_axes(rows),
    )
    caption = (
        "How far the mean of all trials lies from the true value, against the number of draws; "
        "both axes count in powers of ten, so a straight line is a power of n. A filled mark: "
        "too large; a hollow one: too small; ▽: not seen, it is at most that large. "
        "Solid line: exact. Dotted: what theory says for large n. In the grey area these trials "
        f"cannot tell a bias from 0; more trials lower it.{beyond}"
    )
    return Picture("bias", "How far off on average", caption, ends(rows, "bias", per), chart)


def _bias_layers(material: Material, rows: pd.DataFrame, y: Axis) -> list[Any]:
    line, point = looks(material, rows)
    x = draws_of(rows, free_axes(rows)).x("size")
    filled = alt.condition(alt.datum.way == "too large", alt.value(1.0), alt.value(0.0))
    fill = alt.Fill("estimator:N", title="estimator", scale=line["color"]["scale"])
    about = tips(
        **TIPS, bias=y.title, bias_mcse="± (MCSE)", way="on average", exact="exact, without sign"
    )
    base = alt.Chart().encode(x=x)
    least = alt.Y("min(floor):Q", title=y.title)
    return [
        base.mark_area(clip=True, color=INK, opacity=0.12, aria=False).encode(
            y=least, y2=alt.datum(y.domain[0] if y.domain else 0)
        ),
        said("grey: noise"),
        dotted(base).encode(y=y.y("theory"), **undashed(line)),
        base.mark_line(clip=True, strokeWidth=1, aria=False).encode(y=y.y("exact"), **line),
        bars(base).encode(y=y.y("low"), y2="high", **undashed(line)),
        base.mark_point(clip=True, size=16, shape="triangle-down", strokeWidth=1).encode(
            y=y.y("limit"), tooltip=about, **undashed(line)
        ),
        base.mark_point(clip=True, size=18, strokeWidth=1.2)
        .encode(y=y.y("away"), fill=fill, fillOpacity=filled, tooltip=about, **point)
        .properties(name=POINTS),
    ]


def sd_by_size(material: Material) -> Picture | None:
    """Return how much the estimates scatter from trial to trial."""
    title = "How much it varies"
    caption = (
        "How much the estimate varies from trial to trial, its standard deviation, against the "
        "number of draws. Bars: 1.96 Monte Carlo errors; solid line: exact; dotted: what theory "
        "says for large n."
    )
    return _spread(material, "sd", title, caption)


def rmse_by_size(material: Material) -> Picture | None:
    """Return how far the estimates lie off altogether."""
    title = "How far off altogether"
    caption = (
        "How far a single estimate typically lies from the true value: bias and variation "
        "together, the root of the mean squared error, against the number of draws. Lower is "
        "better. Bars: 1.96 Monte Carlo errors; solid line: exact; dotted: theory for large n."
    )
    return _spread(material, "rmse", title, caption)


def _spread(material: Material, measure: str, title: str, caption: str) -> Picture | None:
    rows, beyond = shown(material, spread(material.summary, material.convergence, measure))
    if rows.empty:
        return None
    per, (line, point) = unit(rows, material.unit), looks(material, rows)
    values = rows["value"]
    domain = float(values.min()) / 2, float(values.max()) * 2
    y = Axis(f"{measure} ({per})", domain=domain, format=".0e")
    base = alt.Chart().encode(x=draws_of(rows, free_axes(rows)).x("size"))
    about = tips(**TIPS, value=f"{measure} ({per})", mcse="± (MCSE)", exact="exact")
    layers = [
        dotted(base).encode(y=y.y("theory"), **undashed(line)),
        base.mark_line(clip=True, strokeWidth=1, strokeOpacity=0.4, aria=False).encode(
            y=y.y("value"), **line
        ),
        base.mark_line(clip=True, strokeWidth=1, aria=False).encode(y=y.y("exact"), **line),
        bars(base).encode(y=y.y("low"), y2="high", **undashed(line)),
        base.mark_point(clip=True, size=16, strokeWidth=1.2)
        .encode(y=y.y("value"), tooltip=about, **point)
        .properties(name=POINTS),
    ]
    about_it = f"{title}, by the number of draws, in {per}"
    chart = panels(layers, rows[[*_COLUMNS, "value", "mcse"]], about_it, free=free_axes(rows))
    told = ends(rows, "value", per)
    return Picture(measure, title, caption + beyond, told, chart)


def undashed(line: dict[str, Any]) -> dict[str, Any]:
    """Return the encoding of a line without a dash of its own."""
    return {key: each for key, each in line.items() if key != "strokeDash"}


def dotted(base: Any) -> Any:
    """Return the mark of what theory says."""
    return base.mark_line(clip=True, strokeWidth=1.5, strokeDash=[1, 3], aria=False)


def bars(base: Any) -> Any:
    """Return the mark of an error."""
    return base.mark_rule(clip=True, strokeWidth=1.5, aria=False)


def free_axes(rows: pd.DataFrame) -> list[str]:
    """Return x where the bags are not counted at like sizes, so that none is squeezed."""
    largest = rows.groupby(PANEL)["size"].max()
    return ["x"] if largest.max() > 4 * largest.min() and len(largest) <= 6 else []
