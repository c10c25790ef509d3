"""A model of which only draws are known, from the file to the tables: pairs, rows, runs."""

from __future__ import annotations

from math import log, sqrt
from typing import Any

import numpy as np
import pytest
from members import written
from runs import built, cell_rows, parts, tables, text
from scipy.special import rel_entr

import sim
from sim.config import reading
from sim.config.problems import ConfigurationError
from sim.experiment import Experiment

SIGMAS = 4.5
RED_BLUE = {"kind": "with_replacement", "balls": {"red": 10, "blue": 15}}
SECOND = {"kind": "with_replacement", "balls": {"blue": 6, "red": 4, "green": 0}}
THREE = {"kind": "with_replacement", "balls": {"red": 5, "blue": 4, "green": 1}}
BASE: dict[str, Any] = {
    "name": "pair",
    "seed": 3,
    "trials": 400,
    "sizes": [4, 30],
    "bags": {"urn": THREE},
    "models": {
        "itself": {"kind": "itself"},
        "second": {"kind": "drawn", "bag": {**SECOND, "balls": {"green": 1, "blue": 5, "red": 4}}},
    },
    "estimators": {
        "counting": {"kind": "plug_in"},
        "corrected": {"kind": "miller_madow"},
        "z": {"kind": "zhang_grabchak"},
        "known_only": {"kind": "grassberger"},
        "counts_only": {"kind": "bu_plug_in"},
    },
}

SECOND_ONLY = {"second": BASE["models"]["second"]}
ITSELF_ONLY = {"itself": {"kind": "itself"}}


def model(draws: Any = "same", **balls: float) -> dict[str, Any]:
    """Return a model drawn from these balls, from the first bag's by default."""
    own = balls or THREE["balls"]
    return {"kind": "drawn", "bag": {"kind": "with_replacement", "balls": own}, "draws": draws}


def whole(**changes: Any) -> Experiment:
    return built(BASE, **changes)


def rows(experiment: Experiment, index: int = 0) -> Any:
    return cell_rows(experiment, "urn", index).to_pandas()


def by_hand(experiment: Experiment, name: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the counts of both samples in the first block, drawn from their own streams."""
    bag, other = experiment.bags["urn"], experiment.models[name]
    sizes, block = experiment.sizes_of("urn"), experiment.block_trials("urn")
    numbers = [other.drawn(size) for size in sizes]
    own = [c.copy() for c in bag.tally(sizes, block, experiment.stream("urn", index=0))]
    stream = experiment.stream("urn", name, "model", index=0)
    order = [other.bag.colours.index(colour) for colour in bag.colours]
    each = sorted(set(numbers))
    drawn = dict(
        zip(each, [d[:, order] for d in other.bag.tally(each, block, stream)], strict=True)
    )
    kept = slice(experiment.trials)
    return [(c[kept], drawn[m][kept]) for c, m in zip(own, numbers, strict=True)]


def wrong(**changes: Any) -> list[tuple[tuple[str | int, ...], str]]:
    """Return the place and the words of each fault of an experiment in a file."""
    with pytest.raises(ConfigurationError) as caught:
        reading.read(written({**BASE, **changes}))
    return [(problem.path, problem.message) for problem in caught.value.problems]


# what meets what


def test_an_estimator_meets_the_models_that_show_of_q_what_it_reads():
    met = {(cell.model, cell.label) for cell in whole().cells("urn")}
    both = {(m, e) for m in ("itself", "second") for e in ("counting", "corrected", "z")}
    assert met == both | {("itself", "known_only"), ("second", "counts_only")}


def test_what_does_not_meet_has_no_rows():
    frame = rows(whole(trials=3))
    seen = set(zip(frame["model"], frame["estimator"], strict=True))
    assert len(seen) == 8
    assert len(frame) == 8 * 2 * 3


# the rows


@pytest.mark.parametrize(
    ("draws", "numbers"),
    [("same", [4, 30]), (50, [50, 50]), ({"ratio": 2}, [8, 60]), ({"ratio": 0.1}, [1, 3])],
    ids=str,
)
def test_model_size_is_the_number_of_draws_of_q(draws, numbers):
    models = {"itself": {"kind": "itself"}, "second": model(draws)}
    frame = rows(whole(models=models, trials=5))
    for size, number in zip((4, 30), numbers, strict=True):
        here = frame[frame["size"] == size]
        assert set(here[here["model"] == "second"]["model_size"]) == {number}
        assert here[here["model"] == "itself"]["model_size"].isna().all()


@pytest.mark.parametrize("draws", ["same", 50, {"ratio": 2}], ids=str)
def test_an_estimate_is_what_both_counts_of_its_trial_say(draws):
    models = {"second": model(draws, green=2, red=3, blue=3)}
    estimators = {"counting": {"kind": "plug_in"}}
    experiment = whole(models=models, estimators=estimators)
    frame = rows(experiment)
    for size, (c, d) in zip((4, 30), by_hand(experiment, "second"), strict=True):
        with np.errstate(all="ignore"):
            expected = rel_entr(c / c.sum(1)[:, None], d / d.sum(1)[:, None]).sum(axis=1)
        found = frame[frame["size"] == size]
        assert found["estimate"].to_numpy() == pytest.approx(expected, rel=1e-13, abs=1e-15)


def test_the_truth_is_that_of_both_bags_in_the_same_order_of_colours():
    p, q = (0.5, 0.4, 0.1), (0.4, 0.5, 0.1)
    truth = sum(a * log(a / b) for a, b in zip(p, q, strict=True))
    frame = rows(whole(trials=2))
    assert frame[frame["model"] == "second"]["truth"].unique() == pytest.approx([truth], rel=1e-14)
    assert set(frame[frame["model"] == "itself"]["truth"]) == {0.0}


def test_a_colour_that_only_q_lacks_makes_the_truth_infinite():
    frame = rows(whole(models={"second": model(red=1, blue=1, green=0)}, estimators={
        "counting": {"kind": "plug_in"}, "z": {"kind": "zhang_grabchak"}
    }))  # fmt: skip
    assert set(frame["truth"]) == {np.inf}
    z = frame[frame["estimator"] == "z"]
    assert set(z["status"]) == {"ok"}
    assert np.isfinite(z["estimate"]).all()


def test_what_is_infinite_is_kept_as_such_and_what_is_undefined_has_its_reason():
    experiment = whole()
    frame = rows(experiment)
    frame = frame[(frame["model"] == "second") & (frame["size"] == 4)]
    c, d = by_hand(experiment, "second")[0]
    lacking = np.any((c > 0) & (d == 0), axis=1)
    assert 20 < lacking.sum() < 380
    for label, status in (("counting", "infinite"), ("corrected", "undefined")):
        own = frame[frame["estimator"] == label].reset_index(drop=True)
        assert own["status"].tolist() == [status if lost else "ok" for lost in lacking]
        assert set(own[~lacking]["reason"].isna()) == {True}
    counting, corrected, z, counts_only = (
        frame[frame["estimator"] == label].reset_index(drop=True)
        for label in ("counting", "corrected", "z", "counts_only")
    )
    assert set(counting[lacking]["estimate"]) == {np.inf}
    assert counting["reason"].isna().all()
    assert corrected[lacking]["estimate"].isna().all()
    assert set(corrected[lacking]["reason"]) == {"the estimator gave NaN"}
    assert set(z["status"]) == set(counts_only["status"]) == {"ok"}


def test_a_jackknife_is_undefined_where_a_drawn_colour_is_lone_in_q():
    experiment = whole(estimators={"jackknife": {"kind": "jackknife"}})
    frame = rows(experiment).query("model == 'second' and size == 4")
    c, d = by_hand(experiment, "second")[0]
    lone = np.any((c > 0) & (d <= 1), axis=1)
    assert 0 < lone.sum() < 400
    assert frame["status"].tolist() == ["undefined" if lost else "ok" for lost in lone]


def test_the_loss_of_a_learner_takes_no_part_of_q():
    learners = {"laplace": {"kind": "add_constant", "amount": 1}}
    only = {"second": BASE["models"]["second"]}
    estimators = {"z": {"kind": "zhang_grabchak"}}
    frame = rows(whole(learners=learners, models=only, estimators=estimators, trials=3))
    loss = frame[frame["target"] == "kl_loss"]
    assert loss["model"].isna().all()
    assert loss["model_size"].isna().all()
    assert set(loss["status"]) == {"ok"}


def estimates(frame: Any, sizes: tuple[int, ...] = (4, 30), trials: int = 400) -> Any:
    own = frame[frame["size"].isin(sizes) & (frame["trial"] < trials)]
    own = own[(own["model"] == "second") & (own["estimator"] == "z")]
    own = own[["size", "model_size", "trial", "estimate", "truth"]]
    return own.astype({"model_size": "int64"}).reset_index(drop=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"sizes": [4, 30, 31, 500]},
        {"trials": 5000},
        {"models": {"first": model(9), **BASE["models"]}},
        {"models": SECOND_ONLY, "estimators": {"z": {"kind": "zhang_grabchak"}}},
        {
            "bags": {"other": RED_BLUE, "urn": THREE},
            "models": {**ITSELF_ONLY, "second": {**SECOND_ONLY["second"], "bags": ["urn"]}},
        },
        {"targets": ["kl", "js"]},
    ],
    ids=["sizes", "trials", "models", "estimators", "bags", "targets"],
)
def test_draws_of_q_stay_as_they_are_to_the_bit_when_there_is_more(changes):
    more = rows(whole(**changes))
    assert estimates(more[more["target"] == "kl"]).equals(estimates(rows(whole())))


def test_a_model_drawn_under_another_name_draws_other_balls():
    models = {"third": BASE["models"]["second"]}
    frame = rows(whole(models=models, estimators={"z": {"kind": "zhang_grabchak"}}))
    own = frame["estimate"].reset_index(drop=True)
    assert not own.equals(estimates(rows(whole()))["estimate"])


def test_both_samples_of_the_same_bag_are_drawn_apart():
    experiment = whole(models={"second": model()}, estimators={"counting": {"kind": "plug_in"}})
    for c, d in by_hand(experiment, "second"):
        assert not np.array_equal(c, d)
        related = np.corrcoef(c[:, 0], d[:, 0])[0, 1]
        assert abs(related) <= SIGMAS / sqrt(len(c))


# what is wrong in a file

NSB, BU = {"kind": "nsb"}, {"kind": "bu_plug_in"}
KNOWN_FORM = "nsb reads a known Q only"
COUNTED_FORM = "bu_plug_in reads Q through counts only, as the model `drawn` shows it"
NOBODY = "no estimator here reads what it shows of Q"
FAULTS = [
    pytest.param(
        {"models": SECOND_ONLY, "estimators": {"counting": {"kind": "plug_in"}, "nsb": NSB}},
        [(("estimators", "nsb"), f"{KNOWN_FORM}; no model here does")],
        id="an estimator that no model fits, Q counted",
    ),
    pytest.param(
        {"models": ITSELF_ONLY, "estimators": {"counting": {"kind": "plug_in"}, "bu": BU}},
        [(("estimators", "bu"), f"{COUNTED_FORM}; no model here does")],
        id="an estimator that no model fits, Q known",
    ),
    pytest.param(
        {"estimators": {"nsb": NSB}},
        [(("models", "second"), NOBODY)],
        id="a drawn model that no estimator reads",
    ),
    pytest.param(
        {"estimators": {"bu": BU}},
        [(("models", "itself"), NOBODY)],
        id="a known model that no estimator reads",
    ),
    pytest.param(
        {"estimators": {"nsb": {**NSB, "models": ["itself", "second"]}, "bu": BU}},
        [(("estimators", "nsb", "models", 1), KNOWN_FORM)],
        id="a filter that names a drawn model",
    ),
    pytest.param(
        {"estimators": {"nsb": NSB, "bu": {**BU, "models": ["itself"]}}},
        [(("estimators", "bu", "models", 0), COUNTED_FORM)],
        id="a filter that names a known model",
    ),
    pytest.param(
        {"estimators": {"z": {"kind": "zhang_grabchak", "models": ["secnd"]}}},
        [
            (
                ("estimators", "z", "models", 0),
                "this experiment has none called 'secnd'; did you mean 'second'?",
            )
        ],
        id="a filter that names nothing",
    ),
]


@pytest.mark.parametrize(("changes", "faults"), FAULTS)
def test_what_cannot_meet_is_told_in_its_place(changes, faults):
    assert wrong(**changes) == faults


MANY = {"kind": "with_replacement", "balls": {"uniform": {"colours": 1001}}}
MIXTURE = {"mixture": {"kind": "dirichlet_mixture"}, "z": {"kind": "zhang_grabchak"}}


def test_a_mixture_of_dirichlets_of_more_than_a_thousand_colours_is_told():
    many = {"second": {"kind": "drawn", "bag": MANY}}
    [(place, message)] = wrong(bags={"many": MANY}, models=many, estimators=MIXTURE)
    assert place == ("estimators", "mixture")
    assert message == (
        "dirichlet_mixture takes at most 1000 colours; the bag has 1001; "
        "it meets bag 'many': list `bags:` without that one"
    )


def test_an_estimator_that_is_kept_from_a_bag_need_not_fit_it():
    few = {"kind": "with_replacement", "balls": {"uniform": {"colours": 1000}}}
    models = {
        "of_many": {"kind": "drawn", "bag": MANY, "bags": ["many"]},
        "of_few": {"kind": "drawn", "bag": few, "bags": ["few"]},
    }
    estimators = {**MIXTURE, "mixture": {**MIXTURE["mixture"], "bags": ["few"]}}
    experiment = built(BASE, bags={"many": MANY, "few": few}, models=models, estimators=estimators)
    assert [cell.label for cell in experiment.cells("many")] == ["z"]
    assert [cell.label for cell in experiment.cells("few")] == ["mixture", "z"]


def shrunk(*towards: float) -> dict[str, Any]:
    return {"kind": "james_stein", "towards": list(towards)}


@pytest.mark.parametrize("place", [("estimators", "js"), ("learners", "js")])
@pytest.mark.parametrize("weights", [(1,), (1, 2), (1, 2, 3, 4)], ids=len)
def test_a_guess_of_another_number_of_colours_is_told(weights, place):
    keys = shrunk(*weights)
    part = {"js": {"kind": "plug_in", "learner": keys} if place[0] == "estimators" else keys}
    [(found, message)] = wrong(**{place[0]: part})
    assert found == place
    assert message.startswith(f"`towards` has {len(weights)} weights, the bag 3 colours; ")
    assert "'urn'" in message


@pytest.mark.parametrize("towards", [[0, 0, 0], [], ["a", 1, 1], [-1, 1, 1], "unifrom", 7], ids=str)
def test_a_guess_that_is_no_distribution_is_told_without_how_klsim_is_made(towards):
    keys = {"kind": "james_stein", "towards": towards}
    for place, message in wrong(estimators={"js": {"kind": "plug_in", "learner": keys}}):
        assert place[:4] == ("estimators", "js", "learner", "towards")
        assert all(isinstance(step, int) for step in place[4:])
        assert message.startswith("expected ")


@pytest.mark.parametrize("amount", [0, -1, 2, "most", [1]], ids=str)
def test_a_discount_that_is_none_is_told_once(amount):
    keys = {"kind": "absolute_discounting", "amount": amount}
    [(place, message)] = wrong(estimators={"ad": {"kind": "plug_in", "learner": keys}})
    assert place == ("estimators", "ad", "learner", "amount")
    assert message.startswith("expected ")


# whole runs

OUT = {"kind": "without_replacement", "balls": {"red": 8, "blue": 12}}
PAIR: dict[str, Any] = {
    **BASE,
    "trials": 9000,
    "bags": {"urn": RED_BLUE},
    "models": {
        "itself": {"kind": "itself"},
        "same": model(red=4, blue=6),
        "double": model({"ratio": 2}, blue=6, red=4),
        "out": {"kind": "drawn", "bag": OUT, "draws": 12},
    },
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return sim.run(built(PAIR), out=tmp_path_factory.mktemp("pair"))


def test_measures_are_over_finite_estimates_with_the_share_of_infinity_beside(results):
    trials, summary = results.trials, results.summary
    assert len(summary) == 4 * 4 * 2  # models, estimators of each, sizes
    for _, row in summary.iterrows():
        own = trials[
            (trials["model"] == row["model"])
            & (trials["estimator"] == row["estimator"])
            & (trials["size"] == row["size"])
        ]
        finite = own["estimate"][np.isfinite(own["estimate"])]
        assert row["trials"] == len(own) == 9000
        assert row["infinite"] == (own["status"] == "infinite").sum()
        assert row["undefined"] == (own["status"] == "undefined").sum()
        assert row["failed"] == 0
        assert len(finite) + row["infinite"] + row["undefined"] == 9000
        answered = 9000 - row["undefined"]
        assert row["p_infinite"] == pytest.approx(row["infinite"] / answered, abs=1e-15)
        assert row["mean"] == pytest.approx(finite.mean(), rel=1e-11, abs=1e-15)
        assert row["sd"] == pytest.approx(finite.std(), rel=1e-10)
        assert row["bias"] == pytest.approx(finite.mean() - row["truth"], rel=1e-9, abs=1e-14)
        squares = (finite - row["truth"]) ** 2
        assert row["rmse"] == pytest.approx(sqrt(squares.mean()), rel=1e-10)


def test_some_are_infinite_and_some_undefined(results):
    few = results.summary.query("size == 4 and model == 'same'").set_index("estimator")
    assert few["infinite"]["counting"] == few["undefined"]["corrected"] > 500
    assert few["infinite"]["z"] == few["undefined"]["z"] == 0
    assert few["infinite"]["counts_only"] == 0


def test_means_and_shares_of_infinity_are_within_their_errors_of_the_exact_ones(results):
    summary = results.summary
    known = summary[summary["exact_mean"].notna()]
    undefined = summary[summary["estimator"].eq("corrected") & summary["model"].ne("itself")]
    # 30 draws of 2 colours may all be of one, so that none of the corrected ones is known
    assert set(summary.index) - set(known.index) == set(undefined.index)
    assert known["z"].abs().max() <= SIGMAS
    chance = known["exact_p_infinite"]
    error = np.sqrt(chance * (1 - chance) / 9000)
    off = (known["p_infinite"] - chance).abs()
    assert (off <= SIGMAS * error + 1e-15).all()
    assert undefined["exact_p_infinite"].isna().all()
    assert undefined["z"].isna().all()


def test_the_share_of_infinity_of_two_coins_is_the_one_of_a_pocket_calculator(results):
    row = results.summary.query("size == 4 and model == 'same' and estimator == 'counting'")
    # Q shows red alone and P not red alone, or the same of blue
    exact = 0.4**4 * (1 - 0.4**4) + 0.6**4 * (1 - 0.6**4)
    assert row["exact_p_infinite"].item() == pytest.approx(exact, rel=1e-13)


def test_theory_is_silent_where_q_is_counted(results):
    lines = results.convergence
    counted = lines[lines["model"] != "itself"]
    assert len(counted) > 0
    assert counted["theory_rate"].isna().all()
    assert (
        lines[(lines["model"] == "itself") & (lines["estimator"] == "counting")]["theory_rate"]
        .notna()
        .all()
    )


def test_one_process_or_two_leave_the_same_bytes(results, tmp_path):
    other = sim.run(built(PAIR), out=tmp_path, workers=2, engine="processes")
    assert tables(other.path) == tables(results.path)


def test_a_run_that_lost_a_part_draws_it_again_the_same(tmp_path):
    plain = {**PAIR, "trials": 5000, "sizes": [3, 6]}
    first = sim.run(built(plain), out=tmp_path)
    before = tables(first.path)
    name = max(parts(first.path))
    (first.path / "trials" / name).unlink()
    again = sim.run(built(plain), out=tmp_path)
    assert len(parts(again.path)) == 2
    assert tables(again.path) == before


def test_more_trials_add_to_those_that_were_drawn(tmp_path):
    plain = {**PAIR, "sizes": [3, 6]}
    columns = ["model", "estimator", "size", "trial"]
    few = sim.run(built(plain, trials=4000), out=tmp_path).trials
    many = sim.run(built(plain, trials=5000), out=tmp_path).trials
    first = many[many["trial"] < 4000].sort_values(columns).reset_index(drop=True)
    assert first.equals(few.sort_values(columns).reset_index(drop=True))


def test_an_experiment_with_a_second_bag_is_written_out_and_read_back():
    experiment = built(PAIR)
    assert reading.read(reading.dump(experiment)) == experiment
    assert experiment.digest == built(PAIR).digest
    changed = text(PAIR).replace("ratio: 2", "ratio: 3")
    assert reading.read(changed).digest != experiment.digest


CLOCK = {
    "kind": "delayed_returns",
    "balls": {"red": 10, "blue": 15},
    "hold": 1.5,
    "when_empty": "wait",
}


def test_a_second_bag_with_a_clock_is_drawn_by_its_events():
    models = {"late": {"kind": "drawn", "bag": CLOCK, "draws": 3}}
    bags = {"urn": {**CLOCK, "hold": 2}}
    experiment = whole(bags=bags, models=models, estimators={"counting": {"kind": "plug_in"}})
    assert experiment.block_trials("urn") == 64
    frame = rows(experiment)
    assert len(frame) == 2 * 64
    assert set(frame["model_size"]) == {3}
    for size, (c, d) in zip((4, 30), by_hand(experiment, "late"), strict=True):
        with np.errstate(all="ignore"):
            expected = rel_entr(c / size, d / 3).sum(axis=1)[:64]
        found = frame[frame["size"] == size]["estimate"].to_numpy()
        assert found == pytest.approx(expected, rel=1e-13, abs=1e-15)
