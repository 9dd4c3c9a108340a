"""Events emitted in business transactions, and the relay that publishes them.

Owns topics, sinks and parked messages. Must never publish what is not committed.
"""

from __future__ import annotations

from howdah.log import COMPONENT as LOG
from howdah.outbox.api import Outbox
from howdah.outbox.inbox import Inbox
from howdah.outbox.model import (
    Backoff,
    Draft,
    Layout,
    OutboxConfig,
    Parked,
    Policy,
    RelayOptions,
    Status,
)
from howdah.outbox.relay import Relay
from howdah.schema.model import Component

COMPONENT = Component(name="outbox", version=1, package="howdah.outbox", requires=(LOG,))

__all__ = [
    "COMPONENT",
    "Backoff",
    "Draft",
    "Inbox",
    "Layout",
    "Outbox",
    "OutboxConfig",
    "Parked",
    "Policy",
    "Relay",
    "RelayOptions",
    "Status",
]
