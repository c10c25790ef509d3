"""The head of a part, in which it says what it is: what must stand in it, and what follows."""

from __future__ import annotations

from typing import Any

CONTROLS_VERSION = 1
"""Raised where a part has other control rows than before; parts without any have none."""

SHELVES = ("models", "estimators", "learners")
"""The families whose members an extension may add."""

GROWING = ("sizes", "targets", *SHELVES)
"""What a part covers and may cover more of, trials and bags aside."""

_PLACES = ("bags", "models", "targets", "sizes")
"""The keys of a member that say where it stands, not what it is."""

_CONTROLS = 3
"""The most control variates of a size beside one model."""

_MOST_TRIALS = 2**23
"""The most trials of a block: 64 MiB of counts of one colour."""


def own(member: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a member without what says where it stands: filters, and the sizes of a bag."""
    return None if member is None else {k: v for k, v in member.items() if k not in _PLACES}


def most_rows(head: dict[str, Any]) -> int:
    """Return the most rows that a part with this head can have."""
    covers = head["covers"]
    models = len(covers["models"])
    cells = models * len(covers["targets"]) * len(covers["estimators"]) + len(covers["learners"])
    controls = _CONTROLS * (models + 1)
    return int(covers["trials"]) * len(covers["sizes"]) * (cells + controls)


def is_head(value: Any) -> bool:
    """Return whether a value has all that is looked for in a head, and of the right type."""
    if not isinstance(value, dict):
        return False
    block, covers = value.get("block"), value.get("covers")
    return isinstance(block, dict) and _is_block(block) and _is_cover(covers)


def _is_block(block: dict[str, Any]) -> bool:
    return isinstance(block.get("is"), dict) and isinstance(block.get("bag"), str)


def _is_cover(covers: Any) -> bool:
    if not isinstance(covers, dict):
        return False
    trials, targets = covers.get("trials"), covers.get("targets")
    return (
        type(trials) is int
        and 0 <= trials <= _MOST_TRIALS
        and isinstance(covers.get("sizes"), list)
        and isinstance(targets, list)
        and all(isinstance(target, str) for target in targets)
        and all(_is_shelf(covers.get(family)) for family in SHELVES)
    )


def _is_shelf(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(x, dict) for x in value.values())
