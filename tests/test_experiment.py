"""An experiment is a value: what it holds, what it refuses, its streams and its identity."""

from __future__ import annotations

import hashlib
import json
import pickle
import subprocess
import sys
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from members import urn
from pydantic import ValidationError

from sim.config import reading
from sim.config.problems import ConfigurationError
from sim.contracts.bag import BAGS
from sim.contracts.estimator import ESTIMATORS, Estimator
from sim.contracts.learner import LEARNERS
from sim.contracts.model import MODELS
from sim.divergences import KL, KL_LOSS, NAMES
from sim.experiment import STREAM_VERSION, Cell, Experiment
from sim.trials import block_rows

FAIR = MODELS.build({"kind": "fixed", "balls": {"red": 1, "blue": 1}})
ITSELF = MODELS.build({"kind": "itself"})
COUNTING = ESTIMATORS.build({"kind": "plug_in"})
MILLER_MADOW = ESTIMATORS.build({"kind": "miller_madow"})
LAPLACE = LEARNERS.build({"kind": "add_constant", "amount": "laplace"})
few_examples = settings(deadline=None, derandomize=True, max_examples=25)

TEXT = """\
name: small
seed: 20240601
trials: 50
sizes: [2, 5]
bags:
  urn: {kind: with_replacement, balls: {red: 10, blue: 15}}
models:
  itself: {kind: itself}
  fair: {kind: fixed, balls: {red: 1, blue: 1}}
estimators:
  counting: {kind: plug_in}
  miller_madow: {kind: miller_madow}
learners:
  laplace: {kind: add_constant, amount: laplace}
"""


class Nothing(Estimator):
    """It serves a target that there is not."""

    kind: Literal["nothing"] = "nothing"
    serves: ClassVar[frozenset[str] | None] = frozenset({"nothing"})


def experiment(**parts: Any) -> Experiment:
    """Return a small experiment with some parts made otherwise."""
    plain = {
        "name": "small",
        "seed": 20240601,
        "trials": 50,
        "sizes": (2, 5),
        "bags": {"urn": urn(red=10, blue=15)},
        "models": {"itself": ITSELF, "fair": FAIR},
        "estimators": {"counting": COUNTING, "miller_madow": MILLER_MADOW},
        "learners": {"laplace": LAPLACE},
    }
    return Experiment(**{**plain, **parts})


def wrong(**parts: Any) -> list[tuple[tuple[int | str, ...], str]]:
    """Return the places and messages of what an experiment refuses."""
    with pytest.raises(ValidationError) as caught:
        experiment(**parts)
    return [(line["loc"], line["msg"]) for line in caught.value.errors()]


# a value


def test_an_experiment_in_a_file_is_the_one_in_python():
    assert reading.read(TEXT) == experiment()
    assert hash(reading.read(TEXT)) == hash(experiment())


def test_an_experiment_travels_to_another_process():
    whole = experiment()
    back = pickle.loads(pickle.dumps(whole))
    assert back == whole
    assert back.digest == whole.digest
    assert block_rows(back, "urn", 0).equals(block_rows(whole, "urn", 0))


def test_an_experiment_is_frozen():
    whole = experiment()
    for name in Experiment.model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(whole, name, None)


def test_what_is_left_out_has_its_default():
    bare = Experiment(name="bare", seed=1, trials=1, sizes=(3,), bags={"urn": urn(a=1, b=1)})
    assert (bare.about, bare.unit, bare.targets) == ("", "nats", ("kl",))
    assert bare.models == {"itself": ITSELF}
    assert bare.estimators == {"counting": COUNTING}
    assert bare.learners == {}


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("name", "a/b"),
        ("name", ""),
        ("seed", -1),
        ("seed", 2**128),
        ("seed", 1.5),
        ("seed", True),
        ("trials", 0),
        ("trials", 10**12 + 1),
        ("sizes", ()),
        ("sizes", (0,)),
        ("unit", "hartley"),
        ("bags", {}),
        ("bags", {"": urn(a=1)}),
        ("targets", ()),
        ("targets", ("KL",)),
    ],
    ids=str,
)
def test_a_part_beyond_its_bounds_is_refused_in_its_place(part, value):
    assert all(place[0] == part for place, _ in wrong(**{part: value}))


@pytest.mark.parametrize("seed", [0, 1, 2**64, 2**128 - 1])
def test_a_seed_has_up_to_128_bits(seed):
    assert experiment(seed=seed).seed == seed


# its identity


def test_the_identity_is_plain_data_and_holds_all_that_decides_a_row():
    identity = experiment().identity
    assert json.loads(json.dumps(identity)) == identity
    assert identity["stream"] == STREAM_VERSION
    assert set(identity) == {*Experiment.model_fields, "stream"} - {
        "name",
        "about",
        "trials",
        "stop",
        "tolerance",
    }


@pytest.mark.parametrize(
    "parts",
    [
        {"name": "other"},
        {"about": "Said otherwise."},
        {"trials": 51},
        {"tolerance": {"error": 0.5, "confidence": 0.9}},
    ],
    ids=str,
)
def test_words_trials_and_the_tolerance_are_no_part_of_the_identity(parts):
    assert experiment(**parts).digest == experiment().digest


@pytest.mark.parametrize(
    "parts",
    [
        {"seed": 1},
        {"sizes": (2, 6)},
        {"unit": "bits"},
        {"bags": {"jar": urn(red=10, blue=15)}},
        {"bags": {"urn": urn(red=11, blue=15)}},
        {"bags": {"urn": urn(blue=15, red=10)}},
        {"bags": {"urn": urn(red=10, blue=15), "jar": urn(red=1, blue=1)}},
        {"models": {"itself": ITSELF}},
        {"models": {"fair": FAIR, "itself": ITSELF}},
        {"estimators": {"miller_madow": MILLER_MADOW, "counting": COUNTING}},
        {"estimators": {"counting": COUNTING}},
        {"learners": {}},
        {"learners": {"other": LAPLACE}},
    ],
    ids=str,
)
def test_whatever_decides_a_row_changes_the_digest(parts):
    assert experiment(**parts).digest != experiment().digest


def test_the_digest_is_32_hexadecimal_digits_and_the_same_in_another_process():
    code = (
        "import sys; from sim.config import reading; print(reading.read(sys.stdin.read()).digest)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=TEXT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == experiment().digest
    assert len(experiment().digest) == 32
    assert int(experiment().digest, 16) >= 0


@pytest.mark.parametrize(
    "balls",
    [{"red": 10.0, "blue": 15.0}, {"blue": 15, "red": 10}, {"red": 10, "blue": 15}],
    ids=str,
)
def test_equal_experiments_have_equal_digests(balls):
    other = experiment(bags={"urn": urn(**balls)})
    assert other != experiment() or other.digest == experiment().digest


# its cells


def test_the_cells_are_models_by_targets_by_estimators_then_losses():
    found = [(cell.model, cell.target.name, cell.label) for cell in experiment().cells("urn")]
    assert found == [
        ("itself", "kl", "counting"),
        ("itself", "kl", "miller_madow"),
        ("fair", "kl", "counting"),
        ("fair", "kl", "miller_madow"),
        (None, "kl_loss", "laplace"),
    ]


def test_a_cell_holds_what_is_to_be_done():
    *_, last = experiment().cells("urn")
    assert isinstance(last, Cell)
    assert last.target is KL_LOSS
    assert last.estimator.learner == LAPLACE
    assert experiment().cells("urn")[0].estimator is COUNTING
    assert experiment().cells("urn")[0].target is KL


def test_learners_alone_are_enough():
    cells = experiment(estimators={}).cells("urn")
    assert [(cell.model, cell.label) for cell in cells] == [(None, "laplace")]
    assert wrong(estimators={}, learners={}) == [
        (("estimators",), "expected at least one estimator or learner; got none")
    ]


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        ({"models": ("fair",)}, {("urn", "fair"), ("jar", "fair")}),
        ({"bags": ("jar",)}, {("jar", "itself"), ("jar", "fair")}),
        ({"bags": ("jar",), "models": ("itself",)}, {("jar", "itself")}),
        ({"targets": ("kl",), "bags": ("urn",)}, {("urn", "itself"), ("urn", "fair")}),
        ({"bags": ()}, set()),
    ],
    ids=["models", "bags", "bags and models", "targets and bags", "none"],
)
def test_an_estimator_meets_what_its_filters_list(filters, left):
    counting = ESTIMATORS.build({"kind": "plug_in", **filters})
    bags = {"urn": urn(red=10, blue=15), "jar": urn(red=1, blue=2)}
    whole = experiment(bags=bags, estimators={"some": counting, "all": MILLER_MADOW}, learners={})
    met = {(bag, c.model) for bag in bags for c in whole.cells(bag) if c.label == "some"}
    assert met == left
    assert sum(c.label == "all" for bag in bags for c in whole.cells(bag)) == 4


def test_a_model_meets_the_bags_that_it_lists():
    fair = MODELS.build({"kind": "fixed", "balls": {"red": 1, "blue": 1}, "bags": ("urn",)})
    bags = {"urn": urn(red=10, blue=15), "dice": urn(one=1, two=1, three=1)}
    whole = experiment(bags=bags, models={"itself": ITSELF, "fair": fair})
    assert [c.model for c in whole.cells("urn")] == [*["itself"] * 2, *["fair"] * 2, None]
    assert [c.model for c in whole.cells("dice")] == ["itself", "itself", None]


@pytest.mark.parametrize(
    ("part", "filters", "place", "name"),
    [
        ("estimators", {"bags": ("urm",)}, ("bags", 0), "urm"),
        ("estimators", {"bags": ("urn", "jar")}, ("bags", 1), "jar"),
        ("estimators", {"models": ("fare",)}, ("models", 0), "fare"),
        ("estimators", {"targets": ("reverse",)}, ("targets", 0), "reverse"),
        ("models", {"bags": ("urm",)}, ("bags", 0), "urm"),
    ],
)
def test_a_filter_names_only_what_there_is(part, filters, place, name):
    kind = {"estimators": "plug_in", "models": "itself"}[part]
    family = {"estimators": ESTIMATORS, "models": MODELS}[part]
    faults = dict(wrong(**{part: {"some": family.build({"kind": kind, **filters})}}))
    assert faults[(part, "some", *place)].startswith(f"this experiment has none called '{name}'")


def test_a_name_nearly_right_in_a_filter_is_guessed():
    counting = ESTIMATORS.build({"kind": "plug_in", "bags": ("urm",)})
    [(_, message)] = wrong(estimators={"some": counting})
    assert message.endswith("; did you mean 'urn'?")


def test_an_estimator_that_serves_no_target_of_the_experiment_is_refused():
    [(place, message)] = wrong(estimators={"counting": COUNTING, "idle": Nothing()})
    assert place == ("estimators", "idle")
    assert message == "it serves none of this experiment's targets; it serves: nothing"


def test_a_target_that_no_estimator_serves_is_refused_with_those_that_would():
    faults = dict(wrong(estimators={"idle": Nothing()}))
    message = faults[("targets", 0)]
    assert message.startswith("no estimator here serves kl; those that do: ")
    assert "plug_in" in message.partition("do: ")[2].split(", ")


@pytest.mark.parametrize(
    ("name", "said"),
    [("kll", "; did you mean 'kl'?"), ("qqqqqqqq", f"; known here: {', '.join(NAMES)}")],
)
def test_an_unknown_target_is_guessed_or_all_are_named(name, said):
    assert wrong(targets=("kl", name)) == [(("targets", 1), f"unknown target {name!r}{said}")]


@pytest.mark.parametrize(("part", "value"), [("targets", "kll"), ("sizes", 0)])
def test_an_only_entry_that_is_wrong_is_one_fault_not_two(part, value):
    assert [place for place, _ in wrong(**{part: (value,)})] == [(part, 0)]


def test_all_that_is_wrong_is_said_at_once_each_with_its_line():
    text = TEXT.replace("fixed, balls: {red: 1, ", "fixed, balls: {rot: 1, ")
    text = text.replace("{kind: miller_madow}", "{kind: miller_madow, models: [far]}")
    text = text.replace(
        "15}}", "15}}\n  jar: {kind: without_replacement, balls: {red: 1, blue: 2}}"
    )
    with pytest.raises(ConfigurationError) as caught:
        reading.read(text)
    lines = text.splitlines()
    told = [(lines[p.mark.line].split(":")[0].strip(), p.message) for p in caught.value.problems]
    assert [label for label, _ in told] == ["jar", "fair", "fair", "miller_madow"]
    assert told[0][1].startswith("size 5 is beyond the bag's limit of 3 draws; give the bag")
    assert "it meets bag 'urn'" in told[1][1]
    assert "it meets bag 'jar'" in told[2][1]
    assert "none called 'far'; did you mean 'fair'?" in told[3][1]


def test_a_bag_may_have_sizes_of_its_own():
    own = BAGS.build({"kind": "with_replacement", "balls": {"red": 1, "blue": 1}, "sizes": (9, 3)})
    whole = experiment(bags={"urn": urn(red=10, blue=15), "own": own})
    assert (whole.sizes_of("urn"), whole.sizes_of("own")) == ((2, 5), (3, 9))


# its streams


def words(name: str) -> list[int]:
    """Return the four words of a name's hash, as the design says them."""
    return np.frombuffer(hashlib.blake2b(name.encode(), digest_size=16).digest(), "<u4").tolist()


@few_examples
@given(
    names=st.lists(st.text(max_size=9), min_size=1, max_size=4),
    seed=st.integers(0, 2**128 - 1),
    index=st.integers(0, 2**40),
)
def test_a_stream_is_keyed_by_the_seed_the_hashed_names_and_the_block(names, seed, index):
    names = [name.encode("utf-8", "ignore").decode() for name in names]
    key = [word for name in names for word in words(name)] + [index >> 32, index % 2**32]
    by_hand = np.random.SFC64(np.random.SeedSequence(seed, spawn_key=key))
    stream = experiment(seed=seed).stream(*names, index=index)
    assert np.array_equal(
        stream.integers(2**63, size=4), np.random.Generator(by_hand).integers(2**63, size=4)
    )


def test_a_stream_is_the_same_on_any_machine():
    drawn = experiment().stream("urn", index=0).integers(2**63, size=3)
    assert drawn.tolist() == [1870249963357595977, 8808503269543040140, 8216921594024738344]


def test_each_name_and_block_has_a_stream_of_its_own():
    whole, other = experiment(), experiment(seed=1)
    keys = [("a", "b"), ("ab",), ("a",), ("b",), ("b", "a"), ("a", "b", "model"), ("",), ("", "")]
    indices = (0, 1, 2**32 - 1, 2**32, 2**33)
    streams = [whole.stream(*names, index=index) for names in keys for index in indices]
    streams += [other.stream(*names, index=0) for names in keys]
    firsts = {tuple(stream.integers(2**63, size=2).tolist()) for stream in streams}
    assert len(firsts) == len(keys) * (len(indices) + 1)


def test_a_stream_is_fresh_each_time_it_is_asked_for():
    whole = experiment()
    used = whole.stream("urn", index=0)
    first = used.random(5)
    used.random(100)
    assert np.array_equal(whole.stream("urn", index=0).random(5), first)


# what leaves rows as they are


def rows(whole: Experiment, bag: str = "urn") -> pa.Table:
    """Return all rows of a bag, labels as plain text."""
    blocks = [block_rows(whole, bag, index) for index in range(whole.blocks(bag))]
    table = pa.concat_tables(blocks, promote_options="default").unify_dictionaries()
    plain = [
        pa.field(f.name, pa.string()) if pa.types.is_dictionary(f.type) else f for f in table.schema
    ]
    return table.cast(pa.schema(plain)).combine_chunks()


def only(table: pa.Table, like: pa.Table) -> pa.Table:
    """Return those rows whose labels, size and trial occur in another table."""
    keys = ["bag", "model", "target", "estimator", "size", "trial"]
    known = {tuple(row.values()) for row in like.select(keys).to_pylist()}
    return table.filter([tuple(row.values()) in known for row in table.select(keys).to_pylist()])


def bits(table: pa.Table) -> list[Any]:
    """Return the rows of a table, numbers as their bytes."""
    columns = []
    for name in table.column_names:
        column = table[name].combine_chunks()
        if pa.types.is_floating(column.type):
            values = column.to_numpy(zero_copy_only=False).view(np.int64).tolist()
            column = [*zip(values, column.is_null().to_pylist(), strict=True)]
        else:
            column = column.to_pylist()
        columns.append(column)
    return [*zip(*columns, strict=True)]


JAR = {"jar": urn(red=3, blue=1)}
UNIFORM = {"flat": MODELS.build({"kind": "uniform"})}
MORE = {
    "a size beyond the largest": {"sizes": (2, 5, 40)},
    "two sizes beyond the largest": {"sizes": (2, 5, 6, 1000)},
    "more trials": {"trials": 60},
    "trials of a second block": {"trials": 4200},
    "a bag behind": {"bags": {"urn": urn(red=10, blue=15), **JAR}},
    "a bag before": {"bags": {**JAR, "urn": urn(red=10, blue=15)}},
    "a model behind": {"models": {"itself": ITSELF, "fair": FAIR, **UNIFORM}},
    "a model before": {"models": {**UNIFORM, "itself": ITSELF, "fair": FAIR}},
    "an estimator behind": {
        "estimators": {"counting": COUNTING, "miller_madow": MILLER_MADOW, "again": COUNTING}
    },
    "an estimator before": {
        "estimators": {"again": COUNTING, "counting": COUNTING, "miller_madow": MILLER_MADOW}
    },
    "a learner": {"learners": {"again": LAPLACE, "laplace": LAPLACE}},
    "another name": {"name": "other", "about": "Said otherwise."},
}


@pytest.mark.parametrize("parts", MORE.values(), ids=MORE)
def test_rows_stay_as_they_are_to_the_bit_when_there_is_more(parts):
    before = rows(experiment())
    after = rows(experiment(**parts))
    assert bits(only(after, before)) == bits(before)
    assert len(after) > len(before) or {"name", "bags"} & set(parts)


@pytest.mark.parametrize("kind", ["without_replacement", "with_replacement"])
@pytest.mark.parametrize("parts", [MORE["more trials"], {"sizes": (2, 5, 20)}], ids=str)
def test_rows_of_any_bag_stay_as_they_are_when_there_is_more(kind, parts):
    bags = {"urn": BAGS.build({"kind": kind, "balls": {"red": 10, "blue": 15}})}
    before = rows(experiment(bags=bags))
    assert bits(only(rows(experiment(bags=bags, **parts)), before)) == bits(before)


@pytest.mark.parametrize(
    "parts",
    [{"seed": 2}, {"bags": {"jar": urn(red=10, blue=15)}}],
    ids=["another seed", "another label"],
)
def test_another_seed_or_label_draws_other_balls(parts):
    [bag] = {**experiment(**parts).bags}
    other = rows(experiment(**parts), bag)["estimate"].to_numpy()
    assert not np.array_equal(other, rows(experiment())["estimate"].to_numpy())


def test_all_estimators_see_the_same_draws():
    twice = experiment(estimators={"one": COUNTING, "other": COUNTING})
    frame = rows(twice).to_pandas().query("model == 'itself'")
    one, other = (frame[frame["estimator"] == label]["estimate"] for label in ("one", "other"))
    assert one.tolist() == other.tolist()


# its blocks


@pytest.mark.parametrize(
    ("colours", "held"),
    [
        (1, 4096),
        (2, 4096),
        (3, 4096),
        (1000, 4096),
        (2048, 4096),
        (2049, 4094),
        (10_000, 838),
        (65_536, 128),
        (100_000, 83),
        (1_000_000, 8),
    ],
)
def test_a_block_holds_64_mebibytes_of_counts_or_4096_trials(colours, held):
    bag = BAGS.build({"kind": "with_replacement", "balls": {"uniform": {"colours": colours}}})
    whole = experiment(bags={"big": bag}, models={"itself": ITSELF})
    assert whole.block_trials("big") == held
    assert held * colours * 8 <= 64 * 2**20


@pytest.mark.parametrize(
    ("trials", "blocks"), [(1, 1), (4095, 1), (4096, 1), (4097, 2), (8192, 2), (10**12, 244140625)]
)
def test_there_are_as_many_blocks_as_hold_all_trials(trials, blocks):
    assert experiment(trials=trials).blocks("urn") == blocks
