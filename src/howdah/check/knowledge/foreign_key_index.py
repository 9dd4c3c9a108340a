"""The index that a foreign key lacks, as a remedy.

Owns its name, and the order in which a partitioned table gets it without blocking writers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import LiteralString

import msgspec
from psycopg import sql

from howdah.check import remedies
from howdah.check.knowledge.foreign_key_service import is_temporal
from howdah.check.model import Remedy
from howdah.snapshot.facts.catalog import Constraint, Relation
from howdah.snapshot.picture import Picture

# NAMEDATALEN - 1 bytes; the server cuts longer names silently, and then two may become one.
_NAME_BYTES = 63
# Above this a table has too many partitions to print a statement for each.
_MOST_PARTITIONS = 60


def index_for(picture: Picture, key: Constraint) -> Remedy:
    """Build an index on the referencing columns, in the key's order."""
    table = picture.relations[key.relation]
    if is_temporal(key):
        return _temporal(picture, key, table)
    columns = picture.column_names(key.relation, key.columns)
    keys = ", ".join(remedies.name(column) for column in columns)
    taken = _Names(picture)
    if table.kind != "p":
        index = taken.free(table, columns)
        return remedies.create_index(table.schema, table.name, index, keys)
    if len(picture.leaves(table.oid)) > _MOST_PARTITIONS:
        return _blocking(table, taken.free(table, columns), keys)
    return _partitioned(picture, table, taken, columns)


def _temporal(picture: Picture, key: Constraint, table: Relation) -> Remedy:
    """A GiST index; scalar columns in it need the operator classes of btree_gist."""
    columns = picture.column_names(key.relation, key.columns)
    return remedies.create_index(
        table.schema,
        table.name,
        _Names(picture).free(table, columns),
        ", ".join(remedies.name(column) for column in columns),
        method="gist",
        note="needs the extension btree_gist, as the referenced key does",
    )


def _blocking(table: Relation, index: str, keys: str) -> Remedy:
    drop = _sql("DROP INDEX IF EXISTS {i}", i=(table.schema, index))
    build = _sql(
        "CREATE INDEX {i} ON {t} ({k})", i=(index,), t=(table.schema, table.name), k=sql.SQL(keys)
    )
    return remedies.statements(
        "create-index",
        {"table": f"{table.schema}.{table.name}", "index": index, "keys": keys},
        (build,),
        inverse=(drop,),
        retry_safe=("SET lock_timeout = '2s'", drop, build),
        note="blocks writers of every partition while it builds; to avoid that, build it on each "
        "partition concurrently and attach them to an index ON ONLY the table",
    )


def _sql(template: LiteralString, **parts: tuple[str, ...] | sql.Composable) -> str:
    """The template with its parts: names are given as tuples, and quoted."""
    composed = {
        key: sql.Identifier(*part) if isinstance(part, tuple) else part
        for key, part in parts.items()
    }
    return sql.SQL(template).format(**composed).as_string(None)


class _Step(msgspec.Struct, frozen=True):
    """One index to build, on a table or one of its partitions."""

    table: Relation
    index: str
    attached_to: tuple[str, str] | None  # schema and name of the parent's index


def _partitioned(
    picture: Picture, table: Relation, taken: _Names, columns: tuple[str, ...]
) -> Remedy:
    """ON ONLY the parents, concurrently on the leaves, then attach."""
    keys = ", ".join(remedies.name(column) for column in columns)
    steps = list(_steps(picture, table, taken, columns, None))
    build = [statement for step in steps for statement in _build(step, keys)]
    index = steps[0].index
    drop = _sql("DROP INDEX IF EXISTS {i}", i=(table.schema, index))
    return remedies.statements(
        "create-index",
        {"table": f"{table.schema}.{table.name}", "index": index, "keys": keys},
        build,
        inverse=(drop,),
        retry_safe=(
            "SET statement_timeout = 0",
            "SET lock_timeout = '2s'",
            drop,
            *map(_clear, steps[1:]),
            *build,
        ),
        note="the index becomes valid when the last partition's is attached",
    )


def _steps(
    picture: Picture,
    table: Relation,
    taken: _Names,
    columns: tuple[str, ...],
    above: tuple[str, str] | None,
) -> Iterator[_Step]:
    step = _Step(table, taken.free(table, columns), above)
    yield step
    if table.kind != "p":
        return
    for row in picture.children_of.get(table.oid, ()):
        child = picture.relations.get(row.child)
        if child is not None and child.kind in ("r", "p"):
            yield from _steps(picture, child, taken, columns, (table.schema, step.index))


def _build(step: _Step, keys: str) -> Iterator[str]:
    parts: dict[str, tuple[str, ...] | sql.Composable] = {
        "i": (step.index,),
        "t": (step.table.schema, step.table.name),
        "k": sql.SQL(keys),
    }
    if step.table.kind == "p":
        yield _sql("CREATE INDEX {i} ON ONLY {t} ({k})", **parts)
    else:
        yield _sql("CREATE INDEX CONCURRENTLY {i} ON {t} ({k})", **parts)
    if step.attached_to is not None:
        own = (step.table.schema, step.index)
        yield _sql("ALTER INDEX {above} ATTACH PARTITION {i}", above=step.attached_to, i=own)


def _clear(step: _Step) -> str:
    """Drop what an interrupted attempt left behind, not attached yet."""
    index = (step.table.schema, step.index)
    if step.table.kind == "p":
        return _sql("DROP INDEX IF EXISTS {i}", i=index)
    return _sql("DROP INDEX CONCURRENTLY IF EXISTS {i}", i=index)


class _Names:
    """Names for new indexes that nothing in the schema bears yet."""

    def __init__(self, picture: Picture) -> None:
        snapshot = picture.snapshot
        self._taken = {
            (row.schema, row.name)
            for rows in (snapshot.relations.rows, snapshot.indexes.rows, snapshot.sequences.rows)
            for row in rows
        }

    def free(self, table: Relation, columns: tuple[str, ...]) -> str:
        """`table_columns_idx` as the server would name it, numbered if that is taken."""
        number = 0
        while True:
            name = _name(table.name, "_".join(columns), f"idx{number or ''}")
            if (table.schema, name) not in self._taken:
                self._taken.add((table.schema, name))
                return name
            number += 1


def _name(table: str, columns: str, ending: str) -> str:
    """The three parts, the longer of the first two cut until the name fits in its bytes."""
    while len(f"{table}_{columns}_{ending}".encode()) > _NAME_BYTES:
        if len(table.encode()) > len(columns.encode()):
            table = table[:-1]
        else:
            columns = columns[:-1]
    return f"{table}_{columns}_{ending}"
