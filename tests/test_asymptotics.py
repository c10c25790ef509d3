"""Leading terms for large n: exact values tend to them, and where there is none, none is given."""

from __future__ import annotations

from math import log, sqrt
from typing import get_args

import numpy as np
import pytest

from sim.asymptotics import (
    PowerLaw,
    Quantity,
    counted_kl,
    like_counted,
    like_counted_entropy,
)
from sim.contracts.arrays import Reference
from sim.contracts.estimator import Loss
from sim.divergences import ENTROPY, KL, KL_LOSS
from sim.estimators.dirichlet_mean import DirichletMean
from sim.estimators.grassberger import Grassberger
from sim.estimators.miller_madow import MillerMadow
from sim.estimators.plug_in import PlugIn
from sim.estimators.zhang_grabchak import ZhangGrabchak
from sim.exact import exact
from sim.laws import Multinomial
from sim.learners.add_constant import AddConstant
from sim.learners.relative_frequency import RelativeFrequency

NAMED = ("laplace", "jeffreys", "perks", "krichevsky")
ESTIMATORS = {
    "counting": PlugIn(),
    "known": MillerMadow(),
    "observed": MillerMadow(colours="observed"),
    "minimax": PlugIn(learner=AddConstant(amount="minimax")),
    **{name: PlugIn(learner=AddConstant(amount=name)) for name in NAMED},
    "tenth": PlugIn(learner=AddConstant(amount=0.1)),
}
LOSSES = {
    "counting": Loss(learner=RelativeFrequency()),
    "minimax": Loss(learner=AddConstant(amount="minimax")),
    **{name: Loss(learner=AddConstant(amount=name)) for name in NAMED},
}
BAGS = {
    "two": ((10, 15), (1, 1)),
    "two alike": ((10, 15), (4, 6)),
    "three": ((5, 3, 2), (2, 3, 5)),
    "three alike": ((1, 1, 1), (1, 1, 1)),
    "four": ((7, 4, 2, 1), (1, 1, 1, 1)),
    "four alike": ((7, 4, 2, 1), (7, 4, 2, 1)),
}
QUANTITIES = get_args(Quantity)


def mix(balls):
    return np.array(balls, dtype=np.float64) / sum(balls)


def measured(quantity, estimator, p, q, n, target=KL):
    """Return the exact bias, sd or rmse at n draws."""
    known = exact(Multinomial(n, p), estimator, Reference.known(q), target)
    bias = known.mean - (0.0 if target is KL_LOSS else float(target(p, q)))
    return {"bias": bias, "sd": known.sd, "rmse": sqrt(bias**2 + known.sd**2)}[quantity]


def departures(law, quantity, *case):
    """Return by how much of itself an exact error departs from its law at n = 10⁴ and 10⁵."""
    return [
        measured(quantity, *case[:3], n, *case[3:]) / (law.constant * n**law.rate) - 1
        for n in (10**4, 10**5)
    ]


def assert_is_the_leading_term(law, quantity, *case):
    at_first, later = departures(law, quantity, *case)
    assert abs(later) < 1e-3
    # what is left out is of the order 1/n: ten times the draws leave a tenth
    assert abs(later) < 0.2 * abs(at_first) + 1e-9


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("bag", BAGS)
@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name != "minimax"])
def test_exact_errors_tend_to_the_law_of_their_estimator(name, bag, quantity):
    p, q = map(mix, BAGS[bag])
    law = ESTIMATORS[name].theory(quantity, p, q, KL)
    if law is None:
        assert quantity == "bias"
        assert isinstance(ESTIMATORS[name], MillerMadow)
        return
    assert_is_the_leading_term(law, quantity, ESTIMATORS[name], p, q)


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("bag", BAGS)
@pytest.mark.parametrize("name", [name for name in LOSSES if name != "minimax"])
def test_exact_losses_tend_to_the_law_of_their_learner(name, bag, quantity):
    p = mix(BAGS[bag][0])
    law = LOSSES[name].theory(quantity, p, p, KL_LOSS)
    assert_is_the_leading_term(law, quantity, LOSSES[name], p, p, KL_LOSS)


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("name", ["counting", "known", "observed"])
@pytest.mark.parametrize("q", [(4, 6, 0), (1, 1, 0), (4, 6, 5), (3, 3, 4)], ids=str)
def test_a_colour_that_the_bag_lacks_is_no_dimension(q, name, quantity):
    p = mix((4, 6, 0))
    law = ESTIMATORS[name].theory(quantity, p, mix(q), KL)
    if law is None:
        assert name != "counting"
        assert quantity != "sd"
        return
    assert_is_the_leading_term(law, quantity, ESTIMATORS[name], p, mix(q))


@pytest.mark.parametrize("bag", BAGS)
@pytest.mark.parametrize("name", ["known", "observed"])
def test_miller_madow_has_no_bias_of_the_order_one_over_n(name, bag):
    p, q = map(mix, BAGS[bag])
    at_first, later = (n * measured("bias", ESTIMATORS[name], p, q, n) for n in (10**3, 10**4))
    assert abs(at_first) < 0.01
    assert abs(later) < 0.2 * abs(at_first)
    assert ESTIMATORS[name].theory("bias", p, q, KL) is None


def test_the_minimax_amount_shifts_by_more_than_one_over_n_and_has_no_law():
    p, q = mix((10, 15)), mix((1, 1))
    case = ESTIMATORS["minimax"], p, q
    first, later = (n * measured("bias", *case, n) for n in (10**3, 10**5))
    assert abs(later / first) > 5
    for quantity in QUANTITIES:
        assert ESTIMATORS["minimax"].theory(quantity, p, q, KL) is None
        assert LOSSES["minimax"].theory(quantity, p, p, KL_LOSS) is None


def test_the_constants_of_counting_are_the_textbook_ones():
    p, fair = mix((10, 15)), mix((1, 1))
    variance = 0.24 * log(0.4 / 0.6) ** 2
    assert counted_kl("bias", p, fair) == PowerLaw(-1.0, 0.5)
    assert counted_kl("bias", p, p) == PowerLaw(-1.0, 0.5)
    for quantity in ("sd", "rmse"):
        law = counted_kl(quantity, p, fair)
        assert law.rate == -0.5
        assert law.constant == pytest.approx(sqrt(variance), rel=1e-14, abs=0)
    assert counted_kl("sd", p, p) == PowerLaw(-1.0, sqrt(1 / 2))
    assert counted_kl("rmse", p, p) == PowerLaw(-1.0, sqrt(1 / 2 + 1 / 4))


@pytest.mark.parametrize("colours", [3, 10, 1000])
def test_the_bias_of_counting_is_half_the_dimension_whatever_q_is(colours):
    rng = np.random.default_rng(5)
    p, q = rng.dirichlet(np.ones(colours), 2)
    for model in (p, q, np.full(colours, 1 / colours)):
        assert counted_kl("bias", p, model) == PowerLaw(-1.0, (colours - 1) / 2)


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_a_model_that_is_the_bag_but_for_rounding_is_the_bag(quantity):
    p = mix((1, 2, 3, 4, 5, 6, 7))
    written = np.array([0.3, 0.6, 0.9, 1.2, 1.5, 1.8, 2.1])
    assert counted_kl(quantity, p, written / written.sum()) == counted_kl(quantity, p, p)


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_there_is_no_law_where_the_leading_term_is_no_power_of_n(quantity):
    p = mix((4, 6, 0))
    assert counted_kl(quantity, p, mix((1, 0, 1))) is None  # the divergence is infinite
    assert counted_kl(quantity, mix((5, 0)), mix((1, 1))) is None  # one colour: nothing errs
    fed = AddConstant(amount=1).drift(p)
    assert counted_kl(quantity, p, p, fed) is None  # n ln n stands where drift feeds no ball
    assert PlugIn(learner=AddConstant(amount=1)).theory(quantity, p, p, KL) is None
    assert PlugIn().theory(quantity, p, p, KL_LOSS) is None  # another target


def test_feeding_a_colour_without_balls_departs_from_every_power():
    """Why there is no law: n · bias grows with ln n."""
    p, q = mix((4, 6, 0)), mix((4, 6, 5))
    laplace = ESTIMATORS["laplace"]
    scaled = [n * measured("bias", laplace, p, q, n) for n in (10**3, 10**4, 10**5)]
    first, second = np.diff(scaled)
    assert second == pytest.approx(first, rel=0.02, abs=0)
    assert abs(second) == pytest.approx(log(10), rel=0.02, abs=0)


@pytest.mark.parametrize("learner", [RelativeFrequency(), *(AddConstant(amount=a) for a in NAMED)])
def test_drift_is_the_limit_of_the_bias_of_what_is_learned(learner):
    p, n = mix((7, 4, 2, 1)), 10**7
    expected = learner.share(n * p, n, 4)  # share is linear in the counts
    np.testing.assert_allclose(n * (expected - p), learner.drift(p), atol=1e-5)


# with the spread of counting and a bias of their own

OTHERS = {
    "known": MillerMadow(),
    "grassberger": Grassberger(),
    "zhang": ZhangGrabchak(),
    "dirichlet": DirichletMean(),
    "weak prior": DirichletMean(amount=0.2),
}


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("bag", ["two", "three", "four"])
@pytest.mark.parametrize("name", OTHERS)
def test_exact_errors_of_corrected_estimates_tend_to_their_law(name, bag, quantity):
    p, q = map(mix, BAGS[bag])
    for target in (KL, ENTROPY):
        law = OTHERS[name].theory(quantity, p, q, target)
        if law is None:
            assert quantity == "bias"
            assert OTHERS[name].limit_bias(p, q) == 0
            continue
        assert_is_the_leading_term(law, quantity, OTHERS[name], p, q, target)


def test_the_spread_is_that_of_counting_whatever_the_bias():
    p, q = mix((5, 3, 2)), mix((2, 3, 5))
    for bias in (-0.5, 0.0, 7.0):
        for quantity in ("sd", "rmse"):
            assert like_counted(quantity, p, q, bias) == counted_kl(quantity, p, q)
    assert like_counted("bias", p, q, 7.0) == PowerLaw(-1.0, 7.0)
    assert like_counted("bias", p, q, 0.0) is None
    assert like_counted("rmse", p, p, 7.0) == PowerLaw(-1.0, sqrt(1 + 49))


def test_the_bias_of_an_entropy_is_told_with_its_own_sign():
    p = mix((5, 3, 2))
    assert like_counted_entropy("bias", p, -1.0) == PowerLaw(-1.0, -1.0)
    assert like_counted_entropy("bias", p, 0.0) is None
    variance = float(np.sum(p * np.log(p) ** 2) - np.sum(p * np.log(p)) ** 2)
    law = like_counted_entropy("sd", p, -1.0)
    assert law.rate == -0.5
    assert law.constant == pytest.approx(sqrt(variance), rel=1e-13, abs=0)


def test_counted_entropy_is_too_low_by_half_the_dimension():
    p = mix((5, 3, 2))
    for n in (10**3, 10**4):
        found = n * measured("bias", PlugIn(), p, p, n, ENTROPY)
        assert found == pytest.approx(-1, abs=5 / n)


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("name", OTHERS)
def test_there_is_no_law_where_the_divergence_is_infinite(name, quantity):
    assert OTHERS[name].theory(quantity, mix((4, 6)), mix((1, 0)), KL) is None


def test_a_prior_that_feeds_a_colour_without_balls_has_no_law():
    p = mix((4, 6, 0))
    assert DirichletMean().limit_bias(p, mix((1, 1, 1))) is None
    assert DirichletMean().theory("bias", p, mix((1, 1, 1)), KL) is None
    assert DirichletMean().theory("bias", p, p, ENTROPY) is None
