"""Tables go in; what they say comes out in plain words: how far off, which one, how many draws."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, isinf
from typing import Any

from sim.numbers import plain, with_error
from sim.phrases import unit_of
from sim.report.frames import Row, group, line, of, rows
from sim.report.material import Material

_NAMES = {"kl": "KL divergence", "kl_loss": "KL loss", "reverse_kl": "reverse KL divergence"}
_SEEN = 3.0
_MOST_NAMES = 4
_KINDS = ("infinite", "undefined", "failed")


def opening(material: Material) -> list[str]:
    """Return the three sentences that a page opens with; one where there is no trial yet."""
    summary = rows(material.summary)
    if not summary:
        return ["There are no trials yet."]
    cell = of(summary, line(summary[0]))
    unit = unit_of(cell[0]["target"], material.unit)
    return [
        _distance(cell, unit),
        _choice(of(rows(material.best), group(cell[0])), cell, unit),
        _draws(of(rows(material.convergence), line(cell[0])), cell, material),
    ]


def missing(material: Material) -> str:
    """Return in a sentence how many estimates are no finite number, even where none is."""
    summary = rows(material.summary)
    total = sum(row["trials"] for row in summary)
    found = {kind: sum(row[kind] for row in summary) for kind in _KINDS}
    if not any(found.values()):
        return f"Of {total:,} estimates none was infinite, undefined or failed."
    parts = [f"{number:,} {kind}" for kind, number in found.items()]
    parts[0] = f"{found['infinite']:,} were infinite"
    return (
        f"Of {total:,} estimates {parts[0]}, {parts[1]} and {parts[2]}; none was left out of the "
        "tables, and the measures are over the finite ones."
    )


def _distance(cell: Sequence[Row], unit: str) -> str:
    """Say what was counted and how far off it is, at the smallest and the largest size."""
    first = cell[0]
    what = _NAMES.get(first["target"], first["target"])
    where = f"in bag {first['bag']}"
    where += "" if first["model"] is None else f" against model {first['model']}"
    begun = f"The {what} {where} is {_truth(cell, unit)}; "
    ends = [cell[0], cell[-1]] if len(cell) > 1 else [cell[0]]
    parts = [f"{_off(row, unit)} at n = {row['size']:,}" for row in ends]
    return f"{begun}estimated by {first['estimator']} it comes out {' and '.join(parts)}."


def _truth(cell: Sequence[Row], unit: str) -> str:
    truths = {row["truth"] for row in cell}
    if len(truths) > 1:
        return "another at every size"
    truth = cell[0]["truth"]
    if truth is None or isinf(truth):
        return plain(truth)
    return "0" if truth == 0 else f"{plain(truth)}{unit}"


def _off(row: Row, unit: str) -> str:
    bias, error = row["bias"], row["bias_mcse"]
    if bias is None or not isfinite(bias):
        return "without a finite error"
    if error and abs(bias) < _SEEN * error:
        return (
            f"right on average, as far as the trials show (within {plain(_SEEN * error, 2)}{unit})"
        )
    if bias == 0:
        return "exactly right"
    side = "too large" if bias > 0 else "too small"
    amount = with_error(abs(bias), float("nan") if error is None else error)
    return f"{side} by {amount}{unit} on average"


def _choice(chosen: Sequence[Row], cell: Sequence[Row], unit: str) -> str:
    """Say which estimator is best, and from which size on; of one alone, what is noise."""
    known = [row for row in chosen if row["best"] is not None]
    if not known:
        return _noise(cell, unit)
    last = known[-1]
    if not last["told"]:
        return f"At n = {last['size']:,} the trials cannot tell {_rivals(last)}."
    since = last
    for row in reversed(known):
        if row["best"] != last["best"] or not row["told"]:
            break
        since = row
    if since is known[0]:
        return f"The smallest error (rmse) is that of {last['best']}, at every size."
    begun = f"From n = {since['size']:,} on {last['best']} has the smallest error"
    return f"{begun}{_before(known[0], last)}."


def _before(first: Row, last: Row) -> str:
    """Say what was best at the smallest size, where that can be told."""
    if not first["told"]:
        return " (rmse)"
    if first["best"] == last["best"]:
        return f" (rmse); at n = {first['size']:,} too, but not at every size between"
    return f" (rmse); at n = {first['size']:,} {first['best']} is better"


def _rivals(row: Row) -> str:
    names = sorted([row["best"], *row["rivals"]])
    if len(names) > _MOST_NAMES:
        return f"which of {len(names)} estimators has the smallest error; {row['best']} had it here"
    return f"which has the smallest error: {', '.join(names[:-1])} or {names[-1]}"


def _noise(cell: Sequence[Row], unit: str) -> str:
    row = cell[0]
    if row["q95"] is None:
        return "There is no other estimator to compare it with."
    value = f"{plain(row['q95'], 3)}{unit}" if isfinite(row["q95"]) else plain(row["q95"])
    if row["truth"] == 0:
        return f"That is noise: at n = {row['size']:,}, 95 of 100 estimates are at most {value}."
    return f"At n = {row['size']:,}, 95 of 100 estimates are at most {value}."


def _draws(fits: Sequence[Row], cell: Sequence[Row], material: Material) -> str:
    """Say how many draws the tolerance asks for."""
    most = f"{material.error:g}{unit_of(cell[0]['target'], material.unit)}"
    wanted = f"to be off by at most {most} in {_share(material)} of all trials"
    name = cell[0]["estimator"]
    found: Row = fits[0] if fits else {}
    size = found.get("size_for_error")
    if size is not None:
        about = "about " if found.get("extrapolated") else ""
        beyond = ", which is beyond the sizes tried" if found.get("extrapolated") else ""
        return f"It takes {about}{int(size):,} draws{_bracket(found)} for {name} {wanted}{beyond}."
    why = found.get("size_reason")
    because = f": {why}" if why else ""
    return f"How many draws {name} takes {wanted} is not known{because}."


def _bracket(found: Row) -> str:
    """Return the interval of a size; an end that is not known is left open."""
    low, high = found.get("size_for_error_low"), found.get("size_for_error_high")
    if low is None or high is None:
        ends = [f"{int(low):,} or more"] if low is not None else []
        ends += [f"up to {int(high):,}"] if high is not None else []
        return "".join(f" ({end})" for end in ends)
    return "" if low == high else f" ({int(low):,} to {int(high):,})"


def _share(material: Material) -> str:
    return f"{material.confidence * 100:.4g} %"


def facts(material: Material) -> list[tuple[str, Any]]:
    """Return what made the result: digest, trials, versions, seconds; as labels and texts."""
    told = material.facts
    known: list[tuple[str, Any]] = [
        (name, told[name])
        for name in ("seed", "digest", "trials", "python", "canary")
        if name in told
    ]
    for name in ("versions", "seconds"):
        part = told.get(name)
        if isinstance(part, dict):
            known.append((name, ", ".join(f"{key} {value}" for key, value in part.items())))
    return known
