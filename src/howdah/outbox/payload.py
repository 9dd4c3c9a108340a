"""What a producer's draft becomes in the log, and what a record becomes at the sink.

Owns the encoding of payloads, the content type, and the trace that travels. Must never change a
payload that is bytes, nor a header that the producer wrote.

An outbox has a content type. An event of that type carries no header that says so: the relay adds
it. So the usual event has no headers at all, and nothing to be parsed on either side.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from howdah.errors import BadInput
from howdah.log.model import Event, Record
from howdah.outbox.model import JSON, Draft, OutboxConfig
from howdah.outbox.sinks.sink import Message
from howdah.outbox.tracing import inject

CONTENT_TYPE = "content-type"
_BYTES = "application/octet-stream"
_TEXT = "text/plain; charset=utf-8"


def event_of(draft: Draft, config: OutboxConfig) -> Event:
    """The event to emit; `BadInput` for what cannot be encoded, or is larger than `max_bytes`.

    >>> event_of(Draft("orders", "7", {"total": 3}), OutboxConfig()).payload
    b'{"total":3}'
    """
    trace: dict[str, str] = {}
    inject(trace)
    return _event(config, trace, *draft)


def events_of(drafts: Iterable[Draft | tuple[Any, ...]], config: OutboxConfig) -> Iterator[Event]:
    """The events of one call: all of them carry the trace in which it was made."""
    trace: dict[str, str] = {}
    inject(trace)
    for draft in drafts:
        yield _event(config, trace, *draft)


def _event(
    config: OutboxConfig,
    trace: Mapping[str, str],
    topic: str,
    key: str | None,
    payload: Any,
    headers: Mapping[str, str] | None = None,
) -> Event:
    if not topic:
        raise BadInput("an event needs a topic")
    body, content_type = encoded(payload, config.content_type)
    size = len(body)
    if not headers and not trace and content_type == config.content_type:
        together = None
    else:
        together = _headers(headers or {}, trace, content_type, config.content_type)
        size += sum(len(name) + len(str(value)) for name, value in together.items())
    if size > config.max_bytes:
        raise BadInput(
            f"an event for {topic!r} has {size} bytes, and {config.max_bytes} are allowed",
            hint="emit a reference to where the data is, or create the outbox with more max_bytes",
        )
    return Event(topic, body, key, together)


def _headers(
    given: Mapping[str, str], trace: Mapping[str, str], content_type: str, usual: str
) -> dict[str, str]:
    """The producer's own, and what it left out."""
    headers = dict(given)
    if content_type != usual and not any(name.lower() == CONTENT_TYPE for name in headers):
        headers[CONTENT_TYPE] = content_type
    if "traceparent" not in headers:
        headers |= trace
    return headers


def encoded(payload: Any, usual: str = JSON) -> tuple[bytes, str]:
    """The bytes of a payload and what they are, in an outbox whose content type is `usual`.

    >>> encoded(b"x"), encoded(b"x", "application/avro"), encoded("x")[1]
    ((b'x', 'application/octet-stream'), (b'x', 'application/avro'), 'text/plain; charset=utf-8')
    """
    if isinstance(payload, bytes | bytearray | memoryview):
        return bytes(payload), _BYTES if usual == JSON else usual
    if isinstance(payload, str):
        return payload.encode(), usual if usual.startswith("text/") else _TEXT
    try:
        return msgspec.json.encode(payload), JSON
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        raise BadInput(
            f"a payload of type {type(payload).__name__} cannot be written as JSON",
            detail=str(error),
            hint="bytes, text, or what JSON can say",
        ) from error


def messages_of(records: Sequence[Record], uuid: str, content_type: str) -> list[Message]:
    """Records of the log named `uuid` as a sink sees them; see `texts` for their headers."""
    start = f"{uuid}-"
    return [
        Message(
            id=record.id,
            uid=f"{start}{record.id}",
            topic=record.topic,
            key=record.key,
            payload=record.payload,
            headers=texts(record.headers, content_type),
            at=record.at,
        )
        for record in records
    ]


def texts(headers: Mapping[str, Any] | None, content_type: str) -> dict[str, str]:
    """Headers as text: what SQL producers wrote as numbers or objects becomes JSON.

    What has no content type gets the outbox's.
    """
    if not headers:
        return {CONTENT_TYPE: content_type}
    found = {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name, value in headers.items()
    }
    if CONTENT_TYPE not in found and not any(name.lower() == CONTENT_TYPE for name in found):
        found[CONTENT_TYPE] = content_type
    return found
