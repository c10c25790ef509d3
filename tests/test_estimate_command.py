"""`klsim estimate`: counts, models and files as they are typed; a table or JSON answers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from math import inf, log
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import pytest

import sim
from sim.cli import verbs
from sim.cli.colours import Numbers, aligned
from sim.cli.terminal import harmless
from sim.numbers import plain
from sim.own_counts import every_estimate

KLSIM = str(Path(sys.executable).parent / "klsim")
CELL = re.compile(r"^│ (.*?) +│ +(\S+) │ (.*?) +│ *$")


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Return the JSON, read by one who knows no Infinity and no NaN."""

        def refuse(word: str) -> None:
            raise AssertionError(f"{word} is no JSON")

        return json.loads(self.out, parse_constant=refuse)

    def table(self) -> dict[str, tuple[str, str]]:
        """Return estimate and assumption by estimator."""
        found = [match.groups() for line in self.out.splitlines() if (match := CELL.match(line))]
        assert len({label for label, _, _ in found}) == len(found)
        return {label: (value, assumes) for label, value, assumes in found}


@pytest.fixture
def estimate(capsys, monkeypatch, tmp_path):
    """Return the command, run here in an own directory; its answer is never a traceback."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["klsim", "estimate", *arguments])
        code = verbs.code()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Answer(code, out, err)

    return run


@pytest.fixture
def done(estimate):
    """Return the command, which must succeed and complain of nothing."""

    def run(*arguments: str) -> Answer:
        answer = estimate(*arguments)
        assert (answer.code, answer.err) == (0, "")
        return answer

    return run


@pytest.fixture
def refused(estimate):
    """Return the command, which must refuse with exit code 2 and these words."""

    def run(words: list[str], *arguments: str) -> None:
        answer = estimate(*arguments)
        assert answer.code == 2, answer.out
        assert answer.out == ""
        missing = [word for word in words if word not in answer.err]
        assert not missing, f"{answer.err!r} does not say {missing}"

    return run


def values(answer: Answer) -> dict[str, Any]:
    return {row["estimator"]: row["estimate"] for row in answer.json()["estimates"]}


def written(**columns: list[Any]) -> None:
    """Write the columns to draws.parquet and draws.csv."""
    table = pd.DataFrame(columns)
    table.to_parquet("draws.parquet")
    table.to_csv("draws.csv", index=False)


FILES = pytest.mark.parametrize("file", ["draws.parquet", "draws.csv"])
P = ["red"] * 4 + ["blue"] * 2 + ["green"] * 3


# what is shown


@pytest.mark.parametrize(
    ("arguments", "known"),
    [
        ((), {}),
        (("--model", "1,2,3,4"), {"model": [1, 2, 3, 4]}),
        (("--model-counts", "3,1,2,2"), {"model_counts": [3, 1, 2, 2]}),
        (("--model-counts", "3,0,2,2"), {"model_counts": [3, 0, 2, 2]}),
        (("--target", "js_distance", "--unit", "bits"), {"target": "js_distance", "unit": "bits"}),
        (
            ("--target", "renyi(2)", "--model", "1,0,3,4"),
            {"target": "renyi(2)", "model": [1, 0, 3, 4]},
        ),
    ],
    ids=["uniform", "model", "counts", "a gap in Q", "js_distance", "renyi"],
)
def test_table_and_json_show_every_estimate_as_it_is(done, arguments, known):
    rows = every_estimate([4, 2, 3, 0], **known)
    typed = ("--counts", "4,2,3,0", *arguments)
    assert done(*typed).table() == {row.label: (plain(row.estimate), row.assumes) for row in rows}
    answer = done(*typed, "--json").json()
    assert answer["colours"] == ["1", "2", "3", "4"]
    assert answer["counts"] == [4, 2, 3, 0]
    assert (answer["target"], answer["unit"]) == (
        known.get("target", "kl"),
        known.get("unit", "nats"),
    )
    for row, shown in zip(rows, answer["estimates"], strict=True):
        value = row.estimate
        assert shown == {
            "estimator": row.label,
            "parameters": row.parameters,
            "estimate": "Infinity" if value == inf else None if np.isnan(value) else value,
            "assumes": row.assumes,
        }


def test_the_parameters_in_json_ask_for_the_same_number_from_python(done):
    answer = done("--counts", "4,2,3,0", "--model-counts", "3,1,2,2", "--json").json()
    for row in answer["estimates"]:
        keys = dict(row["parameters"])
        found = sim.estimate(
            answer["counts"],
            model_counts=answer["model_counts"],
            estimator=keys.pop("kind"),
            **keys,
        )
        assert row["estimate"] == (None if np.isnan(found) else found)


def test_both_samples_are_told_above_the_table(done):
    lines = done("--counts", "4,2,3,0", "--model-counts", "3,1,2,2").out.splitlines()
    assert lines[0].startswith("P: 4, 2, 3, 0; n = 9, K = 4")
    assert lines[1].startswith("Q: 3, 1, 2, 2; m = 8, K = 4")
    assert done("--counts", "4,2").out.splitlines()[1] == "Q: uniform; known"
    assert done("--counts", "4,2", "--model", "1,4").out.splitlines()[1] == "Q: 0.2, 0.8; known"


def test_the_unit_is_told_where_the_target_has_one(done):
    assert "kl, in nats" in done("--counts", "4,2").out
    assert "kl, in bits" in done("--counts", "4,2", "--unit", "bits").out
    assert "in bits" not in done("--counts", "4,2", "--unit", "bits", "--target", "chi_square").out


def test_a_long_list_of_colours_is_cut_short_and_says_so(done):
    out = done("--counts", ",".join(["3"] * 3000)).out
    assert out.splitlines()[0].startswith(
        "P: 3, 3, 3, 3, 3, 3, 3, 3, … 2,992 more; n = 9,000, K = 3,000"
    )


def test_infinity_is_a_sign_in_the_table_and_a_text_in_json(done):
    typed = ("--counts", "4,2", "--model-counts", "3,0")
    table = done(*typed).table()
    assert table["plug_in"][0] == "∞"
    assert table["miller_madow"][0] == "–"
    answer = values(done(*typed, "--json"))
    assert answer["plug_in"] == "Infinity"
    assert answer["miller_madow"] is None
    assert answer["plug_in (laplace)"] > 0


# names and places


def test_colours_go_by_name_in_any_order(done):
    by_name = done(
        "--counts", "red=4,blue=2,green=3", "--model", "blue=1,green=2,red=3", "--json"
    ).json()
    assert by_name["colours"] == ["red", "blue", "green"]
    assert by_name["counts"] == [4, 2, 3]
    by_place = done("--counts", "4,2,3", "--model", "3,1,2", "--json").json()
    assert by_name["estimates"] == by_place["estimates"]


def test_a_colour_of_the_model_that_was_not_drawn_counts_zero(done):
    answer = done("--counts", "red=4,blue=2", "--model", "blue=1,red=1,green=2", "--json").json()
    assert answer["colours"] == ["red", "blue", "green"]
    assert answer["counts"] == [4, 2, 0]
    assert answer["model"] == [1, 1, 2]


def test_numbers_without_names_go_by_place_beside_names(done):
    named_q = done("--counts", "4,2", "--model", "red=1,blue=3", "--json").json()
    named_p = done("--counts", "red=4,blue=2", "--model", "1,3", "--json").json()
    assert named_q == named_p
    assert named_q["colours"] == ["red", "blue"]


def test_numbers_without_names_as_many_on_both_sides(refused):
    refused(["as many colours", "2 and 3"], "--counts", "4,2", "--model", "1,1,1")


@pytest.mark.parametrize("order", ["3=5,1=3,2=2", "1=3,2=2,3=5", "2=2,3=5,1=3"])
def test_names_that_are_numbers_are_names(done, order):
    """Token ids are names too: 3 of one side meets 3 of the other."""
    answer = done("--counts", "1=4,2=3,3=2", "--model", order, "--json").json()
    assert dict(zip(answer["colours"], answer["counts"], strict=True)) == {"1": 4, "2": 3, "3": 2}
    assert dict(zip(answer["colours"], answer["model"], strict=True)) == {"1": 3, "2": 2, "3": 5}


def test_a_named_number_that_the_other_side_lacks_is_no_other_colour(refused):
    refused(["'3'"], "--counts", "1=4,2=3,3=2", "--model", "1=5,2=3,7=2")


def test_tokens_of_a_file_meet_those_of_the_counts_by_name(done):
    written(token=[1, 1, 2, 3, 3, 3])
    answer = done(
        "--counts", "3=4,2=2,1=1", "--file", "draws.parquet", "--column", "token", "--json"
    ).json()
    assert dict(zip(answer["colours"], answer["model_counts"], strict=True)) == {
        "1": 2,
        "2": 1,
        "3": 3,
    }
    assert dict(zip(answer["colours"], answer["counts"], strict=True)) == {"1": 1, "2": 2, "3": 4}


def test_names_on_some_counts_only_are_refused(refused):
    refused(["--counts", "name"], "--counts", "a=1,2")


def test_a_name_may_hold_an_equals_sign_and_spaces_around_it_are_nothing(done):
    answer = done("--counts", " a=b = 4, blue =2", "--json").json()
    assert (answer["colours"], answer["counts"]) == (["a=b", "blue"], [4, 2])


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("4,2", {"1": 4, "2": 2}),
        ("red=4,blue=.5", {"red": 4, "blue": 0.5}),
        ("1e3, 2", {"1": 1000, "2": 2}),
    ],
)
def test_numbers_are_read_as_they_are_typed(value, found):
    assert dict(Numbers().convert(value, None, None)) == found
    assert Numbers().convert(Numbers().convert(value, None, None), None, None) == found


def test_both_sides_are_brought_into_one_order():
    read = Numbers().convert
    own, other = read("b=2,a=1", None, None), read("a=5,c=7,b=6", None, None)
    assert aligned(own, other) == (["b", "a", "c"], [2, 1, 0], [6, 5, 7])
    with pytest.raises(click.UsageError, match="'d'"):
        aligned(read("d=1", None, None), other)


# files


@FILES
def test_a_column_of_a_file_is_counted(done, file):
    written(colour=P, other=list(range(9)))
    answer = done("--file", file, "--column", "colour", "--json").json()
    assert dict(zip(answer["colours"], answer["counts"], strict=True)) == {
        "red": 4,
        "blue": 2,
        "green": 3,
    }
    expected = done("--counts", "blue=2,green=3,red=4", "--json").json()
    assert answer["estimates"] == expected["estimates"]


@FILES
def test_with_counts_the_file_is_the_models_sample(done, file):
    written(colour=P)
    answer = done(
        "--counts", "red=3,green=1,blue=2", "--file", file, "--column", "colour", "--json"
    ).json()
    assert (answer["counts"], answer["model_counts"]) == ([3, 1, 2], [4, 3, 2])
    assert "model" not in answer
    typed = done("--counts", "3,1,2", "--model-counts", "4,3,2", "--json").json()
    assert answer["estimates"] == typed["estimates"]


@FILES
def test_a_file_stands_beside_a_model_by_name(done, file):
    written(colour=P)
    answer = done(
        "--file", file, "--column", "colour", "--model", "red=1,green=2,blue=3,black=4", "--json"
    ).json()
    assert dict(zip(answer["colours"], answer["counts"], strict=True))["black"] == 0
    typed = done("--counts", "4,3,2,0", "--model", "1,2,3,4", "--json")
    assert values(typed)["plug_in"] == pytest.approx(answer["estimates"][0]["estimate"], rel=1e-12)


@FILES
def test_a_colour_that_the_models_sample_lacks_was_not_drawn_from_it(done, file):
    """Nobody can add a colour to a file with no draw of it: it is infinite, and told so."""
    written(colour=["red", "blue", "blue"])
    answer = done(
        "--counts", "red=3,green=1", "--file", file, "--column", "colour", "--json"
    ).json()
    found = dict(zip(answer["colours"], answer["model_counts"], strict=True))
    assert found == {"red": 1, "green": 0, "blue": 2}
    assert answer["estimates"][0]["estimate"] == "Infinity"


@FILES
def test_gaps_are_asked_about_and_then_dropped_or_a_colour(done, refused, file):
    written(colour=[*P, None])
    read = ("--file", file, "--column", "colour")
    refused(["1 of 10 values", "drop", "colour"], *read)
    assert sum(done(*read, "--missing", "drop", "--json").json()["counts"]) == 9
    kept = done(*read, "--missing", "colour", "--json").json()
    assert dict(zip(kept["colours"], kept["counts"], strict=True))["missing"] == 1


def test_what_to_do_about_gaps_is_told_as_the_command_takes_it(refused):
    written(colour=[*P, None])
    refused(["--missing drop"], "--file", "draws.csv", "--column", "colour")


FILE_FAULTS = {
    "not there": (("nothing.csv", "colour"), ["nothing.csv", "does not exist"]),
    "a folder": ((".", "colour"), ["directory"]),
    "no table": (("notes.txt", "colour"), ["notes.txt", ".parquet or .csv"]),
    "no Parquet": (("broken.parquet", "colour"), ["broken.parquet", "cannot be read as Parquet"]),
    "an empty CSV": (("empty.csv", "colour"), ["empty.csv", "cannot be read as CSV"]),
    "no such column": (("draws.csv", "color"), ["no column 'color'", "did you mean 'colour'?"]),
    "no rows": (("bare.csv", "colour"), ["'colour' has no rows"]),
    "lists": (("lists.parquet", "colour"), ["holds lists"]),
}


@pytest.mark.parametrize(("asked", "words"), FILE_FAULTS.values(), ids=FILE_FAULTS)
def test_a_file_that_gives_no_counts_is_refused(refused, asked, words):
    written(colour=P)
    Path("notes.txt").write_text("colour\nred\n", encoding="utf-8")
    Path("broken.parquet").write_bytes(b"PAR1 and then nothing")
    Path("empty.csv").write_bytes(b"")
    Path("bare.csv").write_text("colour\n", encoding="utf-8")
    pd.DataFrame({"colour": [["red"], ["blue"]]}).to_parquet("lists.parquet")
    file, column = asked
    refused(words, "--file", file, "--column", column)
    refused(words, "--counts", "red=1", "--file", file, "--column", column)


def test_a_file_may_lie_anywhere_also_behind_a_link(done, tmp_path):
    written(colour=P)
    Path("deep").mkdir()
    Path("draws.csv").rename("deep/data.csv")
    Path("link.csv").symlink_to("deep/data.csv")
    for path in ("deep/data.csv", str(tmp_path / "deep" / "data.csv"), "link.csv"):
        assert sum(done("--file", path, "--column", "colour", "--json").json()["counts"]) == 9


# hostile names


HOSTILE = {
    "markup": "[red]x[/red]",
    "a closing tag": "[/]",
    "quotes": 'it\'s "so"',
    "right to left": "אדום\u202eabc",
    "long": "x" * 200,
    "a backslash": "a\\[b",
    "an emoji code": ":smile:",
    "a formula": "{n!r}%s",
}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_any_name_is_shown_and_kept_as_it_is(done, name):
    typed = ("--counts", f"{name}=4,blue=2", "--model", f"blue=1,{name}=3")
    out = done(*typed).out.replace("\n", "")
    assert f"{harmless(name)} 4, blue 2" in out
    assert done(*typed, "--json").json()["colours"] == [name, "blue"]
    written(colour=[name] * 3 + ["blue"])
    for file in ("draws.parquet", "draws.csv"):
        answer = done("--file", file, "--column", "colour", "--json").json()
        assert dict(zip(answer["colours"], answer["counts"], strict=True)) == {name: 3, "blue": 1}
        assert f"{harmless(name)} 3" in done("--file", file, "--column", "colour").out.replace(
            "\n", ""
        )


@pytest.mark.parametrize("control", ["\x1b[31m", "\x07", "\r", "\n", "\x9b2J"], ids=repr)
def test_a_control_character_in_a_name_never_reaches_the_terminal(estimate, control):
    name = f"re{control}d"
    written(colour=[name] * 3 + ["blue"])
    for typed in (
        ("--counts", f"{name}=4,blue=2"),
        ("--file", "draws.parquet", "--column", "colour"),
    ):
        answer = estimate(*typed)
        assert answer.code in (0, 2)
        assert name not in answer.out + answer.err


# what is refused


USAGE = {
    "nothing": ((), ["--counts 4,2,3,0", "--file"]),
    "a model alone": (("--model", "1,2"), ["expected --counts"]),
    "a file without a column": (("--counts", "1,2", "--file", "draws.csv"), ["go together"]),
    "a column without a file": (("--counts", "1,2", "--column", "a"), ["go together"]),
    "two models": (("--counts", "1,2", "--model", "1,2", "--model-counts", "1,2"), ["one Q"]),
    "a model and a file": (
        ("--counts", "1", "--model", "1", "--file", "draws.csv", "--column", "colour"),
        ["one Q"],
    ),
    "gaps without a file": (("--counts", "1,2", "--missing", "drop"), ["--missing", "--file"]),
    "no numbers": (("--counts", ""), ["--counts", "expected numbers", "got ''"]),
    "a gap": (("--counts", "4,,2"), ["--counts", "expected numbers"]),
    "words": (("--counts", "four,two"), ["--counts", "4,2,3,0", "'four'"]),
    "spaces for commas": (("--counts", "4 2 3"), ["--counts", "'4 2 3'"]),
    "a name without a number": (("--counts", "red=,blue=2"), ["--counts", "'red='"]),
    "a number without a name": (("--counts", "=3,blue=2"), ["--counts"]),
    "a name twice": (("--counts", "red=1,red=2"), ["colour 'red' is named twice"]),
    "negative": (("--counts", "4,-2"), ["counts", "whole numbers, 0 or more", "got -2"]),
    "fractional": (("--counts", "4,2.5"), ["counts", "whole numbers", "got 2.5"]),
    "NaN": (("--counts", "nan,2"), ["counts", "got nan"]),
    "too large": (("--counts", "1e400,2"), ["counts", "got inf"]),
    "all zero": (("--counts", "0,0"), ["counts", "at least one draw"]),
    "negative by name": (("--counts", "red=4,blue=-2"), ["counts", "got -2", "blue"]),
    "a negative model": (("--counts", "1,2", "--model", "1,-2"), ["model", "0 or more"]),
    "a model of zeros": (("--counts", "1,2", "--model", "0,0"), ["model", "not all 0"]),
    "a model not drawn": (("--counts", "1,2", "--model-counts", "0,0"), ["model", "one draw"]),
    "fractional model counts": (("--counts", "1,2", "--model-counts", ".5,.5"), ["got 0.5"]),
    "a colour the model lacks": (
        ("--counts", "red=1,blu=2", "--model", "red=1,blue=1"),
        ["'blu'", "did you mean 'blue'?", "0 where it never shows"],
    ),
    "an unknown target": (("--counts", "1,2", "--target", "kll"), ["'kll'", "mean 'kl'?"]),
    "an unknown unit": (("--counts", "1,2", "--unit", "bit"), ["--unit", "'nats', 'bits'"]),
    "an unknown option": (("--count", "1,2"), ["--count"]),
    "an argument": (("4,2,3,0",), ["4,2,3,0"]),
}


@pytest.mark.parametrize(("typed", "words"), USAGE.values(), ids=USAGE)
def test_what_is_typed_wrongly_is_refused_with_how_to_mend_it(refused, typed, words):
    written(colour=P)
    refused(words, *typed)


# the real thing


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [KLSIM, "estimate", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_installed_command_answers_in_a_process_of_its_own():
    done = process("--counts", "4,2,3,0", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    [plug_in, *_] = json.loads(done.stdout)["estimates"]
    c = np.array([4, 2, 3]) / 9
    assert plug_in["estimate"] == pytest.approx(np.sum(c * np.log(c)) + log(4), rel=1e-13)
    refused = process("--counts", "4,-2")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "Traceback" not in refused.stderr


def test_a_terminal_that_knows_ascii_only_gets_an_answer():
    done = process("--counts", "4,2,3,0", LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0
    assert "plug_in" in done.stdout
    assert done.stderr == ""


def test_the_help_names_every_way_to_give_q():
    text = process("--help").stdout
    for option in ("--counts", "--model", "--model-counts", "--file", "--column", "--json"):
        assert option in text
