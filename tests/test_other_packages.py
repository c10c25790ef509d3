"""Estimates beside those of other packages: the same where they are right, and where they are not.

docs/other_packages.md tells the same in words. A package that is not installed is skipped.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from math import e, inf, isnan, log
from typing import Any

import numpy as np
import pytest
from scipy import special, stats
from scipy.spatial import distance

import sim
from sim.contracts.learner import LEARNERS

S1 = np.array([4, 2, 3, 0, 2, 4, 0, 0, 2, 1, 1])
V1 = np.array([1, 3, 7, 4, 8]), np.array([2, 5, 1, 3, 6])
V3 = S1, np.array([3, 0, 2, 1, 0, 5, 1, 0, 2, 3, 2])

Two = Callable[[np.ndarray, np.ndarray], float]


@cache
def pairs() -> list[tuple[np.ndarray, np.ndarray]]:
    """Return counts of two samples, K = 2 to 50; of each K a pair without zeros and two with."""
    rng = np.random.default_rng(20240607)
    found = [V1, V3]
    for colours in (2, 3, 5, 11, 20, 50):
        for add, lost in ((1, False), (0, False), (0, True)):
            c, d = (
                rng.multinomial(per * colours, rng.dirichlet(np.ones(colours))) + add
                for per in (4, 7)
            )
            if lost:  # Q holds every colour that P does: the divergence is finite
                gone = int(np.argmin(c))
                c[gone] = 0
                d += c > 0
            found.append((c, d))
    return found


def test_the_pairs_have_zeros_in_both_in_one_and_in_none():
    zeros = [((c == 0) & (d > 0), (c > 0) & (d == 0), (c == 0) & (d == 0)) for c, d in pairs()]
    for kind in range(3):
        assert sum(pair[kind].any() for pair in zeros) > 2
    assert sum(not any(where.any() for where in pair) for pair in zeros) > 4
    assert {len(c) for c, _ in pairs()} >= {2, 3, 5, 11, 20, 50}


def draws(counts: Any) -> np.ndarray:
    """Return a sample with these counts."""
    return np.repeat(np.arange(len(counts)), counts)


def share(counts: Any) -> np.ndarray:
    return np.asarray(counts) / np.sum(counts)


def ours(**asked: Any) -> Two:
    """Return our estimate from two samples, or of a target that the first alone decides."""
    return lambda c, d: float(sim.estimate(c, model_counts=d, **asked))


def alone(**asked: Any) -> Two:
    """Return our estimate from the first sample, Q uniform."""
    return lambda c, d: float(sim.estimate(c, **asked))


def agree(here: Two, there: Two, bound: float = 1e-9) -> None:
    finite = 0
    for c, d in pairs():
        own, other = here(c, d), float(there(c, d))
        assert other == pytest.approx(own, rel=bound, abs=bound), (c.tolist(), d.tolist())
        finite += np.isfinite(own)
    assert finite >= 8


def learner(kind: str, **keys: Any) -> dict[str, Any]:
    return {"learner": {"kind": kind, **keys}}


# scipy: distributions in, one number out; counts are normalized by some functions only

SCIPY: dict[str, tuple[Two, Two]] = {
    "entropy(c)": (alone(target="entropy"), lambda c, d: stats.entropy(c)),
    "entropy(c, d)": (ours(), lambda c, d: stats.entropy(c, d)),
    "entropy(d, c)": (ours(target="reverse_kl"), lambda c, d: stats.entropy(d, c)),
    "entropy, base 2": (ours(unit="bits"), lambda c, d: stats.entropy(c, d, base=2)),
    "rel_entr": (ours(), lambda c, d: special.rel_entr(share(c), share(d)).sum()),
    "kl_div": (ours(), lambda c, d: special.kl_div(share(c), share(d)).sum()),
    "jensenshannon": (ours(target="js_distance"), lambda c, d: distance.jensenshannon(c, d)),
    "jensenshannon, base 2": (
        ours(target="js_distance", unit="bits"),
        lambda c, d: distance.jensenshannon(c, d, base=2),
    ),
    "chisquare": (
        alone(target="chi_square"),
        lambda c, d: stats.chisquare(c).statistic / c.sum(),
    ),
    "power_divergence": (
        alone(),
        lambda c, d: stats.power_divergence(c, lambda_=0).statistic / (2 * c.sum()),
    ),
    "cityblock": (
        ours(target="total_variation"),
        lambda c, d: distance.cityblock(share(c), share(d)) / 2,
    ),
}


@pytest.mark.parametrize(("here", "there"), SCIPY.values(), ids=SCIPY)
def test_scipy_agrees(here, there):
    agree(here, there)


def test_scipys_jensenshannon_is_the_distance_and_not_the_divergence():
    c, d = V1
    assert distance.jensenshannon(c, d) ** 2 == pytest.approx(0.0705091380379225, rel=1e-12)
    assert distance.jensenshannon(c, d) == pytest.approx(0.265535568310, rel=1e-12)


def test_scipys_rel_entr_and_kl_div_do_not_normalize_counts():
    c, d = V1
    assert special.rel_entr(c, d).sum() == pytest.approx(
        c.sum() * (0.343281382951008 + log(c.sum() / d.sum())), rel=1e-12
    )
    assert special.rel_entr(c, d).sum() == pytest.approx(14.847931860951, rel=1e-12)
    assert special.kl_div(c, d).sum() == pytest.approx(8.847931860951, rel=1e-12)


# dit: distributions in, bits out


def dits(counts: np.ndarray) -> Any:
    dit = pytest.importorskip("dit")
    return dit.Distribution([(colour,) for colour in range(len(counts))], list(share(counts)))


def of_dit(name: str, **keys: Any) -> Two:
    """Return a divergence of dit; in bits where it has a unit."""
    return lambda c, d: getattr(_divergences(), name)(dits(c), dits(d), **keys)


def _divergences() -> Any:
    return pytest.importorskip("dit.divergences", reason="dit is not installed")


def _dit_js(c: np.ndarray, d: np.ndarray) -> float:
    js: float = _divergences().jensen_shannon_divergence([dits(c), dits(d)])
    return js


DIT: dict[str, tuple[Two, Two]] = {
    "shannon.entropy": (
        alone(target="entropy", unit="bits"),
        lambda c, d: pytest.importorskip("dit").shannon.entropy(dits(c)),
    ),
    "kullback_leibler_divergence": (ours(unit="bits"), of_dit("kullback_leibler_divergence")),
    "cross_entropy": (ours(target="cross_entropy", unit="bits"), of_dit("cross_entropy")),
    "jensen_shannon_divergence": (ours(target="js", unit="bits"), _dit_js),
    "renyi_divergence, 2": (
        ours(target="renyi(2)", unit="bits"),
        of_dit("renyi_divergence", alpha=2),
    ),
    "renyi_divergence, ½": (
        ours(target="renyi(0.5)", unit="bits"),
        of_dit("renyi_divergence", alpha=0.5),
    ),
    "variational_distance": (ours(target="total_variation"), of_dit("variational_distance")),
    "hellinger_distance²": (
        ours(target="hellinger_squared"),
        lambda c, d: of_dit("hellinger_distance")(c, d) ** 2,
    ),
    "hellinger_divergence, ½": (
        lambda c, d: 2 * ours(target="hellinger_squared")(c, d),
        of_dit("hellinger_divergence", alpha=0.5),
    ),
}


@pytest.mark.parametrize(("here", "there"), DIT.values(), ids=DIT)
def test_dit_agrees(here, there):
    pytest.importorskip("dit")
    agree(here, there)


def test_dits_hellinger_divergence_of_order_one_half_is_twice_the_squared_hellinger():
    pytest.importorskip("dit")
    c, d = V1
    found = of_dit("hellinger_divergence", alpha=0.5)(c, d)
    assert found == pytest.approx(2 * 0.073252118120102, rel=1e-9)


# pyitlib: samples in; `estimator` names what a learner is here


def of_pyitlib(name: str, estimator: Any = "ML", told: bool = True) -> Two:
    """Return a measure of one or two samples, in nats; `told` which colours there are."""

    def measure(c: np.ndarray, d: np.ndarray) -> float:
        drv = _pyitlib()
        colours = np.arange(len(c))
        if name == "entropy":
            keys = {"Alphabet_X": colours} if told else {}
            return float(drv.entropy(draws(c), base=e, estimator=estimator, **keys))
        keys = {"Alphabet_X": colours, "Alphabet_Y": colours} if told else {}
        found = getattr(drv, name)(draws(c), draws(d), base=e, estimator=estimator, **keys)
        return float(found)

    return measure


def _pyitlib() -> Any:
    return pytest.importorskip("pyitlib.discrete_random_variable", reason="no pyitlib")


def of_pmf(name: str) -> Two:
    return lambda c, d: float(getattr(_pyitlib(), name)(share(c), share(d), base=e))


LEARNED: dict[Any, dict[str, Any]] = {
    "ML": learner("relative_frequency"),
    1: learner("add_constant", amount="laplace"),
    0.5: learner("add_constant", amount="jeffreys"),
    "PERKS": learner("add_constant", amount="perks"),
    "MINIMAX": learner("add_constant", amount="minimax"),
    "JAMES-STEIN": learner("james_stein"),
}
PMF = {
    "divergence_kullbackleibler_pmf": "kl",
    "divergence_jensenshannon_pmf": "js",
    "divergence_kullbackleibler_symmetrised_pmf": "jeffreys",
    "entropy_cross_pmf": "cross_entropy",
}
MEASURES = {
    "divergence_kullbackleibler": "kl",
    "divergence_kullbackleibler_symmetrised": "jeffreys",
    "divergence_jensenshannon": "js",
    "entropy_cross": "cross_entropy",
    "entropy": "entropy",
}


@pytest.mark.parametrize(("estimator", "keys"), LEARNED.items(), ids=[str(k) for k in LEARNED])
@pytest.mark.parametrize(("name", "target"), MEASURES.items(), ids=MEASURES)
def test_pyitlib_agrees_when_it_is_told_the_colours(name, target, estimator, keys):
    agree(ours(target=target, **keys), of_pyitlib(name, estimator))


@pytest.mark.parametrize(("name", "target"), PMF.items(), ids=PMF)
def test_pyitlib_agrees_on_shares(name, target):
    agree(ours(target=target), of_pmf(name))


def test_pyitlib_takes_the_colours_that_it_sees_for_all_when_it_is_not_told():
    seen = of_pyitlib("entropy", 1, told=False)
    laplace = LEARNED[1]
    for c, d in pairs():
        assert seen(c, d) == pytest.approx(
            alone(target="entropy", **laplace)(c[c > 0], d), rel=1e-9, abs=1e-9
        )
    c, d = np.array([4, 2, 3, 0]), np.array([3, 0, 2, 2])
    assert of_pyitlib("divergence_kullbackleibler", 1, told=False)(c, d) == inf
    assert ours(**laplace)(c, d) == pytest.approx(0.176305194084095, rel=1e-12)


def test_pyitlibs_good_turing_mixes_raw_and_smoothed_numbers_where_the_next_count_is_missing():
    """No colour was drawn twice: Gale and Sampson take r = 1 from the line, 2 S(2)/S(1).

    Here it is 2 S(2)/N(1), N the raw number: once-drawn colours get half of their share.
    """
    counts = np.array([10, 3, 1, 1, 1, 0, 0])
    found, unseen = _pyitlib()._estimate_probabilities(counts[counts > 0], "GOOD-TURING", 2)
    assert found == pytest.approx([0.5699556, 0.16664467, *[0.02529991] * 3], rel=1e-6)
    assert unseen == 3 / 16 / 2
    r, z = np.array([1, 3, 10]), np.array([3 / 1.5, 1 / 4.5, 1 / 7])
    slope = np.polyfit(np.log(r), np.log(z), 1)[0]
    line = r * (1 + 1 / r) ** (slope + 1)
    by_hand = (13 / 16) * line[[2, 1, 0, 0, 0]] / (line @ [3, 1, 1])
    [here] = LEARNERS.build({"kind": "good_turing"}).fit(counts[np.newaxis])
    assert here[:5] == pytest.approx(by_hand, rel=1e-12)
    assert here[2] == pytest.approx(0.04779605, rel=1e-6)


def test_pyitlibs_good_turing_agrees_where_no_count_is_missing_between_others():
    counts = np.array([1, 1, 2, 2, 5, 0])
    found, unseen = _pyitlib()._estimate_probabilities(counts[counts > 0], "GOOD-TURING", 1)
    [here] = LEARNERS.build({"kind": "good_turing"}).fit(counts[np.newaxis])
    assert [*found, unseen] == pytest.approx(here, rel=1e-9)


# infomeasure: samples in; no part of the tests' extra (its licence is the AGPL, its numba large)


def of_infomeasure(name: str, approach: str = "discrete", **keys: Any) -> Two:
    """Return a measure of one or two samples, in nats."""

    def measure(c: np.ndarray, d: np.ndarray) -> float:
        package = pytest.importorskip("infomeasure")
        samples = (draws(c),) if name == "entropy" else (draws(c), draws(d))
        return float(getattr(package, name)(*samples, approach=approach, base="e", **keys))

    return measure


INFOMEASURE: dict[str, tuple[Two, Two]] = {
    "discrete": (alone(target="entropy"), of_infomeasure("entropy")),
    "miller_madow": (
        alone(target="entropy", estimator="miller_madow", colours="observed"),
        of_infomeasure("entropy", "miller_madow"),
    ),
    "grassberger": (
        alone(target="entropy", estimator="grassberger", year=1988),
        of_infomeasure("entropy", "grassberger"),
    ),
    "chao_shen": (
        alone(target="entropy", estimator="chao_shen"),
        of_infomeasure("entropy", "chao_shen"),
    ),
    "zhang": (
        alone(target="entropy", estimator="zhang_grabchak"),
        of_infomeasure("entropy", "zhang"),
    ),
    "jsd": (ours(target="js"), of_infomeasure("jsd")),
    "shrink, colours seen": (
        lambda c, d: alone(target="entropy", **learner("james_stein"))(c[c > 0], d),
        of_infomeasure("entropy", "shrink"),
    ),
    "bayes, colours seen": (
        lambda c, d: alone(target="entropy", **LEARNED[1])(c[c > 0], d),
        of_infomeasure("entropy", "bayes", alpha=1.0),
    ),
}


@pytest.mark.parametrize(("here", "there"), INFOMEASURE.values(), ids=INFOMEASURE)
def test_infomeasure_agrees(here, there):
    pytest.importorskip("infomeasure")
    agree(here, there)


def test_infomeasures_kl_sums_over_the_colours_of_both_samples_only():
    """So it may be negative where it is infinite; −H(P) where the samples share nothing."""
    pytest.importorskip("infomeasure")
    kld = of_infomeasure("kld")
    for c, d in pairs():
        p, q, both = share(c), share(d), (c > 0) & (d > 0)
        common = -np.sum(p[both] * np.log(q[both])) + np.sum(special.xlogy(p, p))
        assert kld(c, d) == pytest.approx(common, rel=1e-9, abs=1e-9)
    assert kld(*V3) == pytest.approx(-0.490651434462066, rel=1e-12)
    assert ours()(*V3) == inf
    found = kld(np.array([2, 1, 0]), np.array([0, 0, 3]))
    assert found == pytest.approx(2 / 3 * log(2 / 3) + 1 / 3 * log(1 / 3), rel=1e-12)
    assert kld(*V1) == pytest.approx(0.343281382951008, rel=1e-12)


def test_infomeasures_miller_madow_adds_to_the_cross_entropy_what_it_should_take_off():
    """Σ −p̂ ln q̂ is too high by (Σ p/q − 1)/(2m); here ((K_P + K_Q)/2 − 1)/(n + m) is added."""
    pytest.importorskip("infomeasure")
    counted, corrected = (of_infomeasure("hx", a)(*V1) for a in ("discrete", "miller_madow"))
    assert counted == pytest.approx(1.77886613421452, rel=1e-12)
    assert corrected - counted == pytest.approx(4 / 40, rel=1e-12)
    assert ours(target="cross_entropy", estimator="miller_madow")(*V1) < counted
    assert of_infomeasure("kld", "miller_madow")(*V1) == pytest.approx(0.356324861211877, rel=1e-12)
    found = ours(estimator="miller_madow", colours="observed")(*V1)
    assert found == pytest.approx(0.0516786549032668, rel=1e-12)


def test_infomeasures_nsb_is_another_number_and_undefined_at_n_equal_to_k():
    pytest.importorskip("infomeasure")
    nsb = of_infomeasure("entropy", "nsb", K=11)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert nsb(S1, S1) == pytest.approx(1.961914696485237, rel=1e-9)
        assert isnan(of_infomeasure("entropy", "nsb", K=19)(S1, S1))
    assert alone(target="entropy", estimator="nsb")(S1, S1) == pytest.approx(
        log(11) - 0.210120811424, rel=1e-9
    )
    assert 0 < alone(target="entropy", estimator="nsb")(np.append(S1, [0] * 8), S1) < log(19)
