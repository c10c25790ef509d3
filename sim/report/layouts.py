"""A specification goes in; the same data laid out for a wide screen or for a phone comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

GAP = 8
"""Between panels."""

_LENGTHS = {"fontSize", "labelFontSize", "titleFontSize", "labelLimit", "minExtent", "limit",
            "titlePadding", "strokeWidth", "symbolStrokeWidth"}  # fmt: skip
_AREAS = {"size", "symbolSize"}
_DATA = {"data", "datasets"}


@dataclass(frozen=True)
class Layout:
    """How panels stand, and how large their text is."""

    name: str
    width: int
    """Of all panels side by side, without their axes."""
    columns: Mapping[int, int]
    """How many panels of so many stand side by side …"""
    most: int
    """… and of more."""
    heights: Mapping[int, int]
    """How high each is, by how many stand side by side."""
    cells: int
    """How wide the cells of a heat map are together."""
    maps: int = 1
    """How many heat maps stand side by side."""
    text: float = 1.0
    """How many times as large as in `COLUMN` text and marks are."""
    legend: int = 3
    """Names side by side in a legend."""

    def columns_of(self, number: int) -> int:
        """Return how many panels of so many stand side by side."""
        return self.columns.get(number, self.most)

    def panel(self, columns: int, has_axes: bool) -> int:
        """Return how wide each of so many panels is; `has_axes`: it has an upward axis itself."""
        taken = round(32 * self.text) * (columns - 1) * has_axes
        return (self.width - taken - GAP * (columns - 1)) // columns


_PAIRS = {1: 1, 2: 1, 3: 1, 4: 2, 5: 2, 6: 2}
COLUMN = Layout("column", 280, _PAIRS, 3, {1: 150, 2: 110, 3: 85}, cells=226)
"""For a column of a paper: how each chart is made."""

WIDE = Layout("wide", 640, {1: 1, 2: 2, 4: 2}, 3, {1: 260, 2: 200, 3: 160}, cells=245, maps=2,
              text=1.25, legend=5)  # fmt: skip
"""For a desk: its text is as large as that beside it, nearly."""

NARROW = Layout("narrow", 288, {}, 1, {1: 135}, cells=240, text=1.25)
"""For a phone: one panel below the other."""


def laid(specification: Mapping[str, Any], layout: Layout) -> dict[str, Any]:
    """Return a specification in another layout; it draws the same data."""
    made: dict[str, Any] = _grown(specification, layout.text)
    made.setdefault("config", {}).setdefault("legend", {})["columns"] = layout.legend
    if "facet" in made:
        _lay_panels(made, layout)
    for part in made.get("concat", ()):
        made["columns"] = layout.maps
        part["width"] = layout.cells
        part["height"] = round(part["height"] * layout.text)
    return made


def _lay_panels(made: dict[str, Any], layout: Layout) -> None:
    columns = layout.columns_of(len(made["facet"]["sort"]))
    has_axes = made.get("resolve", {}).get("scale", {}).get("y") == "independent"
    width = layout.panel(columns, has_axes)
    made["columns"] = columns
    made["spec"] |= {"width": width, "height": layout.heights[columns]}
    made["facet"]["header"] |= {"labelLimit": width + 20, "labelFontSize": 9 * layout.text}


def _grown(part: Any, times: float) -> Any:
    """Return a part of a specification with larger text and marks."""
    if isinstance(part, list):
        return [_grown(each, times) for each in part]
    if not isinstance(part, dict):
        return part
    return {
        key: value if key in _DATA else _larger(key, value, times) for key, value in part.items()
    }


def _larger(key: str, value: Any, times: float) -> Any:
    if isinstance(value, int | float) and key in _LENGTHS | _AREAS:
        return round(value * (times**2 if key in _AREAS else times), 2)
    return _grown(value, times)
