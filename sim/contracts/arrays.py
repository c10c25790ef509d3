"""The arrays that travel between the contracts: their names and shapes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

Colours: TypeAlias = NDArray[np.int64]
"""Drawn colours in order, as positions in the bag's `colours`; shape (n,)."""

Counts: TypeAlias = NDArray[np.int64]
"""How often each colour was drawn; shape (trials, colours)."""

Sizes: TypeAlias = NDArray[np.int64]
"""How many draws each row of counts holds; broadcasts against Counts: (trials, 1) or ()."""

Mix: TypeAlias = NDArray[np.float64]
"""A distribution over colours; shape (colours,) or (trials, colours), last axis sums to 1."""

Terms: TypeAlias = NDArray[np.float64]
"""One number for each count; shape (trials, colours)."""

Rows: TypeAlias = Callable[[slice], Terms]
"""Picked rows of terms, worked out when they are asked for."""

Values: TypeAlias = NDArray[np.float64]
"""One estimate for each trial, nats where it has a unit; shape (trials,).

inf is infinite, NaN undefined.
"""


@dataclass(frozen=True, eq=False)
class Reference:
    """What an estimator may know of Q: its probabilities, or only counts drawn from it.

    Exactly one of `probabilities`, shape (K,), and `counts`, shape (trials, K), is given;
    beside counts stands `size`, the draws in each row. `colours` is K.
    """

    colours: int
    probabilities: Mix | None = None
    counts: Counts | None = None
    size: Sizes | int = 0

    @classmethod
    def known(cls, probabilities: Mix) -> Self:
        """Return the reference of one who knows Q, shape (K,)."""
        return cls(colours=probabilities.shape[-1], probabilities=probabilities)

    @classmethod
    def counted(cls, counts: Counts) -> Self:
        """Return the reference of one who has only counts from Q, shape (trials, K)."""
        size = counts.sum(axis=-1, keepdims=True)
        return cls(colours=counts.shape[-1], counts=counts, size=size)

    @property
    def q(self) -> Mix:
        """The known probabilities; TypeError where Q is only counted."""
        if self.probabilities is None:
            raise TypeError("this estimator needs Q's probabilities; only counts are known")
        return self.probabilities

    @property
    def d(self) -> Counts:
        """The counts from Q; TypeError where Q itself is known."""
        if self.counts is None:
            raise TypeError("this estimator needs counts from Q; its probabilities are known")
        return self.counts

    def rows(self, picked: slice) -> Reference:
        """Return what stands beside some of the trials."""
        if self.counts is None:
            return self
        size = np.asarray(self.size)[picked] if np.ndim(self.size) == 2 else self.size
        return Reference(colours=self.colours, counts=self.counts[picked], size=size)

    def gather(self, colour: Colours) -> Reference:
        """Return a known reference picked by colour; K stays what it is."""
        return Reference(colours=self.colours, probabilities=self.q[colour])
