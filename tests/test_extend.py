"""A result grows to a larger experiment: no row changes, and only what is new is computed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from moody import install_here
from runs import built, files, kill_when, klsim, laid, tables, text
from test_loop import run

import sim
from sim.api import reanalyze, status
from sim.config.reading import dump
from sim.contracts.estimator import ESTIMATORS, Loss
from sim.experiment import Experiment
from sim.models.drawn import Drawn
from sim.models.itself import Itself
from sim.models.uniform import Uniform
from sim.rows import Outcome, outcomes, table
from sim.store.coverage import header, reusable
from sim.store.differences import differences, obstacles
from sim.store.directory import DifferentExperiment, Directory, InUse, NoResults
from sim.store.parts import content_of, encode, part_name
from sim.trials import _names, block_rows

BACK = {"kind": "with_replacement", "balls": {"red": 2, "blue": 3}}
OUT = {"kind": "without_replacement", "balls": {"red": 20, "blue": 30}}
SECOND = {"kind": "drawn", "bag": BACK, "draws": {"ratio": 0.5}}
PLAIN: dict[str, Any] = {
    "name": "coins",
    "seed": 7,
    "trials": 4200,
    "sizes": [5, 20],
    "bags": {"back": BACK, "out": OUT},
    "models": {"itself": {"kind": "itself"}, "second": SECOND},
    "estimators": {
        "counting": {"kind": "plug_in"},
        "corrected": {"kind": "miller_madow", "bags": ["back"]},
    },
    "learners": {"laplace": {"kind": "add_constant", "amount": 1}},
}
"""Two bags of two blocks each, the second not full."""

LAPLACE = {"kind": "plug_in", "learner": {"kind": "add_constant", "amount": 1}}
OTHER = {**SECOND, "draws": "same"}
ITSELF, KNOWN = PLAIN["models"]["itself"], PLAIN["estimators"]
FEWER = {**BACK, "balls": {"red": 1, "blue": 3}}
TURNED = {**BACK, "balls": {"blue": 3, "red": 2}}
JACKKNIFE = {"kind": "jackknife"}
TWICE = {"kind": "add_constant", "amount": 2}


def added(shelf: str, **members: dict[str, Any]) -> dict[str, Any]:
    """Return a shelf with more members; they stand before those that are there."""
    left = {label: one for label, one in PLAIN[shelf].items() if label not in members}
    return {shelf: {**members, **left}}


AXES: dict[str, dict[str, Any]] = {
    "trials within a block": {"trials": 4300},
    "trials": {"trials": 8300},
    "sizes": {"sizes": [5, 20, 30]},
    "sizes of a bag": {"bags": {"back": {**BACK, "sizes": [5, 20, 60]}, "out": OUT}},
    "bags": added("bags", first={**BACK, "kind": "polya", "added": 1}),
    "models": added("models", fair={"kind": "uniform"}),
    "targets": {"targets": ["js", "kl", "reverse_kl"]},
    "estimators": added("estimators", jackknife=JACKKNIFE),
    "learners": added("learners", jeffreys={"kind": "add_constant", "amount": "jeffreys"}),
    "a filter": added("estimators", corrected={"kind": "miller_madow"}),
    "the order": {key: dict(reversed(PLAIN[key].items())) for key in ("models", "estimators")},
}
"""What may grow."""

EVERYTHING: dict[str, Any] = {
    "trials": 4300,
    "bags": {**AXES["bags"]["bags"], "back": {**BACK, "sizes": [5, 20, 60]}},
    "sizes": [5, 20, 30],
    "models": AXES["models"]["models"],
    "targets": ["js", "kl"],
    "estimators": {**AXES["estimators"]["estimators"], "corrected": {"kind": "miller_madow"}},
    "learners": AXES["learners"]["learners"],
}
AXES["all at once"] = EVERYTHING


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The files of a complete run of PLAIN."""
    return files(sim.run(built(PLAIN), out=tmp_path_factory.mktemp("finished")).path)


@pytest.fixture
def there(finished, tmp_path):
    """A folder with a result that can be extended: out/coins."""
    return laid(finished, tmp_path / "out" / "coins")


@pytest.fixture(scope="module")
def larger(tmp_path_factory):
    """The tables of a fresh run with everything."""
    return tables(sim.run(built(PLAIN, **EVERYTHING), out=tmp_path_factory.mktemp("larger")).path)


def rows(folder: Path) -> pd.DataFrame:
    """Return every row of a result, numbers as their bits, labels as text."""
    every = sim.open_results(folder).trials
    for name in every.select_dtypes("float"):
        every[name] = every[name].to_numpy(dtype=float).view(np.int64)
    return every.astype(dict.fromkeys(every.select_dtypes("category"), str))


@pytest.fixture(scope="module")
def before(finished, tmp_path_factory):
    """The rows of the result that is extended."""
    return rows(laid(finished, tmp_path_factory.mktemp("before") / "coins"))


def stand(before: pd.DataFrame, now: pd.DataFrame) -> bool:
    """Return whether every row from before is there, equal in each column."""
    both = before.merge(now, how="left", indicator="found", validate="one_to_one")
    return len(both) == len(before) and bool((both["found"] == "both").all())


def test_a_row_that_changed_in_one_bit_is_seen(before):
    assert stand(before, before)
    for name, other in (("estimate", before.loc[77, "estimate"] + 1), ("trial", -1)):
        changed = before.copy()
        changed.loc[77, name] = other
        assert not stand(before, changed)
    assert not stand(before, before.drop(index=77))


# Every axis


@pytest.mark.parametrize("axis", AXES)
def test_what_is_extended_is_to_the_byte_what_one_run_of_it_all_leaves(
    there, before, tmp_path, axis
):
    experiment = built(PLAIN, **AXES[axis])
    extended = sim.extend(experiment, out=tmp_path / "out")
    fresh = sim.run(experiment, out=tmp_path / "fresh")
    assert tables(extended.path) == tables(fresh.path)
    now = rows(there)
    assert stand(before, now)
    assert extended.experiment == experiment
    assert status(there)["complete"]
    assert (len(now) > len(before)) == (axis != "the order")


def test_an_experiment_grows_step_by_step(there, tmp_path, larger):
    grown: dict[str, Any] = {}
    for step in (("trials", "estimators"), ("bags", "sizes"), ("models", "targets", "learners")):
        grown |= {key: EVERYTHING[key] for key in step}
        sim.extend(built(PLAIN, **grown), out=tmp_path / "out")
    assert grown == EVERYTHING
    assert tables(there) == larger


# Only what is new


@pytest.fixture
def calls(monkeypatch):
    """What was drawn, revealed and estimated: counted by name while the test runs."""
    seen: Counter[tuple[Any, ...]] = Counter()
    estimators = [ESTIMATORS.member(kind) for kind in ("plug_in", "miller_madow", "jackknife")]
    for member in (*estimators, Loss):
        watch(monkeypatch, member, "estimate", seen)
        watch(monkeypatch, member, "summed", seen)
    for model in (Itself, Uniform, Drawn):
        watch(monkeypatch, model, "reveal", seen)
    for bag in (type(built(PLAIN).bags[label]) for label in PLAIN["bags"]):
        watch(monkeypatch, bag, "tally", seen)
        if "cells" in vars(bag):  # else they follow from its tally
            watch(monkeypatch, bag, "cells", seen)
    return seen


def watch(monkeypatch, member: type, name: str, seen: Counter[tuple[Any, ...]]) -> None:
    inner = getattr(member, name)

    def watched(self, *arguments):
        if name == "estimate" and len(arguments[0]) <= 61:
            pass  # all outcomes of a size: the exact mean of a control, worked out once
        elif name == "summed":
            values = inner(self, *arguments)
            if values is not None:  # else it is estimated
                seen[self.kind, arguments[0].size, arguments[2].name] += 1
            return values
        elif name == "estimate":
            seen[self.kind, int(arguments[0][0].sum()), arguments[2].name] += 1
        elif name == "reveal":
            seen["reveal", self.kind] += 1
        else:
            seen["tally", len(arguments[0]), arguments[1]] += 1
        return inner(self, *arguments)

    monkeypatch.setattr(member, name, watched)


def expected_calls(there: Experiment, asked: Experiment) -> Counter[tuple[Any, ...]]:
    """Return what has to be called once for each block that lacks it."""
    needed: Counter[tuple[Any, ...]] = Counter()
    for bag in asked.bags:
        for index in range(asked.blocks(bag)):
            reused = known(there, bag) if same_trials(there, asked, bag, index) else set()
            lacking = [
                (c, size)
                for c in asked.cells(bag)
                for size in asked.sizes_of(bag)
                if (c.model, c.target.name, c.label, size) not in reused
            ]
            needed.update((c.estimator.kind, n, c.target.name) for c, n in lacking)
            models = {c.model for c, _ in lacking} - {None}
            needed.update(("reveal", asked.models[model].kind) for model in models)
            if lacking and asked.bags[bag].kind != "polya":
                needed["tally", len(asked.sizes_of(bag)), 4096] += 1
            if "second" in models:  # the second bag is tallied too, at sizes of its own
                sizes = {asked.models["second"].drawn(n) for n in asked.sizes_of(bag)}
                needed["tally", len(sizes), 4096] += 1
    return needed


def known(there: Experiment, bag: str) -> set[tuple[Any, ...]]:
    if bag not in there.bags:
        return set()
    cells, sizes = there.cells(bag), there.sizes_of(bag)
    return {(c.model, c.target.name, c.label, size) for c in cells for size in sizes}


def same_trials(there: Experiment, asked: Experiment, bag: str, index: int) -> bool:
    return bag in there.bags and there.kept(bag, index) == asked.kept(bag, index)


@pytest.mark.parametrize("axis", AXES)
def test_only_what_is_new_is_drawn_and_estimated(there, calls, axis):
    experiment = built(PLAIN, **AXES[axis])
    run(experiment, there)
    expected = expected_calls(built(PLAIN), experiment)
    assert calls == expected
    assert bool(expected) == (axis != "the order")


def test_the_calls_of_a_fresh_run_are_all_counted(tmp_path, calls):
    experiment = built(PLAIN)
    run(experiment, tmp_path / "run")
    nothing = built(PLAIN, bags={"other": BACK}, estimators={"counting": KNOWN["counting"]})
    assert calls == expected_calls(nothing, experiment)
    assert calls["plug_in", 5, "kl"] == 2 * 2 * 2


def test_a_bag_without_a_new_cell_is_not_drawn(there, calls):
    models = {**PLAIN["models"], "fair": {"kind": "uniform", "bags": ["out"]}}
    run(built(PLAIN, models=models), there)
    assert calls == {
        ("plug_in", 5, "kl"): 2,
        ("plug_in", 20, "kl"): 2,
        ("reveal", "uniform"): 2,
        ("tally", 2, 4096): 2,
    }


def test_what_is_there_already_is_left_alone(there, calls, tmp_path):
    before = files(there)
    assert run(built(PLAIN), there) == 0
    assert not calls
    assert files(there) == before


# Rows and back


@pytest.fixture
def moody(tmp_path, monkeypatch):
    """An experiment whose rows have all that a row can have."""
    install_here(tmp_path / "installed", monkeypatch)
    estimators = {
        "plain": {"kind": "moody", "fails": False},
        "banded": {"kind": "plug_in", "interval": "jittered"},
        "moody": {"kind": "moody", "interval": "jittered"},
    }
    return {**PLAIN, "trials": 120, "estimators": estimators}


def test_the_outcomes_of_rows_make_the_same_rows(moody):
    experiment = built(moody)
    for bag in experiment.bags:
        made = block_rows(experiment, bag, 0)
        assert set(made["status"].to_pylist()) == {"ok", "infinite", "undefined", "failed"}
        assert len(set(made["reason"].to_pylist())) >= 4
        assert 0 < made["se"].null_count < made.num_rows
        back = list(outcomes(made, 120))
        again = table(_names(experiment, bag), back, 0)
        assert again.equals(made)
        head = header(experiment, bag, 0)
        assert encode(again, head) == encode(made, head)


def test_the_outcomes_of_no_rows_are_none(moody):
    assert list(outcomes(block_rows(built(moody), "back", 0).slice(0, 0), 120)) == []


def test_failures_reasons_and_drawn_bounds_come_through_an_extension(moody, tmp_path):
    begun = {**moody, "estimators": {"moody": moody["estimators"]["moody"]}, "trials": 120}
    before = sim.run(built(begun), out=tmp_path / "out").path
    old = rows(before)
    extended = sim.extend(built(moody, sizes=[5, 20, 40]), out=tmp_path / "out")
    fresh = sim.run(built(moody, sizes=[5, 20, 40]), out=tmp_path / "fresh")
    assert tables(extended.path) == tables(fresh.path)
    assert stand(old, rows(extended.path))


def test_bounds_are_reused_and_not_drawn_again(moody, tmp_path, monkeypatch):
    folder = sim.run(built(moody), out=tmp_path / "out").path
    learners = {**PLAIN["learners"], "more": {"kind": "relative_frequency"}}
    monkeypatch.setattr("moody.Jittered.bounds", None)
    monkeypatch.setattr("moody.Moody.estimate", None)
    directory = Directory(folder)
    experiment = built(moody, learners=learners)
    before = rows(folder)
    run(experiment, folder)
    directory.save_experiment(dump(experiment))
    assert stand(before, rows(folder))
    assert len(before) < len(rows(folder))


# What of a part can be used again


def keys(found: list[Outcome]) -> set[Any]:
    """Return what was estimated; control variates follow from the draws."""
    return {one.key for one in found if one.target != "control"}


def own_part(folder: Path, bag: str = "back", index: int = 1) -> Path:
    return folder / "trials" / part_name(bag, index)


def test_all_of_a_part_is_used_for_a_larger_experiment(there):
    for axis in set(AXES) - {"trials", "trials within a block", "all at once"}:
        head = header(built(PLAIN, **AXES[axis]), "back", 1)
        assert keys(reusable(content_of(own_part(there)), head)) == known(built(PLAIN), "back"), (
            axis
        )


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 8},
        {"unit": "bits"},
        {"level": 0.9},
        {"trials": 4300},
        {"sizes": [5]},
        {"sizes": [5, 10, 20]},
        {"bags": {"back": {**BACK, "balls": {"red": 2, "blue": 4}}, "out": OUT}},
        {"bags": {"back": TURNED, "out": OUT}},
    ],
    ids=str,
)
def test_nothing_of_a_part_of_other_draws_is_used(there, changes):
    assert reusable(content_of(own_part(there)), header(built(PLAIN, **changes), "back", 1)) == []


@pytest.mark.parametrize("other", [{"canary": "0" * 16}, {"stream": 0}], ids=str)
def test_nothing_of_a_part_from_other_arithmetic_or_another_stream_is_used(there, other):
    head = header(built(PLAIN), "back", 1)
    assert reusable(content_of(own_part(there)), head)
    assert reusable(content_of(own_part(there)), {**head, **other}) == []
    assert reusable(content_of(own_part(there)), header(built(PLAIN), "back", 0)) == []
    assert reusable(content_of(own_part(there)), header(built(PLAIN), "out", 1)) == []


@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        (
            {
                "estimators": {
                    **KNOWN,
                    "counting": {
                        "kind": "plug_in",
                        "learner": {"kind": "add_constant", "amount": 1},
                    },
                }
            },
            lambda key: key[2] == "counting",
        ),
        (
            {"models": {**PLAIN["models"], "second": OTHER}},
            lambda key: key[0] == "second",
        ),
        (
            {"learners": {"laplace": {"kind": "add_constant", "amount": 2}}},
            lambda key: key[0] is None,
        ),
    ],
    ids=["estimator", "model", "learner"],
)
def test_what_is_defined_otherwise_is_not_used(there, changes, lost):
    found = keys(reusable(content_of(own_part(there)), header(built(PLAIN, **changes), "back", 1)))
    every = known(built(PLAIN), "back")
    assert found == {key for key in every if not lost(key)} < every


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_a_damaged_part_is_computed_whole(there, tmp_path, damage):
    path = own_part(there)
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 4
    path.write_bytes(content if damage == "flipped" else content[:-50])
    if damage == "gone":
        path.unlink()
    experiment = built(PLAIN, **AXES["estimators"])
    assert reusable(content_of(path), header(experiment, "back", 1)) == []
    extended = sim.extend(experiment, out=tmp_path / "out")
    assert tables(extended.path) == tables(sim.run(experiment, out=tmp_path / "fresh").path)


# What may not change

CHANGED: dict[str, tuple[dict[str, Any], str]] = {
    "seed": ({"seed": 8}, "seed: 7 there, 8 asked"),
    "unit": ({"unit": "bits"}, 'unit: "nats" there, "bits" asked'),
    "level": ({"level": 0.9}, "level: 0.95 there, 0.9 asked"),
    "trials": ({"trials": 4199}, "trials: 4200 there, 4199 asked"),
    "a size less": ({"sizes": [5]}, "sizes of bag 'back': [5, 20] there, [5] asked; only larger"),
    "a size between": (
        {"sizes": [5, 10, 20]},
        "sizes of bag 'back': [5, 20] there, [5, 10",
    ),
    "sizes of a bag": (
        {"bags": {"back": BACK, "out": {**OUT, "sizes": [20, 30]}}},
        "sizes of bag 'out': [5, 20] there, [20, 30] asked",
    ),
    "balls": (
        {"bags": {"back": {**BACK, "balls": {"red": 1, "blue": 3}}, "out": OUT}},
        "bags.back.balls.red: 2 there, 1 asked",
    ),
    "order of colours": (
        {"bags": {"back": TURNED, "out": OUT}},
        "bags.back: in another order",
    ),
    "a bag less": ({"bags": {"back": BACK}}, "bags.out: {"),
    "a model less": ({"models": {"itself": ITSELF}}, "models.second: {"),
    "a model": (
        {"models": {"itself": ITSELF, "second": OTHER}},
        "models.second.draws: {",
    ),
    "an estimator less": (
        {"estimators": {"counting": KNOWN["counting"]}},
        "estimators.corrected: {",
    ),
    "an estimator": (
        {"estimators": {**KNOWN, "counting": JACKKNIFE}},
        'estimators.counting.kind: "plug_in" there',
    ),
    "a learner": (
        {"learners": {"laplace": {"kind": "add_constant", "amount": 2}}},
        "learners.laplace.amount: 1",
    ),
    "a filter that shrinks": (
        {"estimators": {**KNOWN, "counting": {"kind": "plug_in", "models": ["second"]}}},
        "back / itself / kl / counting: there, not asked",
    ),
}


@pytest.mark.parametrize("name", CHANGED)
def test_what_would_change_what_is_there_is_refused_line_by_line(name):
    changes, expected = CHANGED[name]
    lines = obstacles(built(PLAIN), built(PLAIN, **changes))
    assert any(line.startswith(expected) for line in lines), lines


def test_a_target_that_is_gone_is_refused():
    alone = {**PLAIN, "estimators": {"counting": KNOWN["counting"]}, "learners": {}}
    lines = obstacles(built(alone), built(alone, targets=["js"]))
    expected = [
        f"{b} / {m} / kl / counting: there, not asked"
        for b in alone["bags"]
        for m in alone["models"]
    ]
    assert lines == expected


@pytest.mark.parametrize("axis", AXES)
def test_what_may_grow_is_no_obstacle_and_the_way_back_is(axis):
    there, asked = built(PLAIN), built(PLAIN, **AXES[axis])
    assert obstacles(there, asked) == []
    assert obstacles(there, there) == []
    assert (obstacles(asked, there) == []) == (axis == "the order")


def test_a_change_is_refused_with_what_may_be_done_and_nothing_is_touched(there, tmp_path):
    before = files(there)
    config = tmp_path / "coins.yaml"
    config.write_text(text(PLAIN, **EVERYTHING))
    done = klsim(
        "extend", config, "--out", tmp_path / "out", "--set", "seed=8", "--set", "unit=bits"
    )
    assert done.returncode == 4
    said = done.stderr.splitlines()
    assert said[0] == f"{there} cannot be extended to this experiment:"
    assert said[1:3] == ["  seed: 7 there, 8 asked", '  unit: "nats" there, "bits" asked']
    assert "may add trials, sizes beyond the largest, bags, models, targets" in done.stderr
    assert done.stdout == ""
    assert files(there) == before


def test_run_says_that_extend_would_add_it(there, tmp_path):
    before = files(there)
    with pytest.raises(DifferentExperiment, match="klsim extend would add") as fault:
        sim.run(built(PLAIN, **EVERYTHING), out=tmp_path / "out")
    assert "or start again with --fresh" in str(fault.value)
    with pytest.raises(DifferentExperiment) as other:
        sim.run(built(PLAIN, seed=8), out=tmp_path / "out")
    assert "klsim extend" not in str(other.value)
    assert differences(built(PLAIN), built(PLAIN, **EVERYTHING))
    assert files(there) == before


def test_without_a_result_there_is_nothing_to_extend(tmp_path):
    config = tmp_path / "coins.yaml"
    config.write_text(text(PLAIN))
    done = klsim("extend", config, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "there is no result to extend; make one with: klsim run" in done.stderr
    assert not (tmp_path / "out").exists()
    with pytest.raises(NoResults):
        sim.extend(built(PLAIN), out=tmp_path / "out")


def test_a_result_in_use_is_not_extended(there, tmp_path):
    with Directory(there).locked(), pytest.raises(InUse):
        sim.extend(built(PLAIN), out=tmp_path / "out")


# The command


def test_the_command_extends_and_says_what_came_of_it(there, tmp_path, larger):
    config = tmp_path / "coins.yaml"
    config.write_text(text(PLAIN, **EVERYTHING | {"trials": 4200}))
    done = klsim("extend", config, "--out", tmp_path / "out", "--set", "trials=4300", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["name"], told["trials"]) == ("coins", 4300)
    assert {row["bag"] for row in told["summary"]} == {"first", "back", "out"}
    assert tables(there) == larger
    again = klsim("extend", config, "--out", tmp_path / "out", "--set", "trials=4300")
    assert again.returncode == 0
    assert "4,300 trials a bag in" in again.stdout
    events = [json.loads(line)["event"] for line in (there / "log.jsonl").read_text().splitlines()]
    assert events == ["run", "done", *["extend", "done"] * 2]
    assert json.loads((there / "run.json").read_text())["computed"] == 0


@pytest.mark.parametrize(("verb", "after"), [(sim.run, 4), (sim.extend, 1), (sim.extend, 5)])
def test_an_extension_that_is_interrupted_goes_on(there, tmp_path, larger, verb, after):
    experiment = built(PLAIN, **EVERYTHING)
    seen: list[int] = []

    def interrupt(done: int, total: int) -> None:
        seen.append(done)
        if len(seen) == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sim.extend(experiment, out=tmp_path / "out", progress=interrupt)
    assert not status(there)["complete"]
    assert tables(verb(experiment, out=tmp_path / "out").path) == larger


def test_an_extension_that_is_killed_goes_on(there, tmp_path, larger):
    config = tmp_path / "coins.yaml"
    config.write_text(text(PLAIN, **EVERYTHING))
    options = (config, "--out", tmp_path / "out", "--workers", "2", "--engine", "processes")
    new = own_part(there, "first", 0)
    kill_when(new.exists, "extend", *options)
    assert klsim("extend", *options).returncode == 0
    assert tables(there) == larger


def test_an_extension_that_was_cut_short_is_analyzed_as_far_as_it_goes(there, tmp_path):
    asked = {**AXES["estimators"], **AXES["models"]}
    fresh = sim.run(built(PLAIN, **asked), out=tmp_path / "fresh").path
    before = sim.open_results(there).summary
    for name in ("experiment.yaml", f"trials/{part_name('back', 0)}"):
        (there / name).write_bytes((fresh / name).read_bytes())
    rows = reanalyze(there).summary
    own = rows[rows["bag"] == "back"]
    drawn = built(PLAIN).block_trials("back")
    new = own[(own["estimator"] == "jackknife") | (own["model"] == "fair")]
    assert set(new["trials"]) == {drawn}
    old = own.drop(new.index)
    assert set(old["trials"]) == {PLAIN["trials"]}
    keys = ["model", "target", "estimator", "size"]
    both = old.merge(before[before["bag"] == "back"], on=keys, suffixes=("", "_before"))
    assert len(both) == len(old)
    for name in ("bias", "sd", "adjusted_bias"):
        assert both[name].equals(both[f"{name}_before"]), name
    # nor compared: the command tells what it can
    best = sim.open_results(there).best().query("bag == 'back' and model == 'itself'")
    assert set(best["best"].dropna()) == {"corrected"}
    assert not any("jackknife" in rivals for rivals in best["rivals"])
    told = klsim("analyze", there)
    assert told.returncode == 0, told.stderr
    assert "not complete" in told.stdout
    # nothing that only some parts have is adjusted by the controls of all
    one = new[(new["estimator"] == "jackknife") & (new["model"] == "itself")]
    assert len(one)
    assert one["adjusted_bias"].isna().all()


def test_a_rule_to_stop_extends_like_any_number_of_trials(tmp_path):
    stop = {"bias_mcse": 4e-3, "max_trials": 60_000}
    begun = sim.run(built(PLAIN, stop=stop), out=tmp_path / "out")
    before, used = rows(begun.path), begun.stop["bags"]["back"]["trials"]
    asked = built(PLAIN, stop={**stop, "bias_mcse": 2e-3}, **AXES["estimators"])
    extended = sim.extend(asked, out=tmp_path / "out")
    fresh = sim.run(asked, out=tmp_path / "fresh")
    assert tables(extended.path) == tables(fresh.path)
    assert extended.stop == fresh.stop
    assert extended.stop["bags"]["back"]["trials"] > used
    assert stand(before, rows(extended.path))
    with pytest.raises(DifferentExperiment, match="which is looser"):
        sim.extend(built(PLAIN, stop=stop, **AXES["estimators"]), out=tmp_path / "out")


@pytest.mark.parametrize("stop", [None, {"bias_mcse": 1e-2, "max_trials": 10_000}], ids=str)
def test_a_bag_that_nothing_was_estimated_of_is_extended_too(tmp_path, stop):
    alone = {**PLAIN, "trials": 100, "learners": {}, "stop": stop}
    begun = built(alone, estimators={"counting": {"kind": "plug_in", "bags": ["back"]}})
    first = sim.run(begun, out=tmp_path / "out")
    assert set(first.summary["bag"]) == {"back"}
    assert (first.stop is None) == (stop is None)
    if first.stop:
        assert first.stop["bags"]["back"]["where"]["estimator"] == "counting"
        assert first.stop["bags"]["out"]["where"] is None
    asked = built(alone, estimators={"counting": {"kind": "plug_in"}})
    extended = sim.extend(asked, out=tmp_path / "out")
    assert tables(extended.path) == tables(sim.run(asked, out=tmp_path / "fresh").path)
    assert set(extended.summary["bag"]) == {"back", "out"}
