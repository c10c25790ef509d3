"""A block of trials is a pure function: its rows, what becomes of a failure, what is dropped."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pytest
from members import Ticking, urn
from runs import cell_rows
from scipy.special import rel_entr

from sim.contracts.arrays import Reference
from sim.contracts.bag import BAGS
from sim.contracts.estimator import ESTIMATORS, Estimator
from sim.contracts.learner import LEARNERS
from sim.contracts.model import MODELS, Model
from sim.experiment import Experiment
from sim.one_trial import trace_rows
from sim.tables import STATUS, TRACE, TRIALS
from sim.trials import block_rows

COUNTING = ESTIMATORS.build({"kind": "plug_in"})
LAPLACE = LEARNERS.build({"kind": "add_constant", "amount": 1})
ITSELF = MODELS.build({"kind": "itself"})
FAIR = MODELS.build({"kind": "fixed", "balls": {"red": 1, "blue": 1}})


class First(Estimator):
    """The number of balls of the first colour."""

    kind: Literal["first"] = "first"

    def estimate(self, counts, reference, target):
        return counts[:, 0].astype(np.float64)


class Fragile(First):
    """It cannot bear a trial without the first colour."""

    kind: Literal["fragile"] = "fragile"
    words: str = "no red ball"

    def estimate(self, counts, reference, target):
        if np.any(counts[:, 0] == 0):
            raise ValueError(self.words)
        return super().estimate(counts, reference, target)


class Odd(First):
    """It answers with this number where the first colour came an odd number of times."""

    kind: Literal["odd"] = "odd"
    answer: Literal["nan", "inf", "-inf"]

    def estimate(self, counts, reference, target):
        return np.where(counts[:, 0] % 2 == 1, float(self.answer), 0.25)


class Meddler(First):
    """It changes the counts that it is given."""

    kind: Literal["meddler"] = "meddler"

    def estimate(self, counts, reference, target):
        counts[:] = 7
        return super().estimate(counts, reference, target)


class Shapeless(First):
    """It answers with one number, whatever it is asked."""

    kind: Literal["shapeless"] = "shapeless"
    answer: tuple[int, ...] = ()

    def estimate(self, counts, reference, target):
        return np.zeros(self.answer)


class Impatient(First):
    """It is interrupted."""

    kind: Literal["impatient"] = "impatient"

    def estimate(self, counts, reference, target):
        raise KeyboardInterrupt


class Loud(First):
    """Its arithmetic divides by nothing on the way to an answer."""

    kind: Literal["loud"] = "loud"

    def estimate(self, counts, reference, target):
        return np.log(counts[:, 0] * 0.0) * 0.0 + np.float64(1) / np.float64(0)


class Sampled(Model):
    """A model of which only counts of a few draws are known."""

    kind: Literal["sampled"] = "sampled"
    times: int = 2

    def truth(self, bag, size):
        return np.full(len(bag.colours), 1 / len(bag.colours))

    def drawn(self, size):
        return self.times * size

    def reveal(self, bag, sizes, trials, rng):
        for size in sizes:
            counts = rng.multinomial(self.drawn(size), self.truth(bag, size), trials)
            yield Reference.counted(counts)


class Needy(First):
    """It asks for Q, whatever it said that it reads."""

    kind: Literal["needy"] = "needy"

    def estimate(self, counts, reference, target):
        return super().estimate(counts, reference, target) * reference.q[0]


class OfQ(First):
    """The draws of Q that were of the first colour; it cannot bear none in P."""

    kind: Literal["of_q"] = "of_q"

    def estimate(self, counts, reference, target):
        if np.any(counts[:, 0] == 0):
            raise ValueError("no red ball")
        return reference.counts[:, 0].astype(np.float64)


def experiment(**parts: Any) -> Experiment:
    """Return a small experiment with some parts made otherwise."""
    plain = {
        "name": "small",
        "seed": 5,
        "trials": 30,
        "sizes": (2, 5),
        "bags": {"urn": urn(red=10, blue=15)},
        "models": {"fair": FAIR},
        "estimators": {"counting": COUNTING},
    }
    return Experiment(**{**plain, **parts})


def estimated(*estimators: Estimator, **parts: Any) -> Any:
    """Return the rows of the first block as a frame, with the estimators `a`, `b`, …"""
    labels = dict(zip("abc", estimators, strict=False))
    return cell_rows(experiment(estimators=labels, **parts), "urn", 0).to_pandas()


def drawn(whole: Experiment, bag: str = "urn", index: int = 0) -> list[np.ndarray]:
    """Return the counts of a block at each size, drawn by hand from its stream."""
    stream = whole.stream(bag, index=index)
    tally = whole.bags[bag].tally(whole.sizes_of(bag), whole.block_trials(bag), stream)
    return [counts.copy() for counts in tally]


# the table


def test_a_block_has_the_schema_of_all_trials():
    assert block_rows(experiment(), "urn", 0).schema == TRIALS
    whole = experiment(learners={"laplace": LAPLACE}, estimators={})
    assert block_rows(whole, "urn", 0).schema == TRIALS


def test_rows_come_size_by_size_cell_by_cell_trial_by_trial():
    whole = experiment(
        models={"fair": FAIR, "itself": ITSELF}, trials=3, learners={"laplace": LAPLACE}
    )
    frame = cell_rows(whole, "urn", 0).to_pandas()
    assert frame["size"].tolist() == [2] * 9 + [5] * 9
    assert frame["trial"].tolist() == [0, 1, 2] * 6
    labels = frame["estimator"].tolist()
    assert labels == ([*["counting"] * 6, *["laplace"] * 3]) * 2
    models = frame["model"].astype(object).where(frame["model"].notna(), None).tolist()
    assert models == ([*["fair"] * 3, *["itself"] * 3, *[None] * 3]) * 2
    assert frame["target"].tolist() == ([*["kl"] * 6, *["kl_loss"] * 3]) * 2
    assert set(frame["bag"]) == {"urn"}


def test_what_does_not_apply_is_null():
    rows = cell_rows(experiment(), "urn", 0)
    for name in ("se", "lower", "upper", "model_size", "reason"):
        assert rows[name].null_count == len(rows), name
    for name in set(TRIALS.names) - {"se", "lower", "upper", "model_size", "reason"}:
        assert rows[name].null_count == 0, name


def test_an_estimate_is_what_the_counts_of_its_trial_say():
    whole = experiment(trials=50)
    rows = cell_rows(whole, "urn", 0).to_pandas()
    for size, counts in zip((2, 5), drawn(whole), strict=True):
        by_hand = rel_entr(counts[:50] / size, 0.5).sum(axis=1)
        assert rows.query(f"size == {size}")["estimate"].to_numpy() == pytest.approx(by_hand)


def test_the_truth_is_that_of_the_cell():
    parts = {"models": {"fair": FAIR, "itself": ITSELF}, "learners": {"laplace": LAPLACE}}
    frame = block_rows(experiment(**parts), "urn", 0).to_pandas()
    kl = frame[frame["target"] == "kl"]
    assert set(kl[kl["model"] == "itself"]["truth"]) == {0.0}
    assert kl[kl["model"] == "fair"]["truth"].unique() == pytest.approx([0.0201355135506889])
    assert set(frame[frame["target"] == "kl_loss"]["truth"]) == {0.0}


def test_an_infinite_truth_stands_as_infinity():
    never = MODELS.build({"kind": "fixed", "balls": {"red": 0, "blue": 1}})
    rows = estimated(COUNTING, models={"never": never})
    assert set(rows["truth"]) == {np.inf}
    assert set(rows["status"]) == {"ok", "infinite"}


def test_a_bag_that_meets_nothing_has_a_block_without_rows():
    only = MODELS.build({"kind": "itself", "bags": ("urn",)})
    bags = {"urn": urn(red=1, blue=1), "idle": urn(red=1, blue=1)}
    rows = block_rows(experiment(bags=bags, models={"only": only}), "idle", 0)
    assert len(rows) == 0
    assert rows.schema == TRIALS


def test_one_colour_is_a_bag_like_any_other():
    frame = estimated(COUNTING, bags={"urn": urn(red=3)}, models={"itself": ITSELF})
    assert set(frame["estimate"]) == {0.0}


# a pure function


def test_a_block_is_the_same_each_time_and_in_any_order():
    whole = experiment(trials=9000)
    forth = [block_rows(whole, "urn", index) for index in (0, 1, 2)]
    back = [block_rows(whole, "urn", index) for index in (2, 1, 0)]
    assert all(one.equals(other) for one, other in zip(forth, back[::-1], strict=True))
    assert not forth[0]["estimate"].equals(forth[1]["estimate"])


def test_a_block_neither_reads_nor_moves_the_global_stream():
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    one = block_rows(experiment(), "urn", 0)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    assert block_rows(experiment(), "urn", 0).equals(one)


def test_a_block_leaves_the_experiment_as_it_was():
    whole = experiment()
    block_rows(whole, "urn", 0)
    assert whole == experiment()
    assert whole.digest == experiment().digest


def test_arithmetic_on_the_way_warns_nobody():
    before = np.geterr()
    frame = estimated(Loud())
    assert set(frame["status"]) == {"undefined"}
    assert np.geterr() == before


# what is dropped, what is kept


@pytest.mark.parametrize("trials", [1, 7, 4095, 4096, 4097, 8200])
def test_rows_beyond_the_trials_are_dropped(trials):
    whole = experiment(trials=trials, sizes=(2,))
    blocks = [cell_rows(whole, "urn", index) for index in range(whole.blocks("urn"))]
    found = pa.concat_tables(blocks)["trial"].to_pylist()
    assert found == list(range(trials))


@pytest.mark.parametrize(("few", "many"), [(1, 2), (10, 4096), (4096, 4097), (4100, 9000)])
def test_the_rows_of_a_longer_run_begin_with_those_of_the_shorter(few, many):
    short, long = experiment(trials=few), experiment(trials=many)
    for index in range(short.blocks("urn")):
        rows = block_rows(short, "urn", index).to_pandas()
        more = block_rows(long, "urn", index).to_pandas()
        assert rows.equals(more[more["trial"] < few].reset_index(drop=True))


def test_a_hundred_thousand_colours_make_a_block():
    bag = BAGS.build({"kind": "with_replacement", "balls": {"zipf": {"colours": 100_000}}})
    whole = experiment(bags={"big": bag}, models={"itself": ITSELF}, trials=100, sizes=(10, 1000))
    rows = [cell_rows(whole, "big", index) for index in range(whole.blocks("big"))]
    assert [len(table) for table in rows] == [2 * 83, 2 * 17]
    estimates = np.concatenate([table["estimate"].to_numpy() for table in rows])
    assert np.all(np.isfinite(estimates))
    assert estimates.min() > 1


# what becomes of a failure


def test_a_trial_that_fails_is_a_row_with_its_reason_and_harms_no_other():
    frame = estimated(Fragile(), First())
    fragile, plain = (
        frame[frame["estimator"] == label].reset_index(drop=True) for label in ("a", "b")
    )
    failed = plain["estimate"] == 0
    assert 0 < failed.sum() < len(failed)
    assert (fragile["status"] == "failed").equals(failed)
    assert set(fragile[failed]["reason"]) == {"ValueError: no red ball"}
    assert fragile[failed]["estimate"].isna().all()
    assert fragile[~failed]["estimate"].equals(plain[~failed]["estimate"])
    assert set(fragile[~failed]["status"]) == {"ok"}
    assert fragile[~failed]["reason"].isna().all()
    assert set(plain["status"]) == {"ok"}


def test_a_failed_estimate_is_null_not_nan():
    rows = block_rows(experiment(estimators={"a": Fragile()}), "urn", 0)
    failed = rows.filter(pa.compute.equal(rows["status"], "failed"))
    assert failed["estimate"].null_count == len(failed) > 0
    assert not pa.compute.any(pa.compute.is_nan(rows["estimate"])).as_py()


def test_a_reason_is_not_longer_than_a_line_or_two():
    frame = estimated(Fragile(words="so " * 1000))
    [reason] = set(frame[frame["status"] == "failed"]["reason"])
    assert reason.startswith("ValueError: so so ")
    assert len(reason) == 500


def test_each_estimator_fails_for_its_own_reason():
    frame = estimated(Fragile(words="mine"), Fragile(words="yours"), COUNTING)
    for label, words in (("a", "mine"), ("b", "yours")):
        own = frame[(frame["estimator"] == label) & (frame["status"] == "failed")]
        assert set(own["reason"]) == {f"ValueError: {words}"}
    assert set(frame[frame["estimator"] == "c"]["status"]) == {"ok"}


def test_an_estimate_that_is_no_number_is_undefined():
    frame = estimated(Odd(answer="nan"), First())
    odd = frame[frame["estimator"] == "b"]["estimate"].to_numpy() % 2 == 1
    own = frame[frame["estimator"] == "a"]
    assert 0 < odd.sum() < len(odd)
    assert set(own[odd]["status"]) == {"undefined"}
    assert own[odd]["estimate"].isna().all()
    assert set(own[odd]["reason"]) == {"the estimator gave NaN"}
    assert set(own[~odd]["status"]) == {"ok"}


@pytest.mark.parametrize("answer", ["inf", "-inf"])
def test_an_infinite_estimate_is_kept_as_infinity(answer):
    frame = estimated(Odd(answer=answer))
    lost = frame[frame["status"] == "infinite"]
    assert 0 < len(lost) < len(frame)
    assert set(lost["estimate"]) == {float(answer)}
    assert lost["reason"].isna().all()
    assert set(frame[frame["status"] == "ok"]["estimate"]) == {0.25}


def test_every_status_is_one_of_four():
    frame = estimated(Fragile(), Odd(answer="nan"), Odd(answer="inf"))
    assert set(frame["status"]) == set(STATUS)
    assert frame["status"].cat.categories.tolist() == list(STATUS)


def test_nothing_is_dropped_whatever_fails():
    frame = estimated(Fragile(), Odd(answer="nan"), Odd(answer="inf"))
    assert len(frame) == 3 * 2 * 30
    assert frame.groupby(["estimator", "size"], observed=True)["trial"].nunique().eq(30).all()


def test_failures_do_not_follow_from_how_many_trials_are_asked():
    short, long = (estimated(Fragile(), trials=trials) for trials in (10, 4000))
    assert short.equals(long[long["trial"] < 10].reset_index(drop=True))


@pytest.mark.parametrize("answer", [(), (2, 1), (31,)], ids=str)
def test_an_answer_of_another_shape_is_a_failure_of_the_estimator_that_gave_it(answer):
    frame = estimated(Shapeless(answer=answer), COUNTING)
    own = frame[frame["estimator"] == "a"]
    assert set(own["status"]) == {"failed"}
    assert own["reason"].str.contains("shape").all()
    assert set(frame[frame["estimator"] == "b"]["status"]) == {"ok"}


def test_an_estimator_that_meddles_with_the_counts_harms_no_other():
    before, after = estimated(First()), estimated(Meddler(), First())
    own = after[after["estimator"] == "b"].reset_index(drop=True)
    assert own["estimate"].equals(before["estimate"])


def test_an_interruption_is_no_failure_of_an_estimator():
    with pytest.raises(KeyboardInterrupt):
        estimated(Impatient())


# where Q is counted


def test_a_counted_q_is_drawn_from_a_stream_of_its_own():
    whole = experiment(models={"few": Sampled()}, estimators={"a": First(), "q": OfQ()}, trials=200)
    frame = cell_rows(whole, "urn", 0).to_pandas()
    stream = whole.stream("urn", "few", "model", index=0)
    for size in (2, 5):
        by_hand = stream.multinomial(2 * size, [0.5, 0.5], 4096)[:200, 0]
        own = frame[(frame["size"] == size) & (frame["estimator"] == "q")]
        ok = (own["status"] == "ok").to_numpy()
        assert 0 < ok.sum() < 200
        assert own[ok]["estimate"].tolist() == by_hand[ok].tolist()
        assert set(own["model_size"]) == {2 * size}


def test_an_estimator_that_needs_q_fails_where_only_counts_are_known():
    frame = estimated(Needy(), models={"few": Sampled()})
    assert set(frame["status"]) == {"failed"}
    assert frame["reason"].str.startswith("TypeError: ").all()
    assert frame["reason"].str.contains("only counts are known").all()


def test_draws_of_q_stay_as_they_are_when_there_is_another_model():
    alone = estimated(OfQ(), models={"few": Sampled()})
    beside = estimated(OfQ(), models={"other": Sampled(times=5), "few": Sampled()})
    own = beside[beside["model"] == "few"].reset_index(drop=True)
    assert own["estimate"].equals(alone["estimate"])
    other = beside[beside["model"] == "other"].reset_index(drop=True)
    assert not other["estimate"].equals(alone["estimate"])


# where there is a clock


def test_a_trace_shows_the_draws_that_were_counted():
    bags = {"clock": Ticking(), "urn": urn(red=1, blue=1)}
    parts = {"bags": bags, "models": {"itself": ITSELF}, "estimators": {"a": First()}}
    whole = experiment(trials=70, **parts)
    for trial in (0, 3, 63, 64, 69):
        frame = trace_rows(whole, "clock", trial).to_pandas()
        assert set(frame["trial"]) == {trial}
        colours = frame[frame["event"] == "draw"]["colour"].tolist()
        rows = block_rows(whole, "clock", trial // 64).to_pandas().query(f"trial == {trial}")
        assert rows["estimate"].tolist() == [colours[:n].count("red") for n in (2, 5)]


def test_a_trace_has_its_schema_and_goes_forward_in_time():
    whole = experiment(bags={"clock": Ticking()}, models={"itself": ITSELF})
    rows = trace_rows(whole, "clock", 1)
    assert rows.schema == TRACE
    assert rows["time"].to_pylist() == sorted(rows["time"].to_pylist())
    glances = rows.filter(pa.compute.equal(rows["event"], "glance"))
    assert glances["colour"].null_count == len(glances) == 5


def test_a_bag_without_a_clock_leaves_no_trace():
    with pytest.raises(TypeError, match="'urn' has no clock"):
        trace_rows(experiment(), "urn", 0)
