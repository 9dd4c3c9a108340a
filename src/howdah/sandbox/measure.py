"""One measured run: statements, and what the server itself reports about each.

Owns the session in which statements run and the reading of locks, files and counters around each.
Must never run outside a sandbox, and must never take a fact from the text of a message.

A statement first runs inside a transaction, where everything it holds can be read before COMMIT.
Those that the server refuses there (SQLSTATE 25001) run outside one, held up at known points while
a second session reads (`howdah.sandbox.gates`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import msgspec
import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import class_row, scalar_row

from howdah import query
from howdah.clock import SYSTEM_CLOCK, Clock
from howdah.errors import BadInput, from_database
from howdah.sandbox import relations
from howdah.sandbox.gates import Gates, Held
from howdah.sandbox.marker import require_sandbox
from howdah.sandbox.relations import Relation, Relations
from howdah.sandbox.run import Refusal, Run, Scan, StatementRun
from howdah.sandbox.sandbox import Sandbox

QUERIES = query.load("howdah.sandbox", "sql/measure.sql")

# active_sql_transaction: "cannot run inside a transaction block"; invalid_transaction_termination:
# a procedure that commits.
_WANTS_NO_TRANSACTION = ("25001", "2D000")

_MESSAGES_KEPT = 100


def measure(
    sandbox: Sandbox,
    statements: Sequence[str],
    *,
    role: str | None = None,
    lock_timeout_ms: int = 0,
    statement_timeout_ms: int = 0,
    clock: Clock = SYSTEM_CLOCK,
) -> Run:
    """Run `statements` one by one, each in its own transaction, and report what each did.

    The run ends at the first statement that the server refuses; its `Refusal` is part of the value,
    not an exception. `role` is what SET ROLE takes. Zero means no timeout. Raises `NotASandbox`,
    and `BadInput` for an entry that is several statements or that ends the transaction.
    """
    with closing(sandbox.connect()) as connection:
        require_sandbox(connection)
        session = _Session(sandbox, connection, clock)
        session.prepare(role, lock_timeout_ms, statement_timeout_ms)
        done: list[StatementRun] = []
        for statement in statements:
            done.append(session.run(statement))
            if done[-1].refusal is not None:
                break
        version = server_version(connection)
    return Run(server=version, statements=tuple(done), planned=len(statements))


def server_version(connection: psycopg.Connection[Any]) -> str:
    """The server's version as people write it: `18.6`."""
    number = connection.info.server_version
    return f"{number // 10000}.{number % 100}"


class _Session:
    """The connection that runs the statements."""

    def __init__(self, sandbox: Sandbox, connection: psycopg.Connection[Any], clock: Clock) -> None:
        self._sandbox = sandbox
        self._connection = connection
        self._clock = clock
        self._messages: list[str] | None = None
        connection.add_notice_handler(self._notice)

    def prepare(self, role: str | None, lock_timeout_ms: int, statement_timeout_ms: int) -> None:
        self._connection.execute(
            QUERIES.text("session"),
            {"lock_timeout_ms": lock_timeout_ms, "statement_timeout_ms": statement_timeout_ms},
        )
        if role is not None:
            try:
                self._connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
            except psycopg.Error as error:
                raise from_database(error) from error

    def run(self, statement: str) -> StatementRun:
        inside = self._inside(statement)
        if inside.refusal is not None and inside.refusal.sqlstate in _WANTS_NO_TRANSACTION:
            return self._outside(statement)
        return inside

    def _inside(self, statement: str) -> StatementRun:
        self._connection.execute("BEGIN")
        try:
            before = read_relations(self._connection)
            wal = _wal(self._connection)
            with self._listening() as messages:
                started = self._clock.monotonic()
                rows = self._send(statement)
                seconds = self._clock.monotonic() - started
                if self._idle():
                    raise BadInput("a measured statement ends the transaction", detail=statement)
                # Deferred checks would run, scan and lock at COMMIT, when nothing can be read.
                self._connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            wal = _wal(self._connection) - wal
            seen = read_locks(self._connection, self._connection.info.backend_pid)
            after = read_relations(self._connection)
            self._connection.execute("COMMIT")
        except psycopg.Error as error:
            return _refused(statement, error, transactional=True)
        finally:
            if not self._idle():
                self._connection.execute("ROLLBACK")
        return _compare(
            StatementRun(
                statement=statement,
                transactional=True,
                seconds=seconds,
                wal_bytes=wal,
                rows=rows,
                messages=tuple(messages),
                scanned=relations.scanned(before, after),
            ),
            before,
            after,
            seen,
        )

    def _outside(self, statement: str) -> StatementRun:
        with closing(self._sandbox.connect()) as observer, self._listening() as messages:
            before = read_relations(observer)
            gates = Gates(self._sandbox, observer, self._connection, self._clock)
            wal = _wal(observer)
            outcome: Held = gates.run(statement, lambda: self._send(statement))
            wal = _wal(observer) - wal
            after = read_relations(observer)
        run = StatementRun(
            statement=statement,
            transactional=False,
            seconds=outcome.seconds,
            wal_bytes=wal,
            rows=outcome.rows,
            messages=tuple(messages),
            scanned=_read_for_indexes(before, after),
            refusal=_refusal(outcome.error) if outcome.error else None,
        )
        return _compare(run, before, after, outcome.locks)

    def _send(self, statement: str) -> int:
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            if cursor.nextset():
                raise BadInput(
                    "a measured entry is several statements",
                    detail=statement,
                    hint="pass them one by one",
                )
            return cursor.rowcount

    def _idle(self) -> bool:
        return self._connection.info.transaction_status == TransactionStatus.IDLE

    @contextmanager
    def _listening(self) -> Iterator[list[str]]:
        self._messages = []
        try:
            yield self._messages
        finally:
            self._messages = None

    def _notice(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        if self._messages is not None and len(self._messages) < _MESSAGES_KEPT:
            self._messages.append(diagnostic.message_primary or "")


def read_relations(connection: psycopg.Connection[Any]) -> Relations:
    """Every user relation by oid, as this session sees it now."""
    with connection.cursor(row_factory=class_row(Relation)) as cursor:
        rows = cursor.execute(QUERIES.text("relations")).fetchall()
    return {row.oid: row for row in rows}


def read_locks(connection: psycopg.Connection[Any], pid: int) -> list[tuple[int, str]]:
    """Relation and mode of every lock that backend holds or queues for."""
    return connection.execute(QUERIES.text("locks"), {"pid": pid}).fetchall()


def _wal(connection: psycopg.Connection[Any]) -> int:
    with connection.cursor(row_factory=scalar_row) as cursor:
        return int(cursor.execute(QUERIES.text("wal")).fetchone() or 0)


def _compare(
    run: StatementRun, before: Relations, after: Relations, seen: Iterable[tuple[int, str]]
) -> StatementRun:
    return msgspec.structs.replace(
        run,
        locks=tuple(relations.held(before, after, seen)),
        rewritten=relations.rewritten(before, after),
        indexes_built=tuple(index.name for index in relations.built(before, after)),
        indexes_invalid=relations.left_invalid(before, after),
        created=relations.names_only_in(after, before),
        dropped=relations.names_only_in(before, after),
    )


def _read_for_indexes(before: Relations, after: Relations) -> tuple[Scan, ...]:
    """Outside a transaction there are no counters to trust; an index build reads its table."""
    tables = Counter(index.table_oid for index in relations.built(before, after))
    return tuple(
        Scan(relation=after[oid].name, kind=after[oid].kind, times=times)
        for oid, times in tables.items()
        if oid is not None
    )


def _refused(statement: str, error: psycopg.Error, *, transactional: bool) -> StatementRun:
    return StatementRun(
        statement=statement, transactional=transactional, seconds=0.0, refusal=_refusal(error)
    )


def _refusal(error: psycopg.Error) -> Refusal:
    return Refusal(
        sqlstate=error.sqlstate or "",
        message=error.diag.message_primary or str(error).strip(),
        detail=error.diag.message_detail or "",
    )
