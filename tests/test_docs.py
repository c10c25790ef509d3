"""Pages whose commands are run as they stand: what is printed is what the page shows.

A page takes part by the line `<!-- the tests run what stands below -->`. From there on, in one
folder that holds `configs/`, each `console` block is run: a line that begins with `$ ` is a
command, and what follows it is what it prints, to the character; a line of only `…` stands for
any lines left out. A `python` block is run in the same folder. A block that follows
`<!-- configs/name.yaml -->` must be part of that file.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from fenced import ROOT, Block, blocks, every_block
from runs import KLSIM, environment

import sim

MARK = "<!-- the tests run what stands below -->"
PROMPT = "$ "
LEFT_OUT = "…"
DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for path in (*ROOT.glob("*.md"), ROOT / "results" / "README.md", *(ROOT / "docs").rglob("*.md"))
)
PAGES = [page for page in DOCUMENTS if MARK in (ROOT / page).read_text(encoding="utf-8")]


def steps(block: Block) -> Iterator[tuple[str, list[str]]]:
    """Yield each command of a block with the lines that it should print."""
    starts = [i for i, line in enumerate(block.lines) if line.startswith(PROMPT)]
    assert starts[:1] == [0], f"below {block.heading!r}: a console block begins with a command"
    for first, end in pairwise([*starts, len(block.lines)]):
        yield block.lines[first].removeprefix(PROMPT), list(block.lines[first + 1 : end])


def printed(command: str, folder: os.PathLike[str]) -> list[str]:
    """Run a command as a reader would, with this klsim; return the lines that it prints."""
    known = environment()
    path = os.pathsep.join([str(KLSIM.parent), known["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env={**known, "PATH": path, "COLUMNS": "80"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return [line.rstrip() for line in done.stdout.splitlines()]


def mismatch(shown: Sequence[str], got: Sequence[str]) -> str:
    """Return what a page shows that was not printed there; nothing where all is as it says."""
    rest = list(got)
    for piece, is_first, is_last in _pieces(shown):
        places = range(len(rest) - len(piece) + 1)
        if is_first:
            places = places[:1]
        if is_last:
            places = places[-1:] if not is_first else places[: len(rest) == len(piece)]
        found = next((i for i in places if rest[i : i + len(piece)] == piece), None)
        if found is None:
            return "\n".join(["the page shows:", *piece, "but this was printed there:", *rest])
        rest = rest[found + len(piece) :]
    return ""


def _pieces(shown: Sequence[str]) -> Iterator[tuple[list[str], bool, bool]]:
    """Yield the runs of lines between what is left out, and whether each is first and last."""
    cuts = [-1, *(i for i, line in enumerate(shown) if line == LEFT_OUT), len(shown)]
    for start, end in pairwise(cuts):
        yield list(shown[start + 1 : end]), start == -1, end == len(shown)


def test_the_tutorial_is_run():
    assert "docs/tutorial.md" in PAGES


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_prints_what_the_page_shows(page, tmp_path, monkeypatch):
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    text = (ROOT / page).read_text(encoding="utf-8").split(MARK)[1]
    ran = 0
    for block in every_block(text):
        if block.language == "console":
            for command, shown in steps(block):
                wrong = mismatch(shown, printed(command, tmp_path))
                assert not wrong, f"{page}: $ {command}\n{wrong}"
                ran += 1
        elif block.language == "python":
            exec(compile(block.text, page, "exec"), {})
    assert ran


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_quotes_from_a_file_stands_in_it(page):
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    for at, line in enumerate(lines):
        name = line.removeprefix("<!-- ").removesuffix(" -->")
        if line.startswith("<!-- configs/"):
            quoted = next(every_block("\n".join(lines[at:]))).text
            assert quoted in (ROOT / name).read_text(encoding="utf-8"), name


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """Return a folder with the configurations, red_blue of few trials and already run."""
    folder = tmp_path_factory.mktemp("few")
    shutil.copytree(ROOT / "configs", folder / "configs")
    config = folder / "configs" / "red_blue.yaml"
    text = config.read_text(encoding="utf-8")
    assert "\ntrials: 10000 " in text
    config.write_text(text.replace("\ntrials: 10000 ", "\ntrials: 100 "), encoding="utf-8")
    sim.run(sim.load(config), out=folder / "results")
    return folder


@pytest.fixture
def few_trials(few, monkeypatch):
    monkeypatch.chdir(few)


@pytest.mark.parametrize("heading", ["Use it from Python", "Read the tables"])
def test_the_readme_is_right_about_python(heading, few_trials):
    (block,) = (one for one in blocks("README.md", "python") if one.heading == heading)
    names: dict = {}
    exec(compile(block.text, f"README.md: {heading}", "exec"), names)
    said = re.findall(
        r"^sim.estimate\((.*)\)  # your own counts: ([0-9.]+) nats", block.text, re.MULTILINE
    )
    for arguments, number in said:
        assert round(eval(f"sim.estimate({arguments})", names), len(number) - 2) == float(number)
    assert len(said) == (heading == "Use it from Python")


@pytest.mark.parametrize("page", DOCUMENTS)
def test_every_link_of_a_page_to_a_file_leads_to_one(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!https?://|#)([^)\s#]+)(?:#[^)]*)?\)", text):
        assert ((ROOT / page).parent / link).exists(), link


def test_every_page_of_the_documents_is_linked_from_the_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for page in DOCUMENTS:
        if page.startswith("docs/") and page.count("/") == 1:
            assert f"]({page})" in text, page


# The harness itself


@pytest.mark.parametrize(
    ("shown", "got", "fits"),
    [
        ("a b", "a b", True),
        ("a b", "a c", False),
        ("a", "a b", False),
        ("a b", "b", False),
        ("", "", True),
        ("", "a", False),
        ("a … c", "a b b c", True),
        ("a … c", "a c", True),
        ("a … c", "a b", False),
        ("a … c", "a c d", False),
        ("… c", "a b c", True),
        ("… c", "c d", False),
        ("a …", "a b c", True),
        ("a …", "b a", False),
        ("a … b … c", "a x b y c", True),
        ("a … b … c", "a c b", False),
        ("a … c", "a b c c", True),
        ("a … a", "a", False),
        ("…", "", True),
    ],
)
def test_what_is_shown_is_held_against_what_is_printed(shown, got, fits):
    assert (mismatch(shown.split(), got.split()) == "") is fits


def test_a_command_is_run_in_the_folder_with_this_klsim(tmp_path):
    assert printed("pwd -P; command -v klsim", tmp_path) == [str(tmp_path.resolve()), str(KLSIM)]
    with pytest.raises(AssertionError, match="is not one of"):
        printed("klsim list nonsense", tmp_path)


def test_a_console_block_is_read_step_by_step():
    (block,) = every_block("# A\n```console\n$ one\n1\n$ two | x\n```\n")
    assert list(steps(block)) == [("one", ["1"]), ("two | x", [])]
    assert list(every_block("<!-- later:\n```console\n$ one\n```\n-->\n")) == []
    with pytest.raises(AssertionError, match="does not end"):
        list(every_block("```console\n$ one\n"))
