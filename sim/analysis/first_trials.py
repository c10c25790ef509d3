"""The first trials of a run go in; what a picture shows of single trials comes out."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.special import betaincinv, chdtri, ndtri

CELL: Final = ["bag", "model", "target", "estimator", "size"]

RANKED: Final = [*CELL, "share", "estimate", "lower", "upper", "truth", "covers"]
"""A row for each interval that is shown; `share` of all that lie no farther from the truth."""

QUANTILES: Final = [*CELL, "chi_square", "counted", "low", "high"]
"""A row for each quantile: what χ² has there, what was counted, where χ² would be in 95 of 100."""

_MOST_SHOWN = 100
_MOST_POINTS = 40


def ranked(samples: pd.DataFrame, level: float) -> pd.DataFrame:
    """Return the intervals of each cell, ranked by how many errors they lie off.

    Of many, evenly ranked ones are kept: the share of them that miss is that of all.
    """
    rows = samples.dropna(subset=["lower", "upper", "estimate", "truth"])
    width = (rows["upper"] - rows["lower"]) / (2 * ndtri((1 + level) / 2))
    error = rows["se"].where(rows["se"] > 0, width)
    off = (rows["estimate"] - rows["truth"]).abs()
    with np.errstate(divide="ignore", invalid="ignore"):
        rows = rows.assign(z=(off / error).fillna(0.0))
    rows["covers"] = (rows["lower"] <= rows["truth"]) & (rows["truth"] <= rows["upper"])
    return _stacked([_ranked(group) for group in _cells(rows)], RANKED)


def _ranked(group: pd.DataFrame) -> pd.DataFrame:
    ordered = group.sort_values(["z", "trial"], kind="stable")
    number = len(ordered)
    ordered = ordered.assign(share=(np.arange(number) + 0.5) / number)
    kept = min(number, _MOST_SHOWN)
    return ordered.iloc[((np.arange(kept) + 0.5) * number / kept).astype(int)]


def chi_square(samples: pd.DataFrame, freedom: Mapping[str, int], unit: str) -> pd.DataFrame:
    """Return quantiles of 2n·KL beside those of χ² where P = Q, at the largest n of each bag.

    `freedom` is one less than the colours of each bag. Where Q is only counted in m draws,
    n·m/(n + m) stands for n.
    """
    rows = samples[(samples["target"] == "kl") & (samples["truth"] == 0)]
    rows = rows[rows["size"] == rows.groupby("bag")["size"].transform("max")]
    rows = rows[np.isfinite(rows["estimate"]) & rows["bag"].map(freedom).gt(0)]
    size = rows["size"].astype(float)
    draws = (1 / (1 / size + (1 / rows["model_size"]).fillna(0.0))) if len(rows) else size
    nat = log(2) if unit == "bits" else 1.0
    rows = rows.assign(counted=2 * draws * rows["estimate"] * nat)
    found = [_quantiles(group, freedom[group["bag"].iloc[0]]) for group in _cells(rows)]
    return _stacked(found, QUANTILES)


def _quantiles(group: pd.DataFrame, freedom: int) -> pd.DataFrame:
    counted = np.sort(group["counted"].to_numpy())
    number = len(counted)
    rank = np.arange(1, number + 1)
    expected = _upper(freedom, 1 - (rank - 0.5) / number)
    at = np.linspace(expected[0], expected[-1], min(number, _MOST_POINTS))
    kept = np.unique(np.searchsorted(expected, at).clip(max=number - 1))
    rank = rank[kept]
    low, high = (betaincinv(rank, number + 1 - rank, q) for q in (0.025, 0.975))
    columns = {name: group[name].iloc[0] for name in CELL}
    values = {
        "chi_square": expected[kept],
        "counted": counted[kept],
        "low": _upper(freedom, 1 - low),
        "high": _upper(freedom, 1 - high),
    }
    return pd.DataFrame(values).assign(**columns)


def _upper(freedom: int, share: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(chdtri(freedom, share))


def _cells(rows: pd.DataFrame) -> list[pd.DataFrame]:
    groups = rows.groupby(CELL, sort=False, dropna=False, observed=True)
    return [group for _, group in groups]


def _stacked(found: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    if not found:
        return pd.DataFrame(columns=columns)
    return pd.concat(found, ignore_index=True)[columns]
