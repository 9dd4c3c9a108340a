"""How long a snapshot takes and how much memory, by the number of relations.

Owns one bench: tables are made on a server of ours, the collector runs in a process of its own so
that its peak memory is its own, and the bare catalog statements run beside it as the physical
limit. Targets: issue and design, "1,000 tables in under 2 s, 100,000 relations in under 30 s with
under 500 MB, the own snapshot never held over 5 s".
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import psycopg
from psycopg import sql

from howdah import query
from howdah.clock import SYSTEM_CLOCK, Clock
from howdah.errors import StatementFailed
from howdah.postgres import Server

_LOAD = query.load("howdah.bench", "sql/relations.sql")
_BATCH = 500  # tables a transaction: each holds its locks until it ends
_CHILD = "howdah.bench.measured_take"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What a size must stay under."""

    tables: int
    seconds: float
    megabytes: float
    held_seconds: float = 5.0


TARGETS = (
    Target(tables=1_000, seconds=2.0, megabytes=500.0),
    Target(tables=50_000, seconds=30.0, megabytes=500.0),
)


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What the collecting process says of itself."""

    seconds: float  # without the pause between the two counter samples, which is switched off
    held_seconds: float  # how long the snapshot that holds the horizon was open
    megabytes: float  # peak resident memory of the process
    file_bytes: int
    not_known: tuple[str, ...]  # facts that were asked for and could not be read, with why


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One size, measured."""

    relations: int
    taken: Taken
    bare_seconds: float
    target: Target

    @property
    def ratio_to_bare(self) -> float:
        """How many times the bare statements the collector took."""
        return self.taken.seconds / self.bare_seconds

    @property
    def met(self) -> bool:
        """Whether every target of this size was met."""
        return (
            self.taken.seconds < self.target.seconds
            and self.taken.megabytes < self.target.megabytes
            and self.taken.held_seconds < self.target.held_seconds
        )


def run(progress: Callable[[str], None], *, clock: Clock = SYSTEM_CLOCK) -> tuple[Figure, ...]:
    """Measure every size of `TARGETS` on one server, growing one database."""
    figures = []
    with Server.start() as server:
        dsn = server.create_database("bench")
        with server.connect("bench") as connection:
            connection.execute("CREATE SCHEMA bench")
            made = 0
            for target in TARGETS:
                progress(f"creating tables up to {target.tables:,}")
                _grow(connection, made, target.tables)
                made = target.tables
                progress(f"taking a snapshot of {target.tables:,} tables")
                figures.append(_measure(connection, dsn, target, clock))
    return tuple(figures)


def _grow(connection: psycopg.Connection, made: int, wanted: int) -> None:
    block: str = _LOAD.text("tables")
    for first in range(made + 1, wanted + 1, _BATCH):
        last = min(first + _BATCH - 1, wanted)
        statement = sql.SQL(block).format(first=sql.Literal(first), last=sql.Literal(last))
        connection.execute(statement)
    connection.execute("VACUUM ANALYZE pg_catalog.pg_class, pg_catalog.pg_attribute")


def _measure(connection: psycopg.Connection, dsn: str, target: Target, clock: Clock) -> Figure:
    started = clock.monotonic()
    connection.execute(_LOAD.text("bare").encode()).fetchall()
    bare = clock.monotonic() - started
    counted = connection.execute("SELECT count(*) FROM pg_catalog.pg_class").fetchone()
    assert counted is not None, "count(*) always gives a row"
    with TemporaryDirectory(prefix="howdah-bench-") as folder:
        taken = _in_a_process(dsn, Path(folder) / "bench.snap")
    return Figure(relations=counted[0], taken=taken, bare_seconds=bare, target=target)


def _in_a_process(dsn: str, path: Path) -> Taken:
    command = [sys.executable, "-m", _CHILD, dsn, str(path)]
    ended = subprocess.run(command, capture_output=True, check=False)
    if ended.returncode != 0:
        raise StatementFailed("the collecting process failed", detail=ended.stderr.decode()[-2000:])
    return msgspec.json.decode(ended.stdout, type=Taken)
