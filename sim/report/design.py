"""An experiment in YAML goes in, its parts by label come out, each in one line of YAML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml


@dataclass(frozen=True)
class Part:
    """A bag, a model, an estimator or a learner."""

    label: str
    text: str


def parts(experiment: str, section: str) -> list[Part]:
    """Return what stands in a section such as `bags`; nothing where there is none."""
    known = yaml.safe_load(experiment) or {}
    found = known.get(section) if isinstance(known, dict) else None
    if isinstance(found, dict):
        return [Part(str(label), _one_line(keys)) for label, keys in found.items()]
    return [Part(str(label), "") for label in found or ()]


def _one_line(keys: Any) -> str:
    text: str = yaml.safe_dump(
        keys, default_flow_style=True, width=10**6, sort_keys=False, allow_unicode=True
    )
    return text.removesuffix("...\n").strip()
