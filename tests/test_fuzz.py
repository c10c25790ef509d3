"""Whatever stands in a configuration, the command answers: valid or invalid, soon, and no more."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sim.cli import init, verbs
from sim.config.documents import parse
from sim.config.problems import ConfigurationError, Source
from sim.config.reading import load, read
from sim.config.schema import FAMILIES
from sim.contracts.interval import INTERVALS

SECONDS = 5.0
"""Of the processor, so that a busy machine raises no alarm."""
CHUNKS, OF_EACH = 20, 60
CHEAP = 3e6
"""Counts and estimates that a run draws at most here."""
RUNS_A_CHUNK = 2

BASES = [
    """\
name: urn
about: Two colours, counted.
seed: 1
trials: 20
sizes: [1, 2, 5]
bags:
  urn: {kind: with_replacement, balls: {red: 1, blue: 2}}
  out: {kind: without_replacement, balls: {red: 3, blue: 4}, sizes: [2, 7]}
models:
  itself: {kind: itself}
  zero: {kind: fixed, balls: {red: 0, blue: 5}}
estimators:
  counting: {kind: plug_in, bags: [urn]}
  corrected: {kind: miller_madow, colours: observed, models: [itself]}
learners:
  laplace: {kind: add_constant, amount: 0.5}
""",
    """\
name: shared
seed: 0x10
trials: 1e1
sizes: &sizes {from: 1, to: 20, per_decade: 2}
unit: bits
bags:
  zipf: &bag {kind: with_replacement, balls: {zipf: {colours: 4, exponent: 1.5}}}
  again: *bag
  "own \\u2603": {kind: with_replacement, balls: {uniform: {colours: 3}}, sizes: *sizes}
targets: [kl]
estimators:
  "plug in": {kind: plug_in, learner: {kind: add_constant, amount: perks}}
""",
    """\
{"name": "one", "seed": 0, "trials": 1, "sizes": [3], "bags":
  {"b": {"kind": "with_replacement", "balls": {"a": 1, "b": 1}}}}
""",
]
FILES = [Path(init.__file__).with_name("starter.yaml")]
FILES += sorted((Path(__file__).parent.parent / "configs").glob("*.yaml"))
TEXTS = BASES + [path.read_text(encoding="utf-8") for path in FILES]
MEMBERS = [
    (family.name, parse(Source(kind, family.member(kind).example())).data)
    for family in FAMILIES.values()
    for kind in family.kinds()
]

SCALARS: list[Any] = [
    *(None, True, False, 0, -1, 1, 2, 3.5, 1e6, -0.0, 1e-300, 1e308, 10**15, 10**30, -(10**400)),
    *(2**63, 2**64, 2**128 - 1, 10**12, 10**12 + 1, float("inf"), float("-inf"), float("nan")),
    *("", " ", "~", "no", "1e6", "a", "urn", "red", "kl", "kind", "laplace", "uniform", "bits"),
    *("../../x", "/etc/passwd", "a/b", ".", "..", "con", "x" * 201, "x" * 5000, "é", "💥", "红"),
    *("\u202eabc", "\u200b", "\ufeff", "\u2028", "\u0301", "\t", "\0", "\x1b[2J", "[bold]", "%s{}"),
    *([], {}, [[]], [{}], [1, "a"], {"kind": "plug_in"}, {"a": 1}, {"": 0}, [0] * 1001),
]
SPECIALS = [
    *("~", "null", ".inf", "-.inf", ".nan", "1e400", "9" * 500, "0x" + "f" * 300, "0o7", "''"),
    *('"\\0"', '"\\ud83d"', '"\\U0001F4A5"', '"\\x1b[2J"', "*bag", "*nothing", "&bag 1", "&b [*b]"),
    *("!!python/object/apply:os.mkdir [made]", "!!binary aGk=", "!!int x", "!x {}", "<<: *bag"),
    *("? a", "- - - -", "[" * 40, "{a: " * 40, "[" * 40 + "]" * 40, "]", "}", "{", "[", ",", ":"),
    *(
        "|",
        ">",
        "|2-",
        "%YAML 1.1",
        "---",
        "...",
        "#",
        "\t",
        "'",
        '"',
        "@",
        "`",
        "&",
        "*",
        "!",
        "-",
    ),
    *("\u202e", "\u0085", "\u2028", "\ufeff", "💥", "\x00", "\x07", "\x7f", "\ufffe", "a: b: c"),
    *("2024-01-01", "12:30:45", "with_replacement", "red: 1", "kind: polya", "sizes: [1]"),
]


class TooSlow(BaseException):
    """The command did not answer in time; nothing in between may catch it."""


def _late(_: int, __: object) -> None:
    raise TooSlow


def klsim(*arguments: str) -> tuple[int, str, str]:
    """Run the real command in this process; return its exit code and what it printed."""
    before = sys.argv, signal.signal(signal.SIGPROF, _late)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    sys.argv = ["klsim", *arguments]
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = verbs.code()
    except TooSlow:
        raise AssertionError(f"no answer within {SECONDS:g} s") from None
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.argv = before[0]
        signal.signal(signal.SIGPROF, before[1])
    return code, out.getvalue(), err.getvalue()


def by_lines(rng: random.Random, text: str) -> str:
    lines = text.split("\n")
    a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
    edit = rng.randrange(5)
    if edit == 0:
        del lines[a]
    elif edit == 1:
        lines.insert(b, lines[a])
    elif edit == 2:
        lines[a], lines[b] = lines[b], lines[a]
    elif edit == 3:
        lines[a] = " " * rng.randrange(6) + lines[a].lstrip()
    else:
        lines.insert(a, " " * rng.randrange(6) + rng.choice(SPECIALS))
    return "\n".join(lines)


def by_characters(rng: random.Random, text: str) -> str:
    a = rng.randrange(len(text) + 1)
    b = min(len(text), a + rng.choice([0, 1, 1, 2, 5, 30]))
    new = rng.choice(["", chr(rng.randrange(128)), chr(rng.randrange(0xD800)), text[a:b] * 2])
    return text[:a] + new + text[b:]


def by_words(rng: random.Random, text: str) -> str:
    """Replace what stands between two separators: a scalar, mostly."""
    start = rng.randrange(len(text) + 1)
    while start > 0 and text[start - 1] not in " \n[]{},:":
        start -= 1
    end = start
    while end < len(text) and text[end] not in " \n[]{},:":
        end += 1
    return text[:start] + rng.choice(SPECIALS) + text[end:]


def edited(rng: random.Random) -> str:
    """Return a valid text after a few random edits."""
    text = rng.choice(TEXTS[: len(BASES)] * 2 + TEXTS)
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        text = rng.choice([by_lines, by_characters, by_words])(rng, text or " ")
    return text


def nodes(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    pairs = value.items() if isinstance(value, dict) else ()
    pairs = enumerate(value) if isinstance(value, list) else pairs
    for key, inner in pairs:
        yield from nodes(inner, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def unlike(rng: random.Random, whole: Any) -> None:
    """Change plain data in one place."""
    *way, last = rng.choice([path for path in nodes(whole) if path] or [("name",)])
    around = at(whole, tuple(way))
    edit = rng.randrange(7)
    if edit == 0:
        del around[last]
    elif edit == 1:
        around[last] = rng.choice(SCALARS)
    elif edit == 2:
        around[last] = json.loads(json.dumps(at(whole, rng.choice(list(nodes(whole))))))
    elif edit == 3:
        around[last] = rng.choice([[around[last]], {"a": around[last]}, [around[last]] * 3])
    elif edit == 4 and isinstance(around, dict):
        around[str(rng.choice(SCALARS))] = around.pop(last)
    elif edit == 5 and isinstance(around[last], int | float):
        around[last] *= rng.choice([-1, 0, 0.5, 2, 10, 1000, 1e9])
    else:
        family, member = rng.choice(MEMBERS)
        shelf = whole.setdefault(family, {})
        if family == INTERVALS.name:
            shelf = whole.setdefault("estimators", {})
            member = {"kind": "plug_in", "interval": member}
        if isinstance(shelf, dict):
            shelf["new"] = json.loads(json.dumps(member))


def rebuilt(rng: random.Random) -> str:
    """Return the text of valid data after a few random changes, as YAML or as JSON."""
    text = rng.choice(TEXTS[: len(BASES)] * 2 + TEXTS)
    whole = json.loads(json.dumps(parse(Source("base", text)).data))
    for _ in range(rng.choice([1, 1, 2, 4])):
        with contextlib.suppress(ValueError):  # what JSON cannot copy stays as it is
            unlike(rng, whole)
    if rng.random() < 0.5:
        return json.dumps(whole, indent=rng.choice([None, 1]), ensure_ascii=rng.random() < 0.5)
    return yaml.safe_dump(whole, default_flow_style=rng.choice([None, True, False]))


def is_cheap(path: Path) -> bool:
    """Return whether a run draws and counts little; balls that leave one by one count tenfold.

    A slow estimate counts as 3000: a few milliseconds where a plain one is a microsecond. An
    interval from replicates is as many estimates.
    """
    experiment = load(path)
    work = 0.0
    for label, bag in experiment.bags.items():
        drawn = experiment.blocks(label) * experiment.block_trials(label)
        sizes, cells = experiment.sizes_of(label), experiment.cells(label)
        work += drawn * len(bag.colours) * len(sizes) * (1 + len(cells))
        work += 0 if bag.independent else 10 * drawn * sizes[-1]
        anew = [(cell, getattr(cell.interval, "number", 0)) for cell in cells]
        slow = sum(cell.estimator.slow * (1 + number) for cell, number in anew)
        replicates = min(drawn, experiment.trials) * sum(number for _, number in anew)
        work += replicates * len(bag.colours) * len(sizes)
        work += 3000 * min(drawn, experiment.trials) * len(sizes) * slow
        if sizes[-1] > 10_000 or len(bag.colours) > 100:
            return False
    return work < CHEAP


def listing(folder: Path, *, apart: str) -> set[str]:
    """Return all that lies in a folder, less what lies below one folder in it."""
    found = set()
    for where, folders, files in os.walk(folder):
        found |= {str(Path(where, name)) for name in (*folders, *files)}
        if Path(where) == folder and apart in folders:
            folders.remove(apart)
    return found


def answer(text: str, folder: Path, *, run: bool) -> bool:
    """Hold the command to its word on a text; return whether it was run."""
    path = folder / "a.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    (folder / "results").mkdir(exist_ok=True)
    before = listing(folder, apart="results")
    code, out, err = klsim("validate", str(path))
    assert code in (0, 2), err
    assert "Traceback" not in err
    assert (out.startswith(str(path)) and not err) if code == 0 else (err and not out)
    ran = run and code == 0 and is_cheap(path)
    if ran:
        where = str(folder / "results")
        code, out, err = klsim("run", str(path), "--out", where, "--engine", "serial", "--fresh")
        assert code in (0, 3), err
        assert "Traceback" not in err
        assert Path(where, load(path).name, "summary.parquet").is_file()
    assert listing(folder, apart="results") == before
    return ran


def each_of(make: Callable[[random.Random], str], chunk: int, folder: Path) -> None:
    failures, ran = [], 0
    for number in range(OF_EACH):
        text = make(random.Random(f"{make.__name__} {chunk} {number}"))
        try:
            ran += answer(text, folder, run=ran < RUNS_A_CHUNK)
        except Exception as error:
            failures.append(f"{make.__name__} {chunk} {number}: {error!r}"[:800])
    assert not failures, f"{len(failures)} of {OF_EACH}:\n" + "\n".join(failures[:5])


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("make", [edited, rebuilt], ids=lambda make: make.__name__)
def test_an_edited_configuration_is_run_or_refused(make, chunk, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    each_of(make, chunk, tmp_path)


@pytest.mark.parametrize("make", [edited, rebuilt], ids=lambda make: make.__name__)
def test_the_edits_leave_enough_to_run_and_enough_to_refuse(make):
    valid = 0
    for number in range(OF_EACH):
        with contextlib.suppress(ConfigurationError):
            read(make(random.Random(f"{make.__name__} 0 {number}")))
            valid += 1
    assert OF_EACH / 10 <= valid <= OF_EACH * 0.9


HEAD = "name: urn\nseed: 1\ntrials: 4\nsizes: [2, 3]\n"
BAG = "{kind: with_replacement, balls: {red: 1, blue: 2}}"


def experiment(label: str = "urn", balls: str = "{red: 1, blue: 2}", more: str = "") -> str:
    return HEAD + f"bags:\n  {label}: {{kind: with_replacement, balls: {balls}}}\n{more}"


def laughs(levels: int, of_each: int) -> str:
    first = f"a0: &a0 [{', '.join(['lol'] * of_each)}]\n"
    lists = (f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * of_each)}]\n" for i in range(1, levels))
    return first + "".join(lists)


def many(what: str, number: int, joint: str = ", ") -> str:
    return joint.join(what.replace("N", str(n)) for n in range(number))


HOSTILE = {
    "billion laughs": experiment(more=laughs(10, 10)),
    "deep laughs": experiment(more=laughs(2000, 2)),
    "laughs just below the bound": experiment(more=laughs(6, 10)),
    "laughs as balls": laughs(6, 10) + experiment(balls="{a: *a5}"),
    "laughs as targets": laughs(6, 10) + experiment(more="targets: *a5\n"),
    "laughs of names": experiment(more=laughs(4, 10) + "targets: [kl, kl, kl]\nabout: *a3\n"),
    "an alias of itself": experiment(more="models: &m {a: *m}\n"),
    "deep lists": experiment(more="about: " + "[" * 100_000),
    "deep mappings": experiment(more="about: " + "{a: " * 100_000),
    "deep dashes": experiment(more="about:\n  " + "- " * 100_000),
    "deep indents": experiment(more="".join(" " * n + "a:\n" for n in range(3000))),
    "deep brackets in quotes": experiment(label="'" + "[{" * 90 + "'"),
    "a python object": experiment(more="about: !!python/object/apply:os.mkdir [made]\n"),
    "a python name": experiment(more="about: !!python/name:os.system\n"),
    "a python module as a key": experiment(label="!!python/module:antigravity urn"),
    "an enormous integer": experiment(balls="{red: " + "9" * 1_000_000 + "}"),
    "an enormous hexadecimal": HEAD.replace("seed: 1", "seed: 0x" + "f" * 399),
    "an enormous key": experiment(more="? " + "k" * 1_000_000 + "\n: 1\n"),
    "an enormous kind": experiment().replace("with_replacement", "w" * 1_000_000),
    "an enormous text": experiment(more="about: '" + "w " * 1_000_000 + "'\n"),
    "an enormous tag": experiment(more="about: !<" + "t" * 100_000 + "> x\n"),
    "enormous trials": experiment().replace("trials: 4", "trials: 1e12"),
    "enormous sizes": experiment().replace("[2, 3]", "[1e12]"),
    "a grid of enormous sizes": experiment().replace("[2, 3]", "{from: 1, to: 1e12}"),
    "enormous balls": experiment(balls="{red: 1e15, blue: 1e-300}"),
    "tiny balls": experiment(balls="{red: 5e-324, blue: 5e-324}"),
    "many sizes": experiment().replace("[2, 3]", f"[{many('N', 100_000)}]"),
    "many colours": experiment(balls=f"{{{many('cN: 1', 50_000)}}}"),
    "many bad colours": experiment(balls=f"{{{many('cN: x', 20_000)}}}"),
    "many bad targets": experiment(more="targets:\n" + many("- N", 20_000, "\n") + "\n"),
    "many unknown keys": experiment(more=many("kN: 1", 10_000, "\n") + "\n"),
    "many times the same key": experiment(more=many("about: a", 10_000, "\n") + "\n"),
    "many anchors": experiment(more=many("kN: &kN 1", 10_000, "\n") + "\n"),
    "many bags": HEAD + f"bags:\n  {many(f'bN: {BAG}', 1000, chr(10) + '  ')}\n",
    "many of everything": HEAD
    + f"bags: {{{many(f'bN: {BAG}', 150)}}}\n"
    + f"models: {{{many('mN: {kind: itself}', 150)}}}\n"
    + f"estimators: {{{many('eN: {kind: plug_in}', 150)}}}\n",
    "many names that are not there": experiment(
        more=f"estimators: {{e: &e {{kind: plug_in, bags: [{many('N', 1000)}]}}"
        + f", {many('fN: *e', 100)}}}\n"
    ),
    "many lines of nothing": "\n" * 1_000_000,
    "many documents": "---\na: 1\n" * 10_000,
    "many comments": experiment(more="# nothing\n" * 100_000),
    "one line of many flows": "[" + "[], " * 100_000,
    "colours without end": experiment(balls="{zipf: {colours: 1e6}}"),
    "too many colours": experiment(balls="{zipf: {colours: 1000001}}"),
    "carriage returns": experiment().replace("\n", "\r"),
    "a byte order mark within": experiment(label="\ufeffurn"),
    "a byte order mark twice": "\ufeff\ufeff" + experiment(),
    "a surrogate": experiment(more="about: \ud83d\n"),
    "a surrogate by escape": experiment(label='"\\ud83d"'),
    "a null": experiment(label='"a\\0b"'),
    "a null as such": experiment(label="a\0b"),
    "escapes for a terminal": experiment(label='"\\e[2J\\a"'),
    "a path as name": experiment().replace("name: urn", "name: ../../x"),
    "an absolute path as name": experiment().replace("name: urn", "name: /etc/klsim"),
    "a parent as name": experiment().replace("name: urn", "name: .."),
    "a hidden name": experiment().replace("name: urn", "name: .x"),
    "a name with a null": experiment().replace("name: urn", 'name: "a\\0"'),
    "a name with a line": experiment().replace("name: urn", 'name: "a\\n"'),
    "a name like a number": experiment().replace("name: urn", "name: '1e6'"),
    "a name of 101": experiment().replace("name: urn", "name: " + "x" * 101),
    "a file elsewhere": experiment(balls="{from_file: {path: ../../../etc/passwd, column: a}}"),
    "a file from the root": experiment(balls="{from_file: {path: /etc/passwd, column: a}}"),
    "a file without end": experiment(balls="{from_file: {path: /dev/zero, column: a}}"),
    "a file that is this one": experiment(balls="{from_file: {path: a.yaml, column: seed}}"),
    "a file with a null": experiment(balls='{from_file: {path: "a\\0", column: a}}'),
}
LABELS = {
    "a path": "../../x",
    "an absolute path": "/etc/passwd",
    "slashes": "a/b\\c",
    "dots": "..",
    "a drive": "C:con",
    "200 letters": "x" * 200,
    "200 wide letters": "红" * 200,
    "200 letters of four bytes": "💥" * 200,
    "right to left": "\u202egnp.exe",
    "nothing to see": "\u200b",
    "combining": "e\u0301\u0301\u0301",
    "a line separator": "a\u2028b",
    "markup": "[bold red]x[/]",
    "html": "<script>alert(1)</script>",
    "a formula": "=1+1",
    "shell": "$(touch made); `touch made`",
    "percent": "%s%n{0}{x}",
    "yaml": "'no'",
    "quotes": "''\"\"",
    "spaces": " a ",
    "an emoji with a joiner": "👩\u200d🔬",
    "null": "null",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_configuration_is_answered_in_time(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer(HOSTILE[case], tmp_path, run=False)


@pytest.mark.parametrize("case", LABELS)
def test_a_label_is_a_label_whatever_it_looks_like(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    label = LABELS[case]
    named = {
        "bags": {label: {"kind": "with_replacement", "balls": {label: 1, "b": 2}}},
        "models": {label: {"kind": "uniform", "bags": [label]}},
        "estimators": {label: {"kind": "plug_in", "models": [label], "bags": [label]}},
        "learners": {label: {"kind": "relative_frequency"}},
    }
    assert answer(HEAD + yaml.safe_dump(named), tmp_path, run=True)
    parts = [path.name for path in (tmp_path / "results" / "urn" / "trials").iterdir()]
    assert len(parts) == 1
    assert parts[0].isascii()
    assert len(parts[0]) < 100
    code, out, _ = klsim("run", "a.yaml", "--out", "results", "--json")
    assert code == 0
    assert json.loads(out)[0]["summary"][0]["bag"] == label


@pytest.mark.parametrize("chunk", range(4))
def test_any_change_on_the_command_line_is_taken_or_refused(chunk, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text(BASES[0], encoding="utf-8")
    before = listing(tmp_path, apart="results")
    paths = [".".join(map(str, path)) for path in nodes(parse(Source("a", BASES[0])).data)]
    for number in range(50):
        rng = random.Random(f"set {chunk} {number}")
        key = rng.choice([rng.choice(paths), by_characters(rng, rng.choice(paths))])
        value = rng.choice([rng.choice(SPECIALS), json.dumps(rng.choice(SCALARS)), edited(rng)])
        change = f"{key}{rng.choice('====: ')}{value}"
        code, out, err = klsim("validate", "a.yaml", "--set", change)
        assert code in (0, 2), change
        assert "Traceback" not in err, change
        assert bool(out) is (code == 0), change
    assert listing(tmp_path, apart="results") == before
