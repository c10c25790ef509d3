"""A command that is forked does what one does that a shell starts."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from doors import answered, forked, started
from faulty import install
from runs import PROGRESS, SMALL, built, environment, files

from sim.config.reading import dump


def plainly(told: str) -> str:
    """Return what was told without the time it took, and without progress: that depends on it."""
    lines = [line for line in told.splitlines() if not PROGRESS.fullmatch(line)]
    return re.sub(r"[0-9.]+ s", "s", "\n".join(lines))


@pytest.mark.parametrize(
    "asked",
    [
        ["--help"],
        ["run", "--help"],
        ["run"],
        ["list", "bags", "--json"],
        ["list", "planets"],
        ["validate", "coins.yaml", "none.yaml"],
        ["status", "nowhere"],
        ["run", "coins.yaml", "--workers", "1"],
        ["run", "coins.yaml", "--engine", "processes", "--workers", "2"],
        ["run", "coins.yaml", "--json", "--set", "trials=0"],
    ],
    ids=" ".join,
)
def test_a_forked_command_says_does_and_ends_as_one_from_a_shell(tmp_path, monkeypatch, asked):
    around = {**environment(install(tmp_path / "elsewhere")), "COLUMNS": "90"}
    ended, left = [], []
    for run in (started, forked):
        here = tmp_path / run.__name__
        here.mkdir()
        monkeypatch.chdir(here)
        Path("coins.yaml").write_text(dump(built(**SMALL)), encoding="utf-8")
        done = run(asked, around)
        ended.append((done.returncode, plainly(done.stdout), plainly(done.stderr)))
        told = {name: data for name, data in files(here).items() if name.endswith(".parquet")}
        left.append(told)
    assert ended[0] == ended[1]
    assert left[0] == left[1]
    assert bool(left[0]) == (asked[0] == "run" and ended[0][0] == 0 and "--help" not in asked)


def test_a_forked_command_finds_what_is_installed_for_it_alone(tmp_path):
    folder = install(tmp_path / "elsewhere")
    for paths, is_there in (((folder,), True), ((), False)):
        assert ("faulty" in forked(["list", "bags"], environment(*paths)).stdout) == is_there


def test_a_forked_command_leaves_nothing_where_it_was_asked_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    assert forked(["init"], {**environment(), "HERE": "1"}).returncode == 0
    assert os.environ == before
    assert os.listdir() == ["experiment.yaml"]


def test_what_python_reads_when_it_starts_is_read(tmp_path):
    around = {**environment(), "PYTHONWARNINGS": "nonsense"}
    assert "nonsense" in answered(["--version"], around).stderr
    (tmp_path / "sitecustomize.py").write_text("print('here')")
    assert answered(["--version"], environment(tmp_path)).stdout.startswith("here\n")
    assert answered(["--version"], environment()).stdout.startswith("klsim, version ")
