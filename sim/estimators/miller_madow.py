"""The counted KL less the first term of its bias."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from sim.asymptotics import PowerLaw, Quantity, counted_kl
from sim.contracts.arrays import Counts, Mix, Reference, Sizes, Terms
from sim.contracts.estimator import Estimator
from sim.divergences import Divergence


class MillerMadow(Estimator):
    """The counted KL less (K−1)/(2n), the leading term of its bias (Miller 1955).

    `colours: known` takes K as the number of colours of the bag; `observed` takes the number
    that was drawn, as some packages do under the same name: it corrects less where n ≲ K.
    Good for n > K; for n ≪ K the correction does not hold. It may be negative.

    Example:
        kind: miller_madow
        colours: known
    """

    kind: Literal["miller_madow"] = "miller_madow"
    colours: Literal["known", "observed"] = "known"
    serves: ClassVar[frozenset[str] | None] = frozenset({"kl"})

    def terms(
        self, counts: Counts, size: Sizes | int, reference: Reference, target: Divergence
    ) -> Terms:
        """Return the counted term less each colour's part of (K−1)/(2n)."""
        each: float | Terms
        if self.colours == "known":
            each = 1 - 1 / reference.colours
        else:
            each = np.sign(counts) - 1 / reference.colours
        return target.terms(np.asarray(counts / size), reference.q) - each / (2 * size)

    def theory(self, quantity: Quantity, p: Mix, q: Mix, target: Divergence) -> PowerLaw | None:
        """Return the law of the sd, that of the counted KL; its bias has no leading 1/n."""
        absent = self.colours == "known" and bool(np.any(p == 0))
        if quantity == "bias" or (quantity == "rmse" and absent):
            return None
        return counted_kl("sd", p, q)
