"""An SVG that Vega made goes in; the same picture in half the bytes comes out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby
from xml.etree import ElementTree

Node = ElementTree.Element

_SVG = "http://www.w3.org/2000/svg"

_SAID = ("aria-", "role", "class", "font-family", "pointer-events", "display")
"""What a picture says to a reader of the screen, and its font: each is told once, around it."""

_USUAL = {
    ("opacity", "1"),
    ("fill-opacity", "1"),
    ("stroke-opacity", "1"),
    ("stroke-width", "1"),
    ("stroke-dasharray", "1,0"),
    ("font-weight", "normal"),
    ("transform", "translate(0,0)"),
    ("x2", "0"),
    ("y2", "0"),
}
_PLACES = {"d", "transform", "x", "y", "x1", "x2", "y1", "y2", "width", "height"}
_OWN = _PLACES | {"id", "opacity", "clip-path"}
"""What a mark does not take over from the group that it is in."""

_LONG = re.compile(r"-?\d+\.\d{2,}(?!\d*e)")
_URL = re.compile(r"url\(#([^)]*)\)")


def lean(drawn: str, name: str) -> str:
    """Return a picture with a tenth of a pixel, and without what is the same without it.

    Its ids begin with `name`, and are the same each time: Vega's count on through the process.
    """
    root = ElementTree.fromstring(drawn)  # noqa: S314 (Vega wrote it)
    for node in root.iter():
        node.tag = node.tag.removeprefix(f"{{{_SVG}}}")
        node.attrib = _attributes(node)
    _share_clips(root, name)
    root[:] = _shared(_kept(root))
    root.attrib = {"xmlns": _SVG, **root.attrib}
    return ElementTree.tostring(root, encoding="unicode").replace(" />", "/>")


def _attributes(node: Node) -> dict[str, str]:
    told = ((key, _short(key, value)) for key, value in node.items() if not key.startswith(_SAID))
    return {key: value for key, value in told if (key, value) not in _USUAL}


def _short(key: str, value: str) -> str:
    if key == "font-size":
        return value.removesuffix("px")
    return _LONG.sub(_tenth, value) if key in _PLACES else value


def _tenth(found: re.Match[str]) -> str:
    text = f"{float(found[0]):.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def _share_clips(root: Node, name: str) -> None:
    """Let all that is clipped alike share one clip."""
    known: dict[str, str] = {}
    ids: dict[str, str] = {}
    for defs in root.iter("defs"):
        for clip in list(defs):
            old = clip.attrib.pop("id", "")
            like = ElementTree.tostring(clip, encoding="unicode")
            if like in known:
                defs.remove(clip)
            ids[old] = clip.attrib["id"] = known.setdefault(like, f"{name}-{len(known) + 1}")
    for node in root.iter():
        for key, value in node.items():
            node.set(key, _URL.sub(lambda found: f"url(#{ids.get(found[1], found[1])})", value))


def _kept(node: Node) -> list[Node]:
    """Return what is seen inside a node: groups that say nothing are opened, alike ones joined."""
    kept: list[Node] = []
    for child in node:
        if child.tag == "g":
            child[:] = _kept(child)
            _add(kept, child)
        elif _is_seen(child):
            kept.append(child)
    return kept


def _add(kept: list[Node], group: Node) -> None:
    if not group.attrib:
        for child in group:
            _add(kept, child) if child.tag == "g" else kept.append(child)
    elif kept and kept[-1].tag == "g" and kept[-1].attrib == group.attrib:
        kept[-1].extend(group)
    elif len(group):
        kept.append(group)


def _is_seen(node: Node) -> bool:
    if node.get("opacity") == "0":
        return False
    if node.tag == "path":
        has_ink = {"fill", "stroke"} & set(node.keys())
        return bool(has_ink) and node.get("d", "M0,0") != "M0,0"
    return node.tag != "text" or bool(node.text or len(node))


def _shared(nodes: Iterable[Node]) -> list[Node]:
    """Return nodes in groups that say once what is alike in all of them."""
    made: list[Node] = []
    for (is_group, style), run in groupby(nodes, lambda node: (node.tag == "g", _style(node))):
        alike = list(run)
        for node in alike if is_group else ():
            node[:] = _shared(list(node))
        is_one = is_group or len(alike) == 1 or not style
        made += alike if is_one else [_group(style, alike)]
    return made


def _style(node: Node) -> dict[str, str]:
    return {key: value for key, value in node.items() if key not in _OWN}


def _group(style: dict[str, str], alike: list[Node]) -> Node:
    for node in alike:
        node.attrib = {key: value for key, value in node.items() if key in _OWN}
    group = ElementTree.Element("g", style)
    group.extend(alike)
    return group
