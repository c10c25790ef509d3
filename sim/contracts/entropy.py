"""Estimators of entropy, and of KL through it: Σ share · ŝ − Ĥ."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import ClassVar

import numpy as np

from sim.asymptotics import PowerLaw, Quantity, like_counted, like_counted_entropy
from sim.contracts.arrays import Counts, Mix, Reference, Rows, Sizes, Terms, Values
from sim.contracts.estimator import Estimator
from sim.divergences import Divergence
from sim.lookups import Lookup, pieces


class EntropyEstimator(Estimator, ABC):
    """An estimator of entropy, and so of KL: Σ share · ŝ − Ĥ.

    ŝ is what Q is surprised by a colour: −ln q where Q is known, else `surprise(d, m, K)`,
    for a member that gives it.
    """

    serves: ClassVar[frozenset[str] | None] = frozenset({"kl", "entropy"})
    two_samples: ClassVar[bool] = False

    @abstractmethod
    def entropy(self, counts: Counts) -> Values:
        """Return the entropy of each row, shape (trials,); nats."""

    def surprise(self, d: Terms, m: Terms, colours: int) -> Terms:
        """Return the estimate of −ln q from a colour that was drawn d of m times from Q."""
        raise TypeError(f"{self.kind} needs Q's probabilities; only counts are known")

    def share(self, counts: Counts, size: Sizes | int, colours: int) -> Mix:
        """Return the weight of each colour's surprise: how often it was drawn."""
        return np.asarray(counts / size)

    def _row_by_row(self, counts: Counts, reference: Reference, target: Divergence) -> Values:
        if target.name == "entropy":
            return self.entropy(counts)
        cross = self.cross(counts, counts.sum(axis=-1, keepdims=True), reference)
        crosses = np.concatenate([cross(rows).sum(axis=-1) for rows in pieces(counts.shape)])
        return crosses if target.name == "cross_entropy" else crosses - self.entropy(counts)

    def cross(self, counts: Counts, size: Sizes | int, reference: Reference) -> Rows:
        """Return each colour's part of the cross-entropy Σ share · ŝ, for any rows."""
        own: Rows
        if reference.counts is None and self.one_sample:
            with np.errstate(divide="ignore"):
                surprise = -np.log(reference.q)
            own, finite = (lambda _: surprise), bool(np.isfinite(surprise).all())
        else:
            of_q = partial(self.surprise, colours=reference.colours)
            own = Lookup(of_q, reference.d, reference.size)
            finite = own.finite

        def part(rows: slice) -> Terms:
            sizes = np.asarray(size)[rows] if np.ndim(size) == 2 else size
            share = self.share(counts[rows], sizes, reference.colours)
            with np.errstate(invalid="ignore"):
                product = share * own(rows)
            if finite or not np.isnan(product).any():
                return np.asarray(product)
            return np.where(share == 0, 0.0, product)  # whatever the surprise

        return part


class AdditiveEntropy(EntropyEstimator, ABC):
    """An estimator of entropy that is a sum over colours, each from its count alone."""

    @abstractmethod
    def part(self, c: Terms, n: Terms, colours: int) -> Terms:
        """Return what a colour that was drawn c of n times adds to the entropy; nats.

        Elementwise, floats; c = 0 is a colour that was not drawn.
        """

    def limit_bias(self, p: Mix, q: Mix) -> float | None:
        """Return lim n·(E D̂ − KL(p‖q)) under independent draws, q known; None if unknown."""
        return None

    def entropy(self, counts: Counts) -> Values:
        """Return the entropy of each row, shape (trials,); nats."""
        size = counts.sum(axis=-1, keepdims=True)
        parts = self._parts(counts, size, counts.shape[-1])
        return np.concatenate([parts(rows).sum(axis=-1) for rows in pieces(counts.shape)])

    def terms(
        self, counts: Counts, size: Sizes | int, reference: Reference, target: Divergence
    ) -> Terms:
        """Return each colour's part of Σ share · ŝ − Ĥ, or of one of the two."""
        return self._terms(counts, size, reference, target)(slice(None))

    def separable(self, target: Divergence) -> bool:
        """Return True: the surprise of Q follows from d alone."""
        return True

    def theory(self, quantity: Quantity, p: Mix, q: Mix, target: Divergence) -> PowerLaw | None:
        """Return the delta-method law: all take the spread of counting, each its own bias."""
        if target.name == "entropy":
            bias = self.limit_bias(p, np.full_like(p, 1 / len(p)))
            return None if bias is None else like_counted_entropy(quantity, p, -bias)
        bias = self.limit_bias(p, q) if target.name == "kl" else None
        return None if bias is None else like_counted(quantity, p, q, bias)

    def _parts(self, counts: Counts, size: Sizes | int, colours: int) -> Rows:
        return Lookup(partial(self.part, colours=colours), counts, size)

    def _terms(
        self, counts: Counts, size: Sizes | int, reference: Reference, target: Divergence
    ) -> Rows:
        if target.name == "entropy":
            return self._parts(counts, size, reference.colours)
        cross = self.cross(counts, size, reference)
        if target.name == "cross_entropy":
            return cross
        parts = self._parts(counts, size, reference.colours)
        return lambda rows: np.asarray(cross(rows) - parts(rows))
