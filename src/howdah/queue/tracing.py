"""The trace from the enqueuing span to the attempt, where OpenTelemetry is installed.

Owns the headers `traceparent` and `tracestate` (W3C Trace Context) of a job and the spans of its
attempts. Must never need OpenTelemetry: without it, or without a span that is recorded, nothing is
added to a job and no span is made.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from howdah.queue.context import JobContext

if TYPE_CHECKING:
    from opentelemetry.trace import Link

_INSTALLED = importlib.util.find_spec("opentelemetry") is not None
_MOST_LINKS = 64
"""Of one batch's span; exporters keep 128 at most."""


def carried() -> Mapping[str, str]:
    """The headers that continue the current span; empty unless one is being recorded."""
    if not _INSTALLED:
        return {}
    from opentelemetry import propagate, trace

    headers: dict[str, str] = {}
    if trace.get_current_span().is_recording():
        propagate.inject(headers)
    return headers


def wanted() -> bool:
    """Whether the program has set up where spans go; asked once, when a worker starts."""
    if not _INSTALLED:
        return False
    from opentelemetry import trace

    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


@contextlib.contextmanager
def attempting(queue: str, contexts: Sequence[JobContext]) -> Iterator[None]:
    """A span around one attempt, or around one batch, linked to where its jobs were enqueued.

    A link, not a parent: a job may run long after the trace that enqueued it has ended, and more
    than once. The names are those of OpenTelemetry's semantic conventions for messaging.
    """
    from opentelemetry import trace

    first = contexts[0]
    attributes: dict[str, str | int] = {
        "messaging.system": "howdah",
        "messaging.destination.name": queue,
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "howdah.job.kind": first.kind,
    }
    if len(contexts) == 1:
        attributes["messaging.message.id"] = str(first.job)
        attributes["howdah.job.attempt"] = first.attempt
    else:
        attributes["messaging.batch.message_count"] = len(contexts)
    links = [link for context in contexts[:_MOST_LINKS] for link in _link(context)]
    with trace.get_tracer("howdah.queue").start_as_current_span(
        f"process {first.kind}", kind=trace.SpanKind.CONSUMER, links=links, attributes=attributes
    ):
        yield


def _link(context: JobContext) -> list[Link]:
    from opentelemetry import propagate, trace

    if "traceparent" not in context.headers:
        return []
    span = trace.get_current_span(propagate.extract(context.headers))
    return [trace.Link(span.get_span_context())] if span.get_span_context().is_valid else []
