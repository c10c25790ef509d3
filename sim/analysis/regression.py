"""Control variates adjust a mean: estimates and controls go in, batch by batch; a bias comes out.

Estimates less their truth are regressed on the controls less their known means. The intercept
of that plane is the adjusted bias, its standard error the error of that: with X = (1, x − μ),
RSS/(R − q − 1) · (XᵀX)⁻¹₀₀ = RSS/(R − q − 1) · [1/R + (x̄ − μ)ᵀS⁻¹(x̄ − μ)], q the controls used
and S their centred cross-products (Lavenberg & Welch 1981).

What is kept of a stream is the triangle of a QR decomposition, never moments: a remainder that
is 10⁻¹² of the estimates' variance keeps its digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

ROUNDING = 32 * 2.0**-52
"""Times the size of a number: what rounding may leave of a sum that is 0 (docs/controls.md)."""

_FEW = 64


@dataclass(frozen=True)
class Adjusted:
    """A bias from trials and controls, and its Monte Carlo error.

    `variance_reduction` is the plain error's square over this one's; None where the estimate
    is a combination of its controls: then the bias is the exact one, its error 0.
    """

    bias: float
    mcse: float
    variance_reduction: float | None


@dataclass(frozen=True, eq=False)
class _Plane:
    """The controls that are used, with 1 before them, and what is solved with them."""

    controls: int
    basis: Floats
    first_row: Floats
    """Of the inverse triangle: its square sum is (XᵀX)⁻¹₀₀."""

    def intercept(self, projected: Floats) -> tuple[float, float]:
        """Return the intercept of estimates that have these coordinates, and what it leaves."""
        place = self.basis.T @ projected
        left = projected - self.basis @ place
        return float(self.first_row @ place), float(left @ left)


class Adjustment:
    """The regression of the estimates of some cells on the controls that they share.

    `truths` (cells,), in the order of the columns of what is added, and `means` (controls,).
    Results do not depend on how trials are cut into batches, rounding aside.
    """

    def __init__(self, truths: ArrayLike, means: ArrayLike) -> None:
        self._truths = np.array(truths, dtype=np.float64)
        self._means = np.array(means, dtype=np.float64)
        self._valid = np.isfinite(self._truths)
        self._pivots = np.zeros(len(self._truths))
        self._trials = 0
        self._triangle = np.zeros((0, len(self._means) + 1))
        self._projected = np.zeros((0, len(self._truths)))
        self._left = np.zeros(len(self._truths))
        self._seen: list[NDArray[np.float32]] = [np.zeros(0, np.float32) for _ in self._means]
        self._plane: _Plane | None = None

    def add(self, values: Floats, controls: Floats) -> None:
        """Take estimates, (trials, cells), NaN where there is none, and controls of the trials.

        They are few beside the trials: soonest taken where each one's trials lie together.
        A cell with an estimate that is not finite has no result any more.
        """
        if len(values) == 0:
            return
        new = Adjustment(self._truths, self._means)
        new._valid &= np.isfinite(values).all(axis=0)
        new._pivots = np.where(new._valid, values[0], 0.0)
        new._trials = len(values)
        ones = np.ones((1, len(controls)))
        above = np.where(new._valid, values - new._pivots, 0.0)
        new._reduce(np.vstack([ones, (controls - self._means).T]).T, above)
        new._look(controls)
        self.merge(new)

    def merge(self, other: Adjustment) -> None:
        """Take what was found of further trials, of the same cells and controls."""
        if not self._trials:
            self._take(other)
            return
        above = other._projected + np.outer(other._triangle[:, 0], other._pivots - self._pivots)
        rows = np.vstack([self._triangle, other._triangle])
        self._reduce(rows, np.vstack([self._projected, above]))
        self._left += other._left
        self._valid &= other._valid
        self._trials += other._trials
        pairs = zip(self._seen, other._seen, strict=True)
        self._seen = [self._joined(mine, new) for mine, new in pairs]
        self._plane = None

    def _take(self, other: Adjustment) -> None:
        """Become what was found, where there was nothing yet."""
        self._pivots, self._trials, self._plane = other._pivots, other._trials, None
        self._triangle, self._projected = other._triangle, other._projected
        self._left, self._seen = self._left + other._left, other._seen
        self._valid &= other._valid

    def _joined(self, mine: NDArray[np.float32], new: NDArray[np.float32]) -> NDArray[np.float32]:
        if len(mine) >= self._enough:
            return mine
        return np.unique(np.concatenate([mine, new]), return_index=True)[0][: self._enough]

    def picked(self, cells: Sequence[int | None]) -> Adjustment:
        """Return this for some cells, in this order; None is a cell that has no result."""
        places = [0 if cell is None else cell for cell in cells]
        new = Adjustment(self._truths[places], self._means)
        new._valid = self._valid[places] & np.array([cell is not None for cell in cells])
        new._pivots, new._left = self._pivots[places], self._left[places]
        new._triangle, new._projected = self._triangle, self._projected[:, places]
        new._trials, new._seen = self._trials, self._seen
        return new

    def _reduce(self, rows: Floats, above: Floats) -> None:
        """Take the place of these rows, and of what stands beside them, by fewer rows."""
        basis, self._triangle = np.linalg.qr(rows)
        basis = np.asfortranarray(basis)  # as what is reduced
        self._projected = np.zeros((len(self._triangle), len(self._truths)))
        left = above
        for _ in range(2):  # once more: what is left is small beside what it was taken from
            step = basis.T @ left
            self._projected += step
            left = left - (step.T @ basis.T).T
        with np.errstate(over="ignore", invalid="ignore"):
            self._left += np.square(left).sum(axis=0)

    @property
    def _enough(self) -> int:
        """How many points a plane needs to be told from."""
        return len(self._means) + 2

    def _look(self, controls: Floats) -> None:
        """Note different values of each control, as many as are enough; most often few will do."""
        for rows in (controls[:_FEW], controls):
            short = rows.astype(np.float32)  # equal ones may differ by rounding
            self._seen = [np.unique(column)[: self._enough] for column in short.T]
            if any(len(seen) >= self._enough for seen in self._seen):
                return

    def of(self, cell: int) -> Adjusted | None:
        """Return what is known of a cell; None where the controls cannot be used.

        That is where an estimate is not finite or truth is infinite, where no control varies,
        below 20 + 5q trials, and where all trials lie on q + 1 points: then any plane fits.
        """
        if not self._valid[cell] or self._trials <= len(self._means) + 1:
            return None
        if self._plane is None:
            self._plane = self._planed()
        plane, trials = self._plane, self._trials
        number = plane.controls
        points = max((len(seen) for seen in self._seen), default=0)
        if number == 0 or trials < 20 + 5 * number or points < number + 2:
            return None
        projected = self._projected[:, cell]
        intercept, left = plane.intercept(projected)
        left += float(self._left[cell])
        truth, pivot = float(self._truths[cell]), float(self._pivots[cell])
        bias = intercept + (pivot - truth)
        size = abs(pivot) + sqrt(float(projected @ projected) / trials)
        if not isfinite(left):
            return None
        if sqrt(left / trials) <= ROUNDING * max(1.0, size):
            return Adjusted(bias, 0.0, None)
        error = left / (trials - number - 1) * float(plane.first_row @ plane.first_row)
        spread = float(np.square(projected[1:]).sum() + self._left[cell])
        return Adjusted(bias, sqrt(error), spread / (trials - 1) / trials / error)

    def _planed(self) -> _Plane:
        """Choose the controls that vary apart from those before them."""
        used = [0]
        basis = self._triangle[:, :1] / np.linalg.norm(self._triangle[:, 0])
        for place, column in enumerate(self._triangle.T[1:], 1):
            size = np.linalg.norm(column) + sqrt(self._trials) * abs(self._means[place - 1])
            apart = column - basis @ (basis.T @ column)
            apart -= basis @ (basis.T @ apart)
            length = np.linalg.norm(apart)
            if length > ROUNDING * max(sqrt(self._trials), float(size)):
                used.append(place)
                basis = np.column_stack([basis, apart / length])
        basis, square = np.linalg.qr(self._triangle[:, used])
        return _Plane(len(used) - 1, basis, np.linalg.solve(square.T, np.eye(len(used))[0]))
