"""Where blocks are computed: each engine is a context manager that yields an Executor."""

from sim.engines.engine import ENGINES, Engine

__all__ = ["ENGINES", "Engine"]
