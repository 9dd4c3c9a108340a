"""Tables and constraints that promise less than they seem to.

Owns the rules on keys and on unchecked constraints.
"""

from __future__ import annotations

from psycopg import sql

from howdah.check import harm, remedies
from howdah.check.knowledge.amounts import counted
from howdah.check.knowledge.composing import composed, raw
from howdah.check.knowledge.identity import (
    changed,
    is_full_unique,
    nullable_columns,
    primary_key,
    unique_keys,
)
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
from howdah.snapshot.facts.catalog import Constraint, Index, Relation
from howdah.snapshot.picture import Picture

_NAME_BYTES = 63  # NAMEDATALEN - 1


# --- no primary key -------------------------------------------------------------------------------


@rule(
    id="no-primary-key",
    title="Table without a key",
    severity=Severity.WARNING,
    objects="tables",
    needs=("relations", "columns", "indexes"),
    what="A table whose rows nothing identifies: neither a primary key nor a full UNIQUE index on "
    "NOT NULL columns. A partitioned table is fine if it or each of its partitions has one.",
    why="The same row can be written twice, no row can be addressed, and logical replication "
    "cannot send its updates and deletes.",
    wrong_when="A log that is only ever appended to may do without a key; it is a notice then. "
    "A full UNIQUE index on NOT NULL columns identifies rows as well as a primary key does, and "
    "serves as replica identity, so such tables are not reported.",
    source="PostgreSQL documentation, ALTER TABLE, 'REPLICA IDENTITY', and 'Unique Constraints'",
)
def no_primary_key(picture: Picture, _: Answers) -> Examination:
    """Tables, and partitioned tables as a whole, without any key."""
    tables = [
        row for row in picture.user_relations if row.kind in ("r", "p") and not row.is_partition
    ]
    without = [table for table in tables if not _identified(picture, table.oid)]
    left_out = picture.snapshot.indexes.left_out
    return Examination(
        examined=len(tables) if not left_out else max(0, len(tables) - left_out),
        of=len(tables),
        unknown=picture.snapshot.indexes.reason,
        findings=tuple(_keyless(picture, table) for table in without) if not left_out else (),
    )


def _identified(picture: Picture, relation: int) -> bool:
    if primary_key(picture, relation) or unique_keys(picture, relation):
        return True
    row = picture.relations.get(relation)
    leaves = picture.leaves(relation) if row is not None and row.kind == "p" else ()
    return bool(leaves) and all(_identified(picture, leaf) for leaf in leaves)


def _keyless(picture: Picture, table: Relation) -> Finding:
    title = picture.relation_name(table.oid)
    changes = changed(picture, table.oid)
    usage = (
        f"{counted(changes, 'update or delete', 'updates and deletes')} had"
        if changes
        else "updates or deletes would have"
    )
    return Finding(
        rule="no-primary-key",
        object=title,
        severity=Severity.WARNING if changes else Severity.NOTICE,
        claim=f"{title} has no key; {usage} no way to name the row they mean.",
        evidence=(
            {
                "table": title,
                "rows": picture.rows(table.oid),
                "updates_and_deletes": changes,
                "unique_indexes": [
                    index.definition
                    for index in picture.indexes_of.get(table.oid, ())
                    if index.is_unique
                ],
            },
        ),
        confidence=Confidence.PROVEN,
        refuted_by="a primary key, or a valid, immediate UNIQUE index without WHERE on NOT NULL "
        "columns",
        cost_if_wrong="an index that nobody needs is maintained",
        harm=harm.waste(picture.pages(table.oid), picture.per_hour(changes) if changes else 0)
        + harm.held(1),
        remedies=(_key_remedy(picture, table),),
        window=picture.window,
    )


def _key_remedy(picture: Picture, table: Relation) -> Remedy:
    if table.kind == "r":
        for index in picture.indexes_of.get(table.oid, ()):
            if is_full_unique(index) and _without_nulls(picture, index):
                return _set_not_null(picture, table, index)
        if fed := _fed_column(picture, table.oid):
            return _key_on(picture, table, fed)
    add = "ALTER TABLE {t} ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
    return remedies.manual(
        "add-primary-key",
        {"table": picture.relation_name(table.oid)},
        (composed(add, t=(table.schema, table.name)),),
        "which columns identify a row is for its owner to say; adding a new column with a default "
        "per row rewrites the table under ACCESS EXCLUSIVE",
    )


def _without_nulls(picture: Picture, index: Index) -> bool:
    """Whether statistics of every nullable key column saw no NULL."""
    seen = [
        picture.column_statistics.get((index.relation, number, False))
        for number in nullable_columns(picture, index)
    ]
    return all(each is not None and each.null_fraction == 0 for each in seen)


def _set_not_null(picture: Picture, table: Relation, index: Index) -> Remedy:
    """Make a UNIQUE index's columns NOT NULL without a scan under ACCESS EXCLUSIVE."""
    columns = picture.column_names(table.oid, nullable_columns(picture, index))
    check = f"{index.name[: _NAME_BYTES - 9]}_not_null"
    condition = " AND ".join(composed("{c} IS NOT NULL", c=column) for column in columns)

    def alter(action: str, **parts: str | sql.Composable) -> str:
        return composed("ALTER TABLE {t} " + action, t=(table.schema, table.name), **parts)

    drop = alter("DROP CONSTRAINT IF EXISTS {c}", c=check)
    steps = (
        alter("ADD CONSTRAINT {c} CHECK ({e}) NOT VALID", c=check, e=raw(condition)),
        alter("VALIDATE CONSTRAINT {c}", c=check),
        *(alter("ALTER COLUMN {c} SET NOT NULL", c=column) for column in columns),
        drop,
    )
    return remedies.statements(
        "set-not-null",
        {"table": picture.relation_name(table.oid), "columns": ", ".join(columns)},
        steps,
        inverse=[alter("ALTER COLUMN {c} DROP NOT NULL", c=column) for column in columns],
        retry_safe=("SET lock_timeout = '2s'", drop, *steps),
        note=f"{index.name} then identifies every row; it fails, and changes nothing, if a row has "
        "NULL there",
    )


def _fed_column(picture: Picture, relation: int) -> str | None:
    """The NOT NULL column that a sequence fills, if there is exactly one."""
    fed = {
        number
        for sequence in picture.snapshot.sequences.rows
        for table, number in zip(sequence.fed_relations, sequence.fed_columns, strict=True)
        if table == relation
    }
    columns = [column for number in fed if (column := picture.column(relation, number))]
    return columns[0].name if len(columns) == 1 and columns[0].not_null else None


def _key_on(picture: Picture, table: Relation, column: str) -> Remedy:
    """Build a unique index without blocking writers, then make it the primary key."""
    taken = {index.name for index in picture.snapshot.indexes.rows if index.schema == table.schema}
    stem = table.name[: _NAME_BYTES - 7]
    key = next(k for n in range(100) if (k := f"{stem}_pkey{n or ''}") not in taken)
    parts = {"t": (table.schema, table.name), "k": (key,), "c": (column,)}
    build = composed("CREATE UNIQUE INDEX CONCURRENTLY {k} ON {t} ({c})", **parts)
    add = composed("ALTER TABLE {t} ADD CONSTRAINT {k} PRIMARY KEY USING INDEX {k}", **parts)
    drop = composed("ALTER TABLE {t} DROP CONSTRAINT IF EXISTS {k}", **parts)
    leftover = composed("DROP INDEX CONCURRENTLY IF EXISTS {i}", i=(table.schema, key))
    limits = ("SET statement_timeout = 0", "SET lock_timeout = '2s'")
    return remedies.statements(
        "add-primary-key",
        {"table": picture.relation_name(table.oid), "column": column},
        (build, add),
        inverse=(drop,),
        retry_safe=(*limits, drop, leftover, build, add),
        note=f"a sequence fills {column}; the build fails if two rows share a value, and leaves an "
        "invalid index to drop",
    )


# --- unchecked constraints ------------------------------------------------------------------------


@rule(
    id="not-valid-constraint",
    title="Constraint that does not hold for every row",
    severity=Severity.NOTICE,
    objects="constraints",
    needs=("relations", "constraints"),
    what="A CHECK, FOREIGN KEY or NOT NULL constraint that is NOT VALID (it was never checked "
    "against the rows that were there before it), or NOT ENFORCED (PostgreSQL 18: it is checked "
    "for no row at all).",
    why="Who reads the schema believes a promise that no one checked, and the planner cannot use "
    "it. A dump that is restored may refuse the old rows later.",
    wrong_when="Some projects keep a constraint NOT VALID on purpose, to bind new rows only. That "
    "is why it is a notice. NOT ENFORCED is always on purpose; VALIDATE would fail on it.",
    source="PostgreSQL documentation, ALTER TABLE, 'ADD table_constraint [ NOT VALID ]'",
)
def not_valid_constraint(picture: Picture, _: Answers) -> Examination:
    """Unchecked constraints, inherited copies counted once."""
    users = {row.oid for row in picture.user_relations}
    rows = [
        row
        for row in picture.snapshot.constraints.rows
        if row.kind in ("c", "f", "n") and row.relation in users and not _copied(picture, row)
    ]
    unchecked = [row for row in rows if not (row.is_validated and row.is_enforced)]
    return Examination(
        examined=len(rows),
        of=len(rows) + picture.snapshot.constraints.left_out,
        unknown=picture.snapshot.constraints.reason,
        findings=tuple(_unchecked(picture, row) for row in unchecked),
    )


def _copied(picture: Picture, row: Constraint) -> bool:
    """Whether the table's parent has the same constraint, of which this is the copy."""
    if row.parent is not None:
        return True
    up = picture.parent_of.get(row.relation)
    above = picture.constraints_of.get(up.parent, ()) if up else ()
    return any(each.name == row.name and each.kind == row.kind for each in above)


def _unchecked(picture: Picture, row: Constraint) -> Finding:
    table = picture.relation_name(row.relation)
    title = f"{table}.{row.name}"
    relation = picture.relations[row.relation]
    if row.is_enforced:
        claim = f"{title} is NOT VALID: rows that are older than it were never checked."
        remedy = [
            remedies.validate_constraint(
                relation.schema,
                relation.name,
                row.name,
                shape=Shape(),
            )
        ]
    else:
        claim = f"{title} is NOT ENFORCED: no row is checked against it, old or new."
        remedy = []
    return Finding(
        rule="not-valid-constraint",
        object=title,
        severity=Severity.NOTICE,
        claim=claim,
        evidence=(
            {
                "table": table,
                "constraint": row.name,
                "definition": row.definition,
                "is_validated": row.is_validated,
                "is_enforced": row.is_enforced,
            },
        ),
        confidence=Confidence.PROVEN,
        refuted_by="pg_constraint.convalidated for this constraint",
        cost_if_wrong="one scan of the table beside its writers",
        harm=harm.held(1),
        remedies=tuple(remedy),
    )
