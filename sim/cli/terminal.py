"""What goes to a terminal: text without the characters that would drive it."""

from __future__ import annotations

from unicodedata import category

import click

_UNFIT = {"Cc", "Cs", "Zl", "Zp"}
"""Kinds of characters that move the cursor, change colours or end the line."""

_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change in what direction others are shown."""


def harmless(text: str) -> str:
    """Return a text with � for what a terminal would obey; lines and tabs stay."""
    return text if text.isprintable() else "".join(map(_harmless, text))


def _harmless(character: str) -> str:
    if character in "\n\t":
        return character
    return "�" if character in _TURNING or category(character) in _UNFIT else character


def one_line(text: str) -> str:
    """Return a text that may stand within a line: without lines or tabs of its own."""
    return harmless(text.translate({ord("\n"): "�", ord("\t"): "�"}))


def say(text: str, *, err: bool = False) -> None:
    """Print a line for people: names and labels in it may be anybody's."""
    click.echo(harmless(text), err=err)
