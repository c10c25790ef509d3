"""Check vectors and definitions: every estimator against agreed numbers and its own formula.

`python -m tests.test_check_vectors` prints each agreed number, ours, and the difference.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from math import exp, log, nan, sqrt
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from scipy.special import gammaln, polygamma, psi

from sim.contracts.arrays import Reference
from sim.contracts.entropy import AdditiveEntropy
from sim.contracts.estimator import ESTIMATORS
from sim.contracts.learner import LEARNERS
from sim.divergences import KL, divergence

S1 = np.array([4, 2, 3, 0, 2, 4, 0, 0, 2, 1, 1])
V1 = np.array([1, 3, 7, 4, 8]), np.array([2, 5, 1, 3, 6])
V3 = S1, np.array([3, 0, 2, 1, 0, 5, 1, 0, 2, 3, 2])
UNIFORM = np.full(11, 1 / 11)
SAMPLES = {
    "S1": (S1, Reference.known(UNIFORM)),
    "V1": (V1[0], Reference.counted(V1[1][np.newaxis])),
    "V3": (V3[0], Reference.counted(V3[1][np.newaxis])),
}
EXACTLY, INTEGRAL = 1e-12, 1e-6
UNDEFINED = nan


def plug_in(**learner: Any) -> dict[str, Any]:
    return {"kind": "plug_in", "learner": learner}


def adding(amount: Any) -> dict[str, Any]:
    return plug_in(kind="add_constant", amount=amount)


@dataclass(frozen=True)
class Vector:
    """What an estimator is agreed to give on some of the samples."""

    name: str
    keys: dict[str, Any]
    values: dict[str, float]
    within: float = field(default=EXACTLY)


def on(*values: float | None) -> dict[str, float]:
    """Return the values of S1, V1 and V3 that there are."""
    return {s: v for s, v in zip(SAMPLES, values, strict=True) if v is not None}


VECTORS = [
    Vector("plug-in", {"kind": "plug_in"}, on(0.429512864069989, 0.343281382951008, np.inf)),
    Vector(
        "augmented plug-in",
        {"kind": "augmented_plug_in"},
        on(None, 0.343281382951008, 0.129230455888763),
    ),
    Vector(
        "Bu et al. A-plug-in, c=1",
        {"kind": "bu_plug_in", "amount": 1},
        on(None, -0.0127357375200722, -0.1129004513788),
    ),
    Vector(
        "add-1 (Laplace)", adding(1), on(0.140019754105326, 0.188663366447731, 0.145433101865365)
    ),
    Vector(
        "add-1/2 (Jeffreys)",
        adding(0.5),
        on(0.218414890074669, 0.246785299202376, 0.257834354005357),
    ),
    Vector(
        "add-1/K (Perks)",
        adding("perks"),
        on(0.361007464674653, 0.297917830835077, 0.613729328297324),
    ),
    Vector(
        "add-√n/K (minimax)",
        adding("minimax"),
        on(0.24380408286741, 0.200540230020252, 0.301778613021338),
    ),
    Vector(
        "James–Stein",
        plug_in(kind="james_stein"),
        on(0.0182923774884147, 0.0353718675089301, 0.0227205720794906),
    ),
    Vector(
        "Miller–Madow, K observed",
        {"kind": "miller_madow", "colours": "observed"},
        on(0.2453023377542, 0.0516786549032668, UNDEFINED),
    ),
    Vector(
        "Miller–Madow, K given",
        {"kind": "miller_madow"},
        on(0.166354969333147, 0.0516786549032668, UNDEFINED),  # all five colours of V1 are seen
    ),
    Vector("jackknife", {"kind": "jackknife"}, on(0.166620958618251, UNDEFINED, UNDEFINED)),
    Vector(
        "bootstrap correction", {"kind": "bootstrap_corrected"}, on(0.220671933433745, None, None)
    ),
    Vector(
        "Zhang–Grabchak Z",
        {"kind": "zhang_grabchak"},
        on(0.227348598110829, 0.0723417568955324, -0.0596491228070178),
    ),
    Vector(
        "Grassberger 1988",
        {"kind": "grassberger", "year": 1988},
        on(0.298170453291801, None, None),
    ),
    Vector("Grassberger 2003", {"kind": "grassberger"}, on(0.253268886766944, None, None)),
    Vector("Chao–Shen", {"kind": "chao_shen"}, on(0.196758171518786, None, None)),
    Vector(
        "Dirichlet mean, a=1",
        {"kind": "dirichlet_mean"},
        on(0.291797030766868, 0.382600931102483, 0.530555555555556),
    ),
    Vector(
        "Dirichlet mean, a=1/2",
        {"kind": "dirichlet_mean", "amount": 0.5},
        on(0.395228974087391, 0.481532202932596, 0.833430515063169),
    ),
    Vector(
        "mixture of Dirichlets, 1e-3 … 100",
        {"kind": "dirichlet_mixture"},
        on(None, 0.11871443, 0.17811164),
        INTEGRAL,
    ),
    Vector("NSB", {"kind": "nsb"}, on(0.210120811424, None, None), INTEGRAL),
]
OF_V1 = {
    "js": 0.0705091380379225,
    "total_variation": 0.245524296675192,
    "hellinger_squared": 0.073252118120102,
    "chi_square": 1.16275992438563,
    "jeffreys": 0.6105842359315,
    "renyi(2)": 0.771385148848599,
    "renyi(0.5)": 0.152147444978982,
}
OF_THREE = {"nats": 0.109392934076373, "bits": 0.157820643500276}
vectors = pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v.name)
on_s1 = pytest.mark.parametrize(
    "vector", [v for v in VECTORS if "S1" in v.values], ids=lambda v: v.name
)


def estimate(keys, counts, reference, target=KL):
    with np.errstate(all="ignore"):
        return ESTIMATORS.build(keys).estimate(np.atleast_2d(counts), reference, target)


def known(keys, counts, q=UNIFORM):
    return float(estimate(keys, counts, Reference.known(q))[0])


def counted(keys, c, d):
    return float(estimate(keys, c, Reference.counted(np.atleast_2d(d)))[0])


def every_value():
    """Yield (name, sample, agreed, ours, within) of every agreed number."""
    for vector in VECTORS:
        for sample, agreed in vector.values.items():
            [ours] = estimate(vector.keys, *SAMPLES[sample])
            yield vector.name, sample, agreed, float(ours), vector.within
    for target, agreed in OF_V1.items():
        [ours] = estimate({"kind": "plug_in"}, *SAMPLES["V1"], divergence(target))
        yield target, "V1", agreed, float(ours), EXACTLY
    p, q = np.array([0.2, 0.2, 0.6]), np.array([0.1, 0.4, 0.5])
    for unit, agreed in OF_THREE.items():
        yield "KL(p‖q)", unit, agreed, float(KL(p, q)) / KL.per_unit(unit), EXACTLY


AGREED = list(every_value())


# agreed numbers


@pytest.mark.parametrize(
    ("agreed", "ours", "within"),
    [row[2:] for row in AGREED],
    ids=[f"{name}-{sample}" for name, sample, *_ in AGREED],
)
def test_an_estimate_is_the_agreed_number(agreed, ours, within):
    if within == EXACTLY:  # to a last digit where fewer than 12 were published
        assert ours == pytest.approx(agreed, rel=1e-12, abs=1e-14, nan_ok=True)
    else:
        assert ours == pytest.approx(agreed, abs=within)


def test_every_estimator_on_the_shelf_has_an_agreed_number():
    assert {vector.keys["kind"] for vector in VECTORS} == set(ESTIMATORS.kinds())


@vectors
def test_the_number_is_the_sum_of_the_terms(vector):
    estimator = ESTIMATORS.build(vector.keys)
    for sample, agreed in vector.values.items():
        counts, reference = SAMPLES[sample]
        n = int(counts.sum())
        for size in (n, np.array([[n]])):
            with np.errstate(all="ignore"):
                terms = estimator.terms(counts[np.newaxis], size, reference, KL)
            if terms is not None:
                assert terms.shape == (1, len(counts))
                assert terms.sum() == pytest.approx(agreed, rel=1e-12, abs=1e-14, nan_ok=True)


@vectors
def test_the_number_does_not_depend_on_the_order_of_colours_or_trials(vector):
    rng = np.random.default_rng(3)
    for sample, agreed in vector.values.items():
        counts, reference = SAMPLES[sample]
        order = rng.permuted(np.tile(np.arange(len(counts)), (3, 1)), axis=1)
        if reference.counts is not None:
            reference = Reference.counted(reference.counts[0][order])
        found = estimate(vector.keys, counts[order], reference)
        assert found.tolist() == pytest.approx(
            [agreed] * 3, rel=vector.within, abs=vector.within / 100, nan_ok=True
        )


@on_s1
def test_the_entropy_rule_leads_from_one_model_to_another(vector):
    """D̂ = −Ĥ − Σ p̃ ln q, with p̃ what is learned and Ĥ the entropy behind the uniform value."""
    estimator = ESTIMATORS.build(vector.keys)
    learned = S1 / S1.sum()
    if vector.keys["kind"] == "dirichlet_mean":
        learned = (S1 + estimator.amount) / (S1 + estimator.amount).sum()
    elif hasattr(estimator, "learner"):
        learned = estimator.learner.fit(S1[np.newaxis])[0]
    q = np.arange(1, 12) / 66
    whole = vector.values["S1"] - log(11) - learned @ np.log(q)
    assert known(vector.keys, S1, q) == pytest.approx(whole, rel=vector.within, abs=0)


@pytest.mark.parametrize(
    ("name", "number"),
    [("laplace", 1), ("jeffreys", 0.5), ("perks", 1 / 11), ("minimax", sqrt(19) / 11)],
)
def test_a_named_amount_is_the_number_it_stands_for(name, number):
    assert known(adding(name), S1) == pytest.approx(known(adding(number), S1), rel=1e-14, abs=0)


def test_krichevskys_amount_is_his_constant():
    by_hand = (S1 + 0.50922) / (19 + 11 * 0.50922)
    whole = float(np.sum(by_hand * np.log(11 * by_hand)))
    assert known(adding("krichevsky"), S1) == pytest.approx(whole, rel=1e-13, abs=0)


def test_counting_is_infinite_where_the_model_lacks_a_drawn_colour_and_only_there():
    q = np.array([1, 1, 1, 0, 1, 1, 0, 0, 1, 1, 1]) / 8
    found = known({"kind": "plug_in"}, S1, q)
    assert found == pytest.approx(0.429512864069989 - log(11 / 8), rel=1e-12, abs=0)
    assert known({"kind": "plug_in"}, S1, q[::-1]) == np.inf
    assert known(adding(1), S1, q) == np.inf


# the jackknife, by leaving draws out


def plainly(c, d=None, q=None):
    """KL of shares, summed over colours that were drawn."""
    q = d / d.sum() if q is None else q
    some = c > 0
    return float(np.sum(c[some] / c.sum() * np.log(c[some] / c.sum() / q[some])))


def left_out(whole, counts, of):
    """Return the mean of a statistic over all draws, each left out once."""
    n = counts.sum()
    if n == 1:
        return whole
    one = np.eye(len(counts), dtype=int)
    return sum(counts[i] * of(counts - one[i]) for i in np.flatnonzero(counts)) / n


@pytest.mark.parametrize("seed", range(8))
def test_the_jackknife_leaves_out_draws_one_by_one(seed):
    rng = np.random.default_rng(seed)
    c, q = rng.integers(0, 6, 5) + np.eye(5, dtype=int)[0], rng.dirichlet(np.ones(5))
    whole, n = plainly(c, q=q), c.sum()
    by_hand = n * whole - (n - 1) * left_out(whole, c, partial(plainly, q=q))
    assert known({"kind": "jackknife"}, c, q) == pytest.approx(by_hand, rel=1e-11, abs=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_the_jackknife_of_two_samples_leaves_out_draws_of_either(seed):
    rng = np.random.default_rng(100 + seed)
    c, d = rng.integers(0, 6, 4) + np.eye(4, dtype=int)[1], rng.integers(2, 7, 4)
    whole, n, m = plainly(c, d), c.sum(), d.sum()
    by_hand = whole + (n - 1) * (whole - left_out(whole, c, lambda x: plainly(x, d)))
    by_hand += (m - 1) * (whole - left_out(whole, d, lambda x: plainly(c, x)))
    assert counted({"kind": "jackknife"}, c, d) == pytest.approx(by_hand, rel=1e-11, abs=1e-12)


def test_the_jackknife_of_one_draw_is_counting():
    q = np.array([0.2, 0.3, 0.5])
    assert known({"kind": "jackknife"}, [0, 1, 0], q) == pytest.approx(-log(0.3), rel=1e-13)
    assert counted({"kind": "jackknife"}, [2, 0], [1, 0]) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("d", [(1, 4, 4), (0, 4, 4)])
def test_the_jackknife_is_undefined_where_a_draw_left_out_leaves_none(d):
    assert np.isnan(counted({"kind": "jackknife"}, (1, 2, 3), d))
    assert np.isfinite(counted({"kind": "jackknife"}, (0, 2, 3), d))


# the bootstrap, by its sum


def part(kind, c, n, **keys):
    """Return what one colour adds to an entropy."""
    estimator = ESTIMATORS.build({"kind": kind, **keys})
    assert isinstance(estimator, AdditiveEntropy)
    with np.errstate(all="ignore"):  # as quiet as a block keeps it
        return float(estimator.part(np.array([float(c)]), np.array([float(n)]), 2)[0])


def bootstrap_part(c, n):
    """−p̂ ln p̂ + E[(k/n) ln(k/c)] to 30 digits, k within 14 standard deviations of c."""
    with mp.workdps(40):
        p, size = mp.mpf(c) / n, mp.mpf(n)
        reach = 14 * sqrt(c * (1 - c / n)) + 40
        first, last = max(1, int(c - reach)), min(n, int(c + reach))
        chance = mp.binomial(n, first) * p**first * (1 - p) ** (n - first)
        total, ratio = mp.mpf(0), p / (1 - p)
        for k in range(first, last + 1):
            total += chance * k / size * mp.log(mp.mpf(k) / c)
            chance *= ratio * (n - k) / (k + 1)
        return float(total - p * mp.log(p))


@pytest.mark.parametrize(
    ("c", "n"),
    [
        (1, 2),
        (1, 10**6),
        (3, 10),
        (19, 20),
        (500, 10**9),
        (998, 1000),
        (299, 5000),
        (300, 301),
        (300, 320),
        (300, 5000),
        (301, 10**9),
        (1000, 1001),
        (1000, 1040),
        (1000, 5000),
        (1001, 5000),
        (1000, 10**9),
        (4000, 10**5),
    ],
)
def test_the_bootstrap_part_is_its_sum_on_both_sides_of_the_seam(c, n):
    assert part("bootstrap_corrected", c, n) == pytest.approx(bootstrap_part(c, n), rel=1e-12)


@pytest.mark.parametrize("n", [500, 5000, 10**6])
def test_the_seam_of_the_bootstrap_is_not_to_be_seen(n):
    """Fourth differences of a smooth function of c all but vanish; those of a step would not."""
    c = np.arange(290.0, 311.0)
    estimator = ESTIMATORS.build({"kind": "bootstrap_corrected"})
    with np.errstate(all="ignore"):
        bias = n * estimator.part(c, np.full_like(c, n), 2) + c * np.log(c / n)
    assert abs(np.diff(bias, 4)).max() < 1e-10 * abs(bias).max()


def test_the_bootstrap_of_one_colour_has_nothing_to_correct():
    for n in (1, 7, 1000, 10**9):
        assert part("bootstrap_corrected", n, n) == 0
        assert part("bootstrap_corrected", 0, n) == 0


@pytest.mark.parametrize("counts", [(2, 3), (4, 1, 0), (1, 2, 5)], ids=str)
def test_the_bootstrap_takes_off_the_mean_over_all_samples_of_the_sample(counts):
    c = np.array(counts)
    n, q = c.sum(), np.arange(1, len(c) + 1) / np.arange(1, len(c) + 1).sum()
    grids = np.meshgrid(*[np.arange(n + 1)] * len(c), indexing="ij")
    ways = np.stack([grid.ravel() for grid in grids], axis=1)
    ways = ways[ways.sum(axis=1) == n]
    chance = np.exp(gammaln(n + 1) - gammaln(ways + 1).sum(axis=1)) * np.prod(
        (c / n) ** ways, axis=1
    )
    bias = chance @ np.array([plainly(way, q=q) for way in ways]) - plainly(c, q=q)
    found = known({"kind": "bootstrap_corrected"}, c, q)
    assert found == pytest.approx(plainly(c, q=q) - bias, rel=1e-12, abs=1e-13)


# Z and G, by their series


def z_series(c, d):
    """Zhang and Grabchak's sums of products, in whole numbers."""
    n, m = sum(c), sum(d)
    total = Fraction(0)
    for own, other in zip(c, d, strict=True):
        if own:
            total += Fraction(own, n) * (_rest(other, m, m) - _rest(own - 1, n - 1, n - 1))
    return float(total)


def _rest(k, size, terms):
    """Σ_{v=1}^{terms} (1/v) Π_{j<v} (1 − k/(size − j)): unbiased for the series of −ln share."""
    total, product = Fraction(0), Fraction(1)
    for v in range(1, terms + 1):
        product *= 1 - Fraction(k, size - v + 1)
        total += product / v
        if not product:
            break
    return total


@pytest.mark.parametrize(
    ("c", "d"), [V1, V3, ((1, 0), (0, 1)), ((5, 0, 2), (0, 0, 3)), ((9, 1), (1, 40))], ids=str
)
def test_z_is_its_series_of_products(c, d):
    c, d = [[int(x) for x in each] for each in (c, d)]
    exactly = z_series(c, d)
    assert counted({"kind": "zhang_grabchak"}, c, d) == pytest.approx(exactly, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize(("c", "d"), [((2, 1), (1, 2)), ((1, 1, 2), (2, 0, 1))], ids=str)
def test_z_is_a_mean_over_subsets_of_the_draws(c, d):
    """Π_{j<v}(1 − k/(m − j)) is the share of v draws of m, without replacement, that miss."""
    m = sum(d)
    for k in d:
        for v in range(1, m + 1):
            product = np.prod([1 - k / (m - j) for j in range(v)])
            share = mp.binomial(m - k, v) / mp.binomial(m, v)
            assert float(product) == pytest.approx(float(share), abs=1e-15)
    assert counted({"kind": "zhang_grabchak"}, c, d) == pytest.approx(z_series(c, d), rel=1e-12)


def test_z_of_one_sample_is_the_entropy_series_of_products():
    by_hand = sum(Fraction(int(x), 19) * _rest(int(x) - 1, 18, 18) for x in S1 if x)
    assert log(11) - float(by_hand) == pytest.approx(
        known({"kind": "zhang_grabchak"}, S1), rel=1e-12
    )


def grassberger(c):
    """G(1) = −γ − ln 2, G(2) = 2 + G(1), G(2k+1) = G(2k), G(2k+2) = G(2k) + 2/(2k+1)."""
    first = -mp.euler - mp.log(2)
    return float(first + sum(mp.mpf(2) / (2 * k + 1) for k in range(c // 2)))


@pytest.mark.parametrize("c", [1, 2, 3, 4, 5, 10, 11, 100, 1001])
def test_grassbergers_g_is_his_recursion(c):
    n = 2000
    found = log(n) - part("grassberger", c, n) * n / c
    assert found == pytest.approx(grassberger(c), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("c", [1, 2, 7, 60])
def test_grassbergers_first_correction_is_the_one_of_1988(c):
    with mp.workdps(30):
        exactly = mp.log(100) - mp.psi(0, c) - mp.mpf(-1) ** c / (c + 1)
        exactly = float(exactly * c / 100)
    assert part("grassberger", c, 100, year=1988) == pytest.approx(exactly, rel=1e-12)


def test_grassbergers_g_of_a_billion_is_the_logarithm():
    n = 4 * 10**9
    for c in (10**9, 10**9 + 1):
        found = log(n) - part("grassberger", c, n) * n / c
        assert found == pytest.approx(log(c), rel=1e-10)


# integrals over a prior, by other means


def nsb_entropy(counts):
    """The posterior mean of the entropy, over ln β by adaptive quadrature."""
    n, colours = int(sum(counts)), len(counts)

    def weight(x):
        beta = mp.e**x
        slope = colours * mp.psi(1, colours * beta + 1) - mp.psi(1, beta + 1)
        rise = mp.fprod(mp.rf(beta, c) for c in counts if c)
        return slope * beta * rise / mp.rf(colours * beta, n)

    def mean(x):
        beta = mp.e**x
        whole = n + colours * beta
        each = (
            (c + beta) / whole * (mp.psi(0, whole + 1) - mp.psi(0, c + beta + 1)) for c in counts
        )
        return mp.fsum(each)

    with mp.workdps(15):
        places = [-36, -8, -3, 0, 3, 8, 36]
        total = mp.quad(weight, places)
        return float(mp.quad(lambda x: weight(x) * mean(x), places) / total)


@pytest.mark.parametrize("counts", [(2, 1, 0), (9, 0, 0, 0)], ids=str)
def test_nsb_is_its_integral(counts):
    q = np.full(len(counts), 1 / len(counts))
    exactly = log(len(counts)) - nsb_entropy(counts)
    assert known({"kind": "nsb"}, counts, q) == pytest.approx(exactly, abs=1e-6)


def mixture(c, d, low, high, points=120):
    """The mixture's plane by plain Gauss–Legendre over (ln a, ln b), cut where φ has its kink."""
    colours, ends = len(c), (log(low), log(high))
    x, own = legendre(*ends, points)
    a = np.exp(x)
    entropy = psi(colours * a + 1) - psi(a + 1)
    # D = ln K where B(b) = A(a) + ln K, and B falls: halve the range of ln b again and again
    under, over = np.full(points, ends[0]), np.full(points, ends[1])
    for _ in range(60):
        middle = (under + over) / 2
        b = np.exp(middle)
        above = psi(colours * b) - psi(b) - entropy > log(colours)
        under, over = np.where(above, middle, under), np.where(above, over, middle)
    pieces = [legendre(from_, to, points) for from_, to in ((ends[0], under), (under, ends[1]))]
    y, other = (np.concatenate(each, axis=-1) for each in zip(*pieces, strict=True))
    return weighed(c, d, (a[:, np.newaxis], own[:, np.newaxis]), (np.exp(y), other))


def legendre(low, high, points):
    """Return nodes and weights from low to high, elementwise where these are arrays."""
    unit, weights = np.polynomial.legendre.leggauss(points)
    low, half = np.asarray(low)[..., np.newaxis], np.asarray((high - low) / 2)[..., np.newaxis]
    return low + (unit + 1) * half, weights * half


def weighed(c, d, first, second):
    (a, own), (b, other), colours = first, second, len(c)
    rise_a = colours * polygamma(1, colours * a + 1) - polygamma(1, a + 1)
    rise_b = polygamma(1, b) - colours * polygamma(1, colours * b)
    away = psi(colours * b) - psi(b) - psi(colours * a + 1) + psi(a + 1)
    log_weight = np.log(rise_a * a * rise_b * b) - np.log(away * np.minimum(away, log(colours)))
    for counts, each in ((c, a), (d, b)):
        log_weight = log_weight + gammaln(colours * each) - gammaln(sum(counts) + colours * each)
        log_weight = log_weight + sum(gammaln(k + each) - gammaln(each) for k in counts)
    weight = np.exp(log_weight - log_weight.max()) * own * other
    n, m = sum(c) + colours * a, sum(d) + colours * b
    mean = sum(
        (i + a) / n * (psi(i + a + 1) - psi(n + 1) - psi(j + b) + psi(m))
        for i, j in zip(c, d, strict=True)
    )
    return float(np.sum(weight * mean) / weight.sum())


@pytest.mark.parametrize(
    ("c", "d", "low", "high"),
    [
        ((2, 1, 0), (1, 0, 3), 1e-3, 100.0),
        ((0, 5), (4, 0), 1e-3, 100.0),
        ((1, 0, 0, 0, 0), (0, 0, 1, 0, 0), 1e-3, 100.0),
        ((3, 1, 0, 0), (1, 1, 1, 1), 0.1, 10.0),
        (V1[0].tolist(), V1[1].tolist(), 1e-3, 100.0),
        (V1[0].tolist(), V1[1].tolist(), 1e-2, 1e3),
    ],
)
def test_the_mixture_of_dirichlets_is_its_integral_over_the_box(c, d, low, high):
    found = counted({"kind": "dirichlet_mixture", "low": low, "high": high}, c, d)
    once, twice = (mixture(c, d, low, high, points) for points in (120, 160))
    assert once == pytest.approx(twice, rel=1e-9)  # the check itself has settled
    assert found == pytest.approx(twice, rel=1e-6)


def test_a_mixture_over_a_box_that_is_a_point_is_the_mean_under_one_prior():
    keys = {"kind": "dirichlet_mixture", "low": 0.5, "high": 0.5 * (1 + 1e-9)}
    exactly = counted({"kind": "dirichlet_mean", "amount": 0.5}, *V1)
    assert counted(keys, *V1) == pytest.approx(exactly, rel=1e-6)


# learners


def test_james_stein_shrinks_towards_what_is_given():
    counts, weights = [4, 1, 0, 5], [1, 2, 3, 2]
    t = [Fraction(w, 8) for w in weights]
    p = [Fraction(c, 10) for c in counts]
    away = sum((a - b) ** 2 for a, b in zip(t, p, strict=True))
    share = (1 - sum(x * x for x in p)) / (9 * away)
    assert 0 < share < 1
    exactly = [float(share * a + (1 - share) * b) for a, b in zip(t, p, strict=True)]
    learner = {"kind": "james_stein", "towards": tuple(weights)}
    [learned] = LEARNERS.build(learner).fit(np.array([counts]))
    assert learned == pytest.approx(exactly, rel=1e-14)
    q = np.array([0.1, 0.2, 0.3, 0.4])
    found = known(plug_in(**learner), counts, q)
    assert found == pytest.approx(float(KL(np.array(exactly), q)), rel=1e-13)


@pytest.mark.parametrize(
    ("counts", "learned"),
    [
        ([1, 0], [0.5, 0.5]),  # one draw says nothing
        ([3, 3], [0.5, 0.5]),  # what was counted is the guess
        ([10, 9], [0.5, 0.5]),  # the share would be above 1
        ([7, 0], [1.0, 0.0]),  # no spread: nothing is shrunk
    ],
)
def test_james_stein_keeps_its_share_within_its_bounds(counts, learned):
    [found] = LEARNERS.build({"kind": "james_stein"}).fit(np.array([counts]))
    assert found.tolist() == pytest.approx(learned, abs=1e-15)


@pytest.mark.parametrize(
    ("amount", "taken"), [(0.5, 0.5), ("estimated", 3 / (3 + 2 * 2)), (1, 1.0)]
)
def test_absolute_discounting_takes_the_same_off_every_colour_that_was_seen(amount, taken):
    counts = np.array([[1, 1, 1, 2, 2, 9, 0, 0]])
    [found] = LEARNERS.build({"kind": "absolute_discounting", "amount": amount}).fit(counts)
    exactly = (np.maximum(counts[0] - taken, 0) + taken * 6 / 8) / 16
    assert found == pytest.approx(exactly, rel=1e-14)


def test_absolute_discounting_takes_a_half_where_nothing_tells_how_much():
    counts = np.array([[5, 3, 0]])
    [found] = LEARNERS.build({"kind": "absolute_discounting", "amount": "estimated"}).fit(counts)
    assert found == pytest.approx((counts[0] - [0.5, 0.5, 0] + 1 / 3) / 8, rel=1e-14)


def test_chao_shens_coverage_leaves_one_draw_where_all_were_lone():
    """f₁ = n would leave no coverage at all; n − 1 leaves 1/n."""
    share = 1 / 9
    by_hand = -3 * share * log(share) / (1 - (1 - share) ** 3)
    assert log(5) - known({"kind": "chao_shen"}, [1, 1, 1, 0, 0], np.full(5, 0.2)) == pytest.approx(
        by_hand, rel=1e-12
    )


def test_the_surprise_of_a_colour_of_hardly_any_chance_is_not_lost():
    q = np.array([exp(-600.0), 1 - exp(-600.0)])
    assert known({"kind": "plug_in"}, [1, 0], q) == pytest.approx(600, rel=1e-12)


def _print() -> None:
    print(f"{'':34}{'':6}{'agreed':>20}{'ours':>22}{'difference':>12}")
    for name, sample, agreed, ours, _ in AGREED:
        same = ours == agreed or (np.isnan(ours) and np.isnan(agreed))
        away = 0.0 if same else ours - agreed
        print(f"{name:34}{sample:6}{agreed:20.15g}{ours:22.15g}{away:12.1e}")


if __name__ == "__main__":
    _print()
