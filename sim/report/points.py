"""The summary and the convergence go in; the rows that a chart draws as they are come out."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from sim.report.groups import GROUP

SURE: Final = 1.96
"""So many Monte Carlo errors from 0, and a bias is seen: 95 of 100 times."""

_VISIBLE: Final = 0.05
"""The least error, of its value, whose bar is longer than its point."""

_CELL: Final = [*GROUP, "estimator"]


def bias(summary: pd.DataFrame, convergence: pd.DataFrame) -> pd.DataFrame:
    """Return what of each bias is drawn: its size and band where it is seen, else its limit.

    `floor` is the bias that the trials of this cell could just see; `exact` and `theory` are
    without a sign too. `way` says on which side the estimates lie.
    """
    rows = summary[np.isfinite(summary["truth"]) & summary["bias"].notna()].copy()
    error = SURE * rows["bias_mcse"].fillna(np.inf)
    away = rows["bias"].abs()
    seen = away > error
    exact = rows["exact_mean"] - rows["truth"]
    values = {
        "away": away.where(seen),
        "low": (away - error).where(seen & (error > _VISIBLE * away)),
        "high": (away + error).where(seen & (error > _VISIBLE * away)),
        "limit": (away + error).where(~seen & (away + error > 0)),
        "floor": error.where(error > 0),
        "exact": exact.abs().where(exact != 0),
        "theory": _theory(rows, convergence, "bias"),
        "way": np.select([~seen, rows["bias"] > 0], ["not seen", "too large"], "too small"),
    }
    return rows.assign(**values).replace([np.inf, -np.inf], np.nan)


def _theory(rows: pd.DataFrame, convergence: pd.DataFrame, quantity: str) -> pd.Series:
    """Return what theory says at each size, without a sign; nothing where it says nothing."""
    laws = convergence[convergence["quantity"] == quantity]
    names = [*_CELL, "theory_rate", "theory_constant"]
    beside = rows[[*_CELL, "size"]].merge(laws[names], on=_CELL, how="left")
    there = beside["theory_constant"].abs() * beside["size"].astype(float) ** beside["theory_rate"]
    return pd.Series(there.where(there > 0).to_numpy(), index=rows.index)


def spread(summary: pd.DataFrame, convergence: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return what is drawn of `sd` or `rmse`: its value and band, what is exact and theory's."""
    rows = summary[summary[measure].gt(0) & np.isfinite(summary[measure])].copy()
    error = SURE * rows[f"{measure}_mcse"]
    exact = rows["exact_sd"]
    if measure == "rmse":
        exact = np.hypot(exact, rows["exact_mean"] - rows["truth"])
    low = rows[measure] - error
    values = {
        "value": rows[measure],
        "mcse": rows[f"{measure}_mcse"],
        "low": low.where((low > 0) & (error > _VISIBLE * rows[measure])),
        "high": (rows[measure] + error).where(error > _VISIBLE * rows[measure]),
        "exact": exact.where(exact > 0),
        "theory": _theory(rows, convergence, measure),
    }
    return rows.assign(**values).replace([np.inf, -np.inf], np.nan)


def estimates(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that have quantiles of the estimates; infinite ones are not drawn."""
    quantiles = ["q05", "q25", "median", "q75", "q95"]
    rows = summary.replace([np.inf, -np.inf], np.nan)
    return rows[rows[quantiles].notna().all(axis=1)]


def coverage(summary: pd.DataFrame) -> pd.DataFrame:
    """Return what is drawn of the coverage of intervals: its value, band, and what is exact."""
    rows = summary[summary["coverage"].notna()]
    error = SURE * rows["coverage_mcse"]
    return rows.assign(
        value=rows["coverage"],
        mcse=rows["coverage_mcse"],
        low=(rows["coverage"] - error).clip(lower=0),
        high=(rows["coverage"] + error).clip(upper=1),
        exact=rows["exact_coverage"],
    )


def without_number(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the share of trials that came out infinite, undefined or failed, where any did."""
    parts = []
    for what in ("infinite", "undefined", "failed"):
        share = summary[what] / summary["trials"]
        rows = summary.assign(what=what, value=share, low=np.nan, high=np.nan, exact=np.nan)
        if what == "infinite":
            error = SURE * rows["p_infinite_mcse"]
            rows["value"], rows["exact"] = rows["p_infinite"], rows["exact_p_infinite"]
            rows["low"] = (rows["value"] - error).clip(lower=0)
            rows["high"] = (rows["value"] + error).clip(upper=1)
        ever = rows.groupby(_CELL, dropna=False, sort=False)["value"].transform("max") > 0
        parts.append(rows[ever])
    return pd.concat(parts, ignore_index=True)


def leaders(summary: pd.DataFrame, best: pd.DataFrame) -> pd.DataFrame:
    """Return the rmse of each estimator beside the best one's, and what is told of it.

    `told` is `best`, or `≈` beside the ratio where the trials cannot tell it from the best.
    """
    place = [*GROUP, "size"]
    beside = best.rename(columns={"rmse": "least"})[[*place, "best", "least", "rivals", "told"]]
    rows = summary.merge(beside, on=place, how="inner")
    some = (rows["infinite"] + rows["undefined"] + rows["failed"]) > 0
    ratio = (rows["rmse"] / rows["least"]).where(~some)
    ratio = ratio.where(rows["rmse"] != rows["least"], 1.0)  # where the best is never off, 0 / 0
    pairs = zip(rows["estimator"], rows["rivals"], strict=True)
    rival = pd.Series([name in ([] if r is None else list(r)) for name, r in pairs], rows.index)
    first = rows["estimator"] == rows["best"]
    near = rival | (first & ~rows["told"].fillna(False).astype(bool))
    words = [_ratio(value) + "≈" * bool(close) for value, close in zip(ratio, near, strict=True)]
    lost = np.where(rows["infinite"] > 0, "∞", "–")
    told = np.select([some, first & ~near], [lost, "best"], words)
    return rows.assign(ratio=ratio, words=told)


def _ratio(value: float) -> str:
    if np.isnan(value):
        return "–"
    return f"{value:.2f}" if value < 9.995 else f"{value:.3g}" if value < 999.5 else ">999"
