"""Rows of the tables go in; the same few words for them come out, for a terminal and a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from sim.divergences import divergence
from sim.numbers import plain, with_error

Row = Mapping[str, Any]

_NAMES = {"kl": "KL", "kl_loss": "KL loss"}
_SEEN = 3.0
_MOST_ROWS = 8
_MOST_RANGES = 6
_MOST_NAMES = 3


def named(target: str) -> str:
    """Return a target as a sentence has it."""
    return _NAMES.get(target, target)


def unit_of(target: str, unit: str) -> str:
    """Return the unit of a target with a space before it; nothing where it has none."""
    known = divergence("kl" if target == "kl_loss" else target)
    return "" if known is not None and known.per_unit("bits") == 1 else f" {unit}"


def title(rows: Sequence[Row], unit: str) -> str:
    """Return what the biases of one bag, model and target are of."""
    first = rows[0]
    name = named(first["target"])
    if first["model"] is None:
        return f"{name} of bag {first['bag']} ({unit}): from the real one to what was learned"
    truths = {row["truth"] for row in rows}
    truth = plain(first["truth"]) if len(truths) == 1 else "by size"
    in_unit = f" ({unit})" if unit_of(first["target"], unit) else ""
    return f"Bias of {name}{in_unit}: {place(first)}; the true {name} is {truth}"


def place(row: Row) -> str:
    """Return which bag is held against which model."""
    return f"bag {row['bag']} against model {row['model']}"


def where(row: Row) -> str:
    """Return bag, model and, where it needs saying, target of a row in short."""
    model = "learned" if row["model"] is None else row["model"]
    target = "" if row["target"] in ("kl", "kl_loss") else f" / {row['target']}"
    return f"{row['bag']} / {model}{target}"


def bias(row: Row) -> str:
    """Return the bias with its error; that it was not seen, where it may be 0; – for none."""
    value, error = row["bias"], row["bias_mcse"]
    if value is None:
        text = "–"
    elif error and abs(value) < _SEEN * error:
        text = f"not seen ± {error:.1g}"
    else:
        text = with_error(value, error if error is not None else float("nan"))
    return text + (f", ∞ {row['p_infinite']:.2g}" if row["infinite"] else "")


def thinned(sizes: list[int]) -> list[int]:
    """Return few sizes: the powers of ten where they tell enough, both ends always."""
    if len(sizes) <= _MOST_ROWS:
        return sizes
    decades = [n for n in sizes[1:-1] if str(n).rstrip("0") == "1"]
    step = -(-len(sizes) // _MOST_ROWS)
    inner = decades if 2 <= len(decades) <= _MOST_ROWS else sizes[step:-1:step]
    return [sizes[0], *inner, sizes[-1]]


def ranges(line: Sequence[Row]) -> list[str]:
    """Return which estimator is best over which sizes, from the rows of one line of `best`."""
    texts = []
    for answer, group in groupby(line, _answer):
        sizes = [row["size"] for row in group]
        ends = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} … {sizes[-1]:,}"
        texts.append(f"{ends}: {answer}")
    rest = len(texts) - _MOST_RANGES
    return [*texts[:_MOST_RANGES], f"and {rest} more ranges"] if rest > 0 else texts


def _answer(row: Row) -> str:
    if row["best"] is None:
        return plain(None)
    if row["told"]:
        return str(row["best"])
    names = sorted([row["best"], *row["rivals"]])
    if len(names) > _MOST_NAMES:
        return f"cannot tell among {len(names)}"
    return f"cannot tell: {', '.join(names)}"
