"""A configuration becomes an experiment, or every fault in it is told with its place."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sim.checks import LONGEST_LABEL
from sim.config.documents import parse
from sim.config.problems import ConfigurationError, Mark, Problem, Source, dotted
from sim.config.reading import LARGEST_FILE, dump, load, read
from sim.config.schema import FAMILIES
from sim.experiment import Experiment

CONFIGS = sorted((Path(__file__).parent.parent / "configs").glob("*.yaml"))
MEMBERS = [(family, kind) for family in FAMILIES.values() for kind in family.kinds()]
quick = settings(deadline=None, derandomize=True, max_examples=100)

BASE = """\
name: urn
seed: 1
trials: 100
sizes: [10, 20]
bags:
  urn: {kind: with_replacement, balls: {red: 1, blue: 2}}
"""
WITHOUT = "kind: without_replacement, balls: "


def changed(old: str, new: str) -> str:
    """Return the base with one piece replaced, or with `new` after it."""
    assert not old or BASE.count(old) == 1
    return BASE.replace(old, new) if old else BASE + new


def refusal(text: str, changes: tuple[str, ...] = ()) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        read(text, "urn.yaml", changes)
    return caught.value


# what is replaced, by what (§ stands before the place that the fault must name), path, message;
# a message that ends in … goes on with what else there is
FAULTS = [
    ("name: urn\n", "§", "name", "missing; it is needed here"),
    (
        "{kind: with_replacement, balls: {red: 1, blue: 2}}",
        "§{kind: with_replacement}",
        "bags.urn.balls",
        "missing; it is needed here",
    ),
    ("", "§trails: 3\n", "trails", "unknown key 'trails'; did you mean 'trials'?"),
    ("", "§xyz: 3\n", "xyz", "unknown key 'xyz'; known here: name, about, seed, trials, sizes, …"),
    ("balls", "balls: {a: 1}, §ball", "bags.urn.ball", "unknown key 'ball'; did you mean 'balls'?"),
    ("100", "§many", "trials", "expected a whole number; got 'many'"),
    ("trials: 100", "trials:§", "trials", "expected a whole number; got nothing"),
    ("100", "§true", "trials", "expected a whole number; got true"),
    ("100", "§1.5", "trials", "expected a whole number; got 1.5"),
    ("100", "§'100'", "trials", "expected a whole number; got '100'"),
    ("100", "§[100]", "trials", "expected a whole number; got a list"),
    ("100", "§{a: 1}", "trials", "expected a whole number; got a mapping"),
    ("100", "§0", "trials", "expected at least 1; got 0"),
    ("100", "§1e15", "trials", "expected at most 1000000000000; got …"),
    ("100", "§.nan", "trials", "expected a whole number; got nan"),
    ("100", "§2024-01-01", "trials", "expected a whole number; got '2024-01-01'"),
    ("seed: 1", "seed: §-1", "seed", "expected at least 0; got -1"),
    ("seed: 1", "seed: §0x1" + "0" * 32, "seed", f"expected less than {2**128}; got {2**128}"),
    ("name: urn", "name: §1e6", "name", "expected text; got 1000000.0"),
    ("name: urn", "name: §../x", "name", "expected a plain folder name (letters, digits, '.', …"),
    ("name: urn", "name: §''", "name", "expected a plain folder name (letters, digits, '.', …"),
    ("name: urn", f"name: §{'x' * 101}", "name", "expected a plain folder name (letters, …"),
    ("", "about: §1\n", "about", "expected text; got 1"),
    ("", "unit: §nat\n", "unit", "expected 'nats' or 'bits'; got 'nat'"),
    ("[10, 20]", "§[]", "sizes", "expected 1 to 1000 sizes; got 0"),
    ("[10, 20]", "§ten", "sizes", "expected a list of sizes or {from, to, per_decade}; got 'ten'"),
    ("[10, 20]", f"§{[*range(1, 1002)]}", "sizes", "expected 1 to 1000 sizes; got 1001"),
    ("[10, 20]", "[10, §0]", "sizes[1]", "expected at least 1; got 0"),
    ("[10, 20]", "[10, §1.5]", "sizes[1]", "expected a whole number; got 1.5"),
    ("[10, 20]", "{from: 10, to: §5}", "sizes.to", "expected at least `from`, 10; got 5"),
    ("[10, 20]", "§{from: 10}", "sizes.to", "missing; it is needed here"),
    ("[10, 20]", "{from: 1, to: 2, §by: 3}", "sizes.by", "unknown key 'by'; known here: from, …"),
    ("[10, 20]", "{from: 1, to: 9, per_decade: §0}", "sizes.per_decade", "expected at least 1; …"),
    (
        "[10, 20]",
        "§{from: 1, to: 1e12, per_decade: 100}",
        "sizes",
        "expected 1 to 1000 sizes; got 1080",
    ),
    (
        "[10, 20]\nbags:\n  urn: {",
        "[10]\nbags:\n  §'': {",
        "bags.",
        "expected a label; got an empty text",
    ),
    ("urn: {", '§"a\\tb": {', "bags.a�b", "expected a label without control characters; got …"),
    ("urn: {", f"§{'x' * 201}: {{", f"bags.{'x' * 201}", "expected a label of at most 200 …"),
    ("with_replacement", "§with_replacment", "bags.urn.kind", "unknown kind 'with_replacment'; …"),
    ("with_replacement", "§[1]", "bags.urn.kind", "unknown kind a list; known here: …"),
    ("{kind: with_replacement, balls:", "§{balls:", "bags.urn", "`kind` is missing; known here: …"),
    (
        "{kind: with_replacement, balls: {red: 1, blue: 2}}",
        "§many",
        "bags.urn",
        "expected a bag, {kind: …}; got 'many'",
    ),
    ("bags:\n  urn: {kind: with_replacement, balls: {red: 1, blue: 2}}", "bags: §{}", "bags", "…"),
    ("{red: 1, blue: 2}", "§{}", "bags.urn.balls", "expected at least 1 entry; got 0"),
    ("{red: 1, blue: 2}", "§{red: 0}", "bags.urn.balls", "expected at least one ball; got none"),
    ("{red: 1, blue: 2}", "§3", "bags.urn.balls", "expected balls by colour, {red: 10, blue: …"),
    ("blue: 2", "blue: §-2", "bags.urn.balls.blue", "expected a number of balls from 0 to 1e15; …"),
    ("blue: 2", "blue: §.inf", "bags.urn.balls.blue", "expected a number of balls from 0 to …"),
    ("blue: 2", "blue: §no", "bags.urn.balls.blue", "expected a number of balls, 0 or more; …"),
    ("red: 1, blue: 2", "§'': 1", "bags.urn.balls.", "expected a label; got an empty text"),
    ("{red: 1, blue: 2}", "§{zip: {colours: 3}}", "bags.urn.balls", "unknown family 'zip'; did …"),
    (
        "red: 1, blue: 2",
        "zipf: {colours: §0}",
        "bags.urn.balls.zipf.colours",
        "expected at least …",
    ),
    (
        "red: 1, blue: 2",
        "zipf: {colours: 9, §exponant: 1}",
        "bags.urn.balls.zipf.exponant",
        "unknown key 'exponant'; did you mean 'exponent'?",
    ),
    (
        "kind: with_replacement, balls: {red: 1, blue: 2}",
        WITHOUT + "§{red: 0.5, blue: 20}",
        "bags.urn.balls",
        "expected whole numbers of balls, to draw them out",
    ),
    (
        "kind: with_replacement, balls: {red: 1, blue: 2}",
        WITHOUT + "§{red: 1e9}",
        "bags.urn.balls",
        "expected at most 999999999 balls; got …",
    ),
    (
        "{kind: with_replacement, balls: {red: 1, blue: 2}}",
        "§{" + WITHOUT + "{red: 5, blue: 5}}",
        "bags.urn",
        "size 20 is beyond the bag's limit of 10 draws; give the bag `sizes:` of its own",
    ),
    (
        "kind: with_replacement, balls: {red: 1, blue: 2}",
        WITHOUT + "{red: 2}, sizes: §[3]",
        "bags.urn.sizes",
        "size 3 is beyond the bag's limit of 2 draws",
    ),
    (
        "",
        "models: {m: §{kind: fixed, balls: {red: 1}}}\n",
        "models.m",
        "the bag's colour 'blue' is missing…",
    ),
    (
        "",
        "models: {m: §{kind: fixed, balls: {red: 1, blue: 1, sky: 1}}}\n",
        "models.m",
        "the bag has no colour 'sky'; it meets bag 'urn': fit it, or list `bags:` without that one",
    ),
    (
        "",
        "models: {m: {kind: uniform, bags: [urn, §urm]}}\n",
        "models.m.bags[1]",
        "this experiment has none called 'urm'; did you mean 'urn'?",
    ),
    (
        "",
        "estimators: {e: {kind: plug_in, models: [§x]}}\n",
        "estimators.e.models[0]",
        "this experiment has none called 'x'; known here: itself",
    ),
    ("", "targets: [kl, §kll]\n", "targets[1]", "unknown target 'kll'; did you mean 'kl'?"),
    ("", "targets: [§kll]\n", "targets[0]", "unknown target 'kll'; did you mean 'kl'?"),
    ("", "targets: §kl\n", "targets", "expected a list; got 'kl'"),
    ("", "estimators: §{}\n", "estimators", "expected at least one estimator or learner; got none"),
    ("", "learners:§\n", "learners", "expected a mapping; got nothing"),
    (
        "",
        "learners: {a: {kind: add_constant, amount: §laplac}}\n",
        "learners.a.amount",
        "unknown amount 'laplac'; did you mean 'laplace'?",
    ),
    ("", "learners: {a: {kind: add_constant, amount: §-1}}\n", "learners.a.amount", "expected a …"),
    (
        "",
        "estimators: {e: {kind: miller_madow, colours: §seen}}\n",
        "estimators.e.colours",
        "expected 'known' or 'observed'; got 'seen'",
    ),
    (
        "",
        "estimators: {e: {kind: plug_in, learner: {kind: §x}}}\n",
        "estimators.e.learner.kind",
        "unknown kind 'x'; known here: …",
    ),
    ("", "§name: again\n", "", "the key 'name' stands here twice, first on line 1"),
    (
        "",
        "about: §!!str 100\n",
        "",
        "tags such as tag:yaml.org,2002:str are not used here; take it out",
    ),
    ("100", "§*x", "", "the alias *x refers to nothing before it"),
    ("", "§---\n", "", "a second document; an experiment is one"),
    ("", "x: y§: z\n", "", "not YAML: mapping values are not allowed in this context"),
]


@pytest.mark.parametrize(("old", "new", "path", "message"), FAULTS, ids=lambda x: x[:30])
def test_a_fault_is_told_once_with_its_place_its_path_and_what_to_do(old, new, path, message):
    marked = changed(old, new)
    text = marked.replace("§", "")
    [problem] = refusal(text).problems
    assert dotted(problem.path) == path
    assert problem.message.startswith(message.removesuffix("…"))
    assert message.endswith("…") or problem.message == message
    before = marked[: marked.index("§")]
    place = (before.count("\n"), len(before) - before.rfind("\n") - 1)
    assert (problem.mark.line, problem.mark.column) == place
    assert problem.mark.source.name == "urn.yaml"


def test_a_problem_is_shown_with_its_line_and_a_caret():
    assert str(refusal(changed("100", "many"))) == (
        "urn.yaml:3:9: trials: expected a whole number; got 'many'\n    trials: many\n            ^"
    )
    assert str(refusal(changed("", "about: [\n"))) == (
        "urn.yaml:8:1: not YAML: did not find expected node content"
    )


@pytest.mark.parametrize("before", ["", "é" * 30, "a, " * 40, "\t" * 3 + "x, ", "“" * 200])
def test_the_caret_stands_under_the_place_in_long_lines_and_short_ones(before):
    text = changed("[10, 20]", f"['{before}', !tag 5]")
    [tagged] = [p for p in refusal(text).problems if "tag" in p.message]
    line, caret = tagged.mark.caret().splitlines()
    assert caret.strip() == "^"
    assert line[caret.index("^") :].startswith("!tag 5")
    assert len(line) <= 104


def test_what_could_move_the_terminal_is_not_printed():
    source = Source("a.yaml", "\x1b[31mred\u202eevil: 1")
    shown = Problem(Mark(source, 0, 8), ("\x1b[2J", "\u202e"), "m").show()
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_a_path_of_any_length_is_shown_in_short():
    shown = str(refusal(changed("", f"? {'k' * 100_000}\n: 1\n")))
    assert len(shown) < 1000


def test_all_faults_of_a_file_are_told_at_once_in_order_of_place():
    text = "sed: 1\ntrials: 0\nsizes: [0, 5, x]\nname: a/b\nbags:\n  b: {kind: withreplacement}\n"
    error = refusal(text + "  c: 3\nunit: !u nats\nname: b\n")
    places = [(p.mark.line + 1, p.mark.column + 1) for p in error.problems]
    assert places == sorted(places)
    assert {dotted(p.path) for p in error.problems} == {
        "sed",
        "seed",
        "trials",
        "sizes[0]",
        "sizes[2]",
        "bags.b.kind",
        "bags.c",
        "",
    }
    assert str(error).count("urn.yaml:") == len(error.problems) == 9


def test_faults_between_the_parts_are_told_together_too():
    text = changed(
        "", "models: {m: {kind: fixed, balls: {sky: 1}}, n: {kind: itself, bags: [x]}}\n"
    )
    paths = [dotted(p.path) for p in refusal(text + "estimators: {}\n").problems]
    assert paths == ["models.m", "models.n.bags[0]", "estimators"]


@pytest.mark.parametrize("many", ["targets: [{}]", "targets:\n- {}"])
def test_many_faults_are_told_in_little_time(many):
    joint = ", " if "[" in many else "\n- "
    begun = time.process_time()
    error = refusal(changed("", many.format(joint.join(["x"] * 10_000)) + "\n"))
    assert "targets[0]: unknown target 'x'" in str(error)
    assert time.process_time() - begun < 2.5


def test_a_label_may_be_written_like_a_place_in_brackets():
    [problem] = refusal(changed("urn: {", "'[key]': {sise: 1, ")).problems
    assert dotted(problem.path) == "bags.[key].sise"
    assert (problem.mark.line, problem.mark.column) == (5, 12)


SET = [
    ("trials=7", lambda e: e.trials == 7),
    ("trials=1e3", lambda e: e.trials == 1000),
    ("about=a=b=c", lambda e: e.about == "a=b=c"),
    ("about=' '", lambda e: e.about == " "),
    ("sizes=[5, 3, 5]", lambda e: e.sizes == (3, 5)),
    ("sizes={from: 1, to: 10, per_decade: 1}", lambda e: e.sizes == (1, 10)),
    ("bags.urn.balls.red=9", lambda e: e.bags["urn"].balls.balls == {"red": 9, "blue": 2}),
    ("bags.urn.balls.sky=9", lambda e: e.bags["urn"].colours == ("red", "blue", "sky")),
    ("bags.urn.sizes=[4]", lambda e: e.sizes_of("urn") == (4,)),
    ("bags.new={kind: with_replacement, balls: {a: 1}}", lambda e: [*e.bags] == ["urn", "new"]),
    ("models.m.kind=uniform", lambda e: [*e.models] == ["m"]),
    ("learners.a={kind: relative_frequency}", lambda e: [*e.learners] == ["a"]),
]


@pytest.mark.parametrize(("change", "holds"), SET, ids=lambda x: x if isinstance(x, str) else "")
def test_a_change_on_the_command_line_replaces_one_value(change, holds):
    assert not holds(read(BASE))
    assert holds(read(BASE, changes=[change]))


def test_the_last_of_two_changes_counts_and_mends_what_the_file_has_wrong():
    assert read(changed("100", "many"), changes=["trials=1", "trials=2"]).trials == 2


def test_a_change_leaves_alone_what_an_alias_shares():
    text = changed("", "  two: *b\n").replace("urn: {", "urn: &b {")
    experiment = read(text, changes=["bags.two.balls.red=7"])
    assert experiment.bags["urn"].balls.balls["red"] == 1
    assert experiment.bags["two"].balls.balls["red"] == 7


@pytest.mark.parametrize(
    ("change", "place", "path", "message"),
    [
        ("trials=0", (0, 0), "trials", "expected at least 1; got 0"),
        ("trials=", (0, 0), "trials", "expected a whole number; got nothing"),
        ("trails=5", (0, 0), "trails", "unknown key 'trails'; did you mean 'trials'?"),
        ("sizes=[1, 0]", (0, 4), "sizes[1]", "expected at least 1; got 0"),
        ("sizes=[1,\n 0]", (1, 1), "sizes[1]", "expected at least 1; got 0"),
        ("bags.urn={kind: with_replacement, balls: {a: -1}}", (0, 36), "bags.urn.balls.a", "exp…"),
        ("bags.urn.ball={a: 1}", (0, 0), "bags.urn.ball", "unknown key 'ball'; did you mean …"),
        ("about=!!str 5", (0, 0), "", "tags such as tag:yaml.org,2002:str are not used …"),
        ("sizes={from: 1, from: 2, to: 3}", (0, 10), "", "the key 'from' stands here twice, …"),
        ("trials=[}", (0, 1), "", "not YAML: …"),
        ("trials=1\n---\n2", (1, 0), "", "a second document; an experiment is one"),
        ("trials=*x", (0, 0), "", "the alias *x refers to nothing before it"),
        ("trials", (0, 0), "", "expected key=value, the key as in trials or bags.bag.balls.red"),
        ("=5", (0, 0), "", "expected key=value, the key as in trials or bags.bag.balls.red"),
        ("bags..urn=5", (0, 0), "", "expected key=value, the key as in trials or …"),
        (".=5", (0, 0), "", "expected key=value, the key as in trials or bags.bag.balls.red"),
        ("trials.a=5", (0, 0), "", "there is no mapping to put 'a' into"),
        ("sizes.0=5", (0, 0), "", "there is no mapping to put '0' into"),
    ],
)
def test_a_fault_of_a_change_has_its_place_in_the_change(change, place, path, message):
    [problem] = refusal(BASE, (change,)).problems
    assert problem.mark.source.name == f"--set {change.partition('=')[0]}"
    assert (problem.mark.line, problem.mark.column) == place
    assert dotted(problem.path) == path
    assert problem.message.startswith(message.removesuffix("…"))
    assert message.endswith("…") or problem.message == message


def test_faults_of_the_file_and_of_changes_are_told_together():
    error = refusal(changed("seed: 1", "seed: x"), ("trials=0", "unit=x"))
    assert [p.mark.show() for p in error.problems] == [
        "--set trials:1:1",
        "--set unit:1:1",
        "urn.yaml:2:7",
    ]


def test_a_change_does_not_move_the_places_of_the_file():
    error = refusal(changed("red: 1, blue: 2", "red: x, blue: y"), ("bags.urn.balls.red=1",))
    assert [p.mark.show() for p in error.problems] == ["urn.yaml:6:55"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_configuration_that_was_written_out_is_read_back_equal(path):
    experiment = load(path)
    again = read(dump(experiment))
    assert again == experiment
    assert again.digest == experiment.digest
    assert dump(again) == dump(experiment)


@pytest.mark.parametrize(("family", "kind"), MEMBERS, ids=lambda x: x if isinstance(x, str) else "")
def test_a_member_that_was_written_out_is_built_again_equal(family, kind):
    member = family.build(parse(Source(kind, family.member(kind).example())).data)
    plain = member.model_dump(mode="json", by_alias=True, exclude_none=True)
    again = parse(Source(kind, yaml.safe_dump(plain, sort_keys=False)))
    assert family.build(again.data) == member


labels = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=LONGEST_LABEL
).filter(str.strip)
numbers = st.integers(1, 10**15) | st.floats(1e-300, 1e15)


def built(bag: str, model: str, colour: str, amount: float, about: str):
    """Return an experiment with these names, made without any text."""
    data = {
        "name": "urn",
        "about": about,
        "seed": 2**127,
        "trials": 10**12,
        "sizes": (1, 10**12),
        "bags": {bag: {"kind": "with_replacement", "balls": {colour: amount, colour + "'": 1}}},
        "models": {model: {"kind": "itself", "bags": (bag,)}},
        "estimators": {bag: {"kind": "plug_in", "models": (model,), "bags": (bag,)}},
    }
    return Experiment.model_validate(data)


@quick
@given(labels, labels, labels, numbers, st.text(st.characters(exclude_categories=["Cs"])))
@example("1e6", "0o17", "010", 1e15, "12e3")
@example("no", "~", "null", 0.1, "\x00\x07\x85\u2028")
@example("2024-01-01", "12:30:45", ".inf", 1e-300, "- a: b # c\n\n  d ")
@example("&a", "*a", "!!str", 3, "<<: [}")
@example("x" * 200, "\u202e", "\ufeff", 1e5, " x" * 300)
def test_any_experiment_that_was_written_out_is_read_back_equal(bag, model, colour, amount, about):
    experiment = built(bag, model, colour, amount, about)
    again = read(dump(experiment))
    assert again == experiment
    assert again.digest == experiment.digest


def test_the_longest_grid_of_sizes_is_read_back():
    experiment = read(changed("[10, 20]", "{from: 1, to: 1e12, per_decade: 80}"))
    assert read(dump(experiment)) == experiment


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a\n", "5\n", "null\n", "text\n"])
def test_what_is_no_mapping_is_no_experiment(text):
    [problem] = refusal(text).problems
    assert problem.message.startswith("expected a mapping; got ")


def unreadable(path: Path) -> Problem:
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    [problem] = caught.value.problems
    assert problem.mark.source.name == str(path)
    return problem


def test_a_file_is_named_as_it_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("urn.yaml").write_text("name: 1", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"(?m)^urn\.yaml:1:7: name: "):
        load("urn.yaml")


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    assert unreadable(tmp_path / "none.yaml").message == "cannot be read: No such file or directory"
    (tmp_path / "file").write_text("")
    assert unreadable(tmp_path / "file" / "x").message == "cannot be read: Not a directory"
    assert unreadable(tmp_path / ("x" * 300)).message == "cannot be read: File name too long"
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert unreadable(tmp_path / "loop").message.startswith("cannot be read: Too many levels")
    os.mkfifo(tmp_path / "pipe")
    assert unreadable(tmp_path / "pipe").message == "expected a file"
    assert unreadable(tmp_path).message == "expected a file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_told(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(BASE)
    path.chmod(0)
    assert unreadable(path).message == "cannot be read: Permission denied"


def test_a_name_that_no_file_can_have_is_told_as_such():
    assert unreadable(Path("a\0b")).message.startswith("cannot be read: ")


@pytest.mark.parametrize("content", [b"name: \xff\n", BASE.encode("utf-16"), b"\x80", b"a: \xc3"])
def test_a_file_that_is_not_utf_8_is_told(tmp_path, content):
    (tmp_path / "a.yaml").write_bytes(content)
    assert unreadable(tmp_path / "a.yaml").message.startswith("expected text in UTF-8: ")


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    with (tmp_path / "a.yaml").open("wb") as file:
        file.truncate(LARGEST_FILE + 1)
    assert unreadable(tmp_path / "a.yaml").message == f"expected at most {LARGEST_FILE} bytes"


def test_a_byte_order_mark_before_a_file_is_let_pass(tmp_path):
    (tmp_path / "a.yaml").write_bytes(BASE.encode("utf-8-sig"))
    assert load(tmp_path / "a.yaml") == read(BASE)
