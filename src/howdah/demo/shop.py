"""The shop: its tables and rows, and the mistakes that its builders made.

Owns what is planted before the traffic starts. Must only be given a database of a server that we
started: it creates and fills without asking.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg

from howdah import query
from howdah.postgres import Server

DATABASE = "shop"
# What the diagnosis and the story need of the server; the rest is as PostgreSQL has it.
SETTINGS = {
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track_utility": "on",
    "wal_level": "logical",
    "autovacuum_naptime": "5s",
    "track_io_timing": "on",
    "fsync": "on",  # servers of ours go without it; a shop would not
}

_SHOP = query.load("howdah.demo", "sql/shop.sql")
_MONTHS = (-2, -1, 0)  # two past months and this one; nobody made the next

Progress = Callable[[str], None]


def build(server: Server, progress: Progress) -> str:
    """Create and fill the shop; returns its DSN."""
    dsn = server.create_database(DATABASE)
    with server.connect(DATABASE) as connection:
        progress("creating tables")
        connection.execute("CREATE EXTENSION pg_stat_statements")
        connection.execute("CREATE EXTENSION pgstattuple")
        _run(connection, "schema")
        for offset in _MONTHS:
            month = connection.execute(_SHOP.text("partition"), {"offset": offset})
            for (statement,) in month.fetchall():
                connection.execute(statement)
        progress("filling them: 340,000 rows")
        _run(connection, "rows")
        _run(connection, "not_valid")
        _run(connection, "publish")
        progress("vacuum, as time would have done it")
        _run(connection, "settle")
        _fail_a_unique_build(connection)
    return dsn


def _run(connection: psycopg.Connection[Any], block: str) -> None:
    connection.execute(_SHOP.text(block).encode())


def _fail_a_unique_build(connection: psycopg.Connection[Any]) -> None:
    """Leave an invalid index behind, the way it happens: a unique build meets duplicates."""
    try:
        _run(connection, "duplicate_mails")
    except psycopg.errors.UniqueViolation:
        return
    raise AssertionError("the unique build was meant to fail on duplicates")
