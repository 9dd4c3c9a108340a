"""What a draft becomes, and the trace that travels with it."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from howdah.errors import BadInput
from howdah.log.model import Record
from howdah.outbox.model import Draft
from howdah.outbox.payload import event_of, message_of


@pytest.mark.parametrize(
    ("payload", "encoded", "content_type"),
    [
        (b"\x00\xff", b"\x00\xff", "application/octet-stream"),
        ("gruezi", b"gruezi", "text/plain; charset=utf-8"),
        ({"a": [1, None]}, b'{"a":[1,null]}', "application/json"),
        (None, b"null", "application/json"),
    ],
)
def test_payloads(payload: Any, encoded: bytes, content_type: str) -> None:
    event = event_of(Draft("t", "k", payload), 1000)
    assert event.payload == encoded
    assert event.headers == {"content-type": content_type}


def test_the_producers_content_type_wins() -> None:
    event = event_of(Draft("t", None, b"{}", {"Content-Type": "application/avro"}), 1000)
    assert event.headers == {"Content-Type": "application/avro"}


@pytest.mark.parametrize(
    "draft", [Draft("", "k", 1), Draft("t", "k", object()), Draft("t", "k", b"x" * 99)]
)
def test_what_cannot_be_emitted_is_refused_at_once(draft: Draft) -> None:
    with pytest.raises(BadInput):
        event_of(draft, 90)


def test_headers_of_sql_producers_become_text() -> None:
    record = Record(7, 0, "t", "k", {"n": 1, "o": {"p": True}, "s": "x"}, b"", 1.0)
    message = message_of(record, "log")
    assert message.uid == "log-7"
    assert message.headers == {"n": "1", "o": '{"p":true}', "s": "x"}


def test_the_current_trace_travels() -> None:
    tracer = TracerProvider().get_tracer("test")
    assert "traceparent" not in (event_of(Draft("t", None, 1), 1000).headers or {})
    with tracer.start_as_current_span("order") as span:
        headers = event_of(Draft("t", None, 1), 1000).headers or {}
    trace_id = trace.format_trace_id(span.get_span_context().trace_id)
    assert headers["traceparent"].split("-")[1] == trace_id
