"""What a page is made of: the tables of one result, and what it makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sim.report.extra import alt


@dataclass(frozen=True, eq=False)
class Material:
    """All that is told of one result; its tables have the columns of `sim.tables`.

    Numbers are in the experiment's unit; null is None or NaN.
    """

    name: str
    about: str
    unit: str
    level: float
    error: float
    """Of the tolerance: an estimate that is off by no more is good enough …"""
    confidence: float
    """… and this is how often it should be."""
    experiment: str
    """The experiment as resolved, YAML."""
    facts: Mapping[str, Any]
    """What run.json holds: digest, seed, versions, timings."""
    command: str
    """What makes the result again."""
    summary: pd.DataFrame
    convergence: pd.DataFrame
    comparison: pd.DataFrame
    best: pd.DataFrame
    samples: pd.DataFrame
    """The first trials of each bag, with the columns of the trials."""
    trace: pd.DataFrame | None
    """Of bags with a clock, where they were traced: bag, trial, time, event, colour."""
    ranked: pd.DataFrame | None = None
    """Intervals of the first trials, as `sim.analysis.first_trials.ranked` makes them."""
    chi_square: pd.DataFrame | None = None
    """2n·KL of the first trials beside χ², as `sim.analysis.first_trials.chi_square` makes it."""
    running: pd.DataFrame | None = None
    """KL of what was drawn so far, as `sim.analysis.running.running` makes it of the trace."""


@dataclass(frozen=True)
class Picture:
    """A chart, and all that is said beside it; every text is plain and not yet escaped."""

    name: str
    """For file names and links: small letters, digits, `-`."""
    title: str
    caption: str
    """What it shows and how it is read, for somebody who sees such a picture first."""
    alternative: str
    """What it shows, in words with its main numbers, for somebody who does not see it."""
    chart: alt.TopLevelMixin
