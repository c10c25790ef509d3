"""Balls counted in a file: which values, how often, and every fault with its place."""

from __future__ import annotations

import datetime
import decimal
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import sim
from sim.compositions import FromFile
from sim.config import files
from sim.config.files import MOST_DISTINCT, FileFault, counts
from sim.config.problems import ConfigurationError, dotted
from sim.config.reading import dump, load, read
from sim.store.directory import DifferentExperiment

DIAMONDS = Path(pa.__file__).parent / "tests" / "data" / "parquet" / "v0.7.1.parquet"
LABELS = "digit,size\n7,1\n010,2\n10,3\n7,x\n1e3,\n"
steady = settings(deadline=None, derandomize=True, max_examples=60)


def parquet(folder: Path, values: Any, kind: Any = None, name: str = "column") -> Path:
    array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, kind)
    pq.write_table(pa.table({name: array}), folder / "data.parquet")
    return folder / "data.parquet"


def csv(folder: Path, text: str | bytes) -> Path:
    path = folder / "data.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def counted(path: Path, column: str = "column", missing: Any = None) -> dict[str, int]:
    return counts(FromFile(path=path.name, column=column, missing=missing), path.parent)


def fault(path: Path | str, column: str = "column", **more: Any) -> str:
    folder, name = (
        (path.parent, path.name) if isinstance(path, Path) else (more.pop("folder"), path)
    )
    with pytest.raises(FileFault) as caught:
        counts(FromFile(path=name, column=column, **more), folder)
    assert caught.value.exit_code == 2
    return str(caught.value)


def configuration(folder: Path, asked: dict[str, Any], name: str = "counted") -> Path:
    """Write an experiment on the balls of a file, and return its path."""
    bags = {"it": {"kind": "with_replacement", "balls": {"from_file": asked}}}
    plain = {"name": name, "seed": 1, "trials": 20, "sizes": [5, 10], "bags": bags}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")
    return path


# which values, how often

COLUMNS = {
    "text": (["b", "a", "b", "B"], None, {"B": 1, "a": 1, "b": 2}),
    "whole numbers in their order": ([10, 9, 10, -1], None, {"-1": 1, "9": 1, "10": 2}),
    "the largest whole number": ([2**64 - 1], pa.uint64(), {"18446744073709551615": 1}),
    "numbers": ([1.5, 0.1, 1.5], None, {"0.1": 1, "1.5": 2}),
    "truths": ([True, False, True], None, {"false": 1, "true": 2}),
    "dates": ([datetime.date(2020, 2, 1)] * 2, None, {"2020-02-01": 2}),
    "decimals": ([decimal.Decimal("1.10")] * 3, None, {"1.10": 3}),
    "bytes": ([b"ab", b"\xff", b"ab"], None, {"ab": 2, "\\xff": 1}),
    "large text": (["x", "y", "x"], pa.large_string(), {"x": 2, "y": 1}),
    "text of any script": (["ß", "日", "ß"], None, {"ß": 2, "日": 1}),
    "categories": (pa.array(["y", "x", "y"]).dictionary_encode(), None, {"x": 1, "y": 2}),
    "chunks": (pa.chunked_array([["x", "y"], ["y"], []]), None, {"x": 1, "y": 2}),
}


@pytest.mark.parametrize(("values", "kind", "found"), COLUMNS.values(), ids=COLUMNS)
def test_a_parquet_column_is_counted_in_the_order_of_its_values(tmp_path, values, kind, found):
    assert list(counted(parquet(tmp_path, values, kind)).items()) == list(found.items())


ALIKE = {
    "a zero of either sign": ([0.0, -0.0, 0.0, 1.0], None),
    "times that differ in nanoseconds": ([1, 2, 2, 1000], pa.time64("ns")),
    "moments": ([1, 2, 2, 1000], pa.timestamp("ns")),
    "bytes that look alike": ([b"\\xff", b"\xff"], None),
    "halves": (np.array([1, 2, 1], dtype=np.float16), None),
}


@pytest.mark.parametrize(("values", "kind"), ALIKE.values(), ids=ALIKE)
def test_no_value_is_lost_where_two_look_alike(tmp_path, values, kind):
    assert sum(counted(parquet(tmp_path, values, kind)).values()) == len(values)


@steady
@given(
    st.one_of(
        st.lists(st.none() | st.floats(allow_nan=True), min_size=1, max_size=20),
        st.lists(st.none() | st.integers(-5, 5), min_size=1, max_size=20),
        st.lists(st.none() | st.text("ab \u00e9", max_size=2), min_size=1, max_size=20),
        st.lists(st.none() | st.binary(max_size=1), min_size=1, max_size=20),
        st.lists(st.none() | st.booleans(), min_size=1, max_size=20),
    ).filter(lambda values: any(value is not None for value in values))
)
def test_counts_are_those_of_all_rows(tmp_path_factory, values):
    path = parquet(tmp_path_factory.mktemp("column"), values)
    found = counted(path, missing="colour")
    assert sum(found.values()) == len(values)
    gone = sum(value is None or value != value for value in values)
    assert found.get("missing", 0) == gone
    if gone < len(values):
        assert counted(path, missing="drop") == {k: v for k, v in found.items() if k != "missing"}


def test_a_csv_column_is_counted_as_it_is_written(tmp_path):
    found = counted(csv(tmp_path, LABELS), "digit")
    assert list(found.items()) == [("010", 1), ("10", 1), ("1e3", 1), ("7", 2)]


def test_a_csv_file_may_quote_begin_with_a_mark_and_end_its_lines_either_way(tmp_path):
    text = '\ufeffcolumn,b\r\n"x,y",1\r\n"x\ny",2\r\nz,3\r\n"x,y",4\r\n'
    assert counted(csv(tmp_path, text)) == {"x\ny": 1, "x,y": 2, "z": 1}


def test_a_column_may_have_a_name_with_dots_or_spaces(tmp_path):
    for name in ("a.b", "a b", " a", "ä"):
        assert counted(parquet(tmp_path, [1, 1], name=name), name) == {"1": 2}
        assert counted(csv(tmp_path, f"x,{name}\n1,2\n3,2\n"), name) == {"2": 2}


# missing values


@pytest.mark.parametrize("name", ["data.parquet", "data.csv"])
def test_missing_values_are_declared_or_refused(tmp_path, name):
    parquet(tmp_path, ["x", None, "y", "x", None])
    csv(tmp_path, "column,b\nx,1\n,2\ny,3\nx,4\nNA,5\n")
    path = tmp_path / name
    assert fault(path) == (
        "2 of 5 values of 'column' are missing; say what they are: `missing: drop` or "
        "`missing: colour`"
    )
    assert counted(path, missing="drop") == {"x": 2, "y": 1}
    assert list(counted(path, missing="colour").items()) == [("x", 2), ("y", 1), ("missing", 2)]


def test_what_is_no_number_is_missing(tmp_path):
    path = parquet(tmp_path, [1.0, float("nan"), None, 1.0])
    assert fault(path).startswith("2 of 4 values of 'column' are missing")
    assert counted(path, missing="colour") == {"1.0": 2, "missing": 2}


def test_a_declaration_that_is_not_needed_changes_nothing(tmp_path):
    path = parquet(tmp_path, ["x", "y"])
    assert counted(path) == counted(path, missing="drop") == counted(path, missing="colour")


def test_missing_values_do_not_mix_with_a_value_of_that_name(tmp_path):
    path = parquet(tmp_path, ["missing", None])
    assert fault(path, missing="colour") == "'column' has a value called 'missing' already"
    assert counted(path, missing="drop") == {"missing": 1}


@pytest.mark.parametrize("kind", [pa.string(), pa.float64(), pa.null()], ids=str)
def test_a_column_of_missing_values_is_refused_unless_they_are_a_colour(tmp_path, kind):
    path = parquet(tmp_path, [None, None], kind)
    assert fault(path).startswith("2 of 2 values of 'column' are missing")
    assert fault(path, missing="drop") == "every value of 'column' is missing"
    assert counted(path, missing="colour") == {"missing": 2}


# faults of the file


def test_a_file_that_is_not_there_is_named(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    for name in ("none.csv", "folder.csv", "no/such.parquet", ""):
        told = fault(name, folder=tmp_path)
        assert told == f"{name!r} is not there (looked for beside this configuration)"


def test_a_column_that_is_not_there_is_named_with_a_near_one(tmp_path):
    told = "no column 'colum'; did you mean 'column'?"
    assert fault(parquet(tmp_path, [1]), "colum") == f"data.parquet: {told}"
    assert fault(csv(tmp_path, "column\n1\n"), "colum") == f"data.csv: {told}"
    assert fault(tmp_path / "data.csv", "zzz") == "data.csv: no column 'zzz'; known here: column"


def test_a_column_without_rows_is_refused(tmp_path):
    told = "column 'column' has no rows"
    assert fault(parquet(tmp_path, [], pa.int64())) == f"data.parquet: {told}"
    assert fault(csv(tmp_path, "column,b\n")) == f"data.csv: {told}"


@pytest.mark.parametrize("values", [[[1], [2]], [{"b": 1}]], ids=["lists", "records"])
def test_a_nested_column_is_refused(tmp_path, values):
    told = "column 'column' holds lists or records, not single values"
    assert fault(parquet(tmp_path, values)) == f"data.parquet: {told}"


@pytest.mark.parametrize("name", ["data.parquet", "data.csv"])
def test_a_column_that_is_there_twice_is_refused(tmp_path, name):
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["column", "column"])
    pq.write_table(twice, tmp_path / "data.parquet")
    csv(tmp_path, "column,column\n1,2\n")
    assert fault(tmp_path / name).startswith(name)


BROKEN = {
    "nothing": ("data.csv", b"", "data.csv cannot be read as CSV: "),
    "ragged rows": ("data.csv", b"column,b\n1\n", "data.csv cannot be read as CSV: "),
    "latin letters": ("data.csv", b"column\n\xe4\n", "data.csv cannot be read as CSV: "),
    "a latin heading": ("data.csv", b"\xe4,column\n1,2\n", "data.csv cannot be read as CSV: "),
    "no Parquet": ("data.parquet", b"PAR1 no", "data.parquet cannot be read as Parquet: "),
    "cut Parquet": ("data.parquet", None, "data.parquet cannot be read as Parquet: "),
    "another kind": ("data.txt", b"column\n1\n", "data.txt: expected a file that ends in .parq"),
    "no kind": ("data", b"column\n1\n", "data: expected a file that ends in .parquet or .csv"),
}


@pytest.mark.parametrize(("name", "content", "told"), BROKEN.values(), ids=BROKEN)
def test_a_file_that_cannot_be_read_is_refused_in_one_line(tmp_path, name, content, told):
    if content is None:
        content = parquet(tmp_path, list(range(100))).read_bytes()[:-20]
    (tmp_path / name).write_bytes(content)
    message = fault(tmp_path / name)
    assert message.startswith(told)
    assert "\n" not in message


def test_a_file_stays_in_the_folder_of_the_configuration(tmp_path):
    home = tmp_path / "home"
    (home / "inner").mkdir(parents=True)
    outside = csv(tmp_path, "column\n1\n")
    (home / "link.csv").symlink_to(outside)
    (home / "door").symlink_to(tmp_path)
    told = "leaves the folder of this configuration; put the file beside it"
    for name in ("../data.csv", str(outside), "link.csv", "door/data.csv", "inner/../../data.csv"):
        assert fault(name, folder=home) == f"{name!r} {told}"
    shutil.copy(outside, home / "inner" / "data.csv")
    (home / "short.csv").symlink_to(home / "inner" / "data.csv")
    for name in ("inner/data.csv", "short.csv", "inner/../inner/data.csv"):
        assert counts(FromFile(path=name, column="column"), home) == {"1": 1}


@pytest.mark.parametrize("name", ["a\0b.csv", "x" * 5000 + ".csv"], ids=["NUL", "too long"])
def test_what_no_file_can_be_called_is_refused(tmp_path, name):
    assert "is no file name" in fault(name, folder=tmp_path)


# how many values


def test_too_many_distinct_values_are_refused(tmp_path):
    path = parquet(tmp_path, np.arange(MOST_DISTINCT + 1))
    assert MOST_DISTINCT == 100_000
    assert fault(path) == (
        "more than 100000 distinct values in 'column'; expected at most that many: "
        "a bag of real numbers wants bins first"
    )


def test_as_many_distinct_values_as_are_allowed_run(tmp_path):
    parquet(tmp_path, np.repeat(np.arange(MOST_DISTINCT), 2))
    path = configuration(tmp_path, {"path": "data.parquet", "column": "column"})
    experiment = load(path, ["trials=2", "sizes=[10]"])
    assert len(experiment.bags["it"].colours) == MOST_DISTINCT
    assert experiment.bags["it"].balls.weights.sum() == 2 * MOST_DISTINCT
    summary = sim.run(experiment, out=tmp_path / "results").summary
    # ten draws of so many colours are ten colours, or rarely nine
    assert summary["mean"][0] == pytest.approx(np.log(MOST_DISTINCT / 10), abs=0.3)
    assert summary["exact_mean"][0] == pytest.approx(np.log(MOST_DISTINCT / 10), abs=1e-3)


def small_and_wide(folder: Path, values: pa.Array, times: int) -> Path:
    """Write a column again and again in the same file: little on the disk, much in memory."""
    table = pa.table({"column": values})
    with pq.ParquetWriter(folder / "data.parquet", table.schema, compression="zstd") as writer:
        for _ in range(times):
            writer.write_table(table)
    return folder / "data.parquet"


def test_a_long_constant_column_is_counted_piece_by_piece(tmp_path):
    values = pa.DictionaryArray.from_arrays(pa.array(np.zeros(2**21, np.int32)), ["y" * 10_000])
    path = small_and_wide(tmp_path, values, 4)  # 80 GB of text
    assert path.stat().st_size < 100_000
    before = pa.total_allocated_bytes()
    assert counted(path) == {"y" * 10_000: 2**23}
    assert pa.total_allocated_bytes() <= before


def test_a_piece_that_would_not_fit_into_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LARGEST_PIECE", 2**20)
    path = parquet(tmp_path, ["z" * 2**21])
    assert path.stat().st_size < 2**20 / 8
    told = fault(path)
    assert told.startswith("data.parquet: column 'column' has 2097")
    assert told.endswith("expected at most 1048576: write it with smaller row groups")


def test_a_cell_of_many_megabytes_in_a_csv_file_is_refused(tmp_path):
    assert "cannot be read as CSV" in fault(csv(tmp_path, "column\n" + "x" * 2**22 + "\n"))


@pytest.mark.parametrize("name", ["pipe.csv", "device.csv", "chain.csv", "loop.csv"])
def test_what_is_no_plain_file_is_refused_and_never_waited_for(tmp_path, name):
    home = tmp_path / "home"
    home.mkdir()
    os.mkfifo(home / "pipe.csv")
    (home / "device.csv").symlink_to("/dev/zero")
    (home / "chain.csv").symlink_to(home / "first")
    (home / "first").symlink_to(csv(tmp_path, "column\n1\n"))
    (home / "loop.csv").symlink_to(home / "loop.csv")
    told = fault(name, folder=home)
    words = {"pipe.csv": "is not there", "loop.csv": ("is not there", "is no file name")}
    expected = words.get(name, "leaves the folder")
    assert any(word in told for word in ([expected] if isinstance(expected, str) else expected))


# in a configuration


def test_faults_of_files_stand_where_they_are_asked_for_and_are_told_together(tmp_path):
    csv(tmp_path, LABELS)
    text = """\
name: faults
seed: 1
trials: 1
sizes: [5]
bags:
  there: {kind: with_replacement, balls: {from_file: {path: data.csv, column: digit}}}
  no_file: {kind: with_replacement, balls: {from_file: {path: none.csv, column: digit}}}
  later:
    kind: drifting
    span: 5
    balls: {from_file: {path: data.csv, column: digit}}
    later: {from_file: {path: data.csv, column: digits}}
  wrong_key: {kind: polya, added: 1, balls: {from_file: {path: data.csv, colum: digit}}}
  listed: {kind: mixed, compositions: [{balls: {from_file: {path: data.csv, column: size}}}]}
"""
    (tmp_path / "faults.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path / "faults.yaml")
    told = {dotted(p.path): (p.mark.line + 1, p.message) for p in caught.value.problems}
    assert told["bags.no_file.balls.from_file"][0] == 7
    assert told["bags.later.later.from_file"] == (
        12,
        "data.csv: no column 'digits'; did you mean 'digit'?",
    )
    assert told["bags.wrong_key.balls.from_file.colum"] == (
        13,
        "unknown key 'colum'; did you mean 'column'?",
    )
    assert told["bags.listed.compositions[0].balls.from_file"][1].startswith("1 of 5 values")
    assert "bags.wrong_key.balls.from_file.column" in told
    assert len(told) == 5


def test_a_value_that_is_no_label_is_refused_with_its_place(tmp_path):
    parquet(tmp_path, ["x", ""])
    with pytest.raises(ConfigurationError) as caught:
        load(configuration(tmp_path, {"path": "data.parquet", "column": "column"}))
    [problem] = caught.value.problems
    assert dotted(problem.path).startswith("bags.it.balls")
    assert problem.message == "expected a label; got an empty text"
    assert problem.mark.line > 0


def test_a_text_without_a_folder_has_no_files_beside_it(tmp_path):
    csv(tmp_path, LABELS)
    text = configuration(tmp_path, {"path": "data.csv", "column": "digit"}).read_text()
    with pytest.raises(ConfigurationError, match="stands in a configuration file only"):
        read(text)
    assert read(text, folder=tmp_path).bags["it"].colours == ("010", "10", "1e3", "7")


def test_what_was_run_is_complete_in_itself(tmp_path):
    csv(tmp_path, LABELS)
    path = configuration(tmp_path, {"path": "data.csv", "column": "digit"})
    experiment = load(path)
    results = sim.run(experiment, out=tmp_path / "results")
    (tmp_path / "data.csv").unlink()
    text = (results.path / "experiment.yaml").read_text(encoding="utf-8")
    assert "from_file" not in text
    assert yaml.safe_load(text)["bags"]["it"]["balls"] == {"010": 1, "10": 1, "1e3": 1, "7": 2}
    assert read(text) == load(results.path / "experiment.yaml") == experiment
    assert dump(read(text)) == text
    assert sim.open_results(results.path).experiment == experiment


def test_another_file_of_the_same_name_is_another_experiment(tmp_path):
    csv(tmp_path, LABELS)
    path = configuration(tmp_path, {"path": "data.csv", "column": "digit"})
    sim.run(load(path), out=tmp_path / "results")
    csv(tmp_path, LABELS + "7,9\n")
    with pytest.raises(
        DifferentExperiment, match=r"bags\.it\.balls\.7: 2 there, 3 asked"
    ) as caught:
        sim.run(load(path), out=tmp_path / "results")
    assert caught.value.exit_code == 4


# a real one


@pytest.fixture
def diamonds(tmp_path):
    if not DIAMONDS.is_file():
        pytest.skip("this pyarrow comes without its sample of the diamonds data")
    shutil.copy(DIAMONDS, tmp_path / "diamonds.parquet")
    return tmp_path / "diamonds.parquet"


def test_a_bag_from_a_real_file_is_drawn_with_and_without_replacement(diamonds):
    balls = {"from_file": {"path": diamonds.name, "column": "cut"}}
    bags = {
        kind: {"kind": kind, "balls": balls} for kind in ("with_replacement", "without_replacement")
    }
    plain = {"name": "cuts", "seed": 9, "trials": 4000, "sizes": [2, 5, 9, 10], "bags": bags}
    path = diamonds.with_name("cuts.yaml")
    path.write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")
    experiment = load(path)
    found = dict(zip(experiment.bags["with_replacement"].colours, (1, 2, 1, 2, 4), strict=True))
    assert found == {"Fair": 1, "Good": 2, "Ideal": 1, "Premium": 2, "Very Good": 4}
    assert experiment.bags["without_replacement"].balls.balls == found
    summary = sim.run(experiment, out=diamonds.parent / "results").summary
    assert summary["exact_mean"].notna().all()
    assert (summary["z"].dropna().abs() <= 4).all()
    means = summary.set_index(["bag", "size"])["mean"]
    assert means["without_replacement", 10] == pytest.approx(0, abs=1e-12)
    assert means["without_replacement", 9] < 0.3 * means["with_replacement", 9]
    # ten balls of five colours: nine draws leave one ball, out of these
    left = np.array([1, 2, 1, 2, 4])
    kls = [
        np.sum(x * np.log(x * 10 / left, where=x > 0, out=np.zeros(5)))
        for x in (left - np.eye(5)) / 9
    ]
    exactly = summary.set_index(["bag", "size"])["exact_mean"]["without_replacement", 9]
    assert exactly == pytest.approx(left / 10 @ kls, rel=1e-10)
