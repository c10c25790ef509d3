"""Bags with a clock against the plainest SimPy program that does the same events.

Prints seconds for each, and the ratio: medians over repeats that take turns.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import simpy

from sim.contracts.bag import BAGS

Program = Callable[[int, np.random.Generator], list[int]]
RED, BLUE = 10, 15


def late_returns(n: int, rng: np.random.Generator) -> list[int]:
    """Draw every second; a ball is away for an exponential time of mean 5."""
    env = simpy.Environment()
    bag = [0] * RED + [1] * BLUE
    inside = simpy.Container(env, init=len(bag))
    drawn: list[int] = []

    def give_back(ball: int):
        yield env.timeout(rng.exponential(5))
        bag.append(ball)
        inside.put(1)

    def draw():
        while len(drawn) < n:
            yield env.timeout(1)
            yield inside.get(1)
            ball = bag.pop(int(rng.random() * len(bag)))
            drawn.append(ball)
            env.process(give_back(ball))

    env.run(env.process(draw()))
    return drawn


def queue(n: int, rng: np.random.Generator) -> list[int]:
    """Come at exponential times, queue for the bag, draw, keep it for an exponential time."""
    env = simpy.Environment()
    bag = [0] * 4000 + [1] * 6000
    turn = simpy.Resource(env)
    drawn: list[int] = []
    done = env.event()

    def visit():
        with turn.request() as mine:
            yield mine
            drawn.append(bag.pop(int(rng.random() * len(bag))))
            if len(drawn) == n:
                done.succeed()
            yield env.timeout(rng.exponential(0.5))

    def arrive():
        for _ in range(n):
            yield env.timeout(rng.exponential(1))
            env.process(visit())

    env.process(arrive())
    env.run(done)
    return drawn


def planned(n: int, rng: np.random.Generator) -> list[int]:
    """Draw every second and put back; five red balls more at exponential times."""
    env = simpy.Environment()
    bag = [RED, BLUE]
    drawn: list[int] = []

    def change():
        while True:
            yield env.timeout(rng.exponential(50))
            bag[0] += 5

    def draw():
        while len(drawn) < n:
            yield env.timeout(1)
            drawn.append(int(rng.random() * (bag[0] + bag[1]) >= bag[0]))

    env.process(change())
    env.run(env.process(draw()))
    return drawn


CASES: dict[str, tuple[Program, dict[str, object]]] = {
    "delayed_returns": (
        late_returns,
        {"balls": {"red": RED, "blue": BLUE}, "hold": {"exponential": 5}},
    ),
    "shared": (
        queue,
        {
            "balls": {"red": 4000, "blue": 6000},
            "drawers": {"ann": {"every": {"exponential": 1}, "hold": {"exponential": 0.5}}},
            "observed": "ann",
        },
    ),
    "scheduled": (
        planned,
        {
            "balls": {"red": RED, "blue": BLUE},
            "changes": ({"every": {"exponential": 50}, "add": {"red": 5}},),
        },
    ),
}


def measure(kind: str, n: int, repeats: int) -> tuple[float, float]:
    """Return median seconds of the bag and of the plain program for n draws."""
    plain, parameters = CASES[kind]
    bag = BAGS.build({"kind": kind, **parameters})
    seconds: tuple[list[float], list[float]] = ([], [])
    for repeat in range(repeats):
        for own, program in zip(seconds, (bag.draw, plain), strict=True):
            rng = np.random.default_rng(repeat)
            begin = time.perf_counter()
            program(n, rng)
            own.append(time.perf_counter() - begin)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def main(quick: bool = False) -> None:
    """Print a line for each bag."""
    n, repeats = (200, 3) if quick else (5000, 15)
    print("| bag | klsim, µs a draw | plain SimPy, µs a draw | ratio |\n|---|---:|---:|---:|")
    for kind in CASES:
        own, plain = (1e6 * seconds / n for seconds in measure(kind, n, repeats))
        print(f"| {kind} | {own:.2f} | {plain:.2f} | {own / plain:.2f} |")


if __name__ == "__main__":
    main("--quick" in sys.argv)
