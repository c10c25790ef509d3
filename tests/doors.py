"""The command in a process of its own, forked from one that has imported what it needs.

Most of the time of a short command goes by with imports. Here they are done once, and whoever
asks still gets a real process, with its own streams, directory, environment and exit code. Where
python has something to read when it starts, the command is started as a shell starts it.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired, run
from tempfile import TemporaryDirectory

from sim.cli.main import main
from sim.cli.verbs import VERBS

KLSIM = Path(sys.executable).parent / "klsim"

LIMIT = 120.0
"""Seconds after which a command hangs."""

STREAMS = {1: "out", 2: "err"}

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([f"sim.cli.{verb}" for verb in VERBS])


def answered(arguments: list[str], environment: Mapping[str, str]) -> CompletedProcess[str]:
    """Run the command, forked where that is the same; return its exit code and what it printed."""
    way = started if _is_for_the_start(environment) else forked
    return way(arguments, environment)


def _is_for_the_start(environment: Mapping[str, str]) -> bool:
    """Return whether there is something that python heeds when it starts, and never again."""
    own = {name for name in {*environment, *os.environ} if name.startswith("PYTHON")}
    changed = any(environment.get(name) != os.environ.get(name) for name in own - {"PYTHONPATH"})
    return changed or any(
        _is_installed(file.stem) for path in _paths(environment) for file in path.glob("*.py")
    )


def _is_installed(name: str) -> bool:
    """Return whether python reads this name at its start, or may have imported another's."""
    found = find_spec(name)
    own = found is not None and str(found.origin).startswith((sys.prefix, sys.base_prefix))
    return own or name == "sitecustomize"


def _paths(environment: Mapping[str, str]) -> list[Path]:
    return [Path(path) for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]


def started(arguments: list[str], environment: Mapping[str, str]) -> CompletedProcess[str]:
    """Run the command as a shell does."""
    line = [str(KLSIM), *arguments]
    encoding = {"encoding": "utf-8", "errors": "replace"}
    return run(line, env=environment, capture_output=True, timeout=LIMIT, **encoding)


def forked(arguments: list[str], environment: Mapping[str, str]) -> CompletedProcess[str]:
    """Run the command; return its exit code and what it printed."""
    with TemporaryDirectory() as folder:
        asked = arguments, dict(environment), Path.cwd(), Path(folder)
        running = _FORKS.Process(target=_enter, args=asked)
        running.start()
        running.join(LIMIT)
        hangs = running.exitcode is None
        if hangs:
            running.kill()
            running.join()
        paths = (Path(folder, name) for name in STREAMS.values())
        out, err = (path.read_text(encoding="utf-8", errors="replace") for path in paths)
        if hangs:
            raise TimeoutExpired(arguments, LIMIT, out, err)
        return CompletedProcess(arguments, running.exitcode, out, err)


def _enter(arguments: list[str], environment: dict[str, str], here: Path, folder: Path) -> None:
    """Become what a shell would have started: nothing of whoever asks is left."""
    for number, name in STREAMS.items():
        file = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    os.chdir(here)
    os.environ.clear()
    os.environ.update(environment)
    own = [path for path in sys.path if path.startswith((sys.prefix, sys.base_prefix))]
    sys.path[:] = [*map(str, _paths(environment)), *own]
    sys.argv[:] = ["klsim", *arguments]
    main()
