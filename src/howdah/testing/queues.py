"""Queues in the tests of programs: run what is due, see what was enqueued, move the time.

Owns a dispatcher and a worker in one, without threads, on the connection of the test. Must never
run beside a real worker of the same queue: one of the two would be superseded.

    with psycopg.connect(dsn, autocommit=True) as connection:
        send_mail.enqueue(connection, address="ann@example.org")
        assert_enqueued(queue, connection, "send_mail", {"address": "ann@example.org"})
        assert [ran.error for ran in drain(queue, connection)] == [None]
"""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from howdah.clock import SYSTEM_CLOCK
from howdah.driver import run
from howdah.errors import BadInput
from howdah.postgres import connect
from howdah.query import load
from howdah.queue import BoundJob, Queue, desk, store
from howdah.queue.context import JobContext, entering, leaving
from howdah.queue.desk import Assignment, JobRow, Lease
from howdah.queue.dispatch import Dispatching
from howdah.queue.model import Claim, Left, Registered
from howdah.queue.operate import BUCKETS
from howdah.queue.running import Outcome, Runner, Running, by_kind

__all__ = [
    "Enqueued",
    "Ran",
    "SqlTime",
    "assert_enqueued",
    "drain",
    "enqueued",
    "run_job",
    "sql_time",
]

_QUERIES = load("howdah.testing", "sql/queues.sql")


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt that `drain` made. `error` None: it ended well. `result` only if it is kept."""

    job: int
    kind: str
    attempt: int
    error: str | None = None
    result: Any = None


class Enqueued(msgspec.Struct, frozen=True, kw_only=True):
    """One job as it was enqueued; `due` if it was put off."""

    job: int
    kind: str
    arguments: Mapping[str, Any]
    key: str | None
    headers: Mapping[str, Any]
    due: datetime | None


# Running


def drain(queue: Queue, where: psycopg.Connection[Any] | str, *, most: int = 10_000) -> list[Ran]:
    """Run everything that is due in this thread, in the dispatcher's order, until nothing is.

    `where` is a DSN or an autocommit connection; jobs of open transactions are not seen. Retries
    that are due at once run too. Handlers for processes run here as well. Stops after `most`
    attempts. Raises `Superseded` if a real dispatcher takes the queue over meanwhile.
    """
    if isinstance(where, str):
        with closing(connect(where)) as connection:
            return drain(queue, connection, most=most)
    if not where.autocommit:
        raise BadInput(
            "drain needs an autocommit connection",
            detail="Jobs and acks are seen once they are committed.",
            hint="psycopg.connect(dsn, autocommit=True)",
        )
    ran: list[Ran] = []
    quiet = 0
    # Twice: what the first pass only told (a redrive, say) is there for the second.
    while len(ran) < most and quiet < 2:
        more = _Drain(queue, where, most - len(ran)).until_quiet()
        ran += more
        quiet = 0 if more else quiet + 1
    return ran


class _Drain:
    """One dispatcher with one worker of one slot."""

    def __init__(self, queue: Queue, connection: psycopg.Connection[Any], most: int) -> None:
        self._queue = queue
        self._connection = connection
        self._most = most
        self._name = f"drain-{secrets.token_hex(4)}"
        self._ran: list[Ran] = []
        self._results: dict[int, Any] = {}
        self._runner = Runner(
            queue.name,
            queue.registry,
            Running(SYSTEM_CLOCK),
            SYSTEM_CLOCK,
            self._keep,
            self._settled,
        )

    def until_quiet(self) -> list[Ran]:
        self._queue.make_schedules(self._connection)
        self._register()
        dispatching = Dispatching(self._queue.name, self._queue.policy)
        run(self._connection, dispatching.start())
        try:
            while len(self._ran) < self._most:
                turn = run(self._connection, dispatching.turn())
                for claim in turn.claims:
                    if claim.worker == self._name:
                        self._work(claim)
                if not (turn.busy or turn.claims):
                    break
        finally:
            self._tell(Left(self._name, 0.0))
            run(self._connection, dispatching.turn())
        return self._ran

    def _register(self) -> None:
        policy = self._queue.policy
        told = Registered(
            self._name, 1, frozenset(policy.kinds), 0.0, policies=policy.kinds, terms=policy.terms
        )
        steps = desk.register(self._queue.name, told, "in a test", os.getpid())
        self._tell(run(self._connection, steps))

    def _tell(self, report: Any) -> None:
        self._queue.reports.emit_many(self._connection, desk.events([report]))

    def _work(self, claim: Claim) -> None:
        assignment = desk.assigned(claim)
        rows = run(self._connection, desk.payloads(self._queue.name, assignment))
        outcome = _Noted(self._name, assignment, rows)
        for kind, some in by_kind(rows):
            handler = self._queue.registry.get(kind)
            if handler is not None and handler.options.batch:
                self._runner.run_batch(assignment, some, handler, outcome)
                continue
            for row in some:
                if handler is not None and handler.options.runs == "async":
                    _awaited(partial(self._runner.run_async, assignment, row, outcome))
                else:
                    self._runner.run(assignment, row, outcome)
        self._write_results()
        self._tell(outcome.ack())
        self._ran += [
            msgspec.structs.replace(each, result=self._results.get(each.job))
            for each in outcome.noted
        ]

    def _keep(self, job: int, final: bool, value: Any) -> None:
        if final:
            self._results[job] = value

    def _settled(self, lease: Lease) -> bool:
        return run(self._connection, desk.fence(lease))

    def _write_results(self) -> None:
        queue_id = run(self._connection, store.open_queue(self._queue.name))
        for job, value in self._results.items():
            run(self._connection, desk.keep_value(queue_id, job, final=True, value=value))


class _Noted(Outcome):
    """An outcome that remembers each job."""

    def __init__(self, worker: str, assignment: Assignment, rows: Sequence[JobRow]) -> None:
        super().__init__(worker, assignment)
        self._rows = {row.position: row for row in rows}
        self.noted: list[Ran] = []

    def done(self, position: int) -> None:
        super().done(position)
        self._note(position, None)

    def failed(self, position: int, error: BaseException) -> None:
        super().failed(position, error)
        self._note(position, f"{type(error).__name__}: {error}")

    def _note(self, position: int, error: str | None) -> None:
        row = self._rows[position]
        headers = {} if row.headers is None else msgspec.json.decode(row.headers, type=dict)
        job = headers.get("job") or row.row
        self.noted.append(Ran(job=job, kind=row.kind, attempt=row.attempt, error=error))


def _awaited(make: Callable[[], Any]) -> None:
    """Run a coroutine to its end, also where the caller stands in an event loop already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(make())
        return
    thread = threading.Thread(target=lambda: asyncio.run(make()))
    thread.start()
    thread.join()


def run_job(job: BoundJob, /, *, attempt: int = 1, key: str | None = None, **arguments: Any) -> Any:
    """Run one handler here and now, as a worker would: arguments by way of JSON, with a context.

    Returns what the handler returns and raises what it raises. No database is needed.
    """
    handler = job.handler
    row = JobRow(0, attempt, 1, job.kind, key, None, handler.encode(arguments), 0.0)
    context = JobContext(Lease(job.queue.name, 1, 1, 1), row, None, lambda *_: None)
    token = entering(context)
    try:
        if handler.options.batch:
            return handler.function([context])
        called = handler.arguments_for(row.payload, context)
        if handler.options.runs == "async":
            return asyncio.run(handler.function(**called))
        return handler.function(**called)
    finally:
        leaving(token)


# Looking


def enqueued(queue: Queue, connection: psycopg.Connection[Any]) -> list[Enqueued]:
    """What was enqueued, in the order of the numbers; also by the open transaction.

    Everything that the log still holds, finished jobs too, and what was put off. It reads whole
    tables: for tests only.
    """
    names = {"log": f"jobs_{queue.name}", "queue": queue.name}
    rows: list[tuple[Any, ...]] = []
    for (name,) in connection.execute(_QUERIES.text("segments"), {"log": names["log"]}).fetchall():
        table = sql.Identifier("howdah", name)
        asked = sql.SQL(_QUERIES.text("in_segment")).format(segment=table)
        rows += connection.execute(asked).fetchall()
    for bucket in BUCKETS:
        table = sql.Identifier("howdah", f"queue_later_{bucket}")
        asked = sql.SQL(_QUERIES.text("in_bucket")).format(bucket=table)
        rows += connection.execute(asked, {"queue": queue.name}).fetchall()
    return [_enqueued(*row) for row in sorted(rows, key=lambda row: int(row[0]))]


def _enqueued(
    job: int,
    kind: str,
    key: str | None,
    headers: dict[str, Any] | None,
    payload: bytes,
    due: datetime | None,
) -> Enqueued:
    arguments = msgspec.json.decode(payload)
    return Enqueued(
        job=job, kind=kind, arguments=arguments, key=key, headers=headers or {}, due=due
    )


def assert_enqueued(
    queue: Queue,
    connection: psycopg.Connection[Any],
    kind: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    key: str | None = None,
    times: int | None = None,
) -> list[Enqueued]:
    """The jobs of that kind, with these arguments and key where given; `AssertionError` for none.

    `times`: exactly so many. Jobs of the open transaction count.
    """
    every = enqueued(queue, connection)
    found = [
        each
        for each in every
        if each.kind == kind
        and (arguments is None or dict(each.arguments) == dict(arguments))
        and key in (None, each.key)
    ]
    if len(found) == times or (times is None and found):
        return found
    wanted = f"{kind} {dict(arguments) if arguments is not None else ''}".strip()
    said = "\n".join(f"  {each.kind} {dict(each.arguments)} key {each.key}" for each in every)
    much = "no" if not found else str(len(found))
    raise AssertionError(
        f"{much} job {wanted} in queue {queue.name}, which has\n{said or '  none'}"
    )


# Time


class SqlTime:
    """The time that all SQL of the log and the queue sees while it stands still."""

    def __init__(self, connection: psycopg.Connection[Any], at: datetime) -> None:
        self._connection = connection
        self.now = at
        self.set(at)

    def set(self, at: datetime) -> None:
        """It is that time now; a time with a zone."""
        if at.tzinfo is None:
            raise BadInput("a time without a zone", hint="datetime(..., tzinfo=UTC)")
        asked = sql.SQL(_QUERIES.text("stop_clock")).format(at=sql.Literal(at))
        self._connection.execute(asked)
        self.now = at

    def advance(self, by: timedelta) -> None:
        """Let so much time pass."""
        self.set(self.now + by)


@contextmanager
def sql_time(connection: psycopg.Connection[Any], at: datetime | None = None) -> Iterator[SqlTime]:
    """Stop the time of the log and the queue in this database, for every session; default: now.

    It replaces the function `howdah.clock()`, so it takes the owner of the schema, and no worker
    beside it. At the end the server's clock is back.
    """
    if at is None:
        row = connection.execute(_QUERIES.text("now")).fetchone()
        assert row is not None, "a SELECT without FROM has one row"
        at = row[0]
    try:
        yield SqlTime(connection, at)
    finally:
        connection.execute(_QUERIES.text("start_clock"))
