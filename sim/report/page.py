"""Material and pictures go in, one page that needs nothing else comes out."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from sim.report.design import parts
from sim.report.drawing import Drawn, bundle, drawn
from sim.report.grids import grids
from sim.report.material import Material, Picture
from sim.report.scales import labels
from sim.report.sentences import facts, missing, opening

_SECTIONS = ("bags", "models", "targets", "estimators", "learners")
_ENVIRONMENT = Environment(
    autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def page(material: Material, pictures: Sequence[Picture]) -> str:
    """Return the page; the same material gives the same bytes."""
    shown = [drawn(picture) for picture in pictures]
    scripts = [_bundle(), _asset("page.js")] if shown else [_asset("page.js")]
    style = _asset("page.css")
    allowed = " ".join(_hash(script) for script in scripts)
    policy = (
        f"default-src 'none'; script-src {allowed}; style-src {_hash(style)}; "
        "style-src-attr 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    return _ENVIRONMENT.from_string(_asset("page.html")).render(
        material=material,
        policy=policy,
        style=Markup(style),  # noqa: S704 (our own file)
        scripts=[Markup(script) for script in scripts],  # noqa: S704 (our own, and Vega)
        opening=opening(material),
        missing=missing(material),
        facts=facts(material),
        design={section: parts(material.experiment, section) for section in _SECTIONS},
        pictures=[_shown(one) for one in shown],
        labels=labels(material),
        grids=grids(material),
    )


def _shown(one: Drawn) -> tuple[Drawn, dict[str, Markup], Markup]:
    """Return a picture with what is markup told as such: it is escaped already."""
    stills = {name: Markup(svg) for name, svg in one.stills.items()}  # noqa: S704 (our own)
    return one, stills, Markup(one.specification)  # noqa: S704 (base 64)


@cache
def _bundle() -> str:
    return bundle()


@cache
def _asset(name: str) -> str:
    return files("sim.report").joinpath(name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    digest = b64encode(sha256(content.encode()).digest()).decode()
    return f"'sha256-{digest}'"
