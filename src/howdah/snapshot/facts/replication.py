"""Who receives the WAL, who keeps it, and what a standby knows of itself.

Owns the shapes of replication rows. Distances are in bytes of WAL, ages in transactions.
"""

from __future__ import annotations

from howdah.snapshot.facts.catalog import Row


class ReplicationSlot(Row, frozen=True, kw_only=True):
    """One replication slot."""

    name: str
    kind: str  # physical, logical
    plugin: str | None
    database: str | None
    is_temporary: bool
    is_active: bool
    xmin_age: int | None
    catalog_xmin_age: int | None
    retained_bytes: int | None  # WAL from restart_lsn to now
    unconfirmed_bytes: int | None  # WAL from confirmed_flush_lsn to now
    wal_status: str | None  # reserved, extended, unreserved, lost
    safe_bytes: int | None  # safe_wal_size
    conflicting: bool | None  # 16 and later
    seconds_inactive: float | None  # 17 and later
    invalidation_reason: str | None  # 17 and later
    is_synced: bool | None  # 17 and later: copied from the primary, inactive by design
    is_failover: bool | None


class Standby(Row, frozen=True, kw_only=True):
    """One receiver of WAL that is connected to this server."""

    pid: int
    application: str
    client: str | None
    state: str | None
    sync_state: str | None
    xmin_age: int | None  # hot_standby_feedback without a slot
    sent_behind_bytes: int | None
    replay_behind_bytes: int | None
    replay_lag_seconds: float | None
    is_visible: bool


class Receiver(Row, frozen=True, kw_only=True):
    """The WAL receiver of this server, where it is a standby."""

    status: str | None
    seconds_since_message: float | None
    slot: str | None
    is_visible: bool


class Recovery(Row, frozen=True, kw_only=True):
    """How far this standby is."""

    is_paused: bool | None
    received_position: int | None
    replayed_position: int | None
    seconds_since_replayed_commit: float | None


class ArchiveQueue(Row, frozen=True, kw_only=True):
    """WAL segments that wait for the archiver."""

    ready: int
