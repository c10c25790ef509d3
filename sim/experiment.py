"""The experiment: a frozen value, its cells, its random streams and its identity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Self, cast

import numpy as np
from pydantic import Field, model_validator

from sim.checks import WHOLE, FolderName, Label, Text, Value, guess, placed
from sim.contracts.bag import AnyBag, Bag
from sim.contracts.estimator import ESTIMATORS, AnyEstimator, Estimator
from sim.contracts.learner import AnyLearner, Loss
from sim.contracts.model import MODELS, AnyModel, Model
from sim.divergences import KL_LOSS, NAMES, Divergence, Unit, divergence
from sim.sizes import Sizes
from sim.targets import Target

STREAM_VERSION = 1
"""Raised only when a kernel draws other bits; parts of two versions are never mixed."""

MOST_CELLS = 100_000
"""Beyond that even a list of what is to be drawn takes long."""

_BLOCK_BYTES = 64 * 2**20


_Fault = tuple[tuple[str | int, ...], str]


@dataclass(frozen=True)
class Cell:
    """One series of estimates: an estimator of a target beside a model.

    The loss of a learner has no model: its reference is the truth, its true value 0.
    """

    model: str | None
    target: Divergence
    label: str
    estimator: Estimator


class Experiment(Value):
    """Bags, models, estimators, sizes and trials; all that decides what is drawn and counted."""

    name: FolderName = Field(description="the folder of the results")
    about: Text = ""
    seed: Annotated[int, Field(ge=0, lt=2**128), WHOLE]
    trials: Annotated[int, Field(ge=1, le=10**12), WHOLE]
    sizes: Sizes
    unit: Unit = "nats"
    bags: dict[Label, AnyBag] = Field(min_length=1)
    models: dict[Label, AnyModel] = Field(
        default_factory=lambda: {"itself": cast(Model, MODELS.build({"kind": "itself"}))}
    )
    targets: tuple[Target, ...] = Field(default=("kl",), min_length=1)
    estimators: dict[Label, AnyEstimator] = Field(
        default_factory=lambda: {"counting": cast(Estimator, ESTIMATORS.build({"kind": "plug_in"}))}
    )
    learners: dict[Label, AnyLearner] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        pairs = len(self.models) * len(self.targets) * len(self.estimators) + len(self.learners)
        number = len(self.bags) * pairs
        if number > MOST_CELLS:
            fault = f"expected at most {MOST_CELLS} cells (bag, model, target, estimator)"
            placed([((), f"{fault}; got {number}")], self.name)
        faults = (self._bag_faults(), self._filter_faults(), self._target_faults())
        placed([fault for family in faults for fault in family], self.name)
        placed([*self._pair_faults(), *self._colour_faults()], self.name)
        return self

    def _bag_faults(self) -> Iterator[_Fault]:
        for label, bag in self.bags.items():
            most = self.sizes_of(label)[-1]
            if bag.limit is not None and most > bag.limit:
                own = ("bags", label, "sizes") if bag.sizes else ("bags", label)
                mend = "" if bag.sizes else "; give the bag `sizes:` of its own"
                yield own, f"size {most} is beyond the bag's limit of {bag.limit} draws{mend}"
        for name, model in self.models.items():
            for label, bag in self.bags.items():
                met = _meets(model.bags, label)
                fault = model.misfit(bag, self.sizes_of(label)[-1]) if met else None
                mend = f"; it meets bag {label!r}: fit it, or list `bags:` without that one"
                if fault:
                    yield ("models", name), fault + mend

    def _filter_faults(self) -> Iterator[_Fault]:
        filters = [("models", label, "bags", m.bags) for label, m in self.models.items()]
        for label, e in self.estimators.items():
            named = (("bags", e.bags), ("models", e.models), ("targets", e.targets))
            filters += [("estimators", label, key, names) for key, names in named]
        known: dict[str, Collection[str]] = {
            "bags": self.bags,
            "models": self.models,
            "targets": self.targets,
        }
        for family, label, key, names in filters:
            for place, name in enumerate(names or ()):
                if name not in known[key]:
                    near = guess(name, known[key])
                    fault = f"this experiment has none called {name!r}{near}"
                    yield (family, label, key, place), fault

    def _target_faults(self) -> Iterator[_Fault]:
        if not self.estimators:
            if not self.learners:
                yield ("estimators",), "expected at least one estimator or learner; got none"
            return
        for place, target in enumerate(self.targets):
            if target in self.targets[:place]:
                yield ("targets", place), f"{target} is listed twice"
            if not any(_serves(e, target) for e in self.estimators.values()):
                kinds = [k for k in ESTIMATORS.kinds() if _kind_serves(k, target)]
                fault = f"no estimator here serves {target}; those that do: {', '.join(kinds)}"
                yield ("targets", place), fault
        for label, estimator in self.estimators.items():
            if not any(_serves(estimator, target) for target in self.targets):
                served = ", ".join(sorted(estimator.serves or NAMES))
                fault = f"it serves none of this experiment's targets; it serves: {served}"
                yield ("estimators", label), fault

    def _pair_faults(self) -> Iterator[_Fault]:
        faults = [fault for label in self.estimators for fault in self._reading_faults(label)]
        yield from faults
        asked = self.models if "models" in self.model_fields_set and self.estimators else {}
        for name, model in asked.items():
            every = self.estimators.values()
            if not faults and not any(_reads(e, model) for e in every):
                yield ("models", name), "no estimator here reads what it shows of Q"

    def _reading_faults(self, label: str) -> Iterator[_Fault]:
        estimator = self.estimators[label]
        able = [name for name, model in self.models.items() if _reads(estimator, model)]
        form = "reads Q through counts only, as the model `drawn` shows it"
        if estimator.one_sample:
            form = "reads a known Q only"
        for place, name in enumerate(estimator.models or ()):
            if name not in able:
                yield ("estimators", label, "models", place), f"{estimator.kind} {form}"
        if self.models and not able:
            yield ("estimators", label), f"{estimator.kind} {form}; no model here does"

    def _colour_faults(self) -> Iterator[_Fault]:
        for label, bag in self.bags.items():
            for name, estimator in self.estimators.items():
                fault = (
                    estimator.misfit(len(bag.colours)) if _meets(estimator.bags, label) else None
                )
                if fault:
                    mend = f"; it meets bag {label!r}: list `bags:` without that one"
                    yield ("estimators", name), fault + mend
            for name, learner in self.learners.items():
                fault = learner.misfit(len(bag.colours))
                if fault:
                    yield ("learners", name), f"{fault}; it meets bag {label!r}"

    def sizes_of(self, bag: str) -> tuple[int, ...]:
        """Return the sizes at which a bag is counted, ascending."""
        return self.bags[bag].sizes or self.sizes

    def cells(self, bag: str) -> tuple[Cell, ...]:
        """Return what is estimated from each count of a bag, in the order of the tables."""
        cells = [
            Cell(model, cast(Divergence, divergence(target)), label, estimator)
            for model, known in self.models.items()
            for target in self.targets
            for label, estimator in self.estimators.items()
            if _meets(known.bags, bag)
            and _meets(estimator.bags, bag)
            and _meets(estimator.models, model)
            and _serves(estimator, target)
            and _reads(estimator, known)
        ]
        losses = [
            Cell(None, KL_LOSS, label, Loss(learner=learner))
            for label, learner in self.learners.items()
        ]
        return (*cells, *losses)

    def block_trials(self, bag: str) -> int:
        """Return how many trials one block of a bag holds: it follows from the bag alone."""
        known: Bag = self.bags[bag]
        return max(1, min(known.most_trials_a_block, _BLOCK_BYTES // (8 * len(known.colours))))

    def blocks(self, bag: str) -> int:
        """Return how many blocks hold all trials of a bag."""
        return -(-self.trials // self.block_trials(bag))

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
        """All that decides a row, as plain data; trials and words about it take no part."""
        plain = self.model_dump(mode="json", by_alias=True, exclude={"name", "about", "trials"})
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


def _meets(names: tuple[str, ...] | None, name: str) -> bool:
    return names is None or name in names


def _serves(estimator: Estimator, target: str) -> bool:
    able = estimator.serves is None or target in estimator.serves
    return able and _meets(estimator.targets, target)


def _reads(estimator: Estimator, model: Model) -> bool:
    return estimator.reads(counted=model.drawn(1) is not None)


def _kind_serves(kind: str, target: str) -> bool:
    serves = cast(type[Estimator], ESTIMATORS.member(kind)).serves
    return serves is None or target in serves
