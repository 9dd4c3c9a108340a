"""The relations of a sandbox before and after a statement, and what that difference means.

Owns the pure comparison. Must never ask the server.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from howdah.sandbox.run import LockHeld, Scan

_WITH_ROWS = ("r", "m")


class Relation(msgspec.Struct, frozen=True, kw_only=True):
    """One relation as the catalogs and this transaction's counters describe it."""

    oid: int
    name: str
    kind: str
    file: int | None
    table_oid: int | None
    valid: bool
    scans: int


Relations = dict[int, Relation]


def held(before: Relations, after: Relations, seen: Iterable[tuple[int, str]]) -> list[LockHeld]:
    """Name the locks: by what is there now, else by what was there before the statement."""
    found = set()
    for oid, mode in seen:
        relation = after.get(oid) or before.get(oid)
        found.add(
            LockHeld(
                relation=relation.name if relation else f"oid {oid}",
                kind=relation.kind if relation else "?",
                mode=mode,
                created=oid not in before,
            )
        )
    return sorted(found, key=lambda lock: (lock.relation, lock.mode))


def rewritten(before: Relations, after: Relations) -> tuple[str, ...]:
    """Tables that existed and now live in another file."""
    return tuple(
        sorted(
            now.name
            for oid, now in after.items()
            if now.kind in _WITH_ROWS and oid in before and before[oid].file != now.file
        )
    )


def scanned(before: Relations, after: Relations) -> tuple[Scan, ...]:
    """Tables whose sequential scan counter rose; a table made meanwhile has nothing to read."""
    return tuple(
        Scan(relation=now.name, kind=now.kind, times=now.scans - before[oid].scans)
        for oid, now in sorted(after.items())
        if now.kind in _WITH_ROWS and oid in before and now.scans > before[oid].scans
    )


def built(before: Relations, after: Relations) -> tuple[Relation, ...]:
    """Valid indexes with a file that is not the one from before, on tables that existed."""
    return tuple(
        now
        for oid, now in sorted(after.items())
        if now.kind == "i"
        and now.valid
        and now.table_oid in before
        and before[now.table_oid].kind != "t"
        and (oid not in before or before[oid].file != now.file or not before[oid].valid)
    )


def left_invalid(before: Relations, after: Relations) -> tuple[str, ...]:
    """Indexes that are invalid now and were not there, or were valid, before."""
    return tuple(
        sorted(
            now.name
            for oid, now in after.items()
            if not now.valid and (oid not in before or before[oid].valid)
        )
    )


def names_only_in(these: Relations, those: Relations) -> tuple[str, ...]:
    """Names of relations in `these` and not in `those`; TOAST stays out of sight."""
    known = {relation.name for relation in those.values()}
    return tuple(
        sorted(
            relation.name
            for relation in these.values()
            if relation.name not in known and not relation.name.startswith("pg_toast.")
        )
    )
