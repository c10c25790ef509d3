"""Trials go in and two tables come out, whatever parts there are and in whatever order."""

from __future__ import annotations

import gc
import pickle
import tracemalloc
from dataclasses import dataclass, field
from functools import partial
from math import isfinite, log
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sim import api
from sim.analysis import answers
from sim.analysis.analyze import Analysis, analyze
from sim.analysis.quantiles import FEW, PASSES, Quantiles
from sim.analysis.series import COLUMNS
from sim.contracts.estimator import Estimator
from sim.experiment import Experiment
from sim.store.parts import part_name
from sim.tables import COMPARISON, CONVERGENCE, SUMMARY
from sim.trials import block_rows

CELL = ["bag", "model", "target", "estimator", "size"]
BLOCK = 4096


@dataclass
class Memory:
    """Parts that were never written; it notes what was read."""

    tables: list[pa.Table]
    columns: list[list[str]] = field(default_factory=list)

    def read(self, columns=None):
        self.columns.append(list(columns))
        return (table.select(columns) for table in self.tables)


@dataclass
class Drawn:
    """Parts that are drawn when they are read; it notes what Arrow holds meanwhile."""

    experiment: Experiment
    most_held: int = 0

    def read(self, columns=None):
        for index in range(self.experiment.blocks("put_back")):
            self.most_held = max(self.most_held, pa.total_allocated_bytes())
            yield block_rows(self.experiment, "put_back", index).select(columns)


class Fragile(Estimator):
    """Fails where no red ball was drawn."""

    kind: Literal["fragile"] = "fragile"

    def estimate(self, counts, reference, target):
        if np.any(counts[:, 0] == 0):
            raise ZeroDivisionError("no red ball")
        return 1 / counts[:, 0]


class Careless(Estimator):
    """Divides by the number of red balls and does not look."""

    kind: Literal["careless"] = "careless"

    def estimate(self, counts, reference, target):
        return counts[:, 1] / counts[:, 0]


def experiment(**changes) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "analysis",
            "seed": 29,
            "trials": 9000,
            "sizes": [10, 25, 100],
            "bags": {
                "put_back": {"kind": "with_replacement", "balls": {"red": 10, "blue": 15}},
                "kept_out": {
                    "kind": "without_replacement",
                    "balls": {"red": 10, "blue": 15},
                    "sizes": [10, 20, 25],
                },
            },
            "models": {"itself": {"kind": "itself"}, "fair": {"kind": "uniform"}},
            "estimators": {
                "counting": {"kind": "plug_in"},
                "miller_madow": {"kind": "miller_madow"},
            },
            "learners": {
                "laplace": {"kind": "add_constant", "amount": 1},
                "jeffreys": {"kind": "add_constant", "amount": "jeffreys"},
                "frequency": {"kind": "relative_frequency"},
            },
            **changes,
        }
    )


def parts_of(known: Experiment) -> dict[tuple[str, int], pa.Table]:
    blocks = [(bag, index) for bag in known.bags for index in range(known.blocks(bag))]
    return {block: block_rows(known, *block) for block in blocks}


def by_cell(table: pa.Table) -> dict[tuple, dict]:
    names = CELL if "size" in table.column_names else [*CELL[:-1], "quantity"]
    if "first" in table.column_names:
        names = ["bag", "model", "target", "size", "first", "second"]
    return {tuple(row[name] for name in names): row for row in table.to_pylist()}


@pytest.fixture(scope="module")
def known() -> Experiment:
    return experiment()


@pytest.fixture(scope="module")
def parts(known) -> dict[tuple[str, int], pa.Table]:
    return parts_of(known)


@pytest.fixture(scope="module")
def found(known, parts) -> Analysis:
    return analyze(known, Memory(list(parts.values())))


# bag, model, estimator, size: exact mean from the literature's formulas with 30 digits
EXACT = {
    ("put_back", "itself", "kl", "counting", 10): 0.0533791354743730,
    ("put_back", "itself", "kl", "counting", 25): 0.0204525426887984,
    ("put_back", "itself", "kl", "counting", 100): 0.00502680776307128,
    ("put_back", "fair", "kl", "counting", 10): 0.0735146490250619,
    ("put_back", "fair", "kl", "counting", 25): 0.0405880562394873,
    ("put_back", "fair", "kl", "counting", 100): 0.0251623213137602,
    ("put_back", "itself", "kl", "miller_madow", 25): 0.0204525426887984 - 1 / 50,
    ("put_back", None, "kl_loss", "laplace", 10): 0.0388531046212006,
    ("put_back", None, "kl_loss", "laplace", 25): 0.0180924445988608,
    ("put_back", None, "kl_loss", "jeffreys", 10): 0.0481283150154176,
    ("put_back", None, "kl_loss", "jeffreys", 25): 0.0196517890393787,
    ("kept_out", "itself", "kl", "counting", 10): 0.0325604873017742,
    ("kept_out", "itself", "kl", "counting", 20): 0.00524791146286556,
    ("kept_out", "itself", "kl", "counting", 25): 0.0,
    ("kept_out", "fair", "kl", "counting", 20): 0.0253834250135544,
    ("kept_out", "fair", "kl", "counting", 25): 0.0201355135506889,
}


def test_exact_means_are_those_that_are_known(found):
    cells = by_cell(found.summary)
    for key, mean in EXACT.items():
        assert cells[key]["exact_mean"] == pytest.approx(mean, rel=1e-12, abs=1e-15), key


def test_the_mean_of_the_trials_lies_near_the_exact_one_in_every_cell(found):
    z = [row["z"] for row in found.summary.to_pylist() if row["z"] is not None]
    assert len(z) > 30
    assert max(map(abs, z)) < 4


def test_the_chance_of_infinity_is_near_the_exact_one(found):
    cells = by_cell(found.summary)
    one = cells["put_back", None, "kl_loss", "frequency", 10]
    assert one["exact_p_infinite"] == pytest.approx(0.0061514752, rel=1e-12)
    assert abs(one["p_infinite"] - 0.0061514752) < 4 * one["p_infinite_mcse"]
    other = cells["kept_out", None, "kl_loss", "frequency", 10]
    assert other["exact_p_infinite"] == pytest.approx(0.000919002924656445, rel=1e-12)
    assert abs(other["p_infinite"] - 0.000919002924656445) < 4 * other["p_infinite_mcse"]


def test_the_tables_have_their_schemas(found):
    assert found.summary.schema == SUMMARY
    assert found.convergence.schema == CONVERGENCE
    assert found.comparison.schema == COMPARISON


def test_the_summary_has_a_row_for_each_cell_and_size_in_order(found, known):
    assert list(by_cell(found.summary)) == [
        (bag, cell.model, cell.target.name, cell.label, size)
        for bag in known.bags
        for cell in known.cells(bag)
        for size in known.sizes_of(bag)
    ]


def test_what_is_not_known_is_null_and_never_nan(found):
    for table in (found.summary, found.convergence, found.comparison):
        for name, column in zip(table.column_names, table.columns, strict=True):
            if pa.types.is_floating(column.type):
                assert not pc.any(pc.is_nan(column.drop_null())).as_py(), name


def test_an_emptied_bag_has_no_spread(found):
    cells = by_cell(found.summary)
    for model, label in [("itself", "counting"), ("fair", "miller_madow"), (None, "laplace")]:
        target = "kl" if model else "kl_loss"
        one = cells["kept_out", model, target, label, 25]
        assert (one["sd"], one["z"], one["exact_sd"]) == (0, None, 0)


@pytest.mark.parametrize("balls", [[1, 2], [3, 4], [1, 6], [2, 3, 5], [7, 11, 13]], ids=str)
def test_a_bag_emptied_in_a_number_of_trials_that_is_no_power_of_2_has_no_spread(balls):
    bag = {"kind": "without_replacement", "balls": {str(n): b for n, b in enumerate(balls)}}
    known = experiment(trials=4997, sizes=[sum(balls)], bags={"bag": bag})
    parts = list(parts_of(known).values())
    for row in analyze(known, Memory(parts[::-1])).summary.to_pylist():
        assert (row["sd"], row["bias_mcse"], row["sd_mcse"]) == (0, 0, None)


# --- parts ---------------------------------------------------------------------------------


def alike(one: pa.Table, other: pa.Table, rel: float) -> None:
    assert one.schema == other.schema
    rows, others = by_cell(one), by_cell(other)
    assert list(rows) == list(others)
    for key, row in rows.items():
        for name, value in row.items():
            if isinstance(value, float) and isfinite(value):
                assert others[key][name] == pytest.approx(value, rel=rel, abs=1e-15), (key, name)
            else:
                assert others[key][name] == value, (key, name)


@pytest.mark.parametrize("order", ["backwards", "odd_ones_first", "bags_in_turn"])
def test_the_order_of_the_parts_does_not_matter(known, parts, found, order):
    tables = list(parts.values())
    read = {
        "backwards": tables[::-1],
        "odd_ones_first": tables[1::2] + tables[::2],
        "bags_in_turn": [parts[block] for block in sorted(parts, key=lambda block: block[1])],
    }[order]
    other = analyze(known, Memory(read))
    alike(found.summary, other.summary, rel=1e-9)
    alike(found.convergence, other.convergence, rel=1e-6)
    alike(found.comparison, other.comparison, rel=1e-6)
    for name in ("trials", "infinite", "q05", "q25", "median", "q75", "q95"):
        assert other.summary.column(name).equals(found.summary.column(name)), name


def test_an_analysis_done_twice_is_the_same_to_the_bit(known, parts, found):
    again = analyze(known, Memory(list(parts.values())))
    assert again.summary.equals(found.summary)
    assert again.convergence.equals(found.convergence)
    assert again.comparison.equals(found.comparison)


def test_first_blocks_are_the_analysis_of_fewer_trials(known, parts):
    fewer = experiment(trials=2 * BLOCK)
    first = [table for (_, index), table in parts.items() if index < 2]
    assert len(first) == 4
    one, other = analyze(known, Memory(first)), analyze(fewer, Memory(first))
    direct = analyze(fewer, Memory(list(parts_of(fewer).values())))
    for table in ("summary", "convergence", "comparison"):
        assert getattr(one, table).equals(getattr(other, table))
        assert getattr(one, table).equals(getattr(direct, table))


def test_any_blocks_that_are_there_are_analyzed(known, parts):
    some = [parts["put_back", 2], parts["put_back", 0], parts["kept_out", 1]]
    trials = {"put_back": 9000 - BLOCK, "kept_out": BLOCK}
    for row in analyze(known, Memory(some)).summary.to_pylist():
        assert row["trials"] == trials[row["bag"]]
        assert row["z"] is None or abs(row["z"]) < 4.5


def test_a_bag_without_blocks_has_no_rows(known, parts, found):
    only = [table for (bag, _), table in parts.items() if bag == "kept_out"]
    other = analyze(known, Memory(only))
    for table in ("summary", "convergence", "comparison"):
        mine = getattr(found, table)
        mine = mine.filter(pc.equal(mine.column("bag"), "kept_out"))
        assert mine.num_rows > 0
        assert getattr(other, table).equals(mine)


def test_no_parts_give_tables_without_rows(known):
    found = analyze(known, Memory([]))
    assert (found.summary.num_rows, found.convergence.num_rows) == (0, 0)
    assert (found.summary.schema, found.convergence.schema) == (SUMMARY, CONVERGENCE)
    assert (found.comparison.num_rows, found.comparison.schema) == (0, COMPARISON)


@pytest.mark.parametrize(("few", "passes"), [(FEW, 1), (1, PASSES)])
def test_parts_are_read_again_only_where_values_are_many(
    known, parts, found, monkeypatch, few, passes
):
    monkeypatch.setattr(answers, "Quantiles", partial(Quantiles, few=few))
    memory = Memory(list(parts.values()))
    again = analyze(known, memory)
    assert memory.columns == [COLUMNS] * passes
    assert again.summary.equals(found.summary)


@pytest.mark.parametrize("few", [FEW, 1])
def test_the_tables_are_the_same_to_the_bit_wherever_parts_are_gathered(
    known, parts, found, monkeypatch, few
):
    """Each piece as a worker would have it, and its result as it would come back."""
    monkeypatch.setattr(answers, "Quantiles", partial(Quantiles, few=few))

    def elsewhere(work, pieces):
        return [pickle.loads(pickle.dumps(work))(piece) for piece in pieces]

    pieces = [Memory([table]) for table in parts.values()]
    again = analyze(known, *pieces, mapped=elsewhere)
    assert again.summary.equals(found.summary)
    assert again.convergence.equals(found.convergence)
    assert again.comparison.equals(found.comparison)


@pytest.mark.parametrize("size", [2, 4, 5])
def test_pieces_of_several_parts_give_the_same_but_for_the_last_digits(known, parts, found, size):
    tables = list(parts.values())
    pieces = [Memory(tables[first : first + size]) for first in range(0, len(tables), size)]
    other = analyze(known, *pieces)
    alike(found.summary, other.summary, rel=1e-9)
    alike(found.convergence, other.convergence, rel=1e-6)
    alike(found.comparison, other.comparison, rel=1e-6)


def most_memory(trials: int) -> tuple[int, int]:
    """The most that Python and Arrow held at a time while so many trials were analyzed."""
    bag = {"kind": "with_replacement", "balls": {"red": 10, "blue": 15}}
    drawn = Drawn(experiment(trials=trials, bags={"put_back": bag}, learners={}))
    gc.collect()
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        analyze(drawn.experiment, drawn)
        return tracemalloc.get_traced_memory()[1], drawn.most_held - before
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_trials():
    most_memory(BLOCK)  # what is kept from a first use does not count
    few, many = most_memory(3 * BLOCK), most_memory(15 * BLOCK)
    assert many[0] < 1.1 * few[0]
    assert many[1] < 1.1 * few[1] + 10_000


# --- exact values --------------------------------------------------------------------------


def test_exact_values_are_in_the_experiments_unit():
    bits = experiment(trials=50, unit="bits")
    cells = by_cell(analyze(bits, Memory(list(parts_of(bits).values()))).summary)
    for key, mean in EXACT.items():
        assert cells[key]["exact_mean"] * log(2) == pytest.approx(mean, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("member", [Fragile(), Careless()], ids=["fragile", "careless"])
def test_an_estimator_that_fails_somewhere_does_not_end_the_analysis(member):
    known = experiment(trials=600, sizes=[3], estimators={"own": member}, learners={})
    bags = {"put_back": known.bags["put_back"]}
    known = known.model_copy(update={"bags": bags})
    cells = by_cell(analyze(known, Memory(list(parts_of(known).values()))).summary)
    one = cells["put_back", "fair", "kl", "own", 3]
    assert one["failed"] + one["undefined"] + one["infinite"] > 0
    assert one["mean"] is not None
    if one["failed"]:
        assert (one["exact_mean"], one["exact_sd"], one["z"]) == (None, None, None)
    else:
        assert one["exact_p_infinite"] == pytest.approx(0.6**3, rel=1e-12)


def test_nothing_exact_is_claimed_where_nothing_is_known():
    three = {"kind": "with_replacement", "balls": {"a": 1, "b": 2, "c": 3}}
    known = experiment(trials=50, bags={"b": three}, estimators={"own": Fragile()}, learners={})
    for row in analyze(known, Memory(list(parts_of(known).values()))).summary.to_pylist():
        names = ("exact_mean", "exact_sd", "exact_p_infinite", "z")
        assert [row[name] for name in names] == [None] * 4


# --- from disk -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored(known, tmp_path_factory) -> api.Results:
    return api.run(known, out=tmp_path_factory.mktemp("results"))


def test_parts_on_disk_give_the_same_tables_as_parts_in_memory(stored, found):
    alike(stored.table("summary"), found.summary, rel=1e-12)
    alike(stored.table("convergence"), found.convergence, rel=1e-12)
    alike(stored.table("comparison"), found.comparison, rel=1e-12)


def test_a_run_that_lost_a_part_is_analyzed_without_it(known, stored):
    path: Path = stored.path / "trials" / part_name("put_back", 1)
    content = path.read_bytes()
    path.unlink()
    try:
        again = api.reanalyze(stored.path)
        trials = {row["bag"]: row["trials"] for row in again.table("summary").to_pylist()}
        assert trials == {"put_back": 9000 - BLOCK, "kept_out": 9000}
    finally:
        path.write_bytes(content)
    whole = api.reanalyze(stored.path).table("summary")
    assert set(whole.column("trials").to_pylist()) == {9000}
