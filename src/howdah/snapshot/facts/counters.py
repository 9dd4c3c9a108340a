"""What the cumulative statistics count, and since when.

Owns the shapes of counter rows. Times of the server are ISO 8601 strings with an offset, so that a
snapshot reads the same everywhere; `howdah.snapshot.window` turns them into windows.
"""

from __future__ import annotations

from howdah.snapshot.facts.catalog import Row


class TableStatistics(Row, frozen=True, kw_only=True):
    """Counters of one table since the window began."""

    relation: int
    sequential_scans: int
    sequential_rows: int
    index_scans: int
    index_rows: int
    inserted: int
    updated: int
    deleted: int
    hot_updated: int
    new_page_updated: int | None  # 16 and later
    live: int
    dead: int
    modified_since_analyze: int
    inserted_since_vacuum: int
    last_vacuum: str | None
    last_autovacuum: str | None
    last_analyze: str | None
    last_autoanalyze: str | None
    vacuums: int
    autovacuums: int
    analyzes: int
    autoanalyzes: int


class IndexStatistics(Row, frozen=True, kw_only=True):
    """Counters of one index since the window began."""

    index: int
    scans: int
    entries_read: int  # idx_tup_read: entries returned by the index
    rows_fetched: int  # idx_tup_fetch: live rows fetched by plain index scans
    last_scan: str | None  # 16 and later


class Statement(Row, frozen=True, kw_only=True):
    """One entry of pg_stat_statements of the current database; the text is normalised by us too."""

    query_id: int
    text: str
    role: str
    calls: int
    total_milliseconds: float
    rows: int
    blocks_hit: int
    blocks_read: int
    temp_blocks_read: int
    temp_blocks_written: int
    wal_records: int
    wal_full_page_images: int
    wal_bytes: int


class Slru(Row, frozen=True, kw_only=True):
    """One SLRU cache, under its name since 17."""

    name: str
    blocks_zeroed: int
    blocks_hit: int
    blocks_read: int
    blocks_written: int
    stats_reset: str | None


class Checkpoints(Row, frozen=True, kw_only=True):
    """Checkpoints since the reset; the same meaning before and after the split of 17."""

    timed: int
    requested: int
    write_milliseconds: float
    sync_milliseconds: float
    buffers_written: int
    stats_reset: str | None


class Wal(Row, frozen=True, kw_only=True):
    """WAL written since the reset."""

    records: int
    full_page_images: int
    bytes: int
    buffers_full: int
    stats_reset: str | None


class Archiver(Row, frozen=True, kw_only=True):
    """The archiver's successes and failures."""

    archived: int
    last_archived_wal: str | None
    last_archived_time: str | None
    failed: int
    last_failed_wal: str | None
    last_failed_time: str | None
    stats_reset: str | None


class CounterSample(Row, frozen=True, kw_only=True):
    """Counters that rates are made of; a snapshot holds two samples, seconds apart."""

    at: str
    next_xid: int  # 64 bits: epoch included
    wal_position: int | None  # bytes; None on a standby
    commits: int
    rollbacks: int
    active_milliseconds: float
    sessions: int
    temp_bytes: int
    member_pages_zeroed: int | None  # SLRU multixact_member; 1,636 members to a page
    active_sessions: int | None  # None where the role may not see other sessions


class TableSample(Row, frozen=True, kw_only=True):
    """Counters of one busy table in the second sample; the first is in `TableStatistics`."""

    relation: int
    inserted: int
    updated: int
    deleted: int
