"""Scipy's special functions are the same however they are loaded, and load no more than they."""

from __future__ import annotations

import subprocess
import sys

import pytest
import scipy.special
from runs import COINS, SMALL, TESTS, environment, text

from sim import special

NAMES = [name for name in vars(special) if name in scipy.special.__all__]

TOGETHER = """
import sys
from sim import special
print("scipy.special" in sys.modules, "numpy.f2py" in sys.modules)
import scipy.special as whole
import scipy.stats
print(whole.xlogy is special.xlogy, whole.psi is special.psi, round(scipy.stats.norm.cdf(0.0), 3))
print(round(float(whole.polygamma(1, 1.0)), 4), whole.__name__)
"""

BEFORE = """
import scipy.special as whole
from sim import special
print(whole.xlogy is special.xlogy, whole.psi is special.psi)
"""

RACE = """
import threading
from importlib import import_module
found = {}
both = threading.Barrier(2)
def load(name):
    both.wait()
    found[name] = import_module(name)
threads = [threading.Thread(target=load, args=[n]) for n in ("scipy.special", "sim.special")]
for thread in threads: thread.start()
for thread in threads: thread.join()
whole, special = found["scipy.special"], found["sim.special"]
print(whole.softmax is not None, whole.xlogy is special.xlogy)
"""

ELSEWHERE = """
import sys
class Refuses:
    times = 0
    def find_spec(self, name, path=None, target=None):
        if name == "scipy.special._ufuncs" and not self.times:
            self.times += 1
            raise {error}("not alone")
sys.meta_path.insert(0, Refuses())
from sim import special
assert sys.meta_path[0].times == 1
"""
"""Scipy does not give the compiled part alone, but as one of the package."""

WITHOUT = """
import sys
from importlib import import_module
from types import ModuleType
from sim import special as first

class Other(ModuleType):
    def __getattribute__(self, name):
        if name == "xlogy" and "scipy.special" not in sys.modules:
            {deed}
        return super().__getattribute__(name)

sys.modules["scipy.special._ufuncs"].__class__ = Other
del sys.modules["sim.special"]
assert "scipy.special" not in sys.modules
special = import_module("sim.special")
assert special is not first
"""
"""The compiled part comes alone, but one of its functions only with the package."""

BITS = """
import hashlib
import numpy as np
grid = [0.0, 1e-300, 1e-9, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 3.0, 10.0, 1e3, 1e6, float("inf")]
names = sorted(name for name, known in vars(special).items() if isinstance(known, np.ufunc))
told = hashlib.sha256()
with np.errstate(all="ignore"):
    for name in names:
        known = getattr(special, name)
        axes = np.meshgrid(*[grid] * known.nin)
        told.update(known(*axes).tobytes())
print(len(names), told.hexdigest(), "scipy.special" in sys.modules)
"""

COMMAND = """
import sys
from sim.cli import verbs
verbs.code()
print("scipy.special" in sys.modules)
"""


def said(code: str, *arguments: str, folder=None) -> str:
    command = [sys.executable, "-c", code, *arguments]
    env = environment(TESTS.parent)
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_functions_at_all():
    assert len(NAMES) > 20


@pytest.mark.parametrize("name", NAMES)
def test_a_function_is_that_of_scipy(name):
    assert getattr(special, name) is getattr(scipy.special, name)


def test_the_whole_package_can_be_loaded_afterwards():
    assert said(TOGETHER).split("\n") == [
        "False False",
        "True True 0.5",
        "1.6449 scipy.special",
        "",
    ]


def test_the_whole_package_that_is_there_already_is_used():
    assert said(BEFORE) == "True True\n"


@pytest.mark.parametrize("turn", range(5))
def test_who_loads_the_whole_package_at_the_same_time_gets_all_of_it(turn):
    assert said(RACE) == "True True\n"


@pytest.fixture(scope="module")
def alone() -> list[str]:
    """How many functions there are, a digest of their values, and whether all was loaded."""
    told = said("import sys\nfrom sim import special\n" + BITS).split()
    assert told[0] == str(len(NAMES))
    assert told[2] == "False"
    return told


@pytest.mark.parametrize("error", ["ImportError", "ModuleNotFoundError", "AttributeError"])
def test_where_the_compiled_part_does_not_come_alone_the_bits_are_the_same(alone, error):
    told = said(ELSEWHERE.replace("{error}", error) + BITS).split()
    assert told == [*alone[:2], "True"]


@pytest.mark.parametrize("deed", ["raise AttributeError(name)", "return print", "return None"])
def test_a_function_that_the_compiled_part_has_no_more_is_that_of_the_package(alone, deed):
    told = said(WITHOUT.replace("{deed}", deed) + BITS).split()
    assert told == [*alone[:2], "True"]


@pytest.mark.parametrize("verb", ["run", "validate"])
def test_a_command_loads_no_more_than_it_needs(tmp_path, verb):
    (tmp_path / "coins.yaml").write_text(text(COINS, **SMALL))
    assert said(COMMAND, verb, "coins.yaml", folder=tmp_path).endswith("False\n")
