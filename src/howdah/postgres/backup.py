"""A physical copy of a server of ours, taken while it runs or while it is stopped.

Owns what is copied and in which order: PostgreSQL's documented low-level base backup. Must never
be used on a server that is not ours, and never leaves a backup open.

One path serves all versions and needs no client program; `pg_basebackup` would do the same through
a connection, more slowly, and is missing from small installations.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psycopg

from howdah.errors import CouldNot
from howdah.postgres.account import Account
from howdah.postgres.copying import copy_tree
from howdah.postgres.guardian import MARKER
from howdah.query import load

_QUERIES = load("howdah.postgres", "sql/server.sql")

# PostgreSQL documentation, "Making a Base Backup Using the Low Level API": what to leave out.
_LEFT_OUT = frozenset(
    {"postmaster.pid", "postmaster.opts", "current_logfiles", "backup_label", "backup_manifest"}
    | {"standby.signal", "recovery.signal", MARKER, "howdah.log"}
)
_LEFT_EMPTY = frozenset(
    {"pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_stat_tmp"}
    | {"pg_subtrans"}
)


def left_out(path: str) -> bool:
    """Whether a path inside a data folder is no part of a copy.

    >>> [left_out(path) for path in ("PG_VERSION", "postmaster.pid", "pg_replslot/*", "pg_wal/0")]
    [False, True, True, False]
    """
    name = path.rpartition("/")[2]
    return (
        path in _LEFT_OUT
        or (path.removesuffix("/*") in _LEFT_EMPTY and path.endswith("/*"))
        or name.startswith(("pgsql_tmp", "pg_internal.init"))
    )


def _without_wal(path: str) -> bool:
    return left_out(path) or path == "pg_wal/*"


def copy_stopped(source: Path, target: Path, account: Account) -> None:
    """Copy the data folder of a server that does not run."""
    copy_tree(source, target, account, left_out)


@contextlib.contextmanager
def copied_running(
    connection: psycopg.Connection, major: int, source: Path, target: Path, account: Account
) -> Iterator[None]:
    """Copy the data folder of the running server that `connection` leads to.

    While the context is open the server keeps all WAL since the copy began, so that a standby can
    be started and can catch up. The label in `target` makes its recovery start at the right place.
    """
    with connection.cursor() as cursor:
        cursor.execute(_QUERIES.text("hold_wal"), {"name": f"howdah_{target.parent.name}"})
        cursor.execute(_QUERIES.text("start_backup", major))
        copy_tree(source, target, account, _without_wal)
        row = cursor.execute(_QUERIES.text("stop_backup", major)).fetchone()
    if row is None:
        raise CouldNot("the server did not end its backup")
    label = target / "backup_label"
    label.write_text(row[0], encoding="utf-8")
    account.give(label)
    copy_tree(source / "pg_wal", target / "pg_wal", account)
    yield
