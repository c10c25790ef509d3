"""Numbers that follow from a count, worked out once for each count that occurs; work in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_PIECE = 2**14
"""Numbers worked on at once: a few arrays of them stay in a core's own cache."""

_SPARE = 64
"""So many times fewer entries are worked out unasked rather than looked for the largest."""


def pieces(shape: tuple[int, ...]) -> Iterator[slice]:
    """Yield the rows of a table, (trials, K), in pieces that stay in the cache; one at least."""
    step = max(1, _PIECE // shape[1])
    for begin in range(0, max(1, shape[0]), step):
        yield slice(begin, begin + step)


class Lookup:
    """function(counts, size) for any rows, by table where that is less work.

    `counts` has shape (trials, K), `size` broadcasts against it. The function takes floats
    and gives for each element what follows from that element alone.
    """

    def __init__(
        self, function: Callable[[Floats, Floats], Floats], counts: Ints, size: Ints | int
    ) -> None:
        self._function, self._counts = function, counts
        self._sizes = np.asarray(size, dtype=np.float64)
        self._table: Floats | None = None
        if not counts.size or np.ptp(self._sizes) > 0:
            return
        most = int(self._sizes.flat[0])  # no count is above its row's size
        if most * _SPARE > counts.size:
            most = int(counts.max())
        if most < counts.size:
            self._table = function(np.arange(most + 1.0), self._sizes.ravel()[:1])

    @property
    def finite(self) -> bool:
        """Whether all values are known to be finite."""
        return self._table is not None and bool(np.isfinite(self._table).all())

    def __call__(self, rows: slice) -> Floats:
        """Return the values of these rows."""
        if self._table is not None:
            return np.asarray(self._table.take(self._counts[rows], mode="clip"))
        sizes = self._sizes if self._sizes.ndim < 2 else self._sizes[rows]
        return self._function(self._counts[rows].astype(np.float64), sizes)
