"""What a draft becomes, and the trace that travels with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from howdah.errors import BadInput
from howdah.log.model import Record
from howdah.outbox import Outbox
from howdah.outbox.model import Draft, OutboxConfig
from howdah.outbox.payload import event_of, events_of, messages_of
from howdah.outbox.sinks.sink import Message


@pytest.mark.parametrize(
    ("usual", "payload", "encoded", "said", "arrives_as"),
    [
        ("application/json", b"\x00\xff", b"\x00\xff", True, "application/octet-stream"),
        ("application/json", "gruezi", b"gruezi", True, "text/plain; charset=utf-8"),
        ("application/json", {"a": [1, None]}, b'{"a":[1,null]}', False, "application/json"),
        ("application/json", None, b"null", False, "application/json"),
        ("application/avro", b"\x00\xff", b"\x00\xff", False, "application/avro"),
        ("application/avro", {"a": 1}, b'{"a":1}', True, "application/json"),
        ("text/csv", "a;b", b"a;b", False, "text/csv"),
    ],
)
def test_payloads(usual: str, payload: Any, encoded: bytes, said: bool, arrives_as: str) -> None:
    """What is of the outbox's type costs no header; at the sink every message says its type."""
    event = event_of(Draft("t", "k", payload), OutboxConfig(content_type=usual))
    assert event.payload == encoded
    assert event.headers == ({"content-type": arrives_as} if said else None)
    assert arrived(event.headers, usual).headers == {"content-type": arrives_as}


def test_the_producers_content_type_wins() -> None:
    draft = Draft("t", None, b"{}", {"Content-Type": "application/avro"})
    event = event_of(draft, OutboxConfig())
    assert event.headers == {"Content-Type": "application/avro"}
    assert arrived(event.headers, "application/json").headers == event.headers


@pytest.mark.parametrize("wrong", ["", "json", "a/b\r\nx: y", "a b/c"])
def test_a_content_type_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(BadInput):
        Outbox("orders", content_type=wrong)


@pytest.mark.parametrize(
    "draft", [Draft("", "k", 1), Draft("t", "k", object()), Draft("t", "k", b"x" * 99)]
)
def test_what_cannot_be_emitted_is_refused_at_once(draft: Draft) -> None:
    with pytest.raises(BadInput):
        event_of(draft, OutboxConfig(max_bytes=90))


def test_headers_of_sql_producers_become_text() -> None:
    message = arrived({"n": 1, "o": {"p": True}, "s": "x"}, "a/b")
    assert message.uid == "log-7"
    assert message.headers == {"n": "1", "o": '{"p":true}', "s": "x", "content-type": "a/b"}


def test_the_current_trace_travels() -> None:
    tracer = TracerProvider().get_tracer("test")
    assert "traceparent" not in (event_of(Draft("t", None, 1), OutboxConfig()).headers or {})
    with tracer.start_as_current_span("order") as span:
        headers = event_of(Draft("t", None, 1), OutboxConfig()).headers or {}
    trace_id = trace.format_trace_id(span.get_span_context().trace_id)
    assert headers["traceparent"].split("-")[1] == trace_id


def test_the_trace_of_a_call_is_in_each_event_unless_the_producer_wrote_one() -> None:
    tracer = TracerProvider().get_tracer("test")
    own = {"traceparent": "00-1-2-01"}
    with tracer.start_as_current_span("order"):
        one, two, given = events_of(
            [("t", None, 1), ("t", None, 2), ("t", None, 3, own)], OutboxConfig()
        )
    assert one.headers is not None and two.headers is not None
    assert one.headers["traceparent"] == two.headers["traceparent"]
    assert given.headers == own


def arrived(headers: Mapping[str, Any] | None, content_type: str) -> Message:
    """What a sink is given for an event with these headers."""
    record = Record(7, 0, "t", "k", dict(headers) if headers else None, b"", 1.0)
    (message,) = messages_of([record], "log", content_type)
    return message
