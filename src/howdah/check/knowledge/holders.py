"""Who holds the horizon: everything whose snapshot or transaction keeps dead rows from removal.

Owns the server's own account of what a vacuum of one database must respect (ComputeXidHorizons):
sessions and prepared transactions of that database, and replication slots and standbys of any.
Must never judge whether that matters: the rules weigh the effect.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql

from howdah.check import remedies
from howdah.check.model import Remedy
from howdah.snapshot.facts.activity import IndexBuild, Session
from howdah.snapshot.picture import Picture


@dataclass(frozen=True, kw_only=True)
class Holder:
    """One thing that holds the horizon `age` transactions back."""

    kind: str  # 'session', 'prepared transaction', 'replication slot', 'standby'
    name: str
    database: str | None  # None: holds every database
    age: int  # transactions, of the oldest id it needs
    seconds: float | None  # since it began; None where the server does not tell
    remedy: Remedy
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def evidence(self) -> dict[str, Any]:
        """The holder as an evidence row."""
        return {
            "holder": self.kind,
            "name": self.name,
            "database": self.database,
            "xmin_age": self.age,
            "seconds": None if self.seconds is None else round(self.seconds),
            **self.details,
        }


def holders(picture: Picture) -> tuple[Holder, ...]:
    """All holders of the data horizon, the oldest first."""
    found = [*_sessions(picture), *_prepared(picture), *_slots(picture), *_standbys(picture)]
    return tuple(sorted(found, key=lambda holder: (-holder.age, holder.kind, holder.name)))


def of_database(found: tuple[Holder, ...], database: str) -> tuple[Holder, ...]:
    """Those that hold this database: its own, and those that hold every database."""
    return tuple(holder for holder in found if holder.database in (None, database))


def catalog_holders(picture: Picture) -> tuple[Holder, ...]:
    """Slots whose catalog_xmin holds the catalogs only, the oldest first."""
    found = [
        Holder(
            kind="replication slot",
            name=slot.name,
            database=slot.database,
            age=slot.catalog_xmin_age,
            seconds=slot.seconds_inactive,
            remedy=_drop_slot(slot.name),
            details={"is_active": slot.is_active, "retained_bytes": slot.retained_bytes},
        )
        for slot in picture.snapshot.slots.rows
        if slot.catalog_xmin_age is not None
    ]
    return tuple(sorted(found, key=lambda holder: (-holder.age, holder.name)))


def unsure_sessions(picture: Picture, database: str) -> int:
    """Sessions of this database that hold a snapshot, and may or may not be a harmless VACUUM.

    The age of a session's snapshot is visible to every role, but not what it does: only where some
    vacuum or index build is hidden from the role can a hidden session be one.
    """
    if not _are_some_hidden(picture):
        return 0
    return sum(
        _age(row) is not None and not row.is_visible and row.database in (None, database)
        for row in picture.snapshot.sessions.rows
    )


def _are_some_hidden(picture: Picture) -> bool:
    facts = (picture.snapshot.vacuum_progress, picture.snapshot.index_builds)
    return any(not fact.known or fact.left_out for fact in facts)


def _age(row: Session) -> int | None:
    """Of the oldest id that the session needs: its own transaction's, or its snapshot's."""
    return max((age for age in (row.xid_age, row.xmin_age) if age is not None), default=None)


def _sessions(picture: Picture) -> Iterator[Holder]:
    harmless = _harmless(picture)
    standbys = {row.pid for row in picture.snapshot.standbys.rows}
    unsure = _are_some_hidden(picture)
    for row in picture.snapshot.sessions.rows:
        age = _age(row)
        if age is None or row.is_own or row.pid in harmless or row.pid in standbys:
            continue
        if unsure and not row.is_visible:
            continue
        yield Holder(
            kind="session",
            name=f"process {row.pid}",
            database=row.database,
            age=age,
            seconds=row.seconds_in_transaction,
            remedy=end_session(row.pid),
            details={
                "role": row.role,
                "application": row.application,
                "state": row.state,
                "query": row.query,
            },
        )


def _harmless(picture: Picture) -> frozenset[int]:
    """Processes whose snapshot no vacuum respects: VACUUM, and a safe concurrent index build."""
    vacuums = {row.pid for row in picture.snapshot.vacuum_progress.rows}
    builds = {row.pid for row in picture.snapshot.index_builds.rows if _is_safe(picture, row)}
    return frozenset(vacuums | builds)


def _is_safe(picture: Picture, build: IndexBuild) -> bool:
    """A concurrent build is ignored unless its index has an expression or a predicate."""
    if "CONCURRENTLY" not in build.command:
        return False
    index = picture.indexes.get(build.index_oid)
    return index is not None and index.predicate is None and 0 not in index.columns


def _prepared(picture: Picture) -> Iterator[Holder]:
    for row in picture.snapshot.prepared_transactions.rows:
        statement = sql.SQL("ROLLBACK PREPARED {}").format(sql.Literal(row.gid)).as_string(None)
        yield Holder(
            kind="prepared transaction",
            name=row.gid,
            database=row.database,
            age=row.xid_age,
            seconds=row.seconds_prepared,
            remedy=remedies.manual(
                "end-prepared-transaction",
                {"gid": row.gid},
                (statement,),
                "or COMMIT PREPARED: only its transaction manager knows which",
            ),
            details={"role": row.role},
        )


def _slots(picture: Picture) -> Iterator[Holder]:
    for row in picture.snapshot.slots.rows:
        if row.xmin_age is not None:
            yield Holder(
                kind="replication slot",
                name=row.name,
                database=None,
                age=row.xmin_age,
                seconds=row.seconds_inactive,
                remedy=_drop_slot(row.name),
                details={"is_active": row.is_active, "retained_bytes": row.retained_bytes},
            )


def _standbys(picture: Picture) -> Iterator[Holder]:
    for row in picture.snapshot.standbys.rows:
        if row.xmin_age is not None:
            yield Holder(
                kind="standby",
                name=row.application or f"process {row.pid}",
                database=None,
                age=row.xmin_age,
                seconds=None,
                remedy=remedies.manual(
                    "end-standby-query",
                    {"standby": row.application},
                    (),
                    "end the long query on the standby, or set hot_standby_feedback = off there "
                    "and accept that such queries are cancelled",
                ),
                details={"client": row.client, "state": row.state},
            )


def end_session(pid: int) -> Remedy:
    """End a session that holds or blocks something; only a person may decide that."""
    call = sql.SQL("SELECT pg_catalog.pg_terminate_backend({})").format(sql.Literal(pid))
    return remedies.manual(
        "end-session",
        {"pid": str(pid)},
        (call.as_string(None),),
        "its open transaction is rolled back; ask its owner first",
    )


def _drop_slot(name: str) -> Remedy:
    call = sql.SQL("SELECT pg_catalog.pg_drop_replication_slot({})").format(sql.Literal(name))
    return remedies.manual(
        "drop-slot",
        {"slot": name},
        (call.as_string(None),),
        "its consumer cannot go on from where it was: make sure that it is gone for good",
    )
