"""The exact size of two colours is that of all whole sizes, for any bag and estimator."""

from __future__ import annotations

from math import isfinite, log, nan

import numpy as np
import pytest
from runs import built
from scipy import stats
from test_convergence import Memory

import sim
from sim.analysis import whole_sizes
from sim.analysis.analyze import analyze
from sim.analysis.exact_values import Laws, exact_values
from sim.analysis.series import Key, Line
from sim.analysis.whole_sizes import exact_size
from sim.contracts.arrays import Reference
from sim.contracts.estimator import ESTIMATORS
from sim.divergences import divergence
from sim.exact.always import proved_from
from sim.exact.task import Task

BALLS = {"red": 4, "blue": 6}
BACK = {"kind": "with_replacement", "balls": BALLS}
MANY = {"red": 20, "blue": 30}
BAGS = {
    "back": BACK,
    "rule": {
        "kind": "number_rule",
        "low": 1,
        "high": 10,
        "colours": {"red": [1, 1], "blue": [2, 10]},
    },
    "misread": {
        "kind": "mislabelled",
        "balls": BALLS,
        "confusion": {"red": {"red": 0.9, "blue": 0.1}, "blue": {"red": 0.1, "blue": 0.9}},
    },
    "out": {"kind": "without_replacement", "balls": MANY},
    "shared": {
        "kind": "shared",
        "balls": MANY,
        "drawers": {"ann": {"hold": 1}, "bob": {"every": 2, "hold": 1, "most": 2}},
        "observed": "ann",
    },
    "sticky": {"kind": "sticky", "balls": BALLS, "stay": 0.2},
    "polya": {"kind": "polya", "balls": MANY, "added": 1},
    "mixed": {
        "kind": "mixed",
        "compositions": [{"weight": 1, "balls": BALLS}, {"weight": 3, "balls": MANY}],
    },
    "drifting": {"kind": "drifting", "balls": BALLS, "later": MANY, "span": 20},
    "scheduled": {"kind": "scheduled", "balls": BALLS, "changes": [{"at": 5, "add": {"red": 2}}]},
}
MODELS = {
    "itself": {"kind": "itself"},
    "fair": {"kind": "uniform"},
    "other": {"kind": "fixed", "balls": {"red": 1, "blue": 3}},
}
ADDED = [{"kind": "add_constant", "amount": amount} for amount in ("laplace", "minimax", 3)]
ESTIMATE = {
    "counting": {"kind": "plug_in"},
    **{f"added {each['amount']}": {"kind": "plug_in", "learner": each} for each in ADDED},
    "miller_madow": {"kind": "miller_madow"},
    "observed": {"kind": "miller_madow", "colours": "observed"},
    "jackknife": {"kind": "jackknife"},
    "chao_shen": {"kind": "chao_shen"},
    "james_stein": {"kind": "plug_in", "learner": {"kind": "james_stein"}},
    "grassberger": {"kind": "grassberger"},
    "dirichlet_mean": {"kind": "dirichlet_mean"},
}
COUNTING = {"counting": ESTIMATE["counting"]}
SIZES = [3, 12, 40]
FAR = 160


def experiment(bag, **changes):
    plain = {"name": "whole", "seed": 5, "trials": 50, "sizes": SIZES}
    parts = {
        "bags": {"bag": bag},
        "models": MODELS,
        "targets": ["kl", "reverse_kl", "js_distance"],
        "estimators": ESTIMATE,
        "learners": {"laplace": ADDED[0]},
        "tolerance": {"error": 0.12, "confidence": 0.85},
    }
    return built(plain, **{**parts, **changes})


def asked_at(known, cell, n):
    """Return the law of n draws, Q, and the truth in nats."""
    bag = known.bags["bag"]
    p = bag.truth(n)
    if cell.model is None:
        return bag.count_law(n), p, 0.0
    q = known.models[cell.model].truth(bag, n)
    return bag.count_law(n), q, float(cell.target(p, q))


def share_near(known, cell, n) -> float:
    """Return P(|estimate − truth| ≤ error), outcome by outcome."""
    law, q, truth = asked_at(known, cell, n)
    red = np.arange(n + 1)
    chances = law.pmf(np.zeros_like(red), red)
    counts = np.column_stack([red, n - red])[chances > 0]
    with np.errstate(all="ignore"):
        values = cell.estimator.estimate(counts, Reference.known(q), cell.target)
    most = known.tolerance.error * cell.target.per_unit(known.unit)
    return float(chances[chances > 0][np.abs(values - truth) <= most + 1e-12].sum())


def told(known, cell) -> int | None:
    laws, line = Laws(known), Line("bag", cell.model, cell.target.name, cell.label)
    rows = []
    for size in known.sizes:
        truth = asked_at(known, cell, size)[2]
        whole = exact_values(known, cell, Key(line, size), laws).whole
        unit = cell.target.per_unit(known.unit)
        most = known.tolerance.error * unit
        exact = nan if whole is None else whole.within(truth, most)
        rows.append({"bag": "bag", "size": size, "truth": truth / unit, "exact_p_within": exact})
    return exact_size(known, cell, rows, laws)


def always_from(known, cell, last) -> int | None:
    """Return the size after the last that misses the confidence; None where that is the last."""
    confidence = known.tolerance.confidence - 1e-12
    misses = (n for n in range(last, 0, -1) if share_near(known, cell, n) < confidence)
    size = next(misses, 0) + 1
    return size if size <= last else None


@pytest.mark.parametrize("name", BAGS)
def test_it_is_that_of_every_size_one_by_one(name):
    known = experiment(BAGS[name])
    limit, found = known.bags["bag"].limit, {}
    for cell in known.cells("bag"):
        if not isfinite(asked_at(known, cell, 3)[2]):
            continue
        size = told(known, cell)
        last = limit or SIZES[-1]
        if size is not None and size > last:  # it is proved
            last = max(FAR, 2 * size)
        assert size == always_from(known, cell, last), (cell.model, cell.target.name, cell.label)
        found[cell.model, cell.target.name, cell.label] = size
    assert sum(size is not None for size in found.values()) > 10


def test_laws_are_those_of_another_library():
    for name, law in [
        ("back", lambda n: stats.binom(n, 0.4)),
        ("misread", lambda n: stats.binom(n, 0.4 * 0.9 + 0.6 * 0.1)),
        ("out", lambda n: stats.hypergeom(50, 20, n)),
        ("polya", lambda n: stats.betabinom(n, 20, 30)),
    ]:
        bag, red = experiment(BAGS[name]).bags["bag"], np.arange(41)
        own = bag.count_law(40).pmf(np.zeros_like(red), red)
        assert own == pytest.approx(law(40).pmf(red), abs=1e-12), name


@pytest.mark.parametrize("unit", ["nats", "bits"])
@pytest.mark.parametrize("error", [0.2, 0.03, 0.004])
@pytest.mark.parametrize("model", ["itself", "other"])
def test_it_is_what_klsim_size_says(unit, error, model):
    tolerance = {"error": error, "confidence": 0.9}
    known = experiment(BACK, unit=unit, tolerance=tolerance, targets=["kl"])
    q = {"itself": None, "other": MODELS["other"]["balls"]}[model]
    for cell in known.cells("bag"):
        keys = cell.estimator.model_dump(exclude_none=True)
        if cell.model == model and keys["kind"] in ("plug_in", "miller_madow"):
            other = sim.size_for_error(
                BALLS, error, 0.9, q, estimator=keys.pop("kind"), unit=unit, **keys
            )
            if other.proved:
                assert told(known, cell) == other.size, cell.label


@pytest.mark.parametrize("label", ["added minimax", "added 3", "miller_madow", "observed"])
@pytest.mark.parametrize("p", [0.4, 0.02, 0.9])
@pytest.mark.parametrize("q", [0.4, 0.5, 0.05])
def test_a_proof_holds_at_sizes_near_and_far(label, p, q):
    estimator, target = ESTIMATORS.build(ESTIMATE[label]), divergence("kl")
    mixes = (np.array([share, 1 - share]) for share in (p, q))
    task = Task(*mixes, estimator, target, 0.05, 0.95)
    last = proved_from(task)
    for n in [int(last), *np.random.default_rng(3).integers(last, 4 * last, 8).tolist()]:
        reach = 12 * (n * p * (1 - p)) ** 0.5 + 30
        red = np.arange(max(0, int(n * p - reach)), min(n, int(n * p + reach)) + 1)
        near = task.near(np.column_stack([red, n - red]))
        chance = stats.binom(n, p).pmf(red)[near].sum()
        assert chance >= 0.95 - 1e-12, n


def test_what_would_take_too_long_is_left_to_trials(monkeypatch):
    known = experiment(BAGS["sticky"])
    cells = [cell for cell in known.cells("bag") if told(known, cell) is not None]
    assert cells
    monkeypatch.setattr(whole_sizes, "MOST_LISTED", 1000)
    assert [told(known, cell) for cell in cells] == [None] * len(cells)


def test_a_slow_estimator_is_asked_for_few_outcomes():
    known = experiment(BACK, estimators={"nsb": {"kind": "nsb"}}, targets=["kl"])
    slow = [cell for cell in known.cells("bag") if cell.estimator.slow]
    assert slow
    assert [told(known, cell) for cell in slow] == [None] * len(slow)


def test_where_nothing_is_exact_nothing_is_told():
    three = {"kind": "with_replacement", "balls": {"red": 1, "blue": 1, "green": 1}}
    second = {"two": {"kind": "drawn", "bag": BACK}}
    late = {**BACK, "kind": "delayed_returns", "hold": 3}
    for known in (
        experiment(three, models={"itself": MODELS["itself"]}, targets=["kl"]),
        experiment(BACK, models=second, estimators=COUNTING, targets=["kl"], learners={}),
        experiment(late, targets=["kl"]),
    ):
        rows = [{"bag": "bag", "size": n, "truth": 0.0, "exact_p_within": nan} for n in known.sizes]
        found = [exact_size(known, cell, rows, Laws(known)) for cell in known.cells("bag")]
        assert found == [None] * len(found)


def test_a_run_has_it_in_its_table_in_its_unit():
    known = experiment(
        BACK, unit="bits", tolerance={"error": 0.01 / log(2), "confidence": 0.95}, targets=["kl"]
    )
    found = analyze(known, Memory.of(known)).convergence.to_pylist()
    sizes = {(one["model"], one["estimator"]): one["size_for_error"] for one in found}
    assert sizes["itself", "counting"] == sim.size_for_error([4, 6], 0.01).size == 201
    learned = {"kind": "plug_in", "learner": ADDED[0]}
    other = sim.size_for_error([4, 6], 0.01, target="reverse_kl", estimator="plug_in",
                               learner=learned["learner"])  # fmt: skip
    assert sizes[None, "laplace"] == other.size
