"""A small numeric exercise: what two machines must agree on before their rows are mixed."""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np

from sim.special import psi, rel_entr


@cache
def canary() -> str:
    """Return 16 hexadecimal digits that follow from this machine's arithmetic.

    exp, log, pow and sums may differ in the last bit between processors and libraries, the
    draws of a distribution between versions of numpy; equal canaries mean equal rows.
    """
    x = np.linspace(0.001, 40.0, 1013)
    rng = np.random.Generator(np.random.SFC64(12345))
    results = [
        *(np.exp(-x), np.log(x), x**0.37, np.tanh(x), np.log1p(x), psi(x)),
        *(rel_entr(x, x[::-1]), np.array([x.sum(), np.sum(x * x)])),
        rng.multinomial(1000, [0.1, 0.2, 0.3, 0.4], size=50).astype(np.float64),
        rng.hypergeometric(50, 40, 30, size=50).astype(np.float64),
        rng.multivariate_hypergeometric([5, 60, 70], 40, size=20).astype(np.float64),
    ]
    digest = hashlib.blake2b(digest_size=8)
    for result in results:
        digest.update(np.ascontiguousarray(result).tobytes())
    return digest.hexdigest()
