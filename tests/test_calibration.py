"""Every reported Monte Carlo error is the spread that is seen when whole studies are repeated.

The root mean square of so many nearly normal values has a relative error of 1/√(2·repeats): 2.2 %
for 1000 repeats, 3.2 % for 500. A ratio of reported to seen must lie within 4 such errors of 1,
10 % at most, with a fixed seed. `python -m tests.studies` prints all ratios (docs/calibration.md).

Two kinds of errors are known to be too large and may be: that of a coverage near 0 or 1, of
which few trials tell anything (Agresti & Coull), and those of fits to the heavy tails of `rare`.
Where an error would be too small it is withheld: these rows are flagged, and named here.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

import numpy as np
import pytest
import studies
from studies import BAGS, QUANTILES, TRIALS, Ratio, Studies

from sim.analysis.summary import proportion_mcse

LEVEL = 0.95


def bound(repeats: int) -> float:
    return min(0.10, 4 / sqrt(2 * repeats))


def may_be_larger(one: Ratio) -> bool:
    if one.what[0] == "rare" and ":" in one.what[-1]:
        return True
    return one.what[-1] == "coverage" and min(one.value, 1 - one.value) < 10 / TRIALS


def may_be_flagged(one: Ratio) -> bool:
    """Return whether an error is known to fail: few trials carry it, or chance picks its sizes."""
    bag, model, estimator, _, quantity = one.what
    if bag == "rare":
        return True
    barely_seen = estimator == "miller_madow" or (bag, model, estimator) == (
        *("five", "uniform", "laplace"),
    )
    return quantity.startswith("bias: ") and barely_seen


def is_exact(one: Ratio) -> bool:
    """Return whether a quantity follows from no trial: a combination of controls, a constant."""
    if one.what[-1] == "adjusted_bias":
        return one.what[2] in ("counting", "miller_madow") and one.what[0] != "rare"
    return one.what[2] == "counting, miller_madow" and one.what[-1] == "difference"


def fault(one: Ratio) -> str | None:
    """Say in what an error is not what is seen."""
    if one.is_flagged:
        return None if may_be_flagged(one) else f"flagged: {one}"
    if one.is_exact or is_exact(one):
        return None if one.is_exact and is_exact(one) else f"exact: {one}"
    off = one.ratio - 1
    if off < -bound(one.repeats) or (off > bound(one.repeats) and not may_be_larger(one)):
        return f"{off / one.error:+.1f} errors: {one}"
    return None


def faults(found: Studies) -> Iterator[str]:
    """Yield every fault of the studies of a bag."""
    yield from filter(None, map(fault, found.ratios))
    for place, z in found.z.items():
        if abs(z.mean()) > 4 / sqrt(len(z)) or abs(z.std(ddof=1) - 1) > bound(len(z)):
            yield f"z: {place} mean {z.mean():+.3f}, sd {z.std(ddof=1):.3f}"
    least = LEVEL - 4 * sqrt(LEVEL * (1 - LEVEL) / found.repeats)
    for place, covered in found.covered.items():
        if covered < least:
            yield f"interval of a quantile: {place} holds it in {covered:.1%}"


@pytest.mark.parametrize("bag", BAGS)
def test_every_reported_error_is_the_spread_over_studies(bag):
    found = studies.studies(bag)
    print(*studies.lines(found), sep="\n")
    assert not list(faults(found))
    # no fit of what is well seen picks its sizes
    assert bag == "rare" or found.windows == {(10, 100)}
    # nothing was left out: two models, three estimators, four sizes
    assert len(found.z) == 2 * 3 * 4
    assert len(found.covered) == 2 * 3 * 4 * len(QUANTILES)
    for name in ("bias", "sd", "rmse", "mae", "adjusted_bias", "difference", "mse_ratio"):
        assert len(found.of(name)) == 2 * 3 * 4, name
        # over sizes and estimators cells share draws: as many as a few that do not
        mean = np.mean([one.ratio for one in found.of(name) if not one.is_exact])
        assert bag == "rare" or abs(mean - 1) < bound(4 * found.repeats), name
    for name in ("coverage", "width"):
        assert len(found.of(name)) == 2 * 2 * 4, name
    for quantity in ("bias", "sd", "rmse"):
        assert len(found.of(f"{quantity}: rate", f"{quantity}: constant")) == 2 * 2 * 3


@pytest.mark.parametrize("p", [0.5, 0.1, 0.01])
def test_the_reported_error_of_a_proportion_is_its_spread_over_studies(p):
    successes = np.random.default_rng(1).binomial(TRIALS, p, size=4000)
    errors = [proportion_mcse(int(number), TRIALS) for number in successes]
    # 4000 repeats: 1.1 %, and the rms of √(p(1−p)/R) has no bias but p's own, 1/R
    ratio = sqrt(np.mean(np.square(errors))) / float(np.std(successes / TRIALS, ddof=1))
    assert abs(ratio - 1) < 4 / sqrt(2 * 4000)
