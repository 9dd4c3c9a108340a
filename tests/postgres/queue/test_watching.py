"""Metrics and traces of jobs: counted by kind, linked to where they were enqueued."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

from howdah import queue as queues
from howdah.queue import Backoff, JobContext, Metrics, Queue, WorkerOptions, tracing
from howdah.queue.watching import Watch, watch
from howdah.schema import install
from howdah.testing import Database, wait_until
from howdah.testing.queues import enqueued, run_job

pytestmark = pytest.mark.postgres(newest_by_default=True)  # decided in Python


@pytest.fixture
def connection(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with database.connect() as opened:
        install(opened, [queues.COMPONENT])
        yield opened


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """A tracer provider for one test; the global one can be set once only."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    return exporter


def shop() -> Queue:
    queue = Queue("shop")

    @queue.job(backoff=Backoff(base_seconds=0.01, jitter="none"))
    def mail(n: int, job: JobContext) -> None:
        if n < 0 and job.attempt == 1:
            raise ValueError("negative")

    @queue.job
    async def fetch(n: int) -> None: ...

    @queue.job(batch=True)
    def many(jobs: list[JobContext]) -> None:
        for each in jobs:
            if each.arguments()["n"] < 0:
                each.fail(ValueError("negative"))

    return queue


@contextmanager
def working(queue: Queue, dsn: str, metrics: Metrics | None = None) -> Iterator[None]:
    worker = queue.worker(dsn, options=WorkerOptions(threads=2), metrics=metrics)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join()


def test_attempts_are_counted_by_kind_and_outcome(
    database: Database, connection: psycopg.Connection[Any]
) -> None:
    queue, registry = shop(), CollectorRegistry()
    metrics = Metrics("shop", registry)
    queue.create(connection)

    def count(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"howdah_queue_{name}", {"queue": "shop", **labels})

    with working(queue, database.dsn, metrics):
        queue.enqueue(connection, "mail", {"n": 1})
        queue.enqueue(connection, "mail", {"n": -1})
        queue.enqueue_many(connection, "fetch", [{"n": 1}, {"n": 2}])
        queue.enqueue_many(connection, "many", [{"n": n} for n in (1, 2, -1)])
        wait_until(lambda: count("attempts_total", kind="mail", outcome="done") == 2)
        wait_until(lambda: count("attempts_total", kind="fetch", outcome="done") == 2)
        wait_until(lambda: count("attempts_total", kind="many", outcome="done") == 2)
        assert count("attempts_total", kind="mail", outcome="failed") == 1
        assert (count("attempts_total", kind="many", outcome="failed") or 0) >= 1
        assert count("run_seconds_count", kind="mail") == 3
        assert count("wait_seconds_count", kind="mail") == 2
        assert count("leading") == 1
        wait_until(lambda: count("dispatched_total", event="seen") == 7)
        assert count("slots") == 102
        serving = metrics.serve(0)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{serving.port}/metrics") as answer:
                assert b"howdah_queue_wait_seconds_bucket" in answer.read()
        finally:
            serving.close()
    assert count("leading") == 0
    assert count("dispatched_total", event="seen") is None


def named(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.name == name]


def test_an_attempt_is_linked_to_the_span_that_enqueued_it(
    database: Database, connection: psycopg.Connection[Any], spans: InMemorySpanExporter
) -> None:
    queue = shop()
    queue.create(connection)
    with trace.get_tracer("test").start_as_current_span("order") as ordering:
        job = queue.enqueue(connection, "mail", {"n": -1}).job
        queue.enqueue_many(connection, "many", [{"n": 1}, {"n": 2}])
    queue.enqueue(connection, "fetch", {"n": 1})
    wanted = ordering.get_span_context()
    with working(queue, database.dsn):
        wait_until(lambda: len(named(spans, "process mail")) == 2)
        wait_until(lambda: named(spans, "process many") and named(spans, "process fetch"))
    first, second = named(spans, "process mail")
    for span, attempt in ((first, 1), (second, 2)):
        assert [link.context.span_id for link in span.links] == [wanted.span_id]
        assert span.context.trace_id != wanted.trace_id
        assert span.attributes is not None
        assert span.attributes["messaging.message.id"] == str(job)
        assert span.attributes["howdah.job.attempt"] == attempt
    assert not first.status.is_ok
    assert [event.name for event in first.events] == ["exception"]
    assert second.status.is_unset
    batches = named(spans, "process many")
    linked = [link.context.trace_id for span in batches for link in span.links]
    assert linked == [wanted.trace_id] * 2
    assert named(spans, "process fetch")[0].links == ()


def test_without_a_recorded_span_nothing_is_added(connection: psycopg.Connection[Any]) -> None:
    queue = shop()
    queue.create(connection)
    queue.enqueue(connection, "mail", {"n": 1})
    assert [each.headers for each in enqueued(queue, connection)] == [{}]
    assert watch("shop", None) is None


def test_a_watched_handler_sees_its_own_span(spans: InMemorySpanExporter) -> None:
    queue, seen = Queue("shop"), []

    @queue.job
    def look(job: JobContext) -> None:
        with Watch("shop", None, traced=True).over((job,)):
            seen.append(trace.get_current_span().get_span_context().span_id)

    run_job(look)
    assert [span.context.span_id for span in named(spans, "process look")] == seen
    assert tracing.wanted()
