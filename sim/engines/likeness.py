"""Is a worker like the coordinator? What must be equal before their rows are mixed."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, entry_points, version

from sim.canary import canary
from sim.experiment import STREAM_VERSION

PACKAGES = ("klsim", "numpy", "scipy", "simpy", "pyarrow", "pydantic")
"""They draw the bits, write them, or carry the experiment to a worker."""

CANARY = "numeric canary"


@cache
def facts() -> dict[str, str]:
    """Return what of this process must be equal wherever rows of one run are made.

    The versions of packages, of those with members of the user's too, of Python and of the
    random streams; and the canary, for the same versions may compute otherwise elsewhere.
    """
    members = {point.dist.name for point in entry_points(group="klsim") if point.dist}
    return {
        "Python": ".".join(platform.python_version_tuple()[:2]),
        **{name: _version(name) for name in (*PACKAGES, *sorted(members))},
        "random streams": str(STREAM_VERSION),
        CANARY: canary(),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def unlike(expected: dict[str, str]) -> list[str]:
    """Say in what this process is not as expected, fact by fact; it may have more besides."""
    here = facts()
    return [
        f"{name} {here.get(name, 'missing')} there, {wanted} here"
        for name, wanted in expected.items()
        if here.get(name) != wanted
    ]
