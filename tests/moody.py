"""An estimator that fails, an interval that draws; on the shelves of whoever installs them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from sim.contracts.estimator import ESTIMATORS, Estimator
from sim.contracts.interval import INTERVALS, Bounds, Interval

if TYPE_CHECKING:
    import pytest


class Moody(Estimator):
    """The share of the first colour; infinite, undefined or failed where that is its mood."""

    kind: Literal["moody"] = "moody"
    fails: bool = True

    def estimate(self, counts, reference, target):
        first = counts[:, 0]
        if self.fails and (first == 4).any():
            raise ArithmeticError(f"{counts[0].sum()} draws, four of a kind")
        share = first / counts.sum(axis=1)
        return np.where(first == 0, np.inf, np.where(first == 1, np.nan, share))


class Jittered(Interval):
    """A band of a width that is drawn; none where the first colour is rare; none at all at 5."""

    kind: Literal["jittered"] = "jittered"
    random: ClassVar[bool] = True

    def bounds(self, estimator, sample, level, rng):
        if sample.counts[0].sum() == 5:
            raise ValueError("too few draws")
        estimates = estimator.estimate(sample.counts, sample.reference, sample.target)
        width = rng.exponential(level, size=len(estimates))
        width[sample.counts[:, 0] < 3] = np.nan
        return Bounds(width, estimates - width, estimates + width)


def install_here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put both on the shelves of this process until the test ends; return the package's folder."""
    facts = folder / "klsim_moody-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: klsim-moody\nVersion: 1.0\n")
    points = "[klsim]\nestimators.moody = moody:Moody\nintervals.jittered = moody:Jittered\n"
    (facts / "entry_points.txt").write_text(points)
    for family in (ESTIMATORS, INTERVALS):
        family.kinds()  # so that there is a list of installed members to put back
        monkeypatch.delitem(vars(family), "_installed")
    monkeypatch.syspath_prepend(folder)
    return folder
