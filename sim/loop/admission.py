"""Which experiment may be run in a directory: what lies there, and in what the two differ."""

from __future__ import annotations

from sim.config import reading
from sim.config.problems import ConfigurationError
from sim.experiment import Experiment
from sim.store import coverage
from sim.store.differences import differences, obstacles
from sim.store.directory import DifferentExperiment, Directory, NoResults, Unreadable
from sim.store.plain import kind


def experiment_there(directory: Directory) -> Experiment:
    """Return the experiment that lies in a directory; Unreadable where it is none."""
    text, path = directory.experiment_text() or "", directory.path / "experiment.yaml"
    try:
        return reading.read(text, str(path))
    except ConfigurationError as error:
        raise Unreadable(path, str(error)) from None


def expect_run(directory: Directory) -> None:
    """Raise NoResults where no run was."""
    if kind(directory.path / "experiment.yaml") is None:
        raise NoResults(
            f"{directory.path}: expected the directory of a run, such as results/red_blue, "
            "with an experiment.yaml; found none"
        )


def expect_result(directory: Directory) -> None:
    """Raise NoResults where no run was that could be extended."""
    if directory.experiment_text() is None:
        mend = "make one with: klsim run"
        raise NoResults(f"{directory.path}: there is no result to extend; {mend}")


def admit(directory: Directory, experiment: Experiment, *, fresh: bool) -> None:
    """Let an experiment begin or go on in a directory, emptied before where `fresh`.

    Raises DifferentExperiment where what lies there is not a part of it.
    """
    if directory.foreign():
        raise DifferentExperiment(
            f"{directory.path} holds files that no run wrote; choose another --out"
        )
    if fresh:
        directory.clear()
    elif directory.experiment_text() is not None:
        there = experiment_there(directory)
        stored = coverage.trials_there(directory, there)
        lines = differences(there, experiment, stored)
        if lines:
            mend = "start again with --fresh, or choose another name or --out"
            if not obstacles(there, experiment, stored):
                mend = f"klsim extend would add what is not there; or {mend}"
            raise _different(directory, "holds a different experiment", lines, mend)
    directory.save_experiment(reading.dump(experiment))


def admit_extension(directory: Directory, experiment: Experiment) -> None:
    """Let a larger experiment take the place of the one in a directory.

    Raises DifferentExperiment where what is there would change.
    """
    there = experiment_there(directory)
    lines = obstacles(there, experiment, coverage.trials_there(directory, there))
    if lines:
        mend = (
            "an extension may add trials, sizes beyond the largest, bags, models, targets,\n"
            "estimators and learners; all that is there must stay as it is"
        )
        raise _different(directory, "cannot be extended to this experiment", lines, mend)
    directory.save_experiment(reading.dump(experiment))


def _different(directory: Directory, what: str, lines: list[str], mend: str) -> DifferentExperiment:
    listed = "\n".join(f"  {line}" for line in lines)
    return DifferentExperiment(f"{directory.path} {what}:\n{listed}\n{mend}")
