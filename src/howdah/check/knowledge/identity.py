"""What identifies the rows of a table: primary key, full unique indexes, replica identity.

Owns these lookups for the rules on keys and on publications. Must never judge.
"""

from __future__ import annotations

from howdah.snapshot.facts.catalog import Index, Relation
from howdah.snapshot.picture import Picture


def primary_key(picture: Picture, relation: int) -> Index | None:
    """The valid primary key's index."""
    of = picture.indexes_of.get(relation, ())
    return next((index for index in of if index.is_primary and index.is_valid), None)


def unique_keys(picture: Picture, relation: int) -> tuple[Index, ...]:
    """Unique indexes that identify every row: full, immediate, valid, plain columns, NOT NULL.

    These are the demands of REPLICA IDENTITY USING INDEX.
    """
    return tuple(
        index
        for index in picture.indexes_of.get(relation, ())
        if is_full_unique(index) and not nullable_columns(picture, index)
    )


def is_full_unique(index: Index) -> bool:
    """Whether it allows no two rows with equal, known keys, at once and over the whole table."""
    return (
        index.is_unique
        and index.is_valid
        and index.is_immediate
        and index.predicate is None
        and 0 not in index.columns[: index.key_count]
    )


def nullable_columns(picture: Picture, index: Index) -> tuple[int, ...]:
    """Its key columns that may be NULL, or of which the snapshot does not know it."""
    keys = index.columns[: index.key_count]
    found = {key: picture.column(index.relation, key) for key in keys}
    return tuple(key for key, column in found.items() if column is None or not column.not_null)


def replica_identity(picture: Picture, relation: Relation) -> tuple[int, ...] | None:
    """The columns that name an old row in the WAL; () for FULL, None where there is no identity."""
    if relation.replica_identity == "f":
        return ()
    if relation.replica_identity == "n":
        return None
    of = picture.indexes_of.get(relation.oid, ())
    if relation.replica_identity == "i":
        chosen = next((index for index in of if index.is_replica_identity), None)
    else:
        chosen = primary_key(picture, relation.oid)
    if chosen is None or not chosen.is_valid or not chosen.is_immediate:
        return None
    return chosen.columns[: chosen.key_count]


def inserted(picture: Picture, relation: int) -> int:
    """Rows inserted in the window; over the leaves of a partitioned table."""
    return sum(picture.table_statistics[oid].inserted for oid in _counted(picture, relation))


def changed(picture: Picture, relation: int) -> int:
    """Rows updated or deleted in the window; over the leaves of a partitioned table."""
    counters = [picture.table_statistics[oid] for oid in _counted(picture, relation)]
    return sum(each.updated + each.deleted for each in counters)


def _counted(picture: Picture, relation: int) -> list[int]:
    row = picture.relations.get(relation)
    members = picture.leaves(relation) if row is not None and row.kind == "p" else (relation,)
    return [oid for oid in members if oid in picture.table_statistics]
