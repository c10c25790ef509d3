"""The laws that hold for every model: its Q is a distribution, and no more is told than it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from members import Case, cases, shown, those, urn, written

from sim.config import reading
from sim.config.problems import ConfigurationError
from sim.contracts.arrays import Reference
from sim.contracts.bag import BAGS, Bag
from sim.contracts.estimator import ESTIMATORS
from sim.contracts.model import MODELS, Model
from sim.divergences import KL
from sim.experiment import Experiment

SIGMAS = 4.5
TRIALS = 200
every_model = pytest.mark.parametrize("case", cases(MODELS))


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
    """Return the bags that a model fits."""
    return [bag for bag in SOME_BAGS if model.misfit(bag) is None]


def some_sizes(bag: Bag) -> list[int]:
    return [size for size in (1, 2, 7, 20) if size <= (bag.limit or size)]


def met(case: Case) -> list[tuple[Model, Bag, int]]:
    """Return a model with each bag that it fits, at each size."""
    model = case.build()
    return [(model, bag, size) for bag in fitting(model) for size in some_sizes(bag)]


def stream(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


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
        one.reveal(bag, size, 3, stream())
        assert one == other


@every_model
def test_the_true_q_follows_the_colours_whatever_their_order(case):
    model = case.build()
    forth, back = urn(red=10, blue=15), urn(blue=15, red=10)
    assert (model.misfit(forth) is None) == (model.misfit(back) is None)
    if model.misfit(forth) is None:
        assert model.truth(forth, 5) == pytest.approx(model.truth(back, 5)[::-1], rel=1e-15)


# what an estimator may know of it


@every_model
def test_what_is_revealed_is_either_q_or_counts_of_q(case):
    for model, bag, size in met(case):
        seen = model.reveal(bag, size, TRIALS, stream())
        assert seen.colours == len(bag.colours)
        assert (seen.probabilities is None) != (seen.counts is None)
        draws = model.draws(size)
        assert (draws is None) == (seen.counts is None)
        if seen.counts is None:
            assert np.array_equal(seen.q, model.truth(bag, size))
        else:
            assert seen.counts.shape == (TRIALS, len(bag.colours))
            assert seen.counts.dtype == np.int64
            assert seen.counts.min() >= 0
            assert np.array_equal(seen.counts.sum(axis=1), np.full(TRIALS, draws))


@every_model
def test_the_same_stream_reveals_the_same(case):
    for model, bag, size in met(case):
        first, again = (model.reveal(bag, size, 9, stream(4)) for _ in range(2))
        if first.counts is None:
            assert np.array_equal(first.q, again.q)
        else:
            assert np.array_equal(first.counts, again.counts)


@every_model
def test_a_model_of_which_q_is_known_draws_nothing(case):
    for model, bag, size in met(case):
        rng = stream()
        before = rng.bit_generator.state
        seen = model.reveal(bag, size, 9, rng)
        assert seen.counts is not None or rng.bit_generator.state == before


COUNTED = those(MODELS, lambda model: model.draws(10) is not None)


@pytest.mark.skipif(not COUNTED, reason="no model here is counted")
@pytest.mark.parametrize("case", COUNTED or [None])
def test_counts_of_q_have_the_mean_that_is_true_of_it(case):
    for model, bag, size in met(case):
        seen = model.reveal(bag, size, 2_000, stream(3))
        shares = seen.counts / model.draws(size)
        error = shares.std(axis=0, ddof=1) / np.sqrt(len(shares))
        assert np.all(abs(shares.mean(axis=0) - model.truth(bag, size)) <= SIGMAS * error + 1e-12)


# where it does not fit


@every_model
def test_a_model_fits_any_bag_or_says_in_what_it_does_not(case):
    model = case.build()
    for bag in [*SOME_BAGS, urn(nobody=1), urn(red=1, blue=1, nobody=1), urn(red=1)]:
        fault = model.misfit(bag)
        assert fault is None or (isinstance(fault, str) and fault)
        if fault is None:
            assert len(model.truth(bag, 1)) == len(bag.colours)


STRANGE = {"kind": "with_replacement", "balls": {"nobody": 1, "knows": 1, "these": 1}}
EXAMPLE = {"name": "it", "seed": 1, "trials": 2, "sizes": [2], "bags": {"strange": STRANGE}}


@every_model
def test_an_experiment_refuses_a_misfit_at_its_line(case):
    text = written({**EXAMPLE, "models": {"some": {"kind": "itself"}, "it": case.data}})
    fault = case.build().misfit(BAGS.build(STRANGE))
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
    assert word in MODELS.build({"kind": "fixed", "balls": own}).misfit(urn(**bag))


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
        seen = model.reveal(bag, size, 2, stream())
        [counts] = bag.tally((size,), 2, stream(2))
        assert any(reads(estimator, counts, seen) for estimator in able)
