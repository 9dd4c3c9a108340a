"""What a producer's draft becomes in the log, and what a record becomes at the sink.

Owns the encoding of payloads, the content type, and the trace that travels. Must never change a
payload that is bytes, nor a header that the producer wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from howdah.errors import BadInput
from howdah.log.model import Event, Record
from howdah.outbox.model import Draft
from howdah.outbox.sinks.sink import Message
from howdah.outbox.tracing import inject

CONTENT_TYPE = "content-type"
_BYTES = "application/octet-stream"
_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"


def event_of(draft: Draft, max_bytes: int) -> Event:
    """The event to emit; `BadInput` for what cannot be encoded, or is larger than `max_bytes`.

    >>> event_of(Draft("orders", "7", {"total": 3}), 1_000).payload
    b'{"total":3}'
    """
    if not draft.topic:
        raise BadInput("an event needs a topic")
    payload, content_type = encoded(draft.payload)
    headers = dict(draft.headers or {})
    if not any(name.lower() == CONTENT_TYPE for name in headers):
        headers[CONTENT_TYPE] = content_type
    inject(headers)
    size = len(payload) + sum(len(name) + len(str(value)) for name, value in headers.items())
    if size > max_bytes:
        raise BadInput(
            f"an event for {draft.topic!r} has {size} bytes, and {max_bytes} are allowed",
            hint="emit a reference to where the data is, or create the outbox with more max_bytes",
        )
    return Event(topic=draft.topic, key=draft.key, payload=payload, headers=headers)


def encoded(payload: Any) -> tuple[bytes, str]:
    """The bytes of a payload and what they are."""
    if isinstance(payload, bytes | bytearray | memoryview):
        return bytes(payload), _BYTES
    if isinstance(payload, str):
        return payload.encode(), _TEXT
    try:
        return msgspec.json.encode(payload), _JSON
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        raise BadInput(
            f"a payload of type {type(payload).__name__} cannot be written as JSON",
            detail=str(error),
            hint="bytes, text, or what JSON can say",
        ) from error


def message_of(record: Record, uuid: str) -> Message:
    """A record of the log named `uuid` as a sink sees it."""
    return Message(
        id=record.id,
        uid=f"{uuid}-{record.id}",
        topic=record.topic,
        key=record.key,
        payload=record.payload,
        headers=texts(record.headers),
        at=record.at,
    )


def texts(headers: Mapping[str, Any] | None) -> dict[str, str]:
    """Headers as text: what SQL producers wrote as numbers or objects becomes JSON."""
    if not headers:
        return {}
    return {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name, value in headers.items()
    }
