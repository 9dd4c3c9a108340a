"""CloudEvents 1.0 over HTTP, binary and structured mode, as the specification and its HTTP binding
and JSON format have them.

Owns the attributes of a message and both renderings. Must never send a request.

| attribute | from |
|---|---|
| `id` | the uid |
| `source` | the setting |
| `type` | the topic |
| `time` | when it was emitted |
| `partitionkey` (extension) | the key |
| `datacontenttype` | the header `content-type`, else the setting |
| an extension | each header whose name is a legal one: `a`-`z`, `0`-`9`, and not taken above |
| `howdahheaders` (extension) | all other headers, as JSON |
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping

import msgspec

from howdah.outbox.sinks.envelope import emitted_at
from howdah.outbox.sinks.sink import Message

STRUCTURED = "application/cloudevents+json; charset=utf-8"
OTHER_HEADERS = "howdahheaders"

_EXTENSION = re.compile(r"[a-z0-9]{1,20}")
"""Attribute names: specification, "Naming Conventions"; 20 is its recommended length."""
_TAKEN = frozenset(
    {"specversion", "id", "source", "type", "time", "subject", "dataschema", "datacontenttype"}
    | {"data", "partitionkey", OTHER_HEADERS}
)
_CONTENT_TYPE = "content-type"
_PRINTABLE = frozenset(map(chr, range(0x21, 0x7F))) - {'"', "%"}
"""What stands for itself in a header: HTTP binding, "HTTP Header Values"."""


def attributes(message: Message, *, source: str, content_type: str) -> dict[str, str]:
    """All context attributes of a message by name, as their canonical strings."""
    found = {
        "specversion": "1.0",
        "id": message.uid,
        "source": source,
        "type": message.topic,
        "time": emitted_at(message),
        "datacontenttype": content_type,
    }
    if message.key is not None:
        found["partitionkey"] = message.key
    others: dict[str, str] = {}
    for name, value in message.headers.items():
        if name.lower() == _CONTENT_TYPE:
            found["datacontenttype"] = value
        elif _EXTENSION.fullmatch(name) and name not in _TAKEN:
            found[name] = value
        else:
            others[name] = value
    if others:
        found[OTHER_HEADERS] = json.dumps(others, ensure_ascii=False)
    return found


def binary(message: Message, found: Mapping[str, str]) -> tuple[dict[str, str], bytes]:
    """Headers and body of binary mode: the payload is the body, each attribute a header."""
    headers = {
        f"ce-{name}": encoded(value) for name, value in found.items() if name != "datacontenttype"
    }
    headers[_CONTENT_TYPE] = found["datacontenttype"]
    return headers, message.payload


def structured(message: Message, found: Mapping[str, str]) -> tuple[dict[str, str], bytes]:
    """Headers and body of structured mode: one JSON object; a payload that is no JSON as base64."""
    body: dict[str, object] = dict(found)
    if _is_json(found["datacontenttype"], message.payload):
        body["data"] = msgspec.Raw(message.payload)
    else:
        body["data_base64"] = base64.b64encode(message.payload).decode()
    return {_CONTENT_TYPE: STRUCTURED}, msgspec.json.encode(body)


def encoded(value: str) -> str:
    """A header value: everything but printable ASCII without space, quote and % as %XX of UTF-8.

    >>> encoded("Euro \\u20ac")
    'Euro%20%E2%82%AC'
    """
    return "".join(
        each if each in _PRINTABLE else "".join(f"%{byte:02X}" for byte in each.encode())
        for each in value
    )


def _is_json(content_type: str, payload: bytes) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        return False
    try:
        msgspec.json.decode(payload, type=object)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True
