"""A picture in fewer bytes: the same to the eye, and whole whatever its texts hold."""

from __future__ import annotations

import struct
import zlib
from xml.etree import ElementTree

import altair as alt
import numpy as np
import pandas as pd
import pytest
import vl_convert

from results import RICH, material
from sim.report.lean import lean
from sim.report.pictures import DRAWERS

_FONT = "DejaVu Sans, Verdana, sans-serif"


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    return material(tmp_path_factory.mktemp("rich"), trace=2, **RICH)


def _unfiltered(kind, line, above):
    """Return a line of a PNG, four bytes a point, as it was before it was filtered."""
    if kind in (0, 2):
        return line + above * np.uint8(kind // 2)
    out, left, corner = line.copy(), np.zeros(4, np.uint8), np.zeros(4, np.uint8)
    for at in range(0, len(line), 4):
        up = above[at : at + 4]
        a, b, c = (each.astype(int) for each in (left, up, corner))
        far = np.abs([b - c, a - c, a + b - 2 * c])
        paeth = np.where(
            (far[0] <= far[1]) & (far[0] <= far[2]), a, np.where(far[1] <= far[2], b, c)
        )
        guess = {1: a, 3: (a + b) // 2, 4: paeth}[kind]
        out[at : at + 4] = left = line[at : at + 4] + guess.astype(np.uint8)
        corner = up
    return out


def points(svg):
    """Return how dark each point of a picture is on white."""
    png, at, packed = vl_convert.svg_to_png(svg), 8, b""
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            packed += png[at + 8 : at + 8 + length]
        at += length + 12
    width, height = struct.unpack(">II", png[16:24])
    assert png[24:26] == b"\x08\x06"
    lines = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, 1 + 4 * width)
    seen = [np.zeros(4 * width, np.uint8)]
    for line in lines:
        seen.append(_unfiltered(int(line[0]), line[1:], seen[-1]))
    colour = np.array(seen[1:]).reshape(height, width, 4) / 255
    return 1 - (colour[..., :3] * colour[..., 3:] + 1 - colour[..., 3:])


@pytest.mark.parametrize("name", DRAWERS)
def test_a_picture_in_fewer_bytes_is_the_same_to_the_eye(rich, name):
    full = vl_convert.vegalite_to_svg(DRAWERS[name](rich).chart.to_dict())
    short = lean(full, name)
    assert len(short) < 0.6 * len(full)
    was, made = points(full), points(short.replace("<svg ", f'<svg font-family="{_FONT}" ', 1))
    assert made.shape == was.shape
    assert was.sum() > 1000
    # places are rounded to a tenth of a point, so edges differ a little and nothing else does
    assert np.abs(made - was).max() < 0.35
    assert np.abs(made - was).sum() < 0.05 * was.sum()


def test_ids_begin_with_the_name_and_what_is_clipped_alike_shares_a_clip(rich):
    short = lean(vl_convert.vegalite_to_svg(DRAWERS["bias"](rich).chart.to_dict()), "bias")
    ids = [node.get("id") for node in ElementTree.fromstring(short).iter() if node.get("id")]
    assert ids == ["bias-1"]
    assert 'clip-path="url(#bias-1)"' in short


def test_marks_that_let_others_through_do_so_one_by_one():
    rows = pd.DataFrame({"x": [10, 14, 18], "y": [50, 50, 50]})
    chart = alt.Chart(rows, width=60, height=100).mark_point(size=900, filled=True, opacity=0.4)
    chart = chart.encode(
        x=alt.X("x:Q", scale=None, axis=None), y=alt.Y("y:Q", scale=None, axis=None)
    )
    full = vl_convert.vegalite_to_svg(chart.to_dict())
    was, made = points(full), points(lean(full, "overlapping"))
    one, three = (was[55, at, 0] for at in (5, 24))
    assert three > one + 0.2 > 0.4
    assert np.abs(made - was).max() < 0.1


def test_texts_stay_what_they_are():
    full = "<svg xmlns='http://www.w3.org/2000/svg'><text>&lt;b&gt;&amp;' ]]&gt;</text></svg>"
    tree = ElementTree.fromstring(lean(full, "odd"))
    assert "".join(tree.itertext()) == "<b>&' ]]>"
