"""A run's directory: one writer at a time, and nothing in it ever half-written."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import filelock
import pyarrow as pa
import pyarrow.parquet as pq

from sim.errors import Fault
from sim.store.parts import PART, Parts, part_index, part_name, read_header
from sim.tables import COMPARISON, CONVERGENCE, SUMMARY, TRACE

_TABLES = {
    "summary": SUMMARY,
    "convergence": CONVERGENCE,
    "comparison": COMPARISON,
    "trace": TRACE,
}
_OWN = ("experiment.yaml", "run.json", "log.jsonl", *(f"{name}.parquet" for name in _TABLES))


def _is_own(name: str) -> bool:
    return name in _OWN or PART.fullmatch(name) is not None


def write_through(path: Path, content: bytes) -> None:
    """Write a file and wait until the disk has it; leave nothing where that fails."""
    try:
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


class InUse(Fault):
    """Another run holds the directory."""

    exit_code = 4


class DifferentExperiment(Fault):
    """What lies in the directory is not what was asked for."""

    exit_code = 4


class NoResults(Fault):
    """What should be here is not: no run, or not this table."""

    exit_code = 2


class Directory:
    """The files of one run, `results/<name>`; see `results/README.md` for what each one is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trials = path / "trials"
        self._token = uuid4().hex[:12]  # a worker of a killed run may still be writing

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory; the system lets go of it however the process ends."""
        self.trials.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self.path / ".lock", timeout=0.5)  # `status` holds it for a moment
        try:
            lock.acquire(poll_interval=0.01)
        except filelock.Timeout:
            raise InUse(
                f"{self.path} is in use by another run; wait for it, or choose another --out"
            ) from None
        try:
            self._sweep()
            yield
        finally:
            self._sweep()
            lock.release()

    def _sweep(self) -> None:
        """Remove what a killed writer or worker left: temporary files are never read."""
        for folder in (self.path, self.trials):
            for left in folder.glob(".*.tmp"):
                if _is_own(left.name[1:].rsplit(".", 2)[0]):
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
        try:
            return (self.path / "experiment.yaml").read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None

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
        """Return whether the part with this head is here: whole, and of what is asked."""
        path = self.part(head["block"]["bag"], head["block"]["index"])
        # as text: the order of models and estimators is that of the rows
        return path.exists() and json.dumps(read_header(path)) == json.dumps(head)

    def here(self, bag: str) -> list[int]:
        """Return which blocks of a bag have a part here, ascending."""
        names = os.listdir(self.trials) if self.trials.is_dir() else []
        found = (part_index(bag, name) for name in names)
        return sorted(index for index in found if index is not None)

    def parts(self, blocks: Mapping[str, int]) -> Parts:
        """Return the parts that are here of the first so many blocks of each bag, in order."""
        found = ((bag, i) for bag, most in blocks.items() for i in self.here(bag) if i < most)
        return Parts(tuple(self.part(bag, index) for bag, index in found))

    def in_use(self) -> bool:
        """Return whether a run is at work here now."""
        lock = filelock.FileLock(self.path / ".lock", timeout=0)
        try:
            with lock:
                return False
        except filelock.Timeout:
            return True

    def save_table(self, name: str, table: pa.Table) -> None:
        """Write one of the tables; it carries the experiment in its metadata."""
        sink = pa.BufferOutputStream()
        text = self.experiment_text() or ""
        kept = table.cast(_TABLES[name]).replace_schema_metadata({"klsim.experiment": text})
        pq.write_table(kept, sink, compression="zstd", write_page_checksum=True)
        self.save(self.path / f"{name}.parquet", sink.getvalue().to_pybytes())

    def table(self, name: str) -> pa.Table:
        """Return one of the tables, such as `summary`; NoResults where it was not made."""
        path = self.path / f"{name}.parquet"
        if not path.is_file():
            raise NoResults(f"{path} is not there; make it with: klsim analyze {self.path}")
        try:
            return pq.read_table(path, page_checksum_verification=True)
        except (OSError, pa.ArrowException) as error:
            first = str(error).partition("\n")[0]
            mend = f"make it again with: klsim analyze {self.path}"
            raise NoResults(f"{path} is damaged ({first}); {mend}") from None

    def save_run(self, facts: dict[str, Any]) -> None:
        """Write run.json: what made these files, and how long it took."""
        text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
        self.save(self.path / "run.json", text.encode())

    def run_facts(self) -> dict[str, Any]:
        """Return what run.json says; nothing where there is none."""
        try:
            facts = json.loads((self.path / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return facts if isinstance(facts, dict) else {}

    def log(self, event: str, **facts: Any) -> None:
        """Add a line to log.jsonl."""
        line = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "event": event, **facts}
        with (self.path / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def clear(self) -> None:
        """Delete what a run wrote here, and nothing else."""
        parts = [path for path in self.trials.glob("*.parquet") if _is_own(path.name)]
        for path in [*parts, *(self.path / name for name in _OWN)]:
            path.unlink(missing_ok=True)

    def foreign(self) -> bool:
        """Return whether files lie here that no run wrote, and no experiment beside them."""
        known = {*_OWN, ".lock", "trials"}
        names = set(os.listdir(self.path)) if self.path.is_dir() else set()
        return "experiment.yaml" not in names and bool(names - known)
