"""Hold up a statement that cannot run inside a transaction, so that its locks can be read.

Owns the holding up. Must never lose a race: a statement is only let on after it was read.

VACUUM, CREATE INDEX CONCURRENTLY and their kin take their locks, commit in between and let go; by
polling one sees them only by luck. Two kinds of gate make them wait where we want:

- a *shut* gate holds ACCESS EXCLUSIVE on a table. The statement queues for its first lock on that
  table, and the queue names the mode that it asks for.
- a *half-open* gate holds ROW EXCLUSIVE, as a writer would. It queues behind the statement while
  the gate is still shut, so that the server grants both in one step and the statement cannot slip
  through in between. Now the statement has its first lock, and waits as soon as it has to wait for
  writers, or asks for anything stronger.

Both are passed in the order in which the statement meets them. A statement that asks for ACCESS
SHARE first (VACUUM looks the table up, lets go and comes back) meets a second shut gate, queued in
the same way. VACUUM is not shown half-open gates: they would keep it from truncating.

A lock that is neither a table's first nor excludes a writer may be missed between two gates (DROP
INDEX CONCURRENTLY takes such a one on the index that nobody uses any more).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

import msgspec
import pglast
import psycopg
from pglast import ast
from pglast.visitors import Visitor
from psycopg import sql
from psycopg.rows import class_row, scalar_row

from howdah import query
from howdah.clock import Clock
from howdah.errors import TimedOut
from howdah.postgres.lock_modes import conflict
from howdah.sandbox.sandbox import Sandbox

_QUERIES = query.load("howdah.sandbox", "sql/measure.sql")

MOST_GATES = 16
"""Tables held up at once, two connections each; further tables are only polled."""

_LIMIT_SECONDS = 60.0
_POLL_SECONDS = 0.002


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """How a held-up statement ended, and every lock that was seen."""

    seconds: float
    """From the moment when the last gate was passed."""
    rows: int
    locks: frozenset[tuple[int, str]]
    error: psycopg.Error | None


class _Table(msgspec.Struct, frozen=True, kw_only=True):
    oid: int
    schema: str
    name: str


class Gates:
    """The gates in front of one statement."""

    def __init__(
        self,
        sandbox: Sandbox,
        observer: psycopg.Connection[Any],
        worker: psycopg.Connection[Any],
        clock: Clock,
    ) -> None:
        self._sandbox = sandbox
        self._observer = observer
        self._worker = worker
        self._pid = worker.info.backend_pid
        self._clock = clock
        self._gates: dict[int, _Gate] = {}
        self._seen: set[tuple[int, str]] = set()

    def run(self, statement: str, send: Callable[[], int]) -> Held:
        """Shut the gates, run `send` in another thread, and open them one after the other."""
        mentions = Mentions(statement)
        with ExitStack() as stack:
            pool = stack.enter_context(ThreadPoolExecutor(2 * MOST_GATES + 1))
            for table in self._tables(mentions) if mentions.tables else ():
                gate = _Gate(stack.enter_context(closing(self._sandbox.connect())), table)
                self._gates[gate.pid] = gate
            started = self._clock.monotonic()
            future = pool.submit(send)
            opened = self._watch(future, stack, pool, half_open=not mentions.vacuum)
            seconds = self._clock.monotonic() - (opened or started)
            error = future.exception()
            if error is not None and not isinstance(error, psycopg.Error):
                raise error
            return Held(
                seconds=seconds,
                rows=-1 if error else future.result(),
                locks=frozenset(self._seen),
                error=error,
            )

    def _watch(
        self, future: Future[int], stack: ExitStack, pool: ThreadPoolExecutor, *, half_open: bool
    ) -> float | None:
        """Read and open until the statement ends; when the last gate was opened, or None."""
        deadline = self._clock.monotonic() + _LIMIT_SECONDS
        opened = None
        while not future.done():
            if self._clock.monotonic() > deadline:
                self._give_up(future)
            blockers = self._blockers()
            waiting_at = [self._gates[pid] for pid in blockers if pid in self._gates]
            # Read after asking who blocks: a blocked statement stays as it is until a gate opens.
            self._seen.update(self._read())
            for gate in waiting_at:
                opened = self._clock.monotonic()
                self._pass(gate, stack, pool, half_open=half_open)
            if not waiting_at:
                self._clock.sleep(_POLL_SECONDS)
        for gate in self._gates.values():
            gate.open()
        return opened

    def _pass(
        self, gate: _Gate, stack: ExitStack, pool: ThreadPoolExecutor, *, half_open: bool
    ) -> None:
        asked = [mode for oid, mode in self._read() if oid == gate.table.oid]
        looked = asked == [_READER] and not half_open
        if gate.shut and (looked or (half_open and not any(conflict(m, _WRITER) for m in asked))):
            behind = stack.enter_context(closing(self._sandbox.connect()))
            follower = _Gate(behind, gate.table, shut=looked, queue=pool, is_queued=self._is_queued)
            self._gates[follower.pid] = follower
        gate.open()
        del self._gates[gate.pid]

    def _give_up(self, future: Future[int]) -> None:
        self._worker.cancel_safe()
        for gate in self._gates.values():
            gate.open()
        future.exception()
        raise TimedOut(
            f"a statement did not end within {_LIMIT_SECONDS:.0f} s in the sandbox",
            hint="close other sessions of the sandbox",
        )

    def _tables(self, mentions: Mentions) -> list[_Table]:
        with self._observer.cursor(row_factory=class_row(_Table)) as cursor:
            if mentions.names:
                text = _QUERIES.text("tables_of")
                named = cursor.execute(text, {"names": mentions.names}).fetchall()
                return named[:MOST_GATES]
            return cursor.execute(_QUERIES.text("all_tables")).fetchmany(MOST_GATES)

    def _blockers(self) -> list[int]:
        with self._observer.cursor(row_factory=scalar_row) as cursor:
            return cursor.execute(_QUERIES.text("blockers"), {"pid": self._pid}).fetchall()

    def _read(self) -> list[tuple[int, str]]:
        with self._observer.cursor() as cursor:
            return cursor.execute(_QUERIES.text("locks"), {"pid": self._pid}).fetchall()

    def _is_queued(self, pid: int) -> bool:
        with self._observer.cursor(row_factory=scalar_row) as cursor:
            row = cursor.execute(_QUERIES.text("waiting"), {"pid": pid}).fetchone()
        if not row:
            self._clock.sleep(_POLL_SECONDS)
        return bool(row)


_READER = "AccessShareLock"
_WRITER = "RowExclusiveLock"


class _Gate:
    """One transaction that holds one lock on one table until it is opened.

    With `queue` the lock is asked for in another thread, because it has to wait behind the
    statement, and construction returns once it does.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        table: _Table,
        *,
        shut: bool = True,
        queue: ThreadPoolExecutor | None = None,
        is_queued: Callable[[int], bool] | None = None,
    ) -> None:
        self.table = table
        self.shut = shut
        self.pid = connection.info.backend_pid
        self._connection = connection
        self._connection.execute("BEGIN")
        lock = sql.SQL(_QUERIES.text("gate")).format(
            table=sql.Identifier(table.schema, table.name),
            mode=sql.SQL("ACCESS EXCLUSIVE" if shut else "ROW EXCLUSIVE"),
        )
        self._granted: Future[Any] | None = None
        if queue is None or is_queued is None:
            self._connection.execute(lock)
            return
        self._granted = queue.submit(self._connection.execute, lock)
        while not is_queued(self.pid) and not self._granted.done():
            pass

    def open(self) -> None:
        """Let go; opening twice does no harm."""
        if self._granted is not None:
            self._granted.result()
        self._connection.rollback()


_ALL_TABLES = (ast.VacuumStmt, ast.ReindexStmt, ast.ClusterStmt, ast.CallStmt)


class Mentions(Visitor):
    """The relations that a statement names, and whether it is a VACUUM.

    `tables` says whether it touches tables at all: ALTER SYSTEM does not; VACUUM without a name and
    a text that does not parse touch all of them.
    """

    def __init__(self, statement: str) -> None:
        self.names: list[str] = []
        self.vacuum = False
        self.tables = False
        try:
            self(pglast.parse_sql(statement))
        except pglast.parser.ParseError:
            self.tables = True

    def visit(self, _ancestors: Any, node: ast.Node) -> None:
        """Collect from the node types that name relations."""
        self.vacuum = self.vacuum or isinstance(node, ast.VacuumStmt)
        self.tables = self.tables or isinstance(node, _ALL_TABLES)
        if isinstance(node, ast.RangeVar):
            self._add(node.schemaname, node.relname)
        elif isinstance(node, ast.DropStmt):  # lists names where others have tables
            for parts in node.objects or ():
                if isinstance(parts, tuple):
                    self._add(*(part.sval for part in parts))

    def _add(self, *parts: str | None) -> None:
        self.tables = True
        self.names.append(".".join('"' + part.replace('"', '""') + '"' for part in parts if part))
