"""Control variates: numbers of the counts whose means are known, beside every estimate."""

from __future__ import annotations

from math import log
from typing import Any

import mpmath
import numpy as np
import pytest
from members import Ticking, cases, urn
from runs import COINS, SMALL, built, cell_rows
from scipy.special import rel_entr

from sim.cells import Cells
from sim.contracts.bag import BAGS, Bag
from sim.contracts.model import MODELS
from sim.controls import Controls
from sim.experiment import Experiment
from sim.store.coverage import header
from sim.store.directory import Directory
from sim.store.parts import encode
from sim.trials import block_rows

BALLS = {"red": 10, "blue": 15}
FAIR = MODELS.build({"kind": "uniform"})
ITSELF = MODELS.build({"kind": "itself"})
URN = {"kind": "with_replacement", "balls": BALLS}

every_bag = pytest.mark.parametrize("case", cases(BAGS))


def bag(kind: str, **keys: Any) -> Bag:
    return BAGS.build({"kind": kind, "balls": BALLS, **keys})


def controls(known: Bag, size: int, counts: Any, unit: str = "nats", **models: Any) -> dict:
    """Return the controls of some counts by model and label."""
    found = Controls(known, models or {"fair": FAIR}, unit).outcomes(
        Cells(np.asarray(counts), size)
    )
    return {(one.model, one.estimator): one for one in found}


def experiment(**parts: Any) -> Experiment:
    return built({**COINS, **SMALL}, **parts)


def control_rows(whole: Experiment, label: str = "back") -> Any:
    frame = block_rows(whole, label, 0).to_pandas()
    return frame[frame["target"] == "control"]


# exact values


def test_controls_are_their_formulas():
    found = controls(urn(a=2, b=3, c=5), 10, [[1, 3, 6], [0, 0, 10], [2, 3, 5]])
    share = np.array([[0.1, 0.3, 0.6], [0, 0, 1], [0.2, 0.3, 0.5]])
    p, q = np.array([0.2, 0.3, 0.5]), np.full(3, 1 / 3)
    linear = ((share - p) * np.log(p / q)).sum(axis=1)
    square, own = ((share - p) ** 2 / p).sum(axis=1), rel_entr(share, p).sum(axis=1)
    assert found["fair", "linear"].estimates == pytest.approx(linear, abs=1e-15)
    assert found[None, "quadratic"].estimates == pytest.approx(square, abs=1e-15)
    assert found[None, "plug_in"].estimates == pytest.approx(own, abs=1e-15)


@pytest.mark.parametrize("n", [10, 25, 100])
def test_their_means_are_those_of_theory(n):
    found = controls(bag("with_replacement"), n, [[n, 0]])
    # E KL(p̂‖p) with 30 digits, as in tests/test_analyze.py
    own = {10: 0.0533791354743730, 25: 0.0204525426887984, 100: 0.00502680776307128}
    assert found["fair", "linear"].truth == 0
    assert found[None, "quadratic"].truth == pytest.approx(1 / n, rel=1e-15)
    assert found[None, "plug_in"].truth == pytest.approx(own[n], rel=1e-12)


def square(known: Bag, n: int) -> float:
    counts = np.zeros((1, len(known.colours)), dtype=np.int64)
    counts[0, 0] = n
    return controls(known, n, counts)[None, "quadratic"].truth


@pytest.mark.parametrize("n", [1, 2, 10, 25])
def test_the_mean_square_is_that_of_each_bags_theory(n):
    assert square(bag("without_replacement"), n) == pytest.approx((25 - n) / 24 / n, abs=1e-16)
    assert square(bag("polya", added=5), n) == pytest.approx((5 + n) / 6 / n, rel=1e-14)
    assert square(bag("mixed", concentration=5), n) == pytest.approx((5 + n) / 6 / n, rel=1e-14)
    runs = sum((1 - h / n) * 0.9**h for h in range(1, n))
    assert square(bag("sticky", stay=0.9), n) == pytest.approx((1 + 2 * runs) / n, rel=1e-13)


@pytest.mark.parametrize("n", [1, 2, 1000, 10**6, 10**9, 10**12])
@pytest.mark.parametrize("stay", [0.0, 1e-9, 0.5, 0.999, 1 - 1e-6, 1 - 1e-9, 1 - 2**-40])
def test_the_variance_of_long_runs_keeps_its_digits(n, stay):
    with mpmath.workdps(60):
        s, f = mpmath.mpf(stay), 1 - mpmath.mpf(stay)
        runs = s / f * (1 - (1 - s**n) / (n * f))
        expected = float(n * mpmath.mpf("0.24") * (1 + 2 * runs))
    found = bag("sticky", stay=stay).count_variance(n)
    assert found == pytest.approx([expected] * 2, rel=1e-12)


def test_a_list_of_compositions_has_the_variance_within_and_between_them():
    one, other = (
        {"weight": w, "balls": b} for w, b in ((1, {"a": 1, "b": 3}), (3, {"a": 1, "b": 1}))
    )
    known = BAGS.build({"kind": "mixed", "compositions": (one, other)})
    within = 10 * (0.25 * 0.1875 + 0.75 * 0.25)
    between = 100 * 0.25 * 0.75 * 0.25**2
    assert known.count_variance(10) == pytest.approx([within + between] * 2, rel=1e-14)


def test_a_counted_kl_is_the_true_one_and_its_controls():
    known, q = urn(a=1, b=2, c=4, d=8), np.full(4, 0.25)
    for n in (1, 7, 300, 10**6):
        counts = np.random.default_rng(n).multinomial(n, known.truth(n), 500)
        found = controls(known, n, counts)
        parts = found["fair", "linear"].estimates + found[None, "plug_in"].estimates
        estimate = rel_entr(counts / n, q).sum(axis=1)
        truth = rel_entr(known.truth(n), q).sum()
        assert estimate == pytest.approx(truth + parts, abs=2e-15)


# what there is


def test_every_bag_that_knows_its_variance_and_its_law_has_all_three():
    missing = {}
    for param in cases(BAGS):
        known = param.values[0].build()
        n = min(3, known.limit or 3)
        counts = next(known.tally((n,), 2, np.random.default_rng(1)))
        found = {label for _, label in controls(known, n, counts)}
        assert ("quadratic" in found) == (known.count_variance(n) is not None)
        assert ("plug_in" in found) == (known.count_law(n) is not None)
        if len(found) < 2:
            missing[param.values[0].kind] = found
    assert missing == {"delayed_returns": {"linear"}}


def test_a_bag_that_knows_nothing_of_its_counts_has_the_linear_one_alone():
    counts = next(Ticking().tally((5,), 4, np.random.default_rng(1)))
    skew = MODELS.build({"kind": "fixed", "balls": {"red": 1, "green": 2, "blue": 3}})
    assert set(controls(Ticking(), 5, counts, skew=skew)) == {("skew", "linear")}
    assert controls(Ticking(), 5, counts, itself=ITSELF) == {}


def test_there_is_no_linear_one_where_q_is_p_or_holds_a_colour_impossible():
    never = MODELS.build({"kind": "fixed", "balls": {"red": 0, "blue": 1}})
    mimic = MODELS.build({"kind": "fixed", "balls": {"red": 4, "blue": 6}})
    models = {"itself": ITSELF, "mimic": mimic, "never": never, "fair": FAIR}
    found = controls(bag("with_replacement"), 4, [[1, 3]], **models)
    assert set(found) == {("fair", "linear"), (None, "quadratic"), (None, "plug_in")}


def test_a_colour_that_the_bag_has_none_of_takes_no_part():
    wide, narrow = (urn(**balls) for balls in ({"a": 0, "b": 2, "c": 3}, {"b": 2, "c": 3}))
    q = MODELS.build({"kind": "fixed", "balls": {"a": 1, "b": 1, "c": 1}})
    fair = MODELS.build({"kind": "fixed", "balls": {"b": 1, "c": 1}})
    one = controls(wide, 5, [[0, 1, 4], [0, 5, 0]], q=q)
    other = controls(narrow, 5, [[1, 4], [5, 0]], q=fair)
    for key, found in one.items():
        assert found.estimates == pytest.approx(other[key].estimates, abs=1e-15)
        assert found.truth == pytest.approx(other[key].truth, rel=1e-14)


def test_wrongly_read_colours_are_held_against_what_is_expected():
    known = BAGS.build({"kind": "mislabelled", "balls": BALLS, "confusion": {"red": {"blue": 1}}})
    found = controls(known, 4, [[0, 4]], itself=ITSELF)
    assert found.keys() == {(None, "quadratic"), (None, "plug_in")}, "only blue is ever read"
    known = BAGS.build(
        {"kind": "mislabelled", "balls": BALLS, "confusion": {"red": {"red": 0.5, "blue": 0.5}}}
    )
    found = controls(known, 4, [[1, 3]], itself=ITSELF)
    e, p = np.array([0.2, 0.8]), np.array([0.4, 0.6])
    linear = float(np.sum((np.array([0.25, 0.75]) - e) * np.log(e / p)))
    assert found["itself", "linear"].estimates == pytest.approx([linear], abs=1e-16)
    assert found[None, "quadratic"].truth == pytest.approx(1 / 4, rel=1e-14)


def test_a_control_that_a_size_cannot_have_is_left_out_there_alone():
    change = {"at": 3, "replace": {"red": 1, "blue": 1}}
    known = bag("scheduled", changes=(change,))
    mimic = MODELS.build({"kind": "fixed", "balls": {"red": 4, "blue": 6}})
    assert ("mimic", "linear") not in controls(known, 2, [[1, 1]], mimic=mimic)
    assert ("mimic", "linear") in controls(known, 3, [[1, 2]], mimic=mimic)


def test_a_unit_is_that_of_the_experiment_but_the_square_has_none():
    nats, bits = (controls(bag("sticky", stay=0.3), 9, [[4, 5]], unit) for unit in ("nats", "bits"))
    for key in nats:
        worth = 1 if key[1] == "quadratic" else log(2)
        assert bits[key].estimates * worth == pytest.approx(nats[key].estimates, rel=1e-14)
        assert bits[key].truth * worth == pytest.approx(nats[key].truth, rel=1e-14)


# their rows


def test_controls_are_rows_beside_the_estimates_of_the_same_trials():
    whole = experiment()
    rows = control_rows(whole)
    assert set(rows["status"]) == {"ok"}
    assert rows["reason"].isna().all()
    expected = {("fair", "linear"), (None, "quadratic"), (None, "plug_in")}
    for size in (5, 20):
        own = rows[rows["size"] == size]
        models = own["model"].astype(object).where(own["model"].notna(), None)
        assert set(zip(models, own["estimator"], strict=True)) == expected
        for _, one in own.groupby("estimator", observed=True):
            assert one["trial"].tolist() == list(range(40))
            assert one["truth"].nunique() == 1
    kl = (
        cell_rows(whole, "back", 0).to_pandas().query("model == 'fair' and estimator == 'counting'")
    )
    parts = rows[rows["estimator"].isin(["linear", "plug_in"])]
    total = parts.groupby(["size", "trial"])["estimate"].sum().to_numpy()
    assert (kl["estimate"] - kl["truth"]).to_numpy() == pytest.approx(total, abs=1e-15)


def test_a_model_has_its_linear_control_beside_the_bags_that_it_meets_only():
    models = {"fair": {"kind": "uniform", "bags": ["out"]}, "itself": {"kind": "itself"}}
    bags = {"back": COINS["bags"]["back"], "out": COINS["bags"]["out"]}
    whole = experiment(models=models, bags=bags)
    assert set(control_rows(whole, "back")["estimator"]) == {"quadratic", "plug_in"}
    assert set(control_rows(whole, "out")["estimator"]) == {"linear", "quadratic", "plug_in"}


def test_a_drawn_model_has_a_control_of_the_draws_of_p_against_its_truth():
    drawn = {"kind": "drawn", "bag": {"kind": "with_replacement", "balls": {"red": 1, "blue": 1}}}
    whole = experiment(models={"fair": {"kind": "uniform"}, "drawn": {**drawn, "draws": 7}})
    rows = control_rows(whole).query("estimator == 'linear'")
    fair, counted = (rows[rows["model"] == model] for model in ("fair", "drawn"))
    assert counted["estimate"].tolist() == fair["estimate"].tolist()
    assert set(counted["model_size"]) == {7}
    assert fair["model_size"].isna().all()


def test_a_label_of_an_estimator_may_be_that_of_a_control():
    whole = experiment(estimators={"plug_in": {"kind": "plug_in"}})
    frame = block_rows(whole, "back", 0).to_pandas().query("estimator == 'plug_in'")
    assert set(frame["target"]) == {"kl", "control"}


def test_a_part_without_controls_is_not_taken_for_one_with_them(tmp_path):
    whole, directory = experiment(), Directory(tmp_path / "coins")
    with directory.locked():
        for own in (False, True):
            head = header(whole, "back", 0)
            rows = block_rows(whole, "back", 0)
            if not own:
                del head["covers"]["controls"]
                rows = cell_rows(whole, "back", 0)
            directory.staged("back", 0).write_bytes(encode(rows, head))
            directory.adopt("back", 0)
            assert directory.has(header(whole, "back", 0)) == own


@pytest.mark.parametrize("colours", [2, 5, 16, 17, 100])
@pytest.mark.parametrize("n", [3, 1000, 10**6])
def test_a_trial_has_the_same_controls_to_the_bit_whatever_stands_beside_it(colours, n):
    known = BAGS.build({"kind": "with_replacement", "balls": {"zipf": {"colours": colours}}})
    counts = np.random.default_rng(3).multinomial(n, known.truth(n), 5000)
    whole = controls(known, n, counts)
    for rows in (slice(0, 1), slice(0, 999), slice(4321, 5000)):
        for key, part in controls(known, n, counts[rows]).items():
            assert np.array_equal(part.estimates, whole[key].estimates[rows]), key


@every_bag
def test_more_trials_bags_and_sizes_leave_the_controls_as_they_are(case):
    small = min(4, case.build().limit or 4)
    plain = {**COINS, "estimators": {"counting": {"kind": "plug_in"}}, "learners": {}}
    own = {key: value for key, value in case.data.items() if key != "sizes"}
    parts = {"models": {"fair": {"kind": "uniform"}}, "bags": {"back": own}}
    one = control_rows(built(plain, trials=20, sizes=[small], **parts))
    more = {
        "bags": {"front": URN, "back": own},
        "models": {"a": {"kind": "itself"}, **parts["models"]},
    }
    sizes = [small, small + 1] if (case.build().limit or 99) > small else [small]
    other = control_rows(built(plain, trials=33, sizes=sizes, **more))
    fair = other["model"].isna() | (other["model"] == "fair")
    other = other[fair & (other["size"] == small) & (other["trial"] < 20)]
    for name in ("estimator", "size", "trial", "estimate", "truth"):
        assert other[name].tolist() == one[name].tolist(), name
