"""A picture goes in; the bytes of an SVG or PNG file come out, the same for the same picture."""

from __future__ import annotations

import re
from typing import Any

from sim.report.extra import vlc
from sim.report.material import Picture

_ARIA = re.compile(r' (?:aria-[a-z]+|role)="[^"]*"')
_WHOLE = re.compile(r' (?:opacity|fill-opacity|stroke-opacity)="1"')
_PLACE = re.compile(r' (?:d|transform|[xy][12]?|width|height)="[^"]*"')
_LONG = re.compile(r"-?\d+\.\d{2,}(?!\d*e)")
_CLIP = re.compile(r"(?<=[\"#])clip\d+(?=[\")])")
_TAG = re.compile(r"<[^>]*>")

_THEMES = "<style>svg{color:#222}@media (prefers-color-scheme:dark){svg{color:#ddd}}</style>"

PNG_SCALE = 2


def svg(picture: Picture) -> bytes:
    """Return a picture as an SVG file of its own, legible on light and on dark."""
    told = f"<title>{_escaped(picture.title)}</title><desc>{_escaped(picture.alternative)}</desc>"
    drawn = _drawn(picture)
    end = drawn.index(">") + 1
    return (drawn[: end - 1] + ' role="img">' + told + _THEMES + drawn[end:] + "\n").encode()


def png(picture: Picture) -> bytes:
    """Return a picture as a PNG on white, two pixels for one."""
    spec = {**_spec(picture), "background": "white"}
    return bytes(vlc.vegalite_to_png(spec, scale=PNG_SCALE, allowed_base_urls=[]))


def _spec(picture: Picture) -> dict[str, Any]:
    spec: dict[str, Any] = picture.chart.to_dict()
    return spec


def _drawn(picture: Picture) -> str:
    drawn = str(vlc.vegalite_to_svg(_spec(picture), allowed_base_urls=[]))
    names: dict[str, str] = {}  # those of Vega go on from picture to picture

    def renamed(found: re.Match[str]) -> str:
        return names.setdefault(found[0], f"{picture.name}-{len(names)}")

    return _TAG.sub(lambda tag: _CLIP.sub(renamed, _spared(tag[0])), drawn)


def _spared(tag: str) -> str:
    """Return a tag with a tenth of a pixel, and without what is the same without it."""
    bare = _WHOLE.sub("", _ARIA.sub("", tag))
    return _PLACE.sub(lambda place: _LONG.sub(_tenth, place[0]), bare)


def _tenth(found: re.Match[str]) -> str:
    return f"{float(found[0]):.1f}".removesuffix(".0")


def _escaped(text: str) -> str:
    printed = "".join(c if c.isprintable() else " " for c in text)
    return printed.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
