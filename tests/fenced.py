"""What stands in the fenced blocks of a page of the documents, for the tests that run it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Block:
    """A fenced block: the language it names, the heading it stands under, its lines."""

    language: str
    heading: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def blocks(page: str, language: str) -> list[Block]:
    """Return the blocks of a page, such as docs/tables.md, in one language."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [block for block in every_block(text) if block.language == language]


def every_block(text: str) -> Iterator[Block]:
    """Yield every fenced block of a text; one that does not end is a fault of the page.

    What stands in a comment is no part of the page.
    """
    heading, language, inside = "", None, []
    for line in re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL).splitlines():
        if language is None and line.startswith("```"):
            language, inside = line.removeprefix("```"), []
        elif language is None:
            heading = line.lstrip("# ") if line.startswith("#") else heading
        elif line == "```":
            yield Block(language, heading, tuple(inside))
            language = None
        else:
            inside.append(line)
    assert language is None, f"the block below {heading!r} does not end"
