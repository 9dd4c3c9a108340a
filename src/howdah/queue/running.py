"""Running the jobs of a claim, one after the other, and what is to be reported of them.

Owns the context of each job, its deadline, and the translation of what a handler did into a report.
Must never talk to the database.
"""

from __future__ import annotations

import asyncio
import ctypes
import functools
import logging
import threading
from collections.abc import Callable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import Any

from howdah.clock import Clock
from howdah.queue.context import JobContext, entering, leaving
from howdah.queue.desk import Assignment, JobRow, Lease
from howdah.queue.handler import Cancelled, Fatal, Handler, OutOfTime, Registry, Retry
from howdah.queue.model import Ack, Failure
from howdah.queue.watching import UNWATCHED, Watch

LOGGER = logging.getLogger("howdah.queue")
ERROR_LETTERS = 2_000

KeepValue = Callable[[int, bool, Any], None]


class Outcome:
    """What became of a claim so far; turned into acks."""

    def __init__(self, worker: str, assignment: Assignment) -> None:
        self._worker = worker
        self._assignment = assignment
        self._done: list[int] = []
        self._failed: list[Failure] = []
        self._took: dict[str, tuple[int, float]] = {}
        self._timed = 0  # of the pending, those whose time was told
        self._reported = False

    def done(self, position: int) -> None:
        """One job ended well."""
        self._done.append(position)

    def failed(self, position: int, error: BaseException) -> None:
        """One job failed."""
        self._failed.append(failure(position, error))

    def took(self, kind: str, seconds: float) -> None:
        """The jobs that ended since the last call were of that kind and took so long together."""
        jobs, before = self._took.get(kind, (0, 0.0))
        self._took[kind] = (jobs + self.pending - self._timed, before + seconds)
        self._timed = self.pending

    @property
    def pending(self) -> int:
        """Jobs that have ended and are not reported yet."""
        return len(self._done) + len(self._failed)

    def ack(self, released: tuple[int, ...] = ()) -> Ack:
        """A report of everything since the last one."""
        whole = len(self._done) == len(self._assignment.rows)
        ack = Ack(
            self._worker,
            self._assignment.generation,
            self._assignment.ordinal,
            0.0,
            None if whole else self._done,
            self._failed,
            released,
            [(kind, jobs, seconds) for kind, (jobs, seconds) in self._took.items() if jobs],
        )
        self._done, self._failed, self._took, self._timed = [], [], {}, 0
        return ack


def failure(position: int, error: BaseException) -> Failure:
    """What is reported of an error."""
    text = f"{type(error).__name__}: {error}"[:ERROR_LETTERS]
    delay = error.delay_seconds if isinstance(error, Retry) else None
    return Failure(position, text, isinstance(error, Fatal), delay)


class Running:
    """The jobs that this process runs now, so that they can be stopped from outside."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._threads: dict[JobContext, int | None] = {}

    def __len__(self) -> int:
        return len(self._threads)

    def add(self, context: JobContext, thread: int | None) -> None:
        """A job starts; `thread` is where its handler runs, if it can be interrupted there."""
        with self._lock:
            self._threads[context] = thread

    def remove(self, context: JobContext) -> None:
        """A job has ended; from now on nothing is thrown into its thread."""
        with self._lock:
            thread = self._threads.pop(context, None)
            if thread is not None and context.stopped:
                _throw(thread, None)  # what was thrown and has not arrived would hit the next job
        if context.stopped:
            context.over()

    def stop_late(self) -> float | None:
        """Stop what is past its deadline; the next deadline."""
        now = self._clock.monotonic()
        for context in self._snapshot():
            if context.deadline is not None and context.deadline <= now and not context.stopped:
                self._stop(context, OutOfTime)
        return min((c.deadline for c in self._snapshot() if c.deadline is not None), default=None)

    def stop(self, lease: Lease, reason: type[BaseException]) -> bool:
        """Stop one job; whether it was running here."""
        running = [context for context in self._snapshot() if context.lease == lease]
        return sum(self._stop(context, reason) for context in running) > 0

    def stop_all(self, reason: type[BaseException]) -> None:
        """Stop every job: this worker's lease is over."""
        for context in self._snapshot():
            self._stop(context, reason)

    def leases(self) -> list[Lease]:
        """The leases of what runs now."""
        return [context.lease for context in self._snapshot()]

    def _stop(self, context: JobContext, reason: type[BaseException]) -> bool:
        with self._lock:
            if context not in self._threads or context.stopped:
                return False  # once is enough: a handler that cleans up must be left in peace
            thread = self._threads[context]
            context.stop(reason)
            # One job of a batch that was called off does not take the others with it.
            if thread is not None and all(other.stopped for other in context.batch):
                _throw(thread, reason)
        return True

    def _snapshot(self) -> list[JobContext]:
        with self._lock:
            return list(self._threads)


def _throw(thread: int, reason: type[BaseException] | None) -> None:
    """Raise in another thread at its next bytecode; None takes back what has not arrived.

    A thread inside C code notices late; a statement that runs there is cancelled beside this.
    Source: Python/C API, PyThreadState_SetAsyncExc.
    """
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), ctypes.py_object(reason) if reason else None
    )


class Runner:
    """Runs one job at a time, in threads or on an event loop."""

    def __init__(
        self,
        queue: str,
        registry: Registry,
        running: Running,
        clock: Clock,
        keep: KeepValue,
        settled: Callable[[Lease], bool],
        watch: Watch | None = None,
    ) -> None:
        self._watch = watch
        self._settled = settled
        self._queue = queue
        self._registry = registry
        self._running = running
        self._clock = clock
        self._keep = keep

    def run(self, assignment: Assignment, row: JobRow, outcome: Outcome) -> None:
        """Run one job in this thread."""
        handler = self._registry.get(row.kind)
        context = self._context(assignment, row, handler)
        started = self._clock.monotonic()
        error: BaseException | None = None
        value: Any = None
        token = entering(context)
        try:
            with self._watch.over((context,)) if self._watch else UNWATCHED:
                if handler is None:
                    raise Retry(f"no handler is called {row.kind!r} here")
                self._running.add(context, threading.get_ident())
                try:
                    value = handler.function(**handler.arguments_for(row.payload, context))
                finally:
                    self._running.remove(context)
        except BaseException as raised:  # noqa: BLE001 - whatever it is, it is its job's failure
            error = raised
        self._over(context)
        leaving(token)
        if error is not None:
            self._failed(context, row, outcome, started, error)
            return
        self._finish(context, handler, value, row, outcome)

    def _over(self, context: JobContext) -> None:
        """Nothing more is thrown into this thread: a stop may have come in the middle of ending."""
        while True:
            try:
                self._running.remove(context)
                return
            except (Cancelled, OutOfTime):
                continue

    def run_batch(
        self, assignment: Assignment, rows: list[JobRow], handler: Handler, outcome: Outcome
    ) -> None:
        """Give a list of jobs of one kind to a handler of batches."""
        contexts = [self._context(assignment, row, handler) for row in rows]
        started = self._clock.monotonic()
        error: BaseException | None = None
        try:
            for context in contexts:
                context.batch = contexts
                self._running.add(context, threading.get_ident())
            with self._watch.over(contexts) if self._watch else UNWATCHED:
                handler.function(contexts)
        except BaseException as raised:  # noqa: BLE001 - whatever it is, it is its jobs' failure
            error = raised
        for context in contexts:
            self._over(context)
        each = self._since(started) / len(rows)
        for row, context in zip(rows, contexts, strict=True):
            failed = context.failure or error
            if failed is not None and not self._counts(context):
                log_failure(context, each, failed)
                outcome.failed(row.position, failed)
            else:
                outcome.done(row.position)

    async def run_async(self, assignment: Assignment, row: JobRow, outcome: Outcome) -> None:
        """Run one job of a coroutine handler on the loop of this thread."""
        handler = self._registry.get(row.kind)
        context = self._context(assignment, row, handler)
        started = self._clock.monotonic()
        error: BaseException | None = None
        value: Any = None
        token = entering(context)
        limit = handler.options.timeout_seconds if handler is not None else None
        scope = asyncio.timeout(limit)
        loop = asyncio.get_running_loop()
        context.on_stop = functools.partial(_end_from_outside, loop, scope)
        try:
            with self._watch.over((context,)) if self._watch else UNWATCHED:
                if handler is None:
                    raise Retry(f"no handler is called {row.kind!r} here")
                async with scope:
                    self._running.add(context, None)
                    value = await handler.function(**handler.arguments_for(row.payload, context))
        except BaseException as raised:  # noqa: BLE001 - whatever it is, it is its job's failure
            error = raised
        self._running.remove(context)
        leaving(token)
        if error is None:
            self._finish(context, handler, value, row, outcome)
            return
        if scope.expired():
            error = Cancelled("stopped") if context.stopped else OutOfTime(f"after {limit} s")
        if context.completed and await asyncio.to_thread(self._settled, context.lease):
            outcome.done(row.position)
            return
        context.completed = False
        self._failed(context, row, outcome, started, error)

    def _finish(
        self,
        context: JobContext,
        handler: Handler | None,
        value: Any,
        row: JobRow,
        outcome: Outcome,
    ) -> None:
        if handler is not None and handler.options.keep_result:
            self._keep(context.job, True, value)
        outcome.done(row.position)

    def _failed(
        self,
        context: JobContext,
        row: JobRow,
        outcome: Outcome,
        started: float,
        error: BaseException,
    ) -> None:
        if self._counts(context):
            outcome.done(row.position)
            return
        log_failure(context, self._since(started), error)
        outcome.failed(row.position, error)

    def _counts(self, context: JobContext) -> bool:
        """Whether a job whose handler failed was completed all the same, by its transaction."""
        return context.completed and self._settled(context.lease)

    def _since(self, started: float) -> float:
        return self._clock.monotonic() - started

    def _context(self, assignment: Assignment, row: JobRow, handler: Handler | None) -> JobContext:
        lease = Lease(self._queue, assignment.generation, assignment.ordinal, row.row)
        limit = handler.options.timeout_seconds if handler is not None else None
        deadline = None if limit is None else self._clock.monotonic() + limit
        return JobContext(lease, row, deadline, self._keep)


def _end_from_outside(loop: asyncio.AbstractEventLoop, scope: asyncio.Timeout) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(_end_now, scope)


def _end_now(scope: asyncio.Timeout) -> None:
    """Let a handler's time be over at once, unless it has ended."""
    try:
        scope.reschedule(0.0)
    except RuntimeError:  # it has ended, or was ending
        return


def log_failure(context: JobContext, seconds: float, error: BaseException) -> None:
    """One line about a failed attempt, with the job's fields; never its payload."""
    facts = {
        "queue": context.lease.queue,
        "job": context.job,
        "kind": context.kind,
        "key": context.key,
        "tenant": context.tenant,
        "attempt": context.attempt,
        "seconds": round(seconds, 6),
        "error": failure(0, error).error,
    }
    said = f"{type(error).__name__} in attempt {context.attempt} at {context.kind} {context.job}"
    LOGGER.warning("%s", said, extra={"what": "attempt failed", "facts": facts})


def by_kind(rows: list[JobRow]) -> Iterator[tuple[str, list[JobRow]]]:
    """Runs of adjacent jobs of one kind: what a batch handler is given at once."""
    for kind, run in groupby(rows, key=attrgetter("kind")):
        yield kind, list(run)
