"""The command as people and scripts meet it: real processes, their exit codes and their words."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from doors import KLSIM, answered

import sim
from sim.cli.verbs import VERBS
from sim.config.schema import FAMILIES, schema

SMALL = """\
name: urn
seed: 1
trials: 50
sizes: [5, 20]
bags:
  urn: {kind: with_replacement, balls: {red: 1, blue: 2}}
"""
LONG = SMALL.replace("50", str(4096 * 60)).replace("urn", "long")
ENVIRONMENT = {**os.environ, "COLUMNS": "100"}
# what is run in the background of a shell ignores SIGINT, and would hand that on
ATTENTIVE = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    "os.execv(sys.argv[1], sys.argv[1:])"
)


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """Return an own current directory with a small and a long experiment in it."""
    monkeypatch.chdir(tmp_path)
    Path("urn.yaml").write_text(SMALL, encoding="utf-8")
    Path("long.yaml").write_text(LONG, encoding="utf-8")
    return tmp_path


def klsim(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command; whatever goes wrong, it shows no traceback."""
    done = answered([*arguments], {**ENVIRONMENT, **environment})
    assert "Traceback" not in done.stderr, done.stderr
    return done


def begun(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", ATTENTIVE, KLSIM, *arguments]
    return subprocess.Popen(
        command,
        env={**ENVIRONMENT, "PYTHONFAULTHANDLER": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(condition: Callable[[], Any], running: subprocess.Popen[str]) -> None:
    """Wait until a running command has come so far."""
    end = time.monotonic() + 30
    while not condition():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < end, "this did not happen in 30 s"
        time.sleep(0.01)


def ended(running: subprocess.Popen[str]) -> tuple[str, str]:
    """Return what a command printed on both ways; one that does not end says where it hangs."""
    try:
        return running.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        assert running.poll() is None, "it has ended, and left a process that holds its output"
        running.send_signal(signal.SIGABRT)
        raise AssertionError(running.communicate(timeout=30)[1]) from None


def parts(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder, "trials").glob("*.parquet")}


def strict(text: str) -> Any:
    """Return what JSON says, as a reader takes it that knows no NaN and no Infinity."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


FULL = Path("/dev/full")
HEAVY = ("numpy", "pandas", "pyarrow", "scipy", "pydantic", "yaml", "rich", "sim.experiment")


@pytest.mark.parametrize("asked", [["--help"], ["-h"], ["--version"], [], ["no-such-verb"]])
def test_help_imports_nothing_heavy(asked):
    code = (
        "import sys; from sim.cli import verbs; verbs.code();"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *asked], env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.stderr.splitlines()[-1] == "[]"


def test_the_package_alone_imports_nothing_heavy():
    code = f"import sim, sys; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_help_names_every_verb_and_every_exit_code():
    done = klsim("--help")
    assert done.returncode == 0
    assert done.stderr == ""
    for verb, about in VERBS.items():
        assert re.search(rf"^  {verb} +{re.escape(about[:30])}", done.stdout, re.MULTILINE)
    for code in ("0 done", "2 usage", "3\n", "4 what", "5 finished", "6 a check", "130\n"):
        assert code.strip() in done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_explains_itself(verb):
    done = klsim(verb, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: klsim {verb} ")
    assert done.stderr == ""


def test_the_version_is_that_of_the_package():
    assert klsim("--version").stdout == f"klsim, version {version('klsim')}\n"


@pytest.mark.parametrize(
    "asked",
    [
        ["frobnicate"],
        ["run"],
        ["run", "urn.yaml", "--workers", "0"],
        ["list", "planets"],
        ["status", "urn.yaml"],
        ["status", "nowhere"],
        ["analyze", "nowhere"],
        ["run", "."],
        ["run", "urn.yaml", "--set", "trials=0"],
    ],
    ids=" ".join,
)
def test_wrong_use_is_told_on_stderr_and_exits_2(here, asked):
    done = klsim(*asked)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr
    assert sorted(os.listdir()) == ["long.yaml", "urn.yaml"]


def test_validate_says_what_a_run_would_do(here):
    done = klsim("validate", "urn.yaml", "--set", "trials=5000")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "urn.yaml: valid; 2 cells of 5,000 trials in 2 blocks\n"


def test_validate_tells_all_faults_of_all_files(here):
    Path("b.yaml").write_text(SMALL.replace("sizes: [5, 20]", "sizes: [0]\nseeds: 1"))
    done = klsim("validate", "none.yaml", "urn.yaml", "b.yaml")
    assert done.returncode == 2
    assert done.stdout == "urn.yaml: valid; 2 cells of 50 trials in 1 blocks\n"
    assert done.stderr == (
        "none.yaml:1:1: cannot be read: No such file or directory\n"
        "b.yaml:4:9: sizes[0]: expected at least 1; got 0\n"
        "    sizes: [0]\n"
        "            ^\n"
        "b.yaml:5:1: seeds: unknown key 'seeds'; did you mean 'seed'?\n"
        "    seeds: 1\n"
        "    ^\n"
    )


def test_validate_tells_faults_to_scripts(here):
    Path("b.yaml").write_text(SMALL.replace("[5, 20]", "[5, x]"))
    done = klsim("validate", "b.yaml", "urn.yaml", "--json")
    fault = {"source": "b.yaml", "line": 4, "column": 12, "path": "sizes[1]"}
    message = {"message": "expected a whole number; got 'x'"}
    assert done.returncode == 2
    assert done.stderr == ""
    assert strict(done.stdout) == [
        {"file": "b.yaml", "valid": False, "problems": [fault | message]},
        {"file": "urn.yaml", "valid": True, "problems": []},
    ]


def test_run_makes_tables_and_says_what_they_mean(here):
    done = klsim("run", "urn.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Bias of KL (nats): bag urn against model itself; the true KL is 0" in done.stdout
    assert re.search(r"50 trials a bag in [0-9.]+ s; tables in results/urn$", done.stdout.strip())
    trials = sim.open_results("results/urn").trials
    assert trials["target"].value_counts().to_dict() == {"kl": 100, "control": 200}
    assert sorted(os.listdir()) == ["long.yaml", "results", "urn.yaml"]


def test_status_and_analyze_speak_of_the_run(here):
    sim.run(sim.load("urn.yaml"), out="out")
    assert klsim("status", "out/urn").stdout == (
        "urn: complete\n  bag urn: 1 of 1 blocks\n  summary: there\n"
    )
    Path("out/urn/summary.parquet").unlink()
    status = strict(klsim("status", "out/urn", "--json").stdout)
    assert status["bags"] == {"urn": [1, 1]}
    assert (status["complete"], status["summary"], status["in_use"]) == (True, False, False)
    analyzed = klsim("analyze", "out/urn", "--json")
    assert analyzed.returncode == 0
    assert [row["size"] for row in strict(analyzed.stdout)["summary"]] == [5, 20]
    Path("out/urn/trials").joinpath(*parts("out/urn")).unlink()
    assert "not complete" in klsim("analyze", "out/urn").stdout


def test_run_prints_nothing_but_data_where_a_script_reads(here):
    Path("two.yaml").write_text(SMALL.replace("name: urn", "name: two"))
    done = klsim("run", "urn.yaml", "two.yaml", "--json", "--set", "unit=bits", "--workers", "1")
    reports = strict(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert [report["name"] for report in reports] == ["urn", "two"]
    assert [report["results"] for report in reports] == ["results/urn", "results/two"]
    for report in reports:
        assert (report["trials"], report["unit"]) == (50, "bits")
        assert len(report["digest"]) == 32
        assert [row["size"] for row in report["summary"]] == [5, 20]
        assert {row["quantity"] for row in report["convergence"]} >= {"bias", "sd", "rmse"}
        assert report["comparison"] == []


def test_a_run_of_several_estimators_says_which_is_best_and_one_of_one_does_not(here):
    both = "estimators: {counting: {kind: plug_in}, corrected: {kind: miller_madow}}\n"
    Path("two.yaml").write_text(SMALL.replace("name: urn", "name: two") + both)
    runs = [
        klsim("run", name, "--set", "trials=4000", "--workers", "1")
        for name in ("urn.yaml", "two.yaml")
    ]
    assert [done.returncode for done in runs] == [0, 0]
    title = "Which estimator has the smallest error (rmse)"
    assert [title in done.stdout for done in runs] == [False, True]
    assert "5 … 20: corrected" in runs[1].stdout
    again = klsim("analyze", "results/two")
    assert "5 … 20: corrected" in again.stdout
    rows = strict(klsim("analyze", "results/two", "--json").stdout)["comparison"]
    pairs = [(row["first"], row["second"], row["size"], row["better"]) for row in rows]
    assert pairs == [("counting", "corrected", size, "corrected") for size in (5, 20)]


def test_what_is_done_before_a_fault_is_printed_for_scripts_too(here):
    Path("two.yaml").write_text(SMALL.replace("urn", "two"), encoding="utf-8")
    Path("results/two").mkdir(parents=True)
    Path("results/two/mine.txt").write_text("mine", encoding="utf-8")
    done = klsim("run", "urn.yaml", "two.yaml", "--json", "--workers", "1")
    assert (done.returncode, "no run wrote" in done.stderr) == (4, True)
    assert [told["name"] for told in strict(done.stdout)] == ["urn"]


def test_what_is_infinite_is_json_all_the_same(here):
    Path("urn.yaml").write_text(SMALL + "models: {m: {kind: fixed, balls: {red: 0, blue: 1}}}\n")
    done = klsim("run", "urn.yaml", "--json")
    assert done.returncode == 0
    [report] = strict(done.stdout)
    assert report["summary"][0]["infinite"] > 0


@pytest.mark.parametrize("trials", ["1", "2"])
def test_very_few_trials_run_to_their_end(here, trials):
    assert klsim("run", "urn.yaml", "--set", f"trials={trials}").returncode == 0


def test_a_changed_key_is_run_and_kept(here):
    klsim("run", "urn.yaml", "--set", "trials=7", "--set", "bags.urn.balls.sky=3")
    kept = yaml.safe_load(Path("results/urn/experiment.yaml").read_text(encoding="utf-8"))
    assert kept["trials"] == 7
    assert kept["bags"]["urn"]["balls"] == {"red": 1, "blue": 2, "sky": 3}


def test_two_experiments_of_one_name_are_refused_before_anything_runs(here):
    Path("other.yaml").write_text(SMALL.replace("seed: 1", "seed: 2"))
    done = klsim("run", "urn.yaml", "other.yaml")
    assert done.returncode == 2
    assert "two of these experiments are named urn" in done.stderr
    assert not Path("results").exists()


def test_one_invalid_file_keeps_all_from_running(here):
    done = klsim("run", "urn.yaml", "none.yaml")
    assert done.returncode == 2
    assert not Path("results").exists()


def test_a_different_experiment_exits_4_with_the_difference_until_a_fresh_start(here):
    sim.run(sim.load("urn.yaml"))
    before = parts("results/urn")
    Path("results/urn/mine.txt").write_text("kept")
    changed = ("run", "urn.yaml", "--set", "seed=2", "--set", "bags.urn.balls.red=5")
    done = klsim(*changed)
    assert done.returncode == 4
    assert done.stdout == ""
    assert done.stderr == (
        "results/urn holds a different experiment:\n"
        "  seed: 1 there, 2 asked\n"
        "  bags.urn.balls.red: 1 there, 5 asked\n"
        "start again with --fresh, or choose another name or --out\n"
    )
    assert parts("results/urn") == before
    assert klsim(*changed, "--fresh").returncode == 0
    assert parts("results/urn") != before
    assert Path("results/urn/mine.txt").read_text() == "kept"


def test_a_directory_of_somebody_else_exits_4_and_stays_as_it_is(here):
    Path("results/urn").mkdir(parents=True)
    Path("results/urn/thesis.txt").write_text("mine")
    for more in ([], ["--fresh"]):
        assert klsim("run", "urn.yaml", *more).returncode == 4
        assert Path("results/urn/thesis.txt").read_text() == "mine"
        assert parts("results/urn") == {}


def test_a_directory_in_use_exits_4(here):
    running = begun("run", "long.yaml", "--set", "trials=1e9", "--engine", "serial")
    try:
        until(lambda: parts("results/long"), running)
        running.send_signal(signal.SIGSTOP)  # it keeps the lock and leaves the processor
        for more in ([], ["--fresh"]):
            done = klsim("run", "long.yaml", "--set", "trials=1e9", *more)
            assert (done.returncode, done.stdout) == (4, "")
            assert "results/long is in use by another run" in done.stderr
        assert "a run is at work here now" in klsim("status", "results/long").stdout
    finally:
        running.send_signal(signal.SIGCONT)
        running.send_signal(signal.SIGINT)
        ended(running)
    assert running.returncode == 130
    assert "a run is at work" not in klsim("status", "results/long").stdout


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> Path:
    """Return the results of the long experiment, run in one go."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "long.yaml").write_text(LONG, encoding="utf-8")
    return sim.run(sim.load(folder / "long.yaml"), out=folder).path


@pytest.mark.parametrize(
    ("number", "engine"), [(signal.SIGINT, "serial"), (signal.SIGTERM, "processes")]
)
def test_an_interrupted_run_exits_130_and_goes_on_to_the_same_bits(
    here, uninterrupted, number, engine
):
    asked = ("run", "long.yaml", "--engine", engine, "--workers", "2")
    running = begun(*asked)
    until(lambda: len(parts("results/long")) >= 2, running)
    running.send_signal(number)
    out, err = ended(running)
    assert running.returncode == 130
    assert out == ""
    assert "klsim: interrupted; every finished block is kept" in err
    done = len(parts("results/long"))
    assert 2 <= done < 60
    assert f"bag long: {done} of 60 blocks" in klsim("status", "results/long").stdout
    assert klsim(*asked).returncode == 0
    assert parts("results/long") == parts(str(uninterrupted))
    for table in ("summary.parquet", "convergence.parquet", "comparison.parquet"):
        there = Path("results/long", table).read_bytes()
        assert there == (uninterrupted / table).read_bytes()


BROKEN = '''\
"""An estimator that fails on some counts; installed by the tests alone."""
from typing import Literal
import numpy as np
from sim.contracts.estimator import Estimator

class Broken(Estimator):
    """Fails where more than half of the balls are red.

    Example:
        kind: broken
    """
    kind: Literal["broken"] = "broken"

    def estimate(self, counts, reference, target):
        if (counts[:, 0] * 2 > counts.sum(axis=1)).any():
            raise ArithmeticError("too red")
        return np.zeros(len(counts))
'''


@pytest.fixture
def installed(here) -> Path:
    """Return a folder where a package with a member of its own is installed."""
    folder = here / "installed"
    facts = folder / "broken-1.0.dist-info"
    facts.mkdir(parents=True)
    (folder / "broken.py").write_text(BROKEN)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[klsim]\nestimators.broken = broken:Broken\n")
    return folder


def test_a_run_with_failed_estimates_exits_3_and_keeps_their_reasons(installed):
    Path("urn.yaml").write_text(SMALL + "estimators: {mine: {kind: broken}}\n")
    done = klsim("run", "urn.yaml", PYTHONPATH=str(installed))
    assert (done.returncode, done.stderr) == (3, "")
    said = re.search(r"^(\d+) estimates failed; their reasons stand", done.stdout, re.MULTILINE)
    rows = strict(klsim("analyze", "results/urn", "--json", PYTHONPATH=str(installed)).stdout)
    failed = sum(row["failed"] for row in rows["summary"])
    assert 0 < failed < 100
    assert int(said[1]) == failed
    reasons = read_column("results/urn", "reason")
    assert reasons.count("ArithmeticError: too red") == failed


def read_column(folder: str, name: str) -> list[Any]:
    [path] = Path(folder, "trials").glob("*.parquet")
    return pq.read_table(path).column(name).to_pylist()


def test_an_installed_member_is_listed_and_without_it_its_experiment_is_invalid(installed):
    mine = {"kind": "broken", "about": "Fails where more than half of the balls are red."}
    listed = klsim("list", "estimators", "--json", PYTHONPATH=str(installed))
    assert strict(listed.stdout)[-1] == mine
    Path("urn.yaml").write_text(SMALL + "estimators: {mine: {kind: broken}}\n")
    done = klsim("validate", "urn.yaml")
    assert done.returncode == 2
    assert "unknown kind 'broken'" in done.stderr


def test_list_names_every_member_for_scripts():
    whole = strict(klsim("list", "--json").stdout)
    assert list(whole) == list(FAMILIES)
    for name, family in FAMILIES.items():
        assert [member["kind"] for member in whole[name]] == list(family.kinds())
        assert all(set(member) == {"kind", "about"} and member["about"] for member in whole[name])


def test_list_names_the_members_of_one_family():
    asked = strict(klsim("list", "learners", "--json").stdout)
    family = FAMILIES["learners"]
    assert asked == [{"kind": k, "about": family.member(k).about()} for k in family.kinds()]


def test_list_names_every_member_for_people():
    done = klsim("list")
    assert (done.returncode, done.stderr) == (0, "")
    for name, family in FAMILIES.items():
        assert name in done.stdout
        assert all(kind in done.stdout for kind in family.kinds())


def test_schema_prints_the_schema():
    done = klsim("schema")
    assert (done.returncode, done.stderr) == (0, "")
    assert strict(done.stdout) == json.loads(json.dumps(schema()))


def test_init_writes_an_experiment_that_is_valid_and_never_writes_over_a_file(here):
    assert klsim("init").stdout == "wrote experiment.yaml; run it with: klsim run experiment.yaml\n"
    assert klsim("validate", "experiment.yaml").returncode == 0
    done = klsim("init", "urn.yaml")
    assert done.returncode == 2
    assert "urn.yaml is there already" in done.stderr
    assert Path("urn.yaml").read_text() == SMALL
    missing = klsim("init", "nowhere/a.yaml")
    assert missing.returncode in (1, 2)
    assert "nowhere/a.yaml" in missing.stderr


def test_a_place_where_nothing_can_be_written_is_named(here):
    done = klsim("run", "urn.yaml", "--out", "urn.yaml")
    assert done.returncode in (1, 2)
    assert done.stdout == ""
    assert "urn.yaml/urn" in done.stderr
    assert Path("urn.yaml").read_text() == SMALL


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_directory_without_permission_is_named(here):
    Path("locked").mkdir(mode=0o500)
    done = klsim("run", "urn.yaml", "--out", "locked")
    assert done.returncode in (1, 2)
    assert "locked/urn" in done.stderr


def closed(*arguments: str) -> tuple[int, str]:
    """Run the command with nobody reading its output."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [KLSIM, *arguments], env=ENVIRONMENT, stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "asked",
    [["list"], ["schema"], ["run", "urn.yaml"], ["run", "urn.yaml", "--json"]],
    ids=" ".join,
)
def test_a_reader_that_has_gone_is_no_reason_to_complain(here, asked):
    assert closed(*asked) == (1, "")


def test_output_that_was_closed_from_the_start_is_no_reason_to_complain(here):
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", KLSIM, "validate", "urn.yaml"],
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not FULL.exists(), reason="there is no full device")
def test_a_full_disk_is_named(here):
    with FULL.open("w") as full:
        done = subprocess.run(
            [KLSIM, "schema"], stdout=full, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_knows_few_characters_gets_what_it_knows(here, encoding):
    for asked in (["run", "urn.yaml"], ["list"], ["run", "--help"]):
        assert klsim(*asked, PYTHONIOENCODING=encoding).returncode == 0


def test_a_file_name_of_any_bytes_is_taken(here):
    name = os.fsdecode(b"b\xff.yaml")
    Path(name).write_text(SMALL)
    for more in ([], ["--json"]):
        done = subprocess.run(
            [KLSIM, "validate", name, *more],
            capture_output=True,
            env={**ENVIRONMENT, "PYTHONIOENCODING": "utf-8"},
        )
        assert done.returncode == 0, done.stderr[-500:]


def on_a_terminal(*arguments: str, out: Any = None, **environment: str) -> tuple[str, str]:
    """Run the command with stderr, and stdout too unless `out` is given, on a terminal."""
    leader, follower = pty.openpty()
    running = subprocess.Popen(
        [KLSIM, *arguments],
        stdout=out or follower,
        stderr=follower,
        env={**ENVIRONMENT, "TERM": "xterm-256color", **environment},
    )
    os.close(follower)
    shown = b""
    try:
        while block := os.read(leader, 65536):
            shown += block
    except OSError:  # the system's way to say that the last writer has gone
        pass
    os.close(leader)
    piped = running.stdout.read().decode() if running.stdout else ""
    assert running.wait(30) == 0, shown
    if running.stdout:
        running.stdout.close()
    return shown.decode(), piped


COLOUR = re.compile(r"\x1b\[[0-9;]*(3[0-8]|4[0-8]|9[0-7])[;m]")


def test_colours_are_for_a_terminal_and_not_where_they_are_not_wanted(here):
    plain, _ = on_a_terminal("run", "urn.yaml", NO_COLOR="1")
    assert not COLOUR.search(plain)
    coloured, _ = on_a_terminal("run", "urn.yaml", "--fresh")
    assert COLOUR.search(coloured)
    assert "\x1b" not in klsim("run", "urn.yaml").stdout


def test_progress_is_shown_on_stderr_and_data_alone_on_stdout(here):
    shown, piped = on_a_terminal("run", "urn.yaml", "--json", out=subprocess.PIPE)
    assert strict(piped)[0]["name"] == "urn"
    assert "urn" in shown
    assert "━" in shown
