"""The laws that hold for every model: its Q is a distribution, and no more is told than it says."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from members import Case, cases, shown, those, urn, written

from sim.checks import MOST_DRAWS
from sim.config import reading
from sim.config.problems import ConfigurationError
from sim.contracts.arrays import Reference
from sim.contracts.bag import BAGS, Bag, SequentialBag
from sim.contracts.estimator import ESTIMATORS
from sim.contracts.model import MODELS, Model
from sim.divergences import KL
from sim.experiment import Experiment

SIGMAS = 4.5
TRIALS = 200
SIZES = (1, 2, 7, 20)
COMPOSITIONS = [{"red": 4, "blue": 6}, {"blue": 6, "red": 4}, {"x": 3, "z": 1, "y": 6}]
DRAWS: list[Any] = ["same", 7, {"ratio": 2.5}, {"ratio": 0.3}]


def drawn(draws: Any = "same", **bag: Any) -> Case:
    """Return the model of which only draws are known, from a second bag."""
    second = {"kind": "with_replacement", "balls": COMPOSITIONS[0], **bag}
    return Case(MODELS, "drawn", {"bag": second, "draws": draws})


def named(case: Case) -> Any:
    data = case.data
    colours = "".join(colour[0] for colour in data["bag"].get("balls", ()))
    return pytest.param(case, id=f"{case.kind}-{data['draws']}-{data['bag']['kind']}-{colours}")


def second_bags() -> list[Any]:
    """Return a drawn model of each bag on the shelf, sequential, with a clock or in bulk."""
    seconds = [{**shown(BAGS, kind), "sizes": None} for kind in BAGS.kinds()]
    return [named(Case(MODELS, "drawn", {"bag": second, "draws": "same"})) for second in seconds]


KINDS_OF_DRAWN = [
    named(drawn(draws, balls=balls)) for draws in DRAWS for balls in COMPOSITIONS
] + second_bags()
every_model = pytest.mark.parametrize("case", [*cases(MODELS), *KINDS_OF_DRAWN])
every_drawn = pytest.mark.parametrize("case", KINDS_OF_DRAWN)


def some_bags() -> list[Any]:
    """Return the bag of each example on the shelf, and one of three colours."""
    found = [urn(x=1, y=2, z=7)]
    for kind in BAGS.kinds():
        try:
            found.append(BAGS.build(shown(BAGS, kind)))
        except ImportError:  # that bag fails its own laws
            continue
    return found


SOME_BAGS = some_bags()


def fitting(model: Model) -> list[Bag]:
    """Return the bags that a model fits, at the largest of their sizes."""
    return [bag for bag in SOME_BAGS if model.misfit(bag, some_sizes(bag)[-1]) is None]


def some_sizes(bag: Bag) -> list[int]:
    return [size for size in SIZES if size <= (bag.limit or size)]


def met(case: Case) -> list[tuple[Model, Bag, int]]:
    """Return a model with each bag that it fits, at each size."""
    model = case.build()
    return [(model, bag, size) for bag in fitting(model) for size in some_sizes(bag)]


def stream(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def revealed(model: Model, bag: Bag, sizes: list[int], trials: int, seed: int = 1) -> list[Any]:
    """Return what is revealed at each size, kept: counts may be changed by the next step."""
    seen = model.reveal(bag, sizes, trials, stream(seed))
    return [one if one.counts is None else Reference.counted(one.d.copy()) for one in seen]


def few(model: Model) -> int:
    """Return how many trials are quickly drawn of a model."""
    return 6 if isinstance(getattr(model, "bag", None), SequentialBag) else TRIALS


# what Q is


@every_model
def test_a_model_fits_a_bag_of_the_shelf(case):
    assert fitting(case.build())


@every_model
def test_the_true_q_is_a_distribution_over_the_colours_of_the_bag(case):
    for model, bag, size in met(case):
        q = model.truth(bag, size)
        assert q.shape == (len(bag.colours),)
        assert q.dtype == np.float64
        assert q.min() >= 0
        assert q.sum() == pytest.approx(1, abs=1e-12)


@every_model
def test_the_true_divergence_is_no_less_than_nothing(case):
    for model, bag, size in met(case):
        assert KL(bag.truth(size), model.truth(bag, size)) >= -1e-15


@every_model
def test_the_true_q_is_the_same_each_time(case):
    one, other = case.build(), case.build()
    for model, bag, size in met(case):
        assert model.truth(bag, size).tobytes() == one.truth(bag, size).tobytes()
        next(one.reveal(bag, [size], 3, stream()))
        assert one == other


@every_model
def test_the_true_q_follows_the_colours_whatever_their_order(case):
    model = case.build()
    forth, back = urn(red=10, blue=15), urn(blue=15, red=10)
    assert (model.misfit(forth, 5) is None) == (model.misfit(back, 5) is None)
    if model.misfit(forth, 5) is None:
        assert model.truth(forth, 5) == pytest.approx(model.truth(back, 5)[::-1], rel=1e-15)


# what an estimator may know of it


@every_model
def test_what_is_revealed_is_either_q_or_counts_of_q_at_each_size(case):
    model = case.build()
    for bag in fitting(model):
        sizes, trials = some_sizes(bag), few(model)
        seen = revealed(model, bag, sizes, trials)
        assert len(seen) == len(sizes)
        for size, one in zip(sizes, seen, strict=True):
            assert one.colours == len(bag.colours)
            assert (one.probabilities is None) != (one.counts is None)
            draws = model.drawn(size)
            assert (draws is None) == (one.counts is None)
            if one.counts is None:
                assert np.array_equal(one.q, model.truth(bag, size))
            else:
                assert one.counts.shape == (trials, len(bag.colours))
                assert one.counts.dtype == np.int64
                assert one.counts.min() >= 0
                assert np.array_equal(one.counts.sum(axis=1), np.full(trials, draws))
                assert np.array_equal(np.broadcast_to(one.size, (trials, 1)), one.d.sum(1)[:, None])


@every_model
def test_the_same_stream_reveals_the_same(case):
    model = case.build()
    for bag in fitting(model):
        first, again = (revealed(model, bag, some_sizes(bag), 5, seed=4) for _ in range(2))
        for one, other in zip(first, again, strict=True):
            if one.counts is None:
                assert np.array_equal(one.q, other.q)
            else:
                assert np.array_equal(one.d, other.d)


@every_model
def test_a_model_of_which_q_is_known_draws_nothing(case):
    for model, bag, size in met(case):
        rng = stream()
        before = rng.bit_generator.state
        [seen] = model.reveal(bag, [size], 2, rng)
        assert seen.counts is not None or rng.bit_generator.state == before


@pytest.mark.parametrize("case", those(MODELS, lambda model: model.drawn(10) is None))
def test_a_known_q_has_no_law_of_its_counts(case):
    for model, bag, size in met(case):
        assert model.count_law(bag, size) is None


# what is drawn of it


@every_drawn
def test_counts_of_q_add_up_from_size_to_size(case):
    model = case.build()
    for bag in fitting(model):
        seen = revealed(model, bag, some_sizes(bag), 5)
        for one, more in pairwise(seen):
            assert np.all(more.d >= one.d)


@every_drawn
def test_a_size_beyond_the_largest_leaves_the_counts_of_q_as_they_are(case):
    model = case.build()
    for bag in fitting(model)[:3]:
        sizes = some_sizes(bag)
        more = [*sizes, 3 * sizes[-1]]
        if model.misfit(bag, more[-1]) is not None:
            continue
        short, long = (revealed(model, bag, each, 5) for each in (sizes, more))
        for one, other in zip(short, long, strict=False):
            assert one.d.tobytes() == other.d.tobytes()


PLAIN_DRAWN = [
    named(drawn(draws, balls=balls)) for draws in ("same", {"ratio": 3}) for balls in COMPOSITIONS
]


@pytest.mark.parametrize("case", PLAIN_DRAWN)
def test_counts_of_q_have_the_mean_that_is_true_of_it(case):
    model = case.build()
    for bag in [bag for bag in (SOME_BAGS[0], urn(red=1, blue=1)) if not model.misfit(bag, 7)]:
        for size in (1, 7):
            [seen] = model.reveal(bag, [size], 2_000, stream(3))
            shares = seen.d / model.drawn(size)
            error = shares.std(axis=0, ddof=1) / np.sqrt(len(shares))
            away = abs(shares.mean(axis=0) - model.truth(bag, size))
            assert np.all(away <= SIGMAS * error + 1e-12)


@every_drawn
def test_the_law_of_the_counts_of_q_is_in_the_order_of_the_bag(case):
    model = case.build()
    for bag in fitting(model):
        law = model.count_law(bag, 7)
        if law is None:
            assert model.bag.count_law(7) is None
            continue
        assert (law.size, law.colours) == (model.drawn(7), len(bag.colours))
        mean = np.zeros(law.colours)
        for colour in range(law.colours):
            count = np.arange(law.size + 1)
            mean[colour] = law.pmf(np.full_like(count, colour), count) @ count
        order = [model.bag.colours.index(colour) for colour in bag.colours]
        expected = model.bag.expected(law.size)[order]
        assert mean / law.size == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("draws", "numbers"),
    [
        ("same", [1, 2, 7, 20]),
        (7, [7, 7, 7, 7]),
        ({"ratio": 2.5}, [2, 5, 18, 50]),
        ({"ratio": 0.3}, [1, 1, 2, 6]),
        ({"ratio": 1}, [1, 2, 7, 20]),
        ({"ratio": 1e-9}, [1, 1, 1, 1]),
    ],
    ids=str,
)
def test_so_many_balls_are_drawn_of_q_as_draws_says(draws, numbers):
    model, bag = drawn(draws).build(), urn(red=1, blue=1)
    assert [model.drawn(size) for size in SIZES] == numbers
    seen = revealed(model, bag, list(SIZES), 3)
    assert [one.d.sum(axis=1).tolist() for one in seen] == [[number] * 3 for number in numbers]


def test_a_fixed_number_of_draws_of_q_is_one_draw_at_all_sizes():
    seen = revealed(drawn(7).build(), urn(red=1, blue=1), list(SIZES), 50)
    assert len({one.d.tobytes() for one in seen}) == 1


def test_the_counts_of_q_are_those_that_its_bag_would_give_put_in_order():
    back = drawn(balls={"blue": 6, "red": 4}).build()
    seen = revealed(back, urn(red=1, blue=1), list(SIZES), 50, seed=8)
    tallies = back.bag.tally(SIZES, 50, stream(8))
    for one, counts in zip(seen, tallies, strict=True):
        assert np.array_equal(one.d, counts[:, ::-1])


@pytest.mark.parametrize("case", second_bags())
def test_any_bag_may_be_the_second_one(case):
    model = case.build()
    bag = urn(**dict.fromkeys(model.bag.colours, 1))
    assert model.misfit(bag, 7) is None
    [seen] = model.reveal(bag, [7], 4, stream(2))
    assert seen.d.sum(axis=1).tolist() == [7] * 4
    by_hand = next(iter(model.bag.tally((7,), 4, stream(2))))
    assert np.array_equal(seen.d, by_hand)


SECOND_OUT = {"kind": "without_replacement", "balls": {"red": 4, "blue": 6}}


@pytest.mark.parametrize(
    ("draws", "size", "most"),
    [("same", 11, 11), (11, 1, 11), ({"ratio": 2}, 6, 12), ({"ratio": 1.05}, 11, 12)],
    ids=str,
)
def test_more_draws_than_the_second_bag_holds_are_a_misfit(draws, size, most):
    fault = drawn(draws, **SECOND_OUT).build().misfit(urn(red=1, blue=1), size)
    assert fault == f"{most} draws of Q are beyond its bag's limit of 10"


@pytest.mark.parametrize(
    ("draws", "size"), [("same", 10), (10, 99), ({"ratio": 0.1}, 100)], ids=str
)
def test_as_many_draws_as_the_second_bag_holds_are_all_its_balls(draws, size):
    model, bag = drawn(draws, **SECOND_OUT).build(), urn(blue=1, red=1)
    assert model.misfit(bag, size) is None
    [seen] = model.reveal(bag, [size], 3, stream())
    assert seen.d.tolist() == [[6, 4]] * 3


def test_a_ratio_asks_for_no_more_draws_than_any_bag_may_give():
    model, bag = drawn({"ratio": 1e6}).build(), urn(red=1, blue=1)
    assert model.misfit(bag, MOST_DRAWS // 10**6) is None
    fault = model.misfit(bag, MOST_DRAWS)
    assert fault is not None
    assert str(MOST_DRAWS) in fault


# what a file may say of a second bag

RED_BLUE = {"kind": "with_replacement", "balls": {"red": 4, "blue": 6}}


def told(second: dict[str, Any]) -> list[tuple[tuple[str | int, ...], str]]:
    """Return the place and the words of each fault of a drawn model in a file."""
    bags = {"urn": {"kind": "with_replacement", "balls": {"red": 1, "blue": 1}}}
    plain = {"name": "it", "seed": 1, "trials": 2, "sizes": [2, 20], "bags": bags}
    text = written({**plain, "models": {"second": {"kind": "drawn", **second}}})
    with pytest.raises(ConfigurationError) as caught:
        reading.read(text)
    assert all(problem.mark.source.text == text for problem in caught.value.problems)
    return [(problem.path, problem.message) for problem in caught.value.problems]


WRONG_DRAWS = ["twice", -1, 0, 1.5, 1e13, True, [1], "inf"]
WRONG_RATIOS = [{}, {"ratio": 0}, {"ratio": -1}, {"ratio": 1e7}, {"ratio": "many"}, {"rate": 2}]


@pytest.mark.parametrize("draws", WRONG_DRAWS, ids=str)
def test_draws_that_are_none_are_told_once_with_what_was_expected(draws):
    [(place, message)] = told({"bag": RED_BLUE, "draws": draws})
    assert place == ("models", "second", "draws")
    assert all(word in message for word in ("expected", "same", "ratio"))


@pytest.mark.parametrize("draws", WRONG_RATIOS, ids=str)
def test_no_fault_of_draws_shows_how_klsim_is_made(draws):
    for place, _ in told({"bag": RED_BLUE, "draws": draws}):
        assert place[:3] == ("models", "second", "draws")
        assert set(place[3:]) <= {"ratio", "rate"}


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (0, "expected more than 0"),
        (-1, "expected more than 0"),
        (1e7, "expected at most 1000000"),
        ("many", "expected a number; got 'many'"),
    ],
)
def test_a_ratio_beyond_its_bounds_is_told_once_in_its_place(ratio, said):
    [(place, message)] = told({"bag": RED_BLUE, "draws": {"ratio": ratio}})
    assert place == ("models", "second", "draws", "ratio")
    assert message.startswith(said)


@pytest.mark.parametrize(("written_as", "number"), [(1e3, 1000), (7, 7), (7.0, 7), ("same", 20)])
def test_a_number_of_draws_may_be_written_in_any_way(written_as, number):
    assert drawn(written_as).build().drawn(20) == number


def test_a_second_bag_has_no_sizes_of_its_own():
    found = told({"bag": {**RED_BLUE, "sizes": [2, 3]}})
    assert found == [
        (("models", "second", "bag", "sizes"), "the second bag is drawn as `draws` says")
    ]


MEND = "; it meets bag 'urn': fit it, or list `bags:` without that one"


@pytest.mark.parametrize(
    ("second", "fault"),
    [
        ({"bag": SECOND_OUT}, "20 draws of Q are beyond its bag's limit of 10"),
        ({"bag": SECOND_OUT, "draws": 11}, "11 draws of Q are beyond its bag's limit of 10"),
        ({"bag": {**RED_BLUE, "balls": {"red": 1}}}, "the bag's colour 'blue' is missing"),
        (
            {"bag": {**RED_BLUE, "balls": {"red": 1, "blue": 1, "green": 0}}},
            "the bag has no colour 'green'",
        ),
    ],
)
def test_a_second_bag_that_does_not_fit_is_told_at_its_model(second, fault):
    [(place, message)] = told(second)
    assert place == ("models", "second")
    assert message.startswith(fault)
    assert message.endswith(MEND)


def test_a_second_bag_is_checked_like_any_bag():
    [(place, message)] = told({"bag": {"kind": "with_replacment"}})
    assert place == ("models", "second", "bag", "kind")
    assert message == "unknown kind 'with_replacment'; did you mean 'with_replacement'?"
    assert told({"bag": "urn"}) == [
        (("models", "second", "bag"), "expected a bag, {kind: …}; got 'urn'")
    ]


# where it does not fit


@every_model
def test_a_model_fits_any_bag_or_says_in_what_it_does_not(case):
    model = case.build()
    for bag in [*SOME_BAGS, urn(nobody=1), urn(red=1, blue=1, nobody=1), urn(red=1)]:
        fault = model.misfit(bag, 1)
        assert fault is None or (isinstance(fault, str) and fault)
        if fault is None:
            assert len(model.truth(bag, 1)) == len(bag.colours)


STRANGE = {"kind": "with_replacement", "balls": {"nobody": 1, "knows": 1, "these": 1}}
EXAMPLE = {"name": "it", "seed": 1, "trials": 2, "sizes": [2], "bags": {"strange": STRANGE}}


@every_model
def test_an_experiment_refuses_a_misfit_at_its_line(case):
    text = written({**EXAMPLE, "models": {"some": {"kind": "itself"}, "it": case.data}})
    fault = case.build().misfit(BAGS.build(STRANGE), 2)
    if fault is None:
        assert reading.read(text).models["it"] == case.build()
        return
    with pytest.raises(ConfigurationError) as caught:
        reading.read(text)
    [problem] = caught.value.problems
    assert problem.path == ("models", "it")
    assert problem.message.startswith(fault + "; it meets bag 'strange'")
    assert text.splitlines()[problem.mark.line].startswith(("  it:", "    kind:"))


@every_model
def test_a_model_that_lists_its_bags_meets_no_other(case):
    home = next(bag for bag in fitting(case.build()) if (bag.limit or 9) >= 2)
    model = case.family.build({**case.data, "bags": ("home",)})
    bags = {"home": home, "strange": BAGS.build(STRANGE)}
    plain = {"name": "it", "seed": 1, "trials": 2, "sizes": (2,)}
    whole = Experiment(**plain, bags=bags, models={"it": model})
    assert [cell.model for cell in whole.cells("home")] == ["it"]
    assert whole.cells("strange") == ()


# the models that stand in the design


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_itself_is_the_truth_of_the_bag(size):
    model = MODELS.build({"kind": "itself"})
    for bag in SOME_BAGS:
        if size <= (bag.limit or size):
            assert np.array_equal(model.truth(bag, size), bag.truth(size))


@pytest.mark.parametrize("number", [1, 2, 3, 1000])
def test_uniform_gives_every_colour_the_same(number):
    bag = BAGS.build(
        {"kind": "with_replacement", "balls": {"zipf": {"colours": number, "exponent": 1.0}}}
    )
    q = MODELS.build({"kind": "uniform"}).truth(bag, 1)
    assert set(q) == {1 / number}
    entropy = -np.sum(bag.truth(1) * np.log(bag.truth(1)))
    assert KL(bag.truth(1), q) == pytest.approx(np.log(number) - entropy, abs=1e-12)


def test_fixed_takes_proportions_by_name():
    model = MODELS.build({"kind": "fixed", "balls": {"blue": 3, "red": 1}})
    assert model.truth(urn(red=5, blue=5), 1).tolist() == [0.25, 0.75]
    assert model.truth(urn(blue=5, red=5), 9).tolist() == [0.75, 0.25]


@pytest.mark.parametrize("factor", [1, 2, 0.1, 1e9])
def test_fixed_asks_for_proportions_only(factor):
    model = MODELS.build({"kind": "fixed", "balls": {"red": 4 * factor, "blue": 6 * factor}})
    assert model.truth(urn(red=1, blue=1), 1) == pytest.approx([0.4, 0.6], rel=1e-15)


def test_a_colour_that_fixed_holds_impossible_makes_the_truth_infinite():
    model = MODELS.build({"kind": "fixed", "balls": {"red": 1, "blue": 0}})
    assert KL(urn(red=1, blue=1).truth(1), model.truth(urn(red=1, blue=1), 1)) == np.inf
    assert KL(urn(red=1, blue=0).truth(1), model.truth(urn(red=1, blue=0), 1)) == 0


@pytest.mark.parametrize(
    ("own", "bag", "word"),
    [
        ({"red": 1}, {"red": 1, "blue": 1}, "'blue'"),
        ({"red": 1, "blue": 1, "green": 1}, {"red": 1, "blue": 1}, "'green'"),
        ({"Red": 1, "blue": 1}, {"red": 1, "blue": 1}, "'red'"),
    ],
)
def test_fixed_names_the_colour_that_only_one_of_the_two_has(own, bag, word):
    assert word in MODELS.build({"kind": "fixed", "balls": own}).misfit(urn(**bag), 1)


# the reference that an estimator holds


def test_a_known_reference_gives_q_and_a_counted_one_refuses():
    known = Reference.known(np.array([0.4, 0.6]))
    counted = Reference.counted(np.array([[1, 2], [3, 0]]))
    assert (known.colours, counted.colours) == (2, 2)
    assert known.q.tolist() == [0.4, 0.6]
    with pytest.raises(TypeError, match="only counts are known"):
        _ = counted.q


@pytest.mark.parametrize("picked", [[0, 0, 1], [2], [2, 1, 0, 1]])
def test_a_reference_picked_by_colour_keeps_the_number_of_colours(picked):
    known = Reference.known(np.array([0.2, 0.3, 0.5]))
    gathered = known.gather(np.array(picked))
    assert gathered.colours == 3
    assert gathered.q.tolist() == [[0.2, 0.3, 0.5][colour] for colour in picked]


def test_a_counted_reference_cannot_be_picked_by_colour():
    with pytest.raises(TypeError):
        Reference.counted(np.array([[1, 2]])).gather(np.array([0]))


def reads(estimator: Any, counts: np.ndarray, seen: Reference) -> bool:
    try:
        return estimator.estimate(counts, seen, KL).shape == (len(counts),)
    except TypeError:  # it reads the other form of Q
        return False


@every_model
def test_there_is_an_estimator_that_reads_what_is_revealed(case):
    shelf = [ESTIMATORS.build(shown(ESTIMATORS, kind)) for kind in ESTIMATORS.kinds()]
    able = [e for e in shelf if e.serves is None or "kl" in e.serves]
    for model, bag, size in met(case):
        [seen] = model.reveal(bag, [size], 2, stream())
        [counts] = bag.tally((size,), 2, stream(2))
        assert any(reads(estimator, counts, seen) for estimator in able)
