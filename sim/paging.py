"""What is told of a result goes in; its page is written beside its tables."""

from __future__ import annotations

from pathlib import Path

from sim.report.material import Material
from sim.report.page import page
from sim.report.pictures import pictures
from sim.store.directory import Directory


def write_page(material: Material, results: Path) -> Path:
    """Write report.html of a result, whole or not at all; return where it lies."""
    made = page(material, pictures(material))
    directory = Directory(results.resolve())
    with directory.locked():
        return results / directory.save_report(made).name
