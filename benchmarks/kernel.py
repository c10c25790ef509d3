"""The kernel alone: counts drawn and estimated at every size, nothing written or summed up."""

from __future__ import annotations

from statistics import median

from benchmarks import side_klsim, side_loop, side_numpy
from benchmarks.cases import Case
from benchmarks.floor import Prices, floor
from benchmarks.timing import Row, ratio, rounds, shown, timed


def row(case: Case, number: int, price: Prices) -> Row:
    """Return klsim's kernel beside both peers, all in this process, in turn."""
    own, few = case.of(case.kernel_trials), case.of(case.loop_trials)
    scale = own.trials / few.trials
    measures = {
        "klsim": lambda: timed(lambda: side_klsim.kernel(own)),
        "numpy": lambda: timed(lambda: side_numpy.kernel(own)),
        "loop": lambda: timed(lambda: side_loop.kernel(few)) * scale,
    }
    rounds(1, measures)  # nobody pays for being first
    taken = rounds(number, measures)
    seconds, least = median(taken["klsim"]), floor(case, price)
    return Row(
        what="kernel",
        colours=case.colours,
        trials=f"{own.trials:,}",
        rate=shown(own.trials * len(case.sizes) / seconds),
        against_numpy=ratio(taken["numpy"], taken["klsim"]),
        against_loop=ratio(taken["loop"], taken["klsim"]),
        trial=shown(seconds / own.trials * 1e6),
        floor=shown(least * 1e6),
        gap=shown(seconds / own.trials / least),
    )
