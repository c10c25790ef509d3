"""Means and products of deviations of several variables, for many groups at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Comoments:
    """Number, mean and sums of products of deviations (Chan, Golub & LeVeque 1983).

    Shapes: `number` (groups,), `mean` (groups, variables), `products` (groups, variables,
    variables). Merging two costs no digits: sums of deviations add, raw sums never stand.
    """

    number: Floats
    mean: Floats
    products: Floats

    @classmethod
    def of(cls, values: Floats, counted: NDArray[np.bool_] | None = None) -> Comoments:
        """Return those of one batch of shape (groups, variables, trials).

        `counted`, (groups, trials), says which trials count in which group: all, if not given.
        """
        groups, _, trials = values.shape
        if counted is None:
            here, start = None, values[..., :1]
            number = np.full(groups, float(trials))
        else:
            here, first = counted[:, None].astype(np.float64), counted.argmax(axis=-1)
            place = first[:, None, None]
            start = np.take_along_axis(values, place, -1) * np.take_along_axis(here, place, -1)
            number = counted.sum(axis=-1, dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            away = values - start  # equal values have a spread of exactly 0
            away = away if here is None else np.multiply(away, here, out=away)
            mean = away.sum(axis=-1, keepdims=True) / np.maximum(number, 1.0)[:, None, None]
            away -= mean
            away = away if here is None else np.multiply(away, here, out=away)
            return cls(number, (start + mean)[..., 0], away @ away.swapaxes(-1, -2))

    def merged(self, other: Comoments) -> Comoments:
        """Return those of both batches together."""
        number = self.number + other.number
        share = other.number / np.maximum(number, 1.0)
        with np.errstate(over="ignore", invalid="ignore"):
            apart = other.mean - self.mean
            between = apart[:, :, None] * apart[:, None] * (self.number * share)[:, None, None]
            mean = self.mean + apart * share[:, None]
            return Comoments(number, mean, self.products + other.products + between)

    def picked(self, groups: NDArray[np.int64]) -> Comoments:
        """Return those of some of the groups."""
        return Comoments(self.number[groups], self.mean[groups], self.products[groups])

    def turned(
        self, groups: NDArray[np.bool_], variables: Sequence[int], signs: Floats
    ) -> Comoments:
        """Return these where in some groups the variables change their places and signs."""
        mean = self.mean[:, variables] * signs
        products = self.products[:, variables][:, :, variables] * np.outer(signs, signs)
        return Comoments(
            self.number,
            np.where(groups[:, None], mean, self.mean),
            np.where(groups[:, None, None], products, self.products),
        )
