"""Room that is held for nothing: bloat by measurement, and empty index pages.

Owns the rules on what was measured of tables and indexes. Must never estimate bloat from
statistics: what was not measured is not examined.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from psycopg import sql

from howdah.check import harm, remedies
from howdah.check.knowledge import autovacuum
from howdah.check.knowledge.amounts import counted, pages_size, size
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
from howdah.snapshot.facts.catalog import Index, Relation
from howdah.snapshot.facts.measured import IndexSpace, TableSpace
from howdah.snapshot.measure import FEWEST_INDEX_PAGES
from howdah.snapshot.picture import PAGE_BYTES, Picture

TABLE_WASTE_SHARE = 0.40  # of a table: less is the room that updates reuse
TABLE_WASTE_PAGES = 1280  # 10 MB: less is not worth a rewrite
INDEX_WASTE_SHARE = 0.40  # of a B-tree beyond its fillfactor; random keys settle at about 0.25
INDEX_WASTE_PAGES = 1024  # 8 MB
LARGE_WASTE_PAGES = 131_072  # 1 GB: from here it is more than a notice
EMPTY_SHARE = 0.30  # of a B-tree's pages
SHAPE_DEAD_ROWS = 60_000  # leave some hundred empty pages of the narrowest key
EMPTY_PAGES = 64  # 512 kB: a queue's index is read so often that little is enough
BTREE_FILLFACTOR = 90  # the server's default
NOT_MEASURED = "some were not measured: over the I/O budget. Try: --measure-megabytes 1024"


# --- table bloat ----------------------------------------------------------------------------------


@rule(
    id="table-bloat",
    title="Table bloat",
    severity=Severity.WARNING,
    objects="tables",
    needs=("relations", "table_space"),
    what="Tables of which more than 40 %, and more than 10 MB, is dead or free beyond their "
    "fillfactor, as pgstattuple_approx measured it.",
    why="Every sequential scan, backup and copy reads the empty room; it crowds the cache.",
    wrong_when="Free room is no waste in a table that is about to grow into it. What was not "
    "measured, for want of pgstattuple or of I/O budget, is not examined.",
    source="PostgreSQL documentation, pgstattuple; estimators from statistics were measured wrong "
    "in both directions, 89 % reported for 0.13 % true",
)
def table_bloat(picture: Picture, _: Answers) -> Examination:
    """Measured tables whose dead and free share is too large."""
    tables = {row.oid for row in autovacuum.users_tables(picture)}
    rows = [row for row in picture.snapshot.table_space.rows if row.relation in tables]
    groups: dict[int, list[TableSpace]] = defaultdict(list)
    for row in rows:
        if _is_bloated(picture, row):
            groups[picture.root(row.relation)].append(row)
    empty = {oid for oid in tables if picture.is_void(oid)}
    return Examination(
        examined=len({row.relation for row in rows} | empty),
        of=len(tables) + picture.snapshot.relations.left_out,
        unknown=picture.snapshot.table_space.reason or NOT_MEASURED,
        findings=tuple(_table_bloat(picture, root, group) for root, group in groups.items()),
    )


def table_waste(row: TableSpace, fillfactor: float) -> float:
    """The share of a table that is dead, or free beyond what its fillfactor leaves free."""
    return row.dead_tuple_fraction + max(0.0, row.free_fraction - (1 - fillfactor / 100))


def _waste(picture: Picture, row: TableSpace) -> float:
    relation = picture.relations[row.relation]
    return table_waste(row, float(picture.option(relation, "fillfactor") or 100))


def _wasted_pages(picture: Picture, row: TableSpace) -> float:
    return _waste(picture, row) * row.bytes / PAGE_BYTES


def _is_bloated(picture: Picture, row: TableSpace) -> bool:
    share, pages = _waste(picture, row), _wasted_pages(picture, row)
    return share >= TABLE_WASTE_SHARE and pages >= TABLE_WASTE_PAGES


def _table_bloat(picture: Picture, root: int, group: Sequence[TableSpace]) -> Finding:
    name = picture.relation_name(root)
    pages = sum(_wasted_pages(picture, row) for row in group)
    share = pages * PAGE_BYTES / sum(row.bytes for row in group)
    inside = f"{counted(len(group), 'partition')} of " if root != group[0].relation else ""
    scans = sum(_scans(picture, row.relation) for row in group)
    return Finding(
        rule="table-bloat",
        object=name,
        severity=Severity.WARNING if pages >= LARGE_WASTE_PAGES else Severity.NOTICE,
        claim=f"{share:.0%} of {inside}{name} is dead or free: {pages_size(pages)} of "
        f"{size(sum(row.bytes for row in group))}.",
        evidence=tuple(_table_evidence(picture, row) for row in group[:5]),
        confidence=Confidence.PROVEN,
        refuted_by="pgstattuple_approx of the table with a smaller dead_tuple_percent and "
        "approx_free_percent",
        cost_if_wrong="a rewrite of the table, with its lock, for room that it would have reused",
        harm=harm.held(pages) + harm.waste(pages, picture.per_hour(scans)),
        remedies=_rewrite(picture.relations[group[0].relation]),
        window=picture.window,
    )


def _scans(picture: Picture, relation: int) -> int:
    row = picture.table_statistics.get(relation)
    return row.sequential_scans if row else 0


def _table_evidence(picture: Picture, row: TableSpace) -> dict[str, Any]:
    return {
        "table": picture.relation_name(row.relation),
        "size_bytes": row.bytes,
        "dead_fraction": round(row.dead_tuple_fraction, 4),
        "free_fraction": round(row.free_fraction, 4),
        "scanned_fraction": round(row.scanned_fraction, 4),
        "wasted_fraction": round(_waste(picture, row), 4),
    }


def _rewrite(row: Relation) -> tuple[Remedy, ...]:
    statement = sql.SQL("VACUUM (FULL) {}").format(sql.Identifier(row.schema, row.name))
    return (
        remedies.manual(
            "rewrite-table",
            {"table": f"{row.schema}.{row.name}"},
            (statement.as_string(None),),
            "blocks readers and writers while it rewrites the table and all its indexes, and needs "
            "room for the copy; an extension that rewrites online does not block for long",
        ),
    )


# --- index bloat ----------------------------------------------------------------------------------


@rule(
    id="index-bloat",
    title="B-tree bloat",
    severity=Severity.WARNING,
    objects="B-tree indexes",
    needs=("indexes", "index_space"),
    what="B-trees that would lose more than 40 % of their leaf pages, and more than 8 MB, if they "
    "were filled to their fillfactor, as pgstatindex measured their leaf density.",
    why="A sparse index takes more pages of the cache for the same keys, and more reads per scan.",
    wrong_when="Random keys settle at 70 % density and stay there: a rebuild lasts for weeks only. "
    "Density does not see what deduplication would save: the true gain may be larger.",
    source="PostgreSQL documentation, pgstattuple and 'Routine Reindexing'",
)
def index_bloat(picture: Picture, _: Answers) -> Examination:
    """Measured B-trees of low leaf density."""
    rows = _measured(picture)
    found = [_index_bloat(picture, row) for row in rows if _is_sparse(picture, row)]
    return Examination(
        examined=len({row.index for row in rows} | _tiny(picture)),
        of=_btrees(picture),
        unknown=picture.snapshot.index_space.reason or NOT_MEASURED,
        findings=tuple(found),
    )


def _measured(picture: Picture) -> list[IndexSpace]:
    """The measurements of users' indexes."""
    users = {row.oid for row in _users_btrees(picture)}
    return [row for row in picture.snapshot.index_space.rows if row.index in users]


def _tiny(picture: Picture) -> set[int]:
    """Users' indexes of a page or two: known to waste nothing without being read."""
    sizes = {row.oid: picture.measured_pages(row.oid) for row in _users_btrees(picture)}
    return {oid for oid, pages in sizes.items() if pages is not None and pages < FEWEST_INDEX_PAGES}


def _users_btrees(picture: Picture) -> Iterable[Index]:
    return (
        row
        for row in picture.snapshot.indexes.rows
        if row.method == "btree" and not row.is_partitioned and not row.is_extension_member
    )


def _btrees(picture: Picture) -> int:
    return sum(1 for _ in _users_btrees(picture)) + picture.snapshot.indexes.left_out


def index_waste(row: IndexSpace, fillfactor: float) -> float:
    """The share of the leaf pages that a rebuild to `fillfactor` percent would free."""
    return max(0.0, 1 - row.leaf_density / (fillfactor / 100))


def _index_waste(picture: Picture, row: IndexSpace) -> float:
    options = picture.indexes[row.index].options
    return index_waste(row, float(autovacuum.option(options, "fillfactor") or BTREE_FILLFACTOR))


def _is_sparse(picture: Picture, row: IndexSpace) -> bool:
    share = _index_waste(picture, row)
    return share >= INDEX_WASTE_SHARE and share * row.leaf_pages >= INDEX_WASTE_PAGES


def _index_bloat(picture: Picture, row: IndexSpace) -> Finding:
    index, share = picture.indexes[row.index], _index_waste(picture, row)
    name, pages = f"{index.schema}.{index.name}", share * row.leaf_pages
    return Finding(
        rule="index-bloat",
        object=name,
        severity=Severity.WARNING if pages >= LARGE_WASTE_PAGES else Severity.NOTICE,
        claim=f"{name} is filled to {row.leaf_density:.0%}: a rebuild frees "
        f"{pages_size(pages)} of {size(row.bytes)}.",
        evidence=(_index_evidence(picture, row),),
        confidence=Confidence.PROVEN,
        refuted_by="pgstatindex of the index with a leaf density near its fillfactor",
        cost_if_wrong="the index is written once for nothing",
        harm=harm.held(pages) + harm.waste(pages * 0.01, _scan_rate(picture, row.index)),
        remedies=(remedies.reindex(index.schema, index.name),),
    )


def _scan_rate(picture: Picture, index: int) -> float | None:
    row = picture.index_statistics.get(index)
    return picture.per_hour(row.scans) if row else None


def _index_evidence(picture: Picture, row: IndexSpace) -> dict[str, Any]:
    return {
        "index": picture.index_name(row.index),
        "table": picture.relation_name(picture.indexes[row.index].relation),
        "size_bytes": row.bytes,
        "leaf_pages": row.leaf_pages,
        "leaf_density": round(row.leaf_density, 4),
        "fragmentation": round(row.fragmentation, 4),
        "empty_pages": row.empty_pages,
        "deleted_pages": row.deleted_pages,
    }


# --- empty pages ----------------------------------------------------------------------------------


@rule(
    id="queue-index-pages",
    title="Empty pages in a queue's index",
    severity=Severity.NOTICE,
    objects="B-tree indexes",
    needs=("indexes", "index_space"),
    what="B-trees of which more than 30 % of the pages are empty or deleted, as rows enter at one "
    "end and leave at the other.",
    why="The pages are reused by later inserts only where vacuum comes often enough; otherwise the "
    "index of a short queue grows without end, and the search for its head walks over the void.",
    wrong_when="After one large delete the pages wait for the next large load, and that is fine.",
    source="PostgreSQL documentation, pgstattuple; nbtree's README on page deletion",
)
def queue_index_pages(picture: Picture, _: Answers) -> Examination:
    """Measured B-trees with many empty or deleted pages."""
    rows = _measured(picture)
    found = [_empty(picture, row) for row in rows if _is_empty(row)]
    return Examination(
        examined=len({row.index for row in rows} | _tiny(picture)),
        of=_btrees(picture),
        unknown=picture.snapshot.index_space.reason or NOT_MEASURED,
        findings=tuple(found),
    )


def empty_share(row: IndexSpace) -> float:
    """The share of a B-tree's pages that hold nothing."""
    pages = row.leaf_pages + row.internal_pages + row.empty_pages + row.deleted_pages
    return (row.empty_pages + row.deleted_pages) / pages if pages else 0.0


def _is_empty(row: IndexSpace) -> bool:
    return empty_share(row) >= EMPTY_SHARE and row.empty_pages + row.deleted_pages >= EMPTY_PAGES


def _empty(picture: Picture, row: IndexSpace) -> Finding:
    index, pages = picture.indexes[row.index], row.empty_pages + row.deleted_pages
    name = f"{index.schema}.{index.name}"
    relation = picture.relations.get(index.relation)
    often = () if relation is None else _vacuum_often(picture, relation)
    return Finding(
        rule="queue-index-pages",
        object=name,
        severity=Severity.NOTICE,
        claim=f"{empty_share(row):.0%} of the pages of {name} are empty or deleted: "
        f"{pages_size(pages)}.",
        evidence=(_index_evidence(picture, row),),
        confidence=Confidence.PROVEN,
        refuted_by="pgstatindex of the index with few empty_pages and deleted_pages",
        cost_if_wrong="the index is written once for nothing",
        harm=harm.held(pages),
        remedies=(remedies.reindex(index.schema, index.name, shape=_emptied(picture, row)), *often),
    )


def _emptied(picture: Picture, row: IndexSpace) -> Shape:
    """A table whose rows all came and went, as a queue's do."""
    table = picture.relation_name(picture.indexes[row.index].relation)
    return Shape(dead={table: SHAPE_DEAD_ROWS}, vacuumed=True)


def _vacuum_often(picture: Picture, row: Relation) -> tuple[Remedy, ...]:
    options = {"autovacuum_vacuum_scale_factor": "0", "autovacuum_vacuum_threshold": "1000"}
    before = {name: picture.option(row, name) for name in options}
    if before == options:
        return ()
    return (
        remedies.set_table_options(
            row.schema,
            row.name,
            options,
            before=before,
            note="keeps it from coming back; frees nothing by itself",
        ),
    )
