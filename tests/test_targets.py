"""Every target: its truth and its estimates from direct formulas, its unit, who serves it."""

from __future__ import annotations

from math import fsum, inf, log, sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from members import outcomes, written
from runs import built, cell_rows

import sim
from sim.config import reading
from sim.config.problems import ConfigurationError
from sim.contracts.estimator import ESTIMATORS
from sim.contracts.model import MODELS
from sim.divergences import NAMES, TARGETS, divergence
from sim.experiment import Experiment

SIGMAS = 4.5
quick = settings(deadline=None, derandomize=True, max_examples=60)


# Direct formulas, in plain Python


def kl(p: list[float], q: list[float]) -> float:
    if any(a > 0 and b == 0 for a, b in zip(p, q, strict=True)):
        return inf
    return fsum(a * log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def js(p: list[float], q: list[float]) -> float:
    middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    return (kl(p, middle) + kl(q, middle)) / 2


def entropy(p: list[float], q: list[float]) -> float:
    return -fsum(a * log(a) for a in p if a > 0)


def chi_square(p: list[float], q: list[float]) -> float:
    pairs = [(a, b) for a, b in zip(p, q, strict=True) if a > 0 or b > 0]
    if any(b == 0 for _, b in pairs):
        return inf
    return fsum((a - b) ** 2 / b for a, b in pairs)


def renyi(order: float, p: list[float], q: list[float]) -> float:
    pairs = [(a, b) for a, b in zip(p, q, strict=True) if a > 0]
    if order > 1 and any(b == 0 for _, b in pairs):
        return inf
    total = fsum(a**order * b ** (1 - order) for a, b in pairs if b > 0)
    return log(total) / (order - 1) if total > 0 else inf


DIRECT: dict[str, Any] = {
    "kl": kl,
    "reverse_kl": lambda p, q: kl(q, p),
    "jeffreys": lambda p, q: kl(p, q) + kl(q, p),
    "js": js,
    "js_distance": lambda p, q: sqrt(max(js(p, q), 0)),
    "chi_square": chi_square,
    "hellinger_squared": lambda p, q: 1 - fsum(sqrt(a * b) for a, b in zip(p, q, strict=True)),
    "total_variation": lambda p, q: fsum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2,
    "cross_entropy": lambda p, q: kl(p, q) + entropy(p, q),
    "entropy": entropy,
    "renyi(2)": lambda p, q: renyi(2, p, q),
    "renyi(0.5)": lambda p, q: renyi(0.5, p, q),
    "renyi(0.01)": lambda p, q: renyi(0.01, p, q),
    "renyi(9.5)": lambda p, q: renyi(9.5, p, q),
}
PLAIN = {"chi_square", "hellinger_squared", "total_variation"}
"""What has no unit."""

every_target = pytest.mark.parametrize("name", DIRECT)

P, Q = {"red": 5, "blue": 4, "green": 1}, {"blue": 3, "red": 3, "green": 4}
BASE: dict[str, Any] = {
    "name": "aims",
    "seed": 11,
    "trials": 60,
    "sizes": [3, 40],
    "bags": {"urn": {"kind": "with_replacement", "balls": P}},
    "models": {
        "known": {"kind": "fixed", "balls": Q},
        "drawn": {"kind": "drawn", "bag": {"kind": "with_replacement", "balls": Q}, "draws": 50},
    },
    "targets": list(DIRECT),
    "estimators": {"counting": {"kind": "plug_in"}},
}


def whole(**changes: Any) -> Experiment:
    return built(BASE, **changes)


def rows(**changes: Any) -> Any:
    return cell_rows(whole(**changes), "urn", 0).to_pandas()


def wrong(**changes: Any) -> list[tuple[tuple[str | int, ...], str]]:
    """Return the place and the words of each fault of an experiment in a file."""
    with pytest.raises(ConfigurationError) as caught:
        reading.read(written({**BASE, "targets": ["kl"], **changes}))
    return [(problem.path, problem.message) for problem in caught.value.problems]


def test_every_target_of_the_design_has_a_formula_here():
    assert set(TARGETS) <= set(DIRECT)
    assert set(NAMES) <= set(DIRECT)


# truths and estimates


@every_target
def test_the_truth_of_a_target_is_its_formula_of_both_distributions(name):
    frame = rows(trials=1)
    p, q = [0.5, 0.4, 0.1], [0.3, 0.3, 0.4]
    found = frame[frame["target"] == name]["truth"]
    assert len(found) == 4
    assert found.to_numpy() == pytest.approx([DIRECT[name](p, q)] * 4, rel=1e-12)


@every_target
def test_an_estimate_of_a_target_is_its_formula_of_the_counts(name):
    experiment = whole()
    frame = cell_rows(experiment, "urn", 0).to_pandas()
    bag, second = experiment.bags["urn"], experiment.models["drawn"]
    block = experiment.block_trials("urn")
    tally = bag.tally((3, 40), block, experiment.stream("urn", index=0))
    own = [counts[:60].copy() for counts in tally]
    stream = experiment.stream("urn", "drawn", "model", index=0)
    [of_q] = second.bag.tally((50,), block, stream)  # blue, red, green
    of_q = of_q[:60, [1, 0, 2]]
    for size, counts in zip((3, 40), own, strict=True):
        p = (counts / size).tolist()
        for model, q in (("known", [[0.3, 0.3, 0.4]] * 60), ("drawn", (of_q / 50).tolist())):
            here = frame[(frame["size"] == size) & (frame["model"] == model)]
            found = here[here["target"] == name]["estimate"].to_numpy()
            expected = [DIRECT[name](a, b) for a, b in zip(p, q, strict=True)]
            assert found == pytest.approx(expected, rel=1e-11, abs=1e-12)


@every_target
@quick
@given(pair=st.integers(2, 5).flatmap(lambda k: st.tuples(*[st.lists(
    st.integers(0, 20), min_size=k, max_size=k).filter(any)] * 2)))  # fmt: skip
def test_a_divergence_is_its_formula_wherever_colours_are_missing(name, pair):
    p, q = (np.array(balls) / sum(balls) for balls in pair)
    with np.errstate(all="ignore"):
        found = float(divergence(name)(p, q))
    assert found == pytest.approx(DIRECT[name](p.tolist(), q.tolist()), rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("name", sorted(set(DIRECT) - {"entropy", "cross_entropy"}))
def test_a_divergence_of_p_from_itself_is_nothing(name):
    for balls in ((1, 1), (1, 2, 7), (3, 0, 1)):
        p = np.array(balls) / sum(balls)
        assert float(divergence(name)(p, p)) == pytest.approx(0, abs=1e-12)


def test_entropy_does_not_ask_what_q_is():
    frame = rows()
    own = frame[frame["target"] == "entropy"]
    known, drawn = (
        own[own["model"] == model].reset_index(drop=True) for model in ("known", "drawn")
    )
    assert known["estimate"].equals(drawn["estimate"])
    assert known["truth"].equals(drawn["truth"])


def test_what_a_target_holds_impossible_is_infinite_for_it_alone():
    never = {"never": {"kind": "fixed", "balls": {"red": 1, "blue": 1, "green": 0}}}
    frame = rows(models=never, trials=1)
    truth = frame.groupby("target", observed=True)["truth"].first()
    lost = {name for name in truth.index if truth[name] == inf}
    assert lost == {"kl", "jeffreys", "chi_square", "cross_entropy", "renyi(2)", "renyi(9.5)"}
    p, q = [0.5, 0.4, 0.1], [0.5, 0.5, 0.0]
    for name in set(DIRECT) - lost:
        assert truth[name] == pytest.approx(DIRECT[name](p, q), rel=1e-12)


# units


@every_target
def test_bits_are_nats_by_ln_2_where_a_target_has_a_unit(name):
    nats, bits = rows(trials=9), rows(trials=9, unit="bits")
    worth = 1.0 if name in PLAIN else sqrt(log(2)) if name == "js_distance" else log(2)
    for column in ("truth", "estimate"):
        one, other = (frame[frame["target"] == name][column].to_numpy() for frame in (nats, bits))
        assert other == pytest.approx(one / worth, rel=1e-14)


@pytest.fixture(scope="module")
def in_nats(tmp_path_factory):
    return sim.run(whole(trials=4000), out=tmp_path_factory.mktemp("nats"))


def test_a_summary_in_bits_is_one_in_nats_in_other_units(in_nats, tmp_path):
    bits = sim.run(whole(trials=4000, unit="bits"), out=tmp_path).summary
    nats = in_nats.summary
    worth = np.array(
        [
            1.0 if t in PLAIN else sqrt(log(2)) if t == "js_distance" else log(2)
            for t in nats["target"]
        ]
    )
    for column in (
        "truth",
        "mean",
        "bias",
        "sd",
        "rmse",
        "mae",
        "median",
        "exact_mean",
        "exact_sd",
    ):
        one, other = nats[column].to_numpy(), bits[column].to_numpy()
        assert other == pytest.approx(one / worth, rel=1e-11, abs=1e-13, nan_ok=True), column
    for column in ("exact_p_infinite", "p_infinite", "infinite", "trials"):
        one, other = nats[column].to_numpy(), bits[column].to_numpy()
        assert other == pytest.approx(one, rel=1e-12, nan_ok=True)


# exact values beside the trials


def test_means_of_every_target_are_within_their_errors_of_the_exact_ones(in_nats):
    summary = in_nats.summary
    known = summary[summary["exact_mean"].notna()]
    assert known["z"].abs().max() <= SIGMAS
    chance = known["exact_p_infinite"].fillna(0)
    spread = np.sqrt(chance * (1 - chance) / 4000)
    assert ((known["p_infinite"] - chance).abs() <= SIGMAS * spread + 1e-12).all()


def test_exact_means_are_null_only_for_what_is_no_sum_or_comes_not_apart(in_nats):
    """Three colours: a finished sum is not additive; of jeffreys only P(infinite) is known."""
    summary = in_nats.summary
    null = summary[summary["exact_mean"].isna()]
    finished = {"js_distance", "renyi(2)", "renyi(0.5)", "renyi(0.01)", "renyi(9.5)"}
    assert set(null["target"]) == finished | {"jeffreys"}
    lone = null[null["target"] == "jeffreys"]
    assert set(lone["model"]) == {"drawn"}
    assert lone["exact_p_infinite"].notna().all()


def test_exact_means_beside_a_known_q_are_those_of_all_outcomes(in_nats):
    every = outcomes(3, 3)
    p = np.array([0.5, 0.4, 0.1])
    ways = {(3,): 1, (1, 2): 3, (1, 1, 1): 6}
    chances = [ways[tuple(sorted(c[c > 0].tolist()))] * np.prod(p**c) for c in every]
    summary = in_nats.summary.query("model == 'known' and size == 3").set_index("target")
    for name in set(DIRECT) & set(summary[summary["exact_mean"].notna()].index):
        values = np.array([DIRECT[name]((c / 3).tolist(), [0.3, 0.3, 0.4]) for c in every])
        finite = np.isfinite(values)
        kept = fsum(np.array(chances)[finite])
        mean = fsum(np.array(chances)[finite] * values[finite]) / kept
        assert summary["exact_mean"][name] == pytest.approx(mean, rel=1e-11, abs=1e-13)
        assert summary["exact_p_infinite"][name] == pytest.approx(1 - kept, abs=1e-13)


# who serves what


def kinds(target: str) -> list[str]:
    """Return the kinds of estimators that estimate a target, as they say themselves."""
    shelf = [(kind, ESTIMATORS.member(kind)) for kind in ESTIMATORS.kinds()]
    return [kind for kind, one in shelf if one.serves is None or target in one.serves]


@pytest.mark.parametrize("name", sorted(set(DIRECT) - {"kl", "entropy"}))
def test_a_target_that_nobody_serves_is_told_with_those_who_do(name):
    found = wrong(targets=["kl", name], estimators={"cs": {"kind": "chao_shen"}}, models={
        "known": BASE["models"]["known"]
    })  # fmt: skip
    able = ", ".join(kinds(name))
    assert "plug_in" in able
    fault = f"no estimator here serves {name}; those that do: {able}"
    assert found == [(("targets", 1), fault)]


def test_an_estimator_serves_only_its_targets():
    experiment = whole(
        targets=["kl", "js", "entropy", "cross_entropy"],
        models={"known": BASE["models"]["known"]},
        estimators={
            "counting": {"kind": "plug_in"},
            "cs": {"kind": "chao_shen"},
            "z": {"kind": "zhang_grabchak", "targets": ["kl"]},
            "mm": {"kind": "miller_madow"},
        },
    )
    met = {(cell.target.name, cell.label) for cell in experiment.cells("urn")}
    assert met == {
        *((target, "counting") for target in ("kl", "js", "entropy", "cross_entropy")),
        *((target, "mm") for target in ("kl", "entropy", "cross_entropy")),
        *((target, "cs") for target in ("kl", "entropy")),
        ("kl", "z"),
    }


@pytest.mark.parametrize("kind", ESTIMATORS.kinds())
def test_an_estimator_of_no_target_here_is_told_with_those_it_serves(kind):
    one = ESTIMATORS.build({"kind": kind})
    if one.serves is None:
        return
    models = [m for m in BASE["models"] if one.reads(counted=m == "drawn")]
    parts = {"models": {m: BASE["models"][m] for m in models}, "targets": ["js"]}
    found = wrong(**parts, estimators={"counting": {"kind": "plug_in"}, "it": {"kind": kind}})
    served = ", ".join(sorted(one.serves))
    fault = f"it serves none of this experiment's targets; it serves: {served}"
    assert found == [(("estimators", "it"), fault)]


@pytest.mark.parametrize(
    ("targets", "twice"),
    [
        (["kl", "kl"], "kl"),
        (["renyi(2)", "renyi(2.0)"], "renyi(2)"),
        (["renyi(0.5)", "renyi(0.500000)"], "renyi(0.5)"),
        (["renyi(2.0)", "renyi(2.00)"], "renyi(2)"),
    ],
    ids=str,
)
def test_a_target_that_is_listed_twice_is_told_however_it_is_written(targets, twice):
    assert wrong(targets=targets) == [(("targets", 1), f"{twice} is listed twice")]


def test_two_orders_of_renyi_are_two_targets():
    assert whole(targets=["renyi(2)", "renyi(2.000001)", "renyi(3)"]).targets == (
        "renyi(2)",
        "renyi(2.000001)",
        "renyi(3)",
    )


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("reverse", "reverse_kl"),
        ("hellinger", "hellinger_squared"),
        ("crossentropy", "cross_entropy"),
        ("renyi2", "renyi(2)"),
        ("chi-square", "chi_square"),
    ],
)
def test_an_unknown_target_comes_with_the_one_that_was_meant(name, near):
    [(place, message)] = wrong(targets=["kl", name])
    assert place == ("targets", 1)
    assert message == f"unknown target {name!r}; did you mean {near!r}?"


@pytest.mark.parametrize(
    "name",
    ["renyi(0)", "renyi(1)", "renyi(1.0)", "renyi(10)", "renyi(-1)", "renyi(a)", "renyi()",
     "renyi(0.0000001)", "renyi(２)", "kl_loss", "kl ", ""],
)  # fmt: skip
def test_what_is_no_target_is_refused(name):
    [(place, message)] = wrong(targets=["kl", name])
    assert place == ("targets", 1)
    assert message.startswith(f"unknown target {name!r}")


@pytest.mark.parametrize("order", ["0", "1", "10", "-1"])
def test_an_order_that_renyi_has_not_is_told_with_those_that_it_has(order):
    """Another order is no help: 2 is not what was meant by 1."""
    [(_, message)] = wrong(targets=[f"renyi({order})"])
    assert "above 0" in message
    assert "not 1" in message


# every estimator, every target it serves, every form of Q


@pytest.mark.parametrize("kind", ESTIMATORS.kinds())
def test_whatever_an_estimator_serves_it_estimates_from_what_it_reads(kind):
    one = ESTIMATORS.build({"kind": kind})
    models = {m: known for m, known in BASE["models"].items() if one.reads(m == "drawn")}
    targets = sorted(one.serves or DIRECT)
    parts = {"models": models, "targets": targets, "estimators": {"it": {"kind": kind}}}
    frame = rows(**parts, trials=5, sizes=[40])
    assert len(frame) == 5 * len(models) * len(targets)
    assert not frame["status"].eq("failed").any()
    assert frame["status"].eq("ok").any()


@pytest.mark.parametrize("kind", MODELS.kinds())
def test_every_kind_of_model_has_a_truth_for_every_target(kind):
    data = BASE["models"].get(kind, {"kind": kind})
    data = {**data, "balls": Q} if kind == "fixed" else data
    frame = rows(models={"it": data}, trials=2)
    assert set(frame["target"]) == set(DIRECT)
    assert np.isfinite(frame["truth"]).all()
