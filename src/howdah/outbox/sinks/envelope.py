"""What travels with a message besides its payload, under one set of names for all sinks.

Owns the names of our headers and the form of their values. Must never drop a header of the user,
except one that borrows a name of ours.
"""

from __future__ import annotations

from datetime import UTC, datetime

from howdah.outbox.sinks.sink import Message, Outcome, Verdict

UID = "howdah-uid"
"""The message's uid: what a consumer removes duplicates by."""
TOPIC = "howdah-topic"
KEY = "howdah-key"
"""The ordering key; absent when the message has none."""
AT = "howdah-at"
"""When it was emitted, as RFC 3339 in UTC with microseconds."""

OURS = frozenset({UID, TOPIC, KEY, AT})
_OURS_BYTES = sum(map(len, OURS)) + len("2026-01-31T12:00:00.250000Z")


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
    return len(message.payload) + len("".join((*headers, *headers.values())).encode())


def texts(message: Message) -> str:
    """All that a producer may have written of a message but its payload."""
    headers = message.headers
    return "".join((message.uid, message.topic, message.key or "", *headers, *headers.values()))


def surely_fits(message: Message, limit: int, *, more: int = 0) -> bool:
    """Whether its size and `more` bytes stay within the limit, by a bound that costs less."""
    # A character has four bytes at most.
    return len(message.payload) + 4 * len(texts(message)) + _OURS_BYTES + more <= limit


def too_large(message: Message, limit: int | None) -> Outcome | None:
    """The verdict about a message that is larger than the limit; None for any other."""
    if limit is None or surely_fits(message, limit):
        return None
    needed = size(message, envelope(message))
    if needed <= limit:
        return None
    reason = f"{needed} bytes, and {limit} are allowed"
    return Outcome(verdict=Verdict.POISON, reason=reason, code="too-large")
