"""What is printed of the sizes for the tolerance: each case in few words, within 120 columns."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from sim.cli.enough import DEFAULT, ends_text, show_enough, size_text

NONE = dict.fromkeys(("size_for_error", "size_for_error_low", "size_for_error_high")) | {
    "extrapolated": None,
    "size_reason": None,
}


def row(size=None, low=None, high=None, **changes):
    line = {"bag": "urn", "model": "fair", "target": "kl", "estimator": "counting"}
    sizes = {"size_for_error": size, "size_for_error_low": low, "size_for_error_high": high}
    return line | {"quantity": "rmse"} | NONE | sizes | {"extrapolated": False} | changes


@pytest.mark.parametrize(
    ("one", "texts"),
    [
        (row(1503, 1437, 1528), ("1,503", "1,437 to 1,528")),
        (row(201, 201, 201), ("201", "201")),
        (row(4148, 3128, 6644, extrapolated=True), ("~4,148", "3,128 to 6,644")),
        (row(4148, 3128, None), ("4,148", "3,128 or more")),
        (row(25, None, 31), ("25", "up to 31")),
        (row(10, None, 12, size_reason="holds already at the smallest size"), ("≤ 10", "up to 12")),
        (row(size_reason="never: an error of 0.03 remains however many draws"), ("never", "")),
        (row(size_reason="beyond 10^15 draws, if the error falls that far at all"), ("–", "")),
        (row(), ("–", "")),
    ],
)
def test_a_size_is_shown_with_what_is_known_of_it(one, texts):
    assert (size_text(one), ends_text(one)) == texts


def printed(*rows, unit="nats", tolerance=DEFAULT) -> list[str]:
    console = Console(file=io.StringIO(), width=120, color_system=None)
    show_enough(rows, unit, 0.95, tolerance, console)
    return console.file.getvalue().splitlines()


def test_the_table_says_what_is_asked_and_why_there_is_no_answer():
    rows = [row(5, 4, 6), row(model=None, size_reason="never: an error of 0.03 remains")]
    lines = printed(*rows, unit="bits", tolerance={"error": 0.02, "confidence": 0.9})
    assert (
        lines[0] == "How many draws are enough: from n on, 90 % of errors are at most 0.02 (bits)"
    )
    assert [cell.strip() for cell in lines[4].split("│")[1:-1]] == [
        *("urn / fair / counting", "5", "4 to 6", "")
    ]
    assert "urn / learned / counting" in lines[5]
    assert "│ never │" in lines[5]
    assert "an error of 0.03 remains" in lines[5]


def test_a_line_is_shown_once_and_at_most_forty_of_them():
    quantities = [row(5, 4, 6, quantity=name) for name in ("bias", "sd", "rmse")]
    assert len(printed(*quantities)) == 1 + 3 + 1 + 1
    assert len(printed(*[row(5, 4, 6)] * 50)) == 1 + 3 + 40 + 1 + 1  # and how many more there are


def test_long_labels_and_reasons_stay_within_the_width():
    long = row(bag="b" * 60, estimator="e" * 60, size_reason="because " * 30)
    assert max(map(len, printed(long, row(10**15, 10**14, None)))) <= 120


def test_nothing_is_said_where_nothing_is_known():
    assert printed() == []
    assert printed({"quantity": "rmse"}) == []
