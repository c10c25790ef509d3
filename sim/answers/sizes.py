"""How many draws are enough: the size from which on an estimate is near enough, often enough."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isfinite
from typing import Any

import numpy as np

from sim.answers.question import Balls, How, beside, contents, within
from sim.answers.scans import affordable, chance, counted_from
from sim.answers.searches import search
from sim.asked import InputFault, chosen, label
from sim.checks import MOST_DRAWS, shown
from sim.contracts.arrays import Reference
from sim.exact.always import every_size
from sim.exact.task import Task

_TRIALS, _FEWEST, _SLOW = 5_000, 200, 400
_MOST_NUMBERS = 2_000_000
_TOO_MANY = 100_000_000
_BEYOND = 50
"""Where nothing is proved, sizes are scanned to twice the one found, and so many more."""

_ENOUGH = 10
"""Trials that are not near enough, expected at the size that is found: fewer tell nothing."""


@dataclass(frozen=True)
class Needed:
    """The least `size` from which on P(|estimate − truth| ≤ error) ≥ confidence always holds.

    None where there is none, and `reason` says why. `exact` says whether it is worked out of
    every outcome: all sizes from `scanned_from` to `scanned_to` are held to it, `last_failing` is
    the last that does not reach the confidence, `first` the first that does (None where the
    scan begins later), and `proved` says whether what lies beyond is known too. By `trials`,
    `low` and `high` hold the true size at the level of intervals. Numbers are in `unit`.
    """

    colours: int
    estimator: str
    target: str
    unit: str
    truth: float
    error: float
    confidence: float
    size: int | None
    exact: bool
    first: int | None = None
    last_failing: int | None = None
    scanned_from: int | None = None
    scanned_to: int | None = None
    proved: bool = False
    low: int | None = None
    high: int | None = None
    trials: int | None = None
    seed: int | None = None
    reason: str | None = None


def size_for_error(
    balls: Balls, error: float, confidence: float = 0.95, model: Balls | None = None, **how: Any
) -> Needed:
    """Return how many independent draws bring an estimate within `error` of the truth.

    That is the least size from which on it is so near in a share `confidence` of all trials. Q
    is `model`, known, or the bag itself. `how` may hold `estimator`, `target`, `unit`,
    `trials`, `seed`, `level`, and the estimator's own parameters. Exact where outcomes can be
    listed, by `trials` at each of a few sizes elsewhere. Raises ValueError, which says what was
    expected.

    >>> size_for_error([10, 15], 0.01, 0.95, model=[1, 1])
    """
    asked = How.of(how)
    task = _task(balls, error, confidence, model, asked)
    found = _answer(task, asked)
    return Needed(
        colours=len(task.p),
        estimator=label({"kind": asked.estimator, **asked.parameters}),
        target=task.target.name,
        unit=asked.unit,
        truth=task.truth / asked.worth,
        error=error,
        confidence=confidence,
        **found,
    )


def _task(balls: Balls, error: float, confidence: float, model: Balls | None, how: How) -> Task:
    bag, target = contents(balls), how.known_target
    if not (isinstance(error, int | float) and isfinite(error) and error > 0):
        raise InputFault(f"error: expected a number above 0; got {shown(error)}")
    within("confidence", confidence)
    p = bag.probabilities
    q = p if model is None else beside(model, bag)
    estimator = chosen(how.estimator, dict(how.parameters), target, Reference.known(q))
    return Task(p, q, estimator, target, error * how.worth, confidence)


def _answer(task: Task, how: How) -> dict[str, Any]:
    trials = _trials(task, how)
    if not isfinite(task.truth):
        why = "the true divergence is infinite: P and Q do not have the same colours"
        return {"size": None, "exact": True, "proved": True, "reason": why}
    return _proved(task) or _searched(task, how, trials)


def _proved(task: Task) -> dict[str, Any] | None:
    """Return the exact answer, and proved; None where that is not known or too much work."""
    known = every_size(task)
    if known is not None:
        ends = known.first_holding(), known.last_failing()
        return {**_exactly(*ends, (1, known.last)), "proved": True}
    far = counted_from(task)
    found = _by_scan(task, (1, int(far))) if affordable(task, (1, far)) else None
    return None if found is None else {**found, "proved": True}


def _searched(task: Task, how: How, trials: int) -> dict[str, Any]:
    """Return what trials find; the exact size near it where outcomes can be listed."""
    found = search(task, how, trials)
    by = {"exact": False, "trials": trials, "seed": how.seed}
    if found is None:
        tried = f"at the sizes tried, up to about {MOST_DRAWS // 8:,} draws"
        why = f"the confidence is not reached {tried}"
        return {"size": None, **by, "reason": why}
    for sizes in ((1, 2 * found.surely[1] + _BEYOND), found.surely):
        exact = _by_scan(task, sizes) if affordable(task, sizes) else None
        if exact is not None:
            return exact
    return {"size": found.size, "low": found.low, "high": found.high, **by}


def _by_scan(task: Task, sizes: tuple[int, int]) -> dict[str, Any] | None:
    """Return the exact answer among sizes; None where the confidence is not passed there."""
    begin, end = sizes
    reached = task.reached(np.array([chance(task, n) for n in range(begin, end + 1)]))
    holds, fails = np.flatnonzero(reached) + begin, np.flatnonzero(~reached) + begin
    if not reached[-1] or (begin > 1 and reached.all()):
        return None
    return _exactly(int(holds[0]), int(fails[-1]) if len(fails) else 0, sizes)


def _exactly(first: int, last_failing: int, sizes: tuple[int, int]) -> dict[str, Any]:
    begin, end = sizes
    return {
        "size": last_failing + 1,
        "exact": True,
        "first": first if begin == 1 else None,
        "last_failing": last_failing or None,
        "scanned_from": begin,
        "scanned_to": end,
    }


def _trials(task: Task, how: How) -> int:
    """Return how many trials each size takes; InputFault where they are too many or too few."""
    colours, fewest = len(task.p), ceil(_ENOUGH / (1 - task.confidence))
    default = min(_TRIALS, max(_FEWEST, _MOST_NUMBERS // colours))
    default = max(min(default, _SLOW) if task.estimator.slow else default, fewest)
    trials = how.trials or default
    if trials < fewest:
        raise InputFault(
            f"trials: expected at least {fewest:,}, for a confidence of {task.confidence:g}; "
            f"got {trials:,}"
        )
    if trials * colours * (100 if task.estimator.slow else 1) > _TOO_MANY:
        raise InputFault(
            f"{trials:,} trials of {colours:,} colours at each size would take too long: "
            "ask for a smaller confidence, fewer trials or fewer colours"
        )
    return trials
