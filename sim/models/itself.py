"""The bag's own distribution."""

from __future__ import annotations

from typing import Literal

from sim.contracts.arrays import Mix
from sim.contracts.bag import Bag
from sim.contracts.model import Model


class Itself(Model):
    """Q = P, the truth of the bag: what is counted is sampling error alone.

    Example:
        kind: itself
    """

    kind: Literal["itself"] = "itself"

    def truth(self, bag: Bag, size: int) -> Mix:
        """Return the bag's truth."""
        return bag.truth(size)
