"""`klsim floor` and `klsim size` as they are typed: a sentence or JSON, or what is wrong."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sim
from sim.cli import verbs
from sim.cli.asked import Balls

DOC = (Path(__file__).parent.parent / "docs" / "floor.md").read_text(encoding="utf-8")
few = settings(deadline=None, derandomize=True, max_examples=150)


@pytest.fixture
def klsim(capsys, monkeypatch):
    """Return the command, run here: its exit code, and what it says."""

    def run(line):
        monkeypatch.setattr(sys, "argv", ["klsim", *shlex.split(line)])
        code = verbs.code()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return run


@pytest.fixture
def done(klsim):
    """Return the command, which must succeed and complain of nothing; its answer."""

    def run(line):
        code, out, err = klsim(line)
        assert (code, err) == (0, "")
        return out

    return run


@pytest.mark.parametrize(
    ("observed", "words"),
    [
        ("0.003", "0.003 is not beyond that (p = 0.279): that is what noise looks like."),
        ("0.012", "0.012 is beyond that (p = 0.0304): rare for noise"),
        ("0.03", "0.03 is beyond that (p = 0.000502): that is no noise."),
        ("0.9", "0.9 is beyond that (p < 1e-15): that is no noise."),
    ],
)
def test_a_sentence_says_whether_it_is_noise(done, observed, words):
    out = done(f"floor --balls 10,15 --size 200 --observed {observed}")
    assert "a counted KL is at most 0.01005 nats in 95 of 100 cases when nothing differs" in out
    assert words in out


def test_trials_say_that_they_are_trials_and_never_that_a_chance_is_0(done):
    out = done("floor --colours 50 --size 200 --observed 0.5 --trials 2000 --seed 4")
    assert "By 2,000 trials, seed 4" in out
    assert "the true one lies in" in out
    assert "p < 0.001: in none of 2,000 trials as much" in out
    near = done("floor --colours 2 --size 200 --observed 0.0099 --trials 200")
    assert "more --trials would tell" in near


@pytest.mark.parametrize(
    ("typed", "balls"),
    [
        ("--balls 10,15", [10, 15]),
        ("--balls 'red=10, blue=15'", {"red": 10, "blue": 15}),
        ("--balls zipf:4:1.5", {"zipf": {"colours": 4, "exponent": 1.5}}),
        ("--balls zipf:4", {"zipf": {"colours": 4}}),
        ("--balls geometric:3:0.5", {"geometric": {"colours": 3, "ratio": 0.5}}),
        ("--balls dirichlet:3:1:7", {"dirichlet": {"colours": 3, "concentration": 1, "seed": 7}}),
        ("--colours 3", {"uniform": {"colours": 3}}),
        ("--balls a:b=1,c=2", {"a:b": 1, "c": 2}),
    ],
)
def test_balls_may_be_typed_by_place_by_name_or_as_a_family(done, typed, balls):
    told = json.loads(done(f"floor {typed} --size 10 --observed 0.1 --json"))
    found = sim.noise_floor(balls, 10, 0.1)
    assert told["tail"]["p"] == found.tail.p
    assert [each["value"] for each in told["quantiles"]] == [q.value for q in found.quantiles]
    size = json.loads(done(f"size {typed} --error 0.3 --json"))
    assert size["size"] == sim.size_for_error(balls, 0.3).size


def test_an_estimator_is_asked_for_by_its_label(done):
    told = json.loads(done("floor --balls 2,3 --size 9 --estimator 'plug_in (laplace)' --json"))
    laplace = {"kind": "add_constant", "amount": "laplace"}
    assert told["estimator"] == "plug_in (laplace)"
    assert told["mean"] == sim.noise_floor([2, 3], 9, learner=laplace).mean


def test_all_options_reach_the_answer(done):
    line = "floor --balls 4,6 --size 5 --two-sample 4 --without-replacement --target js --unit bits"
    told = json.loads(done(f"{line} --observed 0.2 --json"))
    keys = {"two_sample": 4, "without_replacement": True, "target": "js", "unit": "bits"}
    assert told["tail"]["p"] == sim.noise_floor([4, 6], 5, 0.2, **keys).tail.p
    line = "size --balls 4,6 --model 1,1 --error 0.1 --confidence 0.9 --target js --unit bits"
    told = json.loads(done(f"{line} --json"))
    keys = {"target": "js", "unit": "bits", "model": [1, 1]}
    assert told["size"] == sim.size_for_error([4, 6], 0.1, 0.9, **keys).size


def test_a_target_without_a_unit_is_told_without_one(done):
    out = done("floor --balls 1,2 --size 5 --target total_variation --observed 0.1")
    assert "nats" not in out
    assert "nats" not in done("size --balls 1,2 --error 0.2 --target total_variation")


def test_size_tells_the_sawtooth_and_what_is_proved(done):
    out = done("size --balls 10,15 --error 0.01 --confidence 0.95")
    assert "From 201 draws on" in out
    assert "190 is the first size that is enough, 200 the last that is not" in out
    assert "beyond, it is proved" in out
    out = done("size --balls 1,1 --model 1,3 --error 0.2 --estimator jackknife")
    assert "beyond, nothing is proved" in out
    assert "From 1 draw on" in done("size --balls 1,1 --error 5")


def test_a_size_by_trials_stands_in_its_bracket(done):
    out = done("size --colours 9 --error 0.1 --trials 500")
    size, low, high = (
        int(text.replace(",", ""))
        for text in re.search(
            r"about ([\d,]+) .*in ([\d,]+) … ([\d,]+) in", out, re.DOTALL
        ).groups()
    )
    assert low <= size <= high


def test_never_is_an_answer(done):
    assert "No number of draws is enough: the true divergence is infinite" in done(
        "size --balls 1,1 --model 1,0 --error 0.1"
    )
    told = json.loads(done("size --balls 1,1 --model 1,0 --error 0.1 --json"))
    assert (told["size"], told["truth"]) == (None, "Infinity")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("expected --balls 10,15, or --colours 50", "floor --size 5"),
        ("expected --balls 10,15, or --colours 50", "size --error 1 --balls 1,2 --colours 3"),
        ("Missing option '--size'", "floor --balls 1,2"),
        ("greater than or equal to 1; got 0", "floor --colours 0 --size 5"),
        ("expected zipf:colours:exponent", "floor --balls zopf:3 --size 5"),
        ("expected zipf:colours:exponent", "floor --balls zipf:3:1:1 --size 5"),
        ("expected numbers, as in zipf", "floor --balls zipf:a --size 5"),
        ("less than or equal to 1000000; got 1000000000", "floor --balls zipf:1e9 --size 5"),
        ("balls.2: expected a number of balls from 0", "floor --balls 1,-1 --size 5"),
        ("did you mean 'plug_in'", "floor --balls 1,2 --size 5 --estimator plugin"),
        ("error: expected a number above 0", "size --balls 1,2 --error 0"),
        ("confidence: expected a number above 0", "size --balls 1,2 --error 1 --confidence 95"),
        ("colour 'b' is missing", "size --balls a=1,b=2 --model a=1,c=2 --error 1"),
    ],
)  # fmt: skip
def test_a_fault_is_one_sentence_and_exit_code_2(klsim, words, line):
    code, out, err = klsim(line)
    assert (code, out) == (2, "")
    assert words in err


@few
@given(st.text(alphabet="0123456789.,=:-+eEinfa zipuform_\n", max_size=25))
def test_whatever_is_typed_as_balls_is_taken_or_refused(text):
    try:
        balls = Balls().convert(text, None, None)
        found = sim.noise_floor(balls, 2, 0.1, trials=100)
    except (click.UsageError, ValueError):
        return
    assert 0 <= found.tail.p <= 1


# docs/floor.md


def examples():
    """Return every command of the page with the output that stands below it."""
    blocks = re.findall(r"```console\n(.*?)```", DOC, re.DOTALL)
    found = [block.partition("\n") for block in blocks]
    return [(command.removeprefix("$ klsim "), output) for command, _, output in found]


@pytest.mark.parametrize(("line", "output"), examples())
def test_the_page_shows_what_the_command_says(done, line, output):
    assert done(line) == output


def test_the_table_of_floors_is_what_is_worked_out():
    rows = re.findall(r"^\| ([\d,]+) \|(.*)\|$", DOC, re.MULTILINE)
    sizes = [int(n.replace(",", "")) for n, _ in rows]
    assert sizes == [10, 30, 100, 300, 1000, 10_000]
    for n, (_, cells) in zip(sizes, rows, strict=True):
        told = [cell.strip().split(" (") for cell in cells.split("|")]
        for colours, (value, beside) in zip((2, 3, 10, 100), told, strict=True):
            trials = None if colours <= 3 else 10_000
            floor = sim.noise_floor([1] * colours, n, trials=trials).quantiles[2]
            digits = 3 if trials is None else 2
            assert value == f"{floor.value:.{digits}g}", (n, colours)
            assert beside == f"{floor.chi_square:.{digits}g})", (n, colours)
