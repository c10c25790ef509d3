"""What does not go together in an experiment: every fault, with the place of its key."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Protocol, cast

from sim.checks import guess
from sim.contracts.bag import Bag
from sim.contracts.estimator import ESTIMATORS, Estimator
from sim.contracts.learner import Learner
from sim.contracts.model import Model
from sim.divergences import NAMES, Divergence, divergence

_Fault = tuple[tuple[str | int, ...], str]


class Plan(Protocol):
    """What is looked at of an experiment."""

    @property
    def bags(self) -> Mapping[str, Bag]:
        """The bags by label."""

    @property
    def models(self) -> Mapping[str, Model]:
        """The models by label."""

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the targets."""

    @property
    def estimators(self) -> Mapping[str, Estimator]:
        """The estimators by label."""

    @property
    def learners(self) -> Mapping[str, Learner]:
        """The learners by label."""

    @property
    def model_fields_set(self) -> set[str]:
        """The keys that were given."""

    def sizes_of(self, bag: str) -> tuple[int, ...]:
        """Return the sizes at which a bag is counted."""


def faults(plan: Plan) -> Iterator[list[_Fault]]:
    """Yield the faults in two steps: without those of the first the second can be judged."""
    yield [*_bag_faults(plan), *_filter_faults(plan), *_target_faults(plan)]
    yield [*_pair_faults(plan), *_colour_faults(plan), *_interval_faults(plan)]


def meets(names: tuple[str, ...] | None, name: str) -> bool:
    """Return whether a filter lets a label through."""
    return names is None or name in names


def serves(estimator: Estimator, target: str) -> bool:
    """Return whether an estimator can and should estimate a target."""
    able = estimator.serves is None or target in estimator.serves
    return able and meets(estimator.targets, target)


def reads(estimator: Estimator, model: Model) -> bool:
    """Return whether an estimator reads what a model shows of Q."""
    return estimator.reads(counted=model.drawn(1) is not None)


def _kind_serves(kind: str, target: str) -> bool:
    serves = cast(type[Estimator], ESTIMATORS.member(kind)).serves
    return serves is None or target in serves


def interval_misfit(estimator: Estimator, target: str, bag: Bag, model: Model) -> str | None:
    """Say why an estimator's interval cannot be had here; None where it can, or has none."""
    if estimator.interval is None:
        return None
    known = cast(Divergence, divergence(target))
    counted = model.drawn(1) is not None
    return estimator.interval.misfit(known, len(bag.colours), counted=counted)


def _bag_faults(plan: Plan) -> Iterator[_Fault]:
    for label, bag in plan.bags.items():
        most = plan.sizes_of(label)[-1]
        if bag.limit is not None and most > bag.limit:
            own = ("bags", label, "sizes") if bag.sizes else ("bags", label)
            mend = "" if bag.sizes else "; give the bag `sizes:` of its own"
            yield own, f"size {most} is beyond the bag's limit of {bag.limit} draws{mend}"
    for name, model in plan.models.items():
        for label, bag in plan.bags.items():
            met = meets(model.bags, label)
            fault = model.misfit(bag, plan.sizes_of(label)[-1]) if met else None
            mend = f"; it meets bag {label!r}: fit it, or list `bags:` without that one"
            if fault:
                yield ("models", name), fault + mend


def _filter_faults(plan: Plan) -> Iterator[_Fault]:
    filters = [("models", label, "bags", m.bags) for label, m in plan.models.items()]
    for label, e in plan.estimators.items():
        named = (("bags", e.bags), ("models", e.models), ("targets", e.targets))
        filters += [("estimators", label, key, names) for key, names in named]
    known: dict[str, Collection[str]] = {
        "bags": plan.bags,
        "models": plan.models,
        "targets": plan.targets,
    }
    for family, label, key, names in filters:
        for place, name in enumerate(names or ()):
            if name not in known[key]:
                near = guess(name, known[key])
                fault = f"this experiment has none called {name!r}{near}"
                yield (family, label, key, place), fault


def _target_faults(plan: Plan) -> Iterator[_Fault]:
    if not plan.estimators:
        if not plan.learners:
            yield ("estimators",), "expected at least one estimator or learner; got none"
        return
    for place, target in enumerate(plan.targets):
        if target in plan.targets[:place]:
            yield ("targets", place), f"{target} is listed twice"
        if not any(serves(e, target) for e in plan.estimators.values()):
            kinds = [k for k in ESTIMATORS.kinds() if _kind_serves(k, target)]
            fault = f"no estimator here serves {target}; those that do: {', '.join(kinds)}"
            yield ("targets", place), fault
    for label, estimator in plan.estimators.items():
        if not any(serves(estimator, target) for target in plan.targets):
            served = ", ".join(sorted(estimator.serves or NAMES))
            fault = f"it serves none of this experiment's targets; it serves: {served}"
            yield ("estimators", label), fault


def _pair_faults(plan: Plan) -> Iterator[_Fault]:
    faults = [fault for label in plan.estimators for fault in _reading_faults(plan, label)]
    yield from faults
    asked = plan.models if "models" in plan.model_fields_set and plan.estimators else {}
    for name, model in asked.items():
        every = plan.estimators.values()
        if not faults and not any(reads(e, model) for e in every):
            yield ("models", name), "no estimator here reads what it shows of Q"


def _reading_faults(plan: Plan, label: str) -> Iterator[_Fault]:
    estimator = plan.estimators[label]
    able = [name for name, model in plan.models.items() if reads(estimator, model)]
    form = "reads Q through counts only, as the model `drawn` shows it"
    if estimator.one_sample:
        form = "reads a known Q only"
    for place, name in enumerate(estimator.models or ()):
        if name not in able:
            yield ("estimators", label, "models", place), f"{estimator.kind} {form}"
    if plan.models and not able:
        yield ("estimators", label), f"{estimator.kind} {form}; no model here does"


def _colour_faults(plan: Plan) -> Iterator[_Fault]:
    for label, bag in plan.bags.items():
        for name, estimator in plan.estimators.items():
            fault = estimator.misfit(len(bag.colours)) if meets(estimator.bags, label) else None
            if fault:
                mend = f"; it meets bag {label!r}: list `bags:` without that one"
                yield ("estimators", name), fault + mend
        for name, learner in plan.learners.items():
            fault = learner.misfit(len(bag.colours))
            if fault:
                yield ("learners", name), f"{fault}; it meets bag {label!r}"


def _interval_faults(plan: Plan) -> Iterator[_Fault]:
    for label, estimator in plan.estimators.items():
        misfits = [
            interval_misfit(estimator, target, bag, model)
            for bag_label, bag in plan.bags.items()
            for model_label, model in plan.models.items()
            for target in plan.targets
            if meets(estimator.bags, bag_label)
            and meets(estimator.models, model_label)
            and meets(model.bags, bag_label)
            and serves(estimator, target)
            and reads(estimator, model)
        ]
        if misfits and None not in misfits:
            yield ("estimators", label, "interval"), f"it fits nothing here: {misfits[0]}"
