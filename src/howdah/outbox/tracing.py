"""The trace from producer to sink, where OpenTelemetry is installed.

Owns the headers `traceparent` and `tracestate` (W3C Trace Context) and the relay's spans. Must
never need OpenTelemetry: without it nothing is traced, and nothing else changes.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator, MutableMapping, Sequence

from howdah.outbox.sinks.sink import Message

_INSTALLED = importlib.util.find_spec("opentelemetry") is not None
_MOST_LINKS = 64
"""Of one batch's span; exporters keep 128 at most."""


def inject(headers: MutableMapping[str, str]) -> None:
    """Add the current trace, unless the producer wrote one itself."""
    if not _INSTALLED or "traceparent" in headers:
        return
    from opentelemetry import propagate, trace

    # Without a span there is nothing to carry, and the propagator would be asked for nothing.
    if trace.get_current_span().get_span_context().is_valid:
        propagate.inject(headers)


@contextlib.contextmanager
def publishing(outbox: str, sink: str, messages: Sequence[Message]) -> Iterator[None]:
    """A span around one call of a sink, linked to the traces in which its messages were emitted.

    The names are those of OpenTelemetry's semantic conventions for messaging.
    """
    if not _INSTALLED:
        yield
        return
    from opentelemetry import propagate, trace

    emitted = (
        trace.get_current_span(propagate.extract(message.headers)).get_span_context()
        for message in messages[: _MOST_LINKS * 4]
        if "traceparent" in message.headers
    )
    links = [trace.Link(context) for context in emitted if context.is_valid][:_MOST_LINKS]
    attributes: dict[str, str | int] = {
        "messaging.system": sink,
        "messaging.destination.name": outbox,
        "messaging.operation.type": "send",
        "messaging.batch.message_count": len(messages),
    }
    tracer = trace.get_tracer("howdah.outbox")
    with tracer.start_as_current_span(
        f"send {outbox}", kind=trace.SpanKind.PRODUCER, links=links, attributes=attributes
    ):
        yield
