"""When one index can do everything that another one does: the key algebra of redundancy.

Owns `covers` (may this index take over the other's work?) and `duty` (does an index do more than
serve scans?). Must never look at counters or sizes: what it says follows from definitions alone.

The algebra is strict. Two keys are the same if the server prints the same column or expression with
the same operator class, collation and direction; two predicates if it prints the same text. What is
equivalent in a subtler way is left alone, on purpose:

- `(a DESC)` read backwards equals `(a)`, but rows with equal keys come in the other order and a
  person who wrote DESC may have meant the direction of the scan;
- `(b, a)` holds what `(a, b)` holds, and finds it by another key;
- a full index holds what a partial one holds, and is larger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from howdah.snapshot.facts.catalog import Index

# Storage parameters that change an index's size or upkeep but not which rows it finds. Any other
# (pages_per_range of BRIN, the lengths of bloom) must be equal.
_HARMLESS_OPTIONS = frozenset(
    {
        "fillfactor",
        "deduplicate_items",
        "fastupdate",
        "gin_pending_list_limit",
        "buffering",
        "autosummarize",
    }
)
_BTREE = "btree"

Key = tuple[str, str, int, int]  # definition, operator class, collation, direction


def is_usable(index: Index) -> bool:
    """Whether queries may use it: valid, ready and not being dropped."""
    return index.is_valid and index.is_ready and index.is_live


def keys(index: Index) -> tuple[Key, ...]:
    """The key columns, each with all that makes it differ from another key."""
    return tuple(
        zip(
            index.column_definitions[: index.key_count],
            index.operator_classes,
            index.collations,
            index.column_options,
            strict=True,
        )
    )


def included(index: Index) -> frozenset[str]:
    """Names of the INCLUDE columns."""
    return frozenset(index.column_definitions[index.key_count :])


def covers(survivor: Index, other: Index) -> bool:
    """Whether `survivor` alone answers and enforces all that `other` does, on the same table.

    A B-tree takes over a prefix of its own keys; any other method only the same keys. The columns
    that `other` INCLUDEs must be somewhere in `survivor`, as keys or included. Uniqueness is taken
    over by a UNIQUE index on exactly the same keys, checked as early and as strict about NULLs.
    """
    return (
        survivor.oid != other.oid
        and survivor.relation == other.relation
        and survivor.method == other.method
        and survivor.predicate == other.predicate
        and is_usable(survivor)
        and is_usable(other)
        and _options(survivor) == _options(other)
        and _keys_cover(survivor, other)
        and included(other) <= frozenset(survivor.column_definitions)
        and (not other.is_unique or _enforces(survivor, other))
    )


def _keys_cover(survivor: Index, other: Index) -> bool:
    mine, theirs = keys(survivor), keys(other)
    if survivor.method != _BTREE:
        return mine == theirs
    return mine[: len(theirs)] == theirs


def _enforces(survivor: Index, other: Index) -> bool:
    """Whether `survivor` refuses every row that the unique `other` refuses, and not later."""
    return (
        survivor.is_unique
        and survivor.key_count == other.key_count
        and survivor.is_immediate
        and (survivor.nulls_not_distinct or not other.nulls_not_distinct)
    )


def _options(index: Index) -> frozenset[str]:
    return frozenset(o for o in index.options if o.partition("=")[0] not in _HARMLESS_OPTIONS)


def duty(index: Index) -> str:
    """What the index does besides serving scans and uniqueness, '' if nothing.

    Such an index cannot be dropped, or not without losing more than an access path.
    """
    duties = (
        (index.is_primary, "it is the primary key"),
        (index.is_exclusion, "it enforces an exclusion constraint"),
        (index.constraint is not None, f"it backs the constraint {index.constraint}"),
        (index.foreign_keys_served > 0, "foreign keys reference it"),
        (index.is_replica_identity, "it is the replica identity"),
        (index.is_clustered, "the table is clustered on it"),
        (index.is_extension_member, "it belongs to an extension"),
    )
    return next((why for holds, why in duties if holds), "")


def redundant(
    indexes: Sequence[Index], droppable: Callable[[Index], bool]
) -> Iterator[tuple[Index, Index]]:
    """Each index of one table that could go, with the one that takes over its work.

    Of twins, which cover each other, exactly one stays: one that is not `droppable`, else the one
    with the shorter and earlier name. The survivor named is never among those that could go:
    covering is transitive, so whatever takes over a survivor takes over both. Of several survivors
    the smallest is named.
    """
    order = {
        index.oid: (droppable(index), not index.is_primary, len(index.name), index.name, index.oid)
        for index in indexes
    }
    better = {
        index.oid: [
            other
            for other in indexes
            if covers(other, index)
            and (not covers(index, other) or order[other.oid] < order[index.oid])
        ]
        for index in indexes
        if droppable(index)
    }
    going = {oid for oid, others in better.items() if others}
    for index in indexes:
        staying = [other for other in better.get(index.oid, ()) if other.oid not in going]
        if staying:
            yield index, min(staying, key=lambda other: (len(other.columns), order[other.oid]))


def are_twins(one: Index, other: Index) -> bool:
    """Whether each could take over the other's work."""
    return covers(one, other) and covers(other, one)
