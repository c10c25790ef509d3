"""Pandas is loaded when a DataFrame is asked for, and not before."""

from __future__ import annotations

import subprocess
import sys

import pytest
from runs import COINS, SMALL, TESTS, environment, text

LOOK = """
import sys
import sim
results = sim.run(sim.load("coins.yaml"), engine="serial")
print("pandas" in sys.modules)
frame = results.summary
import pandas as pd
import pyarrow as pa
print(type(frame) is pd.DataFrame, len(frame), "pandas" in sys.modules)
print(pa.array(pd.Series([1, None])).null_count, pa.Table.from_pandas(frame).num_rows)
"""

AFTERWARDS = """
import pandas as pd
import sim
results = sim.run(sim.load("coins.yaml"), engine="serial")
print(type(results.summary) is pd.DataFrame, len(results.summary))
"""

COMMAND = """
import sys
from sim.cli import verbs
verbs.code()
print("pandas" in sys.modules, file=sys.stderr)
"""


def said(tmp_path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "coins.yaml").write_text(text(COINS, **SMALL))
    command = [sys.executable, "-c", code, *arguments]
    env = environment(TESTS.parent)
    return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)


def test_a_run_loads_no_pandas_and_its_tables_are_data_frames_all_the_same(tmp_path):
    done = said(tmp_path, LOOK)
    assert done.stdout.splitlines() == ["False", "True 10 True", "1 10"], done.stderr


def test_pandas_that_is_there_already_stays(tmp_path):
    assert said(tmp_path, AFTERWARDS).stdout == "True 10\n"


@pytest.mark.parametrize("verb", ["run", "validate"])
def test_a_command_loads_no_pandas(tmp_path, verb):
    done = said(tmp_path, COMMAND, verb, "coins.yaml")
    assert done.stderr.splitlines()[-1] == "False"
