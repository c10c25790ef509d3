"""What a terminal would obey is never printed: not from a name, a label, a file or a message."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text
from runs import built, klsim, text

import sim
from sim.cli import options
from sim.cli.terminal import harmless

ESCAPE, BELL, WIDE, BACK = "\x1b[31m", "\x07", "\x9b2J", "\u202e"
HOSTILE = [ESCAPE, BELL, WIDE, BACK, "\r", "\x08", "\x7f", "\u2028", "\u2066", "\udc9b"]


def tame(shown: str) -> bool:
    return not any(each in shown for each in (*HOSTILE, "\x1b", "\x9b"))


@pytest.mark.parametrize("character", HOSTILE, ids=ascii)
def test_what_drives_a_terminal_is_replaced_and_all_else_stays(character):
    assert tame(harmless(f"a{character}b"))
    assert "�" in harmless(character)
    plain = "ä 日本 \U0001f469\u200d\U0001f52c – \n\t é"
    assert harmless(plain) == plain


def test_tables_and_lines_of_results_are_harmless_and_their_colours_stay():
    shown = io.StringIO()
    hooked = options.console()
    console = Console(file=shown, force_terminal=True, width=80, color_system="standard")
    console.push_render_hook(hooked._render_hooks[0])
    table = Table("a")
    table.add_row(Text(f"x{ESCAPE}y{BACK}z", style="red"))
    console.print(table)
    console.print(f"x{BELL}y", soft_wrap=True)
    assert "x�[31my�z" in shown.getvalue()
    assert "\x1b[31mx" in shown.getvalue()
    assert not any(each in shown.getvalue() for each in (BACK, BELL))


def test_labels_are_harmless_in_every_table(tmp_path):
    label = f"a{BACK}b"
    bags = {label: {"kind": "with_replacement", "balls": {label: 2, "blue": 3}}}
    names = {label: {"kind": "plug_in"}, "other": {"kind": "miller_madow"}}
    known = built(bags=bags, models={label: {"kind": "itself"}}, estimators=names, trials=300)
    path = sim.run(known, out=tmp_path).path
    for asked in (["analyze"], ["status"], ["replay", "--bag", label, "--trial", 1]):
        done = klsim(asked[0], path, *asked[1:])
        assert done.returncode == 0
        assert "a�b" in done.stdout
        assert tame(done.stdout)


def test_hostile_lines_and_names_of_files_are_harmless_in_messages(tmp_path):
    bad = tmp_path / f"x{ESCAPE}{BACK}\ny.yaml"
    bad.write_text(text({"name": "a", f"ke{BACK}y": f"b{BELL}", "seed": f"{WIDE}"}))
    raw = tmp_path / "raw.yaml"
    raw.write_bytes(b"name: x\nseed: 1 \x1b]0;title\x07\nsizes: [\xe2\x80\xae]\n")
    done = klsim("validate", bad, raw, f"no{ESCAPE}ne.yaml")
    assert done.returncode == 2
    assert tame(done.stdout + done.stderr)
    assert "x�[31m��y.yaml:" in done.stderr
    for asked in (["status", f"no{ESCAPE}"], [f"ver{ESCAPE}b{BACK}"], ["run", f"{BELL}.yaml"]):
        done = klsim(*asked)
        assert done.returncode == 2
        assert tame(done.stderr)


def test_init_writes_over_nothing_and_follows_no_link(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("dangling.yaml").symlink_to("elsewhere.yaml")
    Path("mine.yaml").write_text("mine")
    Path("link.yaml").symlink_to("mine.yaml")
    for name in ("dangling.yaml", "mine.yaml", "link.yaml"):
        done = klsim("init", name)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{name} is there already" in done.stderr
    assert not Path("elsewhere.yaml").exists()
    assert Path("mine.yaml").read_text() == "mine"
