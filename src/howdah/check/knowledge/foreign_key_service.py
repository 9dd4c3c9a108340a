"""Which index serves the checks of a foreign key.

Owns two things: the question to a planner that means "does an index serve the check that runs when
a row of the parent is deleted or its key changes", and the pure test for the one case whose answer
is certain. Must never answer the doubtful cases itself: partial, expression, composite in parts,
other methods, other operator classes, other types and collations are for the planner.
"""

from __future__ import annotations

import re

from howdah.check import remedies
from howdah.check.knowledge.index_algebra import is_usable
from howdah.check.model import ServesQuestion
from howdah.snapshot.facts.catalog import Column, Constraint, Index
from howdah.snapshot.picture import Picture

# The last column of a temporal foreign key (18 and later) is compared by overlap.
_PERIOD = re.compile(r"^FOREIGN KEY \(.*, PERIOD .*\) REFERENCES ")
# Operator classes of composite types whose equality is not the = that checks use.
_OTHER_EQUALITY = "record_image_ops"


def is_temporal(key: Constraint) -> bool:
    """Whether the key's last column is a PERIOD."""
    return _PERIOD.match(key.definition) is not None


def certainly_serves(picture: Picture, key: Constraint, index: Index) -> bool:
    """Whether the index serves the key's checks beyond doubt.

    A usable B-tree without predicate whose first keys are exactly the key's columns in any order,
    with the columns' own collations, built-in operator classes and the parent's types.
    """
    width = len(key.columns)
    return (
        index.method == "btree"
        and is_usable(index)
        and index.predicate is None
        and index.key_count >= width
        and set(index.columns[:width]) == set(key.columns)
        and not is_temporal(key)
        and all(_plain(picture, index, position) for position in range(width))
        and _same_types(picture, key)
    )


def _plain(picture: Picture, index: Index, position: int) -> bool:
    column = picture.column(index.relation, index.columns[position])
    schema, _, name = index.operator_classes[position].partition(".")
    return (
        column is not None
        and column.collation == index.collations[position]
        and schema == "pg_catalog"
        and _OTHER_EQUALITY not in name
    )


def _same_types(picture: Picture, key: Constraint) -> bool:
    return all(
        child is not None and parent is not None and _type(child) == _type(parent)
        for child, parent in _pairs(picture, key)
    )


def _type(column: Column) -> tuple[str, str]:
    return column.type_schema, column.base_type


def _pairs(picture: Picture, key: Constraint) -> list[tuple[Column | None, Column | None]]:
    """Each referencing column with the one it references; None where the snapshot lacks it."""
    parent = key.foreign_relation or 0
    return [
        (picture.column(key.relation, child), picture.column(parent, number))
        for child, number in zip(key.columns, key.foreign_columns, strict=True)
    ]


def question(picture: Picture, key: Constraint, table: int) -> ServesQuestion | None:
    """Whether an index of `table`, the referencing table or a partition of it, serves the checks.

    The values compared are of the parent's types, as in the server's own check. None where the
    snapshot lacks a column.
    """
    relation = picture.relations.get(table)
    pairs = _pairs(picture, key)
    terms: list[str] = []
    types: list[str] = []
    for position, (child, parent) in enumerate(pairs, start=1):
        if child is None or parent is None:
            return None
        overlaps = position == len(pairs) and is_temporal(key)
        terms.append(f"{remedies.name(child.name)} {'&&' if overlaps else '='} ${position}")
        types.append(parent.type)
    if relation is None:
        return None
    return ServesQuestion(
        table=remedies.name(relation.schema, relation.name),
        predicate=" AND ".join(terms),
        parameter_types=tuple(types),
    )
