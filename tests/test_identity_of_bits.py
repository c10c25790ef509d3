"""The same experiment gives the same bytes anywhere, and what is added changes no row."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from faulty import install_here
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import COINS, TABLES, built, environment, faulty, tables

import sim
from sim.config.reading import dump
from sim.contracts.bag import TimedBag
from sim.experiment import Experiment
from sim.store.coverage import parts
from sim.store.directory import Directory
from sim.trials import block_rows

KEYS = ["bag", "model", "target", "estimator", "size", "trial"]


def rows(experiment: Experiment) -> pa.Table:
    """Return every row of an experiment in the order of its parts, labels as plain text."""
    blocks = [
        block_rows(experiment, bag, index)
        for bag in experiment.bags
        for index in range(experiment.blocks(bag))
    ]
    return in_plain_text(pa.concat_tables(blocks))


def in_plain_text(table: pa.Table) -> pa.Table:
    """Return a table with plain text for labels and without metadata."""
    plain = [pa.field(f.name, getattr(f.type, "value_type", f.type)) for f in table.schema]
    return table.unify_dictionaries().cast(pa.schema(plain))


def bits(table: pa.Table) -> pa.Table:
    """Return a table with its numbers as bits: equal where they are equal to the last one."""
    for place, field in enumerate(table.schema):
        if field.type == pa.float64():
            cells = pc.coalesce(table.column(place), pa.scalar(float("nan")))
            whole = pa.array(cells.to_numpy().view("int64"))
            table = table.set_column(place, field.name, whole)
    return table


def those_of(wider: pa.Table, narrow: pa.Table) -> pa.Table:
    """Return the rows of `wider` that stand for cells, sizes and trials of `narrow`."""
    keys = narrow.select(KEYS).to_pylist()
    known = {tuple(key.values()) for key in keys}
    mask = [tuple(key.values()) in known for key in wider.select(KEYS).to_pylist()]
    return wider.filter(pa.array(mask))


# Engines


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    """The tables of COINS, computed here."""
    return tables(sim.run(built(), out=tmp_path_factory.mktemp("serial"), engine="serial").path)


@pytest.mark.parametrize(
    ("engine", "workers"),
    [("serial", 1), ("auto", 3), ("processes", 1), ("processes", 2), ("processes", 3)],
)
def test_the_files_are_the_same_bytes_for_any_engine_and_number_of_workers(
    tmp_path, serial, engine, workers
):
    results = sim.run(built(), out=tmp_path, engine=engine, workers=workers)
    assert tables(results.path) == serial
    assert len(serial) == 3 + 3 + len(TABLES)


ELSEWHERE = """
import sys
import sim
sim.run(sim.load(sys.argv[1]), out=sys.argv[2])
"""


def test_the_files_do_not_know_where_when_and_by_whom_they_were_made(tmp_path, serial):
    (tmp_path / "else where").mkdir()
    config = tmp_path / "else where" / "any.yaml"
    config.write_text(dump(built()))
    changes = {"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "LC_ALL": "C", "USER": "nobody"}
    command = [sys.executable, "-c", ELSEWHERE, config.name, "out"]
    subprocess.run(command, cwd=config.parent, env=environment() | changes, check=True)
    assert tables(config.parent / "out" / "coins") == serial


def test_a_run_in_steps_of_any_length_leaves_the_same_bytes(tmp_path, monkeypatch):
    install_here(tmp_path / "installed", monkeypatch)
    whole = tables(sim.run(built(faulty(80, one={}, two={})), out=tmp_path / "once").path)
    for trials in (1, 7, 8, 9, 40, 79, 80):
        results = sim.run(built(faulty(trials, one={}, two={})), out=tmp_path / "steps")
    assert tables(results.path) == whole


# Blocks


@pytest.mark.parametrize(
    ("colours", "held"), [(1, 4096), (2, 4096), (100, 4096), (2048, 4096), (2049, 4094)]
)
def test_a_block_of_few_colours_holds_4096_trials_or_64_mib(colours, held):
    assert coloured(colours).block_trials("bag") == held


@pytest.mark.parametrize(("colours", "held"), [(100_000, 83), (1_000_000, 8)])
def test_a_block_of_many_colours_holds_64_mib(colours, held):
    assert coloured(colours).block_trials("bag") == held


def test_a_block_that_is_drawn_event_by_event_holds_64_trials():
    assert TimedBag.most_trials_a_block == 64


def coloured(colours: int, **changes: Any) -> Experiment:
    bag = {"kind": "with_replacement", "balls": {"uniform": {"colours": colours}}}
    return built({**COINS, "bags": {"bag": bag}, "learners": {}, **changes})


@settings(deadline=None, derandomize=True, max_examples=20)
@given(trials=st.integers(1, 10**12))
def test_blocks_hold_all_trials_and_no_empty_one(trials):
    experiment = coloured(100, trials=trials)
    assert (experiment.blocks("bag") - 1) * 4096 < trials <= experiment.blocks("bag") * 4096


def test_a_block_follows_from_nothing_but_its_bag():
    plain = coloured(100_000)
    for changes in (
        {"trials": 1},
        {"sizes": [1, 10, 100, 1000]},
        {"seed": 1},
        {"estimators": {"one": {"kind": "plug_in"}}},
        {"unit": "bits"},
    ):
        assert coloured(100_000, **changes).block_trials("bag") == plain.block_trials("bag")


def test_trials_are_numbered_through_all_blocks():
    assert rows(coloured(100_000, trials=170, sizes=[3]))["trial"].unique().to_pylist() == [
        *range(170)
    ]


# What is added

PLAIN: dict[str, Any] = {
    **COINS,
    "trials": 4200,  # two blocks, the second not full
    "bags": {**COINS["bags"], "own": {**COINS["bags"]["back"], "sizes": [4]}},
}

MORE: dict[str, dict[str, Any]] = {
    "a size beyond the largest": {"sizes": [5, 20, 50]},
    "three sizes beyond the largest": {"sizes": [5, 20, 21, 30, 40]},
    "a bag behind": {"bags": {**PLAIN["bags"], "last": PLAIN["bags"]["back"]}},
    "a bag before": {"bags": {"first": PLAIN["bags"]["out"], **PLAIN["bags"]}},
    "a model": {"models": {"twice": {"kind": "itself"}, **PLAIN["models"]}},
    "an estimator": {"estimators": {"more": {"kind": "plug_in"}, **PLAIN["estimators"]}},
    "a learner": {"learners": {**PLAIN["learners"], "more": {"kind": "relative_frequency"}}},
    "more trials": {"trials": 9000},
    "words": {"name": "else", "about": "Said otherwise."},
}


@pytest.fixture(scope="module")
def plain() -> pa.Table:
    return rows(built(PLAIN))


@pytest.mark.parametrize("name", MORE)
def test_what_is_added_leaves_every_row_as_it_was_to_the_bit(plain, name):
    wider = rows(built(PLAIN, **MORE[name]))
    assert wider.num_rows > plain.num_rows or name == "words"
    assert bits(those_of(wider, plain)).equals(bits(plain))


LESS: dict[str, dict[str, Any]] = {
    "bags": {"bags": {"out": PLAIN["bags"]["out"]}},
    "models": {"models": {"fair": PLAIN["models"]["fair"]}},
    "an estimator": {"estimators": {"corrected": PLAIN["estimators"]["corrected"]}},
    "the learner": {"learners": {}},
    "the largest size": {"sizes": [5]},
    "trials": {"trials": 50},
}


@pytest.mark.parametrize("name", LESS)
def test_what_is_taken_away_leaves_the_other_rows_as_they_were_to_the_bit(plain, name):
    narrow = rows(built(PLAIN, **LESS[name]))
    assert 0 < narrow.num_rows < plain.num_rows
    assert bits(those_of(plain, narrow)).equals(bits(narrow))


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 8},
        {
            "bags": {
                **PLAIN["bags"],
                "back": {**PLAIN["bags"]["back"], "balls": {"red": 2, "blue": 4}},
            }
        },
    ],
    ids=["seed", "balls"],
)
def test_another_seed_or_bag_draws_otherwise(plain, changes):
    other = rows(built(PLAIN, **changes))
    assert other.select(KEYS).equals(plain.select(KEYS))
    assert not bits(other).equals(bits(plain))


def test_bags_of_the_same_balls_draw_apart_and_models_see_the_same_draws(plain):
    def estimates(bag: str, model: str, size: int) -> list[float]:
        mask = (pc.field("bag") == bag) & (pc.field("model") == model)
        mask &= (pc.field("estimator") == "counting") & (pc.field("size") == size)
        return plain.filter(mask)["estimate"].to_pylist()

    assert estimates("back", "itself", 5) != estimates("own", "itself", 4)
    twice = built(PLAIN, models={"itself": {"kind": "itself"}, "again": {"kind": "itself"}})
    both = rows(twice)
    one, other = (both.filter(pc.field("model") == name) for name in ("itself", "again"))
    assert one["estimate"].equals(other["estimate"])


def test_streams_do_not_collide_over_names_and_blocks():
    experiment = built(PLAIN)
    names = [
        ("back",),
        ("out",),
        ("back", "itself", "model"),
        ("back", "fair", "model"),
        ("b", "ack"),
    ]
    places = [(name, index) for name in names for index in (0, 1, 2**32 - 1, 2**32, 2**40)]
    first = {experiment.stream(*name, index=index).bytes(16) for name, index in places}
    assert len(first) == len(places)
    again = {experiment.stream(*name, index=index).bytes(16) for name, index in places}
    assert first == again


def test_the_parts_hold_the_rows_of_all_blocks_bit_by_bit(tmp_path, plain):
    folder = sim.run(built(PLAIN), out=tmp_path).path
    bags = parts(Directory(folder), built(PLAIN))
    stored = pa.concat_tables(rows for of_bag in bags for rows in of_bag.read())
    assert bits(in_plain_text(stored)).equals(bits(plain))
