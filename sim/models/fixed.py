"""A model written down."""

from __future__ import annotations

from typing import Literal

import numpy as np

from sim.checks import shown
from sim.compositions import Balls
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
        place = {colour: index for index, colour in enumerate(self.balls.colours)}
        order = np.array([place[colour] for colour in bag.colours])
        return np.asarray(self.balls.probabilities[order])

    def misfit(self, bag: Bag) -> str | None:
        """Name a colour that only one of the two has."""
        own, others = set(self.balls.colours), set(bag.colours)
        if own == others:
            return None
        missing = next((c for c in bag.colours if c not in own), None)
        if missing is not None:
            return f"the bag's colour {shown(missing)} is missing (write 0 if Q never shows it)"
        foreign = next(c for c in self.balls.colours if c not in others)
        return f"the bag has no colour {shown(foreign)}"
