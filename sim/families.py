"""Families of compositions: colours and how many balls of each, given or by a rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sim.checks import MOST_COLOURS, WHOLE, Amount, Label, Value, placed
from sim.kernels import dirichlet


class Composition(Value, ABC):
    """Colours and the weight of each; the balls of a bag, or the shape of a model."""

    @cached_property
    @abstractmethod
    def colours(self) -> tuple[str, ...]:
        """The names of the colours, K of them."""

    @cached_property
    @abstractmethod
    def weights(self) -> NDArray[np.float64]:
        """How many balls of each colour, or in what proportion; shape (K,)."""

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """The proportion of each colour; shape (K,), sum 1."""
        return np.asarray(self.weights / self.weights.sum())

    @property
    def whole(self) -> bool:
        """Whether every weight is a whole number of balls."""
        return bool(np.all(self.weights == np.floor(self.weights)))


class Counted(Composition):
    """Balls counted by colour, as written: `{red: 10, blue: 15}`."""

    balls: dict[Label, Amount] = Field(min_length=1, max_length=MOST_COLOURS)

    def model_post_init(self, _: Any) -> None:
        """Refuse a bag with nothing in it."""
        if not any(self.balls.values()):
            placed([((), "expected at least one ball; got none")], "balls")

    @cached_property
    def colours(self) -> tuple[str, ...]:
        """The names of the colours, as written."""
        return tuple(self.balls)

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """How many balls of each colour; shape (K,)."""
        return np.array(list(self.balls.values()), dtype=np.float64)


class Numbered(Composition, ABC):
    """A family whose colours are named `1` … `K`."""

    key: ClassVar[str]
    number: Annotated[int, Field(ge=1, le=MOST_COLOURS), WHOLE] = Field(alias="colours")

    @cached_property
    def colours(self) -> tuple[str, ...]:
        """The names `1` … `K`."""
        return tuple(map(str, range(1, self.number + 1)))


class Zipf(Numbered):
    """Proportions k^−exponent, k = 1 … K: few common colours and a long tail."""

    key = "zipf"
    exponent: float = Field(default=1.0, ge=0, le=20)

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """The weights k^−exponent; shape (K,)."""
        return np.asarray(np.arange(1, self.number + 1, dtype=np.float64) ** -self.exponent)


class Uniform(Numbered):
    """Every colour alike: one ball of each."""

    key = "uniform"

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """Ones; shape (K,)."""
        return np.ones(self.number)


class Geometric(Numbered):
    """Proportions ratio^k, k = 1 … K: each colour so many times as common as the one before."""

    key = "geometric"
    ratio: float = Field(gt=0, le=1)

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """The weights ratio^(k−1); shape (K,)."""
        return np.asarray(self.ratio ** np.arange(self.number, dtype=np.float64))


class Dirichlet(Numbered):
    """Proportions drawn once from a symmetric Dirichlet, the same for the same seed."""

    key = "dirichlet"
    concentration: float = Field(default=1.0, ge=1e-3, le=1e9)
    seed: Annotated[int, Field(ge=0, lt=2**128), WHOLE]

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """The proportions; shape (K,)."""
        rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence(self.seed)))
        return np.asarray(dirichlet(np.full((1, self.number), self.concentration), rng)[0])
