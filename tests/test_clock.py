"""Times of bags with a clock: their laws, what is refused, and what comes first at ties."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from simpy import Environment

from sim.checks import Value
from sim.clock import First, Fixed, Time, span
from sim.config.problems import ConfigurationError, dotted
from sim.config.reading import dump, read

FALSE_ALARM = 1e-7
steady = settings(deadline=None, derandomize=True, max_examples=60)

LAWS = {
    "exponential": ({"exponential": 2.5}, stats.expon(scale=2.5)),
    "a short exponential": ({"exponential": 1e-9}, stats.expon(scale=1e-9)),
    "uniform": ({"uniform": [1, 4]}, stats.uniform(1, 3)),
    "uniform from now": ({"uniform": [0, 0.5]}, stats.uniform(0, 0.5)),
    "gamma": ({"gamma": [3, 2]}, stats.gamma(3, scale=2)),
    "a steep gamma": ({"gamma": [0.5, 10]}, stats.gamma(0.5, scale=10)),
}
laws = pytest.mark.parametrize(("given_", "law"), LAWS.values(), ids=LAWS)
TIMES = [3, 0, 0.25, *(given_ for given_, _ in LAWS.values())]
every_time = pytest.mark.parametrize("given_", TIMES, ids=str)


class Timer(Value):
    """Something that has a time."""

    time: Time


def taken(given_, number, seed=20_240_601):
    return list(islice(span(given_).times(np.random.default_rng(seed)), number))


# what the times are


@laws
def test_random_times_have_the_law_of_their_family(given_, law):
    times = np.array(taken(given_, 5_000))
    assert stats.kstest(times, law.cdf).pvalue >= FALSE_ALARM
    assert abs(times.mean() - law.mean()) <= 4.5 * law.std() / np.sqrt(len(times))


@laws
def test_random_times_are_independent_of_the_one_before(given_, law):
    places = np.searchsorted(law.ppf([0.25, 0.5, 0.75]), taken(given_, 8_000))
    pairs = np.bincount(places[:-1:2] * 4 + places[1::2], minlength=16)
    statistic = ((pairs - 250) ** 2 / 250).sum()
    assert stats.chi2.sf(statistic, 15) >= FALSE_ALARM


@laws
def test_the_mean_is_that_of_the_law(given_, law):
    assert span(given_).mean == pytest.approx(law.mean(), rel=1e-12)


def test_a_fixed_time_is_the_same_each_time():
    assert taken(2.5, 600) == [2.5] * 600
    assert span(2.5).mean == 2.5


@every_time
@pytest.mark.parametrize("few", [1, 255, 256, 257])
def test_the_first_times_do_not_depend_on_how_many_are_taken(given_, few):
    assert taken(given_, few) == taken(given_, 600)[:few]


@steady
@given(
    st.one_of(
        st.floats(0, 1e15),
        st.builds(lambda mean: {"exponential": mean}, st.floats(1e-300, 1e15)),
        st.builds(
            lambda ends: {"uniform": sorted(ends)},
            st.tuples(st.floats(0, 1e15), st.floats(0, 1e15)),
        ),
        st.builds(
            lambda *both: {"gamma": list(both)}, st.floats(1e-300, 1e15), st.floats(1e-300, 1e15)
        ),
    )
)
def test_any_time_that_is_taken_passes_forward(given_):
    times = np.array(taken(given_, 300))
    assert np.isfinite(times).all()
    assert times.min() >= 0
    assert span(given_).mean >= 0


@every_time
def test_a_time_is_a_value_and_is_written_as_it_was_given(given_):
    timer = Timer(time=given_)
    assert timer.model_dump(mode="json") == {"time": given_}
    assert Timer(**timer.model_dump(mode="json")) == timer
    assert Timer(time=timer.time) == timer
    assert timer != Timer(time=7)


# what is refused: the value, where below the time the fault is, what it says

FAULTS = [
    ("-1", "", "expected a time from 0 to 1e15; got -1"),
    ("1.0e+16", "", "expected a time from 0 to 1e15; got 1e+16"),
    (".nan", "", "expected a time from 0 to 1e15; got nan"),
    (".inf", "", "expected a time from 0 to 1e15; got inf"),
    ("9" * 400, "", "expected a time from 0 to 1e15; got 999"),
    ("true", "", "expected a time: a number, or one of exponential, uniform, gamma; got true"),
    ("soon", "", "expected a time: a number, or one of exponential, uniform, gamma; got 'soon'"),
    ("[1, 2]", "", "expected a time: a number, or one of exponential, uniform, gamma; got a list"),
    ("null", "", "expected a time: a number, or one of exponential, uniform, gamma; got nothing"),
    ("{}", "", "expected a time: a number, or one of exponential, uniform, gamma; got a mapping"),
    ("{exponential: 1, gamma: [1, 1]}", "", "expected a time: a number, or one of exponential, "),
    ("{exponetial: 1}", "", "unknown time 'exponetial'; did you mean 'exponential'?"),
    ("{exponential: x}", "exponential", "expected mean; got 'x'"),
    ("{exponential: true}", "exponential", "expected mean; got true"),
    ("{exponential: [1, 2]}", "exponential", "expected mean; got a list"),
    ("{exponential: {mean: 1}}", "exponential", "expected mean; got a mapping"),
    ("{exponential: 0}", "exponential", "expected mean, positive, at most 1e15"),
    ("{exponential: -1}", "exponential", "expected mean, positive, at most 1e15"),
    ("{exponential: .nan}", "exponential", "expected mean, positive, at most 1e15"),
    ("{exponential: .inf}", "exponential", "expected mean, positive, at most 1e15"),
    ("{uniform: 1}", "uniform", "expected from, to; got 1"),
    ("{uniform: [1, 2, 3]}", "uniform", "expected from, to; got a list"),
    ("{uniform: [-1, 1]}", "uniform", "expected from, to, positive, at most 1e15, in order"),
    ("{uniform: [2, 1]}", "uniform", "expected from, to, positive, at most 1e15, in order"),
    ("{gamma: [1]}", "gamma", "expected shape, scale; got a list"),
    ("{gamma: [1, no]}", "gamma", "expected shape, scale; got a list"),
    ("{gamma: [0, 1]}", "gamma", "expected shape, scale, positive, at most 1e15"),
    ("{gamma: [1, 0]}", "gamma", "expected shape, scale, positive, at most 1e15"),
]
PLACES = {
    "bags.it.hold": "kind: delayed_returns, hold: §",
    "bags.it.every": "kind: delayed_returns, hold: 1, every: §",
    "bags.it.drawers.ann.hold": "kind: shared, observed: ann, drawers: {ann: {hold: §}}",
    "bags.it.drawers.ann.every": "kind: shared, observed: ann, drawers: {ann: {every: §}}",
    "bags.it.changes[0].every": "kind: scheduled, changes: [{add: {red: 1}, every: §}]",
}


def text(place: str, value: str) -> str:
    keys = PLACES[place].replace("§", value)
    head = "name: clock\nseed: 1\ntrials: 1\nsizes: [2]\nbags:\n"
    return f"{head}  it: {{balls: {{red: 3}}, {keys}}}\n"


def refused(place: str, value: str):
    with pytest.raises(ConfigurationError) as caught:
        read(text(place, value))
    [fault] = caught.value.problems
    return fault


@pytest.mark.parametrize(("value", "inner", "message"), FAULTS, ids=[f[0][:24] for f in FAULTS])
def test_a_bad_time_is_refused_by_name_and_place(value, inner, message):
    fault = refused("bags.it.hold", value)
    assert dotted(fault.path) == "bags.it.hold" + (f".{inner}" if inner else "")
    assert fault.message.startswith(message)
    at = fault.mark.source.line(fault.mark.line)[fault.mark.column :]
    assert at.startswith(value.partition(f"{inner}: ")[2].rstrip("}") if inner else value)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("value", "inner"), [("soon", ""), ("{exponential: 0}", ".exponential")])
def test_a_bad_time_is_refused_wherever_it_stands(place, value, inner):
    assert dotted(refused(place, value).path) == place + inner


@pytest.mark.parametrize("place", PLACES)
def test_a_time_goes_through_yaml_and_back_wherever_it_stands(place):
    one = read(text(place, "{exponential: 2.5}"))
    assert read(dump(one)) == one
    assert "exponential: 2.5" in dump(one)
    assert one != read(text(place, "2.5"))


# what comes first


def happened(start):
    """Return what a simulation says, in order."""
    env, said = Environment(), []
    start(env, said)
    env.run()
    return said


@pytest.mark.parametrize("order", ["first scheduled first", "first scheduled last"])
def test_what_is_first_comes_before_all_else_at_its_time(order):
    def start(env, said):
        def say(word):
            yield env.timeout(2)
            said.append((env.now, word))

        def early(_):
            said.append((env.now, "first"))

        if order == "first scheduled first":
            First(env, 2, early)
        for word in ("a", "b"):
            env.process(say(word))
        if order == "first scheduled last":
            env.run(until=1)
            First(env, 2, early)

    assert happened(start) == [(2, "first"), (2, "a"), (2, "b")]


def test_what_is_first_comes_after_all_that_was_before_its_time():
    def start(env, said):
        env.timeout(1).callbacks.append(lambda _: said.append("before"))
        First(env, 1.5, lambda _: said.append("first"))
        env.timeout(2).callbacks.append(lambda _: said.append("after"))

    assert happened(start) == ["before", "first", "after"]


def test_two_that_are_first_come_in_the_order_in_which_they_were_asked_for():
    def start(env, said):
        for colour in (2, 0, 1):
            First(env, 3, lambda event: said.append(event.colour), colour)

    assert happened(start) == [2, 0, 1]


def test_what_is_first_at_once_comes_before_what_already_waits_at_this_time():
    def start(env, said):
        def now(_):
            said.append("now")
            First(env, 0, lambda event: said.append(("first", env.now, event.colour)))

        env.timeout(1).callbacks.append(now)
        env.timeout(1).callbacks.append(lambda _: said.append("waited"))

    assert happened(start) == ["now", ("first", 1, -1), "waited"]


def test_a_fixed_time_is_shown_as_one():
    assert span(4) == Fixed(value=4.0)
    assert span(4) != span({"exponential": 4})
