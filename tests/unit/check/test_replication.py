"""Rules on slots and standbys, on hand-made pictures."""

from __future__ import annotations

from typing import Any

from howdah.check.model import Kind, Result, Severity
from howdah.check.rules.replication import (
    slot_invalid_or_idle,
    slot_retention,
    standby_disconnected,
    standby_lag,
)
from howdah.snapshot.facts.catalog import Setting
from howdah.snapshot.facts.counters import CounterSample
from howdah.snapshot.facts.replication import Receiver, Recovery, ReplicationSlot, Standby
from tests.making import picture, row, server, verdict

MB = 1024 * 1024
STANDBY = server(in_recovery=True)


def setting(name: str, value: str, unit: str | None = None) -> Setting:
    return row(Setting, name=name, value=value, unit=unit)


def slot(**given: Any) -> ReplicationSlot:
    values: dict[str, Any] = {"name": "feed", "kind": "logical", "wal_status": "reserved"}
    return row(ReplicationSlot, **(values | given))


def retention(of: ReplicationSlot, *, limit: int = -1, rate_mb: int = 0) -> Result:
    samples = [
        row(CounterSample, at="2026-01-15T11:00:00+00:00", wal_position=0),
        row(CounterSample, at="2026-01-15T12:00:00+00:00", wal_position=rate_mb * MB),
    ]
    settings = [
        setting("max_slot_wal_keep_size", str(limit), "MB"),
        setting("max_wal_size", "1024", "MB"),
    ]
    return verdict(slot_retention, picture(slots=[of], settings=settings, counter_samples=samples))


# --- retention ------------------------------------------------------------------------------------


def test_without_a_limit_more_than_max_wal_size_is_critical() -> None:
    much = retention(slot(retained_bytes=5000 * MB))
    assert much.findings[0].severity is Severity.CRITICAL
    assert "until the disk is full" in much.findings[0].claim
    catching_up = retention(slot(retained_bytes=5000 * MB, is_active=True))
    assert catching_up.findings[0].severity is Severity.WARNING
    assert retention(slot(retained_bytes=500 * MB)).kind is Kind.OK


def test_with_a_limit_the_time_until_it_is_told() -> None:
    near = slot(retained_bytes=100 * MB, safe_bytes=1900 * MB)
    found = retention(near, limit=2000, rate_mb=100)
    assert found.findings[0].evidence[0]["hours_left"] == 19.0
    assert retention(near, limit=2000, rate_mb=1).kind is Kind.OK


def test_an_active_slot_follows_the_wal_and_has_no_end() -> None:
    busy = slot(retained_bytes=100 * MB, safe_bytes=1900 * MB, is_active=True)
    assert retention(busy, limit=2000, rate_mb=5000).kind is Kind.OK


def test_over_the_limit_it_is_lost_at_the_next_checkpoint() -> None:
    over = slot(retained_bytes=2100 * MB, safe_bytes=-100 * MB, wal_status="unreserved")
    assert retention(over, limit=2000).findings[0].severity is Severity.CRITICAL


def test_no_slots_are_not_applicable() -> None:
    view = picture(settings=[setting("max_slot_wal_keep_size", "-1", "MB")])
    assert verdict(slot_retention, view).kind is Kind.NOT_APPLICABLE


# --- invalid or idle ------------------------------------------------------------------------------


def state(of: ReplicationSlot, *, standby: bool = False) -> Severity | Kind:
    given = {"of": STANDBY} if standby else {}
    result = verdict(slot_invalid_or_idle, picture(slots=[of], **given))
    return result.findings[0].severity if result.findings else result.kind


def test_lost_slots_are_found_however_the_version_says_it() -> None:
    for given in (
        {"wal_status": "lost"},
        {"conflicting": True},
        {"invalidation_reason": "rows_removed"},
    ):
        assert state(slot(**given)) is Severity.WARNING


def test_idleness_is_judged_by_its_length_where_it_is_known() -> None:
    assert state(slot(seconds_inactive=7200.0)) is Severity.WARNING
    assert state(slot(seconds_inactive=60.0)) is Kind.OK
    assert state(slot()) is Severity.NOTICE  # before 17 nobody knows since when
    assert state(slot(is_active=True)) is Kind.OK


def test_slots_copied_to_a_standby_are_idle_by_design() -> None:
    copied = slot(seconds_inactive=7200.0, is_synced=True)
    assert state(copied, standby=True) is Kind.OK
    assert state(copied) is Severity.WARNING  # after a promotion it is a slot like any other


def test_temporary_slots_end_with_their_session() -> None:
    assert state(slot(is_temporary=True)) is Kind.NOT_APPLICABLE


# --- disconnected ---------------------------------------------------------------------------------

FED = [setting("primary_conninfo", "<withheld>"), setting("wal_receiver_timeout", "60000", "ms")]
EQUAL = [row(Recovery, received_position=100, replayed_position=100)]


def link(*receivers: Receiver, settings: list[Setting] | None = None) -> Kind:
    view = picture(
        of=STANDBY,
        settings=FED if settings is None else settings,
        receiver=list(receivers),
        recovery=EQUAL,
    )
    return verdict(standby_disconnected, view).kind


def receiver(**given: Any) -> Receiver:
    values: dict[str, Any] = {"status": "streaming", "is_visible": True}
    return row(Receiver, **(values | given))


def test_equal_positions_do_not_hide_a_missing_receiver() -> None:
    assert link() is Kind.FINDING


def test_a_streaming_receiver_is_fine_and_a_silent_one_not() -> None:
    assert link(receiver(seconds_since_message=1.0)) is Kind.OK
    assert link(receiver(seconds_since_message=300.0)) is Kind.FINDING
    assert link(receiver(status="waiting")) is Kind.FINDING


def test_hidden_receivers_are_unknown_and_archives_need_none() -> None:
    assert link(row(Receiver)) is Kind.UNKNOWN
    assert link(settings=[]) is Kind.UNKNOWN
    assert link(settings=[setting("primary_conninfo", "")]) is Kind.NOT_APPLICABLE


def synchronous(names: str, *states: tuple[str, str]) -> Kind:
    standbys = [
        row(Standby, application=f"s{n}", sync_state=sync, state=doing, is_visible=True)
        for n, (sync, doing) in enumerate(states)
    ]
    names_set = [setting("synchronous_standby_names", names)]
    return verdict(standby_disconnected, picture(settings=names_set, standbys=standbys)).kind


def test_a_primary_that_waits_for_standbys_needs_as_many() -> None:
    assert synchronous("") is Kind.NOT_APPLICABLE
    assert synchronous("s0") is Kind.FINDING
    assert synchronous("s0", ("sync", "streaming")) is Kind.OK
    assert synchronous("s0", ("sync", "catchup")) is Kind.FINDING
    assert synchronous("ANY 2 (s0, s1, s2)", ("quorum", "streaming")) is Kind.FINDING
    assert synchronous("2 (s0, s1)", *[("sync", "streaming")] * 2) is Kind.OK


# --- lag ------------------------------------------------------------------------------------------


def test_lag_is_bytes_and_never_the_age_of_the_last_commit() -> None:
    idle = row(
        Recovery,
        is_paused=False,
        received_position=100,
        replayed_position=100,
        seconds_since_replayed_commit=9e5,
    )
    assert verdict(standby_lag, picture(of=STANDBY, recovery=[idle])).kind is Kind.OK
    behind = row(Recovery, is_paused=False, received_position=900 * MB, replayed_position=0)
    assert verdict(standby_lag, picture(of=STANDBY, recovery=[behind])).kind is Kind.FINDING
    paused = row(Recovery, is_paused=True, received_position=1, replayed_position=1)
    assert verdict(standby_lag, picture(of=STANDBY, recovery=[paused])).kind is Kind.FINDING


def test_the_standbys_of_a_primary() -> None:
    near = row(Standby, application="a", is_visible=True, replay_behind_bytes=1000)
    far = row(Standby, application="b", is_visible=True, replay_behind_bytes=900 * MB)
    slow = row(Standby, application="c", is_visible=True, replay_lag_seconds=120.0)
    result = verdict(standby_lag, picture(standbys=[near, far, slow]))
    assert {finding.object for finding in result.findings} == {"b", "c"}
    assert verdict(standby_lag, picture(standbys=[row(Standby)])).kind is Kind.UNKNOWN
    assert verdict(standby_lag, picture()).kind is Kind.NOT_APPLICABLE
