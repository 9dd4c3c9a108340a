"""Why sessions wait: the likely cause of a wait event, if the snapshot holds the proof of it.

Owns, per wait, the evidence that must be there before a cause is named. A wait whose evidence is
missing has no cause here; nothing is concluded from the name of a wait alone. Names are those of 17
and later; SLRU waits go by both of their names (`...SLRU` waits for the lock, `...Buffer` for I/O).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from howdah.check.knowledge.texts import statement_name
from howdah.snapshot.facts.counters import CounterSample
from howdah.snapshot.picture import PAGE_BYTES, Picture

_READ_SHARE = 0.5  # of all SLRU reads: this cache is the one that misses
_COMMITS_PER_SECOND = 500.0  # above, the rate alone explains waits for the WAL
_SLOW_COMMITS_PER_SECOND = 100.0  # below, each flush must be slow for sessions to queue
_SNAPSHOT_SESSIONS = 50.0  # mean active sessions; fewer do not contend for snapshots
_MISS_SHARE = 0.10  # of block requests that were not in shared_buffers
_IMAGE_SHARE = 0.30  # of WAL records that are full-page images
_SAVEPOINTS = 10_000  # fewer are some tool's, this one's included
_MAIN_LOCK_SHARE = 0.5  # of relation locks taken outside the fast path
_MAIN_LOCKS = 100


@dataclass(frozen=True)
class Cause:
    """A cause in words, with the evidence that it was demanded to show, and what helps."""

    text: str
    evidence: Mapping[str, Any]
    advice: str


def cause(picture: Picture, kind: str, event: str) -> Cause | None:
    """The likely cause of this wait, or None where its evidence is not in the snapshot."""
    find = _CAUSES.get((kind, event)) or _CAUSES.get((kind, "*"))
    return find(picture, event) if find else None


def _slru_share(picture: Picture, *names: str) -> tuple[int, float]:
    """Blocks read by these SLRU caches, and their share of what all of them read."""
    rows = picture.snapshot.slrus.rows
    read = sum(row.blocks_read for row in rows if row.name in names)
    every = sum(row.blocks_read for row in rows)
    return read, read / every if every else 0.0


def _multixact(picture: Picture, _: str) -> Cause | None:
    read, share = _slru_share(picture, "multixact_member", "multixact_offset")
    if share < _READ_SHARE:
        return None
    return Cause(
        "rows that several transactions lock at once (FOR SHARE, foreign keys to a busy parent)",
        {"multixact_blocks_read": read, "share_of_slru_reads": round(share, 2)},
        "fewer concurrent children per parent row, VACUUM (FREEZE) of the parents; "
        "multixact_member_buffers from 17 on",
    )


def _subtransactions(picture: Picture, _: str) -> Cause | None:
    read, _share = _slru_share(picture, "subtransaction")
    rows = picture.snapshot.statements.rows
    saved = sum(row.calls for row in rows if row.text.upper().startswith("SAVEPOINT"))
    if not read or saved < _SAVEPOINTS:
        return None
    return Cause(
        "transactions with more than 64 subtransactions beside a long one",
        {"subtransaction_blocks_read": read, "savepoints": saved},
        "fewer savepoints (and PL/pgSQL EXCEPTION blocks) per transaction, no long transactions",
    )


def _transactions(picture: Picture, _: str) -> Cause | None:
    read, share = _slru_share(picture, "transaction")
    if share < _READ_SHARE:
        return None
    return Cause(
        "the fate of old transactions is looked up, because rows carry no hint bits yet",
        {"transaction_blocks_read": read, "share_of_slru_reads": round(share, 2)},
        "VACUUM after bulk loads; transaction_buffers from 17 on",
    )


def samples(picture: Picture) -> tuple[CounterSample, CounterSample, float] | None:
    """The two counter samples and the seconds between them."""
    rows = picture.snapshot.counter_samples.rows
    if len(rows) < 2:
        return None
    apart = datetime.fromisoformat(rows[-1].at) - datetime.fromisoformat(rows[0].at)
    seconds = apart.total_seconds()
    return (rows[0], rows[-1], seconds) if seconds > 0 else None


def active_sessions(picture: Picture) -> float | None:
    """Mean active sessions between the two counter samples, of this database."""
    pair = samples(picture)
    if pair is None:
        return None
    first, last, seconds = pair
    return max(0.0, last.active_milliseconds - first.active_milliseconds) / 1000 / seconds


def _snapshots(picture: Picture, _: str) -> Cause | None:
    active = active_sessions(picture)
    if active is None or active < _SNAPSHOT_SESSIONS:
        return None
    return Cause(
        "many active sessions take snapshots at once",
        {"mean_active_sessions": round(active, 1)},
        "a connection pool that lets fewer sessions work at a time",
    )


def _flush(picture: Picture, _: str) -> Cause | None:
    pair = samples(picture)
    if pair is None or picture.setting_on("synchronous_commit") is False:
        return None
    first, last, seconds = pair
    rate = (last.commits - first.commits) / seconds
    evidence = {"commits_per_second": round(rate, 1)}
    if rate >= _COMMITS_PER_SECOND:
        advice = "more work per transaction, commit_delay, a faster device for pg_wal"
        return Cause("many commits per second, each flushing the WAL", evidence, advice)
    if 0 < rate < _SLOW_COMMITS_PER_SECOND:
        advice = "look at the latency of the device under pg_wal (pg_test_fsync)"
        return Cause("slow flushes: few commits, and sessions still wait", evidence, advice)
    return None


def _inserting(picture: Picture, _: str) -> Cause | None:
    wal = next(iter(picture.snapshot.wal.rows), None)
    checkpoints = next(iter(picture.snapshot.checkpoints.rows), None)
    if wal is None or checkpoints is None or not wal.records:
        return None
    images = wal.full_page_images / wal.records
    if images < _IMAGE_SHARE or checkpoints.requested <= checkpoints.timed:
        return None
    return Cause(
        "full-page images after checkpoints that come too often",
        {"images_per_record": round(images, 2), "checkpoints_requested": checkpoints.requested},
        "a larger max_wal_size, wal_compression, ordered keys instead of random ones",
    )


def _hot_page(picture: Picture, event: str) -> Cause | None:
    waiting = [row for row in picture.snapshot.sessions.rows if row.wait_event == event]
    texts = [row.query for row in waiting if row.query]
    hottest = max(set(texts), key=lambda text: (texts.count(text), text), default="")
    if texts.count(hottest) < 2:
        return None
    return Cause(
        "one statement of several sessions meets on the same pages",
        {"sessions_in_this_wait": texts.count(hottest), "statement": hottest},
        "spread the writes: another key order, fewer workers on the same rows, partitions by hash",
    )


def _lock_manager(picture: Picture, _: str) -> Cause | None:
    weak = [
        row
        for row in picture.snapshot.lock_counts.rows
        if row.mode in ("AccessShareLock", "RowShareLock", "RowExclusiveLock")
    ]
    main = sum(row.count for row in weak if not row.is_fast_path)
    every = sum(row.count for row in weak)
    if main < _MAIN_LOCKS or main < _MAIN_LOCK_SHARE * every:
        return None
    return Cause(
        "statements lock more relations than the fast path has room for (16 before 18)",
        {"weak_locks_outside_fast_path": main, "weak_locks": every},
        "prune partitions by their key, drop useless indexes, prepared statements; 18 has more "
        "room with max_locks_per_transaction",
    )


def _row_locks(picture: Picture, _: str) -> Cause | None:
    waiting = picture.snapshot.blocking.rows
    if not waiting:
        return None
    roots = {blocker for row in waiting for blocker in row.blockers} - {r.pid for r in waiting}
    return Cause(
        "sessions wait for rows or relations that others hold locked",
        {"waiting_sessions": len(waiting), "blockers_at_the_root": len(roots)},
        "see the rule blocking-tree for who holds them",
    )


def _reads(picture: Picture, _: str) -> Cause | None:
    row = picture.current_database
    if row is None or not row.blocks_read + row.blocks_hit:
        return None
    missed = row.blocks_read / (row.blocks_read + row.blocks_hit)
    if missed < _MISS_SHARE:
        return None
    top = max(picture.snapshot.statements.rows, key=lambda s: s.blocks_read, default=None)
    return Cause(
        "the working set does not fit in shared_buffers",
        {
            "share_of_block_requests_missed": round(missed, 3),
            "statement_reading_most": statement_name(top.text) if top else None,
        },
        "an index for the statement that reads most; then memory",
    )


def _spilling(picture: Picture, _: str) -> Cause | None:
    top = max(picture.snapshot.statements.rows, key=lambda s: s.temp_blocks_written, default=None)
    if top is None or not top.temp_blocks_written:
        return None
    return Cause(
        "sorts and hashes that spill to temporary files",
        {
            "statement_spilling_most": statement_name(top.text),
            "bytes_spilled": top.temp_blocks_written * PAGE_BYTES,
        },
        "see the rule spills",
    )


def _vacuum_delay(picture: Picture, _: str) -> Cause | None:
    running = picture.snapshot.vacuum_progress.rows
    if not running:
        return None
    return Cause(
        "vacuum sleeps between its reads, as its cost settings tell it",
        {"vacuums": len(running), "delay": picture.setting("autovacuum_vacuum_cost_delay")},
        "nothing, unless dead rows pile up; then a higher autovacuum_vacuum_cost_limit",
    )


def _synchronous(picture: Picture, _: str) -> Cause | None:
    waited = [row for row in picture.snapshot.standbys.rows if row.sync_state in ("sync", "quorum")]
    if not waited and not picture.setting("synchronous_standby_names"):
        return None
    return Cause(
        "commits wait for synchronous standbys",
        {
            "synchronous_standbys": [row.application for row in waited],
            "synchronous_standby_names": picture.setting("synchronous_standby_names"),
        },
        "see the rules standby-disconnected and standby-lag",
    )


_Find = Callable[[Picture, str], Cause | None]
_CAUSES: Mapping[tuple[str, str], _Find] = {
    **{
        ("LWLock", f"{cache}{form}"): find
        for cache, find in (
            ("MultiXactMember", _multixact),
            ("MultiXactOffset", _multixact),
            ("Subtrans", _subtransactions),
            ("Xact", _transactions),
        )
        for form in ("SLRU", "Buffer")
    },
    ("IO", "SlruRead"): _multixact,
    ("LWLock", "ProcArray"): _snapshots,
    ("IPC", "ProcarrayGroupUpdate"): _snapshots,
    ("LWLock", "WALWrite"): _flush,
    ("IO", "WalSync"): _flush,
    ("IO", "WalWrite"): _flush,
    ("LWLock", "WALInsert"): _inserting,
    ("LWLock", "BufferContent"): _hot_page,
    ("Buffer", "*"): _hot_page,
    ("LWLock", "LockManager"): _lock_manager,
    ("LWLock", "LockFastPath"): _lock_manager,
    ("Lock", "*"): _row_locks,
    ("IO", "DataFileRead"): _reads,
    ("IO", "BuffileRead"): _spilling,
    ("IO", "BuffileWrite"): _spilling,
    ("Timeout", "VacuumDelay"): _vacuum_delay,
    ("IPC", "SyncRep"): _synchronous,
}
