"""A model written down."""

from __future__ import annotations

from typing import Literal

from sim.compositions import Balls, aligned, misfit
from sim.contracts.arrays import Mix
from sim.contracts.bag import Bag
from sim.contracts.model import Model


class Fixed(Model):
    """Q as given, naming exactly the bag's colours; 0 is allowed and makes KL infinite.

    Only proportions matter: {red: 4, blue: 6} is {red: 0.4, blue: 0.6}.

    Example:
        kind: fixed
        balls: {red: 4, blue: 6}
    """

    kind: Literal["fixed"] = "fixed"
    balls: Balls

    def truth(self, bag: Bag, size: int) -> Mix:
        """Return the given proportions in the order of the bag's colours."""
        return aligned(self.balls, bag.colours)

    def misfit(self, bag: Bag, size: int) -> str | None:
        """Name a colour that only one of the two has."""
        return misfit(self.balls.colours, bag.colours)
