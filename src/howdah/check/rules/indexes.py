"""Indexes that are not what they seem.

Owns the rule on the validity of indexes: builds, rebuilds and drops that did not finish.
"""

from __future__ import annotations

import re

from howdah.check import harm, remedies
from howdah.check.knowledge.index_algebra import is_usable
from howdah.check.knowledge.index_upkeep import upkeep
from howdah.check.model import (
    Answers,
    Confidence,
    Examination,
    Finding,
    Remedy,
    Severity,
    Shape,
    rule,
)
from howdah.snapshot.facts.catalog import Index
from howdah.snapshot.picture import Picture

# The names that REINDEX CONCURRENTLY gives to its new and its old copy, and pg_repack to its own.
_REINDEX_COPY = re.compile(r"_cc(new|old)\d*$")
_REPACK_COPY = re.compile(r"^index_(\d+)$")
# What CREATE INDEX, REINDEX and DROP INDEX hold on the table; the last two without CONCURRENTLY.
_WORKING = frozenset({"ShareUpdateExclusiveLock", "ShareLock", "AccessExclusiveLock"})


@rule(
    id="invalid-index",
    title="Invalid index",
    severity=Severity.WARNING,
    objects="indexes",
    needs=("indexes", "relations", "index_builds"),
    what="An index whose build, rebuild or drop did not finish, and that no session works on now. "
    "Copies left by REINDEX CONCURRENTLY (_ccnew, _ccold) and by pg_repack are said to be such.",
    why="No query may use it, and once it is ready for inserts every write maintains it. If it is "
    "UNIQUE it may even refuse rows. A retry with IF NOT EXISTS takes it for the good one.",
    wrong_when="A build at work on the table is excluded by pg_stat_progress_create_index, which "
    "is read in the same second as the catalog but not in the same instant. "
    "An index ON ONLY a partitioned table is invalid by design until every partition's index "
    "is attached, and is not reported.",
    source="PostgreSQL documentation, CREATE INDEX, 'Building Indexes Concurrently', and REINDEX, "
    "'Rebuilding Indexes Concurrently'",
)
def invalid_index(picture: Picture, _: Answers) -> Examination:
    """Invalid indexes, those at work and those of partitioned parents left out."""
    fact = picture.snapshot.indexes
    indexes = [index for index in fact.rows if not index.is_partitioned]
    broken = [index for index in indexes if not is_usable(index)]
    at_rest = [index for index in broken if not _is_worked_on(picture, index)]
    unknown = [fact.reason] if fact.reason else []
    if len(at_rest) < len(broken):
        unknown.append(f"{len(broken) - len(at_rest)} being built or dropped now")
    examined = len(indexes) - len(broken) + len(at_rest)
    return Examination(
        examined=examined,
        of=len(indexes) + fact.left_out,
        unknown="; ".join(unknown),
        findings=tuple(_finding(picture, index) for index in at_rest),
    )


def _is_worked_on(picture: Picture, index: Index) -> bool:
    """Whether a session builds an index of its table, or holds the lock of a build or a drop.

    A DROP INDEX CONCURRENTLY reports no progress, but while it waits for readers its locks are
    seen, by every role.
    """
    builds = picture.snapshot.index_builds.rows
    if any(index.relation == b.relation_oid or index.oid == b.index_oid for b in builds):
        return True
    return any(
        lock.relation_oid in (index.oid, index.relation) and lock.mode in _WORKING
        for lock in picture.snapshot.locks.rows
    )


def _finding(picture: Picture, index: Index) -> Finding:
    name = f"{index.schema}.{index.name}"
    cost = upkeep(picture, index)
    origin = _origin(picture, index)
    upkept = "every write maintains it" if index.is_ready else "nothing maintains it"
    written = harm.waste(1, cost.entries_per_hour) if index.is_ready and cost.entries else 0.0
    return Finding(
        rule="invalid-index",
        object=name,
        severity=Severity.WARNING,
        claim=f"{name} is {origin or 'invalid'}: {upkept} and no query can use it.",
        evidence=(
            {
                "index": name,
                "table": picture.relation_name(index.relation),
                "is_valid": index.is_valid,
                "is_ready": index.is_ready,
                "is_live": index.is_live,
                "is_unique": index.is_unique,
                "size_pages": cost.pages,
                "entries_written_per_hour": cost.entries_per_hour if index.is_ready else 0,
                "definition": index.definition,
            },
        ),
        confidence=Confidence.PROVEN,
        refuted_by="a row for it in pg_stat_progress_create_index: then it is being built",
        cost_if_wrong="a build in progress is lost and must be started again",
        harm=harm.held(cost.pages) + written,
        remedies=_remedies(index, is_copy=bool(origin)),
        window=picture.window,
    )


def _origin(picture: Picture, index: Index) -> str:
    """What left it behind, '' where only a build can have."""
    if not index.is_live:
        return "half dropped by a DROP INDEX CONCURRENTLY that did not finish"
    copy = _REINDEX_COPY.search(index.name)
    if copy:
        which = "new" if copy[1] == "new" else "old"
        return f"the {which} copy of a REINDEX CONCURRENTLY that did not finish"
    repacked = _REPACK_COPY.match(index.name)
    if repacked and int(repacked[1]) in picture.indexes:
        original = picture.index_name(int(repacked[1]))
        return f"a copy of {original} left by a pg_repack that did not finish"
    return ""


def _remedies(index: Index, *, is_copy: bool) -> tuple[Remedy, ...]:
    """Rebuild what was wanted, drop what was only a copy; what has a duty can only be rebuilt."""
    shape = Shape(invalid_indexes=(index.definition,))
    drop = remedies.drop_index(index.schema, index.name, index.definition, shape=shape)
    if is_copy:
        return (drop,)
    note = "fails while rows violate its uniqueness; find and mend them first"
    rebuild = remedies.reindex(
        index.schema, index.name, shape=shape, note=note if index.is_unique else ""
    )
    if index.constraint is not None or index.parent is not None:
        return (rebuild,)
    # a unique build that failed met duplicates, as a rule, and would meet them again
    return (drop, rebuild) if index.is_unique else (rebuild, drop)
