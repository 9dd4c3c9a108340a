"""What pgstattuple is pointed at, within a budget of I/O.

Owns the choice, pure: the most suspicious and largest first, everything that fits. Must never let
the budget be exceeded by what the catalogs say; a table without statistics costs what it weighs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from howdah.snapshot.facts.catalog import Index, Relation
from howdah.snapshot.facts.counters import TableStatistics

PAGE_BYTES = 8192
BATCH_PAGES = 4096  # 32 MB: one statement, one transaction
BATCH_OBJECTS = 500
GIN_LIMIT = 2000
FEWEST_INDEX_PAGES = 3  # a root with its meta page has nothing to tell


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One object: what reading it costs, and how much it deserves it."""

    oid: int
    pages: int
    suspicion: float


def within_budget(candidates: Iterable[Candidate], budget_pages: int) -> tuple[Candidate, ...]:
    """The candidates in order of suspicion, leaving out those that no longer fit."""
    chosen = []
    left = budget_pages
    for candidate in sorted(candidates, key=lambda each: (-each.suspicion, each.oid)):
        if candidate.pages <= left:
            chosen.append(candidate)
            left -= candidate.pages
    return tuple(chosen)


def batches(chosen: Sequence[Candidate]) -> list[list[int]]:
    """Oids by statement: none reads more than `BATCH_PAGES` unless a single object is larger."""
    found: list[list[int]] = []
    pages = 0
    for candidate in chosen:
        full = not found or pages + candidate.pages > BATCH_PAGES
        if full or len(found[-1]) >= BATCH_OBJECTS:
            found.append([])
            pages = 0
        found[-1].append(candidate.oid)
        pages += candidate.pages
    return found


def table_candidates(
    relations: Iterable[Relation],
    statistics: Iterable[TableStatistics],
    bytes_of: dict[int, int],
) -> list[Candidate]:
    """Heap tables of users by the space that dead rows may take.

    pgstattuple_approx skips pages that are all-visible, so those cost nothing.
    """
    counters = {row.relation: row for row in statistics}
    found = []
    for table in relations:
        if table.kind not in "rm" or table.access_method != "heap" or not _is_users(table):
            continue
        pages = max(table.pages, bytes_of.get(table.oid, 0) // PAGE_BYTES)
        if pages == 0:
            continue
        known = counters.get(table.oid)
        dead = known.dead / max(1, known.live + known.dead) if known else 0.0
        churn = min(1.0, (known.updated + known.deleted) / max(1, known.live)) if known else 0.0
        cost = max(1, pages - min(table.all_visible_pages, table.pages))
        found.append(
            Candidate(oid=table.oid, pages=cost, suspicion=pages * (0.05 + dead + churn / 4))
        )
    return found


def index_candidates(
    indexes: Iterable[Index],
    relations: Iterable[Relation],
    statistics: Iterable[TableStatistics],
    bytes_of: dict[int, int],
) -> list[Candidate]:
    """Valid B-trees of users by size and by the churn of their table."""
    counters = {row.relation: row for row in statistics}
    users = {row.oid for row in relations if _is_users(row)}
    found = []
    for index in indexes:
        if index.method != "btree" or not _is_readable(index, users):
            continue
        pages = max(index.pages, bytes_of.get(index.oid, 0) // PAGE_BYTES)
        if pages < FEWEST_INDEX_PAGES:
            continue
        known = counters.get(index.relation)
        churn = min(4.0, (known.updated + known.deleted) / max(1, known.live)) if known else 0.0
        found.append(Candidate(oid=index.oid, pages=pages, suspicion=pages * (1 + churn)))
    return found


def gin_candidates(indexes: Iterable[Index], relations: Iterable[Relation]) -> list[Candidate]:
    """Valid GIN indexes of users: one page each."""
    users = {row.oid for row in relations if _is_users(row)}
    return [
        Candidate(oid=index.oid, pages=1, suspicion=index.pages)
        for index in indexes
        if index.method == "gin" and _is_readable(index, users)
    ][:GIN_LIMIT]


def _is_users(table: Relation) -> bool:
    return (
        table.persistence != "t"
        and not table.is_locked
        and table.schema not in ("pg_catalog", "information_schema")
    )


def _is_readable(index: Index, users: set[int]) -> bool:
    return index.is_valid and not index.is_partitioned and index.relation in users
