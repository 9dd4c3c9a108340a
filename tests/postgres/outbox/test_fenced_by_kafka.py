"""A transactional producer of Kafka is fenced by whoever came later, be it a zombie.

The broker's word is not believed: the ledger says who owns the outbox now. The mock cluster does
not fence by itself; what Kafka would answer is injected.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket

import pytest

from howdah.errors import Superseded
from howdah.outbox.sinks.kafka import KafkaSettings, KafkaSink, Mode
from howdah.testing import wait_until
from howdah.testing.brokers import KafkaBroker
from howdah.testing.brokers.kafka import ADD_PARTITIONS_TO_TXN
from howdah.testing.sinks import MemorySink
from tests.postgres.outbox.posted import Posted

pytestmark = [pytest.mark.postgres(newest=True), pytest.mark.xdist_group("sink-kafka")]

FENCED = 90  # PRODUCER_FENCED of Kafka's protocol guide


@pytest.fixture
def topic(kafka_broker: KafkaBroker) -> str:
    name = f"t-{secrets.token_hex(4)}"
    kafka_broker.create_topic(name)
    return name


def sink(broker: KafkaBroker) -> KafkaSink:
    return KafkaSink(KafkaSettings(url=f"kafka://{broker.url}", mode=Mode.TRANSACTIONAL))


def test_a_zombie_is_shut_out_by_a_fresh_epoch(
    posted: Posted, kafka_broker: KafkaBroker, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="howdah.outbox.relay")
    with posted.relaying(sink(kafka_broker)) as running:
        posted.emit("a", topic=topic)
        wait_until(lambda: running.relay.figures.delivered == 1)
        kafka_broker.fail(ADD_PARTITIONS_TO_TXN, [FENCED])
        posted.emit("a", "a", topic=topic)
        wait_until(lambda: running.relay.figures.delivered == 3)
        assert running.relay.figures.epoch == 2
        assert running.error is None
    assert "fenced-by-zombie outbox=orders epoch=1" in caplog.text


def test_a_relay_that_kafka_fences_says_who_owns_the_outbox_now(
    posted: Posted, kafka_broker: KafkaBroker, topic: str
) -> None:
    newer = MemorySink()
    with posted.relaying(sink(kafka_broker)) as old:
        posted.emit("a", topic=topic)
        wait_until(lambda: old.relay.figures.delivered == 1 and not old.relay.figures.unsettled)
        with posted.relaying(newer) as new:
            wait_until(lambda: new.relay.figures.epoch == 2)
            kafka_broker.fail(ADD_PARTITIONS_TO_TXN, [FENCED] * 2)
            posted.emit("a", topic=topic)
            wait_until(lambda: not old.alive)
            kafka_broker.heal(ADD_PARTITIONS_TO_TXN)
    assert isinstance(old.error, Superseded)
    assert f"superseded by {socket.gethostname()}/{os.getpid()} at 20" in old.error.message
    assert "(epoch 2)" in old.error.message
    assert "transactional id" not in old.error.message
