"""The storm: many events, and the relay's process killed again and again.

By default 12,000 events to each broker, with two kills; `make soak` sends 1,000,000, with a kill
every three seconds; HTTP, which takes them one by one, gets a sixtieth.
`HOWDAH_STORM_EVENTS` and `HOWDAH_STORM_KILL_SECONDS` change either. Each prints one line of JSON
with its figures, and adds it to the file that `HOWDAH_STORM_REPORT` names.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from howdah import schema
from howdah.clock import SYSTEM_CLOCK
from howdah.log import Consumer, Event, Log
from howdah.outbox import COMPONENT, Outbox
from howdah.postgres import Server, connect
from howdah.testing import wait_until
from howdah.testing.brokers import (
    HttpBroker,
    KafkaBroker,
    NatsBroker,
    RabbitmqBroker,
    RedisBroker,
)
from tests.soak.destinations import (
    Destination,
    Http,
    Kafka,
    Nats,
    Postgresql,
    Rabbitmq,
    RedisStream,
    disorder,
)

CHUNK = 5000

pytestmark = [pytest.mark.postgres(newest=True), pytest.mark.xdist_group("storm")]


def test_nats(storm: Storm, nats_broker: NatsBroker) -> None:
    storm.blow("nats", Nats(nats_broker))


def test_redis(storm: Storm, redis_broker: RedisBroker) -> None:
    storm.blow("redis", RedisStream(redis_broker))


def test_kafka(storm: Storm, kafka_broker: KafkaBroker) -> None:
    storm.blow("kafka", Kafka(kafka_broker))


def test_rabbitmq(storm: Storm, rabbitmq_broker: RabbitmqBroker) -> None:
    storm.blow("rabbitmq", Rabbitmq(rabbitmq_broker))


def test_postgresql(storm: Storm) -> None:
    storm.blow("postgresql", Postgresql(storm.server.create_database("there")))


def test_http(storm: Storm, http_broker: HttpBroker) -> None:
    """The receiver refuses, delays, loses answers and is restarted, besides the relay's deaths."""
    storm.blow("http", Http(http_broker, every=max(20, storm.events // 5000)))
    seen = {each.status for each in http_broker.requests}
    assert seen >= {0, 204, 429, 500, 503}, "the weather was too fine"


class Storm:
    """One outbox, one producer, one relay after the other."""

    def __init__(
        self,
        server: Server,
        events: int,
        kill_seconds: float,
        most_kills: int,
        say: Callable[[str], None],
    ) -> None:
        self.server = server
        self.events = events
        self._kill_seconds = kill_seconds
        self._most_kills = most_kills
        self._say = say
        self.dsn = server.create_database("here")
        self._consumer = Consumer("orders", "relay")
        with contextlib.closing(connect(self.dsn)) as connection:
            schema.install(connection, [COMPONENT])
            Outbox("orders").create(connection)

    def blow(self, broker: str, there: Destination) -> None:
        """Emit, relay, kill; then everything has arrived, and in order."""
        events = self.events // there.share
        producer = threading.Thread(target=self._produce, args=(there, events))
        producer.start()
        began = SYSTEM_CLOCK.monotonic()
        with there.weather():
            kills = self._kills(there, producer)
            with self._relay(there, "--until-idle") as last:
                assert last.wait(600) == 0
        seconds = SYSTEM_CLOCK.monotonic() - began
        found = there.arrived()
        uids = {each.uid for each in found}
        late = list(disorder(found))
        figures = {
            "broker": broker,
            "events": events,
            "kills": kills,
            "seconds": round(seconds, 1),
            "arrived": len(found),
            "lost": events - len(uids),
            "duplicates": len(found) - len(uids),
            "out_of_order": len(late),
            "sink_dedups": there.dedups,
        }
        self._say(json.dumps(figures))
        assert figures["lost"] == 0
        assert not late
        assert kills, "nothing was killed"
        assert not (there.dedups and figures["duplicates"]), "the sink removes duplicates"

    def _kills(self, there: Destination, producer: threading.Thread) -> int:
        """One relay after the other; how many were killed at work."""
        kills = 0
        most = max(1, self._most_kills // (1 if there.share == 1 else 3))
        try:
            while kills < most and not self._done(producer):
                with self._relay(there) as relay:
                    kills += self._killed(relay, producer)
        finally:
            producer.join()
        return kills

    def _produce(self, there: Destination, events: int) -> None:
        log = Log("orders")
        with contextlib.closing(connect(self.dsn)) as connection:
            for start in range(0, events, CHUNK):
                numbers = range(start, min(start + CHUNK, events))
                log.copy(
                    connection,
                    (Event(there.topic, b"%d" % n, f"k{n % there.keys}") for n in numbers),
                )

    @contextlib.contextmanager
    def _relay(self, there: Destination, *more: str) -> Iterator[subprocess.Popen[bytes]]:
        words = [sys.executable, "-m", "howdah", "outbox", "relay", "orders", self.dsn]
        words += ["--sink", there.url, *more]
        for name, value in there.options.items():
            words += ["--sink-option", f"{name}={value}"]
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            try:
                yield process
            finally:
                process.kill()

    def _killed(self, relay: subprocess.Popen[bytes], producer: threading.Thread) -> int:
        """Let it work for a while from its first position on, then SIGKILL; 0 if it was done."""
        before = self._generation()
        wait_until(lambda: relay.poll() is not None or self._generation() > before + 1, seconds=60)
        if relay.poll() is not None and relay.stderr is not None:
            raise AssertionError(relay.stderr.read().decode())
        deadline = SYSTEM_CLOCK.monotonic() + self._kill_seconds
        while SYSTEM_CLOCK.monotonic() < deadline:
            if self._done(producer):
                return 0
            SYSTEM_CLOCK.sleep(0.05)
        relay.kill()
        return 1

    def _generation(self) -> int:
        with contextlib.closing(connect(self.dsn)) as connection:
            return self._consumer.cursor(connection).generation

    def _done(self, producer: threading.Thread) -> bool:
        if producer.is_alive():
            return False
        with contextlib.closing(connect(self.dsn)) as connection:
            return not Outbox("orders").status(connection).waiting


@pytest.fixture(
    params=[
        pytest.param((12_000, 0.1, 2), id="short"),
        pytest.param((1_000_000, 3.0, 10_000), id="long", marks=pytest.mark.soak),
    ]
)
def storm(
    request: pytest.FixtureRequest,
    own_server: Callable[..., Server],
    capsys: pytest.CaptureFixture[str],
) -> Storm:
    events, kill_seconds, most_kills = request.param
    report = os.environ.get("HOWDAH_STORM_REPORT")

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n{line}")
        if report:
            with Path(report).open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")

    return Storm(
        own_server(settings={"fsync": "on", "synchronous_commit": "on"}),
        int(os.environ.get("HOWDAH_STORM_EVENTS", events)),
        float(os.environ.get("HOWDAH_STORM_KILL_SECONDS", kill_seconds)),
        most_kills,
        say,
    )
