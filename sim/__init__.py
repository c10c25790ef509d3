"""klsim: how far is a counted KL divergence from the true one?"""

from importlib import import_module
from typing import Any

__all__ = [
    "Experiment",
    "Results",
    "compare",
    "estimate",
    "extend",
    "load",
    "noise_floor",
    "open_results",
    "plan",
    "run",
    "size_for_error",
]

_HOMES = {
    "Experiment": "sim.experiment",
    "compare": "sim.comparing",
    "estimate": "sim.own_counts",
    "noise_floor": "sim.answers.floors",
    "plan": "sim.planning",
    "size_for_error": "sim.answers.sizes",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for when it is asked for: `import sim` costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module 'sim' has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "sim.api")), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
