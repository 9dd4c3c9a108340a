"""The relay's spans, linked to the traces in which messages were emitted."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from howdah.outbox.model import Draft, OutboxConfig
from howdah.outbox.payload import event_of
from howdah.outbox.sinks.sink import Message
from howdah.outbox.tracing import publishing


def test_a_batch_is_a_span_with_links(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    with provider.get_tracer("shop").start_as_current_span("order") as order:
        event = event_of(Draft("t", "k", 1), OutboxConfig())
    message = Message(
        id=1,
        uid="log-1",
        topic="t",
        key="k",
        payload=event.payload,
        headers={name: str(value) for name, value in (event.headers or {}).items()},
        at=0.0,
    )
    with publishing("orders", "nats", [message]):
        pass
    span = exporter.get_finished_spans()[-1]
    assert span.name == "send orders"
    assert span.kind is trace.SpanKind.PRODUCER
    assert [link.context.trace_id for link in span.links] == [order.get_span_context().trace_id]
    assert (span.attributes or {})["messaging.system"] == "nats"
