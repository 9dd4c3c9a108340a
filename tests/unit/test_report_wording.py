"""How values are worded: units by name, edges of scales, hostile text."""

from __future__ import annotations

import doctest
from typing import Any

import pytest

from howdah.report import wording
from howdah.report.pictures import drawing


def test_the_examples_hold() -> None:
    for module in (wording, drawing):
        result = doctest.testmod(module)
        assert result.attempted
        assert not result.failed


@pytest.mark.parametrize(
    ("name", "given", "text"),
    [
        ("size_bytes", 0, "0 B"),
        ("size_bytes", 1023, "1023 B"),
        ("size_bytes", 1024, "1 kB"),
        ("size_bytes", 1024**2 - 1, "1 MB"),
        ("size_bytes", 5 * 1024**6, "5120 PB"),
        ("size_pages", 1, "1 page (8 kB)"),
        ("pages", 2, "2 (16 kB)"),
        ("share_of_database_time", 0.313, "31.3%"),
        ("definition", "", "none"),
        ("bytes_per_hour", 2048, "2,048"),
        ("age_seconds", 0.0004, "0.4 ms"),
        ("age_seconds", 59.9, "59.9 s"),
        ("age_seconds", 86_400 * 400, "400 d"),
        ("full_in_days", 0.5, "12 h"),
        ("dead_fraction", 1 / 3, "33.3%"),
        ("pid", 12345, "12345"),
        ("rows", 12345, "12,345"),
        ("is_valid", False, "no"),
        ("anything", None, "not known"),
        ("columns", ["a", "b"], "a, b"),
        ("columns", [], "none"),
        ("shape", {"size_bytes": 1024}, "size 1 kB"),
        ("name", "a\x1b]0;x\x07\u202eb", "a\\x1b]0;x\\x07\\u202eb"),
    ],
)
def test_a_value_is_worded_by_the_unit_in_its_name(name: str, given: Any, text: str) -> None:
    assert wording.value(name, given) == text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("size_pages", "size"),
        ("pages", "pages"),
        ("seconds_in_transaction", "in transaction"),
        ("rows_per_hour", "rows per hour"),
        ("bytes_per_seconds", "bytes per seconds"),
    ],
)
def test_a_label_leaves_out_the_unit_that_the_value_says(name: str, words: str) -> None:
    assert wording.label(name) == words
