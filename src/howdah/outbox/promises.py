"""Whether a sink can keep what an outbox asks for.

Owns that comparison, pure. Must never let a relay start on a promise that the sink does not make.
"""

from __future__ import annotations

from collections.abc import Iterator

from howdah.errors import Unsupported
from howdah.outbox.model import OutboxConfig
from howdah.outbox.sinks.sink import Dedup, Ordering, Promise

ENVELOPE_BYTES = 1024
"""What travels with a message besides: uid, topic, key, time, and their names."""

_DEDUP = (Dedup.NONE, Dedup.PRODUCER, Dedup.MESSAGE_ID, Dedup.TRANSACTION)
_ORDERING = (Ordering.NONE, Ordering.KEY, Ordering.TOTAL)


def require(config: OutboxConfig, sink: str, promise: Promise) -> None:
    """Raise `Unsupported` with everything that the sink cannot keep."""
    broken = list(_broken(config, promise))
    if broken:
        raise Unsupported(
            f"the sink {sink} cannot keep what the outbox asks for",
            detail="; ".join(broken),
            hint="another sink or other settings of it, or an outbox that asks for less",
        )


def _broken(config: OutboxConfig, promise: Promise) -> Iterator[str]:
    if config.ordering is Ordering.TOTAL:
        yield "order of all messages is asked for, and a relay keeps the order of each key"
    elif _ORDERING.index(config.ordering) > _ORDERING.index(promise.ordering):
        yield f"order by {config.ordering} is asked for, and it keeps {promise.ordering}"
    if _DEDUP.index(config.dedup) > _DEDUP.index(promise.dedup):
        yield f"dedup by {config.dedup} is asked for, and it has {promise.dedup}"
    wanted, kept = config.dedup_seconds, promise.dedup_seconds
    if config.dedup is not Dedup.NONE and wanted and kept is not None and kept < wanted:
        yield f"it forgets duplicates after {kept:g} s, and {wanted:g} s are asked for"
    needed = config.max_bytes + ENVELOPE_BYTES
    if promise.max_bytes is not None and promise.max_bytes < needed:
        yield (
            f"events may have {config.max_bytes} bytes, and {ENVELOPE_BYTES} travel with each,"
            f" but it takes {promise.max_bytes}; create the outbox with a lower max_bytes"
        )
