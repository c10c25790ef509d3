"""Bias and RMSE of every estimator by draws a colour, as the tables of docs/estimators.md.

`klsim run configs/estimators.yaml`, then `python -m benchmarks.regimes [results/estimators]`.
"""

from __future__ import annotations

import sys

import pandas as pd

import sim
from sim.numbers import with_error

COLOURS = {"red_blue": 2, "zipf_100": 100, "zipf_1000": 1000}
PLACES = (("zipf_1000", (100, 1000, 10_000, 100_000)), ("red_blue", (10, 100)))


def regime(bag: str, size: int) -> str:
    return f"n/K = {size / COLOURS[bag]:g}"


def cell(row: pd.Series) -> str:
    lost = f" ({row['p_infinite']:.1%} infinite)" if row["p_infinite"] > 0 else ""
    undefined = row["undefined"] / row["trials"]
    lost += f" ({undefined:.1%} undefined)" if undefined else ""
    if pd.isna(row["rmse"]):
        return "–" + lost
    return f"{with_error(row['bias'], row['bias_mcse'])}; {row['rmse']:.2g}{lost}"


def table(summary: pd.DataFrame, counted: bool) -> str:
    kl = summary[(summary["target"] == "kl") & summary["model"].notna()]
    kl = kl[kl["model"].str.startswith("sampled") == counted]
    columns = [(bag, size) for bag, sizes in PLACES for size in sizes]
    heads = [f"{bag}, {regime(bag, size)}" for bag, size in columns]
    lines = [f"| estimator | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for label in dict.fromkeys(kl["estimator"]):
        own = kl[kl["estimator"] == label].set_index(["bag", "size"])
        cells = [cell(own.loc[place]) for place in columns]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    results = sim.open_results(sys.argv[1] if len(sys.argv) > 1 else "results/estimators")
    for counted in (False, True):
        print(f"\n{'Q counted' if counted else 'Q known'}: bias ± its error; RMSE\n")
        print(table(results.summary, counted))
