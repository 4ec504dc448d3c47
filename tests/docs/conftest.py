"""The browser, for the pages that show what to type into its console."""

from __future__ import annotations

from tests.browser import browser  # noqa: F401
