"""What the bytes must not follow from: time zone, language, hashes, masks, cores, the clock."""

from __future__ import annotations

import shutil
import subprocess

from runs import environment

from .kills import CREW
from .records import NotPossible, fault
from .scenes import Bench


def elsewhere(bench: Bench, shell: str = 'exec "$@"', **variables: str) -> None:
    """Run in other surroundings: the bytes are the same."""
    scene = bench.scene(bench.plain)
    run = scene.start("run", *CREW, shell=shell, env={**environment(), **variables})
    bench.record.attempt(True)
    scene.same(scene.watch(run, {0}))


@fault("another time zone, language, hash seed and mask of files", rounds=2)
def other_environment(bench: Bench) -> None:
    seed = str(bench.rng.randrange(2**32))
    place = bench.rng.choice(("Asia/Kathmandu", "America/St_Johns"))
    elsewhere(
        bench, 'umask 077; exec "$@"', TZ=place, LC_ALL="C", PYTHONHASHSEED=seed, PYTHONUTF8="0"
    )


@fault("one core only, at the lowest priority", rounds=1)
def one_core(bench: Bench) -> None:
    if not shutil.which("taskset"):
        raise NotPossible("no `taskset` to hold a process to one core")
    elsewhere(bench, 'exec nice -n 19 taskset -c 0 "$@"')


@fault("a clock that is years ahead", rounds=1)
def other_clock(bench: Bench) -> None:
    ahead = "unshare --map-root-user --time --monotonic 100000000 --boottime 100000000"
    try:
        subprocess.run([*ahead.split(), "--fork", "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotPossible("no name space with a clock of its own") from error
    elsewhere(bench, f'exec {ahead} --fork "$@"')
