"""Inject faults and print what became of them, as the table of docs/reliability.md."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .records import PROMISES, Fault, Record
from .rounds import FAULTS, injected
from .scenes import Quiet


def main() -> int:
    """Inject what is asked; return 1 where anything did not hold."""
    asked = _asked()
    if os.geteuid() != 0 and shutil.which("unshare") and not asked.inside:
        _as_root_of_a_namespace()
    # what nohup or a shell lets this script ignore, its commands would ignore too
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    begun = time.monotonic()
    faults = [FAULTS[name] for name in asked.only or FAULTS]
    home = Path(tempfile.mkdtemp(prefix="klsim-faults-"))
    quiet = Quiet(home / "quiet")
    totals = {fault: Record() for fault in faults}
    pool = ThreadPoolExecutor(asked.jobs)
    try:
        jobs = [
            (fault, pool.submit(_round, fault, home, quiet, asked.seed, number))
            for fault in faults
            for number in _rounds(fault, asked)
        ]
        for fault, job in jobs:
            totals[fault].add(job.result())
    except KeyboardInterrupt:
        print("Interrupted: the table is of what was done before.")
    finally:
        pool.shutdown(cancel_futures=True)  # what is in hand ends its runs itself
    print(*_table(totals), sep="\n")
    print(f"\nSeed {asked.seed}; {time.monotonic() - begun:,.0f} s.")
    broken = [line for total in totals.values() for line in total.broken]
    print(*broken, sep="\n", file=sys.stderr)
    if not broken:
        shutil.rmtree(home)
    return 1 if broken else 0


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.faults", description=__doc__)
    parser.add_argument("--only", action="append", choices=FAULTS, help="only this fault")
    parser.add_argument("--quick", action="store_true", help="few tries of each")
    parser.add_argument("--seed", default="1", help="of the moments and places")
    parser.add_argument("--round", type=int, help="only this round of each fault")
    parser.add_argument("--jobs", type=int, default=2, help="rounds at once")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _as_root_of_a_namespace() -> None:
    """Start again where file systems may be mounted, if this machine lets anybody do so."""
    prefix = ["unshare", "--map-root-user", "--mount"]
    if subprocess.run([*prefix, "true"], capture_output=True).returncode == 0:
        command = [*prefix, sys.executable, "-m", "tests.faults", *sys.argv[1:], "--inside"]
        os.execvp("unshare", command)


def _rounds(fault: Fault, asked: argparse.Namespace) -> list[int]:
    if asked.round is not None:
        return [asked.round]
    return list(range(fault.quick if asked.quick else fault.rounds))


def _round(fault: Fault, home: Path, quiet: Quiet, seed: str, number: int) -> Record:
    """Inject a fault in a folder of its own; say which, and how to do it again."""
    folder = home / f"{fault.name}-{number}"
    record = injected(fault, folder, quiet, f"{seed} {fault.name} {number}")
    again = f"--only {fault.name} --seed {seed} --round {number}: {folder}"
    record.broken = [f"{again}\n  {line}" for line in record.broken]
    sign = "!" if record.broken else "-" if record.reasons else "."
    print(f"{sign} {fault.name} {number}", file=sys.stderr, flush=True)
    return record


def _table(totals: dict[Fault, Record]) -> Iterator[str]:
    yield f"| fault | tries | hit | {' | '.join(PROMISES)} | exit codes |"
    yield "|---|" + "---:|" * (2 + len(PROMISES)) + "---|"
    for fault, total in totals.items():
        cells = total.cells()
        if total.reasons and not total.tries:
            cells = [f"not injected: {total.reasons[0]}", *[""] * (len(cells) - 1)]
        yield f"| {fault.injected} (`{fault.name}`) | {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
