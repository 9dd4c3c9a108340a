"""What changed between two snapshots of one database.

Owns the comparison, pure: objects by name, counters as rates, ages as growth. Must never compare
counters across a restart of their window, and never two databases that are not the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

import msgspec

from howdah.errors import BadInput
from howdah.snapshot.facts.catalog import Row
from howdah.snapshot.model import Snapshot
from howdah.snapshot.picture import SYSTEM_SCHEMAS

_SAME_START = timedelta(seconds=5)
"""Two computed starts of one window may differ by what reading them took."""

Key = Callable[["_Names", Any], str]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One object that is not as it was. `before` and `after` hold the fields that differ."""

    what: str  # table, column, index, constraint, setting, ...
    name: str
    kind: str  # added, removed, changed
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """A counter's growth between the two snapshots."""

    name: str  # 'commits', 'public.orders inserted', ...
    count: float
    per_second: float


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """An age or a size, then and now."""

    name: str
    before: int
    after: int


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """All that changed. Without `rates`, `rates_reason` says why there are none."""

    seconds: float
    changes: tuple[Change, ...]
    rates: tuple[Rate, ...]
    rates_reason: str
    growth: tuple[Growth, ...]
    not_compared: tuple[str, ...]  # facts that one of the two does not know


class _Names:
    """Names of relations by oid, in one snapshot; oids mean nothing in the other one."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._relations = {
            row.oid: f"{row.schema}.{row.name}"
            for row in snapshot.relations.rows
            if row.schema not in SYSTEM_SCHEMAS and row.persistence != "t"
        }
        self._indexes = {row.oid: f"{row.schema}.{row.name}" for row in snapshot.indexes.rows}

    def relation(self, oid: int) -> str:
        return self._relations.get(oid, "")

    def index(self, oid: int) -> str:
        return self._indexes.get(oid, "")


class _Compared(msgspec.Struct, frozen=True):
    """How one fact is compared: what its rows are called, and which fields matter."""

    fact: str
    what: str
    key: Key
    fields: tuple[str, ...]


_COMPARED = (
    _Compared(
        "relations",
        "table",
        lambda names, row: names.relation(row.oid),
        ("kind", "persistence", "access_method", "replica_identity", "options", "toast_options"),
    ),
    _Compared(
        "columns",
        "column",
        lambda names, row: _below(names.relation(row.relation), row.name),
        ("type", "not_null", "default", "identity", "generated", "statistics_target", "options"),
    ),
    _Compared(
        "indexes",
        "index",
        lambda names, row: names.index(row.oid),
        ("definition", "is_valid", "is_clustered", "is_replica_identity", "constraint"),
    ),
    _Compared(
        "constraints",
        "constraint",
        lambda names, row: _below(names.relation(row.relation), row.name),
        ("definition", "is_validated", "is_enforced", "is_deferrable"),
    ),
    _Compared(
        "sequences",
        "sequence",
        lambda _, row: f"{row.schema}.{row.name}",
        ("data_type", "maximum", "increment", "cycles", "cache"),
    ),
    _Compared("settings", "setting", lambda _, row: row.name, ("value", "pending_restart")),
    _Compared("extensions", "extension", lambda _, row: row.name, ("version", "schema")),
    _Compared(
        "publications",
        "publication",
        lambda names, row: _below(row.name, names.relation(row.relation)),
        ("publishes_updates", "publishes_deletes", "via_root", "row_filter"),
    ),
    _Compared(
        "slots",
        "replication slot",
        lambda _, row: row.name,
        ("kind", "plugin", "is_active", "wal_status", "invalidation_reason"),
    ),
)


def diff(a: Snapshot, b: Snapshot, *, force: bool = False) -> Difference:
    """What changed from `a` to the later `b`.

    Raises `BadInput` for snapshots of different databases, unless forced: a restored copy has
    another identity although it holds the same objects.
    """
    if not force:
        _require_same(a, b)
    names = _Names(a), _Names(b)
    changes: list[Change] = []
    unknown = []
    for compared in _COMPARED:
        if a.fact(compared.fact).known and b.fact(compared.fact).known:
            changes += _changes(compared, a, b, names)
        else:
            unknown.append(compared.fact)
    rates, reason = _rates(a, b, names)
    return Difference(
        seconds=(b.taken_at - a.taken_at).total_seconds(),
        changes=tuple(changes),
        rates=rates,
        rates_reason=reason,
        growth=_growth(a, b, names),
        not_compared=tuple(unknown),
    )


def _below(parent: str, name: str) -> str:
    return f"{parent}.{name}" if parent and name else ""


def _require_same(a: Snapshot, b: Snapshot) -> None:
    one, other = a.server, b.server
    if one.database != other.database or one.system_identifier != other.system_identifier:
        raise BadInput(
            f"these are two databases: {one.database} of server {one.system_identifier or '?'}"
            f" and {other.database} of server {other.system_identifier or '?'}",
            hint="give two snapshots of one database, or compare them with --force",
        )


def _keyed(compared: _Compared, snapshot: Snapshot, names: _Names) -> dict[str, Any]:
    rows: Iterable[Any] = snapshot.fact(compared.fact).rows
    keyed = {compared.key(names, row): row for row in rows}
    keyed.pop("", None)
    return keyed


def _changes(
    compared: _Compared, a: Snapshot, b: Snapshot, names: tuple[_Names, _Names]
) -> list[Change]:
    old, new = _keyed(compared, a, names[0]), _keyed(compared, b, names[1])
    found = [
        Change(what=compared.what, name=name, kind="removed", before=_picked(compared, old[name]))
        for name in old.keys() - new.keys()
    ]
    found += [
        Change(what=compared.what, name=name, kind="added", after=_picked(compared, new[name]))
        for name in new.keys() - old.keys()
    ]
    for name in old.keys() & new.keys():
        before, after = _picked(compared, old[name]), _picked(compared, new[name])
        differing = [field for field in compared.fields if before[field] != after[field]]
        if differing:
            found.append(
                Change(
                    what=compared.what,
                    name=name,
                    kind="changed",
                    before={field: before[field] for field in differing},
                    after={field: after[field] for field in differing},
                )
            )
    return sorted(found, key=lambda change: (change.name, change.kind))


def _picked(compared: _Compared, row: Row) -> dict[str, Any]:
    return {field: getattr(row, field) for field in compared.fields}


def _rates(a: Snapshot, b: Snapshot, names: tuple[_Names, _Names]) -> tuple[tuple[Rate, ...], str]:
    seconds = (b.taken_at - a.taken_at).total_seconds()
    if seconds <= 0:
        return (), "the second snapshot is not younger than the first"
    if a.window.since is None or b.window.since is None:
        return (), "the start of the statistics is not known"
    if abs(b.window.since - a.window.since) > _SAME_START:
        return (), "the statistics started anew in between"
    old, new = _counters(a, names[0]), _counters(b, names[1])
    grown = {name: new[name] - old[name] for name in old.keys() & new.keys()}
    rates = [
        Rate(name=name, count=count, per_second=count / seconds)
        for name, count in grown.items()
        if count > 0
    ]
    return tuple(sorted(rates, key=lambda rate: (-rate.count, rate.name))), ""


def _counters(snapshot: Snapshot, names: _Names) -> dict[str, float]:
    found: dict[str, float] = {}
    for database in snapshot.databases.rows:
        if database.is_current:
            for field in ("commits", "rollbacks", "deadlocks", "temp_bytes", "sessions"):
                found[field] = getattr(database, field)
            found["active milliseconds"] = database.active_milliseconds
    for wal in snapshot.wal.rows:
        found |= {"WAL bytes": wal.bytes, "WAL full-page images": wal.full_page_images}
    for table in snapshot.table_statistics.rows:
        if name := names.relation(table.relation):
            for field in ("inserted", "updated", "deleted", "sequential_scans", "index_scans"):
                found[f"{name} {field}"] = getattr(table, field)
    for index in snapshot.index_statistics.rows:
        if name := names.index(index.index):
            found[f"{name} scans"] = index.scans
    return found


def _growth(a: Snapshot, b: Snapshot, names: tuple[_Names, _Names]) -> tuple[Growth, ...]:
    old, new = _levels(a, names[0]), _levels(b, names[1])
    found = [
        Growth(name=name, before=old[name], after=new[name])
        for name in old.keys() & new.keys()
        if old[name] != new[name]
    ]
    return tuple(sorted(found, key=lambda each: (-abs(each.after - each.before), each.name)))


def _levels(snapshot: Snapshot, names: _Names) -> Mapping[str, int]:
    """Ages of the databases and of users' tables, and measured sizes."""
    found: dict[str, int] = {}
    for database in snapshot.databases.rows:
        found[f"database {database.name}: xid age"] = database.xid_age
        found[f"database {database.name}: mxid age"] = database.mxid_age
    for size in snapshot.sizes.rows:
        if name := names.relation(size.relation) or names.index(size.relation):
            found[f"{name}: bytes"] = size.bytes
    for sequence in snapshot.sequences.rows:
        if sequence.last_value is not None:
            found[f"{sequence.schema}.{sequence.name}: last value"] = sequence.last_value
    return found
