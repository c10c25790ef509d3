"""Laws whose probabilities are worked out once, count by count, and then looked up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from sim.laws.counts import CountLaw, JointLaw, half_circle
from sim.laws.pmf import Floats, Ints, binomial_pmf, window

MOST_ENTRIES = 2_000_000
"""Colours × counts beyond which a table is not made, and exact values are left out."""

_NOTHING = 1e-30
_TOGETHER = 64


@dataclass(frozen=True, eq=False)
class Tabulated(CountLaw):
    """One law for each colour, by table: `rows[which[k]]` holds P(count = 0 … n) of colour k."""

    n: int
    rows: Floats
    which: Ints

    @property
    def size(self) -> int:
        """The number of draws, n."""
        return self.n

    @property
    def colours(self) -> int:
        """The number of colours, K."""
        return len(self.which)

    def picked(self, order: Ints) -> Tabulated:
        """Return the law with the colours in this order."""
        return replace(self, which=self.which[order])

    @cached_property
    def _ends(self) -> tuple[Ints, Ints]:
        some = self.rows > _NOTHING
        return some.argmax(axis=1), self.n - some[:, ::-1].argmax(axis=1)

    def window(self) -> tuple[Ints, Ints]:
        """Return each colour's first and last count with any probability."""
        low, high = self._ends
        return low[self.which], high[self.which]

    def pmf(self, colour: Ints, count: Ints) -> Floats:
        """Return the probabilities, looked up."""
        return np.asarray(self.rows[self.which[colour], count])


@dataclass(frozen=True, eq=False)
class DirichletMultinomial(Tabulated, JointLaw):
    """Pólya's urn: beta-binomial counts; behind them negative binomial ones, cut off at n."""

    shapes: Floats

    def picked(self, order: Ints) -> DirichletMultinomial:
        """Return the law with the colours in this order."""
        return replace(self, which=self.which[order], shapes=self.shapes[order])

    @property
    def _share(self) -> float:
        return float(self.n / (self.n + self.shapes.sum()))

    @cached_property
    def _free(self) -> Floats:
        shapes = self.shapes[_firsts(self.which)][:, np.newaxis]
        x = np.arange(self.n)
        with np.errstate(divide="ignore"):
            steps = np.log((x + shapes) / (x + 1) * self._share)
        start = shapes * np.log1p(-self._share)
        return np.asarray(np.exp(np.hstack([start, start + np.cumsum(steps, axis=1)])))

    def free_window(self) -> tuple[Ints, Ints]:
        """Return 0 … n."""
        return np.zeros(self.colours, dtype=np.int64), np.full(self.colours, self.n)

    def free_pmf(self, colour: Ints, count: Ints) -> Floats:
        """Return the negative binomial probabilities."""
        return np.asarray(self._free[self.which[colour], count])

    def free_variance(self) -> float:
        """Return the variance of the sum before it is cut off."""
        return float(self.n / (1 - self._share))

    def grid(self, variance: float) -> tuple[Floats, Floats]:
        """Return the whole half circle: tails are too long for less."""
        return half_circle(2 * ((self.colours * self.n) // 2 + 1) + 1)


def _firsts(which: Ints) -> Ints:
    return np.unique(which, return_index=True)[1]


def _tabulate(n: int, parameters: Floats, row: Callable[[float], Floats]) -> Tabulated | None:
    """Return the law whose colour k has the table of its parameter; None where too large."""
    unique, which = np.unique(parameters, return_inverse=True)
    if len(unique) * (n + 1) > MOST_ENTRIES:
        return None
    return Tabulated(n, np.stack([row(float(value)) for value in unique]), which)


def dirichlet_multinomial(n: int, shapes: Floats) -> DirichletMultinomial | None:
    """Return the law of n draws whose composition is Dirichlet(shapes), shape (K,)."""
    total = float(shapes.sum())

    def row(a: float) -> Floats:
        x = np.arange(n, dtype=np.float64)
        with np.errstate(divide="ignore"):
            steps = np.log((n - x) * (x + a)) - np.log((x + 1) * (n - x - 1 + total - a))
        return _from_log_steps(steps)

    table = _tabulate(n, shapes, row)
    return None if table is None else DirichletMultinomial(n, table.rows, table.which, shapes)


def _from_log_steps(steps: Floats) -> Floats:
    """Return probabilities from the logarithms of the ratios of neighbours."""
    if np.isneginf(steps[:1]).any():  # the first ratio is 0: all mass lies on 0
        return np.append(1.0, np.zeros(len(steps)))
    if np.isposinf(steps[-1:]).any():  # the last is infinite: all mass lies on n
        return np.append(np.zeros(len(steps)), 1.0)
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    weights = np.exp(logs - logs.max())
    return np.asarray(weights / weights.sum())


def multinomial_mixture(n: int, weights: Floats, rows: Floats) -> Tabulated | None:
    """Return the law of n draws from one of C compositions, `rows` (C, K), picked by weight."""
    columns, which = np.unique(rows, axis=1, return_inverse=True)
    if columns.shape[1] * (n + 1) > MOST_ENTRIES:
        return None
    x = np.arange(n + 1, dtype=np.float64)
    size = np.asarray(float(n))
    tables = [
        sum(w * binomial_pmf(x, size, p, 1 - p) for w, p in zip(weights, column, strict=True))
        for column in columns.T
    ]
    return Tabulated(n, np.stack(tables), np.ravel(which))


def sticky_counts(n: int, p: Floats, stay: float) -> Tabulated | None:
    """Return the law of n steps of a chain that stays, else draws from p, shape (K,).

    Whether the colour is k or another is a chain of two states; the generating function of
    its visits is a power of a 2 × 2 matrix, turned back by a Fourier transform.
    """
    return _tabulate(n, p, partial(_visits, n, stay))


def _visits(n: int, stay: float, q: float) -> Floats:
    """Return P(0 … n visits) of a state that is entered with chance q and kept with `stay`.

    The matrix M has the eigenvalues 1 + d and tr − 1 − d; d follows from z − 1 without
    cancellation, so that its n-th power keeps its digits.
    """
    x = np.arange(n + 1, dtype=np.float64)
    size = np.asarray(float(n))
    if stay == 0 or q in (0.0, 1.0):
        return binomial_pmf(x, size, np.asarray(q), np.asarray(1 - q))
    angle = 2 * np.pi * np.arange((n + 1) // 2 + 1) / (n + 1)
    turn = -2 * np.sin(angle / 2) ** 2 + 1j * np.sin(angle)  # z − 1
    fresh = 1 - stay
    b = fresh - (stay + fresh * q) * turn
    root = np.sqrt(b * b + 4 * fresh * q * turn)
    d = 2 * fresh * q * turn / (b + root)
    trace = 2 - b
    first = np.exp((n - 1) * _log1p(d))
    second = (trace - 1 - d) ** (n - 1)
    start = 1 + q * turn
    step = q * (1 + turn) * (stay * (1 + turn) + fresh * start) + (1 - q) * (stay + fresh * start)
    generating = first * (step - (trace - 1 - d) * start) - second * (step - (1 + d) * start)
    table = np.fft.irfft((generating / (2 * (1 + d) - trace)).conj(), n + 1)
    # beyond the window there is rounding only; runs make tails (1 + stay)/(1 − stay) as long
    longer = (1 + stay) / fresh
    mean = size * q
    _, last = window(mean, mean * (1 - q), np.asarray(np.inf))
    near = np.abs(x - mean) <= longer * (last - mean + 50)
    return np.where(near, np.maximum(table, 0.0), 0.0)


def _log1p(d: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Return ln(1 + d) to full precision; numpy's own loses the digits of a small d."""
    size = np.log1p(2 * d.real + d.real**2 + d.imag**2) / 2
    return np.asarray(size + 1j * np.arctan2(d.imag, 1 + d.real))


def poisson_binomial(p: Floats) -> Tabulated | None:
    """Return the law of n independent draws, draw t from the composition p[t]; p is (n, K)."""
    n = len(p)
    columns, which = np.unique(p, axis=1, return_inverse=True)
    if columns.shape[1] * (n + 1) > MOST_ENTRIES:
        return None
    return Tabulated(n, np.stack([_successes(column) for column in columns.T]), np.ravel(which))


def _successes(p: Floats) -> Floats:
    """Return P(0 … n successes) of n trials with probabilities p: halves, folded together."""
    padded = np.concatenate([p, np.zeros(-len(p) % _TOGETHER)]).reshape(-1, _TOGETHER)
    table = np.zeros((len(padded), _TOGETHER + 1))
    table[:, 0] = 1.0
    for column in padded.T[:, :, np.newaxis]:
        table[:, 1:] = table[:, 1:] * (1 - column) + table[:, :-1] * column
        table[:, :1] *= 1 - column
    parts = [(0, row) for row in table]
    while len(parts) > 1:
        odd = [parts.pop()] if len(parts) % 2 else []
        parts = [_folded(a, b) for a, b in zip(parts[::2], parts[1::2], strict=True)] + odd
    low, row = parts[0]
    full = np.zeros(low + len(row))
    full[low:] = row
    return full[: len(p) + 1] if len(full) > len(p) else np.pad(full, (0, len(p) + 1 - len(full)))


def _folded(a: tuple[int, Floats], b: tuple[int, Floats]) -> tuple[int, Floats]:
    """Return the law of a sum, cut to where it has any probability; (first count, table)."""
    table = np.convolve(a[1], b[1])
    some = np.flatnonzero(table > _NOTHING)
    return a[0] + b[0] + int(some[0]), table[some[0] : some[-1] + 1]
