"""Keys that make their index expensive.

Owns the rules on what a key's values do to the index that holds them.
"""

from __future__ import annotations

from collections.abc import Sequence

from pglast import ast

from howdah.check import harm, remedies
from howdah.check.knowledge.amounts import counted
from howdah.check.knowledge.composing import composed, raw
from howdah.check.knowledge.parsing import resolver
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
from howdah.snapshot.facts.catalog import Column, Index
from howdah.snapshot.facts.counters import Statement
from howdah.snapshot.facts.measured import IndexSpace
from howdah.snapshot.picture import Picture

# Both measured on 18 with 120,000 keys: random 71 % dense and 50 % fragmented, ordered 90 and 0.
# Deletions thin an ordered index without fragmenting it, so both must be off.
_SPARSE_BELOW = 0.80
_FRAGMENTED_ABOVE = 0.25
_MIN_LEAF_PAGES = 32  # below, a few splits decide the density
_MIN_INSERTS = 1000  # in the window: an index that nobody adds to costs nothing more
_ROWS = 20_000  # rows of the sandbox's table: some hundred leaf pages
_UUIDV7_SINCE = 18


@rule(
    id="random-uuid-key",
    title="Random UUID key",
    severity=Severity.WARNING,
    objects="B-tree indexes led by a uuid",
    needs=("indexes", "columns", "relations", "table_statistics", "index_space"),
    what="A B-tree led by a uuid column whose measured leaf pages are sparse and out of order, on "
    "a table that rows are inserted into.",
    why="Each random key lands on another leaf page. Pages split in the middle and stay 70 % "
    "full, the whole index must stay in memory, and after every checkpoint nearly each insert "
    "writes a full page image to the WAL.",
    wrong_when="Mass deletions of random ranges thin an index of ordered keys too, and a rebuild "
    "hides random keys until pages split again.",
    source="Measured on 18 with 120,000 keys: leaf density 71.4 % (random) and 89.9 % (uuidv7), "
    "fragmentation 50 % and 0 %, WAL of 2,000 inserts after a checkpoint 3,544 kB and 320 kB",
)
def random_uuid_key(picture: Picture, _: Answers) -> Examination:
    """Measured uuid indexes of growing tables."""
    space = {row.index: row for row in picture.snapshot.index_space.rows}
    candidates = list(_led_by_uuid(picture))
    measured = [pair for pair in candidates if pair[0].oid in space]
    findings = [
        _random(picture, index, column, space[index.oid])
        for index, column in measured
        if _is_random(space[index.oid]) and _inserts(picture, index) >= _MIN_INSERTS
    ]
    return Examination(
        examined=len(measured),
        of=len(candidates) + picture.snapshot.indexes.left_out,
        unknown=picture.snapshot.index_space.reason or "the measuring budget did not reach them",
        findings=tuple(findings),
    )


def _led_by_uuid(picture: Picture) -> Sequence[tuple[Index, Column]]:
    return [
        (index, column)
        for index in picture.snapshot.indexes.rows
        if index.method == "btree" and index.is_valid and not index.is_partitioned
        if (column := picture.column(index.relation, index.columns[0])) is not None
        if column.base_type == "uuid"
    ]


def _is_random(space: IndexSpace) -> bool:
    return (
        space.leaf_pages >= _MIN_LEAF_PAGES
        and space.leaf_density < _SPARSE_BELOW
        and space.fragmentation > _FRAGMENTED_ABOVE
    )


def _inserts(picture: Picture, index: Index) -> int:
    statistics = picture.table_statistics.get(index.relation)
    return statistics.inserted if statistics else 0


def _insert_statements(picture: Picture, relation: int) -> list[Statement]:
    names, root = resolver(picture), picture.root(relation)
    return [
        statement
        for statement in picture.snapshot.statements.rows
        for level in names.levels(statement.text)
        if isinstance(level.node, ast.InsertStmt)
        and level.target is not None
        and level.target.oid in (relation, root)
    ]


def _random(picture: Picture, index: Index, column: Column, space: IndexSpace) -> Finding:
    name, table = f"{index.schema}.{index.name}", picture.relation_name(index.relation)
    inserts = _inserts(picture, index)
    statements = _insert_statements(picture, index.relation)
    rows = sum(statement.rows for statement in statements)
    images = sum(statement.wal_full_page_images for statement in statements)
    records = sum(statement.wal_records for statement in statements)
    per_insert = images / rows if rows else None
    return Finding(
        rule="random-uuid-key",
        object=name,
        severity=Severity.WARNING,
        claim=f"{name} is {space.leaf_density:.0%} dense and {space.fragmentation:.0%} of its "
        f"{counted(space.leaf_pages, 'leaf page')} are out of order after "
        f"{counted(inserts, 'insert')}: the values of {table}.{column.name} arrive "
        "in random order.",
        evidence=(
            {
                "index": name,
                "leaf_density_share": round(space.leaf_density, 3),
                "fragmentation_share": round(space.fragmentation, 3),
                "leaf_pages": space.leaf_pages,
                "column_default": column.default,
                "inserted_rows": inserts,
                "full_page_images_per_inserted_row": per_insert and round(per_insert, 3),
                "full_page_image_share_of_wal_records": round(images / records, 3)
                if records
                else None,
                "insert_statements": [statement.text for statement in statements[:3]],
            },
        ),
        confidence=Confidence.PROVEN,
        refuted_by="uuid_extract_version() of recent keys being 7, with the fragmentation staying "
        "low after a REINDEX",
        cost_if_wrong="a rebuild of the index, and another default that is also a valid uuid",
        harm=harm.held(space.leaf_pages * (1 - space.leaf_density))
        + harm.waste(1.0 if per_insert is None else per_insert, picture.per_hour(inserts)),
        remedies=_ordered(picture, index, column),
        window=picture.window,
    )


def _ordered(picture: Picture, index: Index, column: Column) -> tuple[Remedy, ...]:
    relation = picture.relations[picture.root(index.relation)]
    table = f"{relation.schema}.{relation.name}"
    if picture.major < _UUIDV7_SINCE or not column.default:
        where = "in the database" if column.default else "where the application makes it"
        return (
            remedies.manual(
                "use-ordered-key",
                {"table": table, "column": column.name},
                (),
                f"make new keys of version 7 {where} (uuidv7() is built in since 18, libraries "
                "have it before), then rebuild the index once; old keys stay as they are",
            ),
        )
    template = "ALTER TABLE {t} ALTER COLUMN {c} SET DEFAULT {d}"
    target = (relation.schema, relation.name)
    change = composed(template, t=target, c=column.name, d=raw("pg_catalog.uuidv7()"))
    rebuild = remedies.reindex(index.schema, index.name)
    return (
        remedies.statements(
            "use-ordered-key",
            {"table": table, "column": column.name},
            (change, *rebuild.sql),
            inverse=(composed(template, t=target, c=column.name, d=raw(column.default)),),
            retry_safe=(
                "SET lock_timeout = '2s'",
                change,
                *rebuild.retry_safe,
            ),
            shape=Shape(rows={table: _ROWS}),
            note="new keys tell when they were made to whoever sees them; old keys stay",
        ),
    )
