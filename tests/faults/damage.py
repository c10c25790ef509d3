"""Bits that rot: a part or a table is cut short, flipped, emptied, or another's."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

from .records import TOLD, fault
from .scenes import FEW, Bench, Scene

Harm = Callable[[Path, random.Random], None]


def truncate(path: Path, rng: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(1, len(content))])


def flip(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def empty(path: Path, rng: random.Random) -> None:
    path.write_bytes(b"")


def replace(path: Path, rng: random.Random) -> None:
    """Put another whole file of the run in its place, such as another block's part."""
    there = path.read_bytes()
    others = [other.read_bytes() for other in sorted(path.parent.glob("*.parquet"))]
    path.write_bytes(rng.choice([other for other in others if other not in (there, b"")]))


HARMS: list[Harm] = [truncate, flip, empty, replace]


def hurt(scene: Scene, paths: list[Path], harms: list[Harm], rng: random.Random) -> None:
    """Damage some files: verify names them, run makes only them anew, verify finds no more."""
    for path, harm in zip(paths, harms, strict=True):
        harm(path, rng)
    run, said = _verified(scene)
    scene.record.attempt(True)
    scene.record.ended(run, {6}, said)
    scene.record.expect(TOLD, all(p.name in said for p in paths), f"{paths} in {said}")
    blameless = [p for p in scene.folder.rglob("*.parquet") if p not in paths]
    scene.record.expect(TOLD, not any(p.name in said for p in blameless), said)
    scene.go_on()
    computed = json.loads((scene.folder / "run.json").read_text())["computed"]
    wanted = sum(path.parent.name == "trials" for path in paths)
    scene.record.expect(TOLD, computed == wanted, f"computed {computed}, not {wanted}")
    run, said = _verified(scene)
    scene.record.ended(run, {0}, said)


def _verified(scene: Scene) -> tuple[int, str]:
    """Return how `klsim verify` ends and what it says, on both streams."""
    said = scene.note("verified.txt")
    with said.open("wb") as stdout:
        run = scene.start("verify", stdout=stdout)
        code = run.process.wait()
    text = said.read_text() + run.said()
    scene.record.expect(TOLD, "Traceback" not in text, text)
    return code, text


def _harmed(bench: Bench, harm: Harm, pattern: str) -> None:
    scene = bench.scene(bench.plain, begun=bench.plain)
    path = bench.rng.choice(sorted(scene.folder.glob(pattern)))
    hurt(scene, [path], [harm], bench.rng)


@fault("a part is cut short", rounds=4)
def part_truncated(bench: Bench) -> None:
    _harmed(bench, truncate, "trials/*.parquet")


@fault("one bit of a part is flipped", rounds=12)
def part_flipped(bench: Bench) -> None:
    _harmed(bench, flip, "trials/*.parquet")


@fault("a part is emptied", rounds=2)
def part_emptied(bench: Bench) -> None:
    _harmed(bench, empty, "trials/*.parquet")


@fault("a part is replaced by another block's", rounds=4)
def part_replaced(bench: Bench) -> None:
    _harmed(bench, replace, "trials/*.parquet")


@fault("a table is cut short, flipped, emptied or replaced", rounds=8)
def table_damaged(bench: Bench) -> None:
    _harmed(bench, bench.rng.choice(HARMS), "*.parquet")


@fault("four parts and a table are damaged at once, each otherwise", rounds=2)
def much_damaged(bench: Bench) -> None:
    scene = bench.scene(FEW, begun=FEW)
    paths = bench.rng.sample(sorted(scene.folder.glob("trials/held*.parquet")), len(HARMS))
    table = bench.rng.choice(sorted(scene.folder.glob("*.parquet")))
    hurt(scene, [*paths, table], [*HARMS, flip], bench.rng)
