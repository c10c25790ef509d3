"""What a user can mend: a message that says how, and the exit code of the command."""

from __future__ import annotations

from typing import ClassVar


class Fault(Exception):
    """A fault with a message for its user, never a traceback."""

    exit_code: ClassVar[int] = 1


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says; its type where it says nothing."""
    return str(error).partition("\n")[0] or type(error).__name__
