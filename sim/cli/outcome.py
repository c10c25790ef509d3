"""What a run came to: its tables and sentences, or plain data, and the exit code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console

from sim.cli.show import show
from sim.loop.stopping import LEAST_TRIALS

FAILED_ESTIMATES = 3
NOT_PRECISE = 5
CHECK_FAILED = 6


def tell(told: Mapping[str, Any], console: Console) -> None:
    """Print the tables of a run and what they mean."""
    show(told, told["unit"], console, told["level"], told["tolerance"])
    console.print()
    for sentence in ends(told):
        console.print(sentence, soft_wrap=True, markup=False, highlight=False)
    took = f"in {told['seconds']:.1f} s"
    done = took if "stop" in told else f"{told['trials']:,} trials a bag {took}"
    console.print(f"{done}; tables in {told['results']}", soft_wrap=True, markup=False)


def ends(told: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each bag that ended by `stop`: how many trials, and to what end."""
    stop = told.get("stop", {"bags": {}})
    for bag, end in stop["bags"].items():
        begun = f"bag {bag}: {end['trials']:,} trials"
        if end["reached"]:
            yield f"{begun}; every bias is known to {stop['bias_mcse']:g}"
        elif end["trials"] < LEAST_TRIALS:
            yield f"{begun}, the most; below {LEAST_TRIALS:,} an error is too uncertain to stop by"
        else:
            error = "unknown" if end["bias_mcse"] is None else f"{end['bias_mcse']:.2g}"
            place = f"{end['where']['estimator']} at n = {end['where']['size']:,}"
            yield f"{begun}, the most; {stop['bias_mcse']:g} is not reached: {error} for {place}"


def code(told: Mapping[str, Any]) -> int:
    """Return the exit code of a run that was finished; failed estimates come first."""
    if any(row["failed"] for row in told["summary"]):
        return FAILED_ESTIMATES
    reached = (end["reached"] for end in told.get("stop", {"bags": {}})["bags"].values())
    return 0 if all(reached) else NOT_PRECISE
