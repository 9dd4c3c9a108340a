"""From the driver's rows to ours.

Owns that step, and the polish that a few facts get on the way: names of waits and SLRU caches in
the one vocabulary, statement texts without literals. Must never do a step of Python per row for a
fact that grows with the database.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import psycopg
from msgspec.structs import replace
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format

from howdah.postgres.versions import normal_slru, normal_wait
from howdah.snapshot.facts.activity import Session
from howdah.snapshot.facts.catalog import Row
from howdah.snapshot.facts.counters import Slru, Statement
from howdah.snapshot.texts import blanked

_BATCH = 5000
_SHARED_BYTES = 63  # as long as a name can be


def made(cursor: psycopg.Cursor[Any], kind: type[Row]) -> tuple[Row, ...]:
    """All rows of a cursor whose columns are the fields of `kind`, in their order."""
    rows: list[Row] = []
    decoder = list[kind]  # type: ignore[valid-type] # a type that is only known at run time
    while batch := cursor.fetchmany(_BATCH):
        rows.extend(msgspec.convert(batch, decoder))
    polish = _POLISH.get(kind)
    return tuple(rows) if polish is None else tuple(map(polish, rows))


def _session(row: Any) -> Session:
    wait = normal_wait(row.wait_type, row.wait_event) if row.wait_type and row.wait_event else None
    changed: Session = replace(
        row,
        wait_type=wait.type if wait else row.wait_type,
        wait_event=wait.event if wait else row.wait_event,
        query=None if row.query is None else blanked(row.query),
    )
    return changed


def _statement(row: Any) -> Statement:
    changed: Statement = replace(row, text=blanked(row.text))
    return changed


def _slru(row: Any) -> Slru:
    changed: Slru = replace(row, name=normal_slru(row.name))
    return changed


_POLISH: dict[type[Row], Callable[[Any], Row]] = {
    Session: _session,
    Statement: _statement,
    Slru: _slru,
}


class SharedText(Loader):
    """Text that is equal is one object: a hundred thousand columns have a handful of types.

    The cache lives as long as the cursor's loaders; long texts rarely repeat and are not kept.
    """

    format = Format.BINARY

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        self._known: dict[bytes, str] = {}

    def load(self, data: Buffer) -> str:
        """One value; the session's encoding is pinned to UTF-8."""
        raw = bytes(data)
        if len(raw) > _SHARED_BYTES:
            return raw.decode(errors="replace")
        known = self._known.get(raw)
        if known is None:
            known = self._known[raw] = raw.decode(errors="replace")
        return known


def share_texts(cursor: psycopg.Cursor[Any]) -> None:
    """Make a cursor read names and texts as shared objects."""
    for name in ("name", "text"):
        cursor.adapters.register_loader(name, SharedText)
