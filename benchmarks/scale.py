"""How a run scales: what its pieces take, what follows for many workers, and whether that holds.

    python -m benchmarks.scale

prints the tables of docs/scale.md in about six minutes; `--quick` only sees that it works.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from statistics import median

from benchmarks.scale_costs import SAID, Hands, Measured, cluster, hands, measure
from benchmarks.scale_model import Costs, Predicted, cut, predict, saturation
from benchmarks.scale_runs import Run, run
from benchmarks.timing import ratio, shown
from sim.engines import Engine

CORES = 16
"""Of the coordinator's machine, where workers are many: the analysis is done there."""

BEYOND = 10
"""From so many workers on they are a cluster's."""


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    blocks: Mapping[str, int]
    """How many blocks of each kind are looked at."""
    runs: Sequence[str]
    """The kinds that are run as a whole."""
    seconds: float
    """What a whole run with one worker should take."""
    rounds: int
    tasks: int
    memory: int
    """Blocks of the smaller run whose memory is looked at."""
    clusters: bool


FULL = Plan(
    blocks={"two": 7, "hundred": 5, "costly": 2, "events": 5},
    runs=("two", "costly"),
    seconds=40.0,
    rounds=2,
    tasks=300,
    memory=60,
    clusters=True,
)
QUICK = Plan({"two": 1}, ("two",), 0.5, 1, 20, 0, clusters=False)


def engines(plan: Plan, size: int) -> Iterator[tuple[str, Hands]]:
    """Yield what the engines cost that are there; a part has `size` bytes."""
    yield "serial", hands(Engine("serial"), plan.tasks)
    yield "processes", hands(Engine("processes", 2), plan.tasks)
    try:
        Engine("dask://127.0.0.1:8786")
    except ValueError:
        return
    if plan.clusters:
        with cluster(2) as address:
            yield "dask", hands(Engine(address, 2), plan.tasks, size)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a Markdown table."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def ms(seconds: float | None) -> str:
    """Return milliseconds with three digits."""
    return "–" if seconds is None else shown(seconds * 1e3)


def spoken(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    for unit, worth in (("d", 86_400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * worth:
            return f"{shown(seconds / worth)} {unit}"
    return f"{shown(seconds)} s"


def of_blocks(known: Mapping[str, Measured]) -> str:
    """Return the table of what a block takes and leaves."""
    heads = ("block of", "trials", "worker, ms", "µs a trial", "rows", "MB", "bytes a row")
    return table(
        heads,
        [
            (
                SAID[kind],
                f"{m.trials:,}",
                ms(m.block),
                shown(m.block / m.trials * 1e6),
                f"{m.rows:,}",
                shown(m.size / 1e6),
                shown(m.size / m.rows),
            )
            for kind, m in known.items()
        ],
    )


def of_the_coordinator(known: Mapping[str, Measured], engines: Mapping[str, Hands]) -> str:
    """Return the tables of what the coordinator does for each part, and for each task."""
    heads = ("part of", "header, ms", "name it, ms", "write and name it, ms", "find it again, ms")
    rows = [
        (SAID[kind], ms(m.head), ms(m.adopt), ms(m.save), ms(m.check)) for kind, m in known.items()
    ]
    of_engines = [
        (name, ms(one.task), ms(one.giving), shown(one.start)) for name, one in engines.items()
    ]
    return "\n".join(
        (
            table(heads, rows),
            table(("engine", "ms a task", "ms a task that gives a part", "s to start"), of_engines),
        )
    )


def of_the_analysis(known: Mapping[str, Measured]) -> str:
    """Return the table of what a part takes to be analyzed."""
    heads = (
        "part of",
        "worker: gather it, ms",
        "ns a row",
        "read it again, ms",
        "readings",
        "coordinator: merge a piece, ms",
        "MB gathered",
        "tables, once, s",
    )
    return table(
        heads,
        [
            (
                SAID[kind],
                ms(m.read),
                shown(m.read / m.rows * 1e9),
                ms(m.again),
                str(m.readings),
                ms(m.merge),
                shown(m.gathered / 1e6),
                shown(m.once),
            )
            for kind, m in known.items()
        ],
    )


def whole_runs(plan: Plan, known: Mapping[str, Measured], engines: Mapping[str, Hands]) -> str:
    """Return the tables of whole runs with one worker and two, and of what was predicted."""
    own, checked = [], []
    for kind in plan.runs:
        costs = known[kind].costs(engines["serial"].task)
        blocks = 2 * ceil(plan.seconds / (costs.block + costs.read) / 2)  # as many for both
        trials = blocks * costs.trials
        seen: dict[int, list[Run]] = {1: [], 2: []}
        for _ in range(plan.rounds):
            for workers, runs in seen.items():
                runs.append(run(kind, trials, workers))
        own.append(_own(kind, trials, seen))
        checked.append(_checked(kind, trials, costs, seen, engines["processes"]))
    heads = ("run of", "trials", "1 worker, s", "2 workers, s", "faster", "trials", "analysis")
    against = ("run of", "trials, s", "predicted", "analysis, s", "predicted", "whole, off by")
    return "\n".join((table(heads, own), table(against, checked)))


def _own(kind: str, trials: int, seen: Mapping[int, Sequence[Run]]) -> tuple[str, ...]:
    columns = {n: [[getattr(one, n) for one in seen[w]] for w in (1, 2)] for n in _STAGES}
    one, two = columns["whole"]
    return (
        SAID[kind],
        f"{trials:,}",
        shown(median(one)),
        shown(median(two)),
        *(ratio(*columns[name]) for name in _STAGES),
    )


_STAGES = ("whole", "drawing", "analysis")


def _checked(
    kind: str, trials: int, costs: Costs, seen: Mapping[int, Sequence[Run]], pool: Hands
) -> tuple[str, ...]:
    """Return what two workers took beside what follows from the run of one."""
    one, two = (
        Run(*(median(getattr(run, name) for run in seen[w]) for name in Run.__annotations__))
        for w in (1, 2)
    )
    parts = trials // costs.trials
    merging = cut(parts)[1] * costs.merge
    as_run = replace(
        costs,
        block=one.drawing / parts - costs.keep,
        read=(one.analysis - costs.once - merging) / parts,
    )
    guess = predict(as_run, trials, 2, pool.start)
    rest = one.whole - one.drawing - one.analysis
    off = (guess.total + rest) / two.whole - 1
    return (
        SAID[kind],
        shown(two.drawing),
        shown(guess.drawing),
        shown(two.analysis),
        shown(guess.analysis),
        f"{off:+.0%}",
    )


def predictions(known: Mapping[str, Measured], engines: Mapping[str, Hands]) -> str:
    """Return the table of what runs of any size would take."""
    far = engines.get("dask")
    heads = ("trials and analysis of", "trials", *(f"{w:,}" for w in _WORKERS), *_FULL)
    rows = []
    for kind, m in known.items():
        near = m.costs(engines["processes"].task)
        spread = near if far is None else m.costs(far.giving or far.task, remote=True)
        for trials in (10**6, 10**9):
            cells = []
            for workers in _WORKERS:
                start = 0.0 if workers == 1 else engines["processes"].start
                costs = near if workers < BEYOND else spread
                drawing = predict(costs, trials, workers, start).drawing
                analysis = predict(near, trials, min(workers, CORES), start).analysis
                cells.append(_both(Predicted(drawing, analysis)))
            full = f"{saturation(near):,}", "–" if far is None else f"{saturation(spread):,}"
            rows.append((SAID[kind], _power(trials), *cells, *full))
    return table(heads, rows)


_WORKERS = (1, 2, 10, 100, 1000)
_FULL = ("full: processes", "full: Dask")


def _both(one: Predicted) -> str:
    return f"{spoken(one.drawing)} + {spoken(one.analysis)}"


def _power(trials: int) -> str:
    return "10" + str(len(str(trials)) - 1).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def memory(plan: Plan) -> str:
    """Return the table of peak memory at some trials and at ten times as many."""
    few = plan.memory * 4096
    return of_memory(few, *(run("two", n, 2, ("sizes=[10, 100]",)) for n in (few, 10 * few)))


def of_memory(trials: int, one: Run, ten: Run) -> str:
    """Return the table of the peaks of two runs, the second of ten times the trials."""
    peaks = {
        "the coordinator": (one.coordinator, ten.coordinator),
        "a worker": (one.worker, ten.worker),
    }
    rows = [(who, shown(a), shown(b), shown(b / a)) for who, (a, b) in peaks.items()]
    heads = ("peak MB of", f"{trials:,} trials", f"{10 * trials:,} trials", "times")
    return table(heads, rows)


def main(plan: Plan) -> None:
    """Print all tables."""
    known = {kind: measure(kind, blocks) for kind, blocks in plan.blocks.items()}
    print(of_blocks(known))
    costing = dict(engines(plan, known["two"].size))
    print(of_the_coordinator(known, costing))
    if "dask" not in costing:
        print("Dask was not measured: its engine is not there, or not asked for.\n")
    print(of_the_analysis(known))
    print(whole_runs(plan, known, costing))
    print(predictions(known, costing))
    if plan.memory:
        print(memory(plan))


if __name__ == "__main__":
    main(QUICK if "--quick" in sys.argv else FULL)
