"""How draws are made: each kernel's law by an exact or χ² test, its prefixes, its edges."""

from __future__ import annotations

from itertools import accumulate, islice, permutations

import numpy as np
import pytest
from fitting import FALSE_ALARM, fits, hits
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sim.kernels import Picker, dirichlet, pick, take_ball, uniforms

BELOW_ONE = float(np.nextafter(1.0, 0.0))
steady = settings(deadline=None, derandomize=True, max_examples=60)
weights = st.lists(
    st.one_of(st.just(0.0), st.floats(1e-9, 1.0), st.integers(1, 10**6).map(float)),
    min_size=1,
    max_size=8,
).filter(any)


def rng(seed=20_240_601):
    return np.random.default_rng(seed)


def test_the_test_of_fit_can_fail():
    assert fits([500, 500], [0.5, 0.5])
    assert not fits([600, 400], [0.5, 0.5])
    assert not fits([999, 1], [1.0, 0.0])


# Dirichlet compositions


SHAPES = {
    "by gammas": [0.5, 2.0, 3.0],
    "by gammas, just": [0.1, 0.1, 0.7],
    "by logarithms, just": [0.0999, 0.1, 0.7],
    "by logarithms": [0.05, 0.4, 0.3],
    "by logarithms, a large one": [0.05, 40.0, 1.0],
}


@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
def test_each_share_of_a_dirichlet_composition_is_beta(shapes):
    shares = dirichlet(np.tile(shapes, (20_000, 1)), rng())
    for own, share in zip(shapes, shares.T, strict=True):
        law = stats.beta(own, sum(shapes) - own)
        assert stats.kstest(share, law.cdf).pvalue >= FALSE_ALARM
        assert abs(share.mean() - law.mean()) <= 4.5 * law.std() / np.sqrt(len(share))


@pytest.mark.parametrize("scale", [1e-4, 1e-12, 1e-100, 1e-300, 1e-306])
def test_a_composition_of_tiny_shapes_is_one_colour_by_their_proportions(scale):
    shares = dirichlet(np.tile(np.array([1.0, 2.0, 0.0, 3.0]) * scale, (20_000, 1)), rng())
    assert np.all(shares.sum(axis=1) == pytest.approx(1, abs=1e-12))
    nearly = shares.max(axis=1) > 1 - 1e-9
    assert nearly.mean() >= 0.97
    hit = np.bincount(shares[nearly].argmax(axis=1), minlength=4)
    assert fits(hit, [1 / 6, 1 / 3, 0, 1 / 2])


@pytest.mark.parametrize("scale", [1e-308, 1e-310, 5e-324])
def test_shapes_too_small_to_divide_by_give_one_colour_too(scale):
    shares = dirichlet(np.full((2_000, 2), scale), rng())
    assert np.isfinite(shares).all()
    assert fits(np.bincount(shares.argmax(axis=1), minlength=2), [0.5, 0.5])


@steady
@given(
    st.lists(
        st.one_of(st.just(0.0), st.floats(1e-300, 1e9), st.floats(0.05, 2.0)),
        min_size=1,
        max_size=7,
    ).filter(any),
    st.integers(0, 99),
)
def test_a_dirichlet_composition_sums_to_one_and_keeps_its_zeros(shapes, seed):
    rows = np.array([shapes, shapes[::-1]])
    shares = dirichlet(rows, rng(seed))
    assert np.all(shares >= 0)
    assert shares.sum(axis=1) == pytest.approx([1, 1], abs=1e-12)
    assert not shares[rows == 0].any()


def test_each_row_of_shapes_has_a_composition_of_its_own():
    rows = np.tile([[1.0, 3.0], [30.0, 10.0]], (5_000, 1))
    shares = dirichlet(rows, rng())
    for parity in (0, 1):
        law = stats.beta(*rows[parity])
        assert stats.kstest(shares[parity::2, 0], law.cdf).pvalue >= FALSE_ALARM


# one colour, one ball


@pytest.mark.parametrize("p", [[0.4, 0.6], [0.0, 0.1, 0.0, 0.2, 0.7, 0.0], [1.0]], ids=str)
def test_colours_are_picked_with_their_probabilities(p):
    colours = pick(np.array(p), rng().random(20_000))
    assert fits(np.bincount(colours, minlength=len(p)), p)
    picker = Picker(np.array(p) * 7)
    each = [picker.pick(u) for u in islice(uniforms(rng()), 20_000)]
    assert fits(np.bincount(each, minlength=len(p)), p)


@steady
@given(weights, st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=20))
def test_a_pick_is_the_colour_whose_piece_of_the_line_it_falls_on(balls, places):
    edges = [0.0, *accumulate(balls)]
    places = [0.0, BELOW_ONE, *places]
    found = pick(np.array(balls), np.array(places))
    for place, colour in zip(places, found.tolist(), strict=True):
        assert balls[colour] > 0
        assert edges[colour] <= place * edges[-1]
        # the very end may be rounded onto the last edge
        assert place * edges[-1] < edges[colour + 1] or not any(balls[colour + 1 :])
    picker = Picker(np.array(balls))
    assert [picker.pick(place) for place in places] == found.tolist()


def test_a_pick_at_the_very_end_is_a_colour_with_a_chance_even_where_rounding_passes_it():
    balls = np.array([0.0, 5e-324, 0.0])
    assert BELOW_ONE * balls[1] == balls[1]
    assert Picker(balls).pick(BELOW_ONE) == 1
    assert pick(balls, np.array([0.0, BELOW_ONE])).tolist() == [1, 1]


def test_picks_have_the_shape_of_their_uniform_numbers():
    places = rng().random((3, 4))
    p = np.array([0.3, 0.7])
    assert np.array_equal(pick(p, places), pick(p, places.ravel()).reshape(3, 4))


def test_a_picker_holds_other_weights_when_told():
    picker = Picker(np.array([1.0, 0.0]))
    assert picker.pick(BELOW_ONE) == 0
    picker.hold(np.array([0.0, 5.0]))
    assert picker.pick(0.0) == 1
    assert picker.weights.tolist() == [0, 5]


def test_balls_leave_in_every_order_alike():
    orders = np.array(sorted(set(permutations([0, 0, 1, 2]))))
    stream, found = uniforms(rng()), []
    for _ in range(6_000):
        bag = [2, 0, 1, 0]
        found.append([take_ball(bag, next(stream)) for _ in range(4)])
        assert bag == []
    assert fits(hits(np.array(found), orders), np.full(len(orders), 1 / len(orders)))


@steady
@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.data())
def test_taking_a_ball_takes_that_ball_and_no_other(balls, data):
    bag = list(balls)
    place = data.draw(st.sampled_from([0.0, BELOW_ONE]) | st.floats(0, 1, exclude_max=True))
    taken = take_ball(bag, place)
    assert sorted([*bag, taken]) == sorted(balls)
    assert taken == balls[int(place * len(balls))]


def test_the_last_place_of_a_bag_of_any_size_is_in_the_bag():
    for size in (*range(1, 2_000), 10**6 - 1, 10**7):
        assert int(BELOW_ONE * size) == size - 1


def test_uniform_numbers_are_uniform_and_independent_of_their_neighbours():
    found = np.array(list(islice(uniforms(rng()), 20_000)))
    assert found.min() >= 0
    assert found.max() < 1
    assert stats.kstest(found, "uniform").pvalue >= FALSE_ALARM
    cells = (found[::2] * 5).astype(int) * 5 + (found[1::2] * 5).astype(int)
    assert fits(np.bincount(cells, minlength=25), np.full(25, 1 / 25))


@pytest.mark.parametrize("few", [1, 255, 256, 257])
def test_the_first_uniform_numbers_do_not_depend_on_how_many_are_taken(few):
    many = list(islice(uniforms(rng()), 600))
    assert list(islice(uniforms(rng()), few)) == many[:few]
    assert len(set(many)) == 600
