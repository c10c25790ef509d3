"""One block needs more memory than there is: it is named, all others are kept."""

from __future__ import annotations

import re
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psutil
from runs import environment, waited_for

from .kills import CREW, SERIAL, workers
from .records import NotPossible, fault
from .scenes import FEW, FEW_WIDE, LIMIT, NARROW, PLAIN, Bench, Run, Scene

ROOM = 32 * 2**20
"""Bytes beyond what small blocks need: half of one array of a wide block."""


@fault("a limit on the memory of the workers (RLIMIT_AS), too low for one bag", rounds=2)
def memory_limited(bench: Bench) -> None:
    """First all but the wide bag, to see what that needs; then the wide one, with little more."""
    narrow = bench.scene(FEW if bench.light else NARROW)
    # Arrow's own allocator sets far more aside than it uses
    plainly = environment() | {"ARROW_DEFAULT_MEMORY_POOL": "system"}
    run = narrow.start("run", *CREW, env=plainly)
    most = max(_sizes(run, narrow), default=0)
    narrow.same(narrow.watch(run, {0}))
    scene = bench.scene(FEW_WIDE if bench.light else PLAIN)
    scene.allow(narrow.quiet)
    run = scene.start("extend", *CREW, env=plainly)
    limited = _limit_workers(run, most + ROOM)
    said = scene.watch(run, {1})
    bench.record.attempt(limited and run.process.returncode != 0)
    scene.told(said, "klsim: block ", "of bag 'wide'", "emory", "every finished block is")
    scene.go_on("extend", *SERIAL)


def _sizes(run: Run, scene: Scene) -> Iterator[int]:
    """Yield the address space that each worker has, again and again, until all is drawn."""
    while run.process.poll() is None and scene.missing():
        for pid in workers(run):
            with suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text()
                yield from (1024 * int(found) for found in re.findall(r"VmSize:\s*(\d+)", status))


def _limit_workers(run: Run, most: int) -> bool:
    """Limit each worker as soon as it is there; return whether any was."""
    seen: set[int] = set()

    def is_over() -> bool:
        for pid in set(workers(run)) - seen:
            with suppress(psutil.Error):
                psutil.Process(pid).rlimit(resource.RLIMIT_AS, (most, most))
                seen.add(pid)
        return run.process.poll() is not None

    waited_for(is_over, LIMIT)
    return bool(seen)


@fault("out of memory: the kernel kills a process of the run", rounds=2)
def memory_killed(bench: Bench) -> None:
    """The whole command is in a control group with too little memory for one bag."""
    with control_group() as group:
        narrow = bench.scene(NARROW)
        narrow.same(narrow.watch(_inside(narrow, group, "run", 1), {0}))
        scene = bench.scene(PLAIN)
        scene.allow(narrow.quiet)
        group.limit(group.peak() + ROOM)
        kills = group.kills()
        run = _inside(scene, group, "extend", 2)
        said = scene.watch(run, {1, -signal.SIGKILL})  # the kernel may choose the coordinator
        bench.record.attempt(group.kills() > kills)
        if run.process.returncode == 1:
            scene.told(said, "klsim: block ", "of bag 'wide'", "(killed, or out of memory)")
    scene.go_on("extend", *SERIAL)


def _inside(scene: Scene, group: Group, verb: str, workers: int) -> Run:
    enter = f'echo $$ > "{group.path}/cgroup.procs" && exec "$@"'
    return scene.start(verb, "--workers", workers, "--engine", "processes", shell=enter)


class Group:
    """A control group with a limit of memory, of the first or the second kind."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._first = (path / "memory.limit_in_bytes").exists()

    def limit(self, most: int) -> None:
        """Set the most memory that all processes here may have together."""
        name = "memory.limit_in_bytes" if self._first else "memory.max"
        (self.path / name).write_text(str(most))
        swap = ("memory.memsw.limit_in_bytes", most) if self._first else ("memory.swap.max", 0)
        if (self.path / swap[0]).exists():  # what does not fit may not go there
            (self.path / swap[0]).write_text(str(swap[1]))

    def peak(self) -> int:
        """Return the most memory that was in use."""
        name = "memory.max_usage_in_bytes" if self._first else "memory.peak"
        return int((self.path / name).read_text())

    def kills(self) -> int:
        """Return how many processes the kernel has killed here."""
        text = (self.path / ("memory.oom_control" if self._first else "memory.events")).read_text()
        return int(dict(line.split() for line in text.splitlines())["oom_kill"])


@contextmanager
def control_group() -> Iterator[Group]:
    """Yield a control group below the one of this process; NotPossible where none may be made."""
    path = _own() / f"klsim-{uuid4().hex[:12]}"
    try:
        path.mkdir()
    except OSError as error:
        raise NotPossible(f"no control group may be made ({error.strerror})") from None
    try:
        group = Group(path)
        try:
            group.peak(), group.kills()
        except (OSError, KeyError) as error:
            raise NotPossible(f"control groups have no memory controller ({error})") from None
        yield group
    finally:
        waited_for(lambda: not (path / "cgroup.procs").read_text(), 10.0)
        path.rmdir()


def _own() -> Path:
    """Return the folder of the control group that this process is in."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        raise NotPossible("no control groups here") from None
    groups = {controllers: place for _, controllers, place in (x.split(":", 2) for x in lines)}
    root = Path("/sys/fs/cgroup")
    if "memory" in groups:
        return root / "memory" / groups["memory"].lstrip("/")
    return root / groups.get("", "/").lstrip("/")
