"""What is asked inside the picture's transaction, in which order, and from which block.

Owns the order: what most rules need, and what costs least, comes first, so that a deadline takes
the rest. Must never name a fact that the snapshot does not have.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from howdah.query import Queries, load

CATALOG = load("howdah.snapshot", "sql/catalog.sql")
COUNTERS = load("howdah.snapshot", "sql/counters.sql")
ACTIVITY = load("howdah.snapshot", "sql/activity.sql")
REPLICATION = load("howdah.snapshot", "sql/replication.sql")


class Gap(StrEnum):
    """Why rows of a fact may be missing although it was read."""

    NONE = ""
    LOCK = "lock"  # the relation is behind ACCESS EXCLUSIVE
    ACTIVITY = "activity"  # of other roles, without pg_read_all_stats
    DATA = "data"  # statistics of columns that the role may not read


GAP_REASONS = {
    Gap.LOCK: "somebody holds or awaits ACCESS EXCLUSIVE on their tables",
    Gap.ACTIVITY: "the role lacks pg_read_all_stats",
    Gap.DATA: "the role may not read these columns: it needs pg_read_all_data, SELECT,"
    " or the helper view that `howdah doctor` prints",
}


class Part(msgspec.Struct, frozen=True):
    """One fact: its file, and what may be missing from it with the block that counts that."""

    fact: str
    queries: Queries
    gap: Gap = Gap.NONE
    left_out: str = ""
    is_sliced: bool = False  # whether its block takes a slice of the relations


PARTS = (
    Part("extensions", CATALOG),
    # what is going on, before our own work shows in it
    Part("sessions", ACTIVITY),
    Part("blocking", ACTIVITY),
    Part("locks", ACTIVITY),
    Part("lock_counts", ACTIVITY),
    Part("prepared_transactions", ACTIVITY),
    Part("vacuum_progress", ACTIVITY, Gap.ACTIVITY, "vacuum_progress_left_out"),
    Part("index_builds", ACTIVITY, Gap.ACTIVITY, "index_builds_left_out"),
    # small and server-wide
    Part("databases", CATALOG),
    Part("settings", CATALOG),
    Part("slots", REPLICATION),
    Part("standbys", REPLICATION),
    Part("receiver", REPLICATION),
    Part("recovery", REPLICATION),
    Part("archive_queue", REPLICATION),
    Part("archiver", COUNTERS),
    Part("slrus", COUNTERS),
    Part("checkpoints", COUNTERS),
    Part("wal", COUNTERS),
    # grows with the number of relations
    Part("relations", CATALOG, is_sliced=True),
    Part("inheritance", CATALOG, Gap.LOCK, "inheritance_left_out"),
    Part("partitioning", CATALOG, Gap.LOCK, "partitioning_left_out"),
    Part("sequences", CATALOG, Gap.LOCK, "sequences_left_out"),
    Part("constraints", CATALOG, Gap.LOCK, "constraints_left_out", is_sliced=True),
    Part("indexes", CATALOG, Gap.LOCK, "indexes_left_out", is_sliced=True),
    Part("index_statistics", COUNTERS, is_sliced=True),
    Part("table_statistics", COUNTERS, is_sliced=True),
    Part("columns", CATALOG, Gap.LOCK, "columns_left_out", is_sliced=True),
    Part("column_statistics", CATALOG, Gap.DATA, "column_statistics_left_out"),
    Part("publications", CATALOG, Gap.LOCK, "publications_left_out"),
    Part("foreign_tables", CATALOG),
    Part("operator_overlaps", CATALOG),
    Part("collations", CATALOG),
    Part("extended_statistics", CATALOG),
    Part("statements", COUNTERS),
)
