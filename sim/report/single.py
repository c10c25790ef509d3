"""What single trials look like: their spread, their intervals, their law, their course in time."""

from __future__ import annotations

from typing import Any

import pandas as pd

from sim.report.by_size import looks, shown
from sim.report.extra import alt
from sim.report.groups import PANEL, named, unit
from sim.report.material import Material, Picture
from sim.report.panels import DRAWS, MOST_PANELS, POINTS, Axis, level, panels, tips
from sim.report.points import estimates
from sim.report.scales import INK, telling
from sim.report.words import ends, number

_SOME = 6
"""Panels where each holds much."""


def estimates_by_size(material: Material) -> Picture | None:
    """Return where the estimates lie: bands of quantiles, the median, the truth."""
    rows, _ = shown(material, estimates(material.summary))
    rows = rows[rows["model"].notna()]
    if rows.empty:
        return None
    groups = rows[PANEL].nunique()
    each = max(1, _SOME // groups)
    first = telling(material)[:each]
    rows = rows[rows["estimator"].isin(first)]
    rows = rows.assign(panel=rows[PANEL] + (": " + rows["estimator"] if each > 1 else ""))
    rows = rows[rows[PANEL].isin(list(dict.fromkeys(rows[PANEL]))[:MOST_PANELS])]
    if rows.empty:
        return None
    per = unit(rows, material.unit)
    y = Axis(f"estimate ({per})", "sqrt")
    told = f"Where the estimates lie, by the number of draws, in {per}"
    columns = [PANEL, "estimator", "size", "q05", "q25", "median", "q75", "q95", "truth"]
    chart = panels(_bands(material, rows, y), rows[columns], told, free=("x", "y"))
    caption = (
        "Where the estimates of single trials lie: the pale band holds 90 of 100, the dark one "
        "half of them, the line is the median; dashed: the true value. The upward axis is drawn "
        f"by square roots, to show small values.{_noise(rows, material.unit)}"
    )
    words = ends(rows, "median", per)
    return Picture("estimates", "Where single estimates lie", caption, words, chart)


def _bands(material: Material, rows: pd.DataFrame, y: Axis) -> list[Any]:
    line, point = looks(material, rows)
    color = {"color": line["color"], "opacity": line["opacity"]}
    base = alt.Chart().encode(x=DRAWS.x("size"))
    about = tips(
        panel="bag / model", estimator="estimator", size="draws n", truth="truth",
        q05="5 of 100 below", median="median", q95="5 of 100 above",
    )  # fmt: skip
    return [
        base.mark_area(fillOpacity=0.2, aria=False).encode(y=y.y("q05"), y2="q95", **color),
        base.mark_area(fillOpacity=0.35, aria=False).encode(y=y.y("q25"), y2="q75", **color),
        base.mark_line(color=INK, strokeDash=[4, 3], strokeWidth=1, aria=False).encode(
            y=y.y("truth")
        ),
        base.mark_line(strokeWidth=1.5, aria=False).encode(y=y.y("median"), **color),
        base.mark_point(size=14, strokeWidth=1.2)
        .encode(y=y.y("median"), tooltip=about, **point)
        .properties(name=POINTS),
    ]


def _noise(rows: pd.DataFrame, unit: str) -> str:
    """Return the noise floor in words, where P = Q: what counting gives for nothing."""
    same = rows[rows["truth"] == 0]
    if same.empty:
        return ""
    first, last = same.iloc[0], same[same[PANEL] == same.iloc[0][PANEL]].iloc[-1]
    where = first["bag"] + (" / " + first["model"] if isinstance(first["model"], str) else "")
    ends = [first] if first["size"] == last["size"] else [first, last]
    at = [f"{number(row['q95'])} {unit} at n = {row['size']:,}" for row in ends]
    return (
        f" In {where} the true value is 0, and still only 95 of 100 trials of "
        f"{first['estimator']} give at most {', and '.join(at)}: less than that is noise."
    )


def intervals(material: Material) -> Picture | None:
    """Return single intervals, ranked; None where no estimator has one."""
    rows = _one_group(material)
    if rows is None:
        return None
    rows = rows.assign(
        panel=rows["estimator"], holds=rows["covers"].map({True: "yes", False: "no"})
    )
    first = rows.iloc[0]
    where = f"{named(rows)[PANEL].iloc[0]}, n = {first['size']:,}"
    x = Axis(f"interval ({unit(rows, material.unit)})", "linear", zero=False)
    y = Axis("rank: near to far", "linear", (0.0, 1.0), "%")
    shades = alt.Scale(domain=["yes", "no"], range=["#8C8C8C", "#D55E00"])
    base = alt.Chart()
    layers = [
        base.mark_rule(strokeWidth=1, clip=True).encode(
            x=x.x("lower"), x2="upper", y=y.y("share"),
            color=alt.Color("holds:N", title="holds the truth", scale=shades),
            tooltip=tips(estimator="estimator", lower="from", upper="to", truth="truth"),
        ),
        base.mark_rule(color=INK, strokeWidth=1, aria=False).encode(
            x=alt.X("mean(truth):Q", title=x.title)
        ),
        level(material.level),
    ]  # fmt: skip
    columns = [PANEL, "estimator", "share", "lower", "upper", "truth", "holds"]
    chart = panels(layers, rows[columns], f"Single intervals of {where}", free=("x",))
    caption = (
        f"Intervals of single trials ({where}), those nearest to the truth at the bottom. "
        f"The vertical line is the truth; an interval that misses it is vermilion. Where all is "
        f"well, the misses begin at the dashed line, {material.level:g}, and lie on both sides."
    )
    missed = rows.groupby("estimator", sort=False)["covers"].mean()
    words = "; ".join(f"{name}: {share:.0%} hold the truth" for name, share in missed.items())
    return Picture("intervals", "Single intervals", caption, words + ".", chart)


def _one_group(material: Material) -> pd.DataFrame | None:
    """Return the ranked intervals of the cell group where one covers least, the truth not 0."""
    known = material.ranked
    told = material.summary[material.summary["coverage"].notna()]
    if known is None or known.empty or told.empty:
        return None
    told = told.assign(zero=told["truth"] == 0).sort_values(["zero", "coverage"], kind="stable")
    worst = told.iloc[0]
    same = known["size"] == worst["size"]
    for column in ("bag", "target"):
        same &= known[column] == worst[column]
    same &= (known["model"] == worst["model"]) | (known["model"].isna() & pd.isna(worst["model"]))
    names = [label for label in telling(material) if label in set(known[same]["estimator"])]
    rows = known[same & known["estimator"].isin(names[:_SOME])]
    kept = rows.groupby("estimator", sort=False).cumcount() % 2 == 0
    return rows[kept] if len(rows) else None


def chi_square(material: Material) -> Picture | None:
    """Return 2n·KL beside χ² where P = Q; None where it never is."""
    known = material.chi_square
    if known is None or known.empty:
        return None
    rows = named(known[known["estimator"].isin(telling(material))])
    rows = rows[rows[PANEL].isin(list(dict.fromkeys(rows[PANEL]))[:MOST_PANELS])]
    if rows.empty:
        return None
    x, y = Axis("χ² would be", "linear", format="~s"), Axis("2n·KL was", "linear", format="~s")
    _, point = looks(material, rows)
    base = alt.Chart().encode(x=x.x("chi_square"))
    about = tips(panel="bag / model", estimator="estimator", chi_square="χ²", counted="2n·KL")
    layers = [
        base.mark_area(color=INK, opacity=0.12, aria=False).encode(y=y.y("low"), y2="high"),
        base.mark_line(color=INK, strokeWidth=1, opacity=0.6, aria=False).encode(
            y=y.y("chi_square")
        ),
        base.mark_point(size=9, strokeWidth=1)
        .encode(y=y.y("counted"), tooltip=about, **point)
        .properties(name=POINTS),
    ]
    columns = [PANEL, "estimator", "chi_square", "counted", "low", "high"]
    free = ("y",) if rows.groupby(PANEL)["counted"].max().max() > 20 else ()
    told = "Quantiles of 2n·KL, without a unit, beside those of χ² with K − 1 degrees of freedom"
    chart = panels(layers, rows[columns], told, free=("x", *free))
    caption = (
        "At the largest n of each bag. Where the true KL is 0, 2n·KL of many draws is spread "
        "like χ² with K − 1 degrees of freedom (K colours): then the marks lie on the line, each "
        "in the grey band 95 of 100 times. Above it, the estimates are larger than that; neither "
        "axis has a unit."
    )
    far = rows.groupby([PANEL, "estimator"], sort=False).tail(1).head(_SOME)
    words = "; ".join(
        f"{row[PANEL]}, {row['estimator']}: {number(row['counted'])} where χ² is "
        f"{number(row['chi_square'])}"
        for _, row in far.iterrows()
    )
    return Picture("chi-square", "Is it noise: 2n·KL and χ²", caption, words + ".", chart)


def over_time(material: Material) -> Picture | None:
    """Return the KL of what was drawn so far, as time passes; None where no bag was traced."""
    known = material.running
    if known is None:
        return None
    rows = named(known[(known["kl"] > 0) & (known["time"] > 0)].assign(target="kl"))
    rows = rows[rows[PANEL].isin(list(dict.fromkeys(rows[PANEL]))[:_SOME])]
    if rows.empty:
        return None
    x, y = Axis("time", nice=False), Axis(f"KL so far ({material.unit})", format=".0e")
    line = alt.Chart().mark_line(strokeWidth=1, opacity=0.5, color="#0072B2")
    about = tips(panel="bag / model", trial="trial", time="time", draws="draws", kl="KL so far")
    layers = [line.encode(x=x.x("time"), y=y.y("kl"), detail="trial:N", tooltip=about)]
    told = f"KL of the draws so far, in {material.unit}, by the time in the simulation"
    columns = [PANEL, "trial", "time", "draws", "kl"]
    chart = panels(layers, rows[columns], told, free=("x",))
    caption = (
        "Bags with a clock: the KL of all that was drawn up to a time against the model, a line "
        "for each traced trial. Draws that came out exactly as the model says have a KL of 0, "
        "and this axis has no place for it: the line leaves them out."
    )
    groups = rows.groupby(PANEL, sort=False)
    words = "; ".join(
        f"{panel}: {number(group['kl'].iloc[0])} at first, {number(group['kl'].iloc[-1])} at last"
        for panel, group in groups
    )
    return Picture("over-time", "As time passes", caption, words + ".", chart)
