"""Real brokers for tests: started on loopback, broken on purpose, gone afterwards.

Owns the list of them. Must never reach a broker that it did not start.

    with NatsBroker.start() as broker:
        connect(broker.url)
        broker.kill()
        broker.restart()

Each has the same shape: `start`, `url`, `stop`, `kill`, `pause`, `resume`, `restart`, `close`, and
`missing`, which says what to install where the broker cannot run.
"""

from __future__ import annotations

from howdah.testing.brokers.broker import Broker
from howdah.testing.brokers.http import Answer, HttpBroker, Request
from howdah.testing.brokers.kafka import KafkaBroker
from howdah.testing.brokers.nats import NatsBroker
from howdah.testing.brokers.pgbouncer import PgbouncerBroker
from howdah.testing.brokers.rabbitmq import RabbitmqBroker
from howdah.testing.brokers.redis import RedisBroker

__all__ = [
    "Answer",
    "Broker",
    "HttpBroker",
    "KafkaBroker",
    "NatsBroker",
    "PgbouncerBroker",
    "RabbitmqBroker",
    "RedisBroker",
    "Request",
]
