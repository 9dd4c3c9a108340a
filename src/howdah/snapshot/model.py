"""The snapshot: one consistent, read-only picture of a database's catalogs and counters.

Owns the type that everything else reads: who was asked, when, as which role, and every fact with
its status. Must never hold row data; statement texts come with their literals blanked.

The file format (`howdah.snapshot.file`) is this type; a change of meaning raises `FORMAT`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, get_args, get_type_hints

import msgspec

from howdah.snapshot.facts import Fact, Status
from howdah.snapshot.facts.activity import (
    Blocking,
    IndexBuild,
    Lock,
    LockCount,
    PreparedTransaction,
    Session,
    VacuumProgress,
    WaitSample,
)
from howdah.snapshot.facts.catalog import (
    Collation,
    Column,
    ColumnStatistics,
    Constraint,
    Database,
    ExtendedStatistics,
    Extension,
    ForeignTable,
    Index,
    Inheritance,
    OperatorOverlap,
    Partitioning,
    Publication,
    Relation,
    Row,
    Sequence,
    Setting,
)
from howdah.snapshot.facts.counters import (
    Archiver,
    Checkpoints,
    CounterSample,
    IndexStatistics,
    Slru,
    Statement,
    TableSample,
    TableStatistics,
    Wal,
)
from howdah.snapshot.facts.measured import (
    IndexSpace,
    MultixactSample,
    PendingList,
    Size,
    TableSpace,
)
from howdah.snapshot.facts.replication import (
    ArchiveQueue,
    Receiver,
    Recovery,
    ReplicationSlot,
    Standby,
)
from howdah.snapshot.schema import SchemaDump

FORMAT = 1


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """The server and database that were asked, and the role that asked."""

    version_num: int  # 180006
    version: str  # '18.6'
    system_identifier: str
    in_recovery: bool
    started_at: datetime | None
    database: str
    database_oid: int
    encoding: str
    role: str
    is_superuser: bool
    is_monitor: bool  # may see other sessions' activity: pg_read_all_stats or pg_monitor
    reads_all_data: bool  # pg_read_all_data or superuser: sees every pg_stats row
    search_path: tuple[str, ...]  # the role's own, resolved
    provider: str  # 'rds', 'aurora', 'cloudsql', 'azure', or '' when nothing tells

    @property
    def major(self) -> int:
        """The server's major version, such as 18."""
        return self.version_num // 10000


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """The time over which cumulative counters counted.

    `since` None means that the true start is not known; `reason` says how it was found, or why not.
    """

    since: datetime | None
    until: datetime
    reason: str

    @property
    def seconds(self) -> float | None:
        """The window's length, or None where its start is not known."""
        return None if self.since is None else (self.until - self.since).total_seconds()


# Typed Any: a fact without rows is a fact of every row type.
_SKIPPED: Any = Fact(status=Status.SKIPPED, reason="not collected")


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One picture of one database.

    `taken_at` is the server's clock when the picture's transaction began, `seconds` how long that
    transaction (and with it the snapshot that holds the horizon) was open.
    """

    format: int = FORMAT
    howdah: str
    taken_at: datetime
    seconds: float
    server: Server
    window: Window
    schema: SchemaDump | None = None  # where it was asked for
    host_memory_bytes: int | None = None  # told by the user: SQL cannot see it

    # the catalogs
    databases: Fact[Database] = _SKIPPED
    settings: Fact[Setting] = _SKIPPED
    relations: Fact[Relation] = _SKIPPED
    columns: Fact[Column] = _SKIPPED
    indexes: Fact[Index] = _SKIPPED
    constraints: Fact[Constraint] = _SKIPPED
    sequences: Fact[Sequence] = _SKIPPED
    inheritance: Fact[Inheritance] = _SKIPPED
    partitioning: Fact[Partitioning] = _SKIPPED
    publications: Fact[Publication] = _SKIPPED
    foreign_tables: Fact[ForeignTable] = _SKIPPED
    extensions: Fact[Extension] = _SKIPPED
    operator_overlaps: Fact[OperatorOverlap] = _SKIPPED
    collations: Fact[Collation] = _SKIPPED
    column_statistics: Fact[ColumnStatistics] = _SKIPPED
    extended_statistics: Fact[ExtendedStatistics] = _SKIPPED

    # the counters
    table_statistics: Fact[TableStatistics] = _SKIPPED
    index_statistics: Fact[IndexStatistics] = _SKIPPED
    statements: Fact[Statement] = _SKIPPED
    slrus: Fact[Slru] = _SKIPPED
    checkpoints: Fact[Checkpoints] = _SKIPPED
    wal: Fact[Wal] = _SKIPPED
    archiver: Fact[Archiver] = _SKIPPED
    counter_samples: Fact[CounterSample] = _SKIPPED
    table_samples: Fact[TableSample] = _SKIPPED

    # the activity
    sessions: Fact[Session] = _SKIPPED
    locks: Fact[Lock] = _SKIPPED
    blocking: Fact[Blocking] = _SKIPPED
    lock_counts: Fact[LockCount] = _SKIPPED
    prepared_transactions: Fact[PreparedTransaction] = _SKIPPED
    vacuum_progress: Fact[VacuumProgress] = _SKIPPED
    index_builds: Fact[IndexBuild] = _SKIPPED
    wait_samples: Fact[WaitSample] = _SKIPPED

    # replication
    slots: Fact[ReplicationSlot] = _SKIPPED
    standbys: Fact[Standby] = _SKIPPED
    receiver: Fact[Receiver] = _SKIPPED
    recovery: Fact[Recovery] = _SKIPPED
    archive_queue: Fact[ArchiveQueue] = _SKIPPED

    # what was measured on the objects
    sizes: Fact[Size] = _SKIPPED
    table_space: Fact[TableSpace] = _SKIPPED
    index_space: Fact[IndexSpace] = _SKIPPED
    pending_lists: Fact[PendingList] = _SKIPPED
    multixacts: Fact[MultixactSample] = _SKIPPED

    def fact(self, name: str) -> Fact[Row]:
        """The fact of that name; `AttributeError` for a name that is none."""
        value = getattr(self, name)
        if not isinstance(value, Fact):
            raise AttributeError(f"{name!r} is not a fact")  # noqa: TRY004 # it is a name that is missing
        return value


def fact_types() -> dict[str, type[Row]]:
    """Every fact's name with the type of its rows, in order."""
    hints = get_type_hints(Snapshot)
    return {
        name: get_args(hint)[0]
        for name, hint in hints.items()
        if getattr(hint, "__origin__", None) is Fact
    }
