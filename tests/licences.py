"""The licences of all that klsim needs at run time; `python -m tests.licences` writes the page."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "licences.md"
PROJECT = ROOT / "pyproject.toml"
EXTRAS = ("charts", "dask")
HEAD = """\
# Licences

klsim is under the MIT licence ([LICENSE](../LICENSE)). What it needs at run time, and what
its extras add, with all that these need in turn; the licences are those that the packages
themselves state. `python -m tests.licences` writes this page from the installed packages, and a
test holds it to them.

| package | licence | needed by |
|---|---|---|
"""


def name_of(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", requirement).lower()


def needed(extra: str) -> dict[str, Distribution]:
    """Return what is needed on this system, in turn, by name; `extra` is one of klsim's."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    own = [*project["dependencies"], *project["optional-dependencies"].get(extra, ())]
    wanted = [one for text in own for one in asked(text, "")]
    found: dict[str, Distribution] = {}
    seen = set()
    while wanted:
        name, part = one = wanted.pop()
        if one in seen:
            continue
        seen.add(one)
        found[name] = distribution(name)
        for text in found[name].requires or ():
            wanted += asked(text, part)
    return found


def asked(requirement: str, part: str) -> list[tuple[str, str]]:
    """Return the package that is asked for, with each extra; nothing where it is not needed."""
    known = Requirement(requirement)
    if known.marker is not None and not known.marker.evaluate({"extra": part}):
        return []
    return [(name_of(known.name), more) for more in ("", *known.extras)]


def licence(package: Distribution) -> str:
    """Return what a package says of its licence: as an expression, by classifiers, or in words."""
    facts = package.metadata
    if facts["License-Expression"]:
        return str(facts["License-Expression"])
    classes = [c.split(" :: ")[-1] for c in facts.get_all("Classifier") or () if "License ::" in c]
    named = [c for c in classes if c != "OSI Approved"]
    words = (facts["License"] or "").strip()
    return ", ".join(named) or words.partition("\n")[0]


def rows() -> Iterator[tuple[str, str, str]]:
    needs = {"klsim": needed(""), **{f"klsim[{extra}]": needed(extra) for extra in EXTRAS}}
    every = {name: package for known in needs.values() for name, package in known.items()}
    for name, package in sorted(every.items()):
        yield name, licence(package), next(by for by, known in needs.items() if name in known)


def page() -> str:
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
