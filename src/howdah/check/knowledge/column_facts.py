"""Columns and their statistics: names, ages and the sequences that feed them.

Owns the lookups that the rules on estimates share. Must never judge.
"""

from __future__ import annotations

from howdah.snapshot.picture import Picture


def column_name(picture: Picture, relation: int, column: int) -> str:
    """`schema.table.column`."""
    found = picture.column(relation, column)
    return f"{picture.relation_name(relation)}.{found.name if found else column}"


def changed_share(picture: Picture, relation: int) -> float:
    """The share of a table's rows that changed since its last ANALYZE; 0 where not counted."""
    counted, rows = picture.table_statistics.get(relation), picture.rows(relation)
    if counted is None or not rows:
        return 0.0
    return counted.modified_since_analyze / max(rows, float(counted.live), 1.0)


def scans_per_hour(picture: Picture, relation: int) -> float | None:
    """Scans of a table per hour; None where the counters or their window are not known."""
    row = picture.table_statistics.get(relation)
    return picture.per_hour(row.sequential_scans + row.index_scans) if row else None


def fed_columns(picture: Picture) -> frozenset[tuple[int, int]]:
    """Columns, by relation and attnum, whose default or identity draws from a sequence."""
    return frozenset(
        pair
        for row in picture.snapshot.sequences.rows
        for pair in zip(row.fed_relations, row.fed_columns, strict=True)
    )
