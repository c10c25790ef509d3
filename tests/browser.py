"""Debian's Chromium for the tests of the page: no network, a fresh profile, one for all tests."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

CHROMIUM = Path("/usr/bin/chromium")
DRIVER = Path("/usr/bin/chromedriver")
_FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-background-networking "
    "--disable-component-update --disable-sync --disable-default-apps --no-first-run "
    "--disable-dev-shm-usage --window-size=1280,900"
)


def need_browser() -> None:
    """Skip where there is no browser; never where one is required."""
    missing = [str(path) for path in (CHROMIUM, DRIVER) if not path.exists()]
    if missing and os.environ.get("KLSIM_BROWSER") != "required":
        pytest.skip(f"no browser: {', '.join(missing)}; apt-get install chromium chromium-driver")
    assert not missing, f"a browser is required here, and {', '.join(missing)} is missing"


@contextmanager
def browser(profile: Path) -> Iterator[webdriver.Chrome]:
    """Yield a browser that logs what it says and what it asks for."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*_FLAGS.split(), f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, Service(str(DRIVER)))
    try:
        driver.set_script_timeout(20)
        yield driver
    finally:
        driver.quit()


def command(driver: webdriver.Chrome, name: str, **arguments: Any) -> None:
    """Tell the browser something that a page cannot."""
    driver.execute_cdp_cmd(name, arguments)


def theme(driver: webdriver.Chrome, name: str) -> None:
    """Prefer `light` or `dark`."""
    features = [{"name": "prefers-color-scheme", "value": name}]
    command(driver, "Emulation.setEmulatedMedia", features=features)


def width(driver: webdriver.Chrome, pixels: int) -> None:
    """Be as wide as a phone, or as a desk."""
    shape = {"width": pixels, "height": 800, "deviceScaleFactor": 1, "mobile": pixels < 500}
    command(driver, "Emulation.setDeviceMetricsOverride", **shape)


def requests(driver: webdriver.Chrome) -> list[str]:
    """Return the addresses that were asked for since the last time."""
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    sent = [event for event in events if event["method"] == "Network.requestWillBeSent"]
    return [event["params"]["request"]["url"] for event in sent]
