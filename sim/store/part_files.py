"""Where the parts of a bag lie."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from sim.store.parts import part_name


@dataclass(frozen=True)
class PartFiles(Sequence[Path]):
    """Where the parts of some blocks of a bag lie, ascending: eight bytes a part."""

    folder: Path
    bag: str
    blocks: array[int]

    @overload
    def __getitem__(self, place: int) -> Path: ...

    @overload
    def __getitem__(self, place: slice) -> PartFiles: ...

    def __getitem__(self, place: int | slice) -> Path | PartFiles:
        """Return the path of one, or some of them."""
        if isinstance(place, slice):
            return PartFiles(self.folder, self.bag, self.blocks[place])
        return self.folder / part_name(self.bag, self.blocks[place])

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.blocks)
