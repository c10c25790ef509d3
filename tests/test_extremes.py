"""The ends of the likelihood region, against grids and searches from many starts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq, minimize
from scipy.special import rel_entr
from scipy.stats import chi2

from sim.divergences import KL, TARGETS
from sim.extremes import ends, highest, lowest, projected

LIMIT = float(chi2.ppf(0.95, 1)) / 2
PAIRS = [(0, 1), (1, 0), (1, 1), (0, 9), (3, 7), (5, 5), (1, 999), (40, 60), (10**6, 10**6 + 1)]


def region(share: np.ndarray, radius: float, points: int = 900) -> np.ndarray:
    """Return all p of a fine grid over three colours that are near."""
    x = np.linspace(0, 1, points + 1)
    one, two = (part.ravel() for part in np.meshgrid(x, x))
    inner = one + two <= 1 + 1e-12
    p = np.stack([one, two, np.maximum(1 - one - two, 0)], axis=1)[inner]
    return p[rel_entr(share, p).sum(axis=1) <= radius]


def searched(share: np.ndarray, q: np.ndarray, radius: float, seed: int) -> tuple[float, float]:
    """Return the least and the greatest KL(p‖q) that searches from many starts come to."""
    rng = np.random.default_rng(seed)
    inside = {
        "type": "ineq",
        "fun": lambda p: radius - rel_entr(share, np.maximum(p, 1e-14)).sum(),
    }
    whole = {"type": "eq", "fun": lambda p: p.sum() - 1}
    best = {1: np.inf, -1: -np.inf}
    for _ in range(8):
        start = 0.7 * share + 0.3 * rng.dirichlet(np.ones(len(q)))
        for sign in (1, -1):
            found = minimize(
                lambda p, sign=sign: sign * rel_entr(np.maximum(p, 1e-14), q).sum(),
                start,
                constraints=[whole, inside],
                bounds=[(1e-13, 1)] * len(q),
                method="SLSQP",
                options={"ftol": 1e-13, "maxiter": 200},
            ).x
            p = np.maximum(found, 0) / np.maximum(found, 0).sum()
            if rel_entr(share, p).sum() <= radius * (1 + 1e-7):
                value = float(rel_entr(p, q).sum())
                best[sign] = min(best[1], value) if sign == 1 else max(best[-1], value)
    return best[1], best[-1]


@pytest.mark.parametrize("counts", PAIRS, ids=str)
def test_two_colours_have_the_ends_of_their_region(counts):
    n = sum(counts)
    share, radius = counts[0] / n, LIMIT / n
    least, most = (float(end[0]) for end in ends(np.array([share]), np.array([radius])))

    def off(p: float) -> float:
        return float(rel_entr(share, p) + rel_entr(1 - share, 1 - p)) - radius

    if counts[0] == 0:
        assert least == 0
        assert most == pytest.approx(-np.expm1(-radius), rel=1e-9)
    elif counts[1] == 0:
        assert most == 1
        assert least == pytest.approx(np.exp(-radius), rel=1e-9)
    else:
        assert least == pytest.approx(brentq(off, 1e-300, share, xtol=1e-16), rel=1e-7)
        assert most == pytest.approx(brentq(off, share, 1 - 1e-16, xtol=1e-16), rel=1e-7)


@pytest.mark.parametrize("counts", PAIRS[:8], ids=str)
@pytest.mark.parametrize("q", [(0.5, 0.5), (0.4, 0.6), (0.01, 0.99)], ids=str)
def test_two_colours_come_out_alike_by_their_ends_and_by_the_search(counts, q):
    n, known = sum(counts), np.array(q)
    shares, radius = np.array([counts]) / n, np.array([LIMIT / n])
    lower, upper = projected(KL, *ends(shares[:, 0], radius), known)
    assert lowest(shares, known, radius) == pytest.approx(lower, rel=1e-8, abs=1e-14)
    assert highest(shares, known, radius) == pytest.approx(upper, rel=1e-8)


def test_a_projection_is_0_where_q_lies_within():
    low, high, q = np.array([0.1, 0.5, 0.7]), np.array([0.4, 0.9, 0.8]), np.array([0.5, 0.5])
    target = TARGETS["total_variation"]
    lower, upper = projected(target, low, high, q)
    assert lower == pytest.approx([0.1, 0.0, 0.2])
    assert upper == pytest.approx([0.4, 0.4, 0.3])


QS = [(1, 1, 1), (0.05, 0.15, 0.8), (0.6, 0.399, 0.001)]
TRIPLES = [
    *((1, 0, 0), (0, 0, 1), (1, 1, 0), (2, 0, 1), (1, 1, 1), (0, 3, 2), (10, 0, 0), (0, 4, 6)),
    *((3, 3, 4), (1, 0, 9), (20, 30, 50), (2, 18, 80)),
]


@pytest.mark.parametrize("counts", TRIPLES, ids=str)
def test_three_colours_have_what_a_grid_shows(counts):
    n = sum(counts)
    share, radius = np.array(counts) / n, LIMIT / n
    near = region(share, radius)
    for q in (np.array(q) / sum(q) for q in QS):
        grid = KL(near, q)
        lower = lowest(share[np.newaxis], q, np.array([radius]))[0]
        upper = highest(share[np.newaxis], q, np.array([radius]))[0]
        # no point of the grid lies beyond, and some lie within a step of 1/900
        assert lower <= grid.min() + 1e-12
        assert upper >= grid.max() - 1e-12
        steep = 3 * (np.abs(np.log(q)).max() + np.log(900)) / 900
        assert grid.min() - lower < steep
        assert upper - grid.max() < steep


@pytest.mark.parametrize("seed", range(8))
def test_more_colours_have_what_searches_come_to(seed):
    rng = np.random.default_rng(seed)
    colours, n = int(rng.integers(3, 6)), int(rng.choice([2, 5, 20, 200]))
    q = rng.dirichlet(np.ones(colours)) * 0.99 + 0.01 / colours
    share = rng.multinomial(n, rng.dirichlet(np.ones(colours))) / n
    low, high = searched(share, q, LIMIT / n, seed)
    lower = lowest(share[np.newaxis], q, np.array([LIMIT / n]))[0]
    upper = highest(share[np.newaxis], q, np.array([LIMIT / n]))[0]
    assert lower == pytest.approx(low, rel=1e-5, abs=1e-7)
    assert upper >= high - 1e-6  # a search may end on a lower top, never on a higher one


@pytest.mark.parametrize("seed", range(4))
def test_no_climb_from_any_colour_gets_higher(seed, monkeypatch):
    rng = np.random.default_rng(100 + seed)
    q = rng.dirichlet(np.ones(8))
    counts = np.concatenate(
        [rng.multinomial(n, rng.dirichlet(np.ones(8)), size=60) for n in (4, 12, 60)]
    )
    size = counts.sum(axis=1)
    shares, radius = counts / size[:, np.newaxis], LIMIT / size
    found = highest(shares, q, radius)
    monkeypatch.setattr("sim.extremes._PUSHED", 8)
    assert found == pytest.approx(highest(shares, q, radius), rel=1e-9)


def test_the_nearest_p_lies_on_the_edge_of_the_region_and_no_chord_gets_lower():
    rng = np.random.default_rng(6)
    q = np.full(6, 1 / 6)
    counts = np.array([[9, 1, 0, 0, 3, 0], [30, 5, 5, 0, 0, 2], [1, 0, 0, 7, 0, 0]])
    size = counts.sum(axis=1)
    lower = lowest(counts / size[:, np.newaxis], q, LIMIT / size)
    for row, n, least in zip(counts, size, lower, strict=True):
        p = rng.dirichlet(row + 0.3, size=20_000)
        near = p[rel_entr(row / n, p).sum(axis=1) <= LIMIT / n]
        assert len(near) > 20
        assert KL(near, q).min() >= least > 0


def test_where_q_itself_is_near_the_least_is_0():
    q = np.array([0.2, 0.3, 0.5])
    assert lowest(np.array([[0.25, 0.3, 0.45]]), q, np.array([0.02])).tolist() == [0.0]


def test_impossible_colours_make_the_ends_infinite():
    q, radius = np.array([0.5, 0.5, 0.0]), np.full(2, 0.3)
    shares = np.array([[0.5, 0.5, 0.0], [0.4, 0.5, 0.1]])
    assert lowest(shares, q, radius).tolist() == [0.0, np.inf]
    assert highest(shares, q, radius).tolist() == [np.inf, np.inf]
    one = np.ones((2, 1))
    assert highest(one, np.ones(1), radius).tolist() == [0.0, 0.0]
    assert lowest(one, np.ones(1), radius).tolist() == [0.0, 0.0]


def test_a_colour_that_was_not_drawn_may_take_mass():
    # one colour seen in 4 draws; all of e^−r left over goes to the rarest one
    q, radius = np.array([0.5, 0.49, 0.01]), LIMIT / 4
    upper = highest(np.array([[1.0, 0, 0]]), q, np.array([radius]))[0]
    kept = np.exp(-radius)
    assert upper == pytest.approx(KL(np.array([kept, 0, 1 - kept]), q), rel=1e-12)


def test_many_draws_keep_their_digits():
    """With n → ∞ the ends are D ± √(2 r V) to first order."""
    q = np.array([0.2, 0.3, 0.5])
    for n in (10**8, 10**11):
        counts = np.array([n // 2, n // 4, n // 4])
        share, radius = counts / n, LIMIT / n
        low = lowest(share[np.newaxis], q, np.array([radius]))[0]
        high = highest(share[np.newaxis], q, np.array([radius]))[0]
        middle = KL(share, q)
        reach = np.sqrt(2 * radius * (np.sum(share * np.log(share / q) ** 2) - middle**2))
        assert (high - middle) / reach == pytest.approx(1, abs=10 / np.sqrt(n) + 1e-6)
        assert (middle - low) / reach == pytest.approx(1, abs=10 / np.sqrt(n) + 1e-6)


def test_rows_do_not_depend_on_each_other():
    rng = np.random.default_rng(2)
    q = rng.dirichlet(np.ones(5))
    counts = rng.multinomial(15, rng.dirichlet(np.ones(5)), size=30)
    radius = np.full(30, LIMIT / 15)
    for function in (lowest, highest):
        whole = function(counts / 15, q, radius)
        for rows in (slice(0, 1), slice(5, 9)):
            part = function(counts[rows] / 15, q, radius[rows])
            assert part == pytest.approx(whole[rows], rel=1e-9, abs=1e-13)
