"""Small experiments, real commands and what they leave behind, for the tests of whole runs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.compute as pc
import yaml
from doors import KLSIM, answered

from sim.config.reading import read
from sim.experiment import Experiment
from sim.tables import CONTROL
from sim.trials import block_rows

TESTS = Path(__file__).parent
TABLES = ("summary.parquet", "convergence.parquet", "comparison.parquet")

COINS: dict[str, Any] = {
    "name": "coins",
    "seed": 7,
    "trials": 9000,
    "sizes": [5, 20],
    "bags": {
        "back": {"kind": "with_replacement", "balls": {"red": 2, "blue": 3}},
        "out": {"kind": "without_replacement", "balls": {"red": 20, "blue": 30}},
    },
    "models": {"itself": {"kind": "itself"}, "fair": {"kind": "uniform"}},
    "estimators": {"counting": {"kind": "plug_in"}, "corrected": {"kind": "miller_madow"}},
    "learners": {"laplace": {"kind": "add_constant", "amount": 1}},
}
"""Two bags of three blocks each, two models, two estimators and a learner."""

SMALL = {"trials": 40, "bags": {"back": COINS["bags"]["back"]}}
"""What makes COINS one small block."""


def faulty(trials: int = 80, **bags: dict[str, Any]) -> dict[str, Any]:
    """Return an experiment of faulty bags, ten blocks each."""
    labelled = {label: {"kind": "faulty", **keys} for label, keys in bags.items()}
    return {"name": "faulty", "seed": 7, "trials": trials, "sizes": [4, 8], "bags": labelled}


def text(plain: dict[str, Any], **changes: Any) -> str:
    return yaml.safe_dump({**plain, **changes}, sort_keys=False, allow_unicode=True)


def built(plain: dict[str, Any] = COINS, **changes: Any) -> Experiment:
    """Return the experiment of plain data, with some keys replaced."""
    return read(text(plain, **changes))


def cell_rows(experiment: Experiment, bag: str, index: int) -> pa.Table:
    """Return the rows of a block that hold estimates: its control variates are left out."""
    rows = block_rows(experiment, bag, index)
    return rows.filter(pc.not_equal(rows["target"], CONTROL))


def files(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, its lock aside."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def tables(folder: Path) -> dict[str, bytes]:
    """Return the Parquet files of a run; of a complete one, all that follows from its seed."""
    return {name: content for name, content in files(folder).items() if name.endswith(".parquet")}


def laid(content: dict[str, bytes], folder: Path) -> Path:
    """Write files into a folder; return it."""
    for name, data in content.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def parts(folder: Path) -> dict[str, bytes]:
    """Return the parts of a run by file name."""
    return {path.name: path.read_bytes() for path in (folder / "trials").glob("*.parquet")}


def klsim(*arguments: object, paths: tuple[Path, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run the command; `paths` are where packages may lie besides."""
    return answered([*map(str, arguments)], environment(*paths))


PROGRESS = re.compile(r".+: [0-9,]+ of [0-9,]+ trials \([0-9]+%\)")


def told(stderr: str) -> list[str]:
    """Return the lines that a command said; of its progress it tells only where it takes long."""
    lines = stderr.strip().splitlines()
    return [line for line in lines if line and not PROGRESS.fullmatch(line)]


def kill_when(due: Callable[[], Any], *arguments: object) -> None:
    """Run the command and kill it with all its workers when that is due, before it ends."""
    command = [KLSIM, *map(str, arguments)]
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    assert waited_for(lambda: due() or run.poll() is not None)
    os.killpg(run.pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL, "it ended before"
    assert waited_for(lambda: not any(session(run.pid))), "orphans"


def environment(*paths: Path) -> dict[str, str]:
    """Return the environment of a process that imports from the tests and from `paths`."""
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    places = [*map(str, (*paths, TESTS)), *filter(None, known)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places)}


def waited_for(condition: Callable[[], Any], seconds: float = 60.0) -> bool:
    """Return whether a condition comes true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


def lives(pid: int) -> bool:
    """Return whether a process is at work; one that only waits to be buried is not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def session(leader: int) -> Iterator[int]:
    """Yield the living processes of a session: none of its workers can leave it."""
    for pid in psutil.pids():
        try:
            if os.getsid(pid) == leader and lives(pid):
                yield pid
        except ProcessLookupError:
            continue
