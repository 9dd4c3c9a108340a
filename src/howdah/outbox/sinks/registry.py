"""From an address to a sink: which scheme belongs to which sink, and what to install for it.

Owns the list of schemes. Must never import a sink that is not asked for, nor show a secret.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, cast

from howdah.config import suggestion
from howdah.errors import BadInput
from howdah.outbox.sinks.sink import Sink

_MODULES = {
    "amqp": "rabbitmq",
    "amqps": "rabbitmq",
    "http": "http",
    "https": "http",
    "kafka": "kafka",
    "kafkas": "kafka",
    "nats": "nats",
    "postgres": "postgresql",
    "postgresql": "postgresql",
    "python": "callable",
    "redis": "redis",
    "rediss": "redis",
    "tls": "nats",
    "unix": "redis",
}
"""Each module has `from_url(url, options)`."""

SCHEMES = tuple(_MODULES)


def sink_from_url(url: str, options: Mapping[str, Any] | None = None) -> Sink:
    """A sink, not open, for `nats://host/STREAM`, `redis://`, `amqp://`, `kafka://`, `https://`,
    `postgresql://` or `python:module:function`.

    `options` are the fields of that sink's settings. Raises `BadInput` for an unknown scheme or
    option and `Unsupported`, with the line to install it, for a client library that is missing.
    """
    scheme, colon, _ = url.partition(":")
    if not colon or scheme not in _MODULES:
        # Not the URL: it may hold a password.
        shown = scheme if colon and scheme.isalnum() else "this"
        raise BadInput(
            f"no sink has the scheme {shown!r}",
            detail=f"Known are {', '.join(SCHEMES)}.",
            hint=suggestion(scheme, SCHEMES) if colon else "such as nats://localhost:4222/EVENTS",
        )
    module = importlib.import_module(f"howdah.outbox.sinks.{_MODULES[scheme]}")
    return cast("Sink", module.from_url(url, options or {}))
