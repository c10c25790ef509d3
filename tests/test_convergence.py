"""Fitted rates agree with the same fit of the exact values, and these go where theory says."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, log, sqrt
from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow as pa
import pytest

from sim.analysis import convergence
from sim.analysis.analyze import Analysis, analyze
from sim.analysis.fits import SEEN, fit
from sim.analysis.resampling import Resampling
from sim.analysis.series import COLUMNS, Key, Line, series
from sim.api import load
from sim.asymptotics import Quantity
from sim.experiment import Experiment
from sim.tables import CONVERGENCE
from sim.trials import block_rows

RED_BLUE = Path(__file__).parent.parent / "configs" / "red_blue.yaml"
QUANTITIES = get_args(Quantity)
LINE = Line._fields


@dataclass(frozen=True)
class Memory:
    """Parts that were never written."""

    tables: tuple[pa.Table, ...]

    @classmethod
    def of(cls, known: Experiment) -> Memory:
        blocks = [(bag, index) for bag in known.bags for index in range(known.blocks(bag))]
        return cls(tuple(block_rows(known, bag, index) for bag, index in blocks))

    def read(self, columns=None):
        return (table.select(columns or table.column_names) for table in self.tables)


@dataclass(frozen=True)
class Study:
    experiment: Experiment
    parts: Memory
    analysis: Analysis

    @classmethod
    def of(cls, known: Experiment) -> Study:
        parts = Memory.of(known)
        return cls(known, parts, analyze(known, parts))

    @property
    def fits(self) -> dict[tuple[Line, str], dict]:
        rows = self.analysis.convergence.to_pylist()
        return {(Line(*(one[name] for name in LINE)), one["quantity"]): one for one in rows}

    def summary(self, line: Line) -> list[dict]:
        rows = self.analysis.summary.to_pylist()
        return [one for one in rows if all(one[name] == getattr(line, name) for name in LINE)]


def small(**changes) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "convergence",
            "seed": 23,
            "trials": 1500,
            "sizes": [10, 30, 100, 300],
            "bags": {"bag": {"kind": "with_replacement", "balls": {"red": 10, "blue": 15}}},
            "models": {"itself": {"kind": "itself"}, "fair": {"kind": "uniform"}},
            **changes,
        }
    )


@pytest.fixture(scope="module")
def red_blue() -> Study:
    return Study.of(load(RED_BLUE))


def exact_value(one: dict, quantity: str) -> float:
    bias = one["exact_mean"] - one["truth"]
    return {"bias": bias, "sd": one["exact_sd"], "rmse": hypot(bias, one["exact_sd"])}[quantity]


def exact_fit(rows: list[dict], quantity: str) -> tuple[float, float]:
    """Rate and log of the size of the constant: the fit's own sizes and weights, exact values."""
    seen = [one for one in rows if one[f"{quantity}_mcse"] and _seen(one, quantity)]
    x = np.log([one["size"] for one in seen])
    y = np.log(np.abs([exact_value(one, quantity) for one in seen]))
    weights = [abs(one[quantity]) / one[f"{quantity}_mcse"] for one in seen]
    rate, height = np.polyfit(x, y, 1, w=weights)
    return float(rate), float(height)


def _seen(one: dict, quantity: str) -> bool:
    return abs(one[quantity]) >= SEEN * one[f"{quantity}_mcse"]


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_rates_are_those_of_the_exact_values_within_their_errors(red_blue, quantity):
    found = 0
    for (line, name), one in red_blue.fits.items():
        if name == quantity and one["rate"] is not None:
            rate, height = exact_fit(red_blue.summary(line), quantity)
            relative = one["constant_se"] / abs(one["constant"])
            assert abs(one["rate"] - rate) < 4 * one["rate_se"], line
            assert abs(log(abs(one["constant"])) - height) < 4 * relative, line
            found += 1
    assert found == {"bias": 12, "sd": 14, "rmse": 14}[quantity]


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_exact_values_go_where_theory_says(red_blue, quantity):
    found = 0
    for (line, name), one in red_blue.fits.items():
        if name != quantity or one["theory_rate"] is None:
            continue
        large = [row for row in red_blue.summary(line) if row["size"] >= 1000]
        values = [exact_value(row, quantity) for row in large]
        slope = np.polyfit(np.log([row["size"] for row in large]), np.log(np.abs(values)), 1)[0]
        # what is left out is O(1/n) of it: at n = 1000 below 5/n, so 0.005 over two decades
        assert slope == pytest.approx(one["theory_rate"], abs=0.005), line
        last = values[-1] * large[-1]["size"] ** -one["theory_rate"]
        assert last == pytest.approx(one["theory_constant"], rel=1e-3), line
        found += 1
    assert found == {"bias": 5, "sd": 7, "rmse": 7}[quantity]


@pytest.mark.parametrize(
    ("model", "quantity", "rate", "constant"),
    [
        ("mimic", "bias", -1, 1 / 2),
        ("mimic", "sd", -1, sqrt(1 / 2)),
        ("mimic", "rmse", -1, sqrt(3) / 2),
        ("fair", "bias", -1, 1 / 2),
        ("fair", "sd", -1 / 2, sqrt(0.24) * log(1.5)),
        ("fair", "rmse", -1 / 2, sqrt(0.24) * log(1.5)),
    ],
)
def test_counting_red_and_blue_converges_as_the_theory_of_two_colours(
    red_blue, model, quantity, rate, constant
):
    one = red_blue.fits[Line("put_back", model, "kl", "counting"), quantity]
    assert one["theory_rate"] == rate
    assert one["theory_constant"] == pytest.approx(constant, rel=1e-12)
    # from n = 10 the fit is off the limit by the terms that theory leaves out
    assert one["rate"] == pytest.approx(rate, abs=0.05)


def test_miller_madow_has_no_rate_of_bias_and_the_sd_of_counting(red_blue):
    for model in ("mimic", "fair"):
        corrected = Line("put_back", model, "kl", "miller_madow")
        bias = red_blue.fits[corrected, "bias"]
        assert (bias["theory_rate"], bias["theory_constant"]) == (None, None)
        assert bias["reason"].endswith("3 are needed")
        counting = red_blue.fits[Line("put_back", model, "kl", "counting"), "sd"]
        names = ("theory_rate", "theory_constant")
        for quantity in ("sd", "rmse"):
            one = red_blue.fits[corrected, quantity]
            assert [one[name] for name in names] == [counting[name] for name in names]


def test_no_theory_is_claimed_for_draws_that_depend_on_each_other(red_blue):
    kept_out = [one for (line, _), one in red_blue.fits.items() if line.bag == "kept_out"]
    assert len(kept_out) == 7 * 3
    assert {one["theory_rate"] for one in kept_out} == {None}


# --- theory --------------------------------------------------------------------------------


def theory(known: Experiment, model: str | None, label: str, quantity: str):
    (cell,) = [c for c in known.cells("bag") if (c.model, c.label) == (model, label)]
    return convergence.theory(known, "bag", cell, quantity)


def five(**changes) -> Experiment:
    balls = {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}
    return small(
        bags={"bag": {"kind": "with_replacement", "balls": balls}},
        estimators={
            "counting": {"kind": "plug_in"},
            "laplace": {"kind": "plug_in", "learner": {"kind": "add_constant", "amount": 1}},
            "minimax": {
                "kind": "plug_in",
                "learner": {"kind": "add_constant", "amount": "minimax"},
            },
            "mm": {"kind": "miller_madow"},
        },
        learners={"laplace_": {"kind": "add_constant", "amount": 1}},
        **changes,
    )


P5 = np.arange(1, 6) / 15
V5 = float(np.sum(P5 * np.log(5 * P5) ** 2) - np.sum(P5 * np.log(5 * P5)) ** 2)
DRIFT5 = float(np.sum((1 - 5 * P5) * np.log(5 * P5)))


@pytest.mark.parametrize(
    ("model", "label", "quantity", "law"),
    [
        ("itself", "counting", "bias", (-1, 2)),
        ("itself", "counting", "sd", (-1, sqrt(2))),
        ("itself", "counting", "rmse", (-1, sqrt(2 + 4))),
        ("fair", "counting", "bias", (-1, 2)),
        ("fair", "counting", "sd", (-0.5, sqrt(V5))),
        ("fair", "counting", "rmse", (-0.5, sqrt(V5))),
        ("itself", "laplace", "bias", (-1, 2)),
        ("fair", "laplace", "bias", (-1, 2 + DRIFT5)),
        ("fair", "laplace", "sd", (-0.5, sqrt(V5))),
        ("itself", "mm", "sd", (-1, sqrt(2))),
        ("itself", "mm", "rmse", (-1, sqrt(2))),
        ("fair", "mm", "rmse", (-0.5, sqrt(V5))),
        (None, "laplace_", "bias", (-1, 2)),
        (None, "laplace_", "sd", (-1, sqrt(2))),
        ("itself", "mm", "bias", None),
        ("fair", "mm", "bias", None),
        ("fair", "minimax", "bias", None),
    ],
)
def test_theory_of_five_colours(model, label, quantity, law):
    found = theory(five(), model, label, quantity)
    if law is None:
        assert found is None
    else:
        assert (found.rate, found.constant) == pytest.approx(law, rel=1e-12)


def test_a_colour_without_balls_has_no_part_in_theory():
    balls = {"red": 10, "blue": 15, "green": 0}
    known = small(bags={"bag": {"kind": "with_replacement", "balls": balls}})
    assert theory(known, "itself", "counting", "bias").constant == pytest.approx(0.5)


def test_an_infinite_truth_has_no_theory():
    known = small(models={"no_blue": {"kind": "fixed", "balls": {"red": 1, "blue": 0}}})
    assert [theory(known, "no_blue", "counting", q) for q in QUANTITIES] == [None] * 3


# --- the table -----------------------------------------------------------------------------


def test_the_table_has_a_row_for_each_line_and_quantity_in_order(red_blue):
    known = red_blue.experiment
    expected = [
        (Line(bag, cell.model, cell.target.name, cell.label), quantity)
        for bag in known.bags
        for cell in known.cells(bag)
        for quantity in QUANTITIES
    ]
    assert list(red_blue.fits) == expected
    assert red_blue.analysis.convergence.num_rows == len(expected)


def test_the_columns_are_those_of_the_tables(red_blue):
    assert red_blue.analysis.convergence.schema == CONVERGENCE


def test_a_row_has_a_fit_or_the_reason_why_not(red_blue):
    names = ("rate", "rate_se", "constant", "constant_se", "from_size", "to_size")
    for place, one in red_blue.fits.items():
        missing = {one[name] is None for name in names}
        assert missing == {one["reason"] is not None}, place


def test_a_row_is_the_fit_of_its_line_of_the_summary(red_blue):
    resampling = Resampling(red_blue.experiment)
    for table in red_blue.parts.read(COLUMNS):
        resampling.add(list(series(table)))
    for (line, quantity), one in red_blue.fits.items():
        rows = red_blue.summary(line)
        replicates = [
            resampling.cells[Key(line, row["size"])].errors(row["truth"])[quantity] for row in rows
        ]
        columns = [[row[name] for row in rows] for name in (quantity, f"{quantity}_mcse")]
        values, mcse = np.array(columns, dtype=float)
        sizes = np.array([row["size"] for row in rows], dtype=float)
        found = fit(sizes, values, mcse, np.stack(replicates, axis=1))
        expected = {"reason": found} if isinstance(found, str) else vars(found)
        assert {name: one[name] for name in expected} == expected


def test_the_window_is_the_sizes_that_show_it(red_blue):
    for (line, quantity), one in red_blue.fits.items():
        if one["rate"] is not None:
            rows = red_blue.summary(line)
            seen = [r["size"] for r in rows if r[f"{quantity}_mcse"] and _seen(r, quantity)]
            assert (one["from_size"], one["to_size"]) == (seen[0], seen[-1])


def test_a_bias_below_the_noise_ends_the_window(red_blue):
    # against a fair coin the bias, 1/(2n), is 3 errors at n = R/(36 V) = 7,000 of 10,000 trials
    one = red_blue.fits[Line("put_back", "fair", "kl", "counting"), "bias"]
    assert 1000 < one["to_size"] < 20_000
    assert red_blue.fits[Line("put_back", "mimic", "kl", "counting"), "bias"]["to_size"] == 100_000


def test_bits_change_constants_and_no_rates():
    nats, bits = Study.of(small()).fits, Study.of(small(unit="bits")).fits
    assert any(one["rate"] is not None for one in nats.values())
    for place, one in nats.items():
        other = bits[place]
        for name in ("rate", "rate_se", "theory_rate"):
            assert other[name] == pytest.approx(one[name], rel=1e-6, abs=1e-12), name
        for name in ("constant", "constant_se", "theory_constant"):
            assert other[name] == pytest.approx(one[name] / log(2), rel=1e-6), name


def test_one_size_gives_the_reason():
    found = Study.of(small(sizes=[50], trials=500)).fits
    reason = "1 of 1 sizes show it (3 errors away from 0); 3 are needed"
    assert {one["reason"] for one in found.values()} == {reason}
    assert found[Line("bag", "fair", "kl", "counting"), "sd"]["theory_rate"] == -0.5


def test_an_infinite_truth_leaves_the_rate_of_the_sd_alone():
    # finite where no blue ball was drawn: then the share of red, 1, is Q's, and nothing spreads
    known = small(models={"no_blue": {"kind": "fixed", "balls": {"red": 1, "blue": 0}}}, trials=90)
    for (_, quantity), one in Study.of(known).fits.items():
        reason = "0 of 4 sizes show it (3 errors away from 0); 3 are needed"
        assert one["reason"] == reason, quantity


def test_a_bias_that_changes_its_sign_has_no_rate():
    # Laplace against a fair coin: 6 errors below 0 at n = 2, 5 above from n = 5 on
    laplace = {"kind": "plug_in", "learner": {"kind": "add_constant", "amount": 1}}
    known = small(
        sizes=[2, 5, 8, 20],
        trials=8000,
        bags={"bag": {"kind": "with_replacement", "balls": {"red": 3, "blue": 7}}},
        estimators={"laplace": laplace},
    )
    one = Study.of(known).fits[Line("bag", "fair", "kl", "laplace"), "bias"]
    assert one["rate"] is None
    assert one["reason"] == "the sign changes: not a power of n"
