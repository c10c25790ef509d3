"""What mathematics knows of each bag: its limits and floors, and Monte Carlo beside exact means.

`python -m tests.test_exact_bags` prints the Monte Carlo means.
"""

from __future__ import annotations

from functools import cache
from math import inf, log
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.special import digamma, entr

import sim
from sim.config.documents import parse
from sim.config.problems import Source
from sim.config.reading import read
from sim.contracts.arrays import Reference
from sim.contracts.bag import BAGS, Bag, TimedBag
from sim.contracts.estimator import ESTIMATORS
from sim.divergences import KL
from sim.exact import Exact, exact
from sim.experiment import Experiment

TRIALS = 2000
FARTHEST = 4.0
PLUG_IN = ESTIMATORS.build({"kind": "plug_in"})
RED_BLUE = {"red": 10, "blue": 15}
WRONG = {"red": {"red": 0.9, "blue": 0.1}, "blue": {"red": 0.2, "blue": 0.8}}


def built(kind: str, **keys: Any) -> Any:
    return BAGS.build({"kind": kind, **keys})


def counted(bag: Bag, n: int, q: Any = None) -> Exact:
    """Return what is exactly known of the counted KL of n draws, against the truth or q."""
    reference = bag.truth(n) if q is None else np.asarray(q, dtype=float)
    return exact(bag.count_law(n), PLUG_IN, Reference.known(reference), KL)


def kl(p: Any, q: Any) -> float:
    return float(KL(np.asarray(p, dtype=float), np.asarray(q, dtype=float)))


def fitted(bag: Bag, q: Any = None, sizes: tuple[int, ...] = (25_000, 50_000, 100_000)) -> Any:
    """Return limit, a and b of the exact means as limit + a/n + b/n²."""
    means = [counted(bag, n, q).mean for n in sizes]
    return np.linalg.solve(np.vander(1 / np.array(sizes), increasing=True), means)


# Monte Carlo beside exact means

MORE: dict[str, dict[str, Any]] = {
    "polya, added 5": {"kind": "polya", "balls": RED_BLUE, "added": 5},
    "polya, four colours": {"kind": "polya", "balls": {"zipf": {"colours": 4}}, "added": 0.5},
    "mixed, added 5": {"kind": "mixed", "balls": RED_BLUE, "concentration": 5},
    "mixed, of a list": {
        "kind": "mixed",
        "compositions": ({"weight": 2, "balls": RED_BLUE}, {"balls": {"red": 3, "blue": 1}}),
    },
    "sticky, four colours": {"kind": "sticky", "balls": {"zipf": {"colours": 4}}, "stay": 0.8},
    "drifting, three colours, at a step": {
        "kind": "drifting",
        "balls": {"a": 6, "b": 3, "c": 1},
        "later": {"a": 1, "b": 3, "c": 6},
        "span": 12,
        "shape": "step",
    },
    "mislabelled, three colours": {
        "kind": "mislabelled",
        "balls": {"a": 6, "b": 3, "c": 1},
        "confusion": {"a": {"a": 0.8, "b": 0.1, "c": 0.1}},
    },
}


def bags_with_a_law() -> dict[str, dict[str, Any]]:
    """Return the example of every member whose law is known, and a few bags more."""
    examples = {k: parse(Source(k, BAGS.member(k).example())).data for k in BAGS.kinds()}
    known = {k: e for k, e in examples.items() if BAGS.build(e).count_law(1) is not None}
    return {label: {**plain, "sizes": sizes_of(plain)} for label, plain in (known | MORE).items()}


def sizes_of(plain: dict[str, Any]) -> tuple[int, ...]:
    bag = BAGS.build(plain)
    wanted = (5, 20) if isinstance(bag, TimedBag) else (5, 20, 200, 1000)
    return tuple(size for size in wanted if bag.limit is None or size <= bag.limit)


@cache
def measured() -> pd.DataFrame:
    """Return bag, n, mean, exact and z of one run of every bag whose exact law is known."""
    plain = {"name": "exact_bags", "seed": 20_240_601, "trials": TRIALS, "sizes": (5,)}
    experiment = Experiment.model_validate({**plain, "bags": bags_with_a_law()})
    with TemporaryDirectory() as folder:
        summary = sim.run(experiment, out=folder).summary
    shown = summary[["bag", "size", "mean", "exact_mean", "z"]]
    return shown.rename(columns={"size": "n", "exact_mean": "exact"})


def test_every_mean_stands_within_four_errors_of_its_exact_value():
    table = measured()
    assert len(table) == sum(len(bag["sizes"]) for bag in bags_with_a_law().values())
    assert table["exact"].notna().all()
    assert (table["z"].abs() <= FARTHEST).all(), table.to_string()


def test_the_exact_values_of_the_run_are_those_of_the_laws():
    for row in measured().itertuples():
        bag = BAGS.build(bags_with_a_law()[row.bag])
        assert row.exact == pytest.approx(counted(bag, row.n).mean, rel=1e-12)


def test_the_ways_of_drawing_are_told_apart():
    """The trials are enough to see that a bag has its own law: none passes for another."""
    means = measured().query("n == 20").set_index("bag")["mean"]
    plain = means["with_replacement"]
    assert means["number_rule"] == pytest.approx(plain, rel=0.12)
    assert means["without_replacement"] < 0.3 * plain
    for bag, least in {"polya": 1.4, "sticky": 2.5, "mislabelled": 1.3, "mixed": 1.4}.items():
        assert means[bag] > least * plain


# drawn more where it was drawn: Pólya's urn, and a bag that is another in each trial


def polya_limit(added):
    """Return lim E KL: that of a composition from Dirichlet(balls/added)."""
    balls = np.array([10.0, 15.0])
    p, shapes = balls / balls.sum(), balls / added
    return (p * (digamma(shapes + 1) - digamma(shapes.sum() + 1))).sum() + entr(p).sum()


@pytest.mark.parametrize(("added", "limit"), [(1, 0.0195781868), (5, 0.0896783337)])
def test_a_counted_kl_of_an_urn_comes_down_to_a_limit_above_zero(added, limit):
    assert polya_limit(added) == pytest.approx(limit, abs=5e-11)
    found, slope, _ = fitted(built("polya", balls=RED_BLUE, added=added))
    assert found == pytest.approx(limit, abs=1e-10)
    assert slope == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize("added", [1, 5, 0.1, 40])
@pytest.mark.parametrize("n", [1, 5, 20, 1000])
def test_a_mixed_bag_is_equal_in_law_to_an_urn(added, n):
    urn = built("polya", balls=RED_BLUE, added=added).count_law(n)
    mixed = built("mixed", balls=RED_BLUE, concentration=25 / added).count_law(n)
    assert mixed.rows == pytest.approx(urn.rows, abs=1e-12)
    assert mixed.which.tolist() == urn.which.tolist()
    assert mixed.shapes == pytest.approx(urn.shapes, rel=1e-12)


def test_a_list_of_compositions_comes_down_to_the_mean_distance_from_their_mean():
    bag = built(**MORE["mixed, of a list"])
    mean = bag.truth(1)
    assert mean == pytest.approx([2 / 3 * 0.4 + 0.25, 2 / 3 * 0.6 + 1 / 12])
    limit = 2 / 3 * kl([0.4, 0.6], mean) + 1 / 3 * kl([0.75, 0.25], mean)
    found, slope, _ = fitted(bag)
    assert found == pytest.approx(limit, abs=1e-10)
    assert slope == pytest.approx(0.5, rel=1e-4)


# repeats


@pytest.mark.parametrize("colours", [2, 3, 6])
@pytest.mark.parametrize("stay", [0.0, 0.5, 0.9])
def test_the_bias_of_sticky_draws_is_that_of_as_many_as_they_are_worth(colours, stay):
    bag = built("sticky", balls={"zipf": {"colours": colours}}, stay=stay)
    limit, slope, _ = fitted(bag, sizes=(4_000, 8_000, 16_000))
    assert limit == pytest.approx(0, abs=1e-8)
    assert slope == pytest.approx((colours - 1) / 2 * (1 + stay) / (1 - stay), rel=1e-4)


def test_draws_that_do_not_stick_are_worth_themselves():
    for n in (1, 7, 100):
        sticky = counted(built("sticky", balls=RED_BLUE, stay=0), n)
        plain = counted(built("with_replacement", balls=RED_BLUE), n)
        assert (sticky.mean, sticky.sd) == pytest.approx((plain.mean, plain.sd), rel=1e-11)


@pytest.mark.parametrize("n", [2, 6, 12, 50])
def test_a_colour_without_balls_takes_no_exact_value_away(n):
    plain = {"red": 3, "blue": 7, "green": 4}
    for kind, keys in {
        "sticky": {"stay": 0.37},
        "drifting": {"later": {"red": 7, "blue": 3, "green": 4, "none": 0}, "span": 9},
        "polya": {"added": 1},
        "mixed": {"concentration": 14},
    }.items():
        with_it = counted(built(kind, balls={**plain, "none": 0}, **keys), n)
        if kind == "drifting":
            keys = {**keys, "later": {"red": 7, "blue": 3, "green": 4}}
        without = counted(built(kind, balls=plain, **keys), n)
        assert with_it.mean == pytest.approx(without.mean, rel=1e-11), kind
        assert with_it.p_infinite == 0


# wrong readings


def test_a_mislabelled_bag_has_a_floor():
    bag = built("mislabelled", balls=RED_BLUE, confusion=WRONG)
    read_as = np.array([0.4 * 0.9 + 0.6 * 0.2, 0.4 * 0.1 + 0.6 * 0.8])
    assert bag.expected(9) == pytest.approx(read_as, rel=1e-15)
    assert bag.truth(9) == pytest.approx([0.4, 0.6], rel=1e-15)
    limit, slope, _ = fitted(bag)
    assert limit == pytest.approx(kl(read_as, [0.4, 0.6]), abs=1e-11)
    assert limit == pytest.approx(0.48 * log(1.2) + 0.52 * log(13 / 15), abs=1e-11)
    assert slope == pytest.approx(0.5, rel=1e-4)


def test_a_counted_kl_is_infinite_where_a_colour_is_read_that_is_not_there():
    wrong = {"red": {"red": 0.9, "green": 0.1}}
    bag = built("mislabelled", balls={"red": 10, "blue": 15, "green": 0}, confusion=wrong)
    assert kl(bag.expected(1), bag.truth(1)) == inf
    for n in (1, 10, 1000):
        found = counted(bag, n)
        assert found.p_infinite == pytest.approx(1 - (1 - 0.04) ** n, rel=1e-9)
    never = built("mislabelled", balls={"red": 10, "blue": 15, "green": 0}, confusion={})
    assert counted(never, 10).p_infinite == 0
    assert counted(never, 10).mean == pytest.approx(
        counted(built("with_replacement", balls=RED_BLUE), 10).mean, rel=1e-12
    )


@pytest.mark.parametrize(
    ("q", "sign"), [([0.4, 0.6], 1), ([0.2, 0.8], 1), ([0.5, 0.5], -1), ([0.9, 0.1], -1)], ids=str
)
def test_against_a_fixed_model_a_wrong_reading_leaves_an_offset_of_either_sign(q, sign):
    bag = built("mislabelled", balls=RED_BLUE, confusion=WRONG)
    offset = kl(bag.expected(1), q) - kl([0.4, 0.6], q)
    assert np.sign(offset) == sign
    limit, slope, _ = fitted(bag, q)
    assert limit - kl([0.4, 0.6], q) == pytest.approx(offset, abs=1e-10)
    assert slope == pytest.approx(0.5, rel=1e-4)


def test_a_run_shows_an_offset_below_zero_against_a_fixed_model(tmp_path):
    bag = {"kind": "mislabelled", "balls": RED_BLUE, "confusion": WRONG}
    fair = {"kind": "fixed", "balls": {"red": 1, "blue": 1}}
    plain = {"name": "offset", "seed": 5, "trials": 4000, "sizes": [10, 2000]}
    text = yaml.safe_dump({**plain, "bags": {"it": bag}, "models": {"fair": fair}})
    summary = sim.run(read(text), out=tmp_path).summary.set_index("size")
    offset = kl([0.48, 0.52], [0.5, 0.5]) - kl([0.4, 0.6], [0.5, 0.5])
    assert summary.loc[2000, "bias"] < 0
    assert summary.loc[2000, "exact_mean"] - summary.loc[2000, "truth"] == pytest.approx(
        offset + 1 / 4000, abs=1e-6
    )
    assert (summary["z"].abs() <= FARTHEST).all()


# equal in law to drawing with replacement, and to its opposite


@pytest.mark.parametrize(
    ("low", "high", "ranges", "balls"),
    [
        (1, 10, {"red": [1, 4], "blue": [5, 10]}, {"red": 4, "blue": 6}),
        (-2, 9, {"late": [4, 9], "early": [-2, 3]}, {"late": 6, "early": 6}),
        (0, 0, {"only": [0, 0]}, {"only": 1}),
        (1, 7, {"b": [3, 3], "a": [1, 2], "c": [4, 7]}, {"b": 1, "a": 2, "c": 4}),
    ],
    ids=["tutorial", "from below zero", "one number", "three"],
)
def test_a_number_rule_is_equal_in_law_to_drawing_with_replacement(low, high, ranges, balls):
    rule = built(
        "number_rule", low=low, high=high, colours={k: tuple(v) for k, v in ranges.items()}
    )
    urn = built("with_replacement", balls=balls)
    assert rule.colours == urn.colours
    assert rule.truth(3) == pytest.approx(urn.truth(3), rel=1e-15)
    colour, count = np.indices((len(balls), 13))
    laws = rule.count_law(12), urn.count_law(12)
    assert type(laws[0]) is type(laws[1])
    assert laws[0].pmf(colour, count) == pytest.approx(laws[1].pmf(colour, count), abs=1e-15)
    drawn = np.bincount(rule.draw(20_000, np.random.default_rng(3)), minlength=len(balls))
    sd = np.sqrt(20_000 * urn.truth(3) * (1 - urn.truth(3)))
    assert np.all(np.abs(drawn - 20_000 * urn.truth(3)) <= 4.5 * sd)


def test_a_bag_that_drifts_nowhere_is_drawn_from_with_replacement():
    for shape in ("linear", "step"):
        still = built("drifting", balls=RED_BLUE, later={"blue": 3, "red": 2}, span=5, shape=shape)
        assert counted(still, 40).mean == pytest.approx(
            counted(built("with_replacement", balls=RED_BLUE), 40).mean, rel=1e-12
        )


def test_a_drifting_truth_is_the_average_over_the_draws():
    ends = {"balls": {"red": 1, "blue": 0}, "later": {"red": 0, "blue": 1}}
    linear = built("drifting", **ends, span=4)
    assert linear.truth(1).tolist() == [1, 0]
    assert linear.truth(4) == pytest.approx([1 - (0 + 1 + 2 + 3) / 16, 6 / 16])
    assert linear.truth(6) == pytest.approx([(1 + 0.75 + 0.5 + 0.25) / 6, 3.5 / 6])
    step = built("drifting", **ends, span=4, shape="step")
    assert step.truth(4).tolist() == [1, 0]
    assert step.truth(6) == pytest.approx([4 / 6, 2 / 6])
    # nothing is left to chance: four of the one, then the other
    assert step.draw(6, np.random.default_rng(1)).tolist() == [0, 0, 0, 0, 1, 1]
    assert counted(step, 6).mean == pytest.approx(0, abs=1e-15)


def test_an_emptied_bag_is_counted_without_error():
    found = counted(built("without_replacement", balls=RED_BLUE), 25)
    assert (found.mean, found.sd) == pytest.approx((0, 0), abs=1e-15)


if __name__ == "__main__":
    print(measured().to_string(index=False, float_format="{:.6g}".format))
