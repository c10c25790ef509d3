"""The page in words, and the commands that write it: one file, whole, the same each time."""

from __future__ import annotations

import json
import zlib
from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import pytest
from pages import material, picture
from runs import COINS, SMALL, built, klsim, text

from sim.report.drawing import bundle, script_json
from sim.report.grids import grids
from sim.report.page import page
from sim.report.sentences import missing, opening


@pytest.fixture(scope="module")
def coins(tmp_path_factory):
    return material(built({**COINS, "trials": 3000}), tmp_path_factory.mktemp("coins"))


def told(coins, **changes):
    frame = coins.convergence.assign(**changes)
    return opening(replace(coins, convergence=frame))[2]


def test_a_page_opens_with_three_sentences(coins):
    how_far, which, how_many = opening(coins)
    assert how_far.startswith("The KL divergence in bag back against model itself is 0; ")
    assert "too large by 0.1" in how_far
    assert "at n = 5 and " in how_far
    assert how_far.endswith("at n = 20.")
    assert "corrected" in which
    assert how_many == (
        "It takes 201 draws for counting to be off by at most 0.01 nats in 95 % of all trials."
    )


def test_the_draws_for_the_tolerance_are_told_with_their_bracket_and_where_they_are_guessed(coins):
    sizes = {"size_for_error": 201, "size_for_error_low": 190, "size_for_error_high": 212}
    wanted = "for counting to be off by at most 0.01 nats in 95 % of all trials"
    assert told(coins, **sizes) == f"It takes 201 draws (190 to 212) {wanted}."
    guessed = told(coins, **sizes, extrapolated=True)
    assert guessed.startswith("It takes about 201 draws")
    assert guessed.endswith("which is beyond the sizes tried.")
    unknown = told(coins, size_for_error=None, size_reason="it never falls so far")
    assert unknown == (
        "How many draws counting takes to be off by at most 0.01 nats in 95 % of all trials "
        "is not known: it never falls so far."
    )


def test_a_result_without_trials_says_so(coins):
    empty = replace(coins, summary=coins.summary.head(0), convergence=coins.convergence.head(0))
    assert opening(empty) == ["There are no trials yet."]


def test_what_is_missing_is_counted_even_where_nothing_is(coins):
    total = int(coins.summary["trials"].sum())
    assert missing(coins) == f"Of {total:,} estimates none was infinite, undefined or failed."
    worse = coins.summary.assign(infinite=2)
    told = missing(replace(coins, summary=worse))
    assert f"{2 * len(worse):,} were infinite, 0 undefined and 0 failed" in told


def test_a_long_table_is_cut_and_says_where_the_rest_is(coins):
    many = coins.convergence.loc[coins.convergence.index.repeat(200)]
    grid = next(g for g in grids(replace(coins, convergence=many)) if g.name == "convergence")
    assert len(grid.lines) == 400
    assert f"400 of {len(many):,} rows; all stand in convergence.parquet" in grid.about


def test_json_in_a_script_ends_no_element():
    value = {"</script>": ["<!--", "\u2028", "é"]}
    assert "<" not in script_json(value)
    assert json.loads(script_json(value)) == value


def test_the_scripts_that_make_charts_live_end_no_element():
    assert "</script" not in bundle()
    assert "<!--" not in bundle()


def test_a_chart_carries_the_columns_that_it_names_and_no_other(coins):
    text = page(coins, [picture(coins)])
    begun = text.index('id="spec-rmse">') + len('id="spec-rmse">')
    packed = text[begun : text.index("</script>", begun)]
    data = json.loads(zlib.decompress(b64decode(packed)))["datasets"]
    rows = next(iter(data.values()))
    assert set(rows[0]) == {"estimator", "size", "rmse"}
    assert [row["rmse"] for row in rows] == list(coins.summary["rmse"])


def test_run_with_report_and_report_alone_write_the_same_page(tmp_path):
    config = tmp_path / "coins.yaml"
    config.write_text(text(COINS, **SMALL), encoding="utf-8")
    done = klsim("run", config, "--out", tmp_path, "--workers", 1, "--report")
    place = tmp_path / "coins" / "report.html"
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(place)
    before = place.read_bytes()
    assert before.startswith(b"<!doctype html>")
    again = klsim("report", tmp_path / "coins")
    assert (again.returncode, again.stdout) == (0, f"{place}\n")
    assert place.read_bytes() == before
    assert klsim("verify", tmp_path / "coins").returncode == 0


def test_without_the_extra_a_sentence_says_so_before_anything_runs(tmp_path):
    config = tmp_path / "coins.yaml"
    config.write_text(text(COINS, **SMALL), encoding="utf-8")
    broken = tmp_path / "packages"
    broken.mkdir()
    absent = "raise ModuleNotFoundError('No module named vl_convert', name='vl_convert')\n"
    (broken / "vl_convert.py").write_text(absent, encoding="utf-8")
    done = klsim("run", config, "--out", tmp_path, "--report", paths=(broken,))
    assert done.returncode == 2
    assert "pip install 'klsim[charts]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "coins").exists()


def test_a_link_in_the_place_of_the_page_is_not_followed(tmp_path):
    config = tmp_path / "coins.yaml"
    config.write_text(text(COINS, **SMALL), encoding="utf-8")
    klsim("run", config, "--out", tmp_path, "--workers", 1)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("kept", encoding="utf-8")
    Path(tmp_path / "coins" / "report.html").symlink_to(elsewhere)
    assert klsim("report", tmp_path / "coins").returncode == 4
    assert elsewhere.read_text(encoding="utf-8") == "kept"
