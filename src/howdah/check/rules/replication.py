"""Slots that keep WAL, standbys that are gone or behind.

Owns the rules on replication slots and standbys. Publications have their own module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from howdah.check import harm, remedies
from howdah.check.knowledge.amounts import duration, size
from howdah.check.knowledge.composing import composed, literal
from howdah.check.knowledge.wait_causes import samples
from howdah.check.model import Answers, Confidence, Examination, Finding, Remedy, Severity, rule
from howdah.snapshot.facts.replication import ReplicationSlot, Standby
from howdah.snapshot.picture import Picture

_MEGABYTE = 1024 * 1024
_LIMIT_SHARE = 0.5  # of max_slot_wal_keep_size
_WARNING_HOURS = 24.0  # until the limit
_IDLE_SECONDS = 3600.0  # a consumer that is away for an hour is not being restarted
_MESSAGE_SECONDS = 60.0  # wal_receiver_timeout's default
_LAG_BYTES = 256 * _MEGABYTE
_LAG_SECONDS = 60.0
_SYNC_COUNT = re.compile(r"^\s*(?:(?:FIRST|ANY)\s+)?(\d+)\s*\(", re.IGNORECASE)


def wal_per_hour(picture: Picture) -> float | None:
    """Bytes of WAL an hour: between the two samples, else over the window; None on a standby."""
    pair = samples(picture)
    if pair is not None:
        first, last, seconds = pair
        if first.wal_position is not None and last.wal_position is not None:
            now = (last.wal_position - first.wal_position) * 3600 / seconds
            return max(now, _mean_wal(picture) or 0.0)
    return _mean_wal(picture)


def _mean_wal(picture: Picture) -> float | None:
    wal = next(iter(picture.snapshot.wal.rows), None)
    return picture.per_hour(wal.bytes) if wal and wal.bytes else None


def _drop(slot: ReplicationSlot) -> Remedy:
    call = "SELECT pg_catalog.pg_drop_replication_slot({s})"
    return remedies.manual(
        "drop-slot",
        {"slot": slot.name},
        (composed(call, s=literal(slot.name)),),
        "only if its consumer is gone for good: it must be built anew afterwards",
    )


def _slot_evidence(slot: ReplicationSlot) -> dict[str, Any]:
    return {
        "slot": slot.name,
        "kind": slot.kind,
        "plugin": slot.plugin,
        "database": slot.database,
        "is_active": slot.is_active,
        "wal_status": slot.wal_status,
        "retained_bytes": slot.retained_bytes,
        "safe_bytes": slot.safe_bytes,
        "seconds_inactive": slot.seconds_inactive,
        "invalidation_reason": slot.invalidation_reason,
        "conflicting": slot.conflicting,
    }


def _is_lost(slot: ReplicationSlot) -> bool:
    return slot.wal_status == "lost" or bool(slot.invalidation_reason or slot.conflicting)


# --- retention ------------------------------------------------------------------------------------


@rule(
    id="slot-retention",
    title="Slot that keeps much WAL",
    severity=Severity.CRITICAL,
    objects="replication slots",
    needs=("slots", "settings"),
    what="A slot that keeps more WAL than max_wal_size and wal_keep_size would, or half of "
    "max_slot_wal_keep_size; with the time until that limit at the present rate of WAL.",
    why="Without a limit the disk fills and the server stops. With one, the slot is lost at the "
    "limit and its consumer must be built anew.",
    wrong_when="A consumer that is catching up keeps much for a while: compare two snapshots. How "
    "much room the disk has is not visible by SQL.",
    source="PostgreSQL documentation, pg_replication_slots and max_slot_wal_keep_size",
)
def slot_retention(picture: Picture, _: Answers) -> Examination:
    """Slots by the WAL they keep."""
    slots = [row for row in picture.snapshot.slots.rows if not _is_lost(row)]
    if picture.snapshot.slots.rows and not slots:
        return Examination(not_applicable="every slot is lost already")
    known = [row for row in slots if row.retained_bytes is not None or row.wal_status is None]
    findings = tuple(found for row in known if (found := _keeps(picture, row)))
    return Examination(
        examined=len(known), of=len(slots), unknown="a slot shows no position", findings=findings
    )


def _limit(picture: Picture) -> float | None:
    limit = picture.setting_number("max_slot_wal_keep_size")
    return None if limit is None or limit < 0 else limit


def _keeps(picture: Picture, slot: ReplicationSlot) -> Finding | None:
    kept, limit = slot.retained_bytes or 0, _limit(picture)
    rate = wal_per_hour(picture)
    if limit is None:
        sizes = [picture.setting_number(name) for name in ("max_wal_size", "wal_keep_size")]
        if kept <= max((size for size in sizes if size), default=float("inf")):
            return None
        return _retaining(picture, slot, None, rate)
    room = slot.safe_bytes if slot.safe_bytes is not None else limit - kept
    # a slot in use follows the WAL; only one that stands still comes nearer to its limit
    hours = room / rate if rate and not slot.is_active else None
    soon = hours is not None and hours < _WARNING_HOURS and kept > _MEGABYTE
    if slot.wal_status == "unreserved" or kept >= _LIMIT_SHARE * limit or soon:
        return _retaining(picture, slot, hours, rate)
    return None


def _retaining(
    picture: Picture, slot: ReplicationSlot, hours: float | None, rate: float | None
) -> Finding:
    kept, limit = slot.retained_bytes or 0, _limit(picture)
    if limit is None:
        end = "no limit is set, so it grows until the disk is full"
    elif slot.wal_status == "unreserved":
        end = "it is over its limit and is lost at the next checkpoint"
    elif hours is not None:
        end = f"it is lost in {duration(max(0.0, hours) * 3600)} at this rate"
    else:
        end = f"it is lost at {size(limit)}"
    urgent = (
        slot.wal_status == "unreserved"
        or (hours is not None and hours < 1)
        or (limit is None and not slot.is_active)
    )
    return Finding(
        rule="slot-retention",
        object=slot.name,
        severity=Severity.CRITICAL if urgent else Severity.WARNING,
        claim=f"Slot {slot.name} keeps {size(kept)} of WAL; {end}.",
        evidence=(
            {
                **_slot_evidence(slot),
                "limit_bytes": limit,
                "wal_bytes_per_hour": rate,
                "hours_left": hours,
            },
        ),
        confidence=Confidence.PROVEN,
        refuted_by="retained WAL that shrinks in the next snapshot",
        cost_if_wrong="a consumer that must be built anew, if its slot is dropped",
        harm=harm.outage(hours, share=0.5 if limit is not None else 1.0),
        remedies=(
            _drop(slot),
            remedies.manual(
                "limit-slots",
                {"setting": "max_slot_wal_keep_size"},
                ("ALTER SYSTEM SET max_slot_wal_keep_size = '...'",),
                "bounds what slots keep, at the price of losing a slot that falls behind",
            ),
        ),
        window=picture.window,
    )


# --- invalid or idle ------------------------------------------------------------------------------


@rule(
    id="slot-invalid-or-idle",
    title="Slot that is lost or that nobody uses",
    severity=Severity.WARNING,
    objects="replication slots",
    needs=("slots",),
    what="A slot that the server has invalidated; or one that nobody has read from for an hour "
    "(before 17: one that nobody reads from now).",
    why="The consumer of a lost slot gets nothing any more and may not know it. An idle slot keeps "
    "WAL, and a logical one keeps dead rows of the catalogs.",
    wrong_when="Before 17 the server does not say since when a slot is idle; a consumer may be "
    "reconnecting, so it is a notice. Slots that a standby copies from its primary are idle by "
    "design and are not reported.",
    source="PostgreSQL documentation, pg_replication_slots",
)
def slot_invalid_or_idle(picture: Picture, _: Answers) -> Examination:
    """Slots by their state; temporary ones end with their session."""
    slots = [row for row in picture.snapshot.slots.rows if not row.is_temporary]
    findings = tuple(found for row in slots if (found := _useless(picture, row)))
    return Examination(examined=len(slots), of=len(slots), findings=findings)


def _useless(picture: Picture, slot: ReplicationSlot) -> Finding | None:
    if _is_lost(slot):
        reason = slot.invalidation_reason or ("conflict" if slot.conflicting else "WAL removed")
        claim = f"Slot {slot.name} is lost ({reason}): its consumer must be built anew."
        return _slot_finding(slot, Severity.WARNING, claim)
    if slot.is_active or (slot.is_synced and picture.server.in_recovery):
        return None
    if slot.seconds_inactive is None:
        return _slot_finding(slot, Severity.NOTICE, f"Slot {slot.name} has no reader now.")
    if slot.seconds_inactive < _IDLE_SECONDS:
        return None
    idle = duration(slot.seconds_inactive)
    return _slot_finding(slot, Severity.WARNING, f"Slot {slot.name} has had no reader for {idle}.")


def _slot_finding(slot: ReplicationSlot, severity: Severity, claim: str) -> Finding:
    ages = {"xmin_age": slot.xmin_age, "catalog_xmin_age": slot.catalog_xmin_age}
    return Finding(
        rule="slot-invalid-or-idle",
        object=slot.name,
        severity=severity,
        claim=claim,
        evidence=({**_slot_evidence(slot), **ages},),
        confidence=Confidence.PROVEN,
        refuted_by="active = true in pg_replication_slots",
        cost_if_wrong="a consumer that must be built anew, if its slot is dropped",
        harm=harm.held((slot.retained_bytes or 0) / 8192),
        remedies=(_drop(slot),),
    )


# --- disconnected ---------------------------------------------------------------------------------


@rule(
    id="standby-disconnected",
    title="Standby without its primary, or commits without their standby",
    severity=Severity.CRITICAL,
    objects="replication links",
    needs=("settings", "receiver", "recovery", "standbys"),
    what="A standby that receives nothing; on a primary, fewer synchronous standbys than "
    "synchronous_standby_names demands.",
    why="A standby without a receiver falls behind while received and replayed positions stay "
    "equal, which many tools show as no lag. A primary that lacks its synchronous standbys lets "
    "every commit wait.",
    wrong_when="A standby that restores from an archive alone has no receiver by design; it is "
    "recognised by an empty primary_conninfo. A receiver may be reconnecting.",
    source="PostgreSQL documentation, pg_stat_wal_receiver and synchronous_standby_names",
)
def standby_disconnected(picture: Picture, _: Answers) -> Examination:
    """The link of this server to its primary, or to the standbys it must wait for."""
    return _as_standby(picture) if picture.server.in_recovery else _as_primary(picture)


def _as_standby(picture: Picture) -> Examination:
    source = picture.setting("primary_conninfo")
    if source == "":
        return Examination(not_applicable="this standby restores from an archive: no receiver")
    row = next(iter(picture.snapshot.receiver.rows), None)
    if row is not None and not row.is_visible:
        return Examination(of=1, unknown=f"the receiver is hidden from {picture.server.role}")
    if row is None and source is None:
        reason = f"whether it has a primary is hidden from {picture.server.role}"
        return Examination(of=1, unknown=reason)
    quiet = row.seconds_since_message if row else None
    timeout = picture.setting_number("wal_receiver_timeout") or _MESSAGE_SECONDS
    if row is None:
        claim = "This standby has no WAL receiver: it gets nothing from its primary."
    elif row.status != "streaming":
        claim = f"The WAL receiver is {row.status}, not streaming."
    elif quiet is not None and quiet > timeout:
        claim = f"The WAL receiver has heard nothing for {duration(quiet)}."
    else:
        return Examination(examined=1, of=1)
    recovery = next(iter(picture.snapshot.recovery.rows), None)
    evidence = {
        "receiver_status": row.status if row else None,
        "seconds_since_message": quiet,
        "received_position": recovery.received_position if recovery else None,
        "replayed_position": recovery.replayed_position if recovery else None,
        "seconds_since_replayed_commit": recovery.seconds_since_replayed_commit
        if recovery
        else None,
    }
    found = _link("this standby", Severity.CRITICAL, claim, evidence)
    return Examination(examined=1, of=1, findings=(found,))


def _as_primary(picture: Picture) -> Examination:
    names = picture.setting("synchronous_standby_names")
    if names is None:
        return Examination(of=1, unknown="synchronous_standby_names is not known")
    if not names:
        return Examination(not_applicable="no commit waits for a standby of this primary")
    rows = picture.snapshot.standbys.rows
    if any(not row.is_visible for row in rows):
        return Examination(of=1, unknown=f"standbys are hidden from {picture.server.role}")
    count = _SYNC_COUNT.match(names)
    wanted = int(count[1]) if count else 1
    there = [
        row.application
        for row in rows
        if row.sync_state in ("sync", "quorum") and row.state == "streaming"
    ]
    if len(there) >= wanted:
        return Examination(examined=1, of=1)
    claim = f"{len(there)} of {wanted} synchronous standbys connected: commits wait."
    evidence = {
        "synchronous_standby_names": names,
        "connected": [row.application for row in rows],
        "synchronous": there,
        "synchronous_commit": picture.setting("synchronous_commit"),
    }
    found = _link("synchronous standbys", Severity.CRITICAL, claim, evidence)
    return Examination(examined=1, of=1, findings=(found,))


def _link(title: str, severity: Severity, claim: str, evidence: Mapping[str, Any]) -> Finding:
    return Finding(
        rule="standby-disconnected",
        object=title,
        severity=severity,
        claim=claim,
        evidence=(evidence,),
        confidence=Confidence.PROVEN,
        refuted_by="a receiver in state streaming with a recent message, in the next snapshot",
        cost_if_wrong="one look at the server's log",
        harm=harm.outage(1.0, share=0.5),
        remedies=(
            remedies.manual(
                "reconnect",
                {},
                ("SELECT * FROM pg_catalog.pg_stat_wal_receiver",),
                "the logs of both servers tell why: address, password, a removed slot, or WAL "
                "that the primary no longer has",
            ),
        ),
    )


# --- lag ------------------------------------------------------------------------------------------


@rule(
    id="standby-lag",
    title="Standby that is behind",
    severity=Severity.WARNING,
    objects="standbys",
    needs=("standbys", "recovery"),
    what="A standby that is 256 MB or a minute behind; on the standby itself, WAL that is received "
    "and not replayed, or a paused replay.",
    why="Readers see old data, and a failover loses time or commits.",
    wrong_when="The time since the last replayed commit is not lag where the primary is idle; it "
    "is not used. A standby may be delayed on purpose (recovery_min_apply_delay).",
    source="PostgreSQL documentation, pg_stat_replication and 'Monitoring' of log shipping",
)
def standby_lag(picture: Picture, _: Answers) -> Examination:
    """Standbys connected to this server, and this server's own replay."""
    rows = [row for row in picture.snapshot.standbys.rows if row.is_visible]
    findings = [found for row in rows if (found := _lagging(row))]
    own = list(picture.snapshot.recovery.rows)
    for recovery in own:
        received, replayed = recovery.received_position, recovery.replayed_position
        behind = 0 if received is None or replayed is None else received - replayed
        if recovery.is_paused or behind >= _LAG_BYTES:
            what = "is paused" if recovery.is_paused else "is behind"
            claim = f"Replay {what}: {size(max(0, behind))} of WAL is received and not applied."
            findings.append(_behind("this standby", claim, {"bytes_behind": behind}, behind))
    return Examination(
        examined=len(rows) + len(own),
        of=len(picture.snapshot.standbys.rows) + len(own),
        unknown=f"some standbys are hidden from {picture.server.role}",
        findings=tuple(findings),
    )


def _lagging(row: Standby) -> Finding | None:
    behind, seconds = row.replay_behind_bytes or 0, row.replay_lag_seconds or 0.0
    if behind < _LAG_BYTES and seconds < _LAG_SECONDS:
        return None
    title = row.application or row.client or "standby"
    late = f" and {duration(seconds)}" if seconds else ""
    claim = f"{title} is {size(behind)}{late} behind."
    evidence = {
        "standby": title,
        "state": row.state,
        "bytes_behind": behind,
        "bytes_not_sent": row.sent_behind_bytes,
        "seconds_behind": seconds,
    }
    return _behind(title, claim, evidence, behind)


def _behind(title: str, claim: str, evidence: Mapping[str, Any], behind: int) -> Finding:
    return Finding(
        rule="standby-lag",
        object=title,
        severity=Severity.WARNING,
        claim=claim,
        evidence=(evidence,),
        confidence=Confidence.PROVEN,
        refuted_by="positions that are equal in the next snapshot",
        cost_if_wrong="one look at the standby",
        harm=harm.held(behind / 8192),
        remedies=(
            remedies.manual(
                "help-standby",
                {},
                ("SELECT pg_catalog.pg_wal_replay_resume()",),
                "not sent: the network or the slot; sent and not replayed: long queries on the "
                "standby, a slow disk, or a paused replay, which this call resumes",
            ),
        ),
    )
