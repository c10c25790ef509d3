"""The experiment: a frozen value, its cells, its random streams and its identity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Self, cast

import numpy as np
from pydantic import Field, model_validator

from sim.checks import WHOLE, FolderName, Label, Text, Value, placed
from sim.consistency import faults, interval_misfit, meets, reads, serves
from sim.contracts.bag import AnyBag, Bag
from sim.contracts.estimator import ESTIMATORS, AnyEstimator, Estimator, Loss
from sim.contracts.interval import Interval
from sim.contracts.learner import AnyLearner
from sim.contracts.model import MODELS, AnyModel, Model
from sim.divergences import KL_LOSS, Divergence, Unit, divergence
from sim.sizes import Sizes
from sim.targets import Target

STREAM_VERSION = 2
"""Raised only when a kernel draws other bits; parts of two versions are never mixed."""

MOST_CELLS = 100_000
"""Beyond that even a list of what is to be drawn takes long."""

MOST_TRIALS = 10**12

_BLOCK_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Cell:
    """One series of estimates: an estimator of a target beside a model.

    The loss of a learner has no model: its reference is the truth, its true value 0.
    """

    model: str | None
    target: Divergence
    label: str
    estimator: Estimator
    interval: Interval | None = None


class Stop(Value):
    """When a bag has had trials enough: every bias known to `bias_mcse`, or `max_trials`."""

    bias_mcse: float = Field(gt=0, description="in the experiment's unit")
    max_trials: Annotated[int, Field(ge=1, le=MOST_TRIALS), WHOLE]


class Tolerance(Value):
    """When an estimate is good enough: off by `error` at most, with this `confidence`."""

    error: float = Field(default=0.01, gt=0, description="in the experiment's unit")
    confidence: float = Field(default=0.95, gt=0, lt=1)


class Experiment(Value):
    """Bags, models, estimators, sizes and trials; all that decides what is drawn and counted."""

    name: FolderName = Field(description="the folder of the results")
    about: Text = ""
    seed: Annotated[int, Field(ge=0, lt=2**128), WHOLE]
    trials: Annotated[int, Field(ge=1, le=MOST_TRIALS), WHOLE]
    sizes: Sizes
    unit: Unit = "nats"
    level: float = Field(default=0.95, gt=0, lt=1, description="of intervals")
    tolerance: Tolerance = Tolerance()
    bags: dict[Label, AnyBag] = Field(min_length=1)
    models: dict[Label, AnyModel] = Field(
        default_factory=lambda: {"itself": cast(Model, MODELS.build({"kind": "itself"}))}
    )
    targets: tuple[Target, ...] = Field(default=("kl",), min_length=1)
    estimators: dict[Label, AnyEstimator] = Field(
        default_factory=lambda: {"counting": cast(Estimator, ESTIMATORS.build({"kind": "plug_in"}))}
    )
    learners: dict[Label, AnyLearner] = Field(default_factory=dict)
    stop: Stop | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        pairs = len(self.models) * len(self.targets) * len(self.estimators) + len(self.learners)
        number = len(self.bags) * pairs
        if number > MOST_CELLS:
            fault = f"expected at most {MOST_CELLS} cells (bag, model, target, estimator)"
            placed([((), f"{fault}; got {number}")], self.name)
        if self.stop is not None and self.stop.max_trials < self.trials:
            fault = f"expected at least `trials`, {self.trials}; got {self.stop.max_trials}"
            placed([(("stop", "max_trials"), fault)], self.name)
        for step in faults(self):
            placed(step, self.name)
        return self

    def sizes_of(self, bag: str) -> tuple[int, ...]:
        """Return the sizes at which a bag is counted, ascending."""
        return self.bags[bag].sizes or self.sizes

    def cells(self, bag: str) -> tuple[Cell, ...]:
        """Return what is estimated from each count of a bag, in the order of the tables."""
        cells = [
            self._cell(bag, model, target, label)
            for model, known in self.models.items()
            for target in self.targets
            for label, estimator in self.estimators.items()
            if meets(known.bags, bag)
            and meets(estimator.bags, bag)
            and meets(estimator.models, model)
            and serves(estimator, target)
            and reads(estimator, known)
        ]
        losses = [
            Cell(None, KL_LOSS, label, Loss(learner=learner))
            for label, learner in self.learners.items()
        ]
        return (*cells, *losses)

    def _cell(self, bag: str, model: str, target: str, label: str) -> Cell:
        estimator = self.estimators[label]
        fault = interval_misfit(estimator, target, self.bags[bag], self.models[model])
        interval = None if fault else estimator.interval
        return Cell(model, cast(Divergence, divergence(target)), label, estimator, interval)

    @property
    def most_trials(self) -> int:
        """The trials of a bag: all of them, or where `stop` stands, as many as there may be."""
        return self.trials if self.stop is None else self.stop.max_trials

    def block_trials(self, bag: str) -> int:
        """Return how many trials one block of a bag holds: it follows from the bag alone."""
        known: Bag = self.bags[bag]
        return max(1, min(known.most_trials_a_block, _BLOCK_BYTES // (8 * len(known.colours))))

    def blocks(self, bag: str) -> int:
        """Return how many blocks hold all trials of a bag."""
        return -(-self.most_trials // self.block_trials(bag))

    def kept(self, bag: str, index: int) -> int:
        """Return how many trials of a block have rows; it is always drawn whole."""
        drawn = self.block_trials(bag)
        return min(drawn, self.most_trials - index * drawn)

    def stream(self, *names: str, index: int) -> np.random.Generator:
        """Return the random stream of these names and this block, the same on any machine.

        Names are hashed to 128 bits each, so no stream follows from what else there is.
        """
        words = [word for name in names for word in _words(name)]
        key = (*words, index >> 32, index & 0xFFFFFFFF)
        seeds = np.random.SeedSequence(self.seed, spawn_key=key)
        return np.random.Generator(np.random.SFC64(seeds))

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All that decides a row, as plain data.

        What says how many rows there are, or what is made of them, takes no part.
        """
        without = {"name", "about", "trials", "stop", "tolerance"}
        plain = self.model_dump(mode="json", by_alias=True, exclude=without)
        return {**plain, "stream": STREAM_VERSION}

    @cached_property
    def digest(self) -> str:
        """The identity in 32 hexadecimal digits."""
        # in order: the order of the bags and estimators is that of the rows
        text = json.dumps(self.identity, ensure_ascii=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _words(name: str) -> Iterator[int]:
    digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
    return (int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))
