"""What travels with a message besides its payload, under one set of names for all sinks.

Owns the names of our headers and the form of their values. Must never drop a header of the user,
except one that borrows a name of ours.
"""

from __future__ import annotations

from datetime import UTC, datetime

from howdah.outbox.sinks.sink import Message

UID = "howdah-uid"
"""The message's uid: what a consumer removes duplicates by."""
TOPIC = "howdah-topic"
KEY = "howdah-key"
"""The ordering key; absent when the message has none."""
AT = "howdah-at"
"""When it was emitted, as RFC 3339 in UTC with microseconds."""

OURS = frozenset({UID, TOPIC, KEY, AT})


def emitted_at(message: Message) -> str:
    """The moment of emission, such as `2026-01-31T12:00:00.250000Z`."""
    moment = datetime.fromtimestamp(message.at, tz=UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def envelope(message: Message) -> dict[str, str]:
    """The message's own headers and ours."""
    headers = {name: value for name, value in message.headers.items() if name.lower() not in OURS}
    headers[UID] = message.uid
    headers[TOPIC] = message.topic
    if message.key is not None:
        headers[KEY] = message.key
    headers[AT] = emitted_at(message)
    return headers


def size(message: Message, headers: dict[str, str]) -> int:
    """Bytes of the payload and of the headers as UTF-8, separators not counted."""
    return len(message.payload) + sum(
        len(name.encode()) + len(value.encode()) for name, value in headers.items()
    )
