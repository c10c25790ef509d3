"""Several runs on one directory at once: one is served, the others are told."""

from __future__ import annotations

from typing import Any

from runs import waited_for

from .kills import CREW, SERIAL
from .moments import begun, stamps
from .records import TOLD, fault
from .scenes import PLAIN, Bench, Run, Scene

OTHER: dict[str, Any] = {**PLAIN, "seed": 4}
"""Another experiment of the same name."""


def refused(scene: Scene, run: Run, *words: str) -> None:
    """Check that a run was turned away at the door, and left what is there alone."""
    said = scene.watch(run, {4})
    scene.record.attempt(run.process.returncode == 4)
    scene.record.expect(TOLD, all(word in said for word in words), said)


@fault("another run on a directory in use: of the same experiment, of another", rounds=4)
def second_run(bench: Bench) -> None:
    scene, other = bench.scene(PLAIN), bench.scene(OTHER)
    other.allow(scene.quiet)
    first = scene.start("run", *CREW)
    waited_for(lambda: bool(stamps(scene.folder / "trials")) or first.process.poll() is not None)
    later = [(each, each.start("run", *SERIAL)) for each in (scene, other)]
    bench.record.ended(scene.start("status").process.wait(), {0})
    for each, run in later:
        code = run.process.wait()
        bench.record.attempt(code == 4)
        bench.record.ended(code, {4}, run.said())
        each.told(run.said(), "klsim: ", str(scene.folder), "is in use by another run")
    scene.same(scene.watch(first, {0}))
    refused(other, other.start("run"), "holds a different experiment", "seed: 3 there, 4 asked")
    scene.same()


@fault("many runs on one directory at the same moment", rounds=4)
def many_runs(bench: Bench) -> None:
    scene = bench.scene(bench.larger)  # long enough that they meet
    runs = [scene.start("run", *SERIAL) for _ in range(5)]
    codes = sorted(run.process.wait() for run in runs)
    for run in runs:
        code = run.process.returncode
        bench.record.attempt(code == 4)
        bench.record.ended(code, {0, 4}, run.said())
        bench.record.expect(TOLD, "Traceback" not in run.said(), run.said())
    # on a slow machine one may start after another's end: then both have run, in turn
    bench.record.expect(TOLD, 0 < codes.count(0) == begun(scene.folder), codes)
    scene.inspect()
    scene.same()
