"""Numbers as people read them: no digit that its error does not bear out."""

from __future__ import annotations

from math import floor, isfinite, log10


def with_error(value: float, error: float) -> str:
    """Return `0.0524 ± 0.0008`, or `(5.06 ± 0.07)e-06` where zeros would hide the digits."""
    if not isfinite(value):
        return "∞" if value > 0 else "-∞" if value < 0 else "–"
    if not (isfinite(error) and error > 0):
        return f"{plain(value)} exactly" if error == 0 else plain(value)
    size = max(abs(value), error)
    exponent = floor(log10(size))
    scale = 0 if -4 <= exponent < 6 else exponent
    error_exponent = floor(log10(error))
    digits = max(0, scale + min(1 - error_exponent, 16 - exponent))  # a double has 17
    text = f"{value / 10.0**scale:.{digits}f} ± {error / 10.0**scale:.{digits}f}"
    return f"({text})e{scale:+03d}" if scale else text


def plain(value: float | None, digits: int = 6) -> str:
    """Return a number with so many significant digits; – for none."""
    if value is None:
        return "–"
    return f"{value:.{digits}g}" if isfinite(value) else with_error(value, 0)
