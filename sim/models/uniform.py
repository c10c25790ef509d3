"""The model that knows nothing."""

from __future__ import annotations

from typing import Literal

import numpy as np

from sim.contracts.arrays import Mix
from sim.contracts.bag import Bag
from sim.contracts.model import Model


class Uniform(Model):
    """Every colour of the bag alike: KL is ln K less the bag's entropy.

    Example:
        kind: uniform
    """

    kind: Literal["uniform"] = "uniform"

    def truth(self, bag: Bag, size: int) -> Mix:
        """Return 1/K for each colour."""
        return np.full(len(bag.colours), 1 / len(bag.colours))
