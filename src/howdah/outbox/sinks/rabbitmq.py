"""RabbitMQ: persistent messages to durable queues, each confirmed, none silently dropped.

Owns routing, confirmation and what a refusal means. Must never publish without `mandatory`: without
it the broker confirms a message that it could route nowhere, and drops it.

What it keeps:
- Order: per key. Confirmations of one channel come back in any order and one may be negative, so
  one message of a key is in flight at a time.
- Duplicates: not removed by RabbitMQ. The uid is the `message_id` and a header.
- Fencing: RabbitMQ cannot shut out an older relay. With `single_active` (the default) `open` takes
  an exclusive queue of the relay's name, which lives as long as the connection: two relays of one
  name and shard never publish at the same time, and the newer waits until the older's connection is
  gone: at once when its process died, after about two `heartbeat_seconds` when it hangs.
- Size: `max_bytes`, which must not be above the broker's max_message_size (16 MiB since 4.0,
  128 MiB before): the broker closes the channel on a larger one.
- Durability: a confirmation of a quorum queue means that a majority has it on disk. Of a classic
  queue it means one node. Queues in `quorum_queues` are declared so; for others see to it yourself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from howdah.errors import BadInput, Denied, HowdahError, TimedOut, Unreachable
from howdah.outbox.sinks.address import place, scrubbed
from howdah.outbox.sinks.envelope import envelope, too_large
from howdah.outbox.sinks.extra import needs
from howdah.outbox.sinks.lanes import Lanes
from howdah.outbox.sinks.settings import Settings, build
from howdah.outbox.sinks.sink import (
    DELIVERED,
    Dedup,
    Fence,
    Message,
    Ordering,
    Outcome,
    Promise,
    Sink,
    Verdict,
)

with needs("rabbitmq", "aio-pika"):
    import aio_pika
    from aio_pika import exceptions as refused
    from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange
    from aiormq.exceptions import (
        ChannelAccessRefused,
        ChannelLockedResource,
        ConnectionNotAllowed,
    )

_MAX_SHORT_STRING = 255
"""Bytes of a routing key or message id: AMQP 0-9-1, short-string."""


class RabbitmqSettings(Settings, frozen=True, kw_only=True):
    """How to publish to one exchange."""

    url: str
    """`amqp://user:password@host:5672/vhost`, `amqps://` for TLS."""
    exchange: str = ""
    """Empty: the default exchange, which routes to the queue of the routing key's name."""
    routing_prefix: str = ""
    """Put before the topic: routing key = prefix + topic."""
    quorum_queues: tuple[str, ...] = ()
    """Declared at `open`, durable and of type quorum; with an exchange, bound by their name."""
    single_active: bool = True
    in_flight: Annotated[int, msgspec.Meta(ge=1, le=65536)] = 256
    heartbeat_seconds: Annotated[int, msgspec.Meta(ge=1, le=600)] = 10
    publish_timeout_seconds: Annotated[float, msgspec.Meta(gt=0, le=600)] = 10.0
    connect_timeout_seconds: Annotated[float, msgspec.Meta(gt=0, le=600)] = 5.0
    max_bytes: Annotated[int, msgspec.Meta(ge=1, le=512 * 1024 * 1024)] = 16 * 1024 * 1024


class RabbitmqSink(Sink):
    """Publishes to one exchange with publisher confirms."""

    name = "rabbitmq"

    def __init__(self, settings: RabbitmqSettings) -> None:
        self.settings = settings
        self._connection: AbstractConnection | None = None
        self._exchange: AbstractExchange | None = None
        self._lanes = Lanes(settings.in_flight)

    @property
    def promise(self) -> Promise:
        """Per key; duplicates are the consumer's to remove, by `message_id`."""
        return Promise(
            ordering=Ordering.KEY,
            dedup=Dedup.NONE,
            max_bytes=self.settings.max_bytes,
            fences=False,
            pipelines_keys=True,
        )

    async def open(self, fence: Fence) -> None:
        """Connect, take the relay's place, check the exchange, declare the queues."""
        await self.close()
        try:
            async with asyncio.timeout(self.settings.connect_timeout_seconds):
                await self._open(fence)
        except (*refused.CONNECTION_EXCEPTIONS, ValueError, TimeoutError) as error:
            await self.close()
            raise self._opening(error) from None  # the library's error may quote the URL
        except BaseException:
            await self.close()
            raise
        self._lanes.forget()

    async def _open(self, fence: Fence) -> None:
        # Not the robust connection: what is sent again behind our back is not in order.
        self._connection = await aio_pika.connect(
            self.settings.url,
            heartbeat=self.settings.heartbeat_seconds,
            timeout=self.settings.connect_timeout_seconds,
            client_properties={"connection_name": f"howdah {fence.relay}/{fence.shard}"},
        )
        channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
        if self.settings.single_active:
            await channel.declare_queue(
                f"howdah.relay.{fence.relay}.{fence.shard}", exclusive=True, auto_delete=False
            )
        self._exchange = await self._found_exchange(channel)
        for name in self.settings.quorum_queues:
            queue = await channel.declare_queue(
                name, durable=True, arguments={"x-queue-type": "quorum"}
            )
            if self.settings.exchange:
                await queue.bind(self.settings.exchange, routing_key=name)

    async def _found_exchange(self, channel: AbstractChannel) -> AbstractExchange:
        if not self.settings.exchange:
            return channel.default_exchange
        return await channel.get_exchange(self.settings.exchange, ensure=True)

    def _opening(self, error: BaseException) -> HowdahError:
        where, text = place(self.settings.url), scrubbed(str(error), self.settings.url)
        if isinstance(error, ChannelLockedResource):
            return Unreachable(
                f"another relay of this name still publishes to {where}",
                detail="It holds the exclusive queue that single_active asks for.",
                hint="wait until its connection is gone, or stop it",
            )
        if isinstance(error, refused.ChannelNotFoundEntity):
            return BadInput(
                f"there is no exchange {self.settings.exchange!r} at {where}",
                hint="declare it, or leave `exchange` empty for the default one",
            )
        if isinstance(error, refused.ChannelPreconditionFailed):
            return BadInput(
                "a queue of that name exists with other settings",
                detail=text,
                hint="take it out of quorum_queues, or delete it",
            )
        logins = refused.ProbableAuthenticationError | refused.AuthenticationError
        if isinstance(error, logins | ChannelAccessRefused | ConnectionNotAllowed):
            return Denied(f"{where} refused us", detail=text, hint="check user, vhost, permissions")
        if isinstance(error, TimeoutError):
            return TimedOut(f"{where} did not answer in time")
        if isinstance(error, ValueError):
            return BadInput("the URL cannot be understood", hint="amqp://user@host:5672/vhost")
        return Unreachable(f"could not reach {where}", detail=text or type(error).__name__)

    async def publish(self, messages: Sequence[Message]) -> list[Outcome]:
        """Keys side by side, one message of each in flight, each confirmed."""
        return await self._lanes.publish(messages, self._send)

    async def _send(self, message: Message) -> Outcome:
        refusal = self._refusal(message)
        if refusal is not None:
            return refusal
        where = place(self.settings.url)
        if self._exchange is None or self._connection is None or self._connection.is_closed:
            raise Unreachable(f"no connection to {where}")
        try:
            async with asyncio.timeout(self.settings.publish_timeout_seconds):
                await self._exchange.publish(
                    _frame(message), self._routing_key(message), mandatory=True
                )
        except refused.PublishError:  # returned: no queue is bound for it
            return _poison("unroutable", f"no queue for {self._routing_key(message)!r}")
        except refused.DeliveryError:  # a negative confirmation: a full or leaderless queue
            return Outcome(verdict=Verdict.RETRY, reason="the queue refused it", code="nack")
        except TimeoutError:
            raise TimedOut(f"no confirmation from {where} in time") from None
        except refused.CONNECTION_EXCEPTIONS as error:
            raise Unreachable(f"lost the connection to {where}", detail=str(error)) from error
        return DELIVERED

    def _routing_key(self, message: Message) -> str:
        return self.settings.routing_prefix + message.topic

    def _refusal(self, message: Message) -> Outcome | None:
        """Why this message can never be sent, found without asking the broker."""
        if len(self._routing_key(message).encode()) > _MAX_SHORT_STRING:
            return _poison("long-topic", f"a routing key has at most {_MAX_SHORT_STRING} bytes")
        if any(len(name.encode()) > _MAX_SHORT_STRING for name in message.headers):
            return _poison("long-header", f"a header's name has at most {_MAX_SHORT_STRING} bytes")
        return too_large(message, self.settings.max_bytes)

    async def close(self) -> None:
        """Let go of the connection."""
        connection, self._connection, self._exchange = self._connection, None, None
        if connection is None:
            return
        # A connection that is lost, or whose broker hangs, needs no goodbye.
        with contextlib.suppress(*refused.CONNECTION_EXCEPTIONS, TimeoutError):
            async with asyncio.timeout(self.settings.connect_timeout_seconds):
                await connection.close()


def from_url(url: str, options: Mapping[str, Any]) -> RabbitmqSink:
    """`amqp://user:password@host:5672/vhost`, `amqps://` for TLS."""
    return RabbitmqSink(build(RabbitmqSettings, {"url": url} | dict(options)))


def _frame(message: Message) -> aio_pika.Message:
    return aio_pika.Message(
        message.payload,
        headers=dict(envelope(message)),
        content_type=message.headers.get("content-type"),
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=message.uid,
        timestamp=message.at,
    )


def _poison(code: str, reason: str) -> Outcome:
    return Outcome(verdict=Verdict.POISON, reason=reason, code=code)
