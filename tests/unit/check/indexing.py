"""Hand-made tables and indexes for the tests of index rules."""

from __future__ import annotations

from typing import Any

from howdah.snapshot.facts.catalog import Column, Index, Relation
from howdah.snapshot.facts.counters import IndexStatistics, TableStatistics
from tests.making import row

DEFAULT_COLLATION = 100
NAMES = "abcdefgh"


def table(oid: int = 1, name: str = "orders", **given: Any) -> Relation:
    """An ordinary table of 1,000 rows in 100 pages."""
    values = {"kind": "r", "persistence": "p", "tuples": 1000.0, "pages": 100} | given
    return row(Relation, oid=oid, schema="public", name=name, **values)


def columns(relation: int = 1, names: str = NAMES, **given: Any) -> list[Column]:
    """Columns a, b, c, ... of type integer, numbered from 1."""
    values = {"type": "integer", "base_type": "int4", "type_schema": "pg_catalog"} | given
    return [
        row(Column, relation=relation, number=number, name=name, **values)
        for number, name in enumerate(names, start=1)
    ]


def index(oid: int, keys: str, *, include: str = "", name: str = "", **given: Any) -> Index:
    """A usable B-tree on the columns named by one letter each, 'ab' for (a, b)."""
    letters = keys + include
    values: dict[str, Any] = {
        "relation": 1,
        "schema": "public",
        "name": name or f"orders_{'_'.join(keys)}_idx",
        "method": "btree",
        "columns": tuple(NAMES.index(letter) + 1 for letter in letters),
        "column_definitions": tuple(letters),
        "key_count": len(keys),
        "operator_classes": ("pg_catalog.int4_ops",) * len(keys),
        "collations": (0,) * len(keys),
        "column_options": (0,) * len(keys),
        "is_immediate": True,
        "is_valid": True,
        "is_ready": True,
        "is_live": True,
        "definition": f"CREATE INDEX i{oid} ON public.orders ({', '.join(keys)})",
        "pages": 10,
    }
    return row(Index, oid=oid, **(values | given))


def writes(relation: int = 1, inserted: int = 0, updated: int = 0, **given: Any) -> TableStatistics:
    """Counters of a table."""
    return row(TableStatistics, relation=relation, inserted=inserted, updated=updated, **given)


def scanned(oid: int, scans: int) -> IndexStatistics:
    """Counters of an index."""
    return row(IndexStatistics, index=oid, scans=scans)
