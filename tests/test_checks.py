"""Values at the door: what they take, what they refuse, and how they say so."""

from __future__ import annotations

import pickle
from functools import cached_property
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from sim.checks import (
    LONGEST_LABEL,
    MOST_DRAWS,
    UNKNOWN_KEY,
    WHOLE,
    Amount,
    Draws,
    FolderName,
    Label,
    Text,
    Value,
    guess,
    placed,
    problem,
    relocate,
    shown,
)

steady = settings(deadline=None, derandomize=True, max_examples=60)


class Crate(Value):
    """A value with one field of every kind."""

    number: Annotated[int, WHOLE] = 1
    draws: Draws = 1
    balls: Amount = 1
    label: Label = "a"
    folder: FolderName = "a"
    about: Text = ""
    share: float = 0.5


class Tower(Value):
    """A value with a cache and a value within."""

    crate: Crate = Crate()
    names: tuple[Label, ...] = ()

    @cached_property
    def height(self) -> list[int]:
        """A cache that is no field."""
        return [self.crate.number]


def faults(make, *args, **fields):
    """Return the (place, message) pairs of what is refused."""
    with pytest.raises(ValidationError) as caught:
        make(*args, **fields)
    return [(line["loc"], line["msg"]) for line in caught.value.errors(include_url=False)]


def accepts(kind, value):
    try:
        TypeAdapter(kind).validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


def test_an_unknown_key_is_refused_with_the_nearest_known_one():
    assert faults(Crate, lable="x") == [
        (("lable",), "unknown key 'lable'; did you mean 'label'?"),
    ]
    [(place, message)] = faults(Crate, zzz=1)
    assert place == ("zzz",)
    assert message.endswith("known here: number, draws, balls, label, folder, about, share")


def test_an_unknown_key_within_is_told_in_its_place():
    [(place, message)] = faults(Tower, crate={"numbr": 1})
    assert place == ("crate", "numbr")
    assert message == "unknown key 'numbr'; did you mean 'number'?"


def test_every_fault_is_told_at_once():
    places = [place for place, _ in faults(Crate, draws=0, label="", balls=-1, colour="red")]
    assert sorted(places) == [("balls",), ("colour",), ("draws",), ("label",)]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("number", "3"),
        ("number", True),
        ("number", 1.5),
        ("number", float("nan")),
        ("number", float("inf")),
        ("draws", None),
        ("balls", "3"),
        ("balls", True),
        ("label", 3),
        ("about", b"text"),
        ("share", "0.5"),
        ("share", True),
        ("share", float("nan")),
        ("share", float("inf")),
    ],
)
def test_no_value_is_taken_for_another_type(field, value):
    [(place, _)] = faults(Crate, **{field: value})
    assert place == (field,)


@steady
@given(st.integers(-(10**15), 10**15))
def test_a_whole_float_is_the_count_it_says(number):
    crate = Crate(number=float(number))
    assert crate.number == number
    assert type(crate.number) is int


def test_draws_are_bounded_at_both_ends():
    assert Crate(draws=1).draws == 1
    assert Crate(draws=1e12).draws == MOST_DRAWS
    for beyond in (0, -1, MOST_DRAWS + 1):
        [(place, message)] = faults(Crate, draws=beyond)
        assert place == ("draws",)
        assert ("1" if beyond < 1 else str(MOST_DRAWS)) in message


def test_the_bounds_of_a_count_stand_in_its_json_schema():
    schema = Crate.model_json_schema()["properties"]
    assert schema["draws"]["minimum"] == 1
    assert schema["draws"]["maximum"] == MOST_DRAWS
    assert schema["balls"]["minimum"] == 0


@pytest.mark.parametrize("amount", [0, 1, 0.25, 10**15, 1e15, 5e-324])
def test_an_amount_of_balls_stays_the_number_that_was_written(amount):
    kept = Crate(balls=amount).balls
    assert kept == amount
    assert type(kept) is (int if amount == int(amount) else float)


@pytest.mark.parametrize("amount", [-1, -1e-300, 1.1e15, 10**16, float("nan"), float("-inf")])
def test_an_amount_out_of_bounds_is_told_with_the_bounds(amount):
    assert faults(Crate, balls=amount) == [
        (("balls",), f"expected a number of balls from 0 to 1e15; got {amount!r}"),
    ]


@pytest.mark.parametrize("label", ["a", "étage 3", "a.b/c", "√n", "🎱", "x" * LONGEST_LABEL])
def test_a_label_may_be_any_word(label):
    assert Crate(label=label).label == label


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("", "empty"),
        (" \t", "empty"),
        ("x" * (LONGEST_LABEL + 1), f"at most {LONGEST_LABEL} characters; got 201"),
        ("a\nb", "control"),
        ("a\x00", "control"),
        ("a\x7f", "control"),
        ("a\x9f", "control"),
        ("a\ud800", "control"),
    ],
)
def test_a_label_without_a_name_is_refused_with_the_reason(label, reason):
    [(place, message)] = faults(Crate, label=label)
    assert place == ("label",)
    assert reason in message


@steady
@given(
    st.text(st.characters(exclude_categories=()), max_size=8) | st.from_regex(r"[\w.\\/:-]{1,9}")
)
def test_a_folder_name_never_leaves_its_folder(name):
    if accepts(FolderName, name):
        assert name not in (".", "..")
        assert PurePosixPath(name).parts == PureWindowsPath(name).parts == (name,)


@pytest.mark.parametrize("name", ["red_blue", "A", "2024-06.v1", "x" * 100])
def test_a_plain_folder_name_is_taken(name):
    assert Crate(folder=name).folder == name


@pytest.mark.parametrize("name", ["", ".x", "..", "a/b", "a\\b", "a\n", " a", "é", "-x", "x" * 101])
def test_a_folder_name_that_may_mislead_is_refused(name):
    [(place, message)] = faults(Crate, folder=name)
    assert place == ("folder",)
    assert message.startswith("expected a plain folder name")


@steady
@given(st.text(st.characters(exclude_categories=())))
def test_a_text_is_taken_if_and_only_if_it_can_be_written(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        assert not accepts(Text, text)
    else:
        assert Crate(about=text).about == text


def test_a_value_is_frozen():
    crate = Crate()
    with pytest.raises(ValidationError, match="frozen"):
        crate.number = 2
    with pytest.raises(ValidationError, match="frozen"):
        del crate.number


def test_values_are_equal_where_their_fields_and_types_are():
    class Box(Crate):
        """The same fields under another name."""

    assert Crate(number=2) == Crate(number=2.0)
    assert hash(Crate(number=2)) == hash(Crate(number=2.0))
    assert Crate(number=2) != Crate(number=3)
    assert Crate() != Box()
    assert Crate() != 1


def test_equal_amounts_have_equal_hashes_however_they_are_written():
    whole, pointed = Crate(balls=10), Crate(balls=10.0)
    assert whole != pointed or hash(whole) == hash(pointed)


def test_a_cache_takes_no_part_in_equality_hashing_or_pickling():
    fresh, used = Tower(crate=Crate(number=7)), Tower(crate=Crate(number=7))
    assert used.height == [7]
    assert used == fresh
    assert hash(used) == hash(fresh)
    assert pickle.dumps(used) == pickle.dumps(fresh)
    again = pickle.loads(pickle.dumps(used))
    assert again == used
    assert "height" not in vars(again)
    assert again.height == [7]


@steady
@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()))
def test_a_shown_value_fits_a_line(value):
    assert 1 <= len(shown(value)) <= 60
    assert "\n" not in shown(value)


def test_a_shown_value_tells_text_from_number_and_names_what_is_long():
    assert (shown("3"), shown(3), shown(3.0)) == ("'3'", "3", "3.0")
    assert (shown(True), shown(None)) == ("true", "nothing")
    assert (shown({"a": 1}), shown([1]), shown((1,))) == ("a mapping", "a list", "a list")
    assert shown("x" * 100) == "'" + "x" * 56 + "..."


def test_a_problem_keeps_its_braces_and_percent_signs():
    message = "expected {from, to}; got {0} %s {message}"
    assert problem(message).message() == message


def test_a_guess_names_the_nearest_word_or_all_known_ones():
    assert guess("zpf", ["uniform", "zipf"]) == "; did you mean 'zipf'?"
    assert guess("qqq", (word for word in ["uniform", "zipf"])) == "; known here: uniform, zipf"
    assert guess("qqq", []) == ""


def test_faults_are_placed_all_at_once_and_none_is_no_fault():
    assert placed([], "bag") is None
    pairs = [(("bags", "a", 0), "first {x}"), ((), "second")]
    assert faults(placed, pairs, "bag") == pairs


def test_a_relocated_error_keeps_its_messages_and_kinds_under_its_prefix():
    with pytest.raises(ValidationError) as caught:
        Crate(draws=0, label="", colour=1)
    before = caught.value.errors(include_url=False)
    after = relocate(caught.value, ("bags", "urn")).errors(include_url=False)
    assert [line["loc"] for line in after] == [("bags", "urn", *line["loc"]) for line in before]
    assert [line["msg"] for line in after] == [line["msg"] for line in before]
    assert [line["type"] for line in after] == [line["type"] for line in before]
    assert UNKNOWN_KEY in {line["type"] for line in after}


def test_a_relocated_error_drops_the_first_steps_of_its_places():
    with pytest.raises(ValidationError) as caught:
        Tower(names=("ok", ""))
    [line] = relocate(caught.value, drop=1).errors()
    assert line["loc"] == (1,)
