"""Counts and weights as they are typed: `4,2,3,0` or `red=4,blue=2`, or a column of a file."""

from __future__ import annotations

from pathlib import Path

import click

from sim.checks import guess, shown
from sim.cli.terminal import one_line
from sim.compositions import FromFile
from sim.config.files import FileFault, counts


class Named(dict[str, float]):
    """Numbers by colour, in order; `by_place` where nobody named the colours."""

    by_place: bool = False


class Numbers(click.ParamType[Named]):
    """Numbers by colour; without names the colours are called 1, 2, …"""

    name = "numbers"

    def convert(
        self, value: str | Named, param: click.Parameter | None, ctx: click.Context | None
    ) -> Named:
        """Return the numbers by colour."""
        if isinstance(value, Named):
            return value
        found, parts = Named(), value.split(",")
        found.by_place = "=" not in value
        for place, part in enumerate(parts, start=1):
            name, _, text = part.rpartition("=")
            colour = str(place) if found.by_place else name.strip()
            if not colour:
                self.fail(f"expected a name for every number or for none; got {shown(part)}")
            if colour in found:
                self.fail(f"colour {shown(colour)} is named twice", param, ctx)
            try:
                found[colour] = float(text)
            except ValueError:
                self.fail(
                    f"expected numbers, 4,2,3,0 or red=4,blue=2; got {shown(part)}", param, ctx
                )
            if not found.by_place and found[colour] < 0:
                self.fail(f"{shown(colour)}: expected 0 or more; got {text.strip()}", param, ctx)
        return found


def of_file(path: str, column: str, missing: str | None) -> Named:
    """Return how often each value of a column occurs; FileFault where it cannot be read."""
    real = Path(path).resolve()
    asked = FromFile.model_validate({"path": real.name, "column": column, "missing": missing})
    try:
        return Named(counts(asked, real.parent))
    except FileFault as fault:
        raise FileFault(str(fault).replace("`missing: ", "`--missing ")) from None


def aligned(
    own: Named, other: Named, *, counted: bool = False
) -> tuple[list[str], list[float], list[float]]:
    """Return the colours, and both as lists in their order; unnamed ones go by place.

    A colour that a sample lacks was not drawn; one that a known model lacks is a usage error.
    """
    if own.by_place or other.by_place:
        if len(own) != len(other):
            raise click.UsageError(
                f"expected as many colours on both sides; got {len(own)} and {len(other)}"
            )
        names = list(other) if own.by_place else list(own)
        return names, list(own.values()), list(other.values())
    lacking = next((colour for colour in own if colour not in other), None)
    if lacking is not None and not counted:
        raise click.UsageError(
            f"the model says nothing of {shown(lacking)}; give it, 0 where it never shows"
            + guess(lacking, other)
        )
    names = [*own, *(colour for colour in other if colour not in own)]
    return names, [own.get(n, 0) for n in names], [other.get(n, 0) for n in names]


def listed(names: list[str], numbers: list[str], most: int = 8) -> str:
    """Return `red 4, blue 2, … 3 more`, without names that are places."""
    by_place = names == [str(place) for place in range(1, len(names) + 1)]
    pairs = list(zip(names, numbers, strict=True))[:most]
    texts = [number if by_place else f"{name} {number}" for name, number in pairs]
    more = len(names) - len(texts)
    return one_line(", ".join([*texts, *([f"… {more:,} more"] if more else [])]))
