"""A chart goes in; its specification as JSON and a still picture of it come out, for any theme."""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sim.report.extra import alt, vlc
from sim.report.material import Picture

_INK = "currentColor"
_FONT = "system-ui, sans-serif"
_THEME: dict[str, Any] = {
    "background": "transparent",
    "font": _FONT,
    "view": {"stroke": _INK, "strokeOpacity": 0.25},
    "axis": {
        "labelColor": _INK,
        "titleColor": _INK,
        "domainColor": _INK,
        "tickColor": _INK,
        "gridColor": _INK,
        "gridOpacity": 0.14,
    },
    "legend": {"labelColor": _INK, "titleColor": _INK},
    "header": {"labelColor": _INK, "titleColor": _INK},
    "title": {"color": _INK, "subtitleColor": _INK},
}
"""Text and lines take the colour of the page's text, light or dark."""

_VERSION = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
_ID = re.compile(r'(\bid="|url\(#|href="#)((?:clip|gradient)[\w-]*)')
_TAG = re.compile(r"<[a-z][^<>]*>")
_SPOKEN = re.compile(r' (?:role|aria-[a-z]+|pointer-events|font-family)="[^"]*"')
"""What a still picture says to a reader of the screen, and its font: the page has both, once."""


@dataclass(frozen=True)
class Drawn:
    """A picture as a page needs it."""

    picture: Picture
    specification: str
    """JSON, packed: it is several times as long."""
    svg: str


def drawn(picture: Picture) -> Drawn:
    """Return a picture drawn."""
    plain = picture.chart.to_dict()
    plain["config"] = _merged(plain.get("config", {}), _THEME)
    plain["datasets"] = _named(plain)
    svg = vlc.vegalite_to_svg(plain, vl_version=_VERSION)
    return Drawn(picture, packed(script_json(plain)), _own_ids(picture.name, svg))


def _own_ids(name: str, svg: str) -> str:
    """Return a still picture whose names are its own on the page, and the same each time.

    As it comes they count on through the whole process.
    """
    numbers: dict[str, int] = {}

    def own(found: re.Match[str]) -> str:
        number = numbers.setdefault(found[2], len(numbers) + 1)
        return f"{found[1]}{name}-{number}"

    return _ID.sub(own, _TAG.sub(lambda tag: _SPOKEN.sub("", tag[0]), svg))


def _named(plain: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the data of a chart without the columns that it does not name."""
    told = json.dumps({key: value for key, value in plain.items() if key != "datasets"})
    found: Mapping[str, list[Any]] = plain.get("datasets", {})
    columns = {key for data in found.values() for row in data for key in row}
    kept = {key for key in columns if json.dumps(key)[1:-1] in told}
    return {
        name: [{key: value for key, value in row.items() if key in kept} for row in data]
        for name, data in found.items()
    }


def script_json(value: Any) -> str:
    """Return JSON that ends no element and begins none, wherever it stands."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def packed(text: str) -> str:
    """Return a text deflated, in base 64: the page unpacks it when it is looked at."""
    return b64encode(zlib.compress(text.encode(), 9)).decode()


def _merged(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(theirs)
    for key, value in ours.items():
        inner = both.get(key)
        both[key] = (
            _merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
        )
    return both


def bundle() -> str:
    """Return the scripts that make charts live, as one that may stand in a page."""
    text: str = vlc.javascript_bundle()  # type: ignore[call-arg]
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")
