"""A run's directory: one writer at a time, and nothing in it ever half-written."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa

from sim.errors import Fault, first_line
from sim.store import locks, pictures, plain
from sim.store.parts import PART, DamagedPart, announces, holds, part_index, part_name
from sim.store.plain import write_through
from sim.store.whole_tables import TABLES, decode_table, encode_table

_PATIENCE = 0.5
"""Seconds to wait for the lock: who asks whether it is held holds it for a moment."""

_TABLES = tuple(f"{name}.parquet" for name in TABLES)
_OWN = ("experiment.yaml", "run.json", "log.jsonl", "report.html", *_TABLES)


def _is_own(name: str) -> bool:
    return name in _OWN or PART.fullmatch(name) is not None


def _is_temporary(name: str) -> bool:
    is_hidden = name.startswith(".") and name.endswith(".tmp")
    return is_hidden and _is_own(name[1:].rsplit(".", 2)[0])


class InUse(Fault):
    """Another run holds the directory."""

    exit_code = 4


class DifferentExperiment(Fault):
    """What lies in the directory is not what was asked for."""

    exit_code = 4


class NoResults(Fault):
    """What should be here is not: no run, or not this table."""

    exit_code = 2


class Unreadable(Fault):
    """The experiment that lies in the directory cannot be read any more."""

    exit_code = 4

    def __init__(self, path: Path, why: str) -> None:
        mend = "run its experiment again (trials that fit are kept), or begin anew with --fresh"
        super().__init__(f"{why}\na run wrote {path}, and it cannot be read: delete it and {mend}")


class Directory:
    """The files of one run, `results/<name>`; see `results/README.md` for what each one is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trials = path / "trials"
        self._token = uuid4().hex[:12]  # a worker of a killed run may still be writing

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory; the system lets go of it however the process ends.

        Raises InUse where another run holds it, Misplaced where one of its files is none.
        """
        self._expect_plain()
        self.trials.mkdir(parents=True, exist_ok=True)
        with locks.held(self._lock, _PATIENCE) as is_held:
            if not is_held:
                raise InUse(
                    f"{self.path} is in use by another run; wait for it, or choose another --out"
                )
            try:
                self._sweep()
                yield
            finally:
                self._sweep()

    @property
    def _lock(self) -> Path:
        return self.path / ".lock"

    def _expect_plain(self) -> None:
        """Raise Misplaced where a link or the like lies in the place of what a run writes."""
        for folder in (self.path, self.trials):
            plain.expect(folder, "folder")
        for path in (self._lock, *(self.path / name for name in _OWN), *self._part_files()):
            plain.expect(path, "file")

    def _part_files(self) -> Iterator[Path]:
        names = os.listdir(self.trials) if self.trials.is_dir() else []
        return (self.trials / name for name in names if PART.fullmatch(name))

    def _sweep(self) -> None:
        """Remove what a killed writer or worker left: temporary files are never read."""
        for folder in (self.path, self.trials):
            for left in folder.glob(".*.tmp"):
                if _is_temporary(left.name) and plain.kind(left) == "file":
                    left.unlink()

    def save(self, path: Path, content: bytes) -> None:
        """Write a file whole or not at all, and make it last."""
        write_through(self._temporary(path), content)
        self._publish(path)

    def _temporary(self, path: Path) -> Path:
        return path.with_name(f".{path.name}.{self._token}.tmp")

    def _publish(self, path: Path) -> None:
        """Give a temporary file its name, in one step."""
        self._temporary(path).replace(path)
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def experiment_text(self) -> str | None:
        """Return the experiment that lies here, as YAML; None where there is none."""
        path = self.path / "experiment.yaml"
        try:
            return plain.read(path, plain.MOST_TEXT).decode()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except UnicodeDecodeError as error:
            raise Unreadable(path, f"{path}: expected text in UTF-8: {error}") from None

    def save_experiment(self, text: str) -> None:
        """Write experiment.yaml."""
        self.save(self.path / "experiment.yaml", text.encode())

    def part(self, bag: str, index: int) -> Path:
        """Return where the part of a block lies, or would."""
        return self.trials / part_name(bag, index)

    def staged(self, bag: str, index: int) -> Path:
        """Return where a worker writes a block's part before it is one."""
        return self._temporary(self.part(bag, index))

    def adopt(self, bag: str, index: int) -> None:
        """Make what was staged the part of its block."""
        self._publish(self.part(bag, index))

    def remove(self, bag: str, index: int) -> None:
        """Delete the part of a block."""
        self.part(bag, index).unlink(missing_ok=True)

    def has(self, head: dict[str, Any]) -> bool:
        """Return whether the part with this head is here: whole, and of what is asked.

        One that is damaged is told in the log.
        """
        path = self._of(head)
        try:
            return holds(path, head)
        except DamagedPart:
            self.log("damaged", part=path.name)
            return False

    def announces(self, head: dict[str, Any]) -> bool:
        """Return whether the part with this head seems to be here: only its footer is read."""
        return announces(self._of(head), head)

    def _of(self, head: dict[str, Any]) -> Path:
        return self.part(head["block"]["bag"], head["block"]["index"])

    def here(self, bag: str) -> list[int]:
        """Return which blocks of a bag have a part here, ascending."""
        names = os.listdir(self.trials) if self.trials.is_dir() else []
        found = (part_index(bag, name) for name in names)
        return sorted(index for index in found if index is not None)

    def names(self) -> list[str]:
        """Return what lies in the folder of parts, less what is being written; sorted."""
        names = os.listdir(self.trials) if plain.kind(self.trials) == "folder" else []
        return sorted(name for name in names if not _is_temporary(name))

    def in_use(self) -> bool:
        """Return whether a run is at work here now; nothing is written."""
        return locks.is_held(self._lock)

    def save_table(self, name: str, table: pa.Table) -> None:
        """Write one of the tables; it carries the experiment in its metadata."""
        content = encode_table(name, table, self.experiment_text() or "")
        self.save(self.path / f"{name}.parquet", content)

    def table(self, name: str) -> pa.Table:
        """Return one of the tables, such as `summary`; NoResults where it was not made."""
        path = self.path / f"{name}.parquet"
        mend = f"klsim analyze {self.path}"
        try:
            return decode_table(name, plain.read(path))
        except (FileNotFoundError, NotADirectoryError):
            raise NoResults(f"{path} is not there; make it with: {mend}") from None
        except (OSError, MemoryError, pa.ArrowException) as error:
            first = first_line(error)
            raise NoResults(f"{path} is damaged ({first}); make it again with: {mend}") from None

    def save_run(self, facts: dict[str, Any]) -> None:
        """Write run.json: what made these files, and how long it took."""
        text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
        self.save(self.path / "run.json", text.encode())

    def run_facts(self) -> dict[str, Any]:
        """Return what run.json says; nothing where there is none."""
        try:
            facts = plain.read_json(self.path / "run.json")
        except (OSError, ValueError):
            return {}
        return facts if isinstance(facts, dict) else {}

    def save_report(self, page: str) -> Path:
        """Write report.html and return where it lies."""
        path = self.path / "report.html"
        self.save(path, page.encode())
        return path

    def log(self, event: str, **facts: Any) -> None:
        """Add a line to log.jsonl."""
        line = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "event": event, **facts}
        path = self.path / "log.jsonl"
        there = plain.read(path, plain.MOST_TEXT) if plain.kind(path) else b""
        end = b"" if there.endswith(b"\n") or not there else b"\n"
        self.save(path, there + end + json.dumps(line, ensure_ascii=False).encode() + b"\n")

    def clear(self) -> None:
        """Delete what a run wrote here, and nothing else."""
        drawn = pictures.here(self.path)
        for path in (*self._part_files(), *drawn, *map(self.path.joinpath, _OWN)):
            path.unlink(missing_ok=True)

    def foreign(self) -> bool:
        """Return whether files lie here that no run wrote, and no experiment beside them."""
        known = {*_OWN, ".lock", "trials", pictures.FOLDER}
        names = set(os.listdir(self.path)) if self.path.is_dir() else set()
        return "experiment.yaml" not in names and bool(names - known)
