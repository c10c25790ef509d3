"""Sums over colours by tables are the direct sums, whatever form the counts have."""

from __future__ import annotations

from dataclasses import replace
from math import ulp

import numpy as np
import pytest
from members import those

from sim.cells import Cells
from sim.contracts.arrays import Reference
from sim.contracts.estimator import ESTIMATORS, Loss
from sim.contracts.learner import LEARNERS
from sim.divergences import TARGETS
from sim.multinomial import multinomial_tally


def mixed(colours):
    """Return probabilities that are neither alike nor in order."""
    weights = 1.0 / (1 + np.arange(colours) * 7 % colours)
    return weights / weights.sum()


# by columns, by table, by the drawn; and where a table would be larger than the counts
FORMS = {
    "two colours": (2, 60, 50),
    "two colours, few trials": (2, 1000, 3),
    "columns": (16, 60, 50),
    "columns, few trials": (16, 4000, 3),
    "a table from 0": (40, 60, 50),
    "a table from the least": (40, 4000, 300),
    "no table": (40, 4000, 3),
    "the drawn": (400, 20, 50),
    "the drawn, one trial": (400, 20, 1),
    "in pieces": (3000, 90, 200),
}
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def drawn(form):
    colours, size, trials = form
    rng = np.random.Generator(np.random.SFC64(5))
    return next(multinomial_tally(mixed(colours), (size,), trials, rng))


def own(counts, colour):
    """Return a number that no two pairs of colour and count share."""
    return np.sin(counts * 0.7 + colour * 1.3) * np.log1p(counts + colour)


def direct(counts, term):
    colours = np.broadcast_to(np.arange(counts.shape[1]), counts.shape)
    return term(counts, colours)


def agree(found, terms):
    """Hold sums against exact ones: within an ulp of the sum of sizes for each addition."""
    with np.errstate(invalid="ignore"):
        exact = terms.astype(np.longdouble).sum(axis=1)
    room = terms.shape[1] * np.array([ulp(x) for x in np.abs(terms).sum(axis=1)])
    finite = np.isfinite(exact)
    assert np.array_equal(found[~finite], exact[~finite].astype(float), equal_nan=True)
    assert (np.abs(found[finite] - exact[finite]) <= room[finite]).all()


@every_form
def test_sums_are_the_direct_sums(form):
    counts = drawn(form)
    agree(Cells(counts, form[1]).sums(own), direct(counts, own))


@pytest.mark.parametrize("form", ["a table from 0", "a table from the least", "no table"])
def test_sums_of_many_colours_by_table_are_the_direct_sums_to_the_bit(form):
    counts = drawn(FORMS[form])
    found = Cells(counts, FORMS[form][1]).sums(own)
    assert found.tolist() == direct(counts, own).sum(axis=1).tolist()


@every_form
def test_a_row_has_the_same_sum_to_the_bit_whatever_rows_stand_beside_it(form):
    counts = drawn(form)
    whole = Cells(counts, form[1]).sums(own)
    for step in (1, 7, len(counts)):
        parts = [Cells(counts[i : i + step], form[1]) for i in range(0, len(counts), step)]
        assert np.concatenate([part.sums(own) for part in parts]).tolist() == whole.tolist()


@every_form
@pytest.mark.parametrize("kind", [np.int32, np.int64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_sums_do_not_follow_from_how_counts_are_held(form, kind, order):
    counts = drawn(form)
    held = counts.astype(kind, order=order)
    assert Cells(held, form[1]).sums(own).tolist() == Cells(counts, form[1]).sums(own).tolist()


@every_form
def test_a_term_is_asked_for_counts_that_can_be_and_writes_on_none_of_them(form):
    counts, asked = drawn(form), []

    def greedy(some, colours):
        asked.append((some.min(initial=0), some.max(initial=0), colours.max(initial=0)))
        found = own(some, colours)
        if some.flags.writeable:
            some[...] = -1
        return found

    cells = Cells(counts.astype(np.int32), form[1])
    sums = cells.sums(greedy)
    assert np.array_equal(cells.held, counts)
    assert sums.shape == (len(counts),)
    assert all(least >= 0 and most <= form[1] and colour < form[0] for least, most, colour in asked)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@every_form
def test_a_term_that_is_not_finite_makes_its_rows_so_and_no_other(form, bad):
    counts = drawn(form)

    def term(some, colours):
        return np.where((colours == 1) & (some > 0), bad, own(some, colours))

    found, hit = Cells(counts, form[1]).sums(term), counts[:, 1] > 0
    assert np.array_equal(found[hit], np.full(hit.sum(), bad), equal_nan=True)
    agree(found[~hit], direct(counts[~hit], own))


def test_a_colour_that_is_infinite_when_it_is_not_drawn_is_so_among_few_draws_too():
    counts = drawn(FORMS["the drawn"])

    def term(some, colours):
        return np.where((colours == 3) & (some == 0), np.inf, own(some, colours))

    found = Cells(counts, 20).sums(term)
    assert np.array_equal(np.isinf(found), counts[:, 3] == 0)


@pytest.mark.parametrize("colours", [1, 2, 16, 17, 400])
def test_no_rows_have_no_sums(colours):
    none = np.zeros((0, colours), dtype=np.int64)
    assert Cells(none, 10).sums(own).tolist() == []
    assert Cells.of(none) is None


def test_rows_that_differ_in_their_draws_are_no_cells():
    assert Cells.of(np.array([[1, 2], [2, 2]])) is None
    assert Cells.of(np.array([[1, 2], [3, 0]])).size == 3


def test_counts_are_told_in_eight_bytes_and_nobody_may_write_them():
    narrow = Cells(np.array([[1, 2]], dtype=np.int32), 3)
    assert narrow.counts.dtype == np.int64
    assert narrow.counts is narrow.counts
    wide = Cells(np.array([[1, 2]]), 3)
    assert np.shares_memory(wide.counts, wide.held)
    for cells in (narrow, wide):
        with pytest.raises(ValueError, match="read-only"):
            cells.counts[0, 0] = 5


# estimators


def losses():
    """Return the loss of every learner as it is customarily used."""
    learners = [
        LEARNERS.build({"kind": kind, **keys})
        for kind in LEARNERS.kinds()
        for keys in LEARNERS.member(kind).customary()
    ]
    return [pytest.param(Loss(learner=one), id=f"loss of {one.kind}") for one in learners]


def adds(estimator):
    """Return the targets that an estimator sums up over colours."""
    known, none = Reference.known(np.array([0.5, 0.5])), np.array([[1, 2]])
    served = [t for t in TARGETS.values() if estimator.serves is None or t.name in estimator.serves]
    with np.errstate(all="ignore"):
        return [t for t in served if estimator.terms(none, 3, known, t) is not None]


estimators = [
    pytest.param(param.values[0].build(), id=param.id)
    for param in those(ESTIMATORS, lambda one: one.one_sample and adds(one))
]
every_additive = pytest.mark.parametrize(
    "estimator", [*estimators, *(one for one in losses() if adds(one.values[0]))]
)


def test_there_are_additive_estimators_and_losses():
    assert len(estimators) >= 8
    assert any(adds(one.values[0]) for one in losses())


@every_additive
def test_estimates_by_cells_are_the_sums_of_their_terms(estimator):
    for form in FORMS.values():
        counts, q = drawn(form), Reference.known(mixed(form[0])[::-1].copy())
        for target in adds(estimator):
            with np.errstate(all="ignore"):
                found = estimator.summed(Cells(counts.astype(np.int32), form[1]), q, target)
                agree(found, estimator.terms(counts, form[1], q, target))


@every_additive
@pytest.mark.parametrize("colours", [2, 16, 40, 400])
def test_rows_of_differing_sizes_have_the_estimates_of_each_alone_to_the_bit(estimator, colours):
    rng, p = np.random.default_rng(3), mixed(colours)
    sizes = np.array([3, 4000, 20, 3, 60, 25])
    counts, q = rng.multinomial(sizes, p), Reference.known(p[::-1].copy())
    for target in adds(estimator):
        with np.errstate(all="ignore"):
            found = estimator.estimate(counts, q, target)
            alone = [estimator.estimate(row[np.newaxis], q, target)[0] for row in counts]
        assert found.tobytes() == np.array(alone).tobytes(), target.name


def test_what_has_a_name_is_summed_once_and_kept_from_writing():
    cells, asked = Cells(drawn(FORMS["columns"]), 60), []

    def term(counts, colour):
        asked.append(len(counts))
        return own(counts, colour)

    one = cells.sums(term, ("own", b"q"))
    number = len(asked)
    assert cells.sums(term, ("own", b"q")) is one
    assert len(asked) == number
    assert np.array_equal(cells.sums(term), one)
    assert len(asked) == 2 * number
    with pytest.raises(ValueError, match="read-only"):
        one += 1
    cells.sums(term)[0] = 0  # what has no name is the asker's own
    other = replace(cells, held=cells.held[::-1])
    assert np.array_equal(other.sums(term, ("own", b"q")), cells.sums(term)[::-1])


def test_the_plug_in_control_is_a_counted_kl_against_the_same_shares_to_the_bit():
    counting, target = ESTIMATORS.build({"kind": "plug_in"}), TARGETS["kl"]
    for form in FORMS.values():
        counts, p = drawn(form), mixed(form[0])
        cells = Cells(counts, form[1])
        told = counting.summed(cells, Reference.known(p), target)
        assert counting.summed(cells, Reference.known(p.copy()), target) is told
        assert np.array_equal(counting.estimate(cells.counts, Reference.known(p), target), told)
        other = counting.summed(cells, Reference.known(p[::-1].copy()), target)
        assert not np.array_equal(other, told)
