"""Exact laws of counts: their probabilities, laws of all counts together, laws by table."""

from sim.laws.counts import CountLaw, Hypergeometric, JointLaw, Multinomial
from sim.laws.pmf import (
    MOST_WORK,
    binomial_pmf,
    deviance,
    poisson_pmf,
    stirling_error,
    window,
)
from sim.laws.tables import (
    Tabulated,
    dirichlet_multinomial,
    multinomial_mixture,
    poisson_binomial,
    sticky_counts,
)

__all__ = [
    "MOST_WORK",
    "CountLaw",
    "Hypergeometric",
    "JointLaw",
    "Multinomial",
    "Tabulated",
    "binomial_pmf",
    "deviance",
    "dirichlet_multinomial",
    "multinomial_mixture",
    "poisson_binomial",
    "poisson_pmf",
    "sticky_counts",
    "stirling_error",
    "window",
]
