"""An append-only log on plain tables: emit in your transaction, read by snapshots.

Owns segments, cursors and windows. Must never update or delete a row.
"""

from __future__ import annotations

from howdah.log.api import Consumer, Log, OpenConsumer
from howdah.log.model import Cursor, Event, Page, Position, Record
from howdah.schema.model import Component

COMPONENT = Component(name="log", version=1, package="howdah.log")

__all__ = [
    "COMPONENT",
    "Consumer",
    "Cursor",
    "Event",
    "Log",
    "OpenConsumer",
    "Page",
    "Position",
    "Record",
]
