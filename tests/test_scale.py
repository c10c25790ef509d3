"""The model of how a run scales, and that its benchmark works and is what the docs show."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from benchmarks.scale import of_memory, spoken
from benchmarks.scale_costs import KINDS, SAID, text
from benchmarks.scale_model import Costs, cut, predict, saturation
from benchmarks.scale_runs import Run
from sim.config.reading import read
from sim.loop.spread import pieces
from sim.store.parts import Parts

ROOT = Path(__file__).parent.parent
COSTS = Costs(trials=4096, block=0.1, keep=0.001, read=0.12, merge=0.02, once=0.3)
PARTS = 6000
TRIALS = PARTS * 4096


def test_one_worker_does_everything_in_turn():
    size, number = cut(PARTS)
    found = predict(COSTS, TRIALS, 1)
    assert found.drawing == pytest.approx(PARTS * 0.101)
    assert found.analysis == pytest.approx(PARTS * 0.12 + number * 0.02 + 0.3)
    assert found.total == found.drawing + found.analysis
    assert size * (number - 1) < PARTS <= size * number


def test_two_workers_take_about_half_and_their_start():
    one, two = (predict(COSTS, TRIALS, workers, start=0.5) for workers in (1, 2))
    assert two.drawing == pytest.approx(0.5 + PARTS * 0.05)
    assert 0.49 < two.total / one.total < 0.51  # what the coordinator does, it does beside them


@pytest.mark.parametrize("trials", [10**6, TRIALS, 10**9])
def test_more_workers_never_take_longer(trials):
    times = [predict(COSTS, trials, workers).total for workers in range(1, 400)]
    assert all(b <= a * (1 + 1e-12) for a, b in pairwise(times))


def test_beyond_saturation_more_workers_gain_nothing():
    full = saturation(COSTS)
    assert full == 100
    at, beyond = (predict(COSTS, TRIALS, workers).drawing for workers in (full, 10 * full))
    assert at == pytest.approx(beyond) == pytest.approx(PARTS * 0.001)
    assert predict(COSTS, TRIALS, full - 1).drawing > at


def test_no_run_is_shorter_than_its_blocks():
    assert predict(COSTS, 10, 1000).drawing == pytest.approx(0.1)


@pytest.mark.parametrize("number", [1, 5, 24, 600, 60_000])
def test_the_model_cuts_parts_as_the_analysis_does(number):
    paths = tuple(Path(f"bag-0-{index}.parquet") for index in range(number))
    found = pieces([Parts(paths)])
    assert cut(number) == (len(found[0]), len(found))


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_experiment_is_one(kind):
    experiment = read(text(kind, 1000))
    assert list(experiment.bags) == ["bag"]
    assert yaml.safe_load(text(kind, 1000))["name"] == kind
    assert kind in SAID


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.5, "0.500 s"), (119, "119 s"), (600, "10.0 min"), (7.2e5, "8.33 d")]
)
def test_a_time_is_told_in_the_unit_that_suits_it(seconds, told):
    assert spoken(seconds) == told


def test_memory_is_told_for_the_coordinator_and_for_a_worker():
    one, ten = Run(1, 1, 1, 200.0, 100.0), Run(9, 9, 9, 210.0, 101.0)
    lines = of_memory(4096, one, ten).splitlines()
    assert lines[0] == "| peak MB of | 4,096 trials | 40,960 trials | times |"
    assert lines[2:] == [
        "| the coordinator | 200 | 210 | 1.05 |",
        "| a worker | 100 | 101 | 1.01 |",
    ]


def test_the_quick_benchmark_prints_the_tables_that_the_docs_show():
    command = [sys.executable, "-m", "benchmarks.scale", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    shown = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    lines = [line for line in done.stdout.splitlines() if line.startswith("|")]
    heads = [lines[place - 1] for place, line in enumerate(lines) if line.startswith("| ---")]
    assert len(heads) == 7
    for head in heads:
        assert head in shown
    assert "nan" not in done.stdout
    assert "Dask was not measured" in done.stdout
