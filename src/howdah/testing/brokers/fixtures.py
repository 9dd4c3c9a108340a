"""The brokers as pytest fixtures: one of each per worker, started when a test first asks.

Owns their lifetime in a test run. A test that breaks a shared broker leaves it running again.
Must never start a broker that no test asks for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import pytest

from howdah.testing.brokers import (
    Broker,
    HttpBroker,
    KafkaBroker,
    NatsBroker,
    RabbitmqBroker,
    RedisBroker,
)

Kind = TypeVar("Kind", bound=Broker)


def _started(kind: type[Kind]) -> Iterator[Kind]:
    reason = kind.missing()
    if reason:
        pytest.skip(f"{kind.name} is not here; try: {reason}")
    with kind.start() as broker:
        yield broker


@pytest.fixture(scope="session")
def nats_broker() -> Iterator[NatsBroker]:
    """A NATS server with JetStream."""
    yield from _started(NatsBroker)


@pytest.fixture(scope="session")
def redis_broker() -> Iterator[RedisBroker]:
    """A Redis server."""
    yield from _started(RedisBroker)


@pytest.fixture(scope="session")
def rabbitmq_broker() -> Iterator[RabbitmqBroker]:
    """A RabbitMQ node."""
    yield from _started(RabbitmqBroker)


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[KafkaBroker]:
    """A mock cluster of three Kafka brokers."""
    yield from _started(KafkaBroker)


@pytest.fixture
def http_broker() -> Iterator[HttpBroker]:
    """An HTTP server that records; a fresh one for each test."""
    with HttpBroker.start() as broker:
        yield broker
