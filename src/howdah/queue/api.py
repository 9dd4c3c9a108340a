"""What users call: a queue, its handlers, and ways to enqueue.

Owns the public classes. Enqueuing runs on the connection that it is given, inside the transaction
that is open there; methods that begin with `a` are the same for asynchronous connections. Must
never commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, overload

import msgspec
import psycopg

from howdah import query
from howdah.clock import SYSTEM_CLOCK, Clock
from howdah.config import suggestion
from howdah.driver import Steps, run, run_async, statement
from howdah.errors import BadInput
from howdah.log import Event, Log
from howdah.queue import desk, store, tracing
from howdah.queue.cron import CatchUp, Schedule
from howdah.queue.handler import Handler, Registry
from howdah.queue.metrics import Metrics
from howdah.queue.model import Cancel, Discard, Pause, Purge, Release, Replay, Report, Resume
from howdah.queue.options import WorkerOptions
from howdah.queue.policy import KindPolicy, Limit, QueuePolicy
from howdah.queue.unique import Unique, digest
from howdah.queue.worker import Worker

_ENQUEUE = query.load("howdah.queue", "sql/enqueue.sql")
_CREATE = statement(_ENQUEUE, "create")
_DROP = statement(_ENQUEUE, "drop")
_ONE = statement(_ENQUEUE, "enqueue")
_ONE_AT = statement(_ENQUEUE, "enqueue_at")
_REANCHOR = statement(_ENQUEUE, "reanchor")
_SCHEDULE = statement(_ENQUEUE, "schedule")
_UNSCHEDULE = statement(_ENQUEUE, "unschedule")


class Enqueued(msgspec.Struct, frozen=True):
    """A job's number, and whether this call made it: a unique job may be there already."""

    job: int
    new: bool = True


class JobOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How one job differs from the others of its kind. `at` wins over `delay_seconds`."""

    key: str | None = None
    tenant: str | None = None
    priority: int = 0  # lower is more urgent
    delay_seconds: float | None = None
    at: datetime | None = None
    expires_seconds: float | None = None  # not started by then: a dead letter
    max_attempts: int = 0  # 0: the kind's
    unique: Unique | None = None
    headers: Mapping[str, Any] = {}


PLAIN = JobOptions()


class Queue:
    """A queue by its name, with the handlers of this program and the policy of its dispatcher.

    One object serves any number of threads and connections.
    """

    def __init__(
        self,
        name: str = "default",
        *,
        limits: Sequence[Limit] = (),
        weights: Mapping[str, float] | None = None,
        default: KindPolicy | None = None,
        lease_seconds: float = 15.0,
        ageing_seconds: float = 60.0,
        loaded_max: int = 50_000,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.name = name
        self.registry = Registry()
        self.jobs = Log(f"jobs_{name}", clock=clock)
        self.reports = Log(f"reports_{name}", clock=clock)
        self._clock = clock
        self._schedules: dict[str, Callable[[], Steps[None]]] = {}
        self._policy = QueuePolicy(
            default=default or KindPolicy(),
            limits=tuple(limits),
            weights=dict(weights or {}),
            lease_seconds=lease_seconds,
            ageing_seconds=ageing_seconds,
            loaded_max=loaded_max,
            seed=name,
        )

    @property
    def policy(self) -> QueuePolicy:
        """What the dispatcher is told: the queue's options and those of every handler."""
        return msgspec.structs.replace(self._policy, kinds=self.registry.policies)

    def create(self, connection: Any) -> None:
        """Make the queue unless it is there; needs `howdah install --with queue` first."""
        run(connection, _discarding(_CREATE(queue=self.name)))

    async def acreate(self, connection: Any) -> None:
        """Make the queue unless it is there."""
        await run_async(connection, _discarding(_CREATE(queue=self.name)))

    def drop(self, connection: Any) -> None:
        """Remove the queue with every job in it."""
        run(connection, _discarding(_DROP(queue=self.name)))

    # Handlers

    @overload
    def job(self, function: Callable[..., Any], /) -> BoundJob: ...

    @overload
    def job(
        self, function: None = None, /, **options: Any
    ) -> Callable[[Callable[..., Any]], BoundJob]: ...

    def job(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Make a function the handler of a kind of jobs: `@queue.job` or `@queue.job(...)`.

        Options: name, runs ("thread", "async", "process"), batch, batch_max, max_attempts, backoff,
        on_failure, retry_budget, timeout_seconds, keep_result, priority, tenant, unique.
        """
        if function is not None:
            return BoundJob(self, self.registry.add(function, **options))
        return lambda decorated: BoundJob(self, self.registry.add(decorated, **options))

    # Enqueuing

    def enqueue(
        self, connection: Any, kind: str, arguments: Mapping[str, Any] | None = None, **options: Any
    ) -> Enqueued:
        """Enqueue a job by the name of its kind; options are those of `JobOptions`."""
        return run(connection, self.enqueuing(kind, arguments or {}, _options(options)))

    async def aenqueue(
        self, connection: Any, kind: str, arguments: Mapping[str, Any] | None = None, **options: Any
    ) -> Enqueued:
        """Enqueue a job by the name of its kind."""
        return await run_async(connection, self.enqueuing(kind, arguments or {}, _options(options)))

    def enqueue_many(
        self, connection: Any, kind: str, many: Iterable[Mapping[str, Any]], **options: Any
    ) -> list[int]:
        """Enqueue jobs of one kind in one statement; plain options only."""
        chosen = _options(options)
        if not _is_plain(chosen):
            raise BadInput("enqueue_many takes no delay, time or uniqueness", hint="enqueue()")
        chosen = _traced(chosen)
        events = [self._event(kind, each, chosen) for each in many]
        return self.jobs.emit_many(connection, events)

    async def aenqueue_many(
        self, connection: Any, kind: str, many: Iterable[Mapping[str, Any]], **options: Any
    ) -> list[int]:
        """`enqueue_many` for asynchronous connections."""
        chosen = _options(options)
        if not _is_plain(chosen):
            raise BadInput("aenqueue_many takes no delay, time or uniqueness", hint="aenqueue()")
        chosen = _traced(chosen)
        return await self.jobs.aemit_many(
            connection, [self._event(kind, each, chosen) for each in many]
        )

    def copy(
        self,
        connection: psycopg.Connection[Any],
        kind: str,
        many: Iterable[Mapping[str, Any]],
        **options: Any,
    ) -> int:
        """Enqueue jobs of one kind by COPY, the fastest way; how many there were."""
        chosen = _options(options)
        if not _is_plain(chosen):
            raise BadInput("copy takes no delay, time or uniqueness", hint="enqueue()")
        chosen = _traced(chosen)
        return self.jobs.copy(connection, (self._event(kind, each, chosen) for each in many))

    def enqueuing(
        self, kind: str, arguments: Mapping[str, Any], options: JobOptions
    ) -> Steps[Enqueued]:
        """The steps of `enqueue`, for runners of one's own."""
        event = self._event(kind, arguments, _traced(options))
        unique = options.unique or self._unique_of(kind)
        if unique is None and _is_plain(options):
            return Enqueued((yield from self.jobs.emitting(event)))
        mark = None
        if unique is not None:
            mark = digest(
                unique, kind=kind, arguments=arguments, key=options.key, tenant=options.tenant
            )
        common = {
            "queue": self.name,
            "kind": kind,
            "payload": event.payload.decode(),
            "key": options.key,
            "headers": msgspec.json.encode(event.headers).decode() if event.headers else None,
            "digest": mark,
            "window": unique.window_seconds if unique is not None else None,
        }
        if options.at is not None:
            rows = yield _ONE_AT(**common, due=options.at.timestamp())
        else:
            rows = yield _ONE(**common, delay=options.delay_seconds)
        job, new = rows[0]
        return Enqueued(job, new)

    def _event(self, kind: str, arguments: Mapping[str, Any], options: JobOptions) -> Event:
        handler = self.registry.get(kind)
        payload = handler.encode(arguments) if handler else msgspec.json.encode(dict(arguments))
        headers: dict[str, Any] = dict(options.headers)
        defaults = handler.options if handler is not None else None
        priority = options.priority or (defaults.priority if defaults else 0)
        tenant = options.tenant or (defaults.tenant if defaults else None)
        if priority:
            headers["priority"] = priority
        if tenant is not None:
            headers["tenant"] = tenant
        if options.max_attempts:
            headers["max_attempts"] = options.max_attempts
        if options.expires_seconds is not None:
            headers["expires_in"] = options.expires_seconds  # by the server's clock
        return Event(kind, payload, options.key, headers or None)

    def _unique_of(self, kind: str) -> Unique | None:
        handler = self.registry.get(kind)
        return handler.options.unique if handler is not None else None

    # Schedules

    def cron(
        self,
        expression: str,
        kind: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        zone: str = "UTC",
        catch_up: CatchUp = "one",
        **options: Any,
    ) -> None:
        """Have a job enqueued by the clock; workers make the schedule known when they start.

        Each firing makes exactly one job, however many workers run.
        """
        Schedule(expression=expression, zone=zone, catch_up=catch_up)
        chosen = _options(options)
        if not _is_plain(chosen):
            raise BadInput("a scheduled job takes no delay, time or uniqueness")
        label = name or kind

        def steps() -> Steps[None]:
            event = self._event(kind, arguments or {}, chosen)
            yield _SCHEDULE(
                queue=self.name,
                schedule=label,
                expression=expression,
                zone=zone,
                catch_up=catch_up,
                kind=kind,
                key=chosen.key,
                headers=msgspec.json.encode(event.headers).decode() if event.headers else None,
                payload=event.payload,
            )

        self._schedules[label] = steps

    def make_schedules(self, connection: Any) -> None:
        """Write the schedules of this program; those of the same name are changed."""
        for steps in self._schedules.values():
            run(connection, steps())

    def unschedule(self, connection: Any, name: str) -> bool:
        """End a schedule; whether there was one."""

        def steps() -> Steps[bool]:
            return bool((yield _UNSCHEDULE(queue=self.name, schedule=name)))

        return run(connection, steps())

    # What people tell the dispatcher

    def cancel(self, connection: Any, job: int) -> None:
        """End a job wherever it is; a running handler is told to stop."""
        self._tell(connection, Cancel(job, 0.0))

    def pause(self, connection: Any, *, kind: str | None = None, tenant: str | None = None) -> None:
        """Start no more jobs of that kind and tenant; None stands for every one."""
        self._tell(connection, Pause(0.0, kind, tenant))

    def resume(
        self, connection: Any, *, kind: str | None = None, tenant: str | None = None
    ) -> None:
        """Undo the pause with the same kind and tenant."""
        self._tell(connection, Resume(0.0, kind, tenant))

    def purge(self, connection: Any, *, kind: str | None = None, tenant: str | None = None) -> None:
        """Drop the jobs that wait now."""
        self._tell(connection, Purge(0.0, kind, tenant))

    def redrive(self, connection: Any, job: int) -> None:
        """Run a dead letter again, with fresh attempts."""
        self._tell(connection, Replay(job, 0.0))

    def discard(self, connection: Any, job: int) -> None:
        """Give up a dead letter."""
        self._tell(connection, Discard(job, 0.0))

    def release(self, connection: Any, key: str) -> None:
        """Let a held key go on."""
        self._tell(connection, Release(key, 0.0))

    def reanchor(self, connection: Any) -> int:
        """Let a queue go on that was restored or copied here; how many jobs it has.

        Whatever was not finished when the copy was made runs again, also what ran then, in the
        order of its rows and without counting what ran as an attempt. `BadInput` for a queue that
        has not lost its place.
        """

        def steps() -> Steps[int]:
            ((jobs,),) = yield _REANCHOR(queue=self.name)
            return int(jobs)

        return run(connection, steps())

    def _tell(self, connection: Any, report: Report) -> None:
        self.reports.emit_many(connection, desk.events([report]))

    def result(self, connection: Any, job: int) -> tuple[bool, Any, float] | None:
        """(final, value, at) of a job that keeps its result, or of its newest progress."""

        def steps() -> Steps[tuple[bool, Any, float] | None]:
            queue_id = yield from store.open_queue(self.name)
            return (yield from desk.value(queue_id, job))

        return run(connection, steps())

    # Working

    def worker(
        self,
        dsn: str,
        *,
        options: WorkerOptions | None = None,
        app: str | None = None,
        metrics: Metrics | None = None,
    ) -> Worker:
        """A worker process for the handlers of this program; `run` blocks until `stop`.

        `app` is `module:queue`, from which child processes load it. `metrics` counts into the
        Prometheus registry that it was made with.
        """
        return Worker(
            self.name,
            dsn,
            self.registry,
            self.policy,
            options=options,
            app=app,
            clock=self._clock,
            prepare=self.make_schedules,
            metrics=metrics,
        )


class BoundJob:
    """A handler together with its queue: callable as the function, and able to be enqueued."""

    def __init__(self, queue: Queue, handler: Handler, options: JobOptions = PLAIN) -> None:
        self.queue = queue
        self.handler = handler
        self._options = options

    @property
    def kind(self) -> str:
        """The name of the kind."""
        return self.handler.kind

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function here and now, without a queue."""
        return self.handler(*args, **kwargs)

    def having(self, **options: Any) -> BoundJob:
        """The same job with other options: `send.having(key="a", delay_seconds=5).enqueue(...)`."""
        known = msgspec.structs.asdict(self._options) | options
        return BoundJob(self.queue, self.handler, _options(known))

    def enqueue(self, connection: Any, /, **arguments: Any) -> Enqueued:
        """Enqueue the job with these arguments, in the connection's transaction."""
        return run(connection, self._steps(arguments))

    async def aenqueue(self, connection: Any, /, **arguments: Any) -> Enqueued:
        """Enqueue the job with these arguments, in the connection's transaction."""
        return await run_async(connection, self._steps(arguments))

    def _steps(self, arguments: Mapping[str, Any]) -> Steps[Enqueued]:
        return self.queue.enqueuing(self.kind, arguments, self._options)


def _options(given: Mapping[str, Any]) -> JobOptions:
    known = JobOptions.__struct_fields__
    for name in given:
        if name not in known:
            raise BadInput(f"a job has no option {name!r}", hint=suggestion(name, known))
    return JobOptions(**given)


def _traced(options: JobOptions) -> JobOptions:
    """The same options with the trace that is being recorded here."""
    headers = tracing.carried()
    if not headers:
        return options
    return msgspec.structs.replace(options, headers={**headers, **options.headers})


def _is_plain(options: JobOptions) -> bool:
    return options.delay_seconds is None and options.at is None and options.unique is None


def _discarding(asked: Any) -> Steps[None]:
    yield asked
