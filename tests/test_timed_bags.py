"""Bags with a clock: between known limits, beside a known queue, and truth worked out by hand."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import poisson
from test_kernels import fits

from sim.config.problems import ConfigurationError, dotted
from sim.config.reading import read
from sim.contracts.arrays import Reference
from sim.contracts.bag import BAGS
from sim.contracts.estimator import ESTIMATORS
from sim.divergences import KL
from sim.exact import exact

RED_BLUE = {"red": 10, "blue": 15}
FARTHEST = 4.0
SIGMAS = 4.5
PLUG_IN = ESTIMATORS.build({"kind": "plug_in"})
steady = settings(deadline=None, derandomize=True, max_examples=60)


def built(kind: str, **keys: Any) -> Any:
    return BAGS.build({"kind": kind, **keys})


def delayed(hold: Any, balls: dict[str, int] = RED_BLUE, **keys: Any) -> Any:
    return built("delayed_returns", balls=balls, hold=hold, **keys)


def scheduled(balls: dict[str, float], *changes: dict[str, Any], **keys: Any) -> Any:
    return built("scheduled", balls=balls, changes=changes, **keys)


def shared(balls: dict[str, int], observed: str = "ann", **drawers: Any) -> Any:
    return built("shared", balls=balls, observed=observed, drawers=drawers)


def log(bag, n, seed=1):
    """Return what happens until n balls are drawn."""
    return list(bag.events(n, np.random.default_rng(seed)))


def at(events, *names):
    """Return the times of these events."""
    return [time for time, name, _ in events if name in names]


def tallied(bag, sizes, trials, seed=20_240_601):
    counts = bag.tally(sizes, trials, np.random.default_rng(seed))
    return {n: c.copy() for n, c in zip(sizes, counts, strict=True)}


def faults(kind: str, **keys: Any) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        built(kind, **keys)
    return {".".join(map(str, e["loc"])): e["msg"] for e in caught.value.errors()}


# the same stream


BAGS_WITH_A_CLOCK = {
    "delayed, waiting": delayed({"exponential": 30}),
    "delayed, skipping": delayed({"gamma": [2, 20]}, every={"uniform": [0, 2]}, when_empty="skip"),
    "shared": shared(
        {"red": 30, "blue": 20},
        ann={"hold": {"exponential": 2}},
        bob={"every": {"exponential": 1}, "hold": 0.5, "most": 10},
    ),
    "scheduled": scheduled(
        RED_BLUE,
        {"every": {"exponential": 3}, "add": {"red": 2}},
        {"every": 5, "take": {"blue": 1}},
    ),
}
every_bag = pytest.mark.parametrize("bag", BAGS_WITH_A_CLOCK.values(), ids=BAGS_WITH_A_CLOCK)


@every_bag
@pytest.mark.parametrize("n", [1, 7, 40])
def test_the_draws_are_those_among_the_events_of_the_same_stream(bag, n):
    for seed in range(10):
        drawn = [colour for _, name, colour in log(bag, n, seed) if name == "draw"]
        assert bag.draw(n, np.random.default_rng(seed)).tolist() == drawn
        assert len(drawn) == n


@every_bag
def test_events_come_in_order_of_time_and_end_with_the_last_draw(bag):
    for seed in range(10):
        events = log(bag, 40, seed)
        times = [time for time, _, _ in events]
        assert times == sorted(times)
        assert times[0] >= 0
        assert at(events, "draw")[-1] == times[-1]


@every_bag
def test_fewer_draws_are_the_first_events_of_more(bag):
    more = log(bag, 40)
    for n in (1, 13, 39):
        few = [event for event in log(bag, n) if not event[1].startswith("arrive")]
        known = [event for event in more if not event[1].startswith("arrive")]
        assert few == known[: len(few)]


# balls that come back late


@pytest.mark.parametrize(
    ("hold", "kind"), [(1e-9, "with_replacement"), (1e9, "without_replacement")]
)
@pytest.mark.parametrize("law", ["fixed", "exponential"])
def test_delayed_returns_lie_between_drawing_with_and_without_replacement(hold, kind, law):
    # an exponential time may be short by chance: one draw in 10⁹ at most
    bag = delayed(hold if law == "fixed" else {"exponential": hold})
    counts = tallied(bag, (10, 20), 2000)
    known, q = built(kind, balls=RED_BLUE), Reference.known(np.array([0.4, 0.6]))
    for n, array in counts.items():
        exactly = exact(known.count_law(n), PLUG_IN, q, KL)
        found = PLUG_IN.estimate(array, q, KL)
        z = (found.mean() - exactly.mean) / (exactly.sd / np.sqrt(len(found)))
        assert abs(z) <= FARTHEST, (n, found.mean(), exactly.mean, z)
        law_of_one = known.count_law(n)
        every = np.arange(n + 1)
        chances = law_of_one.pmf(np.zeros_like(every), every)
        assert fits(np.bincount(array[:, 0], minlength=n + 1), chances)


def test_a_return_comes_before_a_draw_at_the_same_time():
    events = log(delayed(1, {"red": 1, "blue": 1}), 50)
    assert events[0][:2] == (1, "draw")
    for number in range(1, 50):
        drawn, back, again = events[2 * number - 2 : 2 * number + 1]
        assert back == (number + 1, "return", drawn[2])
        assert again[:2] == (number + 1, "draw")
    # the bag is whole at each draw: the colour may come again at once
    colours = [colour for _, name, colour in log(delayed(1, {"red": 1, "blue": 1}), 4000)]
    pairs = np.bincount(2 * np.array(colours[0:-4:4]) + np.array(colours[2:-2:4]), minlength=4)
    assert fits(pairs, np.full(4, 1 / 4))


@pytest.mark.parametrize("every", [1, 0.1, 1 / 3, 0.7, 1e-3])
@pytest.mark.parametrize("away", [1, 2, 3])
def test_a_tie_is_a_tie_in_any_unit_of_time(every, away):
    """As many balls as draws until the first is back: no draw finds the bag empty."""
    bag = delayed(away * every, {"red": away}, every=every, when_empty="skip")
    assert at(log(bag, 60), "skip") == []


def test_a_draw_from_an_empty_bag_waits_for_the_next_ball():
    events = log(delayed(2.5, {"red": 1}), 3)
    assert events == [
        (1, "draw", 0),
        (3.5, "return", 0),
        (3.5, "draw", 0),
        (6, "return", 0),
        (6, "draw", 0),
    ]


def test_a_draw_from_an_empty_bag_is_skipped_where_it_should_be():
    events = log(delayed(2.5, {"red": 1}, when_empty="skip"), 3)
    assert events == [
        (1, "draw", 0),
        (2, "skip", -1),
        (3, "skip", -1),
        (3.5, "return", 0),
        (4, "draw", 0),
        (5, "skip", -1),
        (6, "skip", -1),
        (6.5, "return", 0),
        (7, "draw", 0),
    ]


@pytest.mark.parametrize("when_empty", ["wait", "skip"])
def test_no_ball_is_in_two_places(when_empty):
    bag = delayed({"exponential": 4}, {"red": 2, "blue": 1}, when_empty=when_empty)
    inside, before = [2, 1], None
    for _, name, colour in log(bag, 300):
        if name == "skip":
            assert inside == [0, 0]
        else:
            inside[colour] += 1 if name == "return" else -1
            assert min(inside) >= 0
            assert max(np.subtract(inside, [2, 1])) <= 0
        before = name
    assert before == "draw"


def test_a_ball_comes_back_after_its_time_and_no_sooner():
    events = log(delayed({"uniform": [2, 3]}, {"red": 1}), 50)
    away = np.subtract(at(events, "return"), at(events, "draw")[:-1])
    assert away.min() >= 2 - 1e-12
    assert away.max() <= 3 + 1e-12


def test_too_many_skips_are_refused():
    keys = {"balls": {"red": 2, "blue": 3}, "every": 2}
    told = faults("delayed_returns", **keys, hold=10_001, when_empty="skip")
    assert told["hold"].startswith("with 5 balls away for 10001 on average, more than 1000 draws")
    assert built("delayed_returns", **keys, hold=10_000, when_empty="skip").when_empty == "skip"
    assert built("delayed_returns", **keys, hold=1e12, when_empty="wait").when_empty == "wait"
    assert "hold" in faults("delayed_returns", balls=RED_BLUE, hold=1, every=0, when_empty="skip")


def test_balls_to_take_out_are_whole():
    told = faults("delayed_returns", balls={"red": 1.5}, hold=1)
    assert told == {"balls": "expected whole numbers of balls, to draw them out"}


# a bag that is shared


def test_waiting_times_of_a_lone_drawer_are_those_of_the_mm1_queue():
    rate, service, warm, visits = 1.0, 2.0, 1000, 2200
    ann = {"every": {"exponential": 1 / rate}, "hold": {"exponential": 1 / service}}
    bag = shared({"red": 1500, "blue": 1500}, ann=ann)
    means = []
    for stream in np.random.default_rng(20_240_601).spawn(50):
        events = list(bag.events(visits, stream))
        arrived, drew = at(events, "arrive"), at(events, "draw")
        means.append(np.subtract(drew, arrived[:visits])[warm:].mean())
    exactly = rate / service / (service - rate)
    error = np.std(means, ddof=1) / np.sqrt(len(means))
    assert abs(np.mean(means) - exactly) <= FARTHEST * error
    assert error < 0.05 * exactly


OTHERS = {
    "nobody": {},
    "one in a hurry": {"bob": {"every": {"exponential": 0.1}, "most": 12}},
    "two with the bag in their hands": {
        "bob": {"every": {"uniform": [0, 3]}, "hold": {"exponential": 3}, "most": 6},
        "eve": {"every": 1, "hold": 1, "most": 6},
    },
}


@pytest.mark.parametrize("others", OTHERS.values(), ids=OTHERS)
def test_other_drawers_do_not_change_the_law_of_the_observed(others):
    bag = shared(RED_BLUE, ann={"hold": {"exponential": 0.5}}, **others)
    for n, array in tallied(bag, (6, 13), 800).items():
        every = np.arange(n + 1)
        chances = bag.count_law(n).pmf(np.zeros_like(every), every)
        alone = built("without_replacement", balls=RED_BLUE).count_law(n)
        assert np.array_equal(chances, alone.pmf(np.zeros_like(every), every))
        assert fits(np.bincount(array[:, 0], minlength=n + 1), chances)


def test_only_one_has_the_bag_and_who_came_first_has_it_first():
    bag = BAGS_WITH_A_CLOCK["shared"]
    for seed in range(5):
        events = log(bag, 30, seed)
        queue, holds = [], None
        for _, name, _ in events:
            what, _, who = name.partition(" ")
            if what == "arrive":
                queue.append(who)
            elif what == "draw":
                assert holds is None
                assert queue.pop(0) == who
                holds = who
            else:
                assert holds == who
                holds = None
        # with fixed times of 1 between her visits ann comes at 1, 2, 3, …
        assert at(events, "arrive") == pytest.approx(np.arange(1, 31)[: len(at(events, "arrive"))])


def test_nobody_takes_more_than_declared_nor_a_ball_that_is_gone():
    bag = shared({"red": 6, "blue": 4}, ann={}, bob={"every": 0.1, "most": 3}, eve={"most": 2})
    assert bag.limit == 5
    for seed in range(50):
        events = log(bag, 5, seed)
        assert len(at(events, "draw bob")) <= 3
        assert len(at(events, "draw eve")) <= 2
        drawn = [colour for _, name, colour in events if name.startswith("draw")]
        assert np.all(np.bincount(drawn, minlength=2) <= [6, 4])


def test_the_limit_is_what_the_others_leave_or_what_the_observed_may_take():
    assert shared(RED_BLUE, ann={}).limit == 25
    assert shared(RED_BLUE, ann={}, bob={"most": 5}, eve={"most": 7}).limit == 13
    assert shared(RED_BLUE, ann={"most": 4}, bob={"most": 5}).limit == 4
    assert shared(RED_BLUE, ann={"most": 99}, bob={"most": 5}).limit == 20
    last = shared({"red": 1, "blue": 1}, ann={}, bob={"every": 0.1, "most": 1})
    assert len(last.draw(1, np.random.default_rng(1))) == 1


def test_faults_of_drawers_are_told_by_name():
    keys = {"balls": RED_BLUE, "observed": "ann"}
    assert faults("shared", **keys, drawers={"anne": {}}) == {
        "observed": "no drawer is called 'ann'; did you mean 'anne'?"
    }
    assert faults("shared", **keys, drawers={"ann": {}, "bob": {}}) == {
        "drawers.bob": "expected `most`: how many balls this one may take from the observed"
    }
    assert faults("shared", **keys, drawers={"ann": {}, "bob": {"most": 25}}) == {
        "drawers": "the others may take all the balls; none is left"
    }


# a bag that is changed


def by_hand(contents, n):
    """Return the mean composition of the first n draws, each from these numbers of balls."""
    shares = [[Fraction(x, sum(balls)) for x in balls] for balls in contents[:n]]
    return [float(sum(column) / n) for column in zip(*shares, strict=True)]


PLANS = {
    "add": (
        {"red": 1, "blue": 1},
        [{"at": 2, "add": {"red": 2}}],
        [(1, 1), (3, 1), (3, 1), (3, 1), (3, 1), (3, 1)],
    ),
    "add, take and replace": (
        {"red": 1, "blue": 1},
        [
            {"at": 4, "take": {"red": 1, "blue": 1}},
            {"at": 2, "add": {"red": 2}},
            {"at": 4.5, "replace": {"blue": 3, "red": 1}},
        ],
        [(1, 1), (3, 1), (3, 1), (2, 0), (1, 3), (1, 3)],
    ),
    "again and again": (
        {"red": 1, "blue": 6},
        [{"every": 2, "add": {"red": 1}}, {"every": 3, "take": {"blue": 2}}],
        [(1, 6), (2, 6), (2, 4), (3, 4), (3, 4), (4, 2)],
    ),
    "at once in the order of the list": (
        {"red": 1, "blue": 1},
        [{"at": 3, "add": {"red": 5}}, {"at": 3, "replace": {"red": 1, "blue": 2}}],
        [(1, 1), (1, 1), (1, 2), (1, 2), (1, 2), (1, 2)],
    ),
    "before all draws": ({"red": 1, "blue": 0}, [{"at": 0, "add": {"blue": 3}}], [(1, 3)] * 6),
    "a replacement that leaves a colour out": (
        {"red": 1, "blue": 1},
        [{"at": 3, "replace": {"blue": 2}}, {"at": 5, "add": {"red": 2}}],
        [(1, 1), (1, 1), (0, 2), (0, 2), (2, 2), (2, 2)],
    ),
    "nothing": ({"red": 2, "blue": 3}, [], [(2, 3)] * 6),
}


@pytest.mark.parametrize(("balls", "changes", "contents"), PLANS.values(), ids=PLANS)
@pytest.mark.parametrize("every", [1, 0.5])
def test_the_truth_of_planned_changes_is_the_mean_composition(balls, changes, contents, every):
    timed = [
        {k: v * every if k in ("at", "every") else v for k, v in change.items()}
        for change in changes
    ]
    bag = scheduled(balls, *timed, every=every)
    for n in range(1, 7):
        assert bag.truth(n) == pytest.approx(by_hand(contents, n), rel=1e-14)
    draws = np.array([bag.draw(6, s) for s in np.random.default_rng(4).spawn(400)])
    for place, balls_now in enumerate(contents):
        hits = np.bincount(draws[:, place], minlength=2)
        assert fits(hits, np.array(balls_now) / sum(balls_now))


def test_a_change_comes_before_a_draw_at_the_same_time():
    bag = scheduled({"red": 1, "blue": 0}, {"at": 3, "replace": {"blue": 1}})
    assert log(bag, 4) == [
        (1, "draw", 0),
        (2, "draw", 0),
        (3, "replace", -1),
        (3, "draw", 1),
        (4, "draw", 1),
    ]


@pytest.mark.parametrize(
    ("every", "before", "time"), [(0.1, 0.3, 0.9), (0.1, 0.12, 1.3), (1, 0.3, 9), (0.25, 0.1, 7.5)]
)
def test_a_change_comes_before_a_draw_at_its_time_whatever_came_before(every, before, time):
    first, then = {"at": before, "add": {"red": 1}}, {"at": time, "replace": {"blue": 1}}
    bag = scheduled({"red": 1, "blue": 0}, first, then, every=every)
    place = round(time / every)
    assert place * every == time
    drawn = bag.draw(place + 1, np.random.default_rng(1))
    assert drawn.tolist() == [0] * (place - 1) + [1, 1]
    assert bag.truth(place) * place == pytest.approx([place - 1, 1])


@steady
@given(
    st.floats(1e-3, 1e3),
    st.lists(st.integers(1, 40), min_size=1, max_size=6, unique=True).map(sorted),
)
def test_what_is_drawn_is_what_the_truth_says_where_nothing_is_left_to_chance(every, places):
    """Red and blue take turns at the times of some draws: each composition is one colour."""
    changes = [
        {"at": place * every, "replace": {("blue", "red")[turn % 2]: 1}}
        for turn, place in enumerate(places)
    ]
    bag = scheduled({"red": 1, "blue": 0}, *changes, every=every)
    drawn = bag.draw(40, np.random.default_rng(1))
    assert np.bincount(drawn, minlength=2) / 40 == pytest.approx(bag.truth(40), abs=1e-12)
    turns = [sum(place <= number for place in places) % 2 for number in range(1, 41)]
    assert drawn.tolist() == turns


RANDOM = {
    "adds": [{"every": {"exponential": 4}, "add": {"red": 5}}],
    "adds of two colours": [{"every": {"exponential": 0.5}, "add": {"red": 1, "blue": 3}}],
    "adds, with a plan": [
        {"every": {"exponential": 2}, "add": {"red": 3}},
        {"at": 3, "take": {"blue": 14}},
        {"at": 8, "replace": {"blue": 4, "red": 1}},
        {"every": 6, "add": {"blue": 2}},
    ],
    "replaces": [{"every": {"exponential": 6}, "replace": {"red": 3, "blue": 1}}],
    "replaces by one colour": [{"every": {"exponential": 6}, "replace": {"red": 5}}],
}


@pytest.mark.parametrize("changes", RANDOM.values(), ids=RANDOM)
def test_mean_frequencies_of_random_changes_are_the_truth(changes):
    bag = scheduled(RED_BLUE, *changes)
    for n, array in tallied(bag, (1, 12), 600).items():
        share = array[:, 0] / n
        error = share.std(ddof=1) / np.sqrt(len(share))
        assert abs(share.mean() - bag.truth(n)[0]) <= SIGMAS * error
        assert bag.truth(n).sum() == pytest.approx(1, abs=1e-14)
    assert bag.count_law(5) is None


@pytest.mark.parametrize("n", [1, 3, 20])
def test_the_truth_of_poisson_changes_is_their_mixture(n):
    j = np.arange(200)
    added = scheduled(RED_BLUE, {"every": {"exponential": 3}, "add": {"red": 5}}, every=0.7)
    red = [
        (poisson.pmf(j, 0.7 * i / 3) * (10 + 5 * j) / (25 + 5 * j)).sum() for i in range(1, n + 1)
    ]
    assert added.truth(n)[0] == pytest.approx(np.mean(red), rel=1e-11)
    new = scheduled(RED_BLUE, {"every": {"exponential": 3}, "replace": {"blue": 1, "red": 3}})
    kept = np.exp(-np.arange(1, n + 1) / 3)
    assert new.truth(n)[0] == pytest.approx((kept * 0.4 + (1 - kept) * 0.75).mean(), rel=1e-12)


def test_random_changes_happen_at_poisson_times():
    bag = scheduled(RED_BLUE, {"every": {"exponential": 2}, "add": {"red": 1}})
    numbers = [len(at(log(bag, 10, seed), "add")) for seed in range(1000)]
    hits = np.bincount(numbers, minlength=40)
    assert fits(hits, poisson.pmf(np.arange(len(hits)), 10 / 2))


TAKE_THREE = {"every": 2, "take": {"red": 3}}


def test_a_bag_that_nobody_changes_is_drawn_from_with_replacement():
    still, urn = scheduled(RED_BLUE), built("with_replacement", balls=RED_BLUE)
    assert still.limit is None
    colour, count = np.indices((2, 21))
    assert still.truth(7) == pytest.approx(urn.truth(7), rel=1e-15)
    found, known = (bag.count_law(20).pmf(colour, count) for bag in (still, urn))
    assert found == pytest.approx(known, rel=1e-12)
    counts = tallied(still, (20,), 800)[20]
    assert fits(np.bincount(counts[:, 0], minlength=21), known[0])


@pytest.mark.parametrize(
    ("balls", "changes", "limit"),
    [
        ({"red": 2, "blue": 2}, [{"every": 2, "take": {"red": 1}}], 5),
        ({"red": 2, "blue": 2}, [{"at": 3, "take": {"red": 2, "blue": 2}}], 2),
        ({"red": 2, "blue": 2}, [{"at": 3.5, "take": {"red": 2, "blue": 2}}], 3),
        ({"red": 9, "blue": 0}, [{"at": 6, "add": {"blue": 1}}, TAKE_THREE], 7),
        ({"red": 9, "blue": 0}, [TAKE_THREE, {"at": 6, "add": {"blue": 1}}], 5),
        ({"red": 1, "blue": 1}, [{"at": 5, "take": {"blue": 2}}], 4),
        ({"red": 1, "blue": 1}, [{"at": 5, "take": {"blue": 1}}], None),
        (
            {"red": 1, "blue": 1},
            [{"at": 5, "replace": {"blue": 1}}, {"at": 9, "take": {"red": 1}}],
            8,
        ),
    ],
    ids=[
        "again and again",
        "all",
        "all, between draws",
        "filled in time",
        "empty for a moment",
        "too many",
        "not all",
        "gone",
    ],
)
def test_a_bag_that_runs_empty_has_a_limit(balls, changes, limit):
    bag = scheduled(balls, *changes)
    assert bag.limit == limit
    most = limit or 50
    assert len(bag.draw(most, np.random.default_rng(1))) == most
    whole = {"name": "it", "seed": 1, "trials": 1, "sizes": [most]}
    text = f"{whole | {'bags': {'it': {'kind': 'scheduled', 'balls': balls, 'changes': changes}}}}"
    assert read(text).sizes == (most,)
    if limit is not None:
        with pytest.raises(ConfigurationError, match=f"beyond the bag's limit of {limit} draws"):
            read(text.replace(f"[{most}]", f"[{most + 1}]"))


@pytest.mark.parametrize(
    ("changes", "place", "message"),
    [
        ([{"add": {"red": 1}}], "changes[0]", "expected either `at` or `every`"),
        (
            [{"at": 1, "every": 1, "add": {"red": 1}}],
            "changes[0]",
            "expected either `at` or `every`",
        ),
        ([{"at": 1}], "changes[0]", "expected one of `add`, `take`, `replace`"),
        (
            [{"at": 1, "add": {"red": 1}, "take": {"red": 1}}],
            "changes[0]",
            "expected one of `add`, `take`, `replace`",
        ),
        ([{"every": 0, "add": {"red": 1}}], "changes[0].every", "expected a time above 0"),
        (
            [{"every": {"uniform": [1, 2]}, "add": {"red": 1}}],
            "changes[0].every",
            "expected a number or {exponential: mean}: truth is known",
        ),
        (
            [{"at": 1, "add": {"red": 1}}, {"at": 1, "add": {"green": 1}}],
            "changes[1]",
            "the bag has no colour 'green'; write it in `balls` with 0",
        ),
        (
            [{"every": {"exponential": 1}, "take": {"red": 1}}],
            "changes[0]",
            "at random times expected `add`, or `replace` as the only change",
        ),
        (
            [{"at": 1, "add": {"red": 1}}, {"every": {"exponential": 1}, "replace": {"red": 1}}],
            "changes[1]",
            "at random times expected `add`, or `replace` as the only change",
        ),
        (
            [{"every": {"exponential": m}, "add": {"red": 1}} for m in (1, 2)],
            "changes",
            "expected at most one change at random times",
        ),
        ([{"at": 1, "take": RED_BLUE}], "changes", "the bag is empty before the first draw"),
    ],
    ids=lambda x: x[:40] if isinstance(x, str) else "",
)
def test_faults_of_changes_are_told_with_their_place(changes, place, message):
    plain = {"name": "it", "seed": 1, "trials": 1, "sizes": [1]}
    bag = {"kind": "scheduled", "balls": RED_BLUE, "changes": changes}
    with pytest.raises(ConfigurationError) as caught:
        read(f"{plain | {'bags': {'it': bag}}}")
    [fault] = caught.value.problems
    assert (dotted(fault.path), fault.message) == (f"bags.it.{place}", message)


def test_a_change_beyond_all_draws_is_no_fault():
    """More draws come before it than any number of them."""
    bag = scheduled(RED_BLUE, {"at": 1e15, "take": RED_BLUE}, every=1e-300)
    assert bag.truth(5) == pytest.approx([0.4, 0.6])
