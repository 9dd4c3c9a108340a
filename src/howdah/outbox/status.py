"""How an outbox stands, from a few index look-ups.

Owns that one reading. Must never count the backlog, nor change anything.
"""

from __future__ import annotations

from howdah.driver import Row, Steps
from howdah.outbox import store
from howdah.outbox.model import Layout, OutboxConfig, Status
from howdah.outbox.partitioned import PartitionedSource
from howdah.outbox.ring import RingSource


def of(outbox: str) -> Steps[Status]:
    """One outbox at this moment; `BadInput` when there is none."""
    config = yield from store.found(outbox)
    position = yield from _position(outbox, config)
    generation, epoch, age, waiting, lag, problem = position
    alive = yield from store.locked(outbox)
    messages, keys = yield from store.parked_counts(outbox)
    prefix = "log" if config.layout is Layout.RING else "outbox"
    size = yield from store.size_bytes(f"{prefix}_{outbox}$")
    return Status(
        outbox=outbox,
        config=config,
        waiting=waiting,
        lag_seconds=lag,
        problem=problem,
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
    return kind(outbox, config, uuid, delivered)


def _position(outbox: str, config: OutboxConfig) -> Steps[Row]:
    """Generation, epoch, age of the position, whether there is work, lag in seconds, problem."""
    if config.layout is Layout.RING:
        return (yield from store.ring_status(outbox))
    source = PartitionedSource(outbox, config, "", set())
    sight = yield from source.sight()
    age = yield from source.age_seconds()
    lag = yield from source.lag_seconds()
    return sight.mark & 0xFFFFFFFF, sight.mark >> 32, age, sight.working, lag, ""
