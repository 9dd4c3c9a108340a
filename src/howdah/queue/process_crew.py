"""A crew whose slots are processes: for handlers that keep a core busy, and that can be killed.

Owns the child processes. Must never run a handler in this process. A job that is stopped or late
takes its child with it; a child that dies fails its job and is replaced.
"""

from __future__ import annotations

import importlib
import multiprocessing
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from howdah.clock import Clock
from howdah.errors import BadInput
from howdah.queue.context import JobContext, entering, leaving
from howdah.queue.crew import Given, SlotCrew, vanish
from howdah.queue.desk import Assignment, JobRow, Lease
from howdah.queue.handler import Cancelled, Fatal, OutOfTime, Registry, Retry
from howdah.queue.model import Ack
from howdah.queue.rights import Right
from howdah.queue.running import KeepValue, Outcome, Running, log_failure
from howdah.queue.watching import UNWATCHED, Watch

_LOOK_SECONDS = 0.1


class Ended(msgspec.Struct, frozen=True):
    """What a child says of a job: a result as JSON, or an error."""

    value: bytes = b"null"
    error: str = ""
    fatal: bool = False
    delay: float | None = None
    completed: bool = False


class Progress(msgspec.Struct, frozen=True):
    """What a child says while it is at a job."""

    value: bytes


class ProcessCrew(SlotCrew):
    """Each slot is a thread that feeds one child process."""

    def __init__(
        self,
        name: str,
        slots: int,
        kinds: tuple[str, ...],
        *,
        app: str | None,
        queue: str,
        registry: Registry,
        running: Running,
        send: Callable[[Ack], None],
        ended: Callable[[Right], None],
        settled: Callable[[Lease], bool],
        keep: KeepValue,
        clock: Clock,
        watch: Watch | None = None,
    ) -> None:
        if app is None:
            raise BadInput(
                f"handlers that run in processes need the worker's app: {', '.join(kinds)}",
                hint="start with `howdah queue worker module:queue`, or pass app='module:queue'",
            )
        super().__init__(name, slots, kinds, send=send, ended=ended, clock=clock)
        self._app = app
        self._watch = watch
        self._queue = queue
        self._registry = registry
        self._running = running
        self._keep = keep
        self._settled = settled
        self._children: dict[int, _Child] = {}

    def _slot(self) -> None:
        child = self._children[threading.get_ident()] = _Child(self._app)
        try:
            super()._slot()
        finally:
            child.end()

    def _run(self, given: Given) -> None:
        child = self._children[threading.get_ident()]
        outcome = Outcome(self.name, given.assignment)
        released: list[int] = []
        for row in given.rows:
            started = self._clock.monotonic()
            if self._draining.is_set() or not given.right.holds(row.row, started):
                released.append(row.position)
                continue
            context = self._context(given.assignment, row)
            try:
                with self._watch.over((context,)) if self._watch else UNWATCHED:
                    value = self._run_one(child, context, row)
            except (Retry, Fatal, Cancelled, OutOfTime) as error:
                if context.completed and self._settled(context.lease):
                    outcome.done(row.position)
                    outcome.took(row.kind, self._clock.monotonic() - started)
                    continue
                seconds = self._clock.monotonic() - started
                log_failure(context, seconds, error)
                outcome.failed(row.position, error)
                outcome.took(row.kind, seconds)
                continue
            handler = self._registry.get(row.kind)
            if handler is not None and handler.options.keep_result:
                self._keep(_identity(row), True, msgspec.json.decode(value))
            outcome.done(row.position)
            outcome.took(row.kind, self._clock.monotonic() - started)
        vanish(given, outcome)
        self._send(outcome.ack(tuple(released)))

    def _context(self, assignment: Assignment, row: JobRow) -> JobContext:
        lease = Lease(self._queue, assignment.generation, assignment.ordinal, row.row)
        return JobContext(lease, row, None, self._keep)

    def _run_one(self, child: _Child, context: JobContext, row: JobRow) -> bytes:
        self._running.add(context, None)
        handler = self._registry.get(row.kind)
        limit = handler.options.timeout_seconds if handler is not None else None
        try:
            child.ready(context.check)
            if limit is not None:
                context.deadline = self._clock.monotonic() + limit
            child.begin(context.lease, row)
            ended = child.answer(context.check)
            while isinstance(ended, Progress):
                context.progress(msgspec.json.decode(ended.value))
                ended = child.answer(context.check)
        except (Cancelled, OutOfTime, Retry):
            child.kill()
            context.completed = True  # it may have been: the database knows
            raise
        finally:
            self._running.remove(context)
        context.completed = ended.completed
        if ended.error:
            raise (
                Fatal(ended.error) if ended.fatal else Retry(ended.error, delay_seconds=ended.delay)
            )
        return ended.value


class _Child:
    """One child process; begun anew after it was killed or died."""

    def __init__(self, app: str) -> None:
        self._app = app
        self._loaded = False
        self._begin_process()

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def ready(self, check: Callable[[], None]) -> None:
        """Wait until the application is loaded; that time is not the job's."""
        if not self.alive:
            self._begin_process()
        if not self._loaded:
            self.answer(check)
            self._loaded = True

    def begin(self, lease: Lease, row: JobRow) -> None:
        """Hand a job over."""
        try:
            self._pipe.send((lease, row))
        except OSError as error:
            raise Retry("the process that was to run the job died") from error

    def answer(self, check: Callable[[], None]) -> Ended | Progress:
        """What the child says next; `check` raises when we should not wait any longer."""
        while not self._pipe.poll(_LOOK_SECONDS):
            check()
        try:
            said: Ended | Progress = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise Retry("the process that ran the job died") from error
        return said

    def kill(self) -> None:
        self._process.kill()
        self._process.join(5.0)

    def end(self) -> None:
        self._pipe.close()
        self._process.join(1.0)
        if self._process.is_alive():
            self.kill()

    def _begin_process(self) -> None:
        # spawn: a fork would copy locks that other threads hold
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(self._app, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self._loaded = False


def _serve(app: str, pipe: Connection) -> None:
    """The child: import the application, then run what comes through the pipe."""
    registry: Registry = load_app(app).registry
    pipe.send(Ended())  # ready
    while True:
        try:
            lease, row = pipe.recv()
        except EOFError:
            return
        pipe.send(_run_here(registry, lease, row, pipe))


def _run_here(registry: Registry, lease: Lease, row: JobRow, pipe: Connection) -> Ended:
    def tell(_job: int, _final: bool, value: Any) -> None:
        pipe.send(Progress(msgspec.json.encode(value)))

    context = JobContext(lease, row, None, tell)
    token = entering(context)
    try:
        handler = registry.get(row.kind)
        if handler is None:
            raise Retry(f"no handler is called {row.kind!r} here")
        value = handler.function(**handler.arguments_for(row.payload, context))
        return Ended(msgspec.json.encode(value))
    except Exception as error:  # noqa: BLE001 - whatever a handler raises is its job's failure
        delay = error.delay_seconds if isinstance(error, Retry) else None
        return Ended(
            error=f"{type(error).__name__}: {error}",
            fatal=isinstance(error, Fatal),
            delay=delay,
            completed=context.completed,
        )
    finally:
        leaving(token)


def load_app(app: str) -> Any:
    """The object behind `module:name`; `BadInput` says which part is wrong."""
    module_name, _, name = app.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise BadInput(
            f"cannot import {module_name!r}",
            detail=str(error),
            hint="run it where it is importable",
        ) from error
    if not name or not hasattr(module, name):
        raise BadInput(f"{app!r} names no queue", hint=f"{module_name}:<the name of the Queue>")
    return getattr(module, name)


def _identity(row: JobRow) -> int:
    if row.headers is None:
        return row.row
    return int(msgspec.json.decode(row.headers, type=dict).get("job") or row.row)
