"""A real Chromium for tests, driven by Playwright.

Import the fixture into the ``conftest.py`` of the tests that need it::

    from tests.browser import browser  # noqa: F401

Without Chromium these tests skip, and with ``REQUIRE_BROWSER=1`` in the environment they fail.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

PATIENCE = 20_000  # milliseconds that `expect` waits for what it is told to expect

# Chromium has two pages of its own in each window, for the suggestions of an address bar. In their first second
# they take ten times the CPU of the window that is tested. The other names are the list of Playwright, because
# Chromium takes only the last list that it is given.
DISABLED_FEATURES = [
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "AimEnabled",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
]

LAUNCH_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={','.join(DISABLED_FEATURES)}",
]


def find_chromium() -> str | None:
    """The system's Chromium: the path in the environment variable CHROMIUM, or the first one on the PATH."""
    wanted = os.environ.get("CHROMIUM")
    if wanted:
        return shutil.which(wanted)
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for path in map(shutil.which, names) if path), None)


def chromium_or_skip() -> str:
    """The path of Chromium; skips the test where there is none, or fails it if REQUIRE_BROWSER is 1."""
    path = find_chromium()
    if path is None:
        reason = "No Chromium: install one, or set CHROMIUM to the path of its executable."
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return path


@contextmanager
def launched_browser() -> Iterator[Browser]:
    """A headless Chromium. While it is open, this thread counts as one with an event loop: no ``asyncio.run``
    here, and no Django ORM without ``DJANGO_ALLOW_ASYNC_UNSAFE``."""
    path = chromium_or_skip()
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=LAUNCH_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for the tests of a module. It is not for the session, because of its event loop (see above)."""
    with launched_browser() as browser:
        yield browser
