"""Labels go in; the colour, shape and dash that each has in every picture come out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sim.report.extra import alt
from sim.report.material import Material

COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#8C8C8C",
    "#B2A400",
)
"""Those of Okabe and Ito, which people with any colour vision tell apart.

Their black and their yellow are changed, to be seen on a dark page and on a white one.
"""

SHAPES = ("circle", "square", "diamond", "triangle-up", "cross")
DASHES = ((1, 0), (6, 2), (2, 2), (8, 2, 2, 2), (3, 3))

INK = "currentColor"
"""The colour of the text around: black on a white page, white on a dark one."""

MOST_SERIES = 8
"""Lines in one panel; with more, none is seen."""


def labels(material: Material) -> list[str]:
    """Return all estimators and learners, in the order of the experiment."""
    return [str(label) for label in material.summary["estimator"].drop_duplicates()]


def telling(material: Material) -> list[str]:
    """Return the estimators that are drawn: all, or the first and those that are best most often.

    Their order is that of the experiment.
    """
    known = labels(material)
    if len(known) <= MOST_SERIES:
        return known
    # a learner may have the label of an estimator: its wins are others
    wins = material.best.loc[material.best["model"].notna(), "best"].value_counts()
    ranked = sorted(known, key=lambda label: (label != known[0], -int(wins.get(label, 0))))
    kept = set(ranked[:MOST_SERIES])
    return [label for label in known if label in kept]


def look(known: Sequence[str], label: str) -> tuple[str, str, tuple[int, ...]]:
    """Return the colour, the shape and the dash of an estimator, the same in all pictures.

    They follow from its place in the experiment: one that is added at the end changes none.
    """
    turn, colour = divmod(list(known).index(label), len(COLOURS))
    return COLOURS[colour], SHAPES[turn % len(SHAPES)], DASHES[turn % len(DASHES)]


def series(known: Sequence[str], shown: Sequence[str]) -> dict[str, Any]:
    """Return the encoding of an estimator as a line; a click on its legend isolates it.

    The legend shows colour and shape: the outline of a small mark has no room for dashes.
    """
    looks = [look(known, label) for label in shown]
    colours = alt.Scale(domain=list(shown), range=[each[0] for each in looks])
    # of one domain with the colours, it would be one legend with them: both shown, or none
    dashes = alt.Scale(domain=["", *shown], range=[[1, 0], *(list(each[2]) for each in looks)])
    return {
        "color": alt.Color("estimator:N", title="estimator", scale=colours),
        "strokeDash": alt.StrokeDash("estimator:N", scale=dashes, legend=None),
        "opacity": alt.condition(pick(), alt.value(1.0), alt.value(0.08)),
    }


def symbols(known: Sequence[str], shown: Sequence[str]) -> dict[str, Any]:
    """Return the encoding of an estimator as a point, in the same legend."""
    shapes = alt.Scale(domain=list(shown), range=[look(known, label)[1] for label in shown])
    encoding = {key: each for key, each in series(known, shown).items() if key != "strokeDash"}
    return {**encoding, "shape": alt.Shape("estimator:N", title="estimator", scale=shapes)}


def pick() -> alt.Parameter:
    """Return what a click on the legend chooses; a second click on it, or beside, lets go."""
    return alt.selection_point("pick", fields=["estimator"], bind="legend")
