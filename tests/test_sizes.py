"""Sample sizes: any list or grid becomes ascending whole numbers, or is refused in its place."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sim.checks import MOST_DRAWS, MOST_SIZES, Value
from sim.sizes import SizeGrid, Sizes

steady = settings(deadline=None, derandomize=True, max_examples=80)
ends = st.tuples(st.integers(1, 10**9), st.integers(1, 10**9)).map(sorted)


class Plan(Value):
    """A value with sizes."""

    sizes: Sizes


def grid(low, high, per_decade=4):
    return SizeGrid(**{"from": low, "to": high, "per_decade": per_decade}).expand()


def faults(sizes):
    with pytest.raises(ValidationError) as caught:
        Plan(sizes=sizes)
    return [(line["loc"], line["msg"]) for line in caught.value.errors(include_url=False)]


def test_a_grid_of_four_per_decade_is_the_one_of_the_handbook():
    sizes = (10, 18, 32, 56, 100, 178, 316, 562, 1000, 1778, 3162, 5623, 10000)
    assert grid(10, 10_000) == sizes
    assert Plan(sizes={"from": 10, "to": 10_000}).sizes == sizes


@steady
@given(ends, st.integers(1, 20))
def test_a_grid_ascends_from_its_first_size_to_its_last(low_high, per_decade):
    sizes = grid(*low_high, per_decade)
    assert (sizes[0], sizes[-1]) == tuple(low_high)
    assert all(a < b for a, b in pairwise(sizes))
    assert all(type(size) is int for size in sizes)


@steady
@given(ends, st.integers(1, 20))
def test_a_grid_grows_by_a_constant_factor_but_for_rounding_and_its_last_step(low_high, per_decade):
    *steps, last = grid(*low_high, per_decade)
    factor = 10 ** (1 / per_decade)
    for place, size in enumerate(steps):
        nearest = min(range(place, 20 * 9 + 1), key=lambda j: abs(low_high[0] * factor**j - size))
        assert abs(low_high[0] * factor**nearest - size) <= 0.5 + 1e-9 * size
    assert not steps or last <= steps[-1] * factor + factor


@steady
@given(st.integers(1, 1000), st.integers(0, 9), st.integers(1, 100))
def test_a_grid_meets_every_whole_decade(low, decades, per_decade):
    assert {low * 10**d for d in range(decades + 1)} <= set(
        grid(low, low * 10**decades, per_decade)
    )


def test_a_grid_of_one_size_is_that_size():
    assert grid(7, 7) == (7,)


@steady
@given(st.lists(st.integers(1, MOST_DRAWS), min_size=1, max_size=30))
def test_a_list_is_sorted_and_each_size_stands_once(sizes):
    assert Plan(sizes=sizes).sizes == tuple(sorted(set(sizes)))
    assert Plan(sizes=tuple(sizes)) == Plan(sizes=sizes)


def test_sizes_may_be_written_as_powers_of_ten():
    assert Plan(sizes=[1e3, 10, 1e12]).sizes == (10, 1000, 10**12)
    assert Plan(sizes={"from": 1e1, "to": 1e3, "per_decade": 1.0}).sizes == (10, 100, 1000)


def test_expanded_sizes_are_sizes_again():
    plan = Plan(sizes={"from": 3, "to": 5000, "per_decade": 7})
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    assert Plan(sizes=plan.sizes) == plan


@pytest.mark.parametrize(
    ("sizes", "places"),
    [
        ([10, 0], [("sizes", 1)]),
        ([10, -5, 1.5, "3", True, None], [("sizes", place) for place in range(1, 6)]),
        ([1, MOST_DRAWS + 1], [("sizes", 1)]),
        ({"from": 10, "to": 5}, [("sizes", "to")]),
        ({"from": 10}, [("sizes", "to")]),
        ({"from": 0, "to": 5, "per_decade": 101}, [("sizes", "from"), ("sizes", "per_decade")]),
        ({"from": 10, "to": 50, "per_decad": 2}, [("sizes", "per_decad")]),
        ([], [("sizes",)]),
        (10, [("sizes",)]),
        ("10", [("sizes",)]),
        (None, [("sizes",)]),
    ],
    ids=str,
)
def test_each_wrong_size_is_told_in_its_place(sizes, places):
    assert [place for place, _ in faults(sizes)] == places


@pytest.mark.parametrize("wrong", [0, 1.5, "3"])
def test_a_wrong_size_that_stands_alone_is_one_fault(wrong):
    assert [place for place, _ in faults([wrong])] == [("sizes", 0)]


def test_a_grid_that_runs_backwards_says_from_where():
    assert faults({"from": 10, "to": 5}) == [
        (("sizes", "to"), "expected at least `from`, 10; got 5"),
    ]


def test_what_is_neither_list_nor_grid_is_told_what_is_expected():
    assert faults("10") == [
        (("sizes",), "expected a list of sizes or {from, to, per_decade}; got '10'"),
    ]


def test_no_list_holds_more_than_the_most_sizes():
    most = list(range(1, MOST_SIZES + 1))
    assert len(Plan(sizes=most).sizes) == MOST_SIZES
    [(place, _)] = faults([*most, MOST_SIZES + 1])
    assert place == ("sizes",)


def test_even_the_densest_grid_can_be_read_again_as_the_list_that_it_became():
    dense = {"from": 1, "to": MOST_DRAWS, "per_decade": 100}
    try:
        plan = Plan(sizes=dense)
    except ValidationError:
        return  # refused at the door: nothing to read again
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


def test_the_json_schema_says_list_or_grid():
    as_list, as_grid = Plan.model_json_schema()["properties"]["sizes"]["anyOf"]
    assert (as_list["minItems"], as_list["maxItems"]) == (1, MOST_SIZES)
    names = {field.alias or name for name, field in SizeGrid.model_fields.items()}
    assert set(as_grid["properties"]) == names
