"""The browser, for these tests."""

from tests.browser import browser  # noqa: F401
