"""The page in Debian's Chromium: nothing asked of a network, everything to be reached and read."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import axe_core_python
import numpy as np
import pytest
from browser import browser, command, need_browser, requests, theme, width
from runs import COINS, built
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

import sim
from sim.gathering import gather
from sim.report.page import page
from sim.report.pictures import pictures

CONFIGS = Path(__file__).parent.parent / "configs"
AXE = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
NAMES = ("red_blue", "estimators", "hostile")
LABELS = (
    '</script><script>window.harmed = 1</script><img src="x" onerror="window.harmed = 1">',
    "\"'`${window.harmed = 1}{{ 7 * 7 }}<!--",
    "\u202eشمال " + "x" * 194,
)


def hostile():
    kinds = [{"kind": "plug_in"}, {"kind": "miller_madow"}, {"kind": "jackknife"}]
    estimators = dict(zip(LABELS, kinds, strict=True))
    return built({**COINS, "about": LABELS[0], "estimators": estimators, "trials": 40})


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    need_browser()
    experiments = {
        "red_blue": sim.load(CONFIGS / "red_blue.yaml", ["trials=200", "sizes=[10, 100, 1000]"]),
        "estimators": sim.load(CONFIGS / "estimators.yaml", ["trials=20", "sizes=[10, 100]"]),
        "hostile": hostile(),
    }
    return {
        name: gather(sim.run(experiment, out=tmp_path_factory.mktemp(name)).path)
        for name, experiment in experiments.items()
    }


@pytest.fixture(scope="module")
def places(told, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for name, one in told.items():
        text = page(one, pictures(one))
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: (folder / f"{name}.html").as_uri() for name in told}


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    need_browser()
    with browser(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


def opened(driver, place):
    """Open a page and wait until its first picture is live."""
    driver.get(place)
    driver.execute_script("document.querySelector('.picture').scrollIntoView()")
    assert drawn(driver)


def drawn(driver):
    return driver.execute_async_script(
        "const done = arguments[0], end = Date.now() + 15000;"
        "(function look() { const box = document.querySelector('.picture.drawn');"
        "if (box || Date.now() > end) done(!!box); else setTimeout(look, 20); })()"
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_page_draws_its_points_asks_for_nothing_and_complains_of_nothing(driver, places, name):
    driver.get("about:blank")
    requests(driver), driver.get_log("browser")
    opened(driver, places[name])
    points = driver.find_elements(By.CSS_SELECTOR, ".drawn .mark-symbol.role-mark path")
    assert len(points) > 5
    asked = requests(driver)
    assert places[name] in asked
    assert {address.split(":")[0] for address in asked} <= {"file", "data", "blob"}
    assert driver.get_log("browser") == []


def test_the_legend_isolates_a_series(driver, places):
    opened(driver, places["red_blue"])
    width(driver, 1280)
    seen = "return [...document.querySelectorAll('.drawn .mark-symbol.role-mark path')].map("
    seen += "p => p.getAttribute('opacity'))"
    assert len(set(driver.execute_script(seen))) == 1
    label = driver.find_element(By.CSS_SELECTOR, ".drawn .role-legend-label text")
    ActionChains(driver).scroll_to_element(label).move_to_element(label).click().perform()
    faded = driver.execute_script(seen)
    assert len(set(faded)) == 2


def column(driver, name):
    return driver.execute_script(
        "const t = document.getElementById('table-convergence'), h = "
        "[...t.tHead.rows[0].cells].findIndex(c => c.dataset.name === arguments[0]);"
        "return [...t.tBodies[0].rows].map(r => r.cells[h].dataset.v)",
        name,
    )


def test_a_table_sorts_by_number_both_ways_and_what_is_null_comes_last(driver, places):
    opened(driver, places["red_blue"])
    button = driver.find_element(
        By.CSS_SELECTOR, "#table-convergence th[data-name=constant] button"
    )
    for way, is_down in (("ascending", False), ("descending", True)):
        driver.execute_script("arguments[0].focus()", button)
        button.send_keys("\ue007")
        values = column(driver, "constant")
        known = [float(value) for value in values if value]
        assert known == sorted(known, reverse=is_down)
        assert 0 < len(known) < len(values)
        assert values[len(known) :] == [""] * (len(values) - len(known))
        header = driver.find_element(By.CSS_SELECTOR, "#table-convergence th[aria-sort]")
        assert header.get_attribute("aria-sort") == way


def copied(driver, name):
    """Return the rows of a table that its button copies."""
    driver.execute_script(
        "Object.defineProperty(navigator, 'clipboard', {configurable: true, "
        "value: {writeText: async text => { window.copied = text; }}})"
    )
    button = driver.find_element(By.CSS_SELECTOR, f"button[data-table=table-{name}]")
    driver.execute_script("arguments[0].click()", button)
    return list(csv.DictReader(io.StringIO(driver.execute_script("return window.copied"))))


def test_what_is_copied_as_csv_has_every_digit_of_the_table(driver, places, told):
    opened(driver, places["red_blue"])
    rows = copied(driver, "summary")
    summary = told["red_blue"].summary
    assert len(rows) == len(summary)
    for name in ("size", "bias", "bias_mcse", "rmse", "rmse_mcse"):
        shown = [float(row[name] or "nan") for row in rows]
        assert np.array_equal(shown, summary[name].to_numpy(dtype=float), equal_nan=True)
    assert [row["estimator"] for row in rows] == list(summary["estimator"])


def rows(driver, name, column):
    """Return the texts of a column, those of rows that are seen only."""
    return driver.execute_script(
        "const t = document.getElementById('table-' + arguments[0]), h = "
        "[...t.tHead.rows[0].cells].findIndex(c => c.dataset.name === arguments[1]);"
        "return [...t.tBodies[0].rows].filter(r => r.offsetHeight)"
        ".map(r => r.cells[h].textContent)",
        name, column,
    )  # fmt: skip


def test_tables_show_the_estimators_that_are_ticked_by_keyboard_and_all_where_none_is(
    driver, places, told
):
    opened(driver, places["red_blue"])
    known = list(told["red_blue"].summary["estimator"])
    assert rows(driver, "summary", "estimator") == known
    box = driver.find_element(By.CSS_SELECTOR, "#filter input[value=miller_madow]")
    driver.execute_script("arguments[0].focus()", box)
    box.send_keys(" ")
    of_it = [name for name in known if name == "miller_madow"]
    assert rows(driver, "summary", "estimator") == of_it
    assert set(rows(driver, "convergence", "estimator")) == {"miller_madow"}
    best = rows(driver, "best", "best")
    rivals = rows(driver, "best", "rivals")
    assert best
    for one, others in zip(best, rivals, strict=True):
        assert "miller_madow" in [one, *others.split(", ")]
    status = driver.find_element(By.CSS_SELECTOR, "#filter [role=status]")
    assert status.text.endswith(" rows are shown.")
    driver.find_element(By.CSS_SELECTOR, "#filter .untick").send_keys("\ue007")
    assert rows(driver, "summary", "estimator") == known
    assert not box.is_selected()
    assert status.text == ""


def test_rows_that_are_not_shown_are_not_copied(driver, places, told):
    opened(driver, places["red_blue"])
    box = driver.find_element(By.CSS_SELECTOR, "#filter input[value=counting]")
    driver.execute_script("arguments[0].click()", box)
    names = [row["estimator"] for row in copied(driver, "summary")]
    assert names == [n for n in told["red_blue"].summary["estimator"] if n == "counting"]


def layout(driver):
    """Return how wide the first picture is, as drawn and on the screen, and its smallest text."""
    return driver.execute_script(
        "const svg = document.querySelector('.drawn .live svg');"
        "const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;"
        "const sizes = [...svg.querySelectorAll('text')].filter(t => t.textContent)"
        ".map(t => scale * parseFloat(getComputedStyle(t).fontSize));"
        "return [svg.getBoundingClientRect().width, Math.min(...sizes)]"
    )


def turned(driver, pixels):
    """Be as wide, and wait until the first picture is laid out for it."""
    width(driver, pixels)
    assert driver.execute_async_script(
        "const [name, done] = arguments, end = Date.now() + 15000;"
        "(function look() { const box = document.querySelector('.picture.drawn');"
        "const there = box.dataset.layout === name && box.children.length === 1;"
        "if (there || Date.now() > end) done(there); else setTimeout(look, 20); })()",
        "narrow" if pixels < 768 else "wide",
    )


def test_a_picture_is_laid_out_anew_when_the_screen_is_turned_and_its_text_is_legible(
    driver, places
):
    width(driver, 390)
    opened(driver, places["red_blue"])
    phone, least = layout(driver)
    assert 300 < phone <= 390
    assert least >= 9.9
    turned(driver, 1280)
    desk, least = layout(driver)
    assert 700 < desk < 760
    assert least >= 9.9
    turned(driver, 390)
    assert layout(driver)[0] == pytest.approx(phone)
    width(driver, 1280)


def test_text_stands_beside_a_picture_on_a_desk_and_below_it_on_a_phone(driver, places):
    place = "const [p, c] = ['.picture', 'figcaption'].map(s => document.querySelector(s)"
    place += ".getBoundingClientRect()); return [c.left - p.right, c.top - p.bottom]"
    for pixels, way in ((1280, 0), (390, 1)):
        width(driver, pixels)
        opened(driver, places["red_blue"])
        beside, below = driver.execute_script(place)
        assert (beside, below)[way] >= 0
        assert (beside, below)[1 - way] < 0
    width(driver, 1280)


def test_hostile_labels_are_text_and_nothing_else(driver, places):
    opened(driver, places["hostile"])
    assert driver.execute_script("return window.harmed") is None
    assert driver.find_elements(By.CSS_SELECTOR, "img, script[src], iframe, object") == []
    shown = driver.execute_script(
        "return [...document.querySelectorAll('#methods dt')].map(e => e.textContent)"
    )
    assert shown[:3] == list(LABELS)
    keys = driver.find_elements(By.CSS_SELECTOR, ".drawn .role-legend-label text")
    assert len(keys) == 4


@pytest.mark.parametrize("name", NAMES)
def test_no_page_scrolls_sideways_on_a_phone(driver, places, name):
    width(driver, 360)
    opened(driver, places[name])
    assert driver.execute_script("return document.documentElement.scrollWidth") == 360
    width(driver, 1280)


def test_without_javascript_the_still_pictures_and_tables_are_there(driver, places, told):
    command(driver, "Emulation.setScriptExecutionDisabled", value=True)
    try:
        driver.get(places["red_blue"])
        for pixels in (390, 1280):
            width(driver, pixels)
            every = driver.find_elements(By.CSS_SELECTOR, ".picture .still svg:not(svg svg)")
            still = [one for one in every if one.is_displayed()]
            assert len(still) == len(pictures(told["red_blue"]))
            assert still[0].size["height"] > 100
        assert driver.find_element(By.ID, "table-summary").is_displayed()
        assert not driver.find_element(By.CSS_SELECTOR, ".copy").is_displayed()
    finally:
        command(driver, "Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("name", ["red_blue", "hostile"])
def test_an_audit_finds_nothing_that_shuts_anybody_out(driver, places, name, colours):
    theme(driver, colours)
    opened(driver, places[name])
    driver.execute_script(AXE)
    driver.set_script_timeout(120)  # it looks at every mark of every picture
    found = driver.execute_async_script(
        "const done = arguments[0];"
        "axe.run().then(r => done([r.passes.length, r.violations.map(v => v.id + ': ' +"
        "v.nodes.slice(0, 2).map(n => n.html.slice(0, 200)).join(' | '))]))"
    )
    assert found[1] == []
    assert found[0] > 15
    theme(driver, "light")


def test_the_same_tables_give_the_same_bytes(told):
    one = told["hostile"]
    assert page(one, pictures(one)) == page(replace(one), pictures(replace(one)))
