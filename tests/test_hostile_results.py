"""Whatever lies in a run's directory, each command answers: soon, as designed, and only there."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import test_fuzz
from runs import files, text

from sim.config.reading import load
from sim.store.coverage import header
from sim.store.parts import PART, Parts, encode

CHUNKS, OF_EACH = 8, 16
COIN = {"kind": "with_replacement", "balls": {"red": 1, "blue": 2}}
PLAIN: dict[str, Any] = {
    "name": "plain",
    "seed": 1,
    "trials": 20,
    "sizes": [2, 5],
    "bags": {"a": COIN, "b": {**COIN, "balls": {"x": 1, "y": 1}}},
}
CLOCK = {"kind": "delayed_returns", "balls": {"red": 1, "blue": 2}, "hold": 1.5}
BASES: dict[str, dict[str, Any]] = {
    "plain": PLAIN,
    "partial": {**PLAIN, "name": "partial"},
    "precise": {**PLAIN, "name": "precise", "stop": {"bias_mcse": 0.1, "max_trials": 5000}},
    "traced": {**PLAIN, "name": "traced", "sizes": [2], "bags": {"clock": CLOCK}},
}
DESIGNED = {
    "status": {0, 2, 4},
    "verify": {0, 2, 6},
    "analyze": {0, 1, 2, 4},
    "run": {0, 4},
    "extend": {0, 2, 4},
}
HOSTILE = [
    *(b"", b"{", b"[]", b"null", b"NaN", b"[" * 100_000, b'{"a":' * 100_000, b"9" * 10_000),
    *(b'{"stop": []}', b'{"stop": {"bags": {"a": 1}}}', b'{"digest": 1e999}', b"\xff\xfe\x00"),
    *(b"name: x\n", b"name: {", b"a: &a [*a]", b"PAR1", b"PAR1" + bytes(60) + b"PAR1", b"\n\n\n"),
]
STRANGE = ["notes.md", ".hidden", "-rf *", "a\nb", "\x1b[2J.parquet", "ä" * 60, "a.tmp", "$(x)"]


def klsim(*arguments: object) -> tuple[int, str, str]:
    """Run the command in this process; neither computing nor waiting for long is an answer."""
    before = signal.signal(signal.SIGALRM, test_fuzz._late)
    signal.setitimer(signal.ITIMER_REAL, 60.0)
    try:
        return test_fuzz.klsim(*map(str, arguments))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def known(tmp_path_factory) -> dict[str, dict[str, bytes]]:
    """What quiet runs of all bases leave, by the name of the base."""
    folder = tmp_path_factory.mktemp("known")
    left = {}
    for name, plain in BASES.items():
        config = folder / f"{name}.yaml"
        config.write_text(text(plain))
        trace = ["--trace"] if name == "traced" else []
        assert klsim("run", config, "--out", folder, "--workers", 1, *trace)[0] == 0
        left[name] = files(folder / name)
    return left


class Place:
    """A folder with a configuration, a result that was tampered with, and what lies outside."""

    def __init__(self, base: str, known: dict[str, dict[str, bytes]], folder: Path) -> None:
        self.known, self.quiet = known, known[base]
        self.config = folder / "config.yaml"
        self.out = folder / "out"
        self.path = self.out / base
        self.outside = folder / "outside"
        self.config.write_text(text(BASES[base]))
        self.outside.mkdir()
        (self.outside / "file").write_bytes(b"precious")
        for name, content in self.quiet.items():
            for root in (self.path, self.outside / "result"):
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        if base == "partial":
            for name in ("run.json", "summary.parquet", self.parts[0]):
                (self.path / name).unlink()

    @property
    def parts(self) -> list[str]:
        return sorted(name for name in self.quiet if name.startswith("trials/"))

    def plain_files(self) -> list[Path]:
        every = sorted(self.path.rglob("*"))
        return [path for path in every if path.is_file() and not path.is_symlink()]

    def beyond(self) -> dict[str, tuple[bytes | None, int, int]]:
        """Return all that lies outside of the result, with when it was last changed."""
        found = {}
        for path in [self.config, *self.outside.rglob("*"), *self.out.iterdir()]:
            facts = path.lstat()
            content = path.read_bytes() if path.is_file() and path != self.path else None
            when = 0 if path == self.path else facts.st_mtime_ns
            found[str(path)] = (content, facts.st_ino if path != self.path else 0, when)
        return found


def put(path: Path, content: bytes) -> None:
    """Write a file, if nothing special lies in its place already."""
    if not path.is_symlink() and (path.is_file() or not path.exists()):
        with contextlib.suppress(OSError):  # its folder is none any more
            path.write_bytes(content)


Mutation = Callable[[random.Random, Place, Path], None]


def cut(rng: random.Random, place: Place, path: Path) -> None:
    path.write_bytes(path.read_bytes()[: rng.randrange(path.stat().st_size + 1)])


def flip(rng: random.Random, place: Place, path: Path) -> None:
    content = bytearray(path.read_bytes() or b"\0")
    for _ in range(rng.choice([1, 1, 3])):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def replace(rng: random.Random, place: Place, path: Path) -> None:
    path.write_bytes(rng.choice([rng.randbytes(rng.randrange(3000)), rng.choice(HOSTILE)]))


def replace_record(rng: random.Random, place: Place, path: Path) -> None:
    name = rng.choice(["run.json", "log.jsonl", "experiment.yaml"])
    put(place.path / name, rng.choice(HOSTILE))


def distort_run(rng: random.Random, place: Place, path: Path) -> None:
    """Change plain data in one place of run.json."""
    facts = json.loads(place.quiet["run.json"])
    with contextlib.suppress(ValueError):
        test_fuzz.unlike(rng, facts)
        put(place.path / "run.json", json.dumps(facts).encode())


def distort_experiment(rng: random.Random, place: Place, path: Path) -> None:
    old = place.quiet["experiment.yaml"].decode()
    new = rng.choice([test_fuzz.by_lines, test_fuzz.by_words])(rng, old)
    put(place.path / "experiment.yaml", new.encode("utf-8", "surrogatepass"))


def swap(rng: random.Random, place: Place, path: Path) -> None:
    other = place.path / rng.choice(sorted(place.quiet))
    if other.is_file() and path.is_file():
        one, two = path.read_bytes(), other.read_bytes()
        path.write_bytes(two)
        other.write_bytes(one)


def rename(rng: random.Random, place: Place, path: Path) -> None:
    names = ["x.parquet", ".x.tmp", f"{path.stem[:-9]}000000007.parquet", "00000000.parquet"]
    path.rename(path.with_name(rng.choice(names)))


def take_part(rng: random.Random, place: Place, path: Path) -> None:
    """Put the part of another experiment in the place of one, or beside it."""
    other = rng.choice(sorted(place.known))
    name = rng.choice([name for name in place.known[other] if name.startswith("trials/")])
    put(place.path / rng.choice([place.parts[0], name]), place.known[other][name])


def change_version(rng: random.Random, place: Place, path: Path) -> None:
    """Let a part say that it was drawn otherwise, under a good checksum."""
    experiment, name = load(place.config), rng.choice(place.parts)
    (rows,) = Parts((place.outside / "result" / name,)).read()
    index = int(PART.fullmatch(name[7:])[1])
    head = header(experiment, rng.choice(list(experiment.bags)), index)
    covers = head["covers"]
    changes = [
        {"stream": rng.choice([0, 2, "1", None])},
        {"canary": rng.choice(["0" * 16, 7, None])},
        {"covers": {**covers, "controls": rng.choice([0, 99, []])}},
        {"covers": {**covers, "trials": rng.choice([0, -1, 10**9, "x"])}},
        {"covers": {**covers, "models": rng.choice([[], {"itself": 1}, None])}},
        {"covers": rng.choice([[], None, {}])},
        {"block": rng.choice([[], None, {"is": None}])},
    ]
    put(place.path / name, encode(rows, {**head, **rng.choice(changes)}))


def add_stranger(rng: random.Random, place: Place, path: Path) -> None:
    folder = rng.choice([place.path, place.path / "trials"])
    raw = os.fsencode(folder) + b"/" + rng.choice([b"\xff\xfe", b"\x80.parquet"])
    odd = Path(os.fsdecode(raw)) if rng.random() < 0.3 else folder / rng.choice(STRANGE)
    if rng.random() < 0.3:
        odd = odd.joinpath(*["deep"] * rng.choice([1, 40]))
    with contextlib.suppress(OSError):
        odd.parent.mkdir(parents=True, exist_ok=True)
    put(odd, rng.choice([b"", b"mine", place.quiet[place.parts[0]]]))


def _place_of(rng: random.Random, place: Place, path: Path) -> Path:
    """Return where something special will lie, with nothing there any more."""
    odd = [place.path / ".lock", place.path / "trials", place.path / "trace.parquet"]
    path = rng.choice([path, path, *odd])
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    return path


def link(rng: random.Random, place: Place, path: Path) -> None:
    path = _place_of(rng, place, path)
    same = place.outside / "result" / path.relative_to(place.path)
    aims = [same, place.outside / "file", place.outside, Path("/dev/zero"), path, Path("nowhere")]
    path.symlink_to(rng.choice(aims))


def link_hard(rng: random.Random, place: Place, path: Path) -> None:
    path = _place_of(rng, place, path)
    if path.name != "trials":
        os.link(place.outside / "file", path)


def pipe(rng: random.Random, place: Place, path: Path) -> None:
    os.mkfifo(_place_of(rng, place, path))


def folder(rng: random.Random, place: Place, path: Path) -> None:
    path = _place_of(rng, place, path)
    path.mkdir()
    (path / "file").write_bytes(b"mine")


def take_away(rng: random.Random, place: Place, path: Path) -> None:
    _place_of(rng, place, path)


def move_all(rng: random.Random, place: Place, path: Path) -> None:
    """Put a link to a folder elsewhere in the place of the whole result."""
    shutil.rmtree(place.path)
    place.path.symlink_to(place.outside / rng.choice(["result", ".", "nowhere"]))


MUTATIONS: list[Mutation] = [
    *(cut, flip, replace, replace_record, distort_run, distort_experiment, swap, rename),
    *(take_part, change_version, add_stranger, link, link_hard, pipe, folder, take_away),
]


def answer(place: Place, verb: str, *options: str) -> int:
    """Hold one command to its word; return its exit code."""
    result = [place.config, "--out", place.out]
    target = result if verb in ("run", "extend") else [place.path]
    more = ["--workers", 1] if verb in ("run", "extend") else []
    before = place.beyond()
    code, out, err = klsim(verb, *target, *more, *options)
    assert code in DESIGNED[verb], f"{verb} {options}: exit {code}: {err}"
    assert "Traceback" not in out + err
    assert place.beyond() == before, f"{verb}: something outside of the result was changed"
    if code in (1, 2, 4):
        assert err.strip(), verb
    elif "--json" in options:
        json.loads(out)
    return code


def hold_to_its_word(rng: random.Random, place: Place) -> None:
    """Ask everything of a result that was tampered with, and see what a run makes of it."""
    json_or_not = lambda: ["--json"] * rng.randrange(2)  # noqa: E731
    answer(place, "status", *json_or_not())
    answer(place, "verify", *json_or_not(), *rng.choice([[], ["--recompute", "1"]]))
    first = rng.choice(["run", "extend", "analyze"])
    answer(place, first, *json_or_not())
    last = ["--fresh"] * rng.randrange(2)
    if answer(place, "run", *last) == 0:
        left = files(place.path)
        wanted = {
            n: c for n, c in place.quiet.items() if n.endswith(".parquet") and n[:5] != "trace"
        }
        assert {name: left.get(name) for name in wanted} == wanted
        assert answer(place, "status") == 0


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_result_that_was_tampered_with_is_told_or_mended(chunk, known, tmp_path):
    failures = []
    for number in range(OF_EACH):
        rng = random.Random(f"{chunk} {number}")
        base = sorted(BASES)[number % len(BASES)]
        space = tmp_path / str(number)
        space.mkdir()
        place = Place(base, known, space)
        done = []
        for _ in range(rng.choice([1, 1, 2, 3])):
            mutation = rng.choice(MUTATIONS)
            done.append(mutation.__name__)
            mutation(rng, place, rng.choice(place.plain_files()))
        try:
            hold_to_its_word(rng, place)
        except Exception as error:
            failures.append(f"{chunk} {number} {base} {done}: {error!r}"[:900])
    assert not failures, f"{len(failures)} of {OF_EACH}:\n" + "\n".join(failures[:5])


@pytest.mark.parametrize("mutation", [*MUTATIONS, move_all], ids=lambda each: each.__name__)
def test_each_way_of_tampering_alone_is_told_or_mended(mutation, known, tmp_path):
    rng = random.Random(mutation.__name__)
    place = Place("plain", known, tmp_path)
    mutation(rng, place, place.path / rng.choice(place.parts))
    hold_to_its_word(rng, place)
