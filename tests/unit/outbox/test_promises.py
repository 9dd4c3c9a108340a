"""What an outbox asks for, against what a sink can keep."""

from __future__ import annotations

import msgspec
import pytest

from howdah.errors import Unsupported
from howdah.outbox import promises
from howdah.outbox.model import OutboxConfig
from howdah.outbox.sinks.sink import Dedup, Ordering, Promise

KEPT = Promise(
    ordering=Ordering.KEY,
    dedup=Dedup.MESSAGE_ID,
    max_bytes=2_000_000,
    fences=False,
    pipelines_keys=True,
    dedup_seconds=120,
)


def test_what_is_kept_is_accepted() -> None:
    promises.require(OutboxConfig(dedup=Dedup.MESSAGE_ID, dedup_seconds=60), "nats", KEPT)
    promises.require(OutboxConfig(), "nats", msgspec.structs.replace(KEPT, max_bytes=None))


@pytest.mark.parametrize(
    ("config", "word"),
    [
        (OutboxConfig(dedup=Dedup.TRANSACTION), "dedup by transaction"),
        (OutboxConfig(dedup=Dedup.MESSAGE_ID, dedup_seconds=3600), "after 120 s"),
        (OutboxConfig(max_bytes=3_000_000), "takes 2000000"),
        (OutboxConfig(ordering=Ordering.TOTAL), "order of all messages"),
    ],
)
def test_what_is_not_is_refused_with_its_name(config: OutboxConfig, word: str) -> None:
    with pytest.raises(Unsupported) as refused:
        promises.require(config, "nats", KEPT)
    assert word in str(refused.value)


def test_a_sink_without_order_is_refused() -> None:
    without = msgspec.structs.replace(KEPT, ordering=Ordering.NONE)
    with pytest.raises(Unsupported):
        promises.require(OutboxConfig(), "x", without)
    promises.require(OutboxConfig(ordering=Ordering.NONE), "x", without)
