"""The laws that hold for every bag: what it draws, how its counts are spread, what it may claim."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise, product
from typing import ClassVar, Literal

import numpy as np
import pytest
from members import Case, Ticking, cases, outcomes, those, urn, written
from scipy.special import binom
from scipy.stats import binom as binomial
from scipy.stats import chi2

from sim.cells import Cells
from sim.checks import MOST_DRAWS
from sim.config import reading
from sim.config.problems import ConfigurationError
from sim.contracts.arrays import Colours, Counts, Reference
from sim.contracts.bag import BAGS, Bag, SequentialBag, TimedBag
from sim.contracts.estimator import ESTIMATORS
from sim.contracts.model import MODELS
from sim.controls import Controls
from sim.divergences import KL
from sim.exact import exact
from sim.experiment import Experiment
from sim.laws import JointLaw
from sim.rows import Outcome

FALSE_ALARM = 1e-7
SIGMAS = 4.5

every_bag = pytest.mark.parametrize("case", cases(BAGS))
every_sequential_bag = pytest.mark.parametrize(
    "case", those(BAGS, lambda bag: isinstance(bag, SequentialBag))
)
every_bag_with_a_clock = pytest.mark.parametrize(
    "case", those(BAGS, lambda bag: isinstance(bag, TimedBag))
)
every_bag_of_many_colours = pytest.mark.parametrize(
    "case", those(BAGS, lambda bag: bag.truth(1).max() < 1)
)
every_bag_with_an_exact_law = pytest.mark.parametrize(
    "case", those(BAGS, lambda bag: bag.count_law(1) is not None)
)


class Coin(SequentialBag):
    """A fair coin whose tosses are kept in order."""

    kind: Literal["coin"] = "coin"
    colours: ClassVar[tuple[str, ...]] = ("heads", "tails")

    def truth(self, n):
        return np.array([0.5, 0.5])

    def draw(self, n, rng):
        return rng.integers(2, size=n)


def trials_of(bag: Bag) -> int:
    """Return how many trials a law asks for: a bag that draws ball by ball takes its time."""
    return 300 if isinstance(bag, TimedBag) else 1500 if isinstance(bag, SequentialBag) else 4000


def sizes_of(bag: Bag) -> tuple[int, ...]:
    """Return a few ascending sizes within the bag's limit, its end among them where near."""
    most = min(20, bag.limit or 20)
    return tuple(sorted({size for size in (1, 3, 8, most) if size <= most}))


def tallied(bag: Bag, sizes: tuple[int, ...], trials: int, seed: int) -> list[Counts]:
    """Return copies of the counts at each size."""
    rng = np.random.default_rng(seed)
    return [counts.copy() for counts in bag.tally(sizes, trials, rng)]


@cache
def drawn(case: Case) -> tuple[Bag, dict[int, Counts]]:
    """Return a bag and one large tally of it by size, made once for all laws."""
    bag = case.build()
    sizes = sizes_of(bag)
    return bag, dict(zip(sizes, tallied(bag, sizes, trials_of(bag), 20_240_601), strict=True))


def support(bag: Bag, n: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield each colour with its possible counts and their exact probabilities."""
    law = bag.count_law(n)
    for colour, (low, high) in enumerate(zip(*law.window(), strict=True)):
        values = np.arange(low, high + 1)
        yield colour, values, law.pmf(np.full_like(values, colour), values)


def lawful(case: Case) -> dict[int, Counts]:
    """Return the tally of a bag whose exact law is known; nothing where it is not."""
    bag, counts = drawn(case)
    return {n: c for n, c in counts.items() if bag.count_law(n) is not None}


def likely(hits: int, trials: int, p: float, tests: int) -> bool:
    """Return whether so many hits are no alarm, by the exact binomial test of all `tests`."""
    p = min(max(p, 0.0), 1.0)
    tail = min(binomial.cdf(hits, trials, p), binomial.sf(hits - 1, trials, p))
    return bool(2 * tail * tests >= FALSE_ALARM)


def alike(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether two samples of whole numbers may have one law, by χ² on merged cells."""
    both = np.concatenate([one, other])
    edges, held = [], 0
    for value, number in zip(*np.unique(both, return_counts=True), strict=True):
        held += number
        if held >= 50:
            edges, held = [*edges, value], 0
    if len(edges) < 2:
        return True
    table = np.stack([np.bincount(np.searchsorted(edges[:-1], x)) for x in (one, other)])
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return bool(chi2.sf(statistic, table.shape[1] - 1) >= FALSE_ALARM)


# what is drawn


@every_bag
def test_a_bag_has_colours_with_names_of_their_own(case):
    colours = case.build().colours
    assert isinstance(colours, tuple)
    assert len(set(colours)) == len(colours) > 0
    assert all(isinstance(colour, str) and colour for colour in colours)


@every_bag
def test_a_bag_draws_only_its_colours(case):
    bag, counts = drawn(case)
    for array in counts.values():
        assert array.shape == (trials_of(bag), len(bag.colours))
        assert array.dtype == np.int64
        assert array.min() >= 0
    if isinstance(bag, SequentialBag):
        colours = bag.draw(max(counts), np.random.default_rng(1))
        assert colours.shape == (max(counts),)
        assert np.issubdtype(colours.dtype, np.integer)
        assert set(colours.tolist()) <= set(range(len(bag.colours)))


@every_bag
def test_counts_are_cumulative_and_sum_to_their_size(case):
    _, counts = drawn(case)
    for size, array in counts.items():
        assert np.array_equal(array.sum(axis=1), np.full(len(array), size))
    for before, after in pairwise(counts.values()):
        assert np.all(after >= before)


@every_bag_of_many_colours
def test_the_same_stream_gives_the_same_draws_and_another_gives_others(case):
    bag = case.build()
    sizes = tuple(range(1, sizes_of(bag)[-1] + 1))
    first, again, other = (np.stack(tallied(bag, sizes, 20, seed)) for seed in (7, 7, 8))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@every_bag
def test_a_bag_does_not_remember_what_was_drawn(case):
    used, fresh = case.build(), case.build()
    sizes = sizes_of(used)
    tallied(used, sizes, 5, 1)
    assert all(map(np.array_equal, tallied(used, sizes, 5, 2), tallied(fresh, sizes, 5, 2)))


@every_bag_of_many_colours
def test_trials_are_not_copies_of_one_another(case):
    bag, _ = drawn(case)
    sizes = tuple(range(1, sizes_of(bag)[-1] + 1))
    paths = np.stack(tallied(bag, sizes, 40, 3), axis=1).reshape(40, -1)
    assert len(np.unique(paths, axis=0)) > 1


@every_bag
def test_a_size_beyond_the_largest_changes_no_count_before_it(case):
    bag = case.build()
    *few, _ = every = sizes_of(bag)
    short, long = (tallied(bag, tuple(sizes), 9, 11) for sizes in (few, every))
    assert all(map(np.array_equal, short, long[: len(few)]))


@every_sequential_bag
def test_the_first_of_many_draws_are_the_few(case):
    bag = case.build()
    most = sizes_of(bag)[-1]
    many = bag.draw(most, np.random.default_rng(5))
    for few in range(1, most):
        assert np.array_equal(bag.draw(few, np.random.default_rng(5)), many[:few])


@every_bag
def test_counts_have_the_law_of_their_size_whatever_was_counted_before(case):
    bag, counts = drawn(case)
    most = max(counts)
    alone = tallied(bag, (most,), trials_of(bag), 99)[0]
    for colour in range(len(bag.colours)):
        assert alike(counts[most][:, colour], alone[:, colour]), bag.colours[colour]


@every_sequential_bag
def test_a_tally_has_the_law_of_counted_draws(case):
    bag, counts = drawn(case)
    most, number = max(counts), len(bag.colours)
    streams = np.random.default_rng(17).spawn(trials_of(bag))
    by_hand = np.stack([np.bincount(bag.draw(most, s), minlength=number) for s in streams])
    for colour in range(number):
        assert alike(counts[most][:, colour], by_hand[:, colour]), bag.colours[colour]


@every_bag_with_a_clock
def test_a_clock_goes_forward_and_draws_what_was_asked(case):
    bag = case.build()
    most = sizes_of(bag)[-1]
    for seed in range(20):
        events = list(bag.events(most, np.random.default_rng(seed)))
        times = [time for time, _, _ in events]
        assert times == sorted(times)
        assert np.all(np.isfinite(times))
        assert all(-1 <= colour < len(bag.colours) for _, _, colour in events)
        colours = [colour for _, name, colour in events if name == bag.drawn]
        assert len(colours) == most
        assert np.array_equal(bag.draw(most, np.random.default_rng(seed)), colours)


# what is true of it


@every_bag
@pytest.mark.parametrize("n", [1, 2, 10, 1000])
def test_the_truth_is_a_distribution(case, n):
    bag = case.build()
    truth = bag.truth(min(n, bag.limit or n))
    assert truth.shape == (len(bag.colours),)
    assert truth.dtype == np.float64
    assert truth.min() >= 0
    assert truth.sum() == pytest.approx(1, abs=1e-12)


@every_bag
@pytest.mark.parametrize("n", [1, 2, 10, 1000])
def test_what_is_expected_is_a_distribution_over_what_may_be_drawn(case, n):
    bag = case.build()
    expected = bag.expected(min(n, bag.limit or n))
    assert expected.shape == (len(bag.colours),)
    assert expected.min() >= 0
    assert expected.sum() == pytest.approx(1, abs=1e-12)


@every_bag
def test_the_mean_frequency_is_what_is_expected_within_its_error(case):
    bag, counts = drawn(case)
    for size, array in counts.items():
        expected = bag.expected(size)
        rare = expected * size * len(array) < 100  # too few for a normal mean: taken together
        groups = [expected == 0, rare & (expected > 0), *np.eye(len(expected), dtype=bool)[~rare]]
        for group in groups:
            shares = array[:, group].sum(axis=1) / size
            error = shares.std(ddof=1) / np.sqrt(len(shares))
            assert abs(shares.mean() - expected[group].sum()) <= SIGMAS * error + 1e-12


@every_bag
def test_a_colour_without_a_chance_is_never_drawn(case):
    bag, counts = drawn(case)
    for size in counts:
        law = bag.count_law(size)
        never = bag.expected(size) == 0 if law is None else law.window()[1] == 0
        assert not counts[size][:, never].any()


# its exact law


@every_bag_with_an_exact_law
def test_an_exact_law_is_a_law(case):
    bag, _ = drawn(case)
    for n in lawful(case):
        law = bag.count_law(n)
        assert (law.size, law.colours) == (n, len(bag.colours))
        mean = 0.0
        for _, values, chances in support(bag, n):
            assert chances.min() >= 0
            assert chances.sum() == pytest.approx(1, abs=1e-12)
            assert (values.min(), values.max()) >= (0, 0)
            assert values.max() <= n
            mean += values @ chances
        assert mean == pytest.approx(n, rel=1e-12)


@every_bag_with_an_exact_law
def test_counts_follow_the_exact_law(case):
    bag, _ = drawn(case)
    for n, array in lawful(case).items():
        for colour, values, chances in support(bag, n):
            count = array[:, colour]
            assert values[0] <= count.min()
            assert count.max() <= values[-1]
            tests = 2 * len(values) * array.shape[1]
            for value, chance, below in zip(values, chances, np.cumsum(chances), strict=True):
                assert likely(int(np.sum(count == value)), len(count), chance, tests)
                assert likely(int(np.sum(count <= value)), len(count), below, tests)


@every_bag_with_an_exact_law
def test_an_exact_law_has_the_mean_and_variance_of_the_counts(case):
    bag, _ = drawn(case)
    for n, array in lawful(case).items():
        for colour, values, chances in support(bag, n):
            count = array[:, colour]
            if len(count) * min(1 - chances.max(), 1) < 100 and chances.max() < 1:
                continue  # too few differ for their moments to be normal
            mean = values @ chances
            second, fourth = ((values - mean) ** power @ chances for power in (2, 4))
            error = np.sqrt(second / len(count))
            assert abs(count.mean() - mean) <= SIGMAS * error + 1e-9
            of_variance = np.sqrt(max(fourth - second**2, 0) / len(count))
            spread = np.mean((count - mean) ** 2)
            assert abs(spread - second) <= SIGMAS * of_variance + 1e-9


@every_bag_with_an_exact_law
def test_an_exact_law_has_the_expected_frequencies(case):
    bag, _ = drawn(case)
    for n in lawful(case):
        means = [values @ chances / n for _, values, chances in support(bag, n)]
        assert means == pytest.approx(bag.expected(n), rel=1e-11, abs=1e-14)


@every_bag_with_an_exact_law
@pytest.mark.parametrize("n", [1, 2, 7, 150])
def test_the_variance_of_a_count_is_that_of_its_law(case, n):
    bag = case.build()
    n = min(n, bag.limit or n)
    if bag.count_law(n) is None:
        pytest.skip("no law at this size")
    second = [chances @ (values - values @ chances) ** 2 for _, values, chances in support(bag, n)]
    assert bag.count_variance(n) == pytest.approx(second, rel=1e-10, abs=1e-10)


@every_bag
def test_a_variance_that_is_claimed_is_that_of_the_counts_within_its_error(case):
    bag, counts = drawn(case)
    for n, array in counts.items():
        variance = bag.count_variance(n)
        if variance is None:
            assert bag.count_law(n) is None, "who knows the law knows the variance"
            continue
        squares = (array - n * bag.expected(n)) ** 2 / np.maximum(n * bag.expected(n), 1e-300)
        total = squares[:, bag.expected(n) > 0].sum(axis=1)  # one test: rare colours together
        mean = np.sum((variance / np.maximum(n * bag.expected(n), 1e-300))[bag.expected(n) > 0])
        assert abs(total.mean() - mean) <= SIGMAS * total.std(ddof=1) / np.sqrt(len(total)) + 1e-12


def joint(bag: Bag, n: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Return every outcome of n draws and its chance, from the law's independent variables."""
    law = bag.count_law(n)
    number = len(bag.colours)
    if law is None or binom(n + number - 1, n) > 5_000:
        return None
    ways = outcomes(n, number)
    if number <= 2:
        return ways, law.pmf(np.zeros(len(ways), dtype=np.int64), ways[:, 0])
    if not isinstance(law, JointLaw):
        return None
    chances = law.free_pmf(np.broadcast_to(np.arange(number), ways.shape), ways).prod(axis=1)
    return ways, chances / chances.sum()


every_bag_with_a_joint_law = pytest.mark.parametrize(
    "case", those(BAGS, lambda bag: joint(bag, 1) is not None)
)


@every_bag_with_a_joint_law
def test_outcomes_follow_the_joint_law_that_exact_values_are_made_of(case):
    bag = case.build()
    n = min(3, bag.limit or 3)
    ways, chances = joint(bag, n)
    array = tallied(bag, (n,), trials_of(bag), 31)[0]
    for way, chance in zip(ways, chances, strict=True):
        hits = int(np.all(array == way, axis=1).sum())
        assert likely(hits, len(array), chance, len(ways)), way


@every_bag_with_a_joint_law
@pytest.mark.parametrize("n", [1, 2, 5])
def test_exact_mean_and_sd_are_those_of_all_outcomes(case, n):
    bag = case.build()
    n = min(n, bag.limit or n)
    ways, chances = joint(bag, n)
    q = np.arange(1.0, 1 + len(bag.colours))
    reference = Reference.known(q / q.sum())
    estimator = ESTIMATORS.build({"kind": "plug_in"})
    values = estimator.estimate(ways, reference, KL)
    mean = chances @ values
    exactly = exact(bag.count_law(n), estimator, reference, KL)
    assert exactly.mean == pytest.approx(mean, rel=1e-10, abs=1e-13)
    sd = np.sqrt(chances @ (values - mean) ** 2)
    assert exactly.sd == pytest.approx(sd, rel=1e-6, abs=1e-12)
    assert exactly.p_infinite == 0


def controls_of(bag: Bag, n: int, counts: Counts) -> list[Outcome]:
    """Return the control variates of counts, Q tilted away from P."""
    tilted = {colour: place for place, colour in enumerate(bag.colours, 1)}
    q = MODELS.build({"kind": "fixed", "balls": tilted})
    return list(Controls(bag, {"q": q}, "nats").outcomes(Cells(counts, n)))


@every_bag_with_a_joint_law
@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_known_means_of_controls_are_those_of_all_outcomes(case, n):
    bag = case.build()
    n = min(n, bag.limit or n)
    ways, chances = joint(bag, n)
    possible = chances > 0  # one that cannot come may have a colour without a chance
    found = controls_of(bag, n, ways[possible])
    assert [one.estimator for one in found][-2:] == ["quadratic", "plug_in"]
    for one in found:
        assert chances[possible] @ one.estimates == pytest.approx(one.truth, rel=1e-9, abs=1e-12)


@every_bag
def test_the_means_of_controls_over_trials_are_the_known_ones_within_their_errors(case):
    bag, counts = drawn(case)
    for n, array in counts.items():
        for one in controls_of(bag, n, array):
            error = one.estimates.std(ddof=1) / np.sqrt(len(array))
            assert abs(one.estimates.mean() - one.truth) <= SIGMAS * error + 1e-12, one.estimator


def listable(bag: Bag) -> bool:
    return bag.independent and len(bag.colours) ** 4 <= 10_000


@pytest.mark.parametrize("case", those(BAGS, listable))
def test_independent_draws_have_the_law_of_all_sequences(case):
    bag = case.build()
    number, n = len(bag.colours), 4
    p = bag.truth(n)
    chances = np.zeros((number, n + 1))
    for sequence in product(range(number), repeat=n):
        chances[np.arange(number), np.bincount(sequence, minlength=number)] += p[[*sequence]].prod()
    for colour, values, exactly in support(bag, n):
        assert exactly == pytest.approx(chances[colour, values], rel=1e-12)


def test_draws_without_replacement_have_the_law_of_all_orders():
    balls = {"a": 1, "b": 2, "c": 4}
    bag = BAGS.build({"kind": "without_replacement", "balls": balls})
    for n in range(1, 8):
        chances = np.zeros((3, 8))
        for way in outcomes(n, 3):
            ways = np.prod([binom(own, c) for own, c in zip(balls.values(), way, strict=True)])
            chances[np.arange(3), way] += ways / binom(7, n)
        for colour, values, exactly in support(bag, n):
            assert exactly == pytest.approx(chances[colour, values], rel=1e-12)


# limits, and what an experiment makes of it


def told(case: Case, sizes: list[int], *, own: bool) -> str:
    """Return the text of an experiment on a bag, the sizes its own or the experiment's."""
    plain = {key: value for key, value in case.data.items() if key != "sizes"}
    if own:
        plain["sizes"] = sizes
    whole = {"name": "it", "seed": 1, "trials": 2, "sizes": [1] if own else sizes}
    return written({**whole, "bags": {"first": urn_data(), "it": plain}})


def urn_data() -> dict[str, object]:
    return {"kind": "with_replacement", "balls": {"red": 1, "blue": 1}, "sizes": [1]}


@every_bag
@pytest.mark.parametrize("own", [True, False], ids=["sizes of its own", "sizes of the experiment"])
def test_a_size_beyond_the_limit_is_refused_with_its_line(case, own):
    bag = case.build()
    if bag.limit is None:
        assert reading.read(told(case, [MOST_DRAWS], own=own)).bags["it"].limit is None
        return
    assert reading.read(told(case, [bag.limit], own=own)).sizes_of("it") == (bag.limit,)
    text = told(case, [1, bag.limit + 1], own=own)
    with pytest.raises(ConfigurationError) as caught:
        reading.read(text)
    [fault] = caught.value.problems
    said = f"size {bag.limit + 1} is beyond the bag's limit of {bag.limit} draws"
    assert fault.message.startswith(said)
    assert fault.path == (("bags", "it", "sizes") if own else ("bags", "it"))
    lines = text.splitlines()
    begins = next(i for i, line in enumerate(lines) if line.startswith("  it:"))
    assert fault.mark.line > begins
    assert lines[fault.mark.line].strip().startswith("sizes:" if own else "kind:")


@pytest.mark.parametrize("case", those(BAGS, lambda bag: (bag.limit or np.inf) <= 10_000))
def test_a_bag_gives_its_last_ball(case):
    bag = case.build()
    [counts] = tallied(bag, (bag.limit,), 3, 1)
    assert np.array_equal(counts.sum(axis=1), [bag.limit] * 3)


@every_bag
def test_the_size_of_a_block_follows_from_the_bag_alone(case):
    bag = case.build()
    plain = {"name": "a", "seed": 1, "trials": 1, "sizes": (1,), "bags": {"it": bag}}
    one = Experiment(**plain)
    laplace = {"kind": "plug_in", "learner": {"kind": "add_constant", "amount": 1}}
    more = {"seed": 2, "trials": 10**6, "bags": {"other": urn(a=1, b=2, c=3), "it": bag}}
    other = Experiment(
        **{**plain, **more, "models": {"flat": {"kind": "uniform"}}, "estimators": {"l": laplace}}
    )
    resized = Experiment(**{**plain, "bags": {"it": bag.model_copy(update={"sizes": (1,)})}})
    held = max(1, min(bag.most_trials_a_block, 2**23 // len(bag.colours)))
    assert {e.block_trials("it") for e in (one, other, resized)} == {held}
    assert bag.most_trials_a_block == (64 if isinstance(bag, TimedBag) else 4096)


# what the contract itself makes of a draw, and of a clock


@pytest.mark.parametrize("bag", [Coin(), Ticking()], ids=lambda bag: bag.kind)
def test_the_contract_counts_what_is_drawn_each_trial_from_its_own_stream(bag):
    sizes, trials = (1, 4, 9), 6
    counts = tallied(bag, sizes, trials, 3)
    for trial, stream in enumerate(np.random.default_rng(3).spawn(trials)):
        colours: Colours = bag.draw(9, stream)
        for size, array in zip(sizes, counts, strict=True):
            by_hand = np.bincount(colours[:size], minlength=len(bag.colours))
            assert np.array_equal(array[trial], by_hand)


def test_the_contract_draws_what_the_log_calls_a_draw():
    events = list(Ticking().events(5, np.random.default_rng(2)))
    assert [name for _, name, _ in events] == ["glance", "draw"] * 5
    colours = [colour for _, name, colour in events if name == "draw"]
    assert np.array_equal(Ticking().draw(5, np.random.default_rng(2)), colours)


def test_events_come_as_they_happen():
    events = Ticking().events(10**9, np.random.default_rng(2))
    times = [next(events)[0] for _ in range(6)]
    assert times == sorted(times)


def test_a_clock_that_stops_early_is_no_bag():
    class Stopped(Ticking):
        def begin(self, env, n, rng, log):
            return super().begin(env, 1, rng, log)

    with pytest.raises(ValueError, match="iterator too short"):
        Stopped().draw(2, np.random.default_rng(1))


def test_a_bag_has_no_limit_and_no_law_unless_it_says_so():
    assert Coin().limit is None
    assert Coin().count_law(5) is None
    assert not Coin().independent
    assert (Coin().most_trials_a_block, Ticking().most_trials_a_block) == (4096, 64)
