"""What looks on while jobs run: metrics and traces.

Owns the one place around an attempt where both are taken. Must never change what happens to a job.
A worker that nobody watches has none of this: `watch()` is None then.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from howdah.clock import SYSTEM_CLOCK, Clock
from howdah.queue import tracing
from howdah.queue.context import JobContext
from howdah.queue.metrics import Metrics

UNWATCHED: contextlib.AbstractContextManager[None] = contextlib.nullcontext()


class Watch:
    """Looks on at the attempts of one worker process."""

    def __init__(
        self, queue: str, metrics: Metrics | None, *, traced: bool, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._queue = queue
        self._metrics = metrics
        self._traced = traced
        self._clock = clock

    @contextlib.contextmanager
    def over(self, contexts: Sequence[JobContext]) -> Iterator[None]:
        """One attempt, or one batch, while it runs; what it raises goes on."""
        started = self._clock.monotonic()
        if self._metrics is not None:
            now = self._clock.now().timestamp()
            for context in contexts:
                self._metrics.started(context, now)
        span = tracing.attempting(self._queue, contexts) if self._traced else UNWATCHED
        well = False
        try:
            with span:
                yield
            well = True
        finally:
            self._count(contexts, self._clock.monotonic() - started, well)

    def _count(self, contexts: Sequence[JobContext], seconds: float, well: bool) -> None:
        if self._metrics is not None:
            each = seconds / len(contexts)
            for context in contexts:
                ended_well = context.failure is None and (well or context.completed)
                self._metrics.ended(context, each, well=ended_well)


def watch(queue: str, metrics: Metrics | None, clock: Clock = SYSTEM_CLOCK) -> Watch | None:
    """Who looks on, or None where there are neither metrics nor traces."""
    traced = tracing.wanted()
    if metrics is None and not traced:
        return None
    return Watch(queue, metrics, traced=traced, clock=clock)
