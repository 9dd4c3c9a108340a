"""One producer's life: what the Kafka sink does in its own thread, where it may block.

Owns the producer, the rounds of one call, and what a refusal means. Must never run on an event
loop, and must never leave a message behind that could still be sent after a call has ended.

Order: librdkafka keeps it in a partition as long as nothing is refused for good. When a batch is,
the broker refuses those behind it, and the gapless guarantee stops the producer; a new one sends
what is left one by one, so that the guilty message is known and the innocent ones of its batch are
delivered. A key that goes to another topic waits until its messages for the former topic are
delivered. When the time of a call runs out, the producer is purged and ends with it.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from howdah.clock import Clock
from howdah.errors import BadInput, Cannot, Denied, HowdahError, Superseded, TimedOut, Unreachable
from howdah.outbox.sinks.envelope import AT, KEY, TOPIC, envelope
from howdah.outbox.sinks.extra import needs
from howdah.outbox.sinks.kafka_settings import KafkaSettings, Mode, TokenSource, properties
from howdah.outbox.sinks.lanes import HELD, NOT_SENT, hold
from howdah.outbox.sinks.sink import DELIVERED, Fence, Message, Outcome, Verdict

with needs("kafka", "confluent-kafka"):
    from confluent_kafka import KafkaError, KafkaException, Producer

_LOG = logging.getLogger("howdah.outbox.kafka")
# Each new producer would warn that this property is experimental; the module says why it is used.
_LOG.addFilter(lambda record: "enable.gapless.guarantee" not in record.getMessage())
_POLL_SECONDS = 0.05
_KNOWN_KEYS = 100_000
"""So many keys are remembered; a forgotten one costs a round trip."""
_NATIVE = frozenset({TOPIC, KEY, AT})
"""What Kafka has places of its own for: topic, key and timestamp of a record."""

# Codes of the protocol, "Error codes" in Kafka's protocol guide, and librdkafka's own below zero.
_SUPERSEDED = {KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, 90}  # 90: PRODUCER_FENCED
_DENIED = {
    KafkaError._AUTHENTICATION,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED,
}
_TOPIC_REFUSED = {
    KafkaError._UNKNOWN_TOPIC: "unknown-topic",
    KafkaError._UNKNOWN_PARTITION: "unknown-topic",
    KafkaError.UNKNOWN_TOPIC_OR_PART: "unknown-topic",
    KafkaError.TOPIC_EXCEPTION: "bad-topic",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "denied-topic",
}
_MESSAGE_REFUSED = {
    KafkaError.MSG_SIZE_TOO_LARGE: "too-large",
    18: "too-large",  # RECORD_LIST_TOO_LARGE
    KafkaError.INVALID_TIMESTAMP: "bad-timestamp",
    87: "bad-record",  # INVALID_RECORD, which the Python client does not name
    KafkaError._INVALID_ARG: "bad-message",
}
_PURGED = {
    KafkaError._PURGE_QUEUE,
    KafkaError._PURGE_INFLIGHT,
    KafkaError._FATAL,
    KafkaError._GAPLESS_GUARANTEE,
}

_UNSETTLED = Outcome(
    verdict=Verdict.RETRY, reason="it was not acknowledged in time", code="unsettled"
)
# Not yet decided: these never leave this module, except as `_UNSENT` when the session is over.
_SUSPECT = Outcome(verdict=Verdict.RETRY, reason="refused with others", code="suspect")
_ROLLED_BACK = Outcome(verdict=Verdict.RETRY, reason="aborted with others", code="rolled-back")
_OPEN = {NOT_SENT, _SUSPECT, _ROLLED_BACK}


class Session:
    """A producer that is connected, used by one thread; `abandon` may be called by any."""

    def __init__(
        self, settings: KafkaSettings, fence: Fence, token: TokenSource | None, clock: Clock
    ) -> None:
        self._settings = settings
        self._token = token
        self._clock = clock
        self._transactional = settings.mode is Mode.TRANSACTIONAL
        self._id = f"{settings.transactional_id_prefix}{fence.relay}-{fence.shard}"
        self._abandoned = threading.Event()
        self._producer: Producer | None = None
        self._stale = False
        self._login: KafkaError | None = None
        self._deadline = 0.0
        self._pending = 0
        self._failed = False
        self._known: set[tuple[str, str | None]] = set()
        self.error: HowdahError | None = None
        """Why this session is over."""
        self.errors: Counter[str] = Counter()
        """What brokers refused, by name of the code."""
        self.producers = 0
        """How many it took: one, and one more after each refusal that stopped the last."""

    def connect(self) -> None:
        """Reach the cluster, log in, and shut out an older producer in transactional mode."""
        self._drop()
        self._login = None
        self._producer = producer = self._build()
        self._stale = False
        self._known.clear()
        self.producers += 1
        timeout = self._settings.connect_timeout_seconds
        try:
            if self._transactional:
                producer.init_transactions(timeout)
            elif not producer.cluster_id(timeout):
                self._poll(producer, 0)
                raise self._unreachable("no broker answers")
        except KafkaException as error:
            self._poll(producer, 0)  # why a login failed is told by a callback
            raise self._whole(self._latest_login() or error.args[0]) from None

    def abandon(self) -> None:
        """End the call that is under way, from another thread."""
        self._abandoned.set()

    def close(self) -> None:
        """Let the producer go with whatever it still holds."""
        self._drop()

    def publish(self, messages: Sequence[Message]) -> list[Outcome]:
        """Send, and decide about each; `error` is set when the session is over because of it."""
        self._deadline = self._clock.monotonic() + self._settings.delivery_timeout_seconds
        if len(self._known) > _KNOWN_KEYS:
            self._known.clear()
        outcomes = [NOT_SENT] * len(messages)
        alone = False
        while self.error is None and (chosen := _round(messages, outcomes, self._ranks)):
            chosen = chosen[:1] if alone else chosen
            answers = self._attempt([messages[at] for at in chosen], alone=alone)
            alone = alone or _SUSPECT in answers or all(answer in _OPEN for answer in answers)
            for at, answer in zip(chosen, answers, strict=True):
                outcomes[at] = answer
                if answer is DELIVERED and messages[at].key is not None:
                    self._known.add((messages[at].topic, messages[at].key))
        return hold(messages, [NOT_SENT if each in _OPEN else each for each in outcomes])

    def _ranks(self, message: Message) -> bool:
        """Whether a broker would refuse what comes behind this message once it refused this one.

        It does in a transaction, and of a producer from which it has accepted something in that
        partition: then a gap in the sequence shows. Behind the very first it shows nothing.
        """
        return self._transactional or (message.topic, message.key) in self._known

    def _attempt(self, messages: Sequence[Message], *, alone: bool) -> list[Outcome]:
        """Send these together; only `alone` is a refusal of one message a verdict about it."""
        try:
            if self._stale:
                self.connect()
            if self._transactional:
                self._need().begin_transaction()
        except KafkaException as error:
            self._over(self._whole(error.args[0]))
            return [NOT_SENT] * len(messages)
        except HowdahError as error:
            self._over(error)
            return [NOT_SENT] * len(messages)
        answers = self._sent(messages, alone=alone)
        return self._finished(answers, alone=alone) if self._transactional else answers

    def _sent(self, messages: Sequence[Message], *, alone: bool) -> list[Outcome]:
        answers: list[Outcome | None] = [None] * len(messages)
        stopped: set[str] = set()
        self._pending, self._failed = 0, False

        def answered(at: int, error: KafkaError | None, _message: object) -> None:
            self._pending -= 1
            self._failed |= error is not None
            answers[at] = DELIVERED if error is None else self._judged(error, alone=alone)

        for at, message in enumerate(messages):
            if message.key in stopped:
                answers[at] = HELD
                continue
            answers[at] = self._produce(message, partial(answered, at))
            if answers[at] is not None and message.key is not None:
                stopped.add(message.key)
        self._wait()
        return [answer or _UNSETTLED for answer in answers]

    def _produce(
        self, message: Message, answered: Callable[[KafkaError | None, object], None]
    ) -> Outcome | None:
        """Hand one message to librdkafka; what it refuses at once is a verdict."""
        producer = self._need()
        headers = {name: value for name, value in envelope(message).items() if name not in _NATIVE}
        while True:
            try:
                producer.produce(
                    self._settings.topic_prefix + message.topic,
                    value=message.payload,
                    key=None if message.key is None else message.key.encode(),
                    headers=[(name, value.encode()) for name, value in headers.items()],
                    timestamp=max(1, round(message.at * 1000)),  # 0 would mean: now
                    on_delivery=answered,
                )
            except BufferError:  # librdkafka's queue is full
                if self._is_late():
                    return _UNSETTLED
                self._poll(producer, _POLL_SECONDS)
            except KafkaException as error:
                return self._judged(error.args[0], alone=True, at_once=True)
            else:
                self._pending += 1
                return None

    def _wait(self) -> None:
        """Until each message that was taken is answered, or the call is over."""
        while self._pending:
            self._flush(self._need())
            if self._pending and self._failed and self._transactional:
                # The transaction is lost, and librdkafka keeps what was not sent until its end.
                self._need().purge()
            if self._pending and self.error is None and self._is_late():
                self._over(self._late())
            if self.error is not None:
                self._drop()
                return

    def _finished(self, answers: list[Outcome], *, alone: bool) -> list[Outcome]:
        """End the transaction: all that was sent is in it, or nothing."""
        reason = self._committed() if self.error is None else None
        if self.error is None and reason is None:
            return answers
        if reason is None or self.error is not None:
            return [_UNSETTLED if each is DELIVERED else each for each in answers]
        if not alone:
            return [_ROLLED_BACK if each is DELIVERED else each for each in answers]
        if answers[0] in (DELIVERED, _UNSETTLED):
            return [self._judged(reason, alone=True)]
        return answers

    def _committed(self) -> KafkaError | None:
        """Commit, or abort and say why: librdkafka refuses to commit once a message failed."""
        reason: KafkaError | None = None
        while not self._is_late():
            try:
                if reason is None:
                    self._need().commit_transaction(self._left())
                else:
                    self._need().abort_transaction(self._left())
            except KafkaException as error:
                failed: KafkaError = error.args[0]
                if failed.txn_requires_abort() and reason is None:
                    reason = failed
                elif not failed.retriable():
                    self._over(self._whole(failed))
                    return failed
            else:
                return reason
        self._over(self._late())
        return reason

    def _judged(self, error: KafkaError, *, alone: bool, at_once: bool = False) -> Outcome:
        """What a refusal means; `at_once` where librdkafka did not even take the message."""
        code, name = error.code(), error.name()
        self.errors[name] += 1
        if code in _DENIED or (self._transactional and code in _SUPERSEDED):
            self._over(self._whole(error))
            return _UNSETTLED
        if code in _PURGED:
            return _UNSETTLED if alone or self.error else _SUSPECT
        known = _TOPIC_REFUSED.get(code)
        # What a broker refused for good leaves a gap, which no further message may follow.
        self._stale |= not at_once and code > 0
        if known is None and not alone:
            return _SUSPECT
        known = known or _MESSAGE_REFUSED.get(code)
        verdict = Verdict.POISON if known else Verdict.RETRY
        return Outcome(verdict=verdict, reason=error.str(), code=known or name)

    def _build(self) -> Producer:
        wanted = properties(self._settings, self._id)
        callbacks: dict[str, Any] = {"error_cb": self._reported}
        token = self._token
        if token is not None:
            callbacks["oauth_cb"] = lambda _config: token()
        try:
            return Producer(wanted | callbacks, logger=_LOG)
        except (KafkaException, ValueError, TypeError) as error:
            text = error.args[0].str() if isinstance(error, KafkaException) else str(error)
            raise BadInput("librdkafka refuses the settings of the sink", detail=text) from None

    def _reported(self, error: KafkaError) -> None:
        """librdkafka's own view of its brokers; most of it passes and is retried by itself."""
        self.errors[error.name()] += 1
        self._stale |= error.fatal()
        if error.code() in _DENIED or error.code() == KafkaError._SSL:
            self._login = error

    def _whole(self, error: KafkaError) -> HowdahError:
        """An error that is not about one message."""
        code, text, where = error.code(), error.str(), self._settings.brokers
        if code in _SUPERSEDED:
            return Superseded(
                f"a newer producer took over the transactional id {self._id!r}", detail=text
            )
        if code in _DENIED:
            return Denied(f"{where} refused the login", detail=text, hint="check the credentials")
        if code == KafkaError._SSL:
            return BadInput(f"TLS with {where} failed", detail=text, hint="check the tls_ options")
        if code == KafkaError._TIMED_OUT:
            return TimedOut(f"{where} did not answer in time", detail=text)
        if code < 0 or error.retriable():
            return self._unreachable(text)
        return Cannot(f"{where} refused the sink: {error.name()}", detail=text)

    def _latest_login(self) -> KafkaError | None:
        """Set by a callback, behind the back of the type checker."""
        return self._login

    def _unreachable(self, text: str) -> HowdahError:
        return Unreachable(f"could not reach {self._settings.brokers}", detail=text)

    def _late(self) -> HowdahError:
        if self._abandoned.is_set():
            return TimedOut("the call was abandoned")
        if self._login is not None:
            return self._whole(self._login)
        return TimedOut(f"{self._settings.brokers} did not acknowledge in time")

    def _over(self, error: HowdahError) -> None:
        """This session publishes no more; the first reason stays."""
        self.error = self.error or error

    def _drop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge()
            self._poll(producer, 0)

    def _poll(self, producer: Producer, seconds: float) -> None:
        """Run callbacks that are due; a fatal error, which this raises, ends only the producer."""
        try:
            producer.poll(seconds)
        except KafkaException as error:
            self._reported(error.args[0])

    def _flush(self, producer: Producer) -> None:
        """Send without waiting for more to come, and run callbacks for a moment."""
        try:
            producer.flush(_POLL_SECONDS)
        except KafkaException as error:
            self._reported(error.args[0])

    def _need(self) -> Producer:
        if self._producer is None:
            raise self._unreachable("the sink is not open")
        return self._producer

    def _is_late(self) -> bool:
        return self._abandoned.is_set() or self._left() <= 0

    def _left(self) -> float:
        return max(0.0, self._deadline - self._clock.monotonic())


def _round(
    messages: Sequence[Message], outcomes: Sequence[Outcome], ranks: Callable[[Message], bool]
) -> list[int]:
    """What may be sent now: of each key what is undecided, up to a change of its topic.

    Of a key whose messages would not keep their `ranks` behind a refused one, only the first.
    """
    going: dict[str, str | None] = {}  # where a key goes; None: nothing more of it
    chosen: list[int] = []
    for at, (message, outcome) in enumerate(zip(messages, outcomes, strict=True)):
        undecided = outcome in _OPEN
        if message.key is None:
            chosen += [at] if undecided else []
        elif undecided and going.setdefault(message.key, message.topic) == message.topic:
            chosen.append(at)
            if not ranks(message):
                going[message.key] = None
        elif outcome is not DELIVERED:
            going[message.key] = None
    return chosen
