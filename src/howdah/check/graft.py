"""A sandbox's snapshot, seen as the database it stands for.

Owns which facts a trial takes from where. A sandbox has the schema, the shape that was given to it,
and what the remedy made of both; it has no traffic, no neighbours and no history. So objects, their
state and their measurements come from the sandbox. How they are used comes from the database,
joined by name, because the sandbox has other oids. Everything else is the database's as it is.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from howdah.snapshot.facts import Fact, Status
from howdah.snapshot.facts.catalog import Index, Setting
from howdah.snapshot.facts.counters import IndexStatistics, TableStatistics
from howdah.snapshot.model import Snapshot
from howdah.snapshot.picture import Picture

FROM_SANDBOX = (
    "relations",
    "columns",
    "indexes",
    "constraints",
    "sequences",
    "inheritance",
    "partitioning",
    "publications",
    "foreign_tables",
    "extensions",
    "operator_overlaps",
    "collations",
    "column_statistics",
    "extended_statistics",
    "sizes",
    "table_space",
    "index_space",
    "pending_lists",
)


def graft(database: Snapshot, sandbox: Snapshot, *, settings: Collection[str] = ()) -> Snapshot:
    """The database's snapshot with the sandbox's objects in it.

    `settings` names the parameters that the trial sets; they are read from the sandbox.
    """
    objects = {name: sandbox.fact(name) for name in FROM_SANDBOX}
    return msgspec.structs.replace(
        database,
        **{**objects, "indexes": _ages(Picture(database), sandbox.indexes)},
        table_statistics=_tables(Picture(database), Picture(sandbox)),
        index_statistics=_indexes(Picture(database), Picture(sandbox)),
        settings=_settings(database, sandbox, settings),
        # keyed by the database's oids, which the sandbox does not have
        table_samples=Fact(status=Status.SKIPPED, reason="a sandbox has no traffic"),
    )


def _ages(database: Picture, fact: Fact[Index]) -> Fact[Index]:
    """The sandbox's indexes, each as old as the database's of that name."""
    ages = {database.index_name(oid): row.xid_age for oid, row in database.indexes.items()}
    rows = (
        msgspec.structs.replace(row, xid_age=ages.get(f"{row.schema}.{row.name}"))
        for row in fact.rows
    )
    return msgspec.structs.replace(fact, rows=tuple(rows))


# What traffic did to a table; the other counters tell the state that the table is in.
_TRAFFIC = (
    "sequential_scans",
    "sequential_rows",
    "index_scans",
    "index_rows",
    "inserted",
    "updated",
    "deleted",
    "hot_updated",
    "new_page_updated",
)


def _tables(database: Picture, sandbox: Picture) -> Fact[TableStatistics]:
    used = {
        database.relation_name(oid): {name: getattr(row, name) for name in _TRAFFIC}
        for oid, row in database.table_statistics.items()
    }
    fact = sandbox.snapshot.table_statistics
    rows = (
        msgspec.structs.replace(row, **used.get(sandbox.relation_name(row.relation), {}))
        for row in fact.rows
    )
    return msgspec.structs.replace(fact, rows=tuple(rows))


def _indexes(database: Picture, sandbox: Picture) -> Fact[IndexStatistics]:
    used = {database.index_name(oid): row for oid, row in database.index_statistics.items()}
    fact = sandbox.snapshot.index_statistics
    rows = (
        msgspec.structs.replace(used.get(sandbox.index_name(row.index), row), index=row.index)
        for row in fact.rows
    )
    return msgspec.structs.replace(fact, rows=tuple(rows))


def _settings(database: Snapshot, sandbox: Snapshot, names: Collection[str]) -> Fact[Setting]:
    if not names or not database.settings.known:
        return database.settings
    tried = {row.name: row for row in sandbox.settings.rows if row.name in names}
    rows = tuple(tried.get(row.name, row) for row in database.settings.rows)
    return msgspec.structs.replace(database.settings, rows=rows)
