"""Fire times, clock changes, and what was missed."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.errors import BadInput
from howdah.queue.cron import AT_ONCE, Schedule, due, fires, next_fire

BERLIN = ZoneInfo("Europe/Berlin")
# Europe/Berlin: 2026-03-29 02:00 -> 03:00 and 2026-10-25 03:00 -> 02:00.


def at(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


def local(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, BERLIN).isoformat()


def first(expression: str, after: float, count: int) -> list[str]:
    schedule = Schedule(expression=expression, zone="Europe/Berlin")
    return [local(fire) for fire in islice(fires(schedule, after), count)]


def test_a_time_that_the_clock_jumps_over_fires_once_after_the_jump() -> None:
    assert first("30 2 * * *", at("2026-03-28T12:00"), 2) == [
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:30:00+02:00",
    ]


def test_two_times_inside_the_jump_fire_once() -> None:
    assert first("0,30 2 * * *", at("2026-03-28T12:00"), 2) == [
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:00:00+02:00",
    ]


def test_a_time_that_comes_twice_fires_the_first_time() -> None:
    assert first("30 2 * * *", at("2026-10-24T12:00"), 2) == [
        "2026-10-25T02:30:00+02:00",
        "2026-10-26T02:30:00+01:00",
    ]


def test_asked_inside_the_repeated_hour_it_does_not_go_back() -> None:
    after = at("2026-10-25T02:10", fold=1)
    assert first("30 2 * * *", after, 1) == ["2026-10-26T02:30:00+01:00"]


def test_every_quarter_goes_on_through_both_hours() -> None:
    seen = first("*/30 * * * *", at("2026-10-25T01:45"), 5)
    assert seen == [
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:30:00+02:00",
        "2026-10-25T02:00:00+01:00",
        "2026-10-25T02:30:00+01:00",
        "2026-10-25T03:00:00+01:00",
    ]


def test_every_hour_skips_the_hour_that_does_not_exist() -> None:
    assert first("0 * * * *", at("2026-03-29T00:30"), 3) == [
        "2026-03-29T01:00:00+01:00",
        "2026-03-29T03:00:00+02:00",
        "2026-03-29T04:00:00+02:00",
    ]


@given(
    expression=st.sampled_from(
        ["30 2 * * *", "*/15 * * * *", "0 2,3 * * *", "5 * * * *", "0 0 1 * *", "0 0 * * SUN#1"]
    ),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]),
    after=st.floats(min_value=1.7e9, max_value=1.9e9),
)
def test_fire_times_grow_and_are_later_than_asked(expression: str, zone: str, after: float) -> None:
    found = list(islice(fires(Schedule(expression=expression, zone=zone), after), 6))
    assert [after, *found] == sorted({after, *found})


@given(after=st.floats(min_value=1.7e9, max_value=1.9e9), step=st.floats(1, 90_000))
def test_asking_often_or_once_gives_the_same_fires(after: float, step: float) -> None:
    schedule = Schedule(expression="0 2,3 * * *", zone="Europe/Berlin", catch_up="all")
    end = after + 20 * step
    once = due(schedule, after, end).fires
    often: list[float] = []
    upto = after
    for number in range(1, 21):
        answer = due(schedule, upto, after + number * step)
        often += answer.fires
        upto = answer.upto
    assert often == list(once)


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        ("none", []),
        ("one", ["2026-01-04T06:00"]),
        ("all", ["2026-01-02T06:00", "2026-01-03T06:00", "2026-01-04T06:00"]),
    ],
)
def test_what_follows_missed_fires(catch_up: str, expected: list[str]) -> None:
    schedule = Schedule(expression="0 6 * * *", catch_up=catch_up)  # type: ignore[arg-type] # parametrised text
    answer = due(schedule, utc("2026-01-01T06:00"), utc("2026-01-04T12:00"))
    assert list(answer.fires) == [utc(text) for text in expected]
    assert answer.upto == utc("2026-01-04T12:00")


@pytest.mark.parametrize("catch_up", ["none", "one", "all"])
def test_on_time_every_policy_fires(catch_up: str) -> None:
    schedule = Schedule(expression="0 6 * * *", catch_up=catch_up)  # type: ignore[arg-type] # parametrised text
    answer = due(schedule, utc("2026-01-01T06:00"), utc("2026-01-02T06:00:02"))
    assert answer.fires == (utc("2026-01-02T06:00"),)


def test_a_long_absence_is_caught_up_in_parts() -> None:
    schedule = Schedule(expression="* * * * *", catch_up="all")
    since, now, total = utc("2026-01-01T00:00"), utc("2026-01-02T12:00"), 0
    while (answer := due(schedule, since, now)).fires:
        assert len(answer.fires) <= AT_ONCE
        total += len(answer.fires)
        since = answer.upto
    assert total == 36 * 60


def test_the_newest_of_years_of_minutes_is_found_at_once() -> None:
    schedule = Schedule(expression="* * * * *")
    answer = due(schedule, utc("2016-01-01T00:00"), utc("2026-01-02T12:00:30"))
    assert answer.fires == (utc("2026-01-02T12:00"),)


def test_a_yearly_schedule_is_found_after_decades() -> None:
    schedule = Schedule(expression="0 0 29 2 *")
    answer = due(schedule, utc("2016-03-01T00:00"), utc("2027-01-02T12:00"))
    assert answer.fires == (utc("2024-02-29T00:00"),)


@pytest.mark.parametrize("expression", ["61 * * * *", "* * *", "0 0 30 2 *", "nonsense"])
def test_a_bad_expression_is_refused(expression: str) -> None:
    with pytest.raises(BadInput):
        Schedule(expression=expression)


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(BadInput, match="Mars"):
        Schedule(expression="* * * * *", zone="Mars/Olympus")


def test_seconds_come_first() -> None:
    schedule = Schedule(expression="*/20 * * * * *")
    assert next_fire(schedule, 1_000_000_000.0) == 1_000_000_000.0 + 20
