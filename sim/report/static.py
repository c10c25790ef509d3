"""A picture goes in; it comes out still: for a page, or as the bytes of an SVG or PNG file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sim.report.extra import alt, vlc
from sim.report.lean import lean
from sim.report.material import Picture

_VERSION = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])

_FONT = "DejaVu Sans, Verdana, sans-serif"
_THEMES = "<style>svg{color:#222}@media (prefers-color-scheme:dark){svg{color:#ddd}}</style>"

PNG_SCALE = 2


def still(specification: Mapping[str, Any], name: str) -> str:
    """Return a chart as an SVG to stand in a page: it takes the colour and the font there.

    What is read aloud of it is the page's to say. Ids begin with `name`.
    """
    made = vlc.vegalite_to_svg(dict(specification), vl_version=_VERSION, allowed_base_urls=[])
    return lean(made, name)


def svg(picture: Picture) -> bytes:
    """Return a picture as an SVG file of its own, legible on light and on dark."""
    told = f"<title>{_escaped(picture.title)}</title><desc>{_escaped(picture.alternative)}</desc>"
    drawn = still(picture.chart.to_dict(), picture.name)
    end = drawn.index(">")
    head = f'{drawn[:end]} font-family="{_FONT}" role="img">'
    return (head + told + _THEMES + drawn[end + 1 :] + "\n").encode()


def png(picture: Picture) -> bytes:
    """Return a picture as a PNG on white, two pixels for one."""
    spec = {**picture.chart.to_dict(), "background": "white"}
    made = vlc.vegalite_to_png(spec, vl_version=_VERSION, scale=PNG_SCALE, allowed_base_urls=[])
    return bytes(made)


def _escaped(text: str) -> str:
    printed = "".join(c if c.isprintable() else " " for c in text)
    return printed.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
