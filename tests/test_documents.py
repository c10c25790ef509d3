"""YAML text becomes plain data by YAML 1.2's rules, with places, and nothing else happens."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.config import documents
from sim.config.documents import DEEPEST, MOST_VALUES, Document, parse, plain
from sim.config.problems import ConfigurationError, Mark, Source

CONFIGS = sorted((Path(__file__).parent.parent / "configs").glob("*.yaml"))
LOADERS = [yaml.SafeLoader, *([yaml.CSafeLoader] if yaml.__with_libyaml__ else [])]
quick = settings(deadline=None, derandomize=True, max_examples=80)


def read(text: str) -> Document:
    return parse(Source("a.yaml", text))


def refusal(text: str) -> list[tuple[int, int, str]]:
    """Return line, column and message of each problem of a text that is refused."""
    with pytest.raises(ConfigurationError) as caught:
        read(text)
    return [(p.mark.line + 1, p.mark.column + 1, p.message) for p in caught.value.problems]


def kept(text: str) -> list[tuple[int, int, str]]:
    """Return line, column and message of each problem of a text that is read to its end."""
    return [(p.mark.line + 1, p.mark.column + 1, p.message) for p in read(text).problems]


MEANINGS = [
    ("1000000", 1_000_000),
    ("1e6", 1e6),
    ("1E6", 1e6),
    ("1e+06", 1e6),
    ("12e03", 12_000.0),
    ("-2E-05", -2e-5),
    ("1e400", math.inf),
    ("-1e400", -math.inf),
    ("1.", 1.0),
    (".5", 0.5),
    ("-.5e1", -5.0),
    ("+12", 12),
    ("-0", 0),
    ("010", 10),
    ("0777", 777),
    ("0o17", 15),
    ("0x1F", 31),
    ("9" * 400, int("9" * 400)),
    ("9" * 401, math.inf),
    (".inf", math.inf),
    ("-.Inf", -math.inf),
    ("+.INF", math.inf),
    ("", None),
    ("~", None),
    ("null", None),
    ("Null", None),
    ("true", True),
    ("True", True),
    ("FALSE", False),
]
NOT_IN_1_2 = (
    "no yes on off y n No YES tRue nULL none None 12:30:45 1:30 2024-01-01 2024-01-01T10:00:00Z",
    "0o18 0o 0O17 -0o17 0xG 0x 0b101 1_000 1,000 1e 1e+ e5 .e5 . .. + - --1 1.2.3 1-2 0.1.0 5%",
    "inf nan Infinity NaN -nan .infinity .Nan = << 1\u0660 \uff11\uff12 \u00bd",
)
TEXTS = [text for line in NOT_IN_1_2 for text in line.split()]


@pytest.mark.parametrize(("text", "meaning"), MEANINGS, ids=lambda x: repr(x)[:20])
def test_a_scalar_means_what_yaml_1_2_says(text, meaning):
    assert plain(text) == meaning
    assert type(plain(text)) is type(meaning)


@pytest.mark.parametrize("text", TEXTS)
def test_what_yaml_1_1_would_turn_into_something_else_is_text(text):
    assert plain(text) == text


@pytest.mark.parametrize("text", [".nan", ".NaN", ".NAN"])
def test_not_a_number_is_written_with_a_dot(text):
    assert math.isnan(plain(text))


@pytest.mark.parametrize("text", ["1e6", "no", "010", "null", "~", ".inf", "true", ""])
@pytest.mark.parametrize("quoted", ["'{}'", '"{}"', "|-\n  {}", ">-\n  {}"])
def test_what_is_quoted_is_text(text, quoted):
    assert read("a: " + quoted.format(text)).data == {"a": text}


@pytest.mark.parametrize("text", ["1e6", "010", "no", "null", "~", "true", "0x1F", "1.0", "1:30"])
def test_a_key_is_the_text_as_written(text):
    assert read(f"{text}: 1").data == {text: 1}
    assert read(f"{{'{text}': 1}}").data == {text: 1}


def test_a_key_may_be_empty_or_given_with_a_question_mark():
    assert read("'': 1").data == {"": 1}
    assert read("? a\n: 1").data == {"a": 1}


def test_merge_keys_of_yaml_1_1_are_ordinary_keys():
    assert read("a: &a {x: 1}\nb: {<<: *a}").data == {"a": {"x": 1}, "b": {"<<": {"x": 1}}}


def test_lists_come_out_as_tuples():
    assert read("[1, [2, [], {}], {a: [3]}]").data == (1, (2, (), {}), {"a": (3,)})


@pytest.mark.parametrize("text", ["", "\n\n", "# a word\n", "---\n", "---\n...\n"])
def test_a_text_without_a_value_is_nothing(text):
    assert read(text).data is None


def test_a_byte_order_mark_is_no_part_of_the_first_key():
    assert read("\ufeffa: 1").data == {"a": 1}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_any_system_end_a_line(end):
    assert read(end.join(["a: 1", "b:", "  - x", "  - y", ""])).data == {"a": 1, "b": ("x", "y")}


def test_a_key_that_stands_twice_is_named_with_both_lines():
    text = "a: 1\nb: {x: 1,\n    x: 2}\na: 3\na: 4\n"
    assert kept(text) == [
        (3, 5, "the key 'x' stands here twice, first on line 2"),
        (4, 1, "the key 'a' stands here twice, first on line 1"),
        (5, 1, "the key 'a' stands here twice, first on line 1"),
    ]
    assert [p.path for p in read(text).problems] == [("b",), (), ()]


def test_the_same_key_in_two_mappings_is_no_fault():
    assert kept("a: {x: 1}\nb: {x: 2}\nc: [{x: 3}, {x: 4}]") == []


TAGS = ["!!str 1", "!!python/name:os.system ''", "!x 1", "!!set {a, b}", "!!binary aGk=", "!<x> 1"]


@pytest.mark.parametrize("tagged", TAGS)
def test_a_tag_is_a_fault_where_it_stands(tagged):
    [(line, column, message)] = kept(f"a: 1\nb: {tagged}\n")
    assert (line, column) == (2, 4)
    assert message.startswith("tags such as ")


def test_a_tag_runs_nothing(tmp_path):
    target = tmp_path / "made"
    kept(f"a: !!python/object/apply:pathlib.Path.touch [!!python/object/apply:Path ['{target}']]")
    kept(f"a: !!python/object/apply:os.mkdir ['{target}']")
    assert not target.exists()


def test_an_alias_is_the_value_of_its_anchor():
    text = "a: &x {k: [1, 2]}\nb: *x\nc: [*x, &y 3, *y]\n"
    assert read(text).data == {
        "a": {"k": (1, 2)},
        "b": {"k": (1, 2)},
        "c": ({"k": (1, 2)}, 3, 3),
    }


def test_the_last_anchor_of_a_name_counts():
    assert read("[&x 1, *x, &x 2, *x]").data == (1, 1, 2, 2)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: *x", (1, 4, "the alias *x refers to nothing before it")),
        ("a: *x\nb: &x 1", (1, 4, "the alias *x refers to nothing before it")),
        ("a: &x [1, *x]", (1, 11, "the alias *x refers to itself")),
        ("&x {a: {b: [*x]}}", (1, 13, "the alias *x refers to itself")),
        ("a: &x b\n*x : 1", (2, 1, "an alias cannot be a key")),
        ("[1]: 2", (1, 1, "a key must be plain text")),
        ("{a: 1}: 2", (1, 1, "a key must be plain text")),
        ("? - a\n: 1", (1, 3, "a key must be plain text")),
        ("a: 1\n---\nb: 2\n", (2, 1, "a second document; an experiment is one")),
        ("a: 1\n...\n--- {}\n", (3, 1, "a second document; an experiment is one")),
    ],
)
def test_what_cannot_be_plain_data_is_refused_in_its_place(text, fault):
    assert refusal(text) == [fault]


@pytest.mark.parametrize("levels", [8, 20, 200])
def test_a_bomb_of_aliases_is_refused_at_once(levels):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, levels)]
    begun = time.process_time()
    [(line, _, message)] = refusal("\n".join(lines))
    assert time.process_time() - begun < 2
    assert message == f"more than {MOST_VALUES} values, aliases written out"
    assert line == 7


def test_aliases_count_as_if_they_were_written_out():
    held = 999  # a list of these and itself: 1000 values
    lists = MOST_VALUES // (held + 1) - 1
    text = f"- &a [{','.join(['1'] * held)}]\n" + "- *a\n" * (lists - 1)
    assert len(read(text + "- 1\n" * held).data) == lists + held
    assert refusal(text + "- 1\n" * (held + 1))[0][2].startswith("more than")


SHAPES = [("[", "]"), ("{a: ", "}"), ("- ", "")]


@pytest.mark.parametrize(("opening", "closing"), SHAPES)
def test_nesting_ends_at_its_bound(opening, closing):
    read(opening * DEEPEST + "1" + closing * DEEPEST)
    for depth in (DEEPEST + 1, 100_000):
        [(line, column, message)] = refusal(opening * depth + "1" + closing * depth)
        assert message == f"nested more than {DEEPEST} deep"
        assert (line, column) == (1, DEEPEST * len(opening) + 1)


@pytest.mark.parametrize("character", ["\x00", "\x01", "\x07", "\x1b", "\x7f", "\ufffe"])
def test_a_control_character_is_refused_where_it_stands(character):
    [(line, column, message)] = refusal(f"a: 1\nbé: [2, {character}3]\n")
    assert message.startswith("not YAML: ")
    assert (line, column) == (2, 9)


def test_half_of_a_surrogate_pair_is_refused():
    assert refusal("a: \ud800")[0][2].startswith("not YAML: ")
    assert refusal('a: "\\ud800"')[0][2].startswith("not YAML: ")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [1, 2\nb: 3\n", 2),
        ("a: 1\n b: 2\n", 2),
        ("a: 'x\n", 2),
        ("a: 1\n\tb: 2\n", 2),
        ("a: @x\n", 1),
        ("a: `x\n", 1),
        ("a: b: c\n", 1),
        ("a: 1\n}\n", 2),
        ("%YAML 9.9\n---\na: 1\n", 1),
        ('a: "\\q"\n', 1),
    ],
)
def test_what_is_not_yaml_is_refused_on_its_line(text, line):
    [fault] = refusal(text)
    assert fault[0] == line
    assert fault[2].startswith("not YAML: ")


def test_faults_before_the_end_of_a_broken_text_are_told_with_it():
    faults = refusal("a: !x 1\na: 2\nb: [\n")
    assert [line for line, _, _ in faults] == [1, 2, 4]


words = st.text("abcdefghij", min_size=1, max_size=8)
trees = st.recursive(
    words | st.integers(-999, 999),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=4) | st.dictionaries(words, inner, min_size=1)
    ),
    max_leaves=12,
)


def walk(value, path=()):
    yield path, value
    if isinstance(value, dict | list | tuple):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for step, inner in pairs:
            yield from walk(inner, (*path, step))


@quick
@given(st.dictionaries(words, trees, min_size=1), st.booleans())
def test_every_value_and_key_has_the_place_where_it_stands(data, flow):
    text = yaml.safe_dump(data, default_flow_style=flow, width=30, allow_unicode=True)
    document, lines = read(text), text.splitlines()
    for path, value in walk(data):
        mark = document.mark(path)
        if not isinstance(value, dict | list):
            assert lines[mark.line][mark.column :].startswith(str(value))
        if path and isinstance(path[-1], str):
            mark = document.mark(path, key=True)
            assert lines[mark.line][mark.column :].startswith(path[-1])


def test_what_has_no_place_has_that_of_the_nearest_value_around():
    document = read("a:\n  b: &x {c: 1}\n  d: *x\n")
    assert (
        document.mark(("a", "d", "c")) == document.mark(("a", "d")) == Mark(document.source, 2, 5)
    )
    assert document.mark(("z", 3)) == document.mark(()) == Mark(document.source, 0, 0)


def same_in_both(text: str) -> bool:
    """Return whether plain text is text in YAML 1.2 as it is for PyYAML, which knows 1.1."""
    return isinstance(plain(text), str)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).filter(same_in_both)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
data = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=20,
)


def as_tuples(value):
    if isinstance(value, list):
        return tuple(map(as_tuples, value))
    if isinstance(value, dict):
        return {key: as_tuples(inner) for key, inner in value.items()}
    return value


@quick
@given(data, st.sampled_from([None, True, False]))
def test_what_pyyaml_writes_is_read_back(value, flow):
    text = yaml.safe_dump(value, default_flow_style=flow, sort_keys=False)
    document = read(text)
    assert document.data == as_tuples(value)
    assert [type(v) for _, v in walk(document.data)] == [type(v) for _, v in walk(as_tuples(value))]
    assert document.problems == []


def by_each_loader(text: str) -> list[Document | None]:
    read_by = []
    for loader in LOADERS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(documents, "_LOADER", loader)
            try:
                read_by.append(read(text))
            except ConfigurationError:
                read_by.append(None)
    return read_by


def places(document: Document) -> dict:
    return {path: (mark.line, mark.column) for path, mark in document.values.items()}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_libyaml_and_the_loader_in_python_agree_on_every_configuration(path):
    first, *others = by_each_loader(path.read_text(encoding="utf-8"))
    for other in others:
        assert other.data == first.data
        assert places(other) == places(first)


@quick
@given(data, st.sampled_from([None, True, False]))
def test_libyaml_and_the_loader_in_python_agree_on_plain_data(value, flow):
    first, *others = by_each_loader(yaml.safe_dump(value, default_flow_style=flow))
    for other in others:
        assert other.data == first.data


@quick
@given(st.text("ab1: -[]{},&*!#|>'\"\n\\?%@~.", max_size=12))
def test_no_text_means_one_thing_with_libyaml_and_another_without(text):
    read_by = [d for d in by_each_loader(text) if d is not None and not d.problems]
    assert all(repr(document.data) == repr(read_by[0].data) for document in read_by)


@quick
@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text):
    try:
        faults = read(text).problems
    except ConfigurationError as error:
        faults = error.problems
    lines = text.count("\n") + text.count("\r") + sum(map(text.count, "\x85\u2028\u2029"))
    assert all(0 <= fault.mark.line <= lines + 1 for fault in faults)
