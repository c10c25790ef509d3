"""Is every file of a run as it was left? What is wrong comes out, and what mends it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from sim.canary import canary
from sim.config import reading
from sim.config.problems import ConfigurationError
from sim.errors import first_line
from sim.experiment import Experiment
from sim.loop.crew import Block
from sim.loop.findings import ANALYZE, DELETE, LOG, MOVE, READ, RUN, TRACE, WRITE, Finding
from sim.loop.records import blocks, finished, made_alike, trials_used
from sim.loop.scrutiny import computing, misfit_of, same_bits
from sim.store import inspection, plain
from sim.store.coverage import gaps, header
from sim.store.differences import misfit
from sim.store.directory import Directory, Unreadable
from sim.store.parts import (
    PART,
    DamagedPart,
    UnreadablePart,
    holds,
    part_block,
    rows_of,
    stems,
    whole_facts,
)
from sim.store.whole_tables import TABLES
from sim.trials import block_rows, rows_a_trial


def verify(directory: Directory, recompute: int = 0) -> dict[str, Any]:
    """Return what is wrong with the files of a run, as plain data; nothing is written.

    So many of its blocks are computed again and compared.
    """
    look = _Look(directory)
    look.records()
    if look.experiment is None:
        look.parts_of_nobody()
    else:
        look.parts(look.experiment)
        look.missing(look.experiment)
        look.compute_again(look.experiment, recompute)
    for name in TABLES:
        look.table(name)
    if look.is_locked():
        look.notes.append("a run is at work here now: what it has not finished may seem amiss")
    return {
        "name": None if look.experiment is None else look.experiment.name,
        "results": str(directory.path),
        "complete": look.is_complete,
        "parts": len(look.good),
        "rows": sum(look.good.values()),
        "recomputed": look.recomputed,
        "faults": [asdict(fault) for fault in look.faults],
        "notes": look.notes,
    }


@dataclass
class _Look:
    """Goes from file to file and keeps what it finds."""

    directory: Directory
    faults: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    good: dict[Block, int] = field(default_factory=dict)
    recomputed: int = 0
    is_complete: bool = False

    @cached_property
    def experiment(self) -> Experiment | None:
        """The experiment; None where it cannot be read, which is a fault."""
        path = self.directory.path / "experiment.yaml"
        if not self._is_plain(path, DELETE):
            return None
        try:
            return reading.read(self.directory.experiment_text() or "", str(path))
        except (Unreadable, ConfigurationError) as fault:
            self._add(path, first_line(fault).removeprefix(f"{path}:"), DELETE)
            return None

    @cached_property
    def _told(self) -> dict[str, Any]:
        try:
            return self.directory.run_facts()
        except plain.Misplaced:  # that is told as a fault
            return {}

    @cached_property
    def _canary(self) -> str:
        """The arithmetic that the parts should be of: that of the run, wherever it was."""
        made = self._told.get("canary")
        return made if isinstance(made, str) else canary()

    @cached_property
    def is_done(self) -> bool:
        """Whether the run said that all of this experiment was computed."""
        return self.experiment is not None and finished(self._told, self.experiment)

    def is_locked(self) -> bool:
        """Return whether a run is at work here now."""
        return self._is_plain(self.directory.path / ".lock", WRITE) and self.directory.in_use()

    def records(self) -> None:
        """Look at run.json and log.jsonl."""
        looks = (
            ("run.json", inspection.record_fault, WRITE),
            ("log.jsonl", inspection.log_fault, LOG),
        )
        for name, fault, mend in looks:
            path = self.directory.path / name
            if plain.kind(path) is not None and self._is_plain(path, WRITE):
                self._add(path, fault(path), mend)

    def parts_of_nobody(self) -> None:
        """Look at the parts where nobody knows what was asked."""
        for path in self._part_files():
            if not PART.fullmatch(path.name):
                self._add(path, "no part of a run", MOVE)
            elif self._is_plain(path, RUN):
                with self._naming(path):
                    self.good[Block(path.name, 0)] = whole_facts(path)[1]

    def parts(self, experiment: Experiment) -> None:
        """Look at each file in the folder of parts: is it whole, and what the experiment asks?"""
        bags = stems(experiment.bags)
        waiting = 0
        for path in self._part_files():
            found = part_block(path.name, bags)
            if found is None:
                self._add(path, "no part of this experiment", MOVE)
            elif found[1] >= self._needed(experiment, found[0]):
                self._add(path, "beyond the end of its bag", MOVE)
            elif self._is_plain(path, RUN):
                waiting += self._waits(path, experiment, Block(*found))
        if waiting:
            what = f"{waiting} parts are not what the experiment asks yet"
            self.notes.append(f"{what}: the `klsim run` or `extend` that began goes on with them")
        if self._canary != canary():
            self.notes.append("this machine computes otherwise: a run here would begin anew")

    def _part_files(self) -> Iterator[Path]:
        if self._is_plain(self.directory.trials, RUN, "folder"):
            yield from (self.directory.trials / name for name in self.directory.names())

    def _waits(self, path: Path, experiment: Experiment, block: Block) -> bool:
        """Look at a part; return whether it is whole and waits for a run that is not done."""
        head = {**header(experiment, block.bag, block.index), "canary": self._canary}
        with self._naming(path):
            there, _ = whole_facts(path)
            if holds(path, head):
                self._hold(path, experiment, block)
            elif self.is_done:
                what = misfit(there, head)
                self._add(path, f"not what the experiment asks: {what}", RUN)
            else:
                return True
        return False

    def _hold(self, path: Path, experiment: Experiment, block: Block) -> None:
        """Look at the rows of a part that says that it is what the experiment asks."""
        rows = rows_of(path)
        with computing(block):
            each = rows_a_trial(experiment, block.bag)
        what = misfit_of(rows, experiment, block, each)
        if what is None:
            self.good[block] = rows.num_rows
        else:
            self._add(path, f"not what the experiment asks: {what}", f"delete it; {RUN}")

    @contextmanager
    def _naming(self, path: Path) -> Iterator[None]:
        """Name a part that cannot be read, or is not whole."""
        try:
            yield
        except DamagedPart as fault:
            self._add(path, f"damaged: {fault.why}", RUN)
        except UnreadablePart as fault:
            self._add(path, f"cannot be read: {fault.why}", READ)

    def _needed(self, experiment: Experiment, bag: str) -> int:
        return blocks(experiment, bag, trials_used(self._told, experiment))

    def missing(self, experiment: Experiment) -> None:
        """Name what is not here where the run said that it was; tell where it was not done."""
        needed = {bag: self._needed(experiment, bag) for bag in experiment.bags}
        self.is_complete = self.is_done and len(self.good) == sum(needed.values())
        if not self.is_done:
            at_most = "" if experiment.stop is None else "at most "
            there = f"{len(self.good)} of {at_most}{sum(needed.values())}"
            what = f"not finished: {there} blocks are here"
            self.notes.append(f"{what}; go on with the `klsim run` that began it")
            return
        for bag, most in needed.items():
            for first, last in gaps(self.directory, bag, most):
                more = f", and all after it up to block {last}" if last > first else ""
                self._add(self.directory.part(bag, first), f"missing{more}", RUN)

    def compute_again(self, experiment: Experiment, number: int) -> None:
        """Compute some blocks again, spread evenly, and compare them with what is here."""
        good = list(self.good) if self._canary == canary() else []
        number = min(number, len(good))
        differing = 0
        for block in (good[(2 * i + 1) * len(good) // (2 * number)] for i in range(number)):
            path = self.directory.part(block.bag, block.index)
            with computing(block):
                again = block_rows(experiment, block.bag, block.index)
            with self._naming(path):
                if not same_bits(rows_of(path), again):
                    self._add(path, "computed again, it comes out otherwise", f"delete it; {RUN}")
                    differing += 1
                self.recomputed += 1
        if differing and not made_alike(self._told):
            self.notes.append(
                "run.json does not say that the versions here made it: it may be these"
            )

    def table(self, name: str) -> None:
        """Look at one of the tables; it may be missing or old where the run is not done."""
        path = self.directory.path / f"{name}.parquet"
        mend, is_due = (TRACE, False) if name == "trace" else (ANALYZE, self.is_done)
        if plain.kind(path) is None:
            self._add(path, "missing" if is_due else None, mend)
        elif self._is_plain(path, mend):
            text = self.directory.experiment_text() if is_due else None
            self._add(path, inspection.table_fault(path, name, text), mend)

    def _is_plain(self, path: Path, mend: str, wanted: str = "file") -> bool:
        fault = inspection.special_fault(path, wanted)
        self._add(path, fault, f"move it away; {mend}")
        return fault is None

    def _add(self, path: Path, what: str | None, mend: str) -> None:
        if what is not None:
            name = str(path.relative_to(self.directory.path))
            shown = "".join(c if c.isprintable() else "�" for c in name)
            self.faults.append(Finding(shown, what.strip(), mend))
