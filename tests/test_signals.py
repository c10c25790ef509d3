"""Signals and streams of the command: it ends with its code, at any time, and never complains."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from runs import KLSIM, environment, session, tables, text, waited_for

import sim
from sim.cli import main

SMALL = {
    "name": "urn",
    "seed": 1,
    "trials": 50,
    "sizes": [5, 20],
    "bags": {"urn": {"kind": "with_replacement", "balls": {"red": 1, "blue": 2}}},
}
LONG = {**SMALL, "trials": 4096 * 12}
SAID = "klsim: interrupted; every finished block is kept, and the same command goes on from there\n"

# sends a signal to its own process when a module is asked for, or a function is called
TRAP = """
import os, sys
kind, what, number = os.environ["TRAP"].split()

def spring():
    sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not Finder]
    sys.setprofile(None)
    if kind == "finalizer":
        Dying()
    else:
        os.kill(os.getpid(), int(number))

class Dying:
    def __del__(self):
        os.kill(os.getpid(), int(number))
        for _ in range(1000):
            pass

class Finder:
    def find_spec(name, path=None, target=None):
        if name == what:
            spring()

def called(frame, event, argument):
    if event == "call" and frame.f_code.co_name == what and "/sim/" in frame.f_code.co_filename:
        spring()

if kind == "import":
    sys.meta_path.insert(0, Finder)
else:
    sys.setprofile(called)
"""


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("urn.yaml").write_text(text(SMALL), encoding="utf-8")
    Path("long.yaml").write_text(text(LONG), encoding="utf-8")
    return tmp_path


def heeded(ignored: tuple[int, ...] = ()) -> None:
    """Begin with every signal as a shell has it, some ignored: a test may itself ignore them."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)


def begun(*arguments: str, ignored: tuple[int, ...] = ()) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [KLSIM, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
        preexec_fn=lambda: heeded(ignored),
    )


def parts() -> int:
    return len(list(Path("results/urn/trials").glob("*.parquet")))


PLACES = [
    ("import click", ["run", "urn.yaml"]),
    ("import sim.experiment", ["validate", "urn.yaml"]),
    ("call analyze", ["run", "urn.yaml"]),
    ("call _say", ["status", "nowhere"]),
    ("call now", ["validate", "urn.yaml"]),
    ("finalizer tell", ["run", "urn.yaml"]),
]


@pytest.mark.parametrize(("place", "asked"), PLACES, ids=[place for place, _ in PLACES])
def test_a_signal_leaves_no_traceback_wherever_it_comes(here, place, asked):
    (here / "sitecustomize.py").write_text(TRAP)
    number = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP][len(place) % 3]
    done = subprocess.run(
        [KLSIM, *asked],
        env={**environment(here), "TRAP": f"{place} {int(number)}"},
        capture_output=True,
        text=True,
        preexec_fn=heeded,
    )
    assert done.returncode == 130
    assert done.stderr.lstrip("\n") == SAID


def test_two_signals_at_once_end_the_command_at_once(here):
    running = begun("run", "long.yaml", "--set", "trials=1e9", "--engine", "serial")
    assert waited_for(parts)
    running.send_signal(signal.SIGSTOP)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        running.send_signal(number)
    running.send_signal(signal.SIGCONT)
    out, err = running.communicate(timeout=30)
    assert (running.returncode, out, err) == (130, "", "")


def test_a_signal_that_is_ignored_at_the_start_stays_ignored(here):
    ignored = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    running = begun("run", "long.yaml", "--engine", "serial", ignored=ignored)
    assert waited_for(parts)
    for number in ignored:
        running.send_signal(number)
    _, err = running.communicate(timeout=30)
    assert (running.returncode, err) == (0, "")
    assert sim.open_results("results/urn").summary["trials"].tolist() == [LONG["trials"]] * 2


def test_a_terminal_that_hangs_up_leaves_no_worker_and_no_traceback(here):
    asked = ("--engine", "processes", "--workers", "2")
    running = begun("run", "long.yaml", "--set", "trials=1e9", *asked)
    assert waited_for(parts)
    os.killpg(running.pid, signal.SIGHUP)
    _, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "Traceback" not in err
    assert waited_for(lambda: not list(session(running.pid)), 10)


# streams


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of the shell in which $klsim is the command."""
    return subprocess.run(
        ["sh", "-c", line],
        env={**environment(), "klsim": str(KLSIM)},
        capture_output=True,
        text=True,
    )


RUN = '"$klsim" run urn.yaml'
FAULTY = '"$klsim" status nowhere'
STREAMS = {
    f"{RUN} <&- >&- 2>&-": (0, ""),
    f"{RUN} >/dev/full": (1, "klsim: system: No space left on device\n"),
    f"{FAULTY} >/dev/full 2>&1": (2, ""),
    f"{FAULTY} 2>&-": (2, ""),
    f"{FAULTY} 2>/dev/full": (2, ""),
    '"$klsim" run urn.yaml --nonsense 2>&-': (2, ""),
    '"$klsim" --help >/dev/full': (1, "klsim: system: No space left on device\n"),
}


@pytest.mark.parametrize("line", STREAMS)
def test_closed_and_full_streams_are_no_reason_to_complain_and_the_tables_are_there(here, line):
    if "/dev/full" in line and not Path("/dev/full").exists():
        pytest.skip("there is no full device")
    done = shell(line)
    assert (done.returncode, done.stderr) == STREAMS[line]
    if line.startswith(RUN) and "nonsense" not in line:
        there = sim.run(sim.load("urn.yaml"), out="apart").path
        assert tables(Path("results/urn")) == tables(there)


def test_messages_to_one_who_has_gone_are_dropped():
    reader, writer = os.pipe()
    messages = main._Lenient(os.fdopen(writer, "wb"), "utf-8", "replace", line_buffering=True)
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        io.FileIO(writer, "wb", closefd=False).write(b"x")
    messages.write("a line\n")
    messages.write("another")
    messages.close()


def test_a_file_never_takes_the_number_of_a_stream_that_was_closed(here):
    code = (
        "import os, sys; sys.stderr = None; from sim.cli import main; main._mend_streams();"
        "print([os.readlink(f'/proc/self/fd/{n}') for n in (0, 2)], os.get_inheritable(2))"
    )
    if not Path("/proc/self/fd").exists():
        pytest.skip("this system does not show its files")
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&- 2>&-', "sh", sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.stdout == "['/dev/null', '/dev/null'] True\n"
