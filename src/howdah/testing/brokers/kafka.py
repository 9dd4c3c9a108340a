"""The Kafka protocol: librdkafka's mock cluster over TCP.

Owns the process of the mock cluster and the orders to it. Must never be taken for Kafka: the mock
keeps everything in memory and does not check sequence numbers, so it accepts out of order
and twice what Kafka would refuse; it shows an aborted transaction's messages to every reader.
"""

from __future__ import annotations

import importlib.util
import json
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from howdah.clock import SYSTEM_CLOCK, Clock
from howdah.errors import CouldNot
from howdah.testing.brokers import mock_cluster
from howdah.testing.brokers.broker import Broker, Program

PRODUCE = 0
METADATA = 3
INIT_PRODUCER_ID = 22
ADD_PARTITIONS_TO_TXN = 24
END_TXN = 26
"""Kinds of requests: the protocol's numbers, "API keys" in Kafka's protocol guide."""

_ORDER_SECONDS = 5.0


class KafkaBroker(Broker):
    """A mock cluster of some brokers. Several processes may connect to it.

    `down` and `up` are a broker's failure and return with its data; what `kill` or `stop` ended
    is lost, and `restart` gives an empty cluster at other addresses.
    """

    name = "kafka"

    def __init__(self, *, brokers: int = 3, clock: Clock = SYSTEM_CLOCK) -> None:
        super().__init__(clock=clock)
        self.brokers = brokers
        self._socket = self.folder / "orders"

    @classmethod
    def start(cls, *, brokers: int = 3) -> Self:
        """Start a cluster and wait until it takes connections."""
        return cls(brokers=brokers)._launched()

    @classmethod
    def missing(cls) -> str:
        """The wheel whose librdkafka carries the mock."""
        return "" if _library() else "pip install confluent-kafka"

    @property
    def url(self) -> str:
        """The bootstrap servers; they outlive `down`, not `restart`."""
        return str(self._ask(do="bootstraps"))

    def programs(self) -> Sequence[Program]:
        """One process for all brokers."""
        argv = [sys.executable, "-I", "-S", mock_cluster.__file__]
        argv += [str(_library()), str(self._socket), str(self.brokers)]
        return [Program(argv=argv)]

    def is_ready(self) -> bool:
        """The cluster listens before its socket for orders does."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self._socket)) == 0

    def create_topic(self, topic: str, *, partitions: int = 4) -> None:
        """Create a topic, with one replica on each broker, three at most."""
        self._obeyed(
            do="create_topic", topic=topic, partitions=partitions, replicas=min(3, self.brokers)
        )

    def fail_topic(self, topic: str, code: int) -> None:
        """Answer metadata requests about the topic with an error code of the protocol; 0 heals."""
        self._obeyed(do="fail_topic", topic=topic, code=code)

    def down(self, broker: int = -1) -> None:
        """Drop a broker's connections and refuse new ones; all brokers' by default."""
        self._obeyed(do="down", broker=broker)

    def up(self, broker: int = -1) -> None:
        """Bring a broker back with its data and address; all of them by default."""
        self._obeyed(do="up", broker=broker)

    def delay(self, milliseconds: int) -> None:
        """Hold back every response. What is then lost by `down` is an acknowledgement."""
        self._obeyed(do="delay", milliseconds=milliseconds)

    def fail(self, api_key: int, codes: Sequence[int]) -> None:
        """Answer the next requests of a kind with these error codes, one each."""
        self._obeyed(do="fail", api_key=api_key, codes=list(codes))

    def fail_partition(
        self, topic: str, partition: int, codes: Sequence[int], *, api_key: int = PRODUCE
    ) -> None:
        """As `fail`, for one partition."""
        order = {"topic": topic, "partition": partition, "api_key": api_key, "codes": list(codes)}
        self._obeyed(do="fail_partition", **order)

    def heal(self, api_key: int = PRODUCE) -> None:
        """Forget the errors that `fail` left."""
        self._obeyed(do="heal", api_key=api_key)

    def watch(self) -> None:
        """Start to count requests, from zero."""
        self._obeyed(do="watch")

    def seen(self, api_key: int = PRODUCE) -> int:
        """How many requests of a kind have come since `watch`; answered or not."""
        return int(self._ask(do="seen", api_key=api_key))

    def _obeyed(self, **order: Any) -> None:
        problem = self._ask(**order)
        if problem:
            raise CouldNot(f"the mock cluster could not {order['do']}", detail=str(problem))

    def _ask(self, **order: Any) -> Any:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ORDER_SECONDS)
            try:
                connection.connect(str(self._socket))
                connection.sendall(json.dumps(order).encode() + b"\n")
                with connection.makefile("rb") as answers:
                    return json.loads(answers.readline())
            except OSError as error:
                raise CouldNot("the mock cluster does not answer", detail=str(error)) from error


def _library() -> Path | None:
    """librdkafka as the wheel confluent-kafka carries it."""
    found = importlib.util.find_spec("confluent_kafka")
    if found is None or found.origin is None:
        return None
    carried = Path(found.origin).parent.parent / "confluent_kafka.libs"
    return next(iter(sorted(carried.glob("librdkafka*.so*"))), None)
