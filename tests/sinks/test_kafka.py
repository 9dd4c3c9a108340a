"""The Kafka sink against librdkafka's mock cluster over TCP, and a second client that reads.

The mock is no Kafka. Of a producer without transactions it checks no sequence numbers, so it takes
twice and out of order what Kafka refuses: one request is in flight at a time here, and duplicates
are counted, not excluded. It does not fence the former holder of a transactional id: what Kafka
would answer is injected.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Sequence

import msgspec
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from howdah.errors import BadInput, Cannot, Denied, Superseded, TimedOut, Unreachable
from howdah.outbox.sinks.envelope import UID
from howdah.outbox.sinks.kafka import KafkaSettings, KafkaSink, Mode, Sasl, from_url
from howdah.outbox.sinks.kafka_settings import properties, token_source
from howdah.outbox.sinks.sink import Message, Verdict
from howdah.testing import wait_until
from howdah.testing.brokers import KafkaBroker
from howdah.testing.brokers.kafka import ADD_PARTITIONS_TO_TXN, INIT_PRODUCER_ID, PRODUCE
from tests.sinks.conformance import (
    Adapter,
    Conformance,
    Fault,
    Received,
    Writer,
    fence,
    first_sights,
    publish,
    run,
)

pytestmark = pytest.mark.xdist_group("sink-kafka")

PARTITIONS = 3
# Codes of Kafka's protocol guide.
REQUEST_TIMED_OUT, NOT_LEADER, TOO_LARGE, INVALID_RECORD = 7, 6, 10, 87
NOT_ENOUGH_REPLICAS, TOPIC_DENIED, ID_DENIED, FENCED = 19, 29, 53, 90


def settings(broker: KafkaBroker, mode: Mode = Mode.IDEMPOTENT, **changes: object) -> KafkaSettings:
    usual = KafkaSettings(
        url=f"kafka://{broker.url}",
        mode=mode,
        delivery_timeout_seconds=3,
        connect_timeout_seconds=1.5,
        unknown_topic_seconds=0.3,
        in_flight=1 if mode is Mode.IDEMPOTENT else 5,
        max_bytes=200_000,
    )
    return msgspec.structs.replace(usual, **changes)


class KafkaAdapter(Adapter):
    faults = (Fault.DOWN, Fault.FROZEN, Fault.ERRORS, Fault.LOST_ACK)
    dedup_works = False

    def __init__(self, broker: KafkaBroker, mode: Mode) -> None:
        self.broker = broker
        self.mode = mode
        self._settings = settings(broker, mode)

    async def prepare(self, topic: str) -> None:
        self.broker.create_topic(topic, partitions=PARTITIONS)

    def sink(self) -> KafkaSink:
        return KafkaSink(self._settings)

    async def read(self, topic: str) -> Sequence[Received]:
        return await asyncio.to_thread(read, self.broker, topic)

    def harm(self, fault: Fault) -> None:
        if fault is Fault.DOWN:
            self.broker.down()
        elif fault is Fault.FROZEN:
            self.broker.pause()
        elif fault is Fault.ERRORS:
            self.broker.fail(PRODUCE, [NOT_LEADER, NOT_ENOUGH_REPLICAS, REQUEST_TIMED_OUT])
        else:
            self.broker.watch()
            self.broker.delay(5000)
            wait_until(self.broker.seen, seconds=2)
            self.broker.down()

    def shut_out(self) -> None:
        self.broker.fail(ADD_PARTITIONS_TO_TXN, [FENCED])

    def heal(self) -> None:
        self.broker.resume()
        self.broker.heal()
        self.broker.delay(0)
        self.broker.up()


def read(broker: KafkaBroker, topic: str) -> list[Received]:
    """All of a topic, partition after partition."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker.url,
            "group.id": f"reader-{secrets.token_hex(4)}",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,
            "enable.auto.commit": False,
            "reconnect.backoff.max.ms": 200,
            "log_level": 0,
            "isolation.level": "read_committed",
        }
    )
    consumer.assign([TopicPartition(topic, each, OFFSET_BEGINNING) for each in range(PARTITIONS)])
    found: dict[int, list[Received]] = {each: [] for each in range(PARTITIONS)}
    unread = set(found)
    while unread:
        message = consumer.poll(10)
        assert message is not None, f"{topic}: the ends of {unread} are not reached"
        partition = message.partition()
        assert partition is not None
        problem = message.error()
        if problem is not None:
            assert problem.code() == KafkaError._PARTITION_EOF, problem
            unread.discard(partition)
            continue
        headers = {name: text(value) for name, value in dict(message.headers() or []).items()}
        key = message.key()
        found[partition].append(
            Received(
                uid=headers.pop(UID),
                key=None if key is None else text(key),
                payload=message.value() or b"",
                headers=headers,
            )
        )
    consumer.close()
    return [each for partition in found.values() for each in partition]


def text(value: bytes | str | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""


class TestIdempotent(Conformance):
    @pytest.fixture
    def adapter(self, kafka_broker: KafkaBroker) -> Adapter:
        return KafkaAdapter(kafka_broker, Mode.IDEMPOTENT)


class TestTransactional(Conformance):
    @pytest.fixture
    def adapter(self, kafka_broker: KafkaBroker) -> Adapter:
        return KafkaAdapter(kafka_broker, Mode.TRANSACTIONAL)


@pytest.fixture
def broker(kafka_broker: KafkaBroker) -> Iterator[KafkaBroker]:
    yield kafka_broker
    kafka_broker.heal()
    kafka_broker.up()


@pytest.fixture(params=list(Mode))
def mode(request: pytest.FixtureRequest) -> Mode:
    return Mode(request.param)


@pytest.fixture
def writer(broker: KafkaBroker) -> Writer:
    topic = f"topic-{secrets.token_hex(4)}"
    broker.create_topic(topic, partitions=PARTITIONS)
    return Writer(topic)


async def verdicts(sink: KafkaSink, messages: Sequence[Message]) -> list[str]:
    await sink.open(fence())
    async with sink:
        return [outcome.verdict.value for outcome in await publish(sink, messages)]


@pytest.mark.parametrize("code", [TOO_LARGE, INVALID_RECORD])
def test_only_the_guilty_of_a_refused_batch_is_poison(
    broker: KafkaBroker, writer: Writer, mode: Mode, code: int
) -> None:
    """A broker refuses a whole batch because of one message; the others are delivered."""
    broker.create_topic(single := f"{writer.topic}-single", partitions=1)
    messages = [msgspec.structs.replace(each, topic=single) for each in writer.messages(12, keys=3)]
    # First the batch that holds everything, then, when they come one by one, the first of them.
    broker.fail_partition(single, 0, [code, code])
    got = run(verdicts(KafkaSink(settings(broker, mode)), messages))
    assert got == ["poison", "delivered", "delivered"] + ["held", "delivered", "delivered"] * 3


def test_a_denied_topic_is_poison_and_asked_once(
    broker: KafkaBroker, writer: Writer, mode: Mode
) -> None:
    broker.create_topic(secret := f"{writer.topic}-denied", partitions=1)
    broker.fail_partition(secret, 0, [TOPIC_DENIED] * 50)
    denied = [msgspec.structs.replace(each, topic=secret) for each in writer.messages(30, keys=30)]
    fine = [writer.message("fine") for _ in range(5)]
    sink = KafkaSink(settings(broker, mode))
    got = run(verdicts(sink, [*denied, *fine]))
    assert got == ["poison"] * 30 + ["delivered"] * 5
    assert sink.statistics.producers <= 3


def test_order_of_a_key_holds_across_topics(
    broker: KafkaBroker, writer: Writer, mode: Mode
) -> None:
    """What follows in a good topic must wait for the verdict about an unknown one."""
    lost = msgspec.structs.replace(writer.message("a"), topic="nowhere")
    messages = [writer.message("a"), lost, writer.message("a"), writer.message("b")]
    got = run(verdicts(KafkaSink(settings(broker, mode)), messages))
    assert got == ["delivered", "poison", "held", "delivered"]
    assert messages[2].uid not in {one.uid for one in read(broker, writer.topic)}


def test_nothing_overtakes_a_refused_batch(broker: KafkaBroker, writer: Writer, mode: Mode) -> None:
    """Batches of one message: the second must not be sent while the first is refused."""
    messages = writer.messages(10, keys=1)
    wanted = settings(broker, mode, properties={"batch.num.messages": 1})
    for partition in range(PARTITIONS):
        broker.fail_partition(writer.topic, partition, [TOO_LARGE])
    got = run(verdicts(KafkaSink(wanted), messages))
    assert got == ["delivered"] * 10, "sent alone, the first is not refused again"
    order = first_sights(read(broker, writer.topic))
    assert order == {"key-0": [message.uid for message in messages]}


def test_keys_go_where_the_java_client_puts_them(broker: KafkaBroker, writer: Writer) -> None:
    """murmur2("order-1") and its neighbours, modulo 3; the Java client's own formula."""
    keys = [f"order-{number}" for number in range(20)]

    async def work() -> None:
        async with KafkaSink(settings(broker)) as sink:
            await sink.open(fence())
            await publish(sink, [writer.message(key) for key in keys])

    run(work())
    order = [one.key for one in read(broker, writer.topic)]
    expected = [key for part in range(PARTITIONS) for key in keys if murmur2(key) == part]
    assert order == expected


def murmur2(key: str) -> int:
    """Kafka's `Utils.murmur2` and `toPositive`, modulo the partitions."""
    data, mask = key.encode(), 0xFFFFFFFF
    factor, shift = 0x5BD1E995, 24
    value = (0x9747B28C ^ len(data)) & mask
    whole = len(data) // 4 * 4
    for at in range(0, whole, 4):
        part = int.from_bytes(data[at : at + 4], "little") * factor & mask
        part = (part ^ part >> shift) * factor & mask
        value = value * factor & mask ^ part
    if rest := data[whole:]:
        value = (value ^ int.from_bytes(rest, "little")) * factor & mask
    value = (value ^ value >> 13) * factor & mask
    return ((value ^ value >> 15) & 0x7FFFFFFF) % PARTITIONS


def test_a_denied_transactional_id_stops_the_relay(broker: KafkaBroker) -> None:
    broker.fail(INIT_PRODUCER_ID, [ID_DENIED] * 5)
    try:
        with pytest.raises(Denied):
            run(KafkaSink(settings(broker, Mode.TRANSACTIONAL)).open(fence()))
    finally:
        broker.heal(INIT_PRODUCER_ID)


def test_a_fenced_relay_stays_out_until_it_opens_again(broker: KafkaBroker, writer: Writer) -> None:
    async def work() -> None:
        wanted = settings(broker, Mode.TRANSACTIONAL)
        async with KafkaSink(wanted) as older, KafkaSink(wanted) as newer:
            await older.open(fence(1))
            await newer.open(fence(2))
            broker.fail(ADD_PARTITIONS_TO_TXN, [FENCED])
            for _ in range(2):
                with pytest.raises((Superseded, Unreachable)):
                    await older.publish([writer.message("a")])
            (outcome,) = await publish(newer, [writer.message("a")])
            assert outcome.verdict is Verdict.DELIVERED

    run(work())


def test_the_loop_is_free_while_a_call_waits(broker: KafkaBroker, writer: Writer) -> None:
    async def work() -> int:
        turns = 0
        async with KafkaSink(settings(broker)) as sink:
            await sink.open(fence())
            broker.delay(300)
            call = asyncio.create_task(publish(sink, writer.messages(10, keys=2)))
            while not call.done():
                await asyncio.wait([call], timeout=0.01)
                turns += 1
            broker.delay(0)
        return turns

    assert run(work()) >= 10


def test_counts_what_it_did(broker: KafkaBroker, writer: Writer) -> None:
    big = writer.message("a", bytes(200_000))
    sink = KafkaSink(settings(broker))
    assert run(verdicts(sink, [writer.message("b"), big])) == ["delivered", "poison"]
    counted = sink.statistics
    assert (counted.delivered, counted.poison, counted.again) == (1, 1, 0)
    assert counted.errors == {"MSG_SIZE_TOO_LARGE": 1}


def test_a_call_that_was_late_can_be_made_again(broker: KafkaBroker, writer: Writer) -> None:
    async def work() -> None:
        async with KafkaSink(settings(broker, delivery_timeout_seconds=0.5)) as sink:
            await sink.open(fence())
            broker.down()
            message = writer.message("a")
            for _ in range(2):
                with pytest.raises((TimedOut, Unreachable)):
                    await sink.publish([message])
            broker.up()
            await sink.open(fence())
            assert (await publish(sink, [message]))[0].verdict is Verdict.DELIVERED

    run(work())


def test_settings_become_properties() -> None:
    wanted = KafkaSettings(
        url="kafkas://one:9093,two:9093",
        tls=True,
        tls_ca_file="ca.pem",
        sasl=Sasl.SCRAM_512,
        username="ann",
        password="hidden",
        mode=Mode.TRANSACTIONAL,
    )
    found = properties(wanted, "howdah-orders-0")
    expected = {
        "bootstrap.servers": "one:9093,two:9093",
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": "ca.pem",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "ann",
        "sasl.password": "hidden",
        "transactional.id": "howdah-orders-0",
        "enable.idempotence": True,
        "allow.auto.create.topics": False,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert "hidden" not in repr(wanted)
    assert "hidden" not in repr(KafkaSink(wanted))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"properties": {"acks": "0"}}, "acks"),
        ({"properties": {"enable.idempotence": False}}, "enable.idempotence"),
        ({"properties": {"no.such.thing": 1}}, "no.such.thing"),
        ({"compression": "rar"}, "compression"),
    ],
)
def test_a_guarantee_cannot_be_configured_away(options: dict[str, object], word: str) -> None:
    sink = from_url("kafka://127.0.0.1:1", options)
    with pytest.raises(BadInput, match=word):
        run(sink.open(fence()))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"sasl": "plain"}, "username"),
        ({"username": "ann", "password": "pw"}, "mechanism"),
        ({"sasl": "oauthbearer"}, "source of tokens"),
        ({"sasl": "aws-msk-iam"}, "aws_region"),
        ({"in_flight": 6}, "in_flight"),
        ({"modes": "idempotent"}, "mode"),
    ],
)
def test_bad_options_are_refused(options: dict[str, object], word: str) -> None:
    with pytest.raises(BadInput, match=word):
        from_url("kafka://127.0.0.1:1", options)


def test_a_login_in_the_url_is_not_shown() -> None:
    sink = from_url("kafkas://ann:open%40sesame@one:9093,two:9093", {"sasl": "scram-sha-256"})
    found = properties(sink.settings, "x")
    assert (found["sasl.username"], found["sasl.password"]) == ("ann", "open@sesame")
    assert found["bootstrap.servers"] == "one:9093,two:9093"
    assert "sesame" not in repr(sink.settings)


def test_msk_signs_a_token_for_its_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    wanted = KafkaSettings(url="kafka://b:9098", sasl=Sasl.AWS_MSK_IAM, aws_region="eu-west-1")
    found = properties(wanted, "x")
    assert (found["security.protocol"], found["sasl.mechanism"]) == ("SASL_SSL", "OAUTHBEARER")
    source = token_source(wanted)
    assert source is not None
    token, ends = source()
    assert token
    assert 1.7e9 < ends < 1e11, "in seconds, as librdkafka takes it"


def test_tokens_come_from_a_thread_of_their_own(broker: KafkaBroker) -> None:
    """The mock knows no logins; that the token is asked for is what can be seen."""
    asked: list[float] = []

    def token() -> tuple[str, float]:
        asked.append(1.0)
        return "token", 4e9

    async def work() -> None:
        wanted = settings(broker, sasl=Sasl.OAUTHBEARER, connect_timeout_seconds=0.5)
        async with KafkaSink(wanted, token=token) as sink:
            with pytest.raises((Unreachable, TimedOut, Denied, Cannot)):
                await sink.open(fence())

    run(work())
    assert asked
