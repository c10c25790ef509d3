"""The benchmarks: they run, and klsim and its peers do the same work."""

from __future__ import annotations

import re
import subprocess
import sys
from math import ceil, floor, sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sim
from benchmarks import coverage, kernels, peak, side_klsim, side_loop, side_numpy, timing
from benchmarks.cases import DECADES, FULL, LEVELS, QUICK, Case
from benchmarks.floor import Prices, needs
from benchmarks.floor import floor as cost_floor
from benchmarks.whole_runs import Run
from sim.config import reading
from sim.contracts.estimator import ESTIMATORS
from sim.contracts.interval import INTERVALS
from sim.divergences import KL
from sim.exact import Stated

ROOT = Path(__file__).parent.parent
SIDES = [side_klsim, side_numpy, side_loop]
SMALL = Case(2, trials=2000, loop_trials=0, sizes=(10, 100))
EXACT = (0.0533791354743730, 0.00502680776307128)
every_side = pytest.mark.parametrize("side", SIDES, ids=lambda side: side.__name__)
every_case = pytest.mark.parametrize(
    "case", [*FULL.cases, *FULL.memory, *QUICK.cases], ids=lambda case: f"{case.colours}"
)


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120
    )


def experiment(case: Case) -> sim.Experiment:
    return reading.read(side_klsim.text(case), "benchmark")


def test_the_quick_benchmark_prints_a_row_for_each_measure_and_case():
    done = python("-m", "benchmarks", "--quick")
    assert done.returncode == 0, done.stderr
    lines = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if "|" in line]
    assert lines[0] == list(timing.HEADS)
    colours = [f"{case.colours}" for case in QUICK.cases]
    named = [(line[0].split(",")[0], line[1]) for line in lines[2:]]
    assert named == [
        *(("whole run", k) for k in colours),
        *(("memory", f"{case.colours}") for case in QUICK.memory),
    ]
    assert all(len(line) == len(timing.HEADS) for line in lines)


@every_side
def test_a_side_estimates_what_theory_expects_of_counting(side):
    estimates = side.kernel(SMALL)
    assert estimates.shape == (2, SMALL.trials)
    error = estimates.std(axis=1, ddof=1) / sqrt(SMALL.trials)
    assert np.all(np.abs(estimates.mean(axis=1) - EXACT) <= 4 * error)


@every_side
def test_a_whole_run_writes_every_trial_and_sums_up_what_it_wrote(side, tmp_path):
    case = SMALL.of(50)
    summary = np.array(side.whole_run(case, tmp_path))
    parts = [pd.read_parquet(path) for path in tmp_path.rglob("trials*/*.parquet")]
    rows = pd.concat(parts or [pd.read_parquet(tmp_path / "trials.parquet")])
    if "target" in rows:
        rows = rows[rows["target"] != "control"]
    assert len(rows) == len(rows[["size", "trial"]].drop_duplicates()) == 2 * case.trials
    assert summary.shape == (2, 3 + len(LEVELS))
    for line, size in zip(summary, case.sizes, strict=True):
        values = np.sort(rows["estimate"][rows["size"] == size])
        assert line[:3] == pytest.approx([size, values.mean(), values.std(ddof=1)], rel=1e-12)
        for quantile, level in zip(line[3:], LEVELS, strict=True):
            rank = level * (case.trials - 1)
            assert values[floor(rank)] <= quantile <= values[ceil(rank)]


@every_case
def test_the_peers_draw_from_the_bag_that_klsim_draws_from(case):
    bag = experiment(case).bags["bag"]
    assert len(bag.colours) == case.colours
    np.testing.assert_allclose(case.probabilities, bag.truth(1), rtol=1e-14)


@pytest.mark.parametrize("case", [*FULL.cases, *FULL.memory], ids=lambda case: f"{case.colours}")
def test_a_measured_run_has_no_trial_that_is_drawn_and_dropped(case):
    assert case.trials % experiment(case).block_trials("bag") == 0


def test_the_sizes_are_those_of_the_tutorial():
    assert sim.load(ROOT / "configs" / "red_blue.yaml").sizes == DECADES


@pytest.mark.parametrize(
    ("side", "foreign"),
    [("side_numpy", ("sim", "scipy.stats")), ("side_loop", ("sim",)), ("child", ("sim", "scipy"))],
)
def test_no_side_pays_for_the_imports_of_another(side, foreign):
    done = python("-c", f"import benchmarks.{side}, sys; print(*sys.modules)")
    assert done.returncode == 0, done.stderr
    assert not set(foreign) & set(done.stdout.split())


@pytest.mark.parametrize(
    ("colours", "sizes", "randoms", "look_ups"),
    [
        (2, (10, 100), 2, 4),  # a binomial number an increment
        (100, (10, 50), 10 + 40, 10 + 40),  # fewer draws than colours: one by one
        (100, (10, 1000), 10 + 99, 10 + 100),
        (1, (10, 100), 0, 2),  # nothing is left to chance
    ],
)
def test_the_floor_takes_the_cheaper_of_draws_and_colours(colours, sizes, randoms, look_ups):
    case = Case(colours, 0, 0, sizes=sizes)
    assert needs(case) == (randoms, look_ups)
    assert cost_floor(case, Prices(random=1.0, look_up=0.25)) == randoms + look_ups / 4


def test_a_ratio_is_the_median_of_the_rounds_with_its_range():
    assert timing.ratio([2.0, 6.0, 30.0], [1.0, 1.0, 2.0]) == "6.00 (2.00–15.0)"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.01234, "0.0123"), (1.0, "1.00"), (99.96, "100"), (123.4, "123"), (12345.0, "12,300")],
)
def test_a_number_is_shown_with_three_digits(value, text):
    assert timing.shown(value) == text


def test_rounds_take_every_measure_in_turn():
    order = []
    measures = {name: lambda name=name: order.append(name) or len(order) for name in "ab"}
    assert timing.rounds(2, measures) == {"a": [1, 3], "b": [2, 4]}
    assert order == ["a", "b", "a", "b"]


def test_only_the_work_of_a_shorter_run_is_scaled():
    assert Run(start=1.0, work=0.5, peak=0.0).scaled(10) == 6.0


def test_the_peak_memory_is_of_this_process_alone_and_sees_an_array_that_is_gone():
    lines = ("first = peak_mb()", "np.ones(16_000_000)", "print(first, peak_mb())")
    code = "; ".join(("import numpy as np", "from benchmarks.child import peak_mb", *lines))
    held = np.ones(16_000_000)
    first, second = map(float, python("-c", code).stdout.split())
    assert first < held.nbytes / 1e6 <= second < 2 * held.nbytes / 1e6


@pytest.mark.parametrize(("module", "rows"), [("clocks", 3), ("bags", 8)])
def test_the_quick_benchmark_of_bags_prints_a_ratio_for_each(module, rows):
    done = python("-m", f"benchmarks.{module}", "--quick")
    assert done.returncode == 0, done.stderr
    ratios = [line.split("|")[-2] for line in done.stdout.splitlines()[2:]]
    assert len(ratios) == rows
    assert all(float(ratio) > 0 for ratio in ratios)


def test_the_quick_benchmark_of_the_kernel_prints_a_row_with_every_column():
    done = python("-m", "benchmarks.kernels", "--quick")
    assert done.returncode == 0, done.stderr
    lines = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if "|" in line]
    assert lines[0] == list(kernels.HEAD)
    [row] = lines[2:]
    own, theirs, least, gap = (float(cell.replace(",", "")) for cell in row[3:7])
    assert row[:2] == ["2", "50"]
    assert gap == pytest.approx(own / least, rel=0.02)
    assert min(own, theirs, *map(float, row[7:])) > 0


def test_the_quick_benchmark_of_controls_says_what_they_are_worth():
    done = python("-m", "benchmarks.controls", "--quick")
    assert done.returncode == 0, done.stderr
    lines = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if "|" in line]
    reductions = [cell.split(" (") for line in lines if "(" in line[-1] for cell in line[2:]]
    assert len(reductions) == 5 * 4
    for own, source in reductions:
        # both have errors: of a variance of 400 trials some 7 %, more where tails are long
        assert 0.6 < float(own) / float(source.strip(")").replace(",", "")) < 1.7
    [_, bias, error, off, _] = next(line for line in lines if line[0] == "adjusted")
    assert float(error) < 1e-8 < abs(float(bias))
    assert float(off) <= 0.01
    times = [float(line[5].replace(",", "")) for line in lines[-2:]]
    assert times[0] >= 100
    assert times[1] >= 10_000


def test_the_quick_benchmark_of_estimators_says_what_they_cost_together():
    done = python("-m", "benchmarks.estimators", "--quick")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("× plug_in (from") == 2
    assert "nsb" in done.stdout


def test_the_table_of_coverage_in_the_docs_is_what_its_command_prints():
    text = (ROOT / "docs" / "intervals.md").read_text(encoding="utf-8")
    for kind in INTERVALS.kinds():
        [row] = [line for line in text.splitlines() if line.startswith(f"| `{kind}` | 0.")]
        shown = [part.strip() for part in row.strip("|").split("|")][1:]
        interval = INTERVALS.build(kind)
        stated = Stated(ESTIMATORS.build({"kind": "plug_in"}), interval, KL, coverage.LEVEL)
        cases = [(n, q) for q in (coverage.P, coverage.FAIR) for n in coverage.SIZES]
        if interval.random:
            share, error = coverage.simulated(stated, *cases[4], 300)
            known, known_error = map(float, shown[4].split(" ± "))
            assert abs(share - known) <= 4 * (error + known_error)
        else:
            assert shown == [coverage.cell(stated, n, q, 0) for n, q in cases]


def test_the_quick_benchmark_of_starting_says_what_whole_processes_take():
    done = python("-m", "benchmarks.start", "--quick")
    assert done.returncode == 0, done.stderr
    times = {
        name: float(text.replace(",", ""))
        for name, text in re.findall(r"^(.+): ([0-9.,]+) ms$", done.stdout, re.MULTILINE)
    }
    assert len(times) == 5
    assert times["a bare interpreter"] < times["numpy, pandas, pyarrow, simpy"]
    ratios = re.findall(
        r"^klsim .+ over .+: ([0-9.]+) \([0-9.]+–[0-9.]+\)$", done.stdout, re.MULTILINE
    )
    assert len(ratios) == 3
    assert all(float(ratio) > 1 for ratio in ratios)


def test_the_quick_benchmark_of_peak_memory_finds_little_more_than_libraries_and_counts():
    done = python("-m", "benchmarks.peak", "--quick")
    assert done.returncode == 0, done.stderr
    told = re.findall(r"^.+: ([0-9,]+) KB$", done.stdout, re.MULTILINE)
    libraries, run, counts = (int(text.replace(",", "")) for text in told)
    assert counts == peak.BLOCK * peak.COLOURS * 8 // 1024
    assert libraries + counts < run < libraries + 3 * counts


def test_the_counts_of_the_benchmark_of_peak_memory_are_those_of_a_block():
    experiment = reading.read(peak.text(10), "peak")
    assert experiment.block_trials("bag") == peak.BLOCK


def test_the_quick_benchmark_of_phases_says_where_all_of_a_run_goes():
    done = python("-m", "benchmarks.phases", "--quick")
    assert done.returncode == 0, done.stderr
    rows = dict(re.findall(r"^\| (.+) \| ([0-9.,]+) \|$", done.stdout, re.MULTILINE))
    taken = {name: float(text.replace(",", "")) for name, text in rows.items()}
    beside = {name for name in taken if name.startswith("beside")}
    whole = taken.pop("all, with the way out")
    assert len(taken) == 10
    assert len(beside) == 2
    assert min(taken.values()) > 0
    told = sum(ms for name, ms in taken.items() if name not in beside)
    assert 0.5 * whole < told < 1.5 * whole  # medians of each need not add up
