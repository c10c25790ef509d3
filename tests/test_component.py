"""Families find their members, members are values, and what is unknown is named."""

from __future__ import annotations

import ast
import copy
import inspect
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow.parquet as pq
import pytest
from members import FAMILIES, cases, shown, written
from pydantic import ValidationError

import sim
from sim.checks import guess
from sim.config import reading
from sim.config.documents import parse
from sim.config.problems import ConfigurationError, Source
from sim.contracts.bag import BAGS, Bag
from sim.contracts.component import Component, Family
from sim.contracts.estimator import ESTIMATORS, Estimator, Loss
from sim.contracts.interval import INTERVALS, Interval
from sim.contracts.learner import LEARNERS, Learner
from sim.contracts.model import MODELS, Model

SHELVES = Path(sim.__file__).parent
CONTRACTS = {
    "bags": Bag,
    "models": Model,
    "learners": Learner,
    "estimators": Estimator,
    "intervals": Interval,
}
MEMBERS = [
    pytest.param(family, kind, id=f"{family.name}.{kind}")
    for family in FAMILIES
    for kind in family.kinds()
]
CASES = [
    pytest.param(param.values[0], id=f"{family.name}.{param.id}")
    for family in FAMILIES
    for param in cases(family)
]


def faults(family: Family, value: object) -> list[tuple[tuple[int | str, ...], str]]:
    """Return the places and messages of what is wrong with a value of a family."""
    with pytest.raises(Exception) as caught:  # noqa: PT011
        family.build(value)
    if isinstance(caught.value, ValidationError):
        return [(line["loc"], line["msg"]) for line in caught.value.errors()]
    return [((), str(caught.value))]


def experiment(**parts: object) -> str:
    """Return the text of an experiment with these parts, one line a part where it fits."""
    plain = {"name": "it", "seed": 1, "trials": 3, "sizes": [2]}
    bags = {"urn": {"kind": "with_replacement", "balls": {"red": 1, "blue": 1}}}
    return written({**plain, "bags": bags, **parts})


# the shelf


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_the_kinds_of_a_family_are_the_files_on_its_shelf(family):
    files = sorted(p.stem for p in (SHELVES / family.name).glob("*.py") if p.stem != "__init__")
    assert [kind for kind in family.kinds() if kind in files] == files
    assert len(set(family.kinds())) == len(family.kinds()) > 0


@pytest.mark.parametrize(("family", "kind"), MEMBERS)
def test_a_member_is_named_by_its_kind_and_fulfils_its_contract(family, kind):
    member = family.member(kind)
    assert member.model_fields["kind"].default == kind
    assert issubclass(member, CONTRACTS[family.name])
    assert not inspect.isabstract(member)


@pytest.mark.parametrize(("family", "kind"), MEMBERS)
def test_a_member_has_its_file_to_itself(family, kind):
    tree = ast.parse(Path(inspect.getfile(family.member(kind))).read_text(encoding="utf-8"))
    kinds = [
        line.target.id
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        for line in node.body
        if isinstance(line, ast.AnnAssign) and line.target.id == "kind"
    ]
    assert kinds == ["kind"]


@pytest.mark.parametrize(("family", "kind"), MEMBERS)
def test_a_member_says_what_it_is_and_shows_itself(family, kind):
    member = family.member(kind)
    assert member.about().endswith((".", "?"))
    assert shown(family, kind)["kind"] == kind
    assert family.build(shown(family, kind)).kind == kind


@pytest.mark.parametrize(("family", "kind"), MEMBERS)
def test_a_member_describes_its_parameters_as_a_schema(family, kind):
    plain = family.member(kind).model_json_schema(by_alias=True)
    assert set(shown(family, kind)) <= set(plain["properties"])
    assert plain["additionalProperties"] is False


def test_a_component_without_an_example_shows_nothing():
    class Bare(Component):
        """It is bare."""

        kind: Literal["bare"] = "bare"

    assert Bare.about() == "It is bare."
    assert Bare.example() == ""


def test_an_example_comes_without_its_indentation():
    class Deep(Component):
        """It has an example.

        Example:
            kind: deep
            inner:
              key: 1
        """

    assert Deep.example() == "kind: deep\ninner:\n  key: 1"


def test_a_family_imports_no_member_before_it_is_asked_for():
    code = """
import sys
from sim.contracts.bag import BAGS
kinds = BAGS.kinds()
loaded = lambda: {k for k in kinds if f"sim.bags.{k}" in sys.modules}
assert loaded() == set(), loaded()
assert "kind" in BAGS.member("with_replacement").model_fields
assert loaded() == {"with_replacement"}, loaded()
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


# what is unknown


@pytest.mark.parametrize(("family", "kind"), MEMBERS)
def test_a_kind_nearly_right_is_guessed(family, kind):
    [(place, message)] = faults(family, {"kind": kind + "_"})
    assert place == ("kind",)
    assert message == f"unknown kind '{kind}_'; did you mean '{kind}'?"


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
@pytest.mark.parametrize("kind", ["qqqqqqqq", "", 3, None, True, ["a"], {"b": 1}], ids=repr)
def test_a_kind_far_from_all_gets_a_list_of_what_is_known(family, kind):
    [(place, message)] = faults(family, {"kind": kind, "balls": 3})
    assert place == ("kind",)
    assert message.startswith("unknown kind ")
    assert message.endswith(f"; known here: {', '.join(family.kinds())}")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_a_missing_kind_is_missed(family):
    [(place, message)] = faults(family, {"balls": {"red": 1}})
    assert place == ()
    assert message == f"`kind` is missing; known here: {', '.join(family.kinds())}"


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
@pytest.mark.parametrize("value", ["uniform", 7, None, ("kind",), 1.5], ids=repr)
def test_what_is_no_mapping_is_no_member(family, value):
    [(_, message)] = faults(family, value)
    if family.bare and isinstance(value, str):  # a kind alone is one
        assert message.startswith(f"unknown kind {value!r}; known here: ")
        return
    known = {"bag": "a", "model": "a", "learner": "a", "estimator": "an", "interval": "an"}
    article = known[family.singular]
    assert message.startswith(f"expected {article} {family.singular}, {{kind: …}}; got ")


@pytest.mark.parametrize(("family", "kind"), MEMBERS)
def test_an_unknown_parameter_is_rejected_by_name(family, kind):
    [(place, message)] = faults(family, {**shown(family, kind), "flavour": 3})
    assert place == ("flavour",)
    assert message.startswith("unknown key 'flavour'")


@pytest.mark.parametrize(("family", "kind"), MEMBERS)
def test_a_parameter_nearly_right_is_guessed(family, kind):
    plain = shown(family, kind)
    for name in set(plain) - {"kind"}:
        wrong = {key + "_" * (key == name): value for key, value in plain.items()}
        assert ((f"{name}_",), f"unknown key '{name}_'; did you mean '{name}'?") in faults(
            family, wrong
        )


@pytest.mark.parametrize(("family", "kind"), MEMBERS)
def test_in_a_file_the_fault_of_a_member_has_its_line(family, kind):
    text = experiment(**standing(family, {**shown(family, kind), "flavour": 3}))
    with pytest.raises(ConfigurationError) as caught:
        reading.read(text)
    [fault] = [p for p in caught.value.problems if "'flavour'" in p.message]
    within = ("estimators", "it", "interval") if family is INTERVALS else (family.name, "it")
    assert fault.path == (*within, "flavour")
    line = text.splitlines()[fault.mark.line]
    assert line[fault.mark.column :].startswith("flavour")


def test_all_faults_of_a_member_come_at_once():
    wrong = {"kind": "with_replacement", "balls": {"red": -1, "blue": "many"}, "size": [1]}
    places = {place for place, _ in faults(BAGS, wrong)}
    assert places == {("balls", "red"), ("balls", "blue"), ("size",)}


def test_a_fault_of_an_inner_member_has_the_whole_path():
    wrong = {"kind": "plug_in", "learner": {"kind": "add_constant", "amount": "laplac"}}
    [(place, message)] = faults(ESTIMATORS, wrong)
    assert place == ("learner", "amount")
    assert message == "unknown amount 'laplac'; did you mean 'laplace'?"


@pytest.mark.parametrize(
    ("word", "known", "said"),
    [
        ("reed", ["red", "blue"], "; did you mean 'red'?"),
        ("xyz", ["red", "blue"], "; known here: red, blue"),
        ("xyz", [], ""),
    ],
)
def test_a_guess_is_the_nearest_or_all(word, known, said):
    assert guess(word, iter(known)) == said


# members are values


@pytest.mark.parametrize("case", CASES)
def test_a_member_is_equal_when_it_is_rebuilt(case):
    one, other = case.build(), case.build()
    assert one is not other
    assert one == other
    assert hash(one) == hash(other)
    assert len({one, other}) == 1


@pytest.mark.parametrize("case", CASES)
def test_a_member_is_what_its_own_words_say(case):
    one = case.build()
    plain = one.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert case.family.build(parse(Source("it", written(plain))).data) == one
    whole = holding(case)
    assert reading.read(reading.dump(whole)) == whole


def standing(family, member):
    """Return the part of an experiment where a member called `it` stands."""
    if family is INTERVALS:
        return {"estimators": {"it": {"kind": "plug_in", "interval": member}}}
    return {family.name: {"it": member}}


def holding(case):
    """Return an experiment that holds a member; only the shelf's bag has its own colours."""
    part = standing(case.family, case.data)
    if case.family is MODELS:
        part["models"]["it"] = {**case.data, "bags": []}
    if case.family is ESTIMATORS:
        one = case.build()
        part["targets"] = sorted(one.serves or {"kl"})[:1]
        if not one.one_sample:
            second = {"kind": "with_replacement", "balls": {"red": 1, "blue": 1}}
            part["models"] = {"it": {"kind": "drawn", "bag": second}}
    return reading.read(experiment(**part))


@pytest.mark.parametrize("case", CASES)
def test_a_member_passes_a_family_as_it_is(case):
    one = case.build()
    assert case.family.build(one) is one


@pytest.mark.parametrize("case", CASES)
def test_a_member_travels_to_another_process(case):
    one = case.build()
    assert pickle.loads(pickle.dumps(one)) == one
    assert copy.deepcopy(one) == one
    assert hash(pickle.loads(pickle.dumps(one))) == hash(one)


@pytest.mark.parametrize("case", CASES)
def test_a_member_is_frozen(case):
    one = case.build()
    for name in type(one).model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(one, name, None)
    assert one == case.build()


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_members_that_differ_are_not_equal(family):
    members = [param.values[0].build() for param in cases(family)]
    for place, one in enumerate(members):
        assert [one == other for other in members].count(True) == 1, place
    assert len(set(members)) == len(members)


TWINS = {
    "a whole number as a float": (
        BAGS,
        {"kind": "with_replacement", "balls": {"red": 10, "blue": 15}},
        {"kind": "with_replacement", "balls": {"red": 10.0, "blue": 15}},
    ),
    "colours in another order": (
        BAGS,
        {"kind": "with_replacement", "balls": {"red": 10, "blue": 15}},
        {"kind": "with_replacement", "balls": {"blue": 15, "red": 10}},
    ),
    "an amount as a float": (
        LEARNERS,
        {"kind": "add_constant", "amount": 1},
        {"kind": "add_constant", "amount": 1.0},
    ),
}


@pytest.mark.parametrize(("family", "one", "other"), TWINS.values(), ids=TWINS)
def test_members_that_are_equal_have_one_hash(family, one, other):
    first, second = family.build(one), family.build(other)
    assert first != second or hash(first) == hash(second)


@pytest.mark.parametrize(("family", "kind"), MEMBERS)
def test_a_member_is_equal_to_nothing_but_a_member(family, kind):
    plain = shown(family, kind)
    assert all(family.build(plain) != other for other in (plain, kind, None))


@pytest.mark.parametrize("kind", ["with_replacement", "without_replacement"])
def test_cached_arrays_take_no_part_in_a_value(kind):
    plain = {"kind": kind, "balls": {"uniform": {"colours": 50_000}}}
    fresh, used = BAGS.build(plain), BAGS.build(plain)
    before = len(pickle.dumps(used))
    for counts in used.tally((1, 2), 2, np.random.default_rng(1)):
        assert counts.shape == (2, 50_000)
    assert used.truth(2).sum() == pytest.approx(1)
    assert used == fresh
    assert hash(used) == hash(fresh)
    assert len(pickle.dumps(used)) == before < 2_000
    back = pickle.loads(pickle.dumps(used))
    assert np.array_equal(back.truth(2), used.truth(2))


@pytest.mark.parametrize("case", [c for c in CASES if c.values[0].family is BAGS])
def test_a_bag_that_was_drawn_from_is_the_bag_it_was(case):
    used, fresh = case.build(), case.build()
    for _ in used.tally((1,), 2, np.random.default_rng(1)):
        used.truth(1)
    used.count_law(1)
    assert used == fresh
    assert pickle.dumps(used) == pickle.dumps(fresh)


def test_a_member_takes_numbers_as_numbers_only():
    for wrong in ("1", True, None, float("nan"), float("inf"), 0, -1):
        assert faults(LEARNERS, {"kind": "add_constant", "amount": wrong})


def test_the_loss_of_a_learner_is_a_value_and_on_no_shelf():
    learner = LEARNERS.build({"kind": "relative_frequency"})
    assert Loss(learner=learner) == Loss(learner=LEARNERS.build({"kind": "relative_frequency"}))
    assert "loss" not in ESTIMATORS.kinds()


# members of installed packages

PLUGIN = '''"""An estimator and a bag from elsewhere."""

from typing import Literal

import numpy as np

from sim.contracts.bag import SequentialBag
from sim.contracts.estimator import Estimator


class Largest(Estimator):
    """The largest share among the draws.

    Example:
        kind: largest
        times: 2
    """

    kind: Literal["largest"] = "largest"
    times: int = 1

    def estimate(self, counts, reference, target):
        return self.times * counts.max(axis=-1) / counts.sum(axis=-1)


class Turns(SequentialBag):
    """Heads and tails in turn, the first by chance.

    Example:
        kind: turns
    """

    kind: Literal["turns"] = "turns"

    @property
    def colours(self):
        return ("heads", "tails")

    def truth(self, n):
        return np.array([0.5, 0.5])

    def draw(self, n, rng):
        return (rng.integers(2) + np.arange(n)) % 2
'''
POINTS = """[klsim]
estimators.largest = extra_members:Largest
bags.turns = extra_members:Turns
bags.with_replacement = extra_members:Turns
bags.broken = extra_members_that_are_not_there:Nothing

[another.group]
bags.foreign = extra_members:Turns
"""
LEARNT = {
    "bags": {"turns": {"kind": "turns"}},
    "estimators": {"top": {"kind": "largest", "times": 2}, "counting": {"kind": "plug_in"}},
    "trials": 9000,
    "sizes": [1, 2, 5],
}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a package with members in a folder of its own, for child processes only."""
    place = tmp_path / "site"
    about = place / "extra_members-1.0.dist-info"
    about.mkdir(parents=True)
    (place / "extra_members.py").write_text(PLUGIN)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: extra-members\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(POINTS)
    monkeypatch.setenv("PYTHONPATH", str(place))
    return tmp_path


def python(code: str, *arguments: str, exit_code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == exit_code, done.stdout + done.stderr
    return done


KLSIM = "from sim.cli.main import main; main()"


def test_an_installed_member_stands_behind_those_of_the_shelf(installed):
    python("""
from sim.contracts.bag import BAGS
from sim.contracts.estimator import ESTIMATORS
kinds = BAGS.kinds()
assert len(set(kinds)) == len(kinds)
assert kinds.index("turns") > kinds.index("broken") > kinds.index("without_replacement")
assert not [kind for kind in kinds if "foreign" in kind or "largest" in kind]
assert BAGS.member("with_replacement").__module__ == "sim.bags.with_replacement"
assert BAGS.build({"kind": "turns"}).kind == "turns"
assert ESTIMATORS.build({"kind": "largest"}).times == 1
""")


def test_an_installed_member_that_cannot_be_imported_harms_only_who_asks_for_it(installed):
    python("""
from sim.contracts.bag import BAGS
assert "broken" in BAGS.kinds()
BAGS.build({"kind": "turns"})
try:
    BAGS.build({"kind": "broken"})
except ImportError:
    pass
else:
    raise SystemExit(1)
""")


def test_a_parameter_of_an_installed_member_is_checked_like_any_other(installed):
    config = installed / "wrong.yaml"
    wrong = {"top": {"kind": "largest", "tines": 2}}
    config.write_text(experiment(**{**LEARNT, "estimators": wrong}))
    done = python(KLSIM, "validate", str(config), exit_code=2)
    assert "unknown key 'tines'; did you mean 'times'?" in done.stdout + done.stderr


def test_an_experiment_with_installed_members_runs_here_and_in_worker_processes(installed):
    config = installed / "it.yaml"
    config.write_text(experiment(**LEARNT))
    for workers, engine in ((1, "serial"), (2, "processes")):
        options = ("--workers", str(workers), "--engine", engine, "--out", str(installed / engine))
        python(KLSIM, "run", str(config), *options)
    parts = sorted((installed / "serial" / "it" / "trials").glob("*.parquet"))
    assert len(parts) == 3
    for part in parts:
        twin = installed / "processes" / "it" / "trials" / part.name
        assert part.read_bytes() == twin.read_bytes()
    rows = pq.read_table(parts[0]).to_pandas().query("estimator == 'top'")
    assert set(rows["status"]) == {"ok"}
    largest = rows.groupby("size")["estimate"].agg(["min", "max"])
    assert largest.to_numpy().tolist() == [[2.0, 2.0], [1.0, 1.0], [1.2, 1.2]]
