"""Common search words lead to the right page, which has them as main index entries."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.project import REPOSITORY

DOCS = REPOSITORY / "docs"


def main_entries(text: str) -> list[str]:
    """The search of the documentation shows the pages of main index entries (``!``) before all others."""
    directives = re.findall(r"^```\{index\} (.*)$", text, re.MULTILINE)
    return [entry.strip()[1:].strip() for line in directives for entry in line.split(",") if "!" in entry]


ENTRIES = {page.stem: main_entries(page.read_text()) for page in DOCS.glob("*.md")}


@pytest.mark.parametrize(
    ("word", "page"),
    [
        ("test", "testing"),
        ("reconnect", "how-to"),
        ("presence", "how-to"),
        ("deploy", "deploying"),
        ("login", "sessions"),
        ("order", "ordering"),
        ("Redis", "layers"),
    ],
)
def test_a_word_leads_to_its_page(word: str, page: str) -> None:
    assert word in ENTRIES[page]


def test_no_word_leads_to_two_pages() -> None:
    counted = Counter(entry.lower() for entries in ENTRIES.values() for entry in entries)
    assert [word for word, pages in counted.items() if pages > 1] == []
