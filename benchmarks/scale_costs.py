"""Seconds of the pieces of a run: blocks, parts, what is gathered of them, and what tasks cost."""

from __future__ import annotations

import pickle
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import yaml

from benchmarks.scale_model import Costs
from benchmarks.timing import timed
from sim.analysis.analyze import Gathered, analyze, count, gather
from sim.config.reading import read
from sim.engines import Engine
from sim.experiment import Experiment
from sim.store.coverage import header
from sim.store.directory import Directory, write_through
from sim.store.parts import Parts, encode
from sim.trials import block_rows

COMMON: dict[str, Any] = {
    "seed": 20240601,
    "sizes": {"from": 10, "to": 100_000, "per_decade": 4},
    "models": {"itself": {"kind": "itself"}, "uniform": {"kind": "uniform"}},
    "estimators": {
        "counting": {"kind": "plug_in"},
        "laplace": {"kind": "plug_in", "learner": {"kind": "add_constant", "amount": 1}},
        "miller_madow": {"kind": "miller_madow"},
    },
}
RED_BLUE = {"red": 10, "blue": 15}
KINDS: dict[str, dict[str, Any]] = {
    "two": {"bags": {"bag": {"kind": "with_replacement", "balls": RED_BLUE}}},
    "hundred": {"bags": {"bag": {"kind": "with_replacement", "balls": {"zipf": {"colours": 100}}}}},
    "costly": {
        "bags": {"bag": {"kind": "with_replacement", "balls": {"zipf": {"colours": 20}}}},
        "sizes": [100],
        "models": {"uniform": {"kind": "uniform"}},
        "estimators": {"nsb": {"kind": "nsb"}, "jackknife": {"kind": "jackknife"}},
    },
    "events": {
        "bags": {"bag": {"kind": "delayed_returns", "balls": RED_BLUE, "hold": {"exponential": 5}}},
        "sizes": [10, 30, 100, 300, 1000],
    },
}
"""Cheap estimators of two and of a hundred colours, costly ones, and a bag with a clock."""

SAID = {
    "two": "K = 2, 17 sizes, 3 estimators, 2 models",
    "hundred": "K = 100, the same",
    "costly": "K = 20, 1 size, nsb and jackknife",
    "events": "delayed_returns, 5 sizes",
}


def text(kind: str, trials: int) -> str:
    """Return the experiment file of a kind."""
    return yaml.safe_dump({"name": kind, "trials": trials, **COMMON, **KINDS[kind]})


@dataclass(frozen=True)
class Measured:
    """What a kind of experiment was seen to take: seconds, if nothing else is said."""

    trials: int
    """Trials of a block."""
    rows: int
    size: int
    """Bytes of a part."""
    gathered: int
    """Bytes of what is gathered of a part."""
    block: float
    """To draw a block, estimate, and write its part."""
    head: float
    """To say what a part should be."""
    adopt: float
    """To give a part its name, for good."""
    save: float
    """To write a part that came from elsewhere, and give it its name."""
    check: float
    """To see that a part is there and is what is asked."""
    read: float
    again: float
    """To gather a part; to read it again."""
    readings: int
    merge: float
    once: float
    """Exact values and tables."""

    def costs(self, hand_out: float, *, remote: bool = False) -> Costs:
        """Return what goes into the model, at so many seconds to hand a block out."""
        return Costs(
            trials=self.trials,
            block=self.block,
            keep=self.head + hand_out + (self.save if remote else self.adopt),
            read=self.read + (self.readings - 1) * self.again,
            merge=self.merge,
            once=self.once,
        )


class _Counted:
    """Parts that note how often they are read."""

    def __init__(self, parts: Parts) -> None:
        self.parts, self.readings = parts, 0

    def read(self, columns: Any = None) -> Iterator[pa.Table]:
        self.readings += 1
        return self.parts.read(columns)


def measure(kind: str, blocks: int) -> Measured:
    """Measure a kind on its first blocks, in this process; medians over the blocks."""
    experiment = read(text(kind, 10**9))
    with TemporaryDirectory() as folder:
        directory = Directory(Path(folder))
        directory.trials.mkdir(parents=True)
        paths = tuple(directory.part("bag", index) for index in range(blocks))
        draw(experiment, directory, 0)  # loads what is loaded once
        block, head, adopt, check, save = (
            median(timed(partial(work, index)) for index in range(blocks))
            for work in (
                partial(draw, experiment, directory),
                partial(header, experiment, "bag"),
                partial(directory.adopt, "bag"),
                lambda index: directory.has(header(experiment, "bag", index)),
                lambda index: directory.save(paths[index], paths[index].read_bytes()),
            )
        )
        counted = _Counted(Parts(paths))
        whole = timed(lambda: analyze(experiment, counted))
        reading, again, merge, gathered = _analysis(experiment, paths)
        size, rows = paths[0].stat().st_size, next(Parts(paths).read(["trial"])).num_rows
    once = whole - blocks * (reading + (counted.readings - 1) * again)
    return Measured(
        trials=experiment.block_trials("bag"),
        rows=rows,
        size=size,
        gathered=gathered,
        block=block,
        head=head,
        adopt=adopt,
        save=save,
        check=check,
        read=reading,
        again=again,
        readings=counted.readings,
        merge=merge,
        once=max(0.0, once),
    )


def draw(experiment: Experiment, directory: Directory, index: int) -> None:
    """Do what a worker does for a block."""
    content = encode(block_rows(experiment, "bag", index), header(experiment, "bag", index))
    write_through(directory.staged("bag", index), content)


def _analysis(experiment: Experiment, paths: tuple[Path, ...]) -> tuple[float, float, float, int]:
    """Return the seconds to gather a part, to read it again, and to merge; and the bytes."""
    reading, again, merging = [], [], []
    all_found = Gathered(experiment)
    for path in paths:
        begun = time.perf_counter()
        content = pickle.dumps(gather(experiment, Parts((path,))), protocol=5)
        reading.append(time.perf_counter() - begun)
        merging.append(timed(lambda content=content: all_found.merge(pickle.loads(content))))
        left = {key: tally.answers.empty() for key, tally in all_found.tallies.items()}
        again.append(timed(lambda path=path, left=left: count(left, Parts((path,)))))
    return median(reading), median(again), median(merging), len(content)


@dataclass(frozen=True)
class Hands:
    """What an engine costs, in seconds: to start, a task, and a task that gives a part back."""

    start: float
    task: float
    giving: float | None = None


def hands(engine: Engine, number: int, gives: int = 0) -> Hands:
    """Measure an engine by tasks that do nothing, two in hand for each worker.

    Where `gives` is given, also by some that give back so many bytes.
    """
    begun = time.perf_counter()
    with engine.open() as workers:
        flow = partial(_flow, workers.submit, 2 * engine.workers)
        flow(2 * engine.workers, 0)
        start = time.perf_counter() - begun
        task = timed(lambda: flow(number, 0)) / number
        fewer = max(10, number // 10)
        giving = timed(lambda: flow(fewer, gives)) / fewer if gives else None
    return Hands(start, task, giving)


def _flow(submit: Callable[..., Any], window: int, number: int, gives: int) -> None:
    held: deque[Any] = deque()
    for _ in range(number):
        if len(held) == window:
            held.popleft().result()
        held.append(submit(bytes, gives))
    for future in held:
        future.result()


@contextmanager
def cluster(workers: int) -> Iterator[str]:
    """Yield the address of a scheduler of Dask on this machine, with workers; end all of them."""
    dask = str(Path(sys.executable).parent / "dask")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    host, port = address.split(":")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    begin = [dask, "scheduler", "--host", host, "--port", port, "--no-dashboard"]
    join = [dask, "worker", f"tcp://{address}", "--nthreads", "1", "--no-dashboard", "--no-nanny"]
    started = [subprocess.Popen(command, **quiet) for command in [begin, *[join] * workers]]
    try:
        yield f"dask://{address}"
    finally:
        for process in started:
            process.kill()  # a worker whose scheduler has gone does not mind a polite word
        for process in started:
            process.wait()
