"""Which crews a worker needs: one for each way in which its handlers run.

Owns that choice. Must never start one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from howdah.clock import Clock
from howdah.queue import desk
from howdah.queue.crew import AsyncCrew, Crew, ThreadCrew
from howdah.queue.handler import Registry
from howdah.queue.model import Report
from howdah.queue.options import WorkerOptions
from howdah.queue.process_crew import ProcessCrew
from howdah.queue.running import Runner, Running


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What the crews of a worker have in common."""

    queue: str
    name: str
    registry: Registry
    running: Running
    clock: Clock
    send: Callable[[Report], None]
    ended: Callable[..., None]
    keep: Callable[[int, bool, Any], None]
    settled: Callable[[desk.Lease], bool]
    watch: Any


def make(shared: Shared, options: WorkerOptions, app: str | None) -> list[Crew]:
    """The crews; `app` is `module:queue`, which handlers in processes need."""
    runner = Runner(
        shared.queue,
        shared.registry,
        shared.running,
        shared.clock,
        shared.keep,
        shared.settled,
        shared.watch,
    )
    made = (
        _threads(shared, options, runner),
        _tasks(shared, options, runner),
        _processes(shared, options, app),
    )
    return [crew for crew in made if crew is not None]


def _threads(shared: Shared, options: WorkerOptions, runner: Runner) -> Crew | None:
    handlers = shared.registry.of("thread")
    if not handlers:
        return None
    batches = {
        kind: _batch(runner, handler) for kind, handler in handlers.items() if handler.options.batch
    }
    return ThreadCrew(
        f"{shared.name}-t",
        options.threads,
        tuple(handlers),
        runner=runner,
        batches=batches,
        send=shared.send,
        ended=shared.ended,
        clock=shared.clock,
    )


def _tasks(shared: Shared, options: WorkerOptions, runner: Runner) -> Crew | None:
    handlers = shared.registry.of("async")
    if not handlers:
        return None
    return AsyncCrew(
        f"{shared.name}-a",
        options.async_slots,
        tuple(handlers),
        runner=runner,
        send=shared.send,
        ended=shared.ended,
        clock=shared.clock,
    )


def _processes(shared: Shared, options: WorkerOptions, app: str | None) -> Crew | None:
    handlers = shared.registry.of("process")
    if not handlers:
        return None
    return ProcessCrew(
        f"{shared.name}-p",
        options.processes,
        tuple(handlers),
        app=app,
        queue=shared.queue,
        registry=shared.registry,
        running=shared.running,
        send=shared.send,
        ended=shared.ended,
        settled=shared.settled,
        keep=shared.keep,
        watch=shared.watch,
        clock=shared.clock,
    )


def _batch(runner: Runner, handler: Any) -> Callable[..., None]:
    return lambda assignment, rows, outcome: runner.run_batch(assignment, rows, handler, outcome)
