"""A real Chromium for tests, driven by Playwright.

Import the fixture into the ``conftest.py`` of the tests that need it::

    from tests.browser import browser  # noqa: F401

Without Chromium these tests skip, and with ``REQUIRE_BROWSER=1`` in the environment they fail.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

PATIENCE = 20_000  # milliseconds that `expect` waits for what it is told to expect

DESKTOP: ViewportSize = {"width": 1280, "height": 720}

# Chromium has two pages of its own in each window, for the suggestions of an address bar. In their first second
# they take ten times the CPU of the window that is tested. It also starts a process ahead of the next page, which
# is often not used. The other names are the list of Playwright, because Chromium takes only the last list that it
# is given.
DISABLED_FEATURES = [
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "AimEnabled",
    "SpareRendererForSitePerProcess",
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
    "--renderer-process-limit=1",  # for each visitor: an empty page and the next one are in one process
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


class Windows:
    """Windows for the visitors of a site, each with cookies and a storage of its own.

    A window is used again when its visitor has left, because a new one costs more CPU than most tests.

    Arguments:
        browser: the browser that they are in.
        url: that of the site, for relative addresses.
    """

    def __init__(self, browser: Browser, url: str | None = None) -> None:
        self.errors: list[str] = []
        """What scripts failed with since the last visitors came."""
        self._browser = browser
        self._url = url
        self._free: list[Page] = []

    @contextmanager
    def visitors(self) -> Iterator[Callable[..., Page]]:
        """A function that gives each visitor a window with an empty page, until the end of the block.

        It takes the size of the page, ``viewport``. With ``fresh=True`` the window is new, and no other visitor
        gets it: for a test that adds scripts, routes or handlers to the page, or emulates something else.
        """
        self.errors.clear()
        with ExitStack() as visitors:

            def window(*, viewport: ViewportSize = DESKTOP, fresh: bool = False) -> Page:
                page = self._free.pop() if self._free and not fresh else self._open()
                if fresh:
                    visitors.callback(page.context.close)
                else:
                    visitors.callback(self._take_back, page)
                if page.viewport_size != viewport:
                    page.set_viewport_size(viewport)
                return page

            yield window

    def _open(self) -> Page:
        # To paint an animation at each of its frames would be half of the CPU.
        context = self._browser.new_context(base_url=self._url, viewport=DESKTOP, reduced_motion="reduce")
        page = context.new_page()
        page.on("pageerror", lambda error: self.errors.append(f"{page.url}: {error}"))
        return page

    def _take_back(self, page: Page) -> None:
        if page.is_closed():
            page.context.close()
        else:
            leave(page)
            self._free.append(page)


def leave(page: Page) -> None:
    """Leave an empty page, with nothing stored, and no other page of the same visitor."""
    for other in page.context.pages:
        if other != page:
            other.close()
    # A page that navigates by itself stays in its process, and the empty page has the storage of the one before.
    page.evaluate("location.replace('about:blank')")
    page.wait_for_url("about:blank")
    page.evaluate("localStorage.clear(); sessionStorage.clear()")
    page.context.clear_cookies()
