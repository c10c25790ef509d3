"""What draws is an extra: where it is not installed, one sentence says how to get it."""

from __future__ import annotations

from sim.errors import Fault


class NoCharts(Fault):
    """The packages that draw are not installed."""

    exit_code = 2


try:
    import altair as alt
    import vl_convert as vlc
except ModuleNotFoundError as error:
    told = f"a report needs {error.name}, which is not installed; pip install 'klsim[charts]'"
    raise NoCharts(told) from None

__all__ = ["NoCharts", "alt", "vlc"]
