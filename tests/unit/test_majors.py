"""Which majors a test runs on, and how one waits in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.clock import FakeClock
from howdah.errors import BadInput, TimedOut
from howdah.postgres import Installation
from howdah.testing import GROUP, wait_until
from howdah.testing.majors import Candidate, _named, _parameter, narrowed, select

HERE = Path("/usr/lib/postgresql")


def candidate(major: int, *, installed: bool = True) -> Candidate:
    found = Installation(major=major, version=f"{major}.1", bindir=HERE, source="path")
    return Candidate(
        major=major,
        installation=found if installed else None,
        missing="" if installed else f"no PostgreSQL {major}",
    )


def majors(candidates: tuple[Candidate, ...]) -> list[int]:
    return [one.major for one in candidates]


ALL = tuple(candidate(major) for major in (18, 17, 15, 14))


def test_range_and_newest() -> None:
    assert select(ALL) == ALL
    assert majors(select(ALL, since=17)) == [18, 17]
    assert majors(select(ALL, until=15)) == [15, 14]
    assert majors(select(ALL, since=15, until=17)) == [17, 15]
    assert majors(select(ALL, newest=True)) == [18]
    assert majors(select(ALL, until=16, newest=True)) == [15]


def test_newest_is_one_that_is_there() -> None:
    some = (candidate(18, installed=False), candidate(15))
    assert majors(select(some, newest=True)) == [15]
    assert majors(select(some[:1], newest=True)) == [18]


def test_the_newest_by_default_gives_way_to_named_majors() -> None:
    marker = {"until": 17, "newest_by_default": True}
    assert majors(select(ALL, **narrowed(marker, ""))) == [17]
    assert majors(select(ALL, **narrowed(marker, "14:/a/b"))) == [17, 15, 14]
    assert narrowed({}, "") == {}


def test_nothing_in_range_is_a_skip_and_not_a_silent_pass() -> None:
    (only,) = select(ALL, since=19)
    assert only.installation is None
    assert "[19-]" in only.missing
    assert "HOWDAH_TEST_PG" in only.missing


def test_missing_default_is_skipped_by_name() -> None:
    parameter = _parameter(candidate(18, installed=False), "-test_this")
    marks = {mark.name: mark for mark in getattr(parameter, "marks", ())}
    assert marks["skip"].kwargs["reason"] == "no PostgreSQL 18"
    assert marks["xdist_group"].args == (GROUP.format(major=18, module="-test_this"),)


def test_environment() -> None:
    assert _named("") == {}
    assert _named("14:/a/b, 16:/c,") == {14: Path("/a/b"), 16: Path("/c")}
    with pytest.raises(BadInput, match="HOWDAH_TEST_PG is malformed") as caught:
        _named("/usr/lib/postgresql/16/bin")
    assert "14:/path" in caught.value.hint


def test_waiting_ends_with_the_first_true_value() -> None:
    values = iter([0, None, "", "there", "not asked for"])
    assert wait_until(lambda: next(values), clock=FakeClock()) == "there"
    assert next(values) == "not asked for"


@given(st.floats(0, 100))
def test_waiting_is_bounded_and_tells_the_last_value(seconds: float) -> None:
    clock = FakeClock()
    seen: list[int] = []

    def probe() -> list[int]:
        seen.append(len(seen))
        return []

    with pytest.raises(TimedOut, match=r"probe is still \[\] after"):
        wait_until(probe, seconds=seconds, clock=clock)
    assert seen
    assert seconds <= clock.monotonic() <= seconds + 0.02


def test_what_the_probe_raises_passes_through() -> None:
    def probe() -> bool:
        raise LookupError("on purpose")

    with pytest.raises(LookupError, match="on purpose"):
        wait_until(probe)
