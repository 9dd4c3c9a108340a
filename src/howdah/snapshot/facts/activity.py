"""Who is doing what right now: sessions, waits, locks, progress.

Owns the shapes of activity rows. Statement texts have their literals blanked by the collector.
Wait names use the spelling of 17 and later on every server. `xmin_age` is in transactions.
"""

from __future__ import annotations

from howdah.snapshot.facts.catalog import Row


class Session(Row, frozen=True, kw_only=True):
    """One backend. `is_visible` False: the role may not see its state, which is not idleness."""

    pid: int
    leader_pid: int | None
    database: str | None
    role: str | None
    application: str
    client: str | None
    backend_type: str | None
    is_visible: bool
    state: str | None
    wait_type: str | None
    wait_event: str | None
    xid_age: int | None
    xmin_age: int | None
    seconds_connected: float | None
    seconds_in_transaction: float | None
    seconds_in_query: float | None
    seconds_in_state: float | None
    query_id: int | None
    query: str | None  # literals blanked
    is_own: bool  # the collector's own session


class Lock(Row, frozen=True, kw_only=True):
    """One lock of a session that waits or blocks."""

    pid: int
    kind: str  # relation, transactionid, tuple, virtualxid, advisory, ...
    relation: str | None  # schema-qualified where it is of this database
    relation_oid: int | None
    mode: str
    is_granted: bool
    is_fast_path: bool
    seconds_waiting: float | None


class Blocking(Row, frozen=True, kw_only=True):
    """A waiting session and those it waits for, as `pg_blocking_pids` tells."""

    pid: int
    blockers: tuple[int, ...]


class LockCount(Row, frozen=True, kw_only=True):
    """How many locks are held, by kind."""

    mode: str
    is_granted: bool
    is_fast_path: bool
    count: int


class PreparedTransaction(Row, frozen=True, kw_only=True):
    """One two-phase transaction that waits for its second phase."""

    gid: str
    database: str
    role: str
    xid_age: int
    seconds_prepared: float


class VacuumProgress(Row, frozen=True, kw_only=True):
    """One VACUUM at work, on any database of the server."""

    pid: int
    database: str
    relation_oid: int
    relation: str | None  # None where it is of another database
    phase: str
    heap_blocks_total: int
    heap_blocks_scanned: int
    index_vacuum_count: int
    is_autovacuum: bool | None  # None: not visible to the role
    is_anti_wraparound: bool | None
    seconds_running: float | None


class IndexBuild(Row, frozen=True, kw_only=True):
    """One CREATE INDEX or REINDEX at work."""

    pid: int
    relation_oid: int
    index_oid: int
    command: str
    phase: str


class WaitSample(Row, frozen=True, kw_only=True):
    """How many sessions were found in one state at one tick of the sampler.

    `wait_type` '' and `wait_event` '' mean running on a processor, or not instrumented.
    """

    tick: int
    at_seconds: float  # since the first tick
    wait_type: str
    wait_event: str
    sessions: int
