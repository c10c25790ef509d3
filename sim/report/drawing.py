"""A chart goes in; as JSON and as still pictures it comes out, for a wide screen and a phone."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sim.report.extra import vlc
from sim.report.layouts import NARROW, WIDE, laid
from sim.report.material import Picture
from sim.report.static import still


@dataclass(frozen=True)
class Drawn:
    """A picture as a page needs it."""

    picture: Picture
    specification: str
    """JSON, packed: the data once, and what is drawn of them for each layout by its name."""
    stills: Mapping[str, str]
    """As SVG, for each layout."""


def drawn(picture: Picture) -> Drawn:
    """Return a picture drawn."""
    plain = picture.chart.to_dict()
    datasets = _named(plain)
    layouts = {layout.name: laid(plain, layout) | {"datasets": {}} for layout in (WIDE, NARROW)}
    stills = {
        name: still(chart | {"datasets": datasets}, f"{picture.name}-{name}")
        for name, chart in layouts.items()
    }
    told = {"datasets": datasets, "layouts": layouts}
    return Drawn(picture, packed(script_json(told)), stills)


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


def bundle() -> str:
    """Return the scripts that make charts live, as one that may stand in a page."""
    text: str = vlc.javascript_bundle()  # type: ignore[call-arg]
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")
