"""What a handler may know and do about the job that it runs.

Owns the lease token, the deadline, and the connection whose running statement is cancelled with the
job. Must never decide what follows: a handler returns or raises.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import psycopg

from howdah import query
from howdah.driver import run, run_async, statement
from howdah.errors import BadInput
from howdah.queue.desk import JobRow, Lease
from howdah.queue.handler import Cancelled, OutOfTime

_COMPLETE = statement(query.load("howdah.queue", "sql/work.sql"), "complete")


LOGGER = logging.getLogger("howdah.queue")
CANCEL_SECONDS = 5.0
_CONNECTIONS = threading.Lock()  # one for all: it is held for a moment, and by few


class JobContext:
    """One attempt at one job."""

    completed = False
    failure: BaseException | None = None
    _stopped: type[BaseException] | None = None
    _connections: tuple[psycopg.Connection[Any], ...] = ()
    _cancelling: threading.Thread | None = None
    on_stop: Callable[[], None] | None = None
    batch: Sequence[JobContext] = ()  # the jobs that are handled in one call with this one

    def __init__(
        self,
        lease: Lease,
        row: JobRow,
        deadline: float | None,
        report: Callable[[int, bool, Any], None],
    ) -> None:
        self.lease = lease
        self.job = row.row
        self.kind = row.kind
        self.key = row.key
        self.tenant: str | None = None
        self.attempt = row.attempt
        self.headers: dict[str, Any] = {}
        self.payload = row.payload
        self.enqueued_at = row.at
        self.deadline = deadline  # on the worker's monotonic clock
        self._report = report
        if row.headers is not None:
            self.headers = msgspec.json.decode(row.headers, type=dict[str, Any])
            self.job = self.headers.get("job") or row.row
            self.tenant = self.headers.get("tenant")

    def arguments(self) -> dict[str, Any]:
        """The payload as it was enqueued; for batch handlers."""
        return dict(msgspec.json.decode(self.payload, type=dict[str, Any]))

    def fail(self, error: BaseException) -> None:
        """For batch handlers: this job of the batch failed, the others did not."""
        self.failure = error

    def complete_in(self, connection: Any) -> None:
        """End the job in the transaction that is open on `connection`.

        What the transaction writes and the end of the job commit together: exactly once, also if
        this worker was believed dead. Raises `Superseded` when the job was taken away; then the
        transaction must be rolled back, which leaving its block with the error does.
        """
        run(connection, self._complete())

    async def acomplete_in(self, connection: Any) -> None:
        """`complete_in` for asynchronous connections."""
        await run_async(connection, self._complete())

    def _complete(self) -> Any:
        lease = self.lease
        yield _COMPLETE(
            queue=lease.queue, generation=lease.generation, ordinal=lease.ordinal, row=lease.row
        )
        self.completed = True

    def progress(self, value: Any) -> None:
        """Keep something for `howdah queue show` to see; JSON-able, replaced by the next."""
        self._report(self.job, False, value)

    def using(self, connection: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
        """Have the statement that runs on `connection` cancelled together with the job."""
        with _CONNECTIONS:
            self._connections = (*self._connections, connection)
        self.check()
        return connection

    def check(self) -> None:
        """Raise `Cancelled` or `OutOfTime` if the job should stop; for long loops."""
        if self._stopped is not None:
            raise self._stopped(f"job {self.job} must stop")

    @property
    def stopped(self) -> bool:
        """Whether the job should stop."""
        return self._stopped is not None

    def stop(self, reason: type[BaseException]) -> None:
        """Make `check` raise, and cancel what the job's connections run now."""
        if reason not in (Cancelled, OutOfTime):
            raise BadInput(f"a job is stopped by Cancelled or OutOfTime, not {reason.__name__}")
        self._stopped = reason
        if self.on_stop is not None:
            self.on_stop()
        with _CONNECTIONS:
            connections = self._connections
        if connections:  # in a thread of its own: a server that does not answer must not hold us up
            self._cancelling = threading.Thread(
                target=_cancel_statements, args=(connections,), name="cancel", daemon=True
            )
            self._cancelling.start()

    def over(self) -> None:
        """The attempt has ended: a cancellation that is under way must not hit the next one."""
        if self._cancelling is not None:
            self._cancelling.join(CANCEL_SECONDS)


def _cancel_statements(connections: tuple[psycopg.Connection[Any], ...]) -> None:
    for connection in connections:
        try:
            if not connection.closed:
                connection.cancel_safe(timeout=CANCEL_SECONDS)
        except psycopg.Error as error:
            LOGGER.warning("a statement could not be cancelled: %s", error)


_current: contextvars.ContextVar[JobContext] = contextvars.ContextVar("howdah_job")


def current_job() -> JobContext:
    """The context of the job that this thread or task runs; `LookupError` outside of one."""
    return _current.get()


def entering(context: JobContext) -> contextvars.Token[JobContext]:
    """Make a context the current one; undo with `leaving`."""
    return _current.set(context)


def leaving(token: contextvars.Token[JobContext]) -> None:
    """Undo `entering`."""
    _current.reset(token)
