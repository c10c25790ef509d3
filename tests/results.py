"""Small real results with all that a picture may show, for the tests of what is drawn of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from runs import built

from sim import api
from sim.gathering import gather
from sim.report.material import Material, Picture

RICH: dict[str, Any] = {
    "name": "rich",
    "trials": 60,
    "sizes": [5, 20, 80],
    "bags": {
        "back": {"kind": "with_replacement", "balls": {"red": 2, "blue": 3}},
        "away": {
            "kind": "delayed_returns",
            "balls": {"red": 2, "blue": 3},
            "hold": {"exponential": 2},
        },
    },
    "models": {"itself": {"kind": "itself"}, "few": {"kind": "drawn", "draws": 6,
        "bag": {"kind": "with_replacement", "balls": {"red": 1, "blue": 2}}}},
    "estimators": {
        "counting": {"kind": "plug_in", "interval": "wald"},
        "corrected": {"kind": "miller_madow", "interval": "wald"},
        "laplace": {"kind": "plug_in", "learner": {"kind": "add_constant", "amount": 1}},
    },
}  # fmt: skip
"""Intervals, a bag with a clock, a model that makes counting infinite, a learner."""


def material(folder: Path, trace: int = 0, **changes: Any) -> Material:
    """Run a small experiment and return what is told of it."""
    results = api.run(built(**changes), out=folder)
    if trace:
        api.trace(results.path, trace)
    return gather(results.path)


def data(picture: Picture) -> list[dict[str, Any]]:
    """Return the rows that a picture draws."""
    sets = specification(picture)["datasets"].values()
    return [row for rows in sets for row in rows if len(row) > 1]


def specification(picture: Picture) -> dict[str, Any]:
    """Return the specification of a picture; it fits the schema of Vega-Lite, or this raises."""
    found: dict[str, Any] = json.loads(json.dumps(picture.chart.to_dict(validate=True)))
    return found
