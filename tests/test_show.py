"""What a run says at its end: numbers with the digits that their errors bear out, and sentences."""

from __future__ import annotations

import io
import re
from math import inf, nan

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from rich.console import Console

from sim.cli.show import _bias, sentences, show, size_table
from sim.numbers import plain, with_error

quick = settings(deadline=None, derandomize=True, max_examples=300)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.0524, 0.0008, "0.05240 ± 0.00080"),
        (0.05241, 0.00083, "0.05241 ± 0.00083"),
        (-0.05241, 0.00083, "-0.05241 ± 0.00083"),
        (5.0632e-6, 7.3e-8, "(5.063 ± 0.073)e-06"),
        (-5.0632e-6, 7.3e-8, "(-5.063 ± 0.073)e-06"),
        (0.0001, 0.00001, "0.000100 ± 0.000010"),
        (0.00009, 0.00001, "(9.0 ± 1.0)e-05"),
        (1234.5, 12.3, "1234 ± 12"),
        (2345678, 12345, "(2.346 ± 0.012)e+06"),
        (1e-9, 0.02, "0.000 ± 0.020"),
        (0.0, 1e-7, "(0.0 ± 1.0)e-07"),
        (0.5, 0.0, "0.5 exactly"),
        (0.0, 0.0, "0 exactly"),
        (0.123456789, nan, "0.123457"),
        (0.5, inf, "0.5"),
        (inf, 0.1, "∞"),
        (-inf, nan, "-∞"),
        (nan, 0.1, "–"),
    ],
)
def test_a_number_shows_two_digits_of_its_error(value, error, text):
    assert with_error(value, error) == text


sizes = st.floats(1e-200, 1e200)


def read(text: str) -> tuple[float, float, float]:
    """Return value, error and what half of the last digit is worth."""
    matched = re.fullmatch(r"\(?(-?[0-9.]+) ± ([0-9.]+)(?:\)e([+-][0-9]+))?", text)
    assert matched, text
    power = matched[3] or "0"
    digits = len(matched[2].partition(".")[2])
    value, error = (float(f"{part}e{power}") for part in (matched[1], matched[2]))
    return value, error, 0.5 * 10.0 ** (int(power) - digits)


@quick
@given(sizes, st.floats(1e-14, 1e6), st.sampled_from([-1, 1]))
def test_what_is_shown_is_the_number_to_a_tenth_of_its_error(size, ratio, sign):
    value, error = sign * size, size * ratio
    shown, shown_error, half = read(with_error(value, error))
    slack = 1e-9 * error + 1e-15 * abs(value)
    assert abs(shown - value) <= half + slack
    assert abs(shown_error - error) <= half + slack
    assert half <= 0.05 * error * 1.0000001 or 0.5 <= half < 1


@quick
@given(sizes, st.floats(1e-300, 1e300))
def test_no_more_digits_are_shown_than_a_number_has(size, error):
    assume(error < size)
    text = with_error(size, error).partition(" ")[0]
    assert len(re.sub(r"^\(?0\.0*|[^0-9]", "", text)) <= 17


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (None, 6, "–"),
        (0.0201355, 6, "0.0201355"),
        (0.020135513, 3, "0.0201"),
        (5e-06, 6, "5e-06"),
        (100000.0, 6, "100000"),
        (0.0, 6, "0"),
    ],
)
def test_a_plain_number_has_so_many_digits(value, digits, text):
    assert plain(value, digits) == text


def test_infinity_is_shown_as_its_sign():
    assert plain(inf) == "∞"
    assert plain(-inf) == "-∞"


def row(**changes):
    """Return a row of the summary: the bias is 0.05 ± 0.001 where it is not changed."""
    line = {"bag": "urn", "model": "fair", "target": "kl", "estimator": "counting", "size": 10}
    counts = {"trials": 100, "infinite": 0, "undefined": 0, "failed": 0, "p_infinite": 0.0}
    values = {"truth": 0.02, "bias": 0.05, "bias_mcse": 0.001, "exact_mean": 0.0695, "z": 0.5}
    return line | counts | values | changes


def rate(**changes):
    """Return a row of the convergence: the bias falls like n to the power −0.98 ± 0.02."""
    line = {"bag": "urn", "model": "fair", "target": "kl", "estimator": "counting"}
    return (
        line | {"quantity": "bias", "rate": -0.98, "rate_se": 0.02, "theory_rate": -1.0} | changes
    )


def cells(*rows) -> list[list[str]]:
    """Return the texts of the table, row by row; the first row is the head."""
    table = size_table(rows, _bias)
    columns = [[str(column.header), *map(str, column.cells)] for column in table.columns]
    return [list(line) for line in zip(*columns, strict=True)]


def printed(summary, width=80, unit="nats") -> str:
    """Return what is printed of a summary whose every line has the same rate."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    fits = [rate(**{k: r[k] for k in ("bag", "model", "target", "estimator")}) for r in summary]
    show({"summary": summary, "convergence": fits}, unit, console)
    return console.file.getvalue()


def said(summary, convergence=()) -> list[str]:
    return list(sentences(summary, convergence, "nats"))


def test_a_table_has_a_line_for_each_size_and_two_columns_for_each_estimator():
    rows = [row(), row(estimator="other", bias=0.01, exact_mean=None)]
    rows += [row(size=1000, bias=0.0005, bias_mcse=1e-5, exact_mean=0.0205)]
    assert cells(*rows) == [
        ["n", "counting", "exact", "other", "exact"],
        ["10", "0.0500 ± 0.0010", "0.0495", "0.0100 ± 0.0010", ""],
        ["1,000", "0.000500 ± 0.000010", "0.0005", "", ""],
    ]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"bias": 0.0029}, "not seen ± 0.001"),
        ({"bias": -0.0029}, "not seen ± 0.001"),
        ({"bias": 0.0031}, "0.0031 ± 0.0010"),
        ({"bias": -0.0031}, "-0.0031 ± 0.0010"),
        ({"bias": 0.0, "bias_mcse": 0.0}, "0 exactly"),
        ({"bias": 0.25, "bias_mcse": 0.0}, "0.25 exactly"),
        ({"bias": 0.25, "bias_mcse": None}, "0.25"),
        ({"bias": None, "bias_mcse": None}, "–"),
        ({"infinite": 25, "p_infinite": 0.25}, "0.0500 ± 0.0010, ∞ 0.25"),
        ({"bias": None, "bias_mcse": None, "infinite": 100, "p_infinite": 1.0}, "–, ∞ 1"),
    ],
)
def test_a_bias_is_shown_only_as_far_as_it_was_seen(changes, text):
    assert cells(row(**changes))[1][1] == text


def test_no_exact_bias_is_shown_where_the_true_divergence_is_infinite():
    lone = row(truth=inf, bias=None, bias_mcse=None, infinite=90, p_infinite=0.9, exact_mean=0.3)
    assert cells(lone)[1][2] == ""


@pytest.mark.parametrize(
    ("sizes", "shown"),
    [
        ([10], [10]),
        ([*range(1, 9)], [*range(1, 9)]),
        ([*range(1, 10)], [1, 3, 5, 7, 9]),
        ([10, 18, 32, 56, 100, 178, 316, 562, 1000, 1778], [10, 100, 1000, 1778]),
        ([1, 2, 5, 10, 20, 50, 100, 200, 500, 1000], [1, 10, 100, 1000]),
        ([3, 4, 5, 6, 7, 10, 20, 50, 100, 123], [3, 10, 100, 123]),
    ],
)
def test_a_long_table_keeps_both_ends_and_the_powers_of_ten(sizes, shown):
    texts = [line[0] for line in cells(*(row(size=n) for n in sizes))[1:]]
    assert texts == [f"{n:,}" for n in shown]


@quick
@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=60, unique=True).map(sorted))
def test_a_table_is_short_and_in_order_and_keeps_both_ends(sizes):
    texts = [line[0].replace(",", "") for line in cells(*(row(size=n) for n in sizes))[1:]]
    shown = [int(text) for text in texts]
    assert shown == sorted(set(shown))
    assert (shown[0], shown[-1]) == (sizes[0], sizes[-1])
    assert len(shown) <= 10


def test_what_a_run_says_in_whole():
    summary = [
        row(),
        row(size=100, bias=0.005, bias_mcse=0.0001, exact_mean=0.02502, z=-0.8),
        row(size=1000, bias=0.0001, bias_mcse=0.00005, exact_mean=None, z=None),
        row(model=None, target="kl_loss", estimator="laplace", truth=0.0, bias=0.04, failed=3),
    ]
    assert said(summary, [rate(quantity="sd"), rate(estimator="other"), rate()]) == [
        "On average, at n = 100, counting overstates KL by 0.00500 ± 0.00010 nats; exact 0.00502.",
        "Its bias falls like n to the power -0.980 ± 0.020 (theory, for large n: -1).",
        "3 of 4 means have an exact value beside them; the farthest is 0.8 Monte Carlo errors off.",
        "3 estimates failed; their reasons stand in the trials.",
    ]


def test_a_bias_below_zero_understates():
    assert said([row(bias=-0.05, exact_mean=None, z=None)]) == [
        "On average, at n = 10, counting understates KL by 0.0500 ± 0.0010 nats."
    ]


def test_a_bias_that_was_not_seen_is_said_to_be_so():
    unseen = "No bias of counting was seen: it is within 3 Monte Carlo errors of 0."
    assert said([row(bias=0.0029, z=None)]) == [unseen]
    assert said([row(bias=0.0, bias_mcse=0.0, z=None)]) == [unseen]


def test_without_trials_nothing_is_claimed():
    assert said([]) == ["There are no trials yet."]


def test_where_no_bias_is_known_none_is_called_small():
    lone = row(bias=None, bias_mcse=None, truth=inf, infinite=100, p_infinite=1.0, z=None)
    assert not any("within 3 Monte Carlo errors" in text for text in said([lone]))
    failed = row(bias=None, bias_mcse=None, failed=100, exact_mean=None, z=None)
    assert not any("within 3 Monte Carlo errors" in text for text in said([failed]))


def test_one_trial_shows_no_bias_for_it_has_no_error():
    single = row(trials=1, bias_mcse=None, z=None)
    assert not any("overstates" in text for text in said([single]))
    assert "counting" in printed([single])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"theory_rate": None}, "Its bias falls like n to the power -0.980 ± 0.020."),
        (
            {"rate_se": None},
            "Its bias falls like n to the power -0.98 (theory, for large n: -1).",
        ),
    ],
)
def test_a_rate_is_said_with_what_is_known_of_it(changes, text):
    assert said([row(z=None)], [rate(**changes)])[-1] == text


def test_a_rate_that_was_not_fitted_is_not_said():
    assert len(said([row(z=None)], [rate(rate=None, rate_se=None)])) == 1


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({}, "Bias of KL (bits): bag urn against model fair; the true KL is 0.02"),
        ({"target": "js"}, "Bias of js (bits): bag urn against model fair; the true js is 0.02"),
        (
            {"model": None, "target": "kl_loss", "truth": 0.0},
            "KL loss of bag urn (bits): from the real one to what was learned",
        ),
        (
            {"truth": inf, "bias": None},
            "Bias of KL (bits): bag urn against model fair; the true KL is ∞",
        ),
    ],
)
def test_a_table_says_what_it_is_of(changes, title):
    assert printed([row(**changes)], unit="bits").splitlines()[0] == title


def test_a_truth_that_changes_with_the_size_is_said_to_do_so():
    head = printed([row(), row(size=20, truth=0.03)]).splitlines()[0]
    assert head.endswith("the true KL is by size")


def test_each_bag_model_and_target_has_a_table_of_its_own_up_to_twelve():
    text = printed([row(model=f"m{n}") for n in range(15)])
    assert text.count("Bias of KL") == 12
    assert "… and 3 more in summary.parquet" in text


def test_labels_are_printed_as_they_are_written():
    text = printed([row(bag="[red]b[/red]", model="[/]", estimator=":smile: [bold]")])
    for label in ("[red]b[/red]", "[/]", ":smile: [bold]"):
        assert label in text


def test_no_number_is_cut_where_the_table_is_narrow():
    labels = ["counting", "laplace", "miller_madow"]
    rows = [
        row(estimator=label, size=size, bias=5.0632e-6, bias_mcse=7e-8, exact_mean=0.02000500031)
        for size in (10, 100_000)
        for label in labels
    ]
    text = printed(rows, width=80)
    assert "…" not in text
    assert text.count("e-06") >= len(rows) * 2


def test_how_often_intervals_hold_the_truth_stands_below_the_bias():
    held = {"coverage": 0.8077, "coverage_mcse": 0.0088, "exact_coverage": 0.807715514}
    text = printed([row(**held), row(estimator="plain", coverage=None)])
    title, head, line = (
        next(i for i, one in enumerate(text.splitlines()) if words in one)
        for words in ("intervals at 0.95 hold it: bag urn against model fair", "counting", "0.8077")
    )
    assert "0.8077 ± 0.0088 │ 0.80772" in text.splitlines()[line]
    assert head < title < line
    # an estimator without an interval has no column there
    assert "plain" not in text.splitlines()[title + 2]


def test_without_intervals_nothing_is_said_of_them():
    assert "intervals" not in printed([row(), row(coverage=None)])


def test_the_bias_at_the_largest_size_is_the_adjusted_one_where_there_is_one():
    adjusted = {"adjusted_bias": 0.0495, "adjusted_bias_mcse": 0.0000012}
    text = printed([row(**adjusted)], width=120)
    assert "0.0495000 ± 0.0000012" in text
    assert "adjusted by control variates" in text
    exact = printed([row(adjusted_bias=0.0495, adjusted_bias_mcse=0.0)], width=120)
    assert "0.0495 exactly" in exact
    plain_one = printed([row(adjusted_bias=None)], width=120)
    assert "0.0500 ± 0.0010" in plain_one
    assert "adjusted" not in plain_one
