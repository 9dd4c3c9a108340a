"""Reading partition bounds as the server prints them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.check.knowledge.bounds import (
    Range,
    Span,
    following,
    parse_range,
    parse_time,
    span,
    usual_width,
)


@pytest.mark.parametrize(
    ("text", "lower", "upper"),
    [
        ("FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')", ("2026-01-01",), ("2026-02-01",)),
        ("FOR VALUES FROM (MINVALUE) TO (10)", (None,), ("10",)),
        ("FOR VALUES FROM ('a''b, (c)', 1) TO ('d', MAXVALUE)", ("a'b, (c)", "1"), ("d", None)),
        ("FOR VALUES FROM ('-5') TO ('-1')", ("-5",), ("-1",)),
    ],
)
def test_ranges_are_read(text: str, lower: tuple[str], upper: tuple[str]) -> None:
    assert parse_range(text) == Range(lower=lower, upper=upper)


@pytest.mark.parametrize(
    "text",
    ["DEFAULT", "FOR VALUES IN ('a')", "FOR VALUES WITH (modulus 4, remainder 0)", "", "nonsense"],
)
def test_other_bounds_are_no_ranges(text: str) -> None:
    assert parse_range(text) is None


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), min_size=1, max_size=3
    )
)
def test_any_quoted_value_comes_back(values: list[str]) -> None:
    quoted = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    parsed = parse_range(f"FOR VALUES FROM ({quoted}) TO ({quoted})")
    assert parsed == Range(lower=tuple(values), upper=tuple(values))


def test_times_with_and_without_a_zone() -> None:
    assert parse_time("2026-01-01") == datetime(2026, 1, 1, tzinfo=UTC)
    assert parse_time("2026-01-01 00:00:00+02") == datetime(2025, 12, 31, 22, tzinfo=UTC)
    assert parse_time("01/02/2026") is None


def test_a_span_of_numbers_is_none_and_open_ends_are_open() -> None:
    assert span("FOR VALUES FROM ('orange') TO ('pear')") is None
    assert span("FOR VALUES FROM (MINVALUE) TO ('2026-01-01')") == Span(
        lower=None, upper=datetime(2026, 1, 1, tzinfo=UTC)
    )


def test_the_usual_width_is_the_median_of_the_latest() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    days = [Span(lower=start + timedelta(n), upper=start + timedelta(n + 1)) for n in range(5)]
    assert usual_width(days) == timedelta(1)
    assert usual_width([]) is None


@pytest.mark.parametrize(
    ("lower", "upper", "expected"),
    [
        ((2026, 1, 1), (2026, 2, 1), (2026, 3, 1)),
        ((2026, 10, 1), (2027, 1, 1), (2027, 4, 1)),
        ((2025, 1, 1), (2026, 1, 1), (2027, 1, 1)),
        ((2026, 1, 1), (2026, 1, 8), (2026, 1, 15)),
    ],
)
def test_the_next_partition_keeps_calendar_widths(
    lower: tuple[int, int, int], upper: tuple[int, int, int], expected: tuple[int, int, int]
) -> None:
    assert following(datetime(*lower), datetime(*upper)) == datetime(*expected)
