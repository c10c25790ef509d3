"""What is in a bag: every family gives colours and proportions; every fault is told in place."""

from __future__ import annotations

import json
import pickle
from math import fsum

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from sim.checks import MOST_COLOURS
from sim.compositions import FAMILIES, Balls, Counted, Zipf, composition

steady = settings(deadline=None, derandomize=True, max_examples=60)
ADAPTER = TypeAdapter(Balls)
OTHER_KEYS = {
    "zipf": {"exponent": 1.5},
    "geometric": {"ratio": 0.5},
    "dirichlet": {"concentration": 0.7, "seed": 11},
}
counted = st.dictionaries(
    st.text("abcdefg√", min_size=1, max_size=3),
    st.integers(0, 10**15) | st.floats(1e-9, 1e15),
    min_size=1,
    max_size=6,
).filter(lambda balls: any(balls.values()))
members = pytest.mark.parametrize("family", sorted(FAMILIES))


def written(family, colours, **other):
    return {family: {"colours": colours, **OTHER_KEYS.get(family, {}), **other}}


def faults(value):
    with pytest.raises(ValidationError) as caught:
        ADAPTER.validate_python(value)
    return [(line["loc"], line["msg"]) for line in caught.value.errors(include_url=False)]


def test_balls_counted_by_colour_stand_as_written():
    balls = composition({"red": 10, "blue": 15})
    assert balls.colours == ("red", "blue")
    assert balls.weights.tolist() == [10, 15]
    assert balls.probabilities.tolist() == [0.4, 0.6]
    assert balls.whole


@steady
@given(counted)
def test_counted_balls_are_proportions_in_the_order_of_their_colours(balls):
    known = composition(balls)
    assert known.colours == tuple(balls)
    assert fsum(known.probabilities) == pytest.approx(1, abs=1e-15)
    for amount, share in zip(balls.values(), known.probabilities, strict=True):
        assert share == pytest.approx(amount / fsum(balls.values()), rel=1e-15, abs=0)
    assert known.whole == all(float(amount).is_integer() for amount in balls.values())


@members
@pytest.mark.parametrize("colours", [1, 2, 7, 500])
def test_a_family_names_its_colours_by_number_and_shares_out_one(family, colours):
    known = composition(written(family, colours))
    assert known.colours == tuple(str(k) for k in range(1, colours + 1))
    assert known.weights.shape == known.probabilities.shape == (colours,)
    assert np.all(known.probabilities >= 0)
    assert fsum(known.probabilities) == pytest.approx(1, abs=1e-14)


@members
def test_a_family_is_the_same_each_time_it_is_read(family):
    first, second = composition(written(family, 9)), composition(written(family, 9))
    assert first == second
    assert hash(first) == hash(second)
    assert np.array_equal(first.weights, second.weights)
    assert first != composition(written(family, 8))


@members
def test_a_family_holds_from_one_to_a_million_colours(family):
    assert len(composition(written(family, 1e6)).weights) == MOST_COLOURS
    for beyond in (0, -3, MOST_COLOURS + 1):
        [(place, _)] = faults(written(family, beyond))
        assert place == (family, "colours")


@members
def test_a_key_that_a_family_does_not_know_is_told_in_its_place(family):
    [(place, message)] = faults(written(family, 3, colors=3))
    assert place == (family, "colors")
    assert message == "unknown key 'colors'; did you mean 'colours'?"


@members
def test_a_family_that_is_written_reads_as_itself(family):
    known = composition(written(family, 5))
    plain = ADAPTER.dump_python(known, mode="json")
    assert json.loads(ADAPTER.dump_json(known)) == plain
    assert list(plain) == [family]
    assert composition(plain) == known


@members
def test_a_family_pickles_without_its_arrays(family):
    known = composition(written(family, 10_000))
    fresh = len(pickle.dumps(known))
    assert known.probabilities.nbytes == 80_000
    assert len(pickle.dumps(known)) == fresh < 1000
    assert pickle.loads(pickle.dumps(known)) == known


@members
def test_every_key_of_a_family_stands_in_the_json_schema(family):
    alternatives = ADAPTER.json_schema()["anyOf"]
    [own] = [one for one in alternatives if list(one.get("properties", {})) == [family]]
    keys = {field.alias or name for name, field in FAMILIES[family].model_fields.items()}
    assert set(own["properties"][family]["properties"]) == keys


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 2.0, 20.0])
def test_a_zipf_colour_is_as_common_as_a_power_of_its_rank(exponent):
    p = composition({"zipf": {"colours": 50, "exponent": exponent}}).probabilities
    ranks = np.arange(1, 51)
    np.testing.assert_allclose(p / p[0], ranks**-exponent, rtol=1e-14)
    assert np.all(np.diff(p) <= 0)


def test_the_exponent_of_zipf_is_one_unless_said():
    assert composition({"zipf": {"colours": 4}}) == Zipf(colours=4, exponent=1.0)
    np.testing.assert_allclose(Zipf(colours=3).probabilities, np.array([6, 3, 2]) / 11, rtol=1e-15)


def test_uniform_colours_are_one_whole_ball_each():
    known = composition({"uniform": {"colours": 4}})
    assert known.weights.tolist() == [1, 1, 1, 1]
    assert known.whole


def test_each_geometric_colour_is_so_many_times_as_common_as_the_one_before():
    p = composition({"geometric": {"colours": 20, "ratio": 0.25}}).probabilities
    np.testing.assert_allclose(p[1:] / p[:-1], 0.25, rtol=1e-15)


def test_dirichlet_proportions_follow_the_seed_and_spread_as_the_concentration_says():
    def shares(concentration, seed):
        keys = {"colours": 2000, "concentration": concentration, "seed": seed}
        return composition({"dirichlet": keys}).probabilities

    assert not np.array_equal(shares(1.0, 1), shares(1.0, 2))
    for concentration in (0.5, 1.0, 10.0, 1e6):
        # Σp² of K shares has mean (a+1)/(Ka+1); its sd is below 0.1 of it at K = 2000, a ≥ ½
        expected = (concentration + 1) / (2000 * concentration + 1)
        assert np.sum(shares(concentration, 3) ** 2) == pytest.approx(expected, rel=0.4, abs=0)


@steady
@given(counted)
def test_counted_balls_that_are_written_read_as_themselves(balls):
    known = composition(balls)
    again = composition(json.loads(ADAPTER.dump_json(known)))
    assert again == known
    assert again.colours == known.colours
    assert [type(v) for v in again.balls.values()] == [type(v) for v in known.balls.values()]


@steady
@given(counted, st.randoms(use_true_random=False))
def test_equal_compositions_have_the_same_colours_and_the_same_hash(balls, random):
    mixed = list(balls.items())
    random.shuffle(mixed)
    one, other = Counted(balls=balls), Counted(balls=dict(mixed))
    pointed = Counted(balls={colour: float(amount) for colour, amount in balls.items()})
    for twin in (other, pointed):
        assert one != twin or (one.colours, hash(one)) == (twin.colours, hash(twin))


def test_a_composition_is_taken_as_it_is():
    known = composition({"red": 1})
    assert composition(known) is known


def test_a_colour_may_be_named_like_a_family():
    assert composition({"zipf": 3, "uniform": 1}).colours == ("zipf", "uniform")


def test_a_colour_of_no_balls_is_a_colour():
    known = composition({"red": 3, "green": 0})
    assert known.colours == ("red", "green")
    assert known.probabilities.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("value", "place", "message"),
    [
        ({"red": -1}, ("red",), "from 0 to 1e15; got -1"),
        ({"red": 1, "blue": "3"}, ("blue",), "got '3'"),
        ({"red": True}, ("red",), "got true"),
        ({"red": None}, ("red",), "got nothing"),
        ({"red": float("nan")}, ("red",), "got nan"),
        ({"red": [1, 4]}, ("red",), "got a list"),
        ({"red": 0, "blue": 0.0}, (), "at least one ball; got none"),
        ({}, (), "at least 1 item"),
        (None, (), "{red: 10, blue: 15}, or one of zipf, uniform"),
        ([10, 15], (), "got a list"),
        (25, (), "got 25"),
        ({"zpf": {"colours": 3}}, (), "'zpf'; did you mean 'zipf'?"),
        ({"zipf": {}}, ("zipf", "colours"), "Field required"),
        ({"zipf": {"colours": 2.5}}, ("zipf", "colours"), "valid integer"),
        ({"zipf": {"colours": 3, "exponent": -1.0}}, ("zipf", "exponent"), "or equal to 0"),
        ({"zipf": {"colours": 3, "exponent": 21}}, ("zipf", "exponent"), "or equal to 20"),
        ({"zipf": {"colours": 3}, "red": 1}, (), "'zipf'"),
    ],
    ids=str,
)
def test_a_wrong_composition_is_one_fault_in_its_place(value, place, message):
    [(found, said)] = faults(value)
    assert found == place
    assert message in said


def test_every_wrong_colour_is_told_at_once():
    assert [place for place, _ in faults({"red": -1, "blue": 2, "green": "x"})] == [
        ("red",),
        ("green",),
    ]


def test_a_family_beside_colours_is_not_taken_for_a_misspelt_one():
    [(_, message)] = faults({"zipf": {"colours": 3}, "red": 1})
    assert "did you mean 'zipf'" not in message


@pytest.mark.parametrize("label", ["", " ", "a\n", "x" * 201])
def test_a_colour_needs_a_name_that_can_be_shown(label):
    [(place, _)] = faults({label: 1})
    assert place[0] == label
