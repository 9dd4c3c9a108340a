"""Where a storm publishes to, and how everything that arrived is read back."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import itertools
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, ClassVar, NamedTuple
from urllib.parse import unquote

import aio_pika
import nats
import psycopg
from confluent_kafka import Consumer, KafkaError, TopicPartition
from nats.js.api import AckPolicy, ConsumerConfig
from redis import Redis

from howdah.clock import SYSTEM_CLOCK
from howdah.testing import wait_until
from howdah.testing.brokers import (
    Answer,
    HttpBroker,
    KafkaBroker,
    NatsBroker,
    RabbitmqBroker,
    RedisBroker,
)

_AWHILE_SECONDS = 0.15


class Arrived(NamedTuple):
    """One message as a consumer sees it."""

    uid: str
    key: str
    number: int


class Destination(abc.ABC):
    """One broker's place for one storm, empty at its beginning."""

    dedups: ClassVar[bool]
    """Whether a message that is sent again does not arrive again."""
    share: ClassVar[int] = 1
    """One of so many events is enough for a storm: of a destination that takes them one by one."""
    keys: ClassVar[int] = 500
    topic = "storm"
    url: str
    options: dict[str, str]

    def weather(self) -> AbstractContextManager[None]:
        """What the destination itself does to a relay meanwhile; usually nothing."""
        return contextlib.nullcontext()

    @abc.abstractmethod
    def arrived(self) -> list[Arrived]:
        """Everything, in the order in which a consumer of a key gets it."""


class Nats(Destination):
    dedups = True

    def __init__(self, broker: NatsBroker) -> None:
        self._server = broker.url
        self._stream = f"S{secrets.token_hex(4)}"
        self.url = f"{broker.url}/{self._stream}"
        prefix = f"{self._stream}."
        self.options = {
            "subjects": json.dumps([f"{prefix}>"]),
            "subject_prefix": prefix,
            "duplicate_window_seconds": "600",
        }

    def arrived(self) -> list[Arrived]:
        return asyncio.run(self._read())

    async def _read(self) -> list[Arrived]:
        client = await nats.connect(self._server)
        jetstream = client.jetstream()
        count = (await jetstream.stream_info(self._stream)).state.messages
        unacknowledged = ConsumerConfig(ack_policy=AckPolicy.NONE)
        pull = await jetstream.pull_subscribe(
            f"{self._stream}.>", stream=self._stream, config=unacknowledged
        )
        found: list[Arrived] = []
        while len(found) < count:
            for each in await pull.fetch(min(2000, count - len(found)), timeout=20):
                headers = each.headers or {}
                key = headers["howdah-key"]
                found.append(Arrived(headers["howdah-uid"], key, int(each.data)))
        await client.close()
        return found


class RedisStream(Destination):
    dedups = True

    def __init__(self, broker: RedisBroker) -> None:
        self.url = broker.url
        self.topic = f"storm-{secrets.token_hex(4)}"
        self.options = {"state_prefix": f"{self.topic}:"}

    def arrived(self) -> list[Arrived]:
        found: list[Arrived] = []
        first = "-"
        with Redis.from_url(self.url) as redis:
            while entries := self._page(redis, first):
                found += [_of_redis(fields) for _, fields in entries]
                first = f"({entries[-1][0].decode()}"
        return found

    def _page(self, redis: Redis, first: str) -> list[Any]:
        page: Any = redis.xrange(self.topic, min=first, count=5000)
        return list(page)


def _of_redis(fields: dict[bytes, bytes]) -> Arrived:
    return Arrived(fields[b"uid"].decode(), fields[b"key"].decode(), int(fields[b"payload"]))


class Kafka(Destination):
    dedups = False
    _PARTITIONS = 8  # the mock cluster forgets what is beyond 5 MB of a partition

    def __init__(self, broker: KafkaBroker) -> None:
        self._broker = broker
        self.topic = f"storm-{secrets.token_hex(4)}"
        broker.create_topic(self.topic, partitions=self._PARTITIONS)
        self.url = f"kafka://{broker.url}"
        self.options = {}

    def arrived(self) -> list[Arrived]:
        settings = {
            "bootstrap.servers": self._broker.url,
            "group.id": f"reader-{self.topic}",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
        found: list[Arrived] = []
        ended: set[int] = set()
        with Consumer(settings) as consumer:
            for number in range(self._PARTITIONS):
                first, _ = consumer.get_watermark_offsets(TopicPartition(self.topic, number), 10)
                assert first == 0, f"the mock cluster has forgotten {first} messages of {number}"
            consumer.subscribe([self.topic])
            while len(ended) < self._PARTITIONS:
                for each in consumer.consume(5000, timeout=10):
                    if (error := each.error()) is not None:
                        assert error.code() == KafkaError._PARTITION_EOF
                        ended.add(each.partition() or 0)
                    else:
                        found.append(_of_kafka(each))
        return found


def _of_kafka(record: Any) -> Arrived:
    headers = dict(record.headers())
    return Arrived(headers["howdah-uid"].decode(), record.key().decode(), int(record.value()))


class Rabbitmq(Destination):
    dedups = False

    def __init__(self, broker: RabbitmqBroker) -> None:
        self.url = broker.url
        self.topic = f"storm-{secrets.token_hex(4)}"
        self.options = {"quorum_queues": json.dumps([self.topic]), "in_flight": "1024"}

    def arrived(self) -> list[Arrived]:
        return asyncio.run(self._read())

    async def _read(self) -> list[Arrived]:
        found: list[Arrived] = []
        connection = await aio_pika.connect(self.url)
        async with connection:
            channel = await connection.channel()
            await channel.set_qos(prefetch_count=2000)
            queue = await channel.declare_queue(self.topic, passive=True)
            left = queue.declaration_result.message_count or 0
            async with queue.iterator() as messages:
                async for each in messages:
                    key = str(each.headers["howdah-key"])
                    found.append(Arrived(str(each.message_id), key, int(each.body)))
                    left -= 1
                    if left % 1000 == 0:
                        await each.ack(multiple=True)
                    if left == 0:
                        break
        return found


class Postgresql(Destination):
    dedups = True

    def __init__(self, dsn: str) -> None:
        self.url = "postgresql://"
        self.options = {"dsn": dsn, "table": "public.storm", "declare": "true"}
        self._dsn = dsn

    def arrived(self) -> list[Arrived]:
        with psycopg.connect(self._dsn) as connection:
            rows = connection.execute("SELECT uid, key, payload FROM storm ORDER BY position")
            return [Arrived(uid, key, int(payload)) for uid, key, payload in rows]


class Http(Destination):
    """A receiver with every fault that HTTP knows, the next one after each so many requests."""

    dedups = False
    share = 60
    keys = 30

    def __init__(self, broker: HttpBroker, *, every: int) -> None:
        self._broker = broker
        self._every = every
        self._over = threading.Event()
        self.url = broker.url
        self.options = {"in_flight": "4"}  # its server queues no more than five connections

    @contextlib.contextmanager
    def weather(self) -> Iterator[None]:
        with ThreadPoolExecutor(1) as thread:
            blowing = thread.submit(self._blow)
            try:
                yield
            finally:
                self._over.set()
                blowing.result()

    def _blow(self) -> None:
        for number, fault in enumerate(itertools.cycle(self._faults()), 1):
            wait_until(
                lambda seen=number * self._every: (  # type: ignore[misc]  # a default binds the loop's value
                    self._over.is_set() or len(self._broker.requests) >= seen
                ),
                seconds=600,
            )
            if self._over.is_set():
                return
            fault()

    def _faults(self) -> list[Callable[[], None]]:
        answers = self._broker.answers
        return [
            # Few: the last key alone would have to take all of them, with a longer wait each time.
            lambda: answers(*[Answer(status=500)] * 4),
            lambda: answers(*[Answer(status=429, headers={"Retry-After": "1"})] * 4),
            self._slow,
            lambda: answers(*[Answer(hangs_up=True)] * 2),
            lambda: answers(*[Answer(status=503, headers={"Retry-After": "1"})] * 4),
            self._restart,
        ]

    def _slow(self) -> None:
        self._broker.pause()
        SYSTEM_CLOCK.sleep(_AWHILE_SECONDS)
        self._broker.resume()

    def _restart(self) -> None:
        self._broker.kill()
        SYSTEM_CLOCK.sleep(_AWHILE_SECONDS)
        self._broker.restart()

    def arrived(self) -> list[Arrived]:
        """What was taken, though the answer may have been lost; a cut request has no whole body."""
        return [
            Arrived(each.headers["ce-id"], unquote(each.headers["ce-partitionkey"]), int(each.body))
            for each in self._broker.requests
            if each.status < 300 and int(each.headers["content-length"]) == len(each.body)
        ]


def disorder(found: list[Arrived]) -> Iterator[Arrived]:
    """Messages whose first arrival came after a later one of their key."""
    newest: dict[str, int] = {}
    seen: set[str] = set()
    for each in found:
        if each.uid not in seen and each.number < newest.get(each.key, -1):
            yield each
        seen.add(each.uid)
        newest[each.key] = max(each.number, newest.get(each.key, -1))
