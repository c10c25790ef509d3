"""A result goes in; all its pictures come out."""

from __future__ import annotations

from collections.abc import Callable

from sim.report.by_size import bias_by_size, rmse_by_size, sd_by_size
from sim.report.leaderboard import leaderboard
from sim.report.material import Material, Picture
from sim.report.shares import coverage_by_size, without_number_by_size
from sim.report.single import chi_square, estimates_by_size, intervals, over_time

DRAWERS: dict[str, Callable[[Material], Picture | None]] = {
    "bias": bias_by_size,
    "estimates": estimates_by_size,
    "rmse": rmse_by_size,
    "sd": sd_by_size,
    "leaderboard": leaderboard,
    "coverage": coverage_by_size,
    "intervals": intervals,
    "without-number": without_number_by_size,
    "chi-square": chi_square,
    "over-time": over_time,
}
"""What draws each picture, the most telling first."""


def pictures(material: Material) -> list[Picture]:
    """Return the pictures that there are of a result, the most telling first."""
    drawn = (draw(material) for draw in DRAWERS.values())
    return [picture for picture in drawn if picture is not None]
