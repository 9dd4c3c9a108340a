"""Rules on the archive and on checkpoints, on hand-made pictures."""

from __future__ import annotations

from typing import Any

import pytest

from howdah.check.model import Kind
from howdah.check.rules.wal import archiver_failing, checkpoints_requested, segment_end
from howdah.snapshot.facts.catalog import Setting
from howdah.snapshot.facts.counters import Archiver, Checkpoints, CounterSample, Wal
from howdah.snapshot.facts.replication import ArchiveQueue
from tests.making import picture, row, server, verdict

SEGMENT = 16 * 1024**2
EARLY, LATE = "2026-01-15T10:00:00+00:00", "2026-01-15T11:00:00+00:00"


def archiving(*, mode: str = "on", command: str = "<withheld>") -> list[Setting]:
    return [
        row(Setting, name="archive_mode", value=mode),
        row(Setting, name="archive_command", value=command),
        row(Setting, name="wal_segment_size", value=str(SEGMENT), unit="B"),
    ]


def kind(*, settings: list[Setting] | None = None, **given: Any) -> Kind:
    facts = {
        name: given.pop(name) for name in ("archive_queue", "counter_samples") if name in given
    }
    of = {"of": given.pop("of")} if "of" in given else {}
    archiver = row(Archiver, **given)
    view = picture(settings=settings or archiving(), archiver=[archiver], **facts, **of)
    return verdict(archiver_failing, view).kind


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("000000010000000000000000", SEGMENT),
        ("0000000100000001000000FF", 2**33),
        ("000000020000000000000003.00000028.backup", 4 * SEGMENT),
        ("00000002.history", None),
        (None, None),
    ],
)
def test_a_segments_name_tells_its_end(name: str | None, end: int | None) -> None:
    assert segment_end(name, SEGMENT) == end


def test_a_last_failure_after_the_last_success_is_found() -> None:
    assert kind(last_failed_time=LATE, last_archived_time=EARLY, failed=3) is Kind.FINDING
    assert kind(last_failed_time=LATE, failed=3) is Kind.FINDING
    assert kind(last_failed_time=EARLY, last_archived_time=LATE, failed=3) is Kind.OK


def test_archiving_off_is_not_applicable() -> None:
    assert kind(settings=archiving(mode="off")) is Kind.NOT_APPLICABLE
    assert kind(of=server(in_recovery=True)) is Kind.NOT_APPLICABLE


def test_archiving_without_a_command_is_found() -> None:
    assert kind(settings=archiving(command="")) is Kind.FINDING


def test_an_idle_server_archives_nothing_and_is_fine() -> None:
    position = [row(CounterSample, at=LATE, wal_position=4 * SEGMENT + 100)]
    last: dict[str, Any] = {
        "last_archived_wal": "000000010000000000000003",
        "last_archived_time": EARLY,
    }
    assert kind(**last, counter_samples=position) is Kind.OK


def test_a_silent_archiver_behind_the_wal_is_found() -> None:
    position = [row(CounterSample, at=LATE, wal_position=40 * SEGMENT)]
    last: dict[str, Any] = {
        "last_archived_wal": "000000010000000000000003",
        "last_archived_time": EARLY,
    }
    assert kind(**last, counter_samples=position) is Kind.FINDING


def test_a_queue_of_segments_is_found() -> None:
    assert kind(archive_queue=[row(ArchiveQueue, ready=50)]) is Kind.FINDING
    assert kind(archive_queue=[row(ArchiveQueue, ready=2)]) is Kind.OK


def test_checkpoints_that_are_requested_too_often() -> None:
    def found(requested: int, timed: int, each: int = 500 * 1024**2) -> Kind:
        counters = row(Checkpoints, requested=requested, timed=timed)
        wal = row(Wal, bytes=each * (requested + timed))
        limit = row(Setting, name="max_wal_size", value="1024", unit="MB")
        view = picture(checkpoints=[counters], settings=[limit], wal=[wal])
        result = verdict(checkpoints_requested, view)
        if result.findings:
            assert "2048MB" in result.findings[0].remedies[0].sql[0]
        return result.kind

    assert found(50, 10) is Kind.FINDING
    assert found(10, 500) is Kind.OK
    assert found(3, 0) is Kind.OK
    assert found(50, 10, each=1024**2) is Kind.OK  # CREATE DATABASE on 14, backups, people
