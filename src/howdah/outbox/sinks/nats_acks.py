"""Many JetStream publications in flight on one connection, each with its acknowledgement.

Owns the inbox, its tokens and the bound of what is in flight. Must never let a publication wait for
an answer that cannot come any more.

The library's own `publish_async` (2.16) leaves the future of a refused message unsettled for ever:
it raises the refusal inside its callback. So the reply is read here.
"""

from __future__ import annotations

import asyncio

import msgspec

from howdah.outbox.sinks.extra import needs

with needs("nats", "nats-py"):
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.errors import ConnectionClosedError

_NO_RESPONDERS = "503"
_STATUS = "Status"


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """JetStream's error; `err_code` is stable, the description is for people."""

    code: int = 0
    err_code: int = 0
    description: str = ""


class Ack(msgspec.Struct, frozen=True, kw_only=True):
    """JetStream's answer to one publication."""

    seq: int = 0
    duplicate: bool = False
    error: Refusal | None = None


NO_RESPONDERS = Ack(error=Refusal(code=503, description="no responders"))

_DECODE = msgspec.json.Decoder(Ack).decode


class Acks:
    """Publishes with a reply address of our own and settles a future by each answer."""

    def __init__(self, client: Client, in_flight: int) -> None:
        self._client = client
        self._inbox = client.new_inbox()
        self._slots = asyncio.Semaphore(in_flight)
        self._waiting: dict[str, asyncio.Future[Ack]] = {}
        self._count = 0

    async def listen(self) -> None:
        """Subscribe to the answers; once, before the first publication."""
        await self._client.subscribe(f"{self._inbox}.*", cb=self._answered)

    async def publish(
        self, subject: str, payload: bytes, headers: dict[str, str]
    ) -> asyncio.Future[Ack]:
        """Send as soon as there is a slot; the future holds the answer, or the connection's end."""
        await self._slots.acquire()
        self._count += 1
        token = str(self._count)
        future: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()
        self._waiting[token] = future
        future.add_done_callback(lambda _: self._forget(token))
        try:
            await self._client.publish(
                subject, payload, reply=f"{self._inbox}.{token}", headers=headers
            )
        except BaseException:
            future.cancel()
            raise
        return future

    def _forget(self, token: str) -> None:
        self._waiting.pop(token, None)
        self._slots.release()

    async def _answered(self, message: Msg) -> None:
        future = self._waiting.get(message.subject.rpartition(".")[2])
        if future is None or future.done():
            return
        if message.headers and message.headers.get(_STATUS) == _NO_RESPONDERS:
            future.set_result(NO_RESPONDERS)
            return
        try:
            future.set_result(_DECODE(message.data))
        except msgspec.DecodeError as error:
            future.set_exception(error)

    def lose(self) -> None:
        """The connection is gone: nobody waits for an answer any more."""
        for future in list(self._waiting.values()):
            if not future.done():
                future.set_exception(ConnectionClosedError())
                future.exception()  # it may be that nobody looks at it; that is no mistake
