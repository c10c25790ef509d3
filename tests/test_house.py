"""The house rules: layers, types, style, sizes; held here so that one command checks all."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "sim").rglob("*.py"))
BLOCKS = (ast.If, ast.For, ast.While, ast.Try, ast.With, ast.Match)


def functions(path: Path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            yield node


def branches(function: ast.FunctionDef) -> int:
    forks = (ast.If, ast.For, ast.While, ast.ExceptHandler, ast.IfExp, ast.match_case)
    number, stack = 1, list(ast.iter_child_nodes(function))
    while stack:
        node = stack.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        number += isinstance(node, forks)
        number += len(node.values) - 1 if isinstance(node, ast.BoolOp) else 0
        number += len(node.ifs) if isinstance(node, ast.comprehension) else 0
        stack.extend(ast.iter_child_nodes(node))
    return number


def nesting(node: ast.AST, level: int = 0) -> int:
    deepest = level
    for child in ast.iter_child_nodes(node):
        is_elif = isinstance(child, ast.If) and child in getattr(node, "orelse", ())
        inner = level + (isinstance(child, BLOCKS) and not is_elif)
        deepest = max(deepest, nesting(child, inner))
    return deepest


def test_tests_are_found():
    assert len(SOURCES) > 50


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["lint-imports"],
    ],
    ids=" ".join,
)
def test_a_checker_has_nothing_to_say(command):
    tool = Path(sys.executable).parent / command[0]
    done = subprocess.run([tool, *command[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_keeps_to_the_budget(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 250
    for function in functions(path):
        doc = function.body[0]
        is_doc = isinstance(doc, ast.Expr) and isinstance(doc.value, ast.Constant)
        documented = doc.end_lineno - doc.lineno + 1 if is_doc else 0
        assert function.end_lineno - function.lineno + 1 - documented <= 40, function.name
        assert nesting(function) <= 3, function.name
        assert branches(function) <= 10, function.name
        plain = [a for a in (*function.args.args, *function.args.kwonlyargs) if a.arg != "self"]
        is_command = path.parent.name == "cli" and function.name == "command"
        assert len(plain) <= 6 or is_command, function.name


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_import_hides_in_a_function(path):
    for function in functions(path):
        inner = [n for n in ast.walk(function) if isinstance(n, ast.Import | ast.ImportFrom)]
        assert not inner, function.name


def test_only_the_store_and_the_configuration_know_parquet_files():
    users = {
        path.relative_to(ROOT / "sim").parts[0]
        for path in SOURCES
        if "pyarrow.parquet" in path.read_text(encoding="utf-8")
    }
    assert users <= {"store", "config"}


UNSAFE = {"pickle", "_pickle", "cPickle", "marshal", "shelve", "joblib", "dill", "cloudpickle"}
LOADERS = {"read_pickle", "unsafe_load", "full_load", "UnsafeLoader", "FullLoader", "allow_pickle"}


def unsafe(tree: ast.AST) -> list[str]:
    """Return what in a module could make an object of anybody's bytes."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in UNSAFE]
        elif isinstance(node, ast.ImportFrom):
            words = {str(node.module).split(".")[0], *(alias.name for alias in node.names)}
            found += sorted(words & (UNSAFE | LOADERS))
        elif isinstance(node, ast.Attribute | ast.keyword | ast.Name):
            name = getattr(node, "attr", None) or getattr(node, "arg", None)
            name = name or getattr(node, "id", "")
            owner = getattr(getattr(node, "value", None), "id", "")
            is_load = name == "load" and owner in ("np", "numpy", "yaml")
            found += [f"{owner}.{name}"] if is_load or name in LOADERS else []
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_is_unpickled_or_loaded_unsafely(path):
    """Engines may pickle what travels between the processes of one run; nothing from a disk."""
    travels = {"cloudpickle"} if path.parent == ROOT / "sim" / "engines" else set()
    assert set(unsafe(ast.parse(path.read_text(encoding="utf-8")))) <= travels


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "import marshal as m",
        "from shelve import open",
        "from pandas import read_pickle",
        "import joblib.numpy_pickle",
        "np.load(path)",
        "numpy.load(path, allow_pickle=True)",
        "pandas.read_pickle(path)",
        "yaml.load(text, Loader=yaml.SafeLoader)",
        "yaml.unsafe_load(text)",
        "yaml.compose(text, Loader=yaml.FullLoader)",
    ],
)
def test_what_would_be_unsafe_is_seen(line):
    assert unsafe(ast.parse(line)) != []


def test_no_import_chain_is_longer_than_ten():
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in SOURCES}
    modules = {name.removesuffix(".__init__"): path for name, path in names.items()}
    graph = {name: imported(path, set(modules)) - {name} for name, path in modules.items()}
    depth: dict[str, int] = {}

    def measure(name: str) -> int:
        if name not in depth:
            depth[name] = 1 + max(map(measure, graph[name]), default=0)
        return depth[name]

    longest = max(graph, key=measure)
    assert depth[longest] <= 10, longest


def imported(path: Path, known: set[str]) -> set[str]:
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & known) or {node.module}
    return found & known


def test_no_path_of_a_machine_stands_in_the_project():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        text = (ROOT / name).read_text(encoding="utf-8", errors="replace")
        for place in ("work", "root", "home"):
            assert f" /{place}/" not in text, name
