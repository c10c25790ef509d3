"""`klsim replay`: one trial again, to the bit, and what is stored otherwise is found."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from members import shown
from runs import built, klsim, text

import sim
from sim.canary import canary
from sim.cli.verbs import group
from sim.contracts.bag import BAGS, SequentialBag, TimedBag
from sim.experiment import Experiment
from sim.loop.crew import BlockFailed
from sim.one_trial import one_trial
from sim.replay import Replay, replay
from sim.store.coverage import header
from sim.store.directory import Directory, NoResults
from sim.store.parts import Parts, encode
from sim.tables import CONTROL

KINDS = BAGS.kinds()
SIZES = [2, 5]
TRIALS = 66
"""Beyond one block of a bag with a clock."""

every_kind = pytest.mark.parametrize("kind", KINDS)


def everything() -> Experiment:
    """Return an experiment with the example of every bag, beside known and drawn models."""
    bags = {kind: shown(BAGS, kind) for kind in KINDS}
    colours = {kind: BAGS.build(bag).colours for kind, bag in bags.items()}
    balls = {kind: dict.fromkeys(names, 2) for kind, names in colours.items()}
    models = {
        f"from {kind}": {
            "kind": "drawn",
            "bag": {"kind": "with_replacement", "balls": balls[kind]},
            "draws": {"ratio": 1.5},
            "bags": [kind],
        }
        for kind in KINDS
    }
    return built(
        {
            "name": "everything",
            "seed": 3,
            "trials": TRIALS,
            "sizes": SIZES,
            "bags": bags,
            "models": {"itself": {"kind": "itself"}, **models},
            "targets": ["kl", "js"],
            "estimators": {
                "counting": {"kind": "plug_in", "interval": {"kind": "bootstrap_percentile"}},
                "shrunk": {"kind": "plug_in", "learner": {"kind": "james_stein"}},
            },
            "learners": {"laplace": {"kind": "add_constant", "amount": 1}},
        }
    )


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Path:
    return sim.run(everything(), out=tmp_path_factory.mktemp("everything")).path


def stored_rows(path: Path, bag: str, trial: int) -> pa.Table:
    """Return the rows of a trial as they are stored, read without the code under test."""
    tables = [pq.read_table(part) for part in sorted((path / "trials").glob("*.parquet"))]
    rows = pa.concat_tables(tables).unify_dictionaries()
    return rows.filter(pc.and_(pc.equal(rows["bag"], bag), pc.equal(rows["trial"], trial)))


def bits(rows: pa.Table) -> list[dict[str, Any]]:
    def bare(value: Any) -> Any:
        return value.hex() if isinstance(value, float) else value

    return [{name: bare(value) for name, value in row.items()} for row in rows.to_pylist()]


@every_kind
def test_replayed_rows_are_the_stored_ones_to_the_bit(ran, kind):
    for trial in (1, TRIALS - 1):
        again = replay(ran, kind, trial)
        expected = bits(stored_rows(ran, kind, trial))
        assert bits(again.trial.rows) == expected
        assert {row["target"] for row in expected} >= {"kl", "js", "kl_loss"}
        assert {row["model"] for row in expected} == {None, "itself", f"from {kind}"}
        assert (again.stored.state, again.stored.equal) == ("equal", len(expected))
        assert again.doubt == ""


@every_kind
def test_draws_begin_with_what_was_counted_at_each_size(ran, kind):
    again = replay(ran, kind, TRIALS - 1).trial
    bag = everything().bags[kind]
    assert (again.draws is not None) == isinstance(bag, SequentialBag)
    assert (again.happened is not None) == isinstance(bag, TimedBag)
    assert [tally.size for tally in again.tallies] == [*everything().sizes_of(kind)]
    for tally in again.tallies:
        assert tally.counts.sum() == tally.size
        assert [*tally.models] == [f"from {kind}"]
        assert tally.models[f"from {kind}"].sum() == round(1.5 * tally.size)
        if again.draws is not None:
            prefix = again.draws[: tally.size]
            assert np.array_equal(np.bincount(prefix, minlength=len(bag.colours)), tally.counts)
    if again.happened is not None:
        drawn = again.happened.filter(pc.equal(again.happened["event"], bag.drawn))
        colours = [bag.colours[colour] for colour in again.draws]
        assert drawn["colour"].to_pylist() == colours


def test_counts_are_kept_as_they_were_at_their_size(ran):
    first, second = replay(ran, "with_replacement", 0).trial.tallies
    assert (second.counts >= first.counts).all()
    assert second.counts.sum() > first.counts.sum()


class Bulk(SequentialBag):
    """A sequential bag that counts in bulk, by other numbers than it draws by."""

    kind: Literal["bulk"] = "bulk"

    @property
    def colours(self):
        return ("a", "b")

    def truth(self, n):
        return np.array([0.5, 0.5])

    def draw(self, n, rng):
        return np.zeros(n, dtype=np.int64)

    def tally(self, sizes, trials, rng):
        for size in sizes:
            yield np.tile([0, size], (trials, 1))


def test_draws_that_were_not_counted_are_not_shown():
    experiment = everything().model_copy(update={"bags": {"bulk": Bulk()}, "models": {}})
    again = one_trial(experiment, "bulk", 1)
    assert again.draws is None
    assert again.tallies[0].counts.tolist() == [0, 2]


def test_a_bag_of_which_nothing_is_estimated_is_drawn_all_the_same(tmp_path):
    lonely = {"kind": "plug_in", "bags": ["back"]}
    experiment = built(learners={}, estimators={"counting": lonely}, trials=5)
    path = sim.run(experiment, out=tmp_path).path
    again = replay(path, "out", 2)
    assert [tally.counts.sum() for tally in again.trial.tallies] == [5, 20]
    assert (again.stored.state, again.stored.equal) == ("equal", 0)


# what is stored otherwise


@dataclass(frozen=True)
class Answer:
    returncode: int
    stdout: str
    stderr: str


def asked(path: Path, bag: str, trial: int, *more: object) -> Answer:
    """Run the command in this process."""
    arguments = ["replay", str(path), "--bag", bag, "--trial", str(trial), *map(str, more)]
    done = CliRunner().invoke(group, arguments, standalone_mode=False)
    if isinstance(done.exception, click.ClickException):
        return Answer(done.exception.exit_code, done.stdout, done.exception.format_message())
    assert done.exception is None, done.exception
    return Answer(done.return_value, done.stdout, done.stderr)


def small(folder: Path, **changes: Any) -> Path:
    return sim.run(built(**{"trials": 30, **changes}), out=folder).path


def rewritten(path: Path, change: Any, bag: str = "back") -> None:
    """Put another part in the place of a bag's first, sound and with the same header."""
    directory = Directory(path)
    experiment = sim.open_results(path).experiment
    (rows,) = Parts((directory.part(bag, 0),)).read()
    directory.part(bag, 0).write_bytes(encode(change(rows), header(experiment, bag, 0)))


def nudged(column: str, place: int) -> Any:
    """Return what changes one number of a column in its last bit."""

    def change(rows: pa.Table) -> pa.Table:
        values = rows[column].to_numpy().copy()
        values[place] = np.nextafter(values[place], np.inf)
        index = rows.schema.get_field_index(column)
        return rows.set_column(index, rows.schema.field(column), pa.array(values))

    return change


def test_a_stored_number_that_differs_in_one_bit_is_found(tmp_path):
    path = small(tmp_path)
    rewritten(path, nudged("estimate", 7))
    (found,) = replay(path, "back", 7).stored.differences
    assert found[:4] == ("itself", "kl", "counting", 5)
    assert found.column == "estimate"
    assert found.stored == np.nextafter(found.replayed, np.inf)
    assert replay(path, "back", 8).stored.state == "equal"
    done = klsim("replay", path, "--bag", "back", "--trial", 7)
    assert done.returncode == 6
    said = f"itself / kl / counting at n = 5: estimate {found.stored!r} stored, "
    assert f"  {said}{found.replayed!r} replayed\n" in done.stdout
    assert "1 rows differ from the stored ones" in done.stdout
    assert f"{replay(path, 'back', 7).stored.equal} rows equal the stored ones" in done.stdout


def test_the_sign_of_a_stored_zero_is_found(tmp_path):
    path = small(tmp_path)

    def turned(rows: pa.Table) -> pa.Table:
        index = rows.schema.get_field_index("truth")
        return rows.set_column(index, rows.schema.field("truth"), pc.negate(rows["truth"]))

    rewritten(path, turned)
    found = replay(path, "back", 0).stored.differences
    assert ("itself", "kl", "counting", 5, "truth") in [one[:5] for one in found]


def test_rows_that_are_stored_twice_or_not_at_all_are_found(tmp_path):
    path = small(tmp_path)
    rewritten(path, lambda rows: pa.concat_tables([rows, rows.slice(0, 1)]))
    found = replay(path, "back", 0).stored.differences
    assert [(one.column, one.stored, one.replayed) for one in found] == [("row", "twice", "once")]
    path = small(tmp_path / "other")
    rewritten(path, lambda rows: rows.slice(1))
    found = replay(path, "back", 0).stored.differences
    assert [(one.column, one.stored, one.replayed) for one in found] == [
        ("row", "missing", "there")
    ]


def test_a_damaged_part_is_a_check_that_failed_and_one_that_is_not_there_is_none(tmp_path):
    path = small(tmp_path)
    part = Directory(path).part("back", 0)
    content = part.read_bytes()
    part.write_bytes(content[:300] + bytes([content[300] ^ 1]) + content[301:])
    done = asked(path, "back", 3)
    assert (done.returncode, done.stderr) == (6, "")
    assert "nothing to compare with: " in done.stdout
    assert "is damaged" in done.stdout
    part.unlink()
    assert asked(path, "back", 3).returncode == 0
    again = replay(path, "back", 3)
    assert again.stored.state == "missing"
    assert again.stored.fault == f"{part} is not there"
    assert again.trial.rows.num_rows == again.stored.lacking > 0


def test_what_a_smaller_run_stored_is_compared_and_the_rest_is_counted(tmp_path):
    path = small(tmp_path)
    larger = text(sim_plain(path), sizes=[5, 20, 40], trials=50)
    (path / "experiment.yaml").write_text(larger, encoding="utf-8")
    again = replay(path, "back", 3).stored
    rows = replay(path, "back", 3).trial.rows
    assert again.state == "equal"
    assert again.lacking == pc.sum(pc.equal(rows["size"], 40)).as_py() > 0
    assert again.equal == rows.num_rows - again.lacking
    beyond = replay(path, "back", 40).stored
    assert (beyond.state, beyond.equal) == ("missing", 0)
    assert beyond.fault.endswith("does not hold this trial yet")


def sim_plain(path: Path) -> dict[str, Any]:
    experiment = sim.open_results(path).experiment
    return experiment.model_dump(mode="json", by_alias=True, exclude_none=True)


def test_another_machine_is_told_from_this_one(tmp_path):
    path = small(tmp_path)
    facts = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps({**facts, "canary": "0123456789abcdef"}))
    again = replay(path, "back", 3)
    assert f"(canary {canary()} here, 0123456789abcdef there): the bits may differ" in again.doubt
    assert again.stored.state == "equal"
    assert again.doubt in asked(path, "back", 3).stdout


# who asks wrongly


def test_a_bag_or_a_trial_that_is_not_there_is_named(tmp_path):
    path = small(tmp_path)
    with pytest.raises(NoResults, match=r"coins has no bag 'bak'; did you mean 'back'\?") as caught:
        replay(path, "bak", 0)
    assert caught.value.exit_code == 2
    for trial in (-1, 30):
        with pytest.raises(NoResults, match=f"bag 'back' has no trial {trial}; expected 0 to 29"):
            replay(path, "back", trial)
    with pytest.raises(NoResults, match="expected the directory of a run"):
        replay(tmp_path, "back", 0)


def test_a_bag_that_cannot_be_drawn_is_told_without_a_traceback(tmp_path, monkeypatch):
    path = small(tmp_path)
    kind = type(sim.open_results(path).experiment.bags["back"])

    def torn(*_: object) -> None:
        raise RuntimeError("the bag is torn")

    monkeypatch.setattr(kind, "cells", torn)
    with pytest.raises(BlockFailed, match="block 0 of bag 'back' failed: RuntimeError: the bag is"):
        replay(path, "back", 0)


# as it is printed


def told(path: Path, *more: object) -> Any:
    done = asked(path, "delayed_returns", 65, "--json", *more)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_everything_is_there_for_scripts_and_one_size_where_one_is_asked(ran):
    whole, one = told(ran), told(ran, "--size", 2)
    again: Replay = replay(ran, "delayed_returns", 65)
    assert (whole["bag"], whole["trial"], whole["block"]) == ("delayed_returns", 65, 1)
    assert whole["draws"] == [again.trial.colours[colour] for colour in again.trial.draws]
    assert [event["time"] for event in whole["events"]] == again.trial.happened["time"].to_pylist()
    assert [each["size"] for each in whole["counts"]] == SIZES
    assert len(whole["estimates"]) == again.stored.equal == whole["stored"]["equal"]
    assert one["draws"] == whole["draws"][:2]
    assert one["counts"] == whole["counts"][:1]
    assert one["estimates"] == [row for row in whole["estimates"] if row["size"] == 2]
    assert one["stored"] == whole["stored"]


def test_long_sequences_are_shortened_for_people_with_a_count_of_what_is_left_out(tmp_path):
    bag = {"kind": "delayed_returns", "balls": {"red": 10, "blue": 15}, "hold": 1}
    sizes = list(range(1, 101))
    path = sim.run(built(bags={"late": bag}, sizes=sizes, trials=2), out=tmp_path).path
    done = asked(path, "late", 1)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"Draws: ((red|blue), ){60}… 40 more What", " ".join(done.stdout.split()))
    assert "… 60 more; --json gives all, --size N one size" in done.stdout
    rows = sum(row["target"] != CONTROL for row in replay(path, "late", 1).trial.rows.to_pylist())
    assert f"… {rows - 40} more; --json gives all" in done.stdout
    assert done.stdout.endswith(" rows equal the stored ones to the bit\n")
    wrong = asked(path, "late", 1, "--size", 101)
    assert wrong.returncode == 2
    assert "bag late has no size 101" in wrong.stderr
