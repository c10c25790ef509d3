"""What a page weighs and how long it takes, beside the same charts by Altair alone.

python -m benchmarks.page [CONFIG]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median

import altair as alt
import vl_convert

import sim
from benchmarks.timing import ratio, rounds, shown, timed
from sim.gathering import gather
from sim.report.drawing import bundle
from sim.report.page import page
from sim.report.pictures import pictures

_VERSION = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])


def main() -> None:
    """Print the size, both times and their ratio: medians of five rounds."""
    config = sys.argv[1] if len(sys.argv) > 1 else "configs/red_blue.yaml"
    with tempfile.TemporaryDirectory() as folder:
        material = gather(sim.run(sim.load(config), out=Path(folder)).path)

    def alone() -> None:
        for picture in pictures(material):
            vl_convert.vegalite_to_svg(picture.chart.to_json(), vl_version=_VERSION)

    def whole() -> None:
        bundle()  # a page alone in its process makes it once; here it is kept
        page(material, pictures(material))

    whole()  # what only the first one of a process takes is no part of either
    taken = rounds(5, {"alone": lambda: timed(alone), "page": lambda: timed(whole)})
    size = len(page(material, pictures(material)).encode())
    print(f"{config}: {size:,} bytes")
    print(f"Altair alone {shown(median(taken['alone']))} s, page {shown(median(taken['page']))} s")
    print(f"page/Altair alone: {ratio(taken['page'], taken['alone'])}")


if __name__ == "__main__":
    main()
