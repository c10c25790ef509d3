"""Material of a real result and pictures of it, for the tests of the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt

import sim
from sim.config import reading
from sim.experiment import Experiment
from sim.report.material import Material, Picture


def material(experiment: Experiment, out: Path, **changes: Any) -> Material:
    """Run an experiment and return what is told of it, with some of it replaced."""
    results = sim.run(experiment, out=out)
    told: dict[str, Any] = {
        "name": experiment.name,
        "about": experiment.about,
        "unit": experiment.unit,
        "level": experiment.level,
        "error": experiment.tolerance.error,
        "confidence": experiment.tolerance.confidence,
        "experiment": reading.dump(experiment),
        "facts": {"digest": experiment.digest, "seed": experiment.seed},
        "command": f"klsim run {experiment.name}.yaml",
        "summary": results.summary,
        "convergence": results.convergence,
        "comparison": results.comparison,
        "best": results.best(),
        "samples": results.trials.head(0),
        "trace": None,
    }
    return Material(**{**told, **changes})


def picture(material: Material, name: str = "rmse") -> Picture:
    """Return a picture of two series or more, with points and a legend that isolates one."""
    rows = material.summary[["estimator", "size", "rmse"]]
    chosen = alt.selection_point(fields=["estimator"], bind="legend", name="chosen")
    chart = (
        alt.Chart(rows)
        .mark_point()
        .encode(
            x=alt.X("size:Q", scale=alt.Scale(type="log"), title="draws n"),
            y=alt.Y("rmse:Q", title="rmse (nats)"),
            color="estimator:N",
            opacity=alt.when(chosen).then(alt.value(1)).otherwise(alt.value(0.1)),
        )
        .add_params(chosen)
    )
    return Picture(name, "Error by size", "Lower is better.", "The error falls with n.", chart)
