"""`klsim report --format svg|png`: which files are written, how, and what stands in the way."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from runs import built, klsim

from results import RICH, material
from sim import api, gathering
from sim.drawings import NoPicture, draw, expect_names
from sim.gathering import MOST_TRIALS, gather
from sim.report.pictures import DRAWERS
from sim.store import pictures
from sim.store.directory import Directory
from sim.store.plain import Misplaced
from sim.tables import TRIALS

ROOT = Path(__file__).parent.parent
SMALL = {"trials": 20, "learners": {}, "sizes": [5]}
WITHOUT = """
import sys
sys.modules.update(altair=None, vl_convert=None)
sys.argv = ["klsim", *sys.argv[1:]]
from sim.cli.verbs import code
sys.exit(code())
"""


@pytest.fixture
def result(tmp_path) -> Path:
    return api.run(built(**SMALL), out=tmp_path).path


def without_charts(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_command_writes_pictures_and_says_where(result):
    done = klsim("report", result, "--format", "svg", "--only", "rmse", "--only", "sd")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(result / "report" / f"{x}.svg") for x in ("rmse", "sd")]
    assert sorted(os.listdir(result / "report")) == ["rmse.svg", "sd.svg"]
    assert (result / "report" / "rmse.svg").read_bytes().startswith(b"<svg")


def test_pictures_are_written_where_it_is_said(result, tmp_path):
    out = tmp_path / "for" / "paper"
    assert draw(gather(result), result, "png", out, ["rmse"]) == [out / "rmse.png"]
    assert os.listdir(out) == ["rmse.png"]
    assert not (result / "report").exists()


@pytest.mark.parametrize("form", ["html", "svg", "png"])
def test_a_folder_without_a_name_is_told_and_nothing_is_written(result, form):
    before = sorted(os.listdir(result))
    done = klsim("report", result, "--format", form, "--out", "")
    assert done.returncode == 2
    assert "--out: expected the name of a folder, got ''; without --out" in done.stderr
    assert sorted(os.listdir(result)) == before


def test_a_name_that_no_picture_has_is_told():
    with pytest.raises(NoPicture, match="there is no picture 'boss'; expected one of bias, "):
        expect_names(["bias", "boss"])


def test_a_picture_that_would_be_empty_is_told(result):
    with pytest.raises(NoPicture, match=r"coverage: this result has nothing .* there are: bias,"):
        draw(gather(result), result, "svg", None, ["coverage"])
    assert not (result / "report").exists()


@pytest.mark.parametrize("name", ["report", "report/rmse.svg"])
def test_no_link_is_followed(result, tmp_path, name):
    aim = tmp_path / "elsewhere"
    aim.mkdir()
    (result / name).parent.mkdir(exist_ok=True)
    (result / name).symlink_to(aim)
    with pytest.raises(Misplaced, match="symbolic link"):
        draw(gather(result), result, "svg", None, ["rmse"])
    assert os.listdir(aim) == []


def test_what_a_killed_writer_left_is_swept_and_nothing_else(result):
    folder = result / pictures.FOLDER
    folder.mkdir()
    for name in (".rmse.svg.0123456789ab.tmp", "mine.txt", "mine.svg"):
        (folder / name).write_text("x", encoding="utf-8")
    draw(gather(result), result, "svg", None, ["rmse"])
    assert sorted(os.listdir(folder)) == ["mine.svg", "mine.txt", "rmse.svg"]


def test_a_fresh_run_takes_old_pictures_away_and_others_files_stay(result):
    draw(gather(result), result, "svg", None, ["rmse"])
    (result / "report" / "mine.svg").write_text("x", encoding="utf-8")
    api.run(built(**SMALL, seed=8), out=result.parent, fresh=True)
    assert os.listdir(result / "report") == ["mine.svg"]
    assert not Directory(result).foreign()


def test_without_the_extra_a_sentence_says_how_to_get_it(result):
    done = without_charts("report", result)
    assert done.returncode == 2
    expected = "a report needs altair, which is not installed; pip install 'klsim[charts]'"
    assert done.stderr == f"klsim: {expected}\n"


def test_a_run_needs_no_charts(tmp_path):
    done = without_charts("run", ROOT / "configs" / "red_blue.yaml", "--set", "trials=20",
                          "--set", "sizes=[10]", "--out", tmp_path, "--workers", 1)  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_store_knows_the_name_of_every_picture():
    assert tuple(DRAWERS) == pictures.NAMES


def test_only_the_report_knows_altair():
    users = set()
    for path in (ROOT / "sim").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            if {name.split(".")[0] for name in names} & {"altair", "vl_convert"}:
                users.add(path.parent.name)
    assert users == {"report"}


def test_a_result_is_gathered_whole(tmp_path):
    told = material(tmp_path, trace=2, **RICH)
    assert (told.name, told.unit, told.level) == ("rich", "nats", 0.95)
    assert told.facts["trials"] == 60
    assert "delayed_returns" in told.experiment
    assert told.command == "klsim run experiment.yaml --out again --trace 2"
    assert list(told.samples) == TRIALS.names
    assert set(told.samples["target"]) == {"kl", "kl_loss"}
    known = api.open_results(tmp_path / "rich")
    assert len(told.samples) == (known.trials["target"] != "control").sum()
    assert len(told.best) == len(known.best())
    assert set(told.running["bag"]) == {"away"}
    assert set(told.running["model"]) == {"itself"}, "the draws of the other are not traced"


def test_of_many_trials_only_the_first_are_gathered(tmp_path):
    told = material(tmp_path, trials=5000, learners={}, sizes=[5])
    assert (
        told.samples.groupby("bag")["trial"].agg(["min", "max"]).to_numpy().tolist()
        == [[0, MOST_TRIALS - 1]] * 2
    )
    assert told.trace is None
    assert told.running is None


def test_of_many_cells_fewer_trials_are_gathered(tmp_path, monkeypatch):
    monkeypatch.setattr(gathering, "MOST_ROWS", 400)
    told = material(tmp_path, trials=100, learners={}, sizes=[5, 20])
    rows = told.samples.groupby("bag").size()
    assert (rows <= 400).all()
    assert (rows > 200).all()
