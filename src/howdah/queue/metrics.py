"""What a worker process shows to Prometheus.

Owns the names, labels and buckets; docs/queue.md lists them. Must never ask the database: a scrape
reads memory, so that it costs the same whatever the backlog is.

Needs the extra `metrics`. Labels are the queue and the kind of a job, nothing that grows with jobs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from howdah.errors import Unsupported
from howdah.queue.context import JobContext

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

    from howdah.queue.dispatch import Dispatching

_RUN_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800)
_WAIT_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 10, 60, 600, 3600, 86400)
EVENTS = ("seen", "claimed", "done", "retried", "dead", "lost", "returned", "cancelled", "late")


class Metrics:
    """The metrics of one worker process, in the registry that it is given (default: the global)."""

    def __init__(self, queue: str, registry: CollectorRegistry | None = None) -> None:
        try:
            import prometheus_client
        except ImportError as error:
            raise Unsupported(
                "metrics need prometheus-client", hint="pip install 'howdah[metrics]'"
            ) from error
        self.registry = registry or prometheus_client.REGISTRY
        self.queue = queue
        labels = ("queue", "kind")
        given: dict[str, Any] = {"registry": self.registry}
        self._attempts = prometheus_client.Counter(
            "howdah_queue_attempts_total",
            "Attempts that ended in this process, by outcome: done or failed.",
            (*labels, "outcome"),
            **given,
        )
        self._run = prometheus_client.Histogram(
            "howdah_queue_run_seconds",
            "How long attempts ran; of a batch, each job's share.",
            labels,
            buckets=_RUN_SECONDS,
            **given,
        )
        self._wait = prometheus_client.Histogram(
            "howdah_queue_wait_seconds",
            "From enqueued to started, of first attempts; by the clocks of server and worker.",
            labels,
            buckets=_WAIT_SECONDS,
            **given,
        )

    def started(self, context: JobContext, now: float) -> None:
        """An attempt starts; `now` in seconds since 1970."""
        if context.attempt == 1:
            self._wait.labels(self.queue, context.kind).observe(max(0.0, now - context.enqueued_at))

    def ended(self, context: JobContext, seconds: float, *, well: bool) -> None:
        """An attempt has ended."""
        self._run.labels(self.queue, context.kind).observe(seconds)
        outcome = "done" if well else "failed"
        self._attempts.labels(self.queue, context.kind, outcome).inc()

    def show(self, process: Process) -> None:
        """Have a scrape read what the process is doing."""
        self.registry.register(process)

    def serve(self, port: int, address: str = "127.0.0.1") -> Serving:
        """Serve the registry over HTTP, on loopback unless told otherwise."""
        import prometheus_client

        try:
            server, thread = prometheus_client.start_http_server(port, address, self.registry)
        except OSError as error:
            raise Unsupported(
                f"cannot serve metrics on {address}:{port}", detail=str(error), hint="another port"
            ) from error
        return Serving(server, thread)


class Serving:
    """The HTTP server of a process's metrics."""

    def __init__(self, server: Any, thread: Any) -> None:
        self._server = server
        self._thread = thread

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5.0)


class Process:
    """What a scrape reads of a worker: slots, what runs, and its dispatcher while it has one."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker

    def describe(self) -> list[Metric]:
        """Nothing: the names do not depend on a first collection."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The gauges and counters of this moment."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        worker = self._worker
        dispatching: Dispatching | None = worker.dispatching
        gauges: dict[str, tuple[str, float]] = {
            "slots": ("Claims that this process runs at once.", sum(c.slots for c in worker.crews)),
            "running": ("Jobs that run in this process now.", len(worker.running)),
            "leading": ("1 while this process is the queue's dispatcher.", dispatching is not None),
        }
        if dispatching is not None:
            gauges |= _of_dispatcher(dispatching)
        for name, (text, value) in gauges.items():
            gauge = GaugeMetricFamily(f"howdah_queue_{name}", text, labels=["queue"])
            gauge.add_metric([worker.queue], float(value))
            yield gauge
        counter = CounterMetricFamily(
            "howdah_queue_dispatched",
            "What became of jobs, counted by the dispatcher while it is in this process.",
            labels=["queue", "event"],
        )
        for name, count in _tally(dispatching).items():
            counter.add_metric([worker.queue, name], float(count))
        yield counter


def _of_dispatcher(dispatching: Dispatching) -> dict[str, tuple[str, float]]:
    dispatcher = dispatching.dispatcher
    claims = list(dispatcher.open.values())
    return {
        "loaded_jobs": (
            "Jobs in the dispatcher's memory, running ones too.",
            dispatcher.board.loaded,
        ),
        "open_claims": ("Claims that are not reported on in full.", len(claims)),
        "claimed_jobs": ("Jobs of those claims.", sum(claim.left for claim in claims)),
        "generation": ("The newest row of the ledger.", dispatcher.generation),
    }


def _tally(dispatching: Dispatching | None) -> dict[str, int]:
    if dispatching is None:
        return {}
    tally = dispatching.dispatcher.board.tally
    return {name: tally.get(name, 0) for name in EVENTS}
