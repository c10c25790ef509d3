"""Where faults are injected: experiments, what quiet runs of them leave, and what is checked."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runs import KLSIM, environment, files, klsim, session, tables, text, waited_for

from sim.store.directory import Directory

from .records import ALONE, BYTES, KEPT, TOLD, Record

PLAIN: dict[str, Any] = {
    "name": "struck",
    "seed": 3,
    "trials": 800,
    "sizes": [5, 20],
    "bags": {
        "back": {"kind": "with_replacement", "balls": {"red": 2, "blue": 3}},
        "wide": {
            "kind": "with_replacement",
            "balls": {"zipf": {"colours": 20_000, "exponent": 1}},
        },
        "held": {
            "kind": "delayed_returns",
            "balls": {"red": 3, "blue": 6},
            "hold": {"exponential": 2},
        },
    },
    "models": {
        "even": {"kind": "uniform"},
        "learned": {
            "kind": "drawn",
            "bag": {"kind": "with_replacement", "balls": {"red": 1, "blue": 1}},
            "draws": 50,
            "bags": ["back", "held"],
        },
    },
    "estimators": {
        "counting": {"kind": "plug_in"},
        "corrected": {"kind": "miller_madow", "models": ["even"], "bags": ["back", "held"]},
    },
}
"""Sixteen blocks in 2 to 4 s: in bulk, of many colours, event by event, beside two samples."""

NARROW = {**PLAIN, "bags": {bag: PLAIN["bags"][bag] for bag in ("back", "held")}}
"""Without the bag of many colours: it needs little memory, and PLAIN extends it."""

LARGER = {**PLAIN, "trials": 1000, "sizes": [5, 20, 40]}
"""What PLAIN is extended to: every part is made anew."""

FEW = {**NARROW, "trials": 300}
"""Six blocks: for what is about reading and writing, and for the tests of every day."""

FEW_MORE = {**FEW, "trials": 400}
FEW_WIDE = {**PLAIN, "trials": 300}
"""What FEW is extended to: by more trials, by a bag of many colours."""

LONGEST = {
    **{key: PLAIN[key] for key in ("seed", "sizes")},
    "name": "stopping",
    "trials": 4000,
    "bags": {"held": PLAIN["bags"]["held"]},
    "models": {"even": {"kind": "uniform"}},
    "estimators": {"counting": {"kind": "plug_in"}},
}
STOPPING = {**LONGEST, "trials": 1000, "stop": {"bias_mcse": 0.0025, "max_trials": 4000}}
"""Goes on until its errors are small: it ends somewhere in LONGEST."""

LIMIT = 120.0
"""Seconds after which a run hangs."""

_ORPHAN = re.compile(
    r"Traceback[^\n]*\n(?:  [^\n]*\n)*?  [^\n]*in spawn_main\n(?:  [^\n]*\n)*EOFError[^\n]*\n"
)
"""What Python says in a worker when whoever starts it is killed amid that: nothing of ours yet."""


class Bench:
    """A folder for the faults of one round, with its own random numbers and its record."""

    def __init__(self, home: Path, quiet: Quiet, seed: str, *, light: bool = False) -> None:
        self.home, self.quiet, self.light = home, quiet, light
        self.plain, self.larger = (FEW, FEW_MORE) if light else (PLAIN, LARGER)
        self.rng = random.Random(seed)
        self.record = Record()
        self.scenes = 0

    def scene(
        self, plain: dict[str, Any], *, out: Path | None = None, begun: dict[str, Any] | None = None
    ) -> Scene:
        """Return an experiment to be run in `out`, with what a quiet run of `begun` left there."""
        self.scenes += 1
        # beside the results, never in them: the disk there may be full
        notes = self.home.with_name(f"notes-{self.scenes}")
        scene = Scene(out or self.home, notes, plain, self.quiet.of(plain), self.record)
        scene.allow(scene.quiet)
        if begun:
            scene.allow(self.quiet.of(begun))
            shutil.copytree(self.quiet.folder(begun), scene.folder, dirs_exist_ok=True)
        return scene


class Quiet:
    """What runs that nothing befell leave; each experiment is run once, without workers."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._known: dict[str, dict[str, bytes]] = {}
        self._lock = threading.Lock()

    def folder(self, plain: dict[str, Any]) -> Path:
        """Return where the quiet run of an experiment lies."""
        self.of(plain)
        return self._home / str(list(self._known).index(text(plain))) / str(plain["name"])

    def of(self, plain: dict[str, Any]) -> dict[str, bytes]:
        """Return the Parquet files of a quiet run."""
        with self._lock:
            key = text(plain)
            if key not in self._known:
                out = self._home / str(len(self._known))
                config = written(out, plain)
                klsim("run", config, "--out", out, "--engine", "serial").check_returncode()
                self._known[key] = tables(out / str(plain["name"]))
            return self._known[key]


def written(folder: Path, plain: dict[str, Any]) -> Path:
    """Write an experiment file; return where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "experiment.yaml"
    config.write_text(text(plain), encoding="utf-8")
    return config


@dataclass
class Scene:
    """One experiment in one directory, under faults."""

    out: Path
    notes: Path
    plain: dict[str, Any]
    quiet: dict[str, bytes]
    record: Record
    known: dict[str, set[bytes]] = field(default_factory=dict)
    before: dict[str, bytes] = field(default_factory=dict)
    started: int = 0

    @property
    def folder(self) -> Path:
        """Where the run lies."""
        return self.out / str(self.plain["name"])

    def allow(self, files: dict[str, bytes]) -> None:
        """Let files have these bytes too, such as those of the run that this one extends."""
        for name, content in files.items():
            self.known.setdefault(name, set()).add(content)

    def note(self, name: str) -> Path:
        """Return a file of that name among the notes."""
        self.notes.mkdir(parents=True, exist_ok=True)
        return self.notes / name

    def missing(self) -> int:
        """Return how many parts are not there as they will be in the end."""
        there = tables(self.folder)
        wanted = (name for name in self.quiet if name.startswith("trials"))
        return sum(there.get(name) != self.quiet[name] for name in wanted)

    def line(self, verb: str, *options: object) -> list[str]:
        """Return a command on this experiment: `run` and `extend` read it, others the result."""
        if verb in ("run", "extend"):
            config = written(self.notes, self.plain)
            return [str(KLSIM), verb, str(config), "--out", str(self.out), *map(str, options)]
        return [str(KLSIM), verb, str(self.folder), *map(str, options)]

    def start(
        self, verb: str = "run", *options: object, shell: str = 'exec "$@"', **how: Any
    ) -> Run:
        """Start a command in a session of its own, so that all its processes can be found."""
        line = self.line(verb, *options)
        self.before = tables(self.folder)
        self.started += 1
        said = self.note(f"said-{self.started}.txt")
        with said.open("wb") as stderr:
            settings = {"stdout": subprocess.DEVNULL, "stderr": stderr, "env": environment(), **how}
            process = subprocess.Popen(
                ["/bin/sh", "-c", shell, "klsim", *line], start_new_session=True, **settings
            )
        return Run(process, said)

    def watch(self, run: Run, codes: set[int] | None = None) -> str:
        """Wait until a command has ended, and check what it leaves; return what it said.

        `codes` are those it may end with; None where it was killed and has no say.
        """
        try:
            code = run.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            run.end()
            code = run.process.wait()
            self.record.broken.append(f"it hangs: {run.said()}")
        alone = waited_for(lambda: not any(session(run.process.pid)), 10.0)
        self.record.expect(ALONE, alone, list(session(run.process.pid)))
        run.end()
        said = run.said()
        self.record.ended(code, codes or {code}, said)
        own = _ORPHAN.sub("", said) if code == -signal.SIGKILL else said
        self.record.expect(TOLD, "Traceback" not in own, said[-2000:])
        self.inspect()
        return said

    def inspect(self) -> None:
        """Check that the lock is free, and that each file is whole and none is lost."""
        there = tables(self.folder)
        if self.folder.is_dir():
            self.record.expect(ALONE, not Directory(self.folder).in_use(), "the lock is held")
        wrong = [name for name, content in there.items() if content not in self.known.get(name, ())]
        self.record.expect(BYTES, not wrong, wrong)
        self.record.expect(KEPT, not self._lost(there), self._lost(there))

    def _lost(self, there: dict[str, bytes]) -> list[str]:
        """Return the files of the end that were there before and are not, or are others."""
        ours = {name: content for name, content in self.before.items() if name in self.quiet}
        return [
            name
            for name, content in ours.items()
            if there.get(name) not in (content, self.quiet[name])
        ]

    def told(self, said: str, *words: str) -> None:
        """Check that what was said is short and names what it should."""
        last = said.strip().splitlines()[-1] if said.strip() else ""
        self.record.expect(TOLD, all(word in last for word in words), f"{words} in {said[-800:]}")

    def go_on(self, verb: str = "run", *options: object) -> None:
        """Give the command again: it ends well, in the bytes of the quiet run."""
        self.same(self.watch(self.start(verb, *options), {0}))

    def same(self, said: str = "") -> None:
        """Check that a run that ended well left what the quiet one did."""
        there = tables(self.folder)
        differ = sorted(n for n in there | self.quiet if there.get(n) != self.quiet.get(n))
        self.record.expect(BYTES, not differ, f"{differ}: {said[-600:]}")
        left = [name for name in files(self.folder) if name.endswith(".tmp")]
        self.record.expect(ALONE, not left, left)


@dataclass(frozen=True)
class Run:
    """A command that was started, and where it says what it has to say."""

    process: subprocess.Popen[bytes]
    stderr: Path

    def end(self) -> None:
        """Kill what is left of it: only of its own session."""
        for pid in list(session(self.process.pid)):
            os.kill(pid, signal.SIGKILL)

    def said(self) -> str:
        """Return what it has said on stderr."""
        return self.stderr.read_text(encoding="utf-8", errors="replace")
