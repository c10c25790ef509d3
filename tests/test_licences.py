"""The page of licences: complete, as the packages say it, and fit for an MIT licence."""

from __future__ import annotations

import re
import sys
from importlib.metadata import PathDistribution, version
from pathlib import Path

import pytest
from licences import HEAD, PAGE, licence, needed, rows

COPYLEFT = re.compile(r"(?<!L)GPL|(?<!Lesser )General Public|Affero", re.IGNORECASE)


def written() -> dict[str, tuple[str, ...]]:
    lines = PAGE.read_text(encoding="utf-8").removeprefix(HEAD).splitlines()
    cells = (line.strip("| ").split(" | ") for line in lines)
    return {name: tuple(rest) for name, *rest in cells}


def test_the_page_names_whatever_is_needed_with_the_licence_that_it_states():
    page, found = written(), {name: tuple(rest) for name, *rest in rows()}
    assert {"numpy", "click", "scipy", "distributed", "markupsafe"} <= found.keys()
    assert found.items() <= page.items()
    if sys.version_info[:2] == (3, 11):  # later ones need less
        assert list(page) == list(found)


def test_no_licence_forbids_to_be_used_beside_an_mit_licence_and_none_is_unknown():
    for name, (told, _) in written().items():
        assert told, name
        assert not COPYLEFT.search(told), name


@pytest.mark.parametrize(
    ("told", "is_copyleft"),
    [
        ("GPL-3.0-only", True),
        ("AGPL-3.0-or-later", True),
        ("GNU General Public License v3 (GPLv3)", True),
        ("GNU Affero General Public License v3", True),
        ("LGPL-2.1-only", False),
        ("MIT", False),
    ],
)
def test_copyleft_licences_are_known_by_their_names(told, is_copyleft):
    assert bool(COPYLEFT.search(told)) == is_copyleft


def stating(folder: Path, text: str) -> PathDistribution:
    (folder / "METADATA").write_text("Metadata-Version: 2.4\nName: x\n" + text)
    return PathDistribution(folder)


def test_an_expression_comes_before_classifiers_and_these_before_words(tmp_path):
    approved = "Classifier: License :: OSI Approved"
    classes = f"{approved}\n{approved} :: BSD License\n"
    words = "License: the words\n"
    for text, told in (
        (words + classes + "License-Expression: MIT\n", "MIT"),
        (words + classes, "BSD License"),
        (words + "Classifier: License :: OSI Approved\n", "the words"),
        ("", ""),
    ):
        assert licence(stating(tmp_path, text)) == told


def test_what_an_extra_adds_is_followed_in_turn_and_no_version_stands_on_the_page():
    assert "tornado" not in needed("")
    assert {"tornado", "dask"} <= needed("dask").keys()
    assert version("numpy") not in PAGE.read_text(encoding="utf-8")
