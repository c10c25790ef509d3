"""Draws of one bag against itself: P = Q, so that whatever is estimated is noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pydantic import ValidationError

from sim.answers.outcomes import estimates, every_value
from sim.answers.question import NO_DIVERGENCE, Balls, How, contents, told, whole
from sim.asked import InputFault, chosen
from sim.bags.with_replacement import WithReplacement
from sim.bags.without_replacement import WithoutReplacement
from sim.contracts.arrays import Reference, Values
from sim.contracts.estimator import Estimator
from sim.exact.values import Floats

_MOST_TRIALS, _FEWEST_TRIALS, _SLOW_TRIALS = 100_000, 1_000, 1_000
_MOST_NUMBERS = 10_000_000
_TOO_MANY = 4_000_000_000
_A_BATCH = 2**20


@dataclass(frozen=True, eq=False)
class Noise:
    """Draws of P, and of Q where it is only counted, both of one bag."""

    bag: WithReplacement | WithoutReplacement
    size: int
    second: int | None
    estimator: Estimator
    how: How

    @property
    def numbers(self) -> int:
        """How many counts a trial has."""
        return len(self.bag.colours) * (1 if self.second is None else 2)

    def listed(self) -> tuple[Floats, Floats] | None:
        """Return the estimate of each outcome, nats, and its chance; None where too many."""
        p = self.bag.truth(self.size)
        q = Reference.known(p) if self.second is None else self.bag.count_law(self.second)
        law = self.bag.count_law(self.size)
        return every_value(law, self.estimator, q, self.how.known_target)

    def drawn(self, trials: int) -> tuple[Floats, Floats]:
        """Return the estimates of trials, nats, and the weight of each.

        The memory is that of a batch besides.
        """
        return np.concatenate(list(self._batches(trials))), np.full(trials, 1 / trials)

    def _batches(self, trials: int) -> Iterator[Values]:
        rng, step = self.how.stream(self.size), max(1, _A_BATCH // self.numbers)
        known = Reference.known(self.bag.truth(self.size))
        for begin in range(0, trials, step):
            rows = min(step, trials - begin)
            q = known
            if self.second is not None:
                q = Reference.counted(next(self.bag.tally([self.second], rows, rng)))
            counts = next(self.bag.tally([self.size], rows, rng))
            yield estimates(self.estimator, counts, q, self.how.known_target)
            self.how.watch(begin + rows, trials)

    @property
    def trials(self) -> int:
        """How many trials to draw; InputFault where they would take for ever."""
        default = min(_MOST_TRIALS, max(_FEWEST_TRIALS, _MOST_NUMBERS // self.numbers))
        default = min(default, _SLOW_TRIALS) if self.estimator.slow else default
        trials = self.how.trials or default
        if trials * self.numbers > _TOO_MANY:
            raise InputFault(
                f"{trials:,} trials of {self.numbers:,} counts would take too long; "
                f"expected trials · counts at most {_TOO_MANY:,}: ask for fewer trials or colours"
            )
        return trials

    @property
    def chi_square(self) -> tuple[int, float] | None:
        """The degrees of freedom and the scale of χ² for large samples; None if unknown.

        2n KL(p̂‖p) tends to χ²_{K−1} (Wilks 1938); the draws of a second sample add to the
        variance, and balls that stay out take off of it.
        """
        how, number = self.how, int(np.count_nonzero(self.bag.truth(self.size)))
        learner = getattr(self.estimator, "learner", None)
        counted = getattr(learner, "kind", None) == "relative_frequency"
        if how.estimator != "plug_in" or not counted or how.target != "kl" or number < 2:
            return None
        total = self.bag.limit
        sizes = [n for n in (self.size, self.second) if n is not None]
        left = [1.0 if total is None else (total - n) / max(total - 1, 1) for n in sizes]
        scale = sum(share / n for share, n in zip(left, sizes, strict=True)) / 2 / how.worth
        return (number - 1, scale) if scale > 0 else None


def noise_of(
    balls: Balls, size: int, second: int | None, without_replacement: bool, how: How
) -> Noise:
    """Return the draws that are asked for; InputFault where they cannot be had."""
    found, target = contents(balls), how.known_target
    if target.name in NO_DIVERGENCE:
        raise InputFault(f"target: expected a divergence, 0 where P = Q; got {target.name}")
    _ = how.worth
    kind = WithoutReplacement if without_replacement else WithReplacement
    try:
        bag = kind(balls=found)
    except ValidationError as error:
        raise InputFault(told("bag", error)) from None
    most = {} if bag.limit is None else {"most": bag.limit}
    number = whole("size", size, **most)
    other = None if second is None else whole("two_sample", second, **most)
    p = bag.truth(number)
    q = Reference.known(p)
    if other is not None:
        q = Reference.counted(np.ones((1, len(p)), dtype=np.int64))
    return Noise(bag, number, other, chosen(how.estimator, dict(how.parameters), target, q), how)
