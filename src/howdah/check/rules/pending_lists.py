"""GIN pending lists: entries that every search reads one by one.

Owns the rule on lists that nobody will empty soon.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from howdah.check import harm, remedies
from howdah.check.knowledge import autovacuum
from howdah.check.knowledge.amounts import counted, pages_size
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
from howdah.snapshot.facts.measured import PendingList
from howdah.snapshot.picture import PAGE_BYTES, Picture

PENDING_SHARE = 0.25  # of the pending list's limit
SOON_SHARE = 0.80  # of a trigger: autovacuum is on its way
NOT_MEASURED = "not measured: over the I/O budget"
SHAPE_ROWS = 20_000  # on a sandbox: synthetic values have few keys each


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A GIN index with entries that were not sorted in yet."""

    index: Index
    row: PendingList
    limit_bytes: float

    @property
    def share(self) -> float:
        """How full the list is."""
        return self.row.pages * PAGE_BYTES / self.limit_bytes if self.limit_bytes else 0.0


@rule(
    id="gin-pending-list",
    title="GIN pending list",
    severity=Severity.NOTICE,
    objects="GIN indexes",
    needs=("indexes", "pending_lists", "settings"),
    what="GIN indexes whose pending list is filled to more than a quarter of its limit, with no "
    "autovacuum due soon that would empty it.",
    why="Every search reads the whole list from end to end, and the insert that crosses the limit "
    "pays for sorting all of it in.",
    wrong_when="During a bulk load the list is meant to fill. A table just about to be vacuumed "
    "is not reported.",
    source="PostgreSQL documentation, GIN Indexes, 'GIN Fast Update Technique'; 3,000 trigram "
    "rows were measured to leave 250 pages",
)
def gin_pending_list(picture: Picture, _: Answers) -> Examination:
    """GIN indexes with long pending lists that nobody will empty soon."""
    gins = [
        row
        for row in picture.snapshot.indexes.rows
        if row.method == "gin" and not row.is_partitioned
    ]
    lists = [
        pending
        for row in picture.snapshot.pending_lists.rows
        if (pending := _pending(picture, row))
    ]
    long = [each for each in lists if each.share >= PENDING_SHARE and not _soon(picture, each)]
    return Examination(
        examined=len(lists),
        of=len(gins) + picture.snapshot.indexes.left_out,
        unknown=picture.snapshot.pending_lists.reason or NOT_MEASURED,
        findings=tuple(_pending_list(picture, each) for each in long),
    )


def _pending(picture: Picture, row: PendingList) -> Pending | None:
    index = picture.indexes.get(row.index)
    own = autovacuum.option(index.options, "gin_pending_list_limit") if index else None
    limit = (
        float(own) * 1024 if own is not None else picture.setting_number("gin_pending_list_limit")
    )
    if index is None or not limit:
        return None
    return Pending(index=index, row=row, limit_bytes=limit)


def _soon(picture: Picture, pending: Pending) -> bool:
    """Whether autovacuum is at work on the table, or near one of its triggers."""
    relation = picture.relations.get(pending.index.relation)
    counted = picture.table_statistics.get(pending.index.relation)
    if relation is None or counted is None:
        return False
    if relation.oid in autovacuum.vacuumed_now(picture):
        return True
    if not autovacuum.is_enabled(relation.options):
        return False
    if autovacuum.is_enabled_on_server(picture) is False:
        return False
    due = (
        (counted.dead, autovacuum.vacuum_due(picture, relation)),
        (counted.inserted_since_vacuum, autovacuum.insert_due(picture, relation)),
        (counted.modified_since_analyze, autovacuum.analyze_due(picture, relation)),
    )
    return any(limit is not None and count >= SOON_SHARE * limit for count, limit in due)


def _pending_list(picture: Picture, pending: Pending) -> Finding:
    index, row = pending.index, pending.row
    name = f"{index.schema}.{index.name}"
    return Finding(
        rule="gin-pending-list",
        object=name,
        severity=Severity.NOTICE,
        claim=f"Every search of {name} first reads {pages_size(row.pages)} of entries that are not "
        f"sorted in yet ({counted(row.tuples, 'row')}), {pending.share:.0%} of the limit.",
        evidence=(
            {
                "index": name,
                "pending_pages": row.pages,
                "pending_tuples": row.tuples,
                "limit_bytes": round(pending.limit_bytes),
                "fast_update": autovacuum.option(index.options, "fastupdate") or "on",
            },
        ),
        confidence=Confidence.PROVEN,
        refuted_by="pgstatginindex of the index with few pending_pages",
        cost_if_wrong="the list is emptied a little earlier than it would have been",
        harm=harm.waste(row.pages, _scans_per_hour(picture, index)),
        remedies=_empty_list(picture, pending),
        window=picture.window,
    )


def _empty_list(picture: Picture, pending: Pending) -> tuple[Remedy, ...]:
    index = pending.index
    name = sql.Literal(remedies.name(index.schema, index.name))
    clean = sql.SQL("SELECT pg_catalog.gin_clean_pending_list({}::pg_catalog.regclass)").format(
        name
    )
    statement = clean.as_string(None)
    table = picture.relation_name(index.relation)
    shape = Shape(rows={table: SHAPE_ROWS}, settings={"autovacuum": "off"})
    off = remedies.set_table_options(
        index.schema,
        index.name,
        {"fastupdate": "off"},
        before={"fastupdate": autovacuum.option(index.options, "fastupdate")},
        kind="INDEX",
        note="keeps it from coming back at the price of slower inserts; the entries that are "
        "pending stay until the list is emptied once",
    )
    return (
        remedies.statements(
            "empty-pending-list",
            {"index": f"{index.schema}.{index.name}"},
            (statement,),
            retry_safe=("SET lock_timeout = '2s'", statement),
            shape=shape,
            note="there is nothing to take back",
        ),
        off,
    )


def _scans_per_hour(picture: Picture, index: Index) -> float | None:
    row = picture.index_statistics.get(index.oid)
    return picture.per_hour(row.scans) if row else None
