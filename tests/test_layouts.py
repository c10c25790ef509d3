"""A picture for a desk and for a phone: the same data, laid out anew, with larger text."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
import vl_convert

from results import RICH, material, specification
from sim.report.layouts import COLUMN, NARROW, WIDE, laid
from sim.report.pictures import DRAWERS, pictures
from sim.report.static import still

MANY = {f"e{i}": {"kind": "plug_in", "learner": {"kind": "add_constant", "amount": i + 1}}
        for i in range(10)}  # fmt: skip


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    rich = material(tmp_path_factory.mktemp("rich"), trace=2, **RICH)
    return {picture.name: picture for picture in pictures(rich)}


def told(part, key):
    """Yield each value of a key in a specification, its data aside."""
    if isinstance(part, dict):
        for name, inner in part.items():
            if name == key:
                yield inner
            if name not in ("data", "datasets"):
                yield from told(inner, key)
    elif isinstance(part, list):
        for inner in part:
            yield from told(inner, key)


def view(chart, name):
    return [
        float(side) for side in ElementTree.fromstring(still(chart, name)).get("viewBox").split()
    ]


@pytest.mark.parametrize("name", DRAWERS)
def test_every_layout_draws_the_same_data_and_fits_its_screen(drawn, name):
    known = specification(drawn[name])
    wide, narrow = laid(known, WIDE), laid(known, NARROW)
    assert wide["datasets"] == narrow["datasets"] == known["datasets"]
    assert view(narrow, name)[2] <= 390
    assert 390 < view(wide, name)[2] <= 780


@pytest.mark.parametrize("name", DRAWERS)
@pytest.mark.parametrize("layout", [WIDE, NARROW])
def test_text_is_larger_than_in_a_column_of_a_paper(drawn, name, layout):
    known = specification(drawn[name])
    small, large = (list(told(one, "labelFontSize")) for one in (known, laid(known, layout)))
    assert len(small) == len(large)
    assert min(small) >= 9
    assert min(large) >= 11
    assert [round(one * layout.text, 2) for one in told(known, "fontSize")] == list(
        told(laid(known, layout), "fontSize")
    )


def test_a_layout_changes_nothing_of_what_it_is_given(drawn):
    known = specification(drawn["bias"])
    laid(known, NARROW)
    assert known == specification(drawn["bias"])


def test_on_a_phone_no_panel_stands_beside_another():
    for number in range(1, 13):
        assert NARROW.columns_of(number) == 1
        for layout in (COLUMN, WIDE):
            columns = layout.columns_of(number)
            assert columns in layout.heights
            taken = columns * layout.panel(columns, True)
            assert 0.6 * layout.width < taken <= layout.width


def test_marks_in_a_legend_are_not_dashed_and_all_estimators_are_in_it(tmp_path):
    many = material(tmp_path, trials=20, learners={}, estimators=MANY)
    chart = DRAWERS["rmse"](many).chart.to_dict()
    assert any([6, 2] in scale["range"] for scale in told(chart, "scale") if "range" in scale)
    for layout in (COLUMN, WIDE, NARROW):
        svg = vl_convert.vegalite_to_svg(laid(chart, layout))
        groups = [g for g in ElementTree.fromstring(svg).iter() if g.get("class")]
        marks = [path for g in groups if "role-legend-symbol" in g.get("class") for path in g]
        labels = [t.text for g in groups if "role-legend-label" in g.get("class") for t in g]
        assert len(labels) == 8
        assert "e0" in labels
        assert len(marks) == 8
        assert {mark.get("stroke-dasharray") for mark in marks} == {None}
        lines = [path for g in groups if "mark-line" in g.get("class") for path in g]
        assert {line.get("stroke-dasharray") for line in lines} >= {"1,0", "6,2"}
