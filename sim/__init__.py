"""klsim: how far is a counted KL divergence from the true one?"""

from importlib import import_module
from typing import Any

__all__ = ["Experiment", "Results", "estimate", "extend", "load", "open_results", "run"]

_HOMES = {"Experiment": "sim.experiment", "estimate": "sim.own_counts"}


def __getattr__(name: str) -> Any:
    """Load what is asked for when it is asked for: `import sim` costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module 'sim' has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "sim.api")), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
