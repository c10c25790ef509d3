"""A result goes in; its pictures, each a file of its own, are written."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Literal

from sim.errors import Fault
from sim.report.material import Material, Picture
from sim.report.pictures import DRAWERS, pictures
from sim.report.static import png, svg
from sim.store import plain
from sim.store.directory import Directory
from sim.store.pictures import FOLDER, sweep

Form = Literal["svg", "png"]


class NoPicture(Fault):
    """There is no picture of that name, or this result has nothing to show in it."""

    exit_code = 2


def draw(
    material: Material,
    results: str | Path,
    form: Form,
    out: str | Path | None = None,
    only: Collection[str] = (),
) -> list[Path]:
    """Write the pictures of the material of a result into `report/` in its directory, or `out`.

    `only` these, by name; NoPicture where one of them cannot be. Each file is written whole or
    not at all, and the same tables give the same bytes. Return where they lie.
    """
    found = _asked(material, only)
    if out is not None:
        return _write(found, form, Path(out).resolve(), Path(out))
    directory = Directory(Path(results).resolve())
    with directory.locked():
        sweep(directory.path)
        return _write(found, form, directory.path / FOLDER, Path(results) / FOLDER)


def expect_names(only: Collection[str]) -> None:
    """Raise NoPicture where no picture is ever called so."""
    unknown = next((name for name in only if name not in DRAWERS), None)
    if unknown is not None:
        raise NoPicture(f"there is no picture {unknown!r}; expected one of {', '.join(DRAWERS)}")


def _asked(material: Material, only: Collection[str]) -> list[Picture]:
    if not only:
        return pictures(material)
    drawn = {name: DRAWERS[name](material) for name in dict.fromkeys(only)}
    lacking = next((name for name, picture in drawn.items() if picture is None), None)
    if lacking is not None:
        there = ", ".join(picture.name for picture in pictures(material)) or "none"
        raise NoPicture(f"{lacking}: this result has nothing to show in it; there are: {there}")
    return [picture for picture in drawn.values() if picture is not None]


def _write(found: list[Picture], form: Form, folder: Path, named: Path) -> list[Path]:
    """Write pictures into a folder; return their paths as the user would name them."""
    plain.expect(folder, "folder")
    folder.mkdir(parents=True, exist_ok=True)
    draws = svg if form == "svg" else png
    writer = Directory(folder)
    for picture in found:
        path = folder / f"{picture.name}.{form}"
        plain.expect(path, "file")
        writer.save(path, draws(picture))
    return [named / f"{picture.name}.{form}" for picture in found]
