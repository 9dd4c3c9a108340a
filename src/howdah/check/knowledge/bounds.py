"""Partition bounds: reading the text in which the server prints them, and the next one in line.

Owns the grammar of `pg_get_expr(relpartbound)` for ranges, and the arithmetic of range widths in
calendar time. A bound that is not read is None, never a guess.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median

_VALUE = r"E?'(?:[^']|'')*'|[^,()']+"
_LIST = rf"\(((?:{_VALUE})(?:, (?:{_VALUE}))*)\)"
_RANGE = re.compile(rf"FOR VALUES FROM {_LIST} TO {_LIST}")
_VALUES = re.compile(_VALUE)
_RECENT = 6  # partitions whose widths tell the usual width


@dataclass(frozen=True)
class Range:
    """A range bound as text: values unquoted; MINVALUE and MAXVALUE are None."""

    lower: tuple[str | None, ...]
    upper: tuple[str | None, ...]


@dataclass(frozen=True)
class Span:
    """A partition's stretch of time; None is unbounded."""

    lower: datetime | None
    upper: datetime | None


def parse_range(bound: str) -> Range | None:
    """Read `FOR VALUES FROM (...) TO (...)`; None for any other bound.

    >>> parse_range("FOR VALUES FROM ('2026-01-01') TO (MAXVALUE)")
    Range(lower=('2026-01-01',), upper=(None,))
    """
    match = _RANGE.fullmatch(bound.strip())
    return Range(lower=_values(match[1]), upper=_values(match[2])) if match else None


def _values(text: str) -> tuple[str | None, ...]:
    return tuple(_value(item.strip()) for item in _VALUES.findall(text) if item.strip())


def _value(item: str) -> str | None:
    if item in ("MINVALUE", "MAXVALUE"):
        return None
    quoted = item.removeprefix("E")
    return quoted[1:-1].replace("''", "'") if quoted.startswith("'") else item


def parse_time(text: str) -> datetime | None:
    """An ISO date or timestamp; without a zone it is taken for UTC. None for anything else."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def span(bound: str) -> Span | None:
    """The stretch of time of a range bound's first value; None where it is not one of time."""
    parsed = parse_range(bound)
    if parsed is None:
        return None
    ends = [parsed.lower[0], parsed.upper[0]]
    times = [_end(value) for value in ends]
    if any(
        value not in (None, "-infinity", "infinity") and time is None
        for value, time in zip(ends, times, strict=True)
    ):
        return None
    return Span(lower=times[0], upper=times[1])


def _end(value: str | None) -> datetime | None:
    return None if value is None else parse_time(value)


def usual_width(spans: list[Span]) -> timedelta | None:
    """The median width of the latest bounded partitions."""
    bounded = sorted((each.lower, each.upper) for each in spans if each.lower and each.upper)[
        -_RECENT:
    ]
    if not bounded:
        return None
    return timedelta(seconds=median((upper - lower).total_seconds() for lower, upper in bounded))


def following(lower: datetime, upper: datetime) -> datetime:
    """Where the partition after [lower, upper) ends: whole months stay whole months.

    >>> following(datetime(2026, 1, 1), datetime(2026, 2, 1))
    datetime.datetime(2026, 3, 1, 0, 0)
    """
    months = (upper.year - lower.year) * 12 + upper.month - lower.month
    whole = months > 0 and (lower.day, lower.time()) == (upper.day, upper.time())
    return _months_later(upper, months) if whole else upper + (upper - lower)


def _months_later(start: datetime, months: int) -> datetime:
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return start.replace(year=year, month=month + 1, day=day)
