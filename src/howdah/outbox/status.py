"""How an outbox stands, from a few index look-ups.

Owns that one reading. Must never count the backlog, nor change anything.
"""

from __future__ import annotations

from howdah.driver import Steps
from howdah.log import store as log_store
from howdah.outbox import store
from howdah.outbox.model import Layout, OutboxConfig, Status
from howdah.outbox.partitioned import PartitionedSource
from howdah.outbox.ring import CONSUMER, RingSource


def of(outbox: str) -> Steps[Status]:
    """One outbox at this moment; `BadInput` when there is none."""
    found = yield from store.found(outbox)
    source = source_of(outbox, found.config, found.uuid, set())
    sight = yield from source.sight()
    epoch, generation, age = yield from _position(outbox, found.config, sight.mark)
    alive = yield from store.locked(outbox)
    messages, keys = yield from store.parked_counts(outbox)
    prefix = "log" if found.config.layout is Layout.RING else "outbox"
    size = yield from store.size_bytes(f"{prefix}_{outbox}$")
    return Status(
        outbox=outbox,
        config=found.config,
        waiting=sight.working,
        epoch=epoch,
        generation=generation,
        position_age_seconds=age,
        relay_alive=alive,
        parked=messages,
        parked_keys=keys,
        bytes=size,
    )


def source_of(
    outbox: str, config: OutboxConfig, uuid: str, delivered: set[int]
) -> RingSource | PartitionedSource:
    """What a relay reads from."""
    kind = RingSource if config.layout is Layout.RING else PartitionedSource
    return kind(outbox, uuid, delivered)


def _position(outbox: str, config: OutboxConfig, mark: int) -> Steps[tuple[int, int, float]]:
    if config.layout is Layout.RING:
        cursor = yield from log_store.newest_cursor(outbox, CONSUMER)
        return cursor.epoch, cursor.generation, cursor.age_seconds
    age = yield from PartitionedSource(outbox, "", set()).age_seconds()
    return mark >> 32, mark & 0xFFFFFFFF, age
