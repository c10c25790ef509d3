"""Nobody listens: stdout or stderr is closed, full, or its reader has gone."""

from __future__ import annotations

from .kills import CREW
from .records import TOLD, fault
from .scenes import FEW, Bench, Scene


def deaf(bench: Bench, shell: str, codes: set[int], *options: object) -> tuple[Scene, str]:
    """Run with streams that a shell has set up: the tables are complete all the same."""
    scene = bench.scene(FEW)
    said = scene.watch(scene.start("run", *options, shell=shell, stdout=None), codes)
    bench.record.attempt(True)
    scene.same(said)
    return scene, said


@fault("stdout closed", rounds=1)
def stdout_closed(bench: Bench) -> None:
    deaf(bench, 'exec "$@" >&-', {0}, *CREW)


@fault("stderr closed, or both", rounds=1)
def stderr_closed(bench: Bench) -> None:
    deaf(bench, 'exec "$@" >/dev/null 2>&-', {0}, *CREW)
    deaf(bench, 'exec "$@" <&- >&- 2>&-', {0}, *CREW)


@fault("stdout into `head -1`, or to a reader that has gone before", rounds=1)
def reader_gone(bench: Bench) -> None:
    # python ignores SIGPIPE: the command itself sees that nobody reads
    for reader in ("head -1 >/dev/null", "exec <&-"):
        _, said = deaf(bench, f'{{ "$@"; echo $? >&2; }} | {reader}', {0})
        code = said.strip().splitlines()[-1]
        bench.record.codes[code] += 1
        bench.record.expect(TOLD, code in ("0", "1") and said.strip() == code, said)


@fault("stdout on a full disk", rounds=1)
def stdout_full(bench: Bench) -> None:
    scene, said = deaf(bench, 'exec "$@" >/dev/full', {1})
    scene.told(said, "klsim: ", "No space left on device")


@fault("stderr on a full disk", rounds=1)
def stderr_full(bench: Bench) -> None:
    deaf(bench, 'exec "$@" >/dev/null 2>/dev/full', {0})
