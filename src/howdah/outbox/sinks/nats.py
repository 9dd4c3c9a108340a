"""NATS JetStream: a stream that forgets duplicates by message id.

Owns the subject of a message, the check of the stream, and what a refusal means. Must never send a
message of a key before the stream has stored the earlier one.

What it keeps:
- Order: per key. Either one message of a key is in flight at a time (lanes), or, with
  `pipeline_keys`, everything is in flight and each message carries the id of the one before
  (`Nats-Expected-Last-Msg-Id`): when one is lost or refused, the stream refuses all behind it, and
  those are sent again. Another publisher on the stream breaks that chain too, harmlessly: after
  a few rounds the rest goes by lanes.
- Duplicates: removed by the stream, `Nats-Msg-Id` being the uid, within its duplicate window. A
  message sent again after the window is stored twice. `open` refuses a shorter window than
  `duplicate_window_seconds`.
- Size: the server's max_payload (1 MiB unless configured) and the stream's max_msg_size, headers
  included; both are read at `open`.
- Durability: nats-server acknowledges before it syncs to disk (every two minutes unless
  `sync_interval: always`); a crash of the machine can lose what was acknowledged by one replica.
- Fencing: none. An older relay that still publishes sends uids which the stream knows, or which the
  newer one's will be the duplicates of, in the order of their keys.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from howdah.errors import BadInput, Denied, HowdahError, TimedOut, Unreachable, Unsupported
from howdah.outbox.sinks.address import place, scrubbed
from howdah.outbox.sinks.envelope import envelope, surely_fits, texts
from howdah.outbox.sinks.extra import needs
from howdah.outbox.sinks.lanes import NOT_SENT, Ending, Lanes, hold, hold_unsent
from howdah.outbox.sinks.nats_acks import Ack, Acks, Refusal
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

with needs("nats", "nats-py"):
    import nats.errors
    import nats.js.errors
    from nats.aio.client import Client
    from nats.js import JetStreamContext
    from nats.js.api import Header, StreamConfig

_CHAIN_ROUNDS = 4
"""Rounds of a broken chain before the rest of the call goes by lanes."""
_HEADER_OVERHEAD = 12
"""Bytes of `NATS/1.0`, its line end and the closing one; a header adds four: colon, space, end."""
_NATS_HEADERS_BYTES = 200
"""More than the names of the library's headers, and what it and ours are separated by."""

_LOGIN_REFUSED = "authorization violation"

# Error codes of JetStream: nats-server, server/errors.json.
_WRONG_LAST_ID = 10070
_STREAM_NOT_FOUND = 10059
_SEALED = 10109
_DISABLED = frozenset({10039, 10076})
_POISON = frozenset({10054, 10060, 10097})  # message too large, other stream, headers too large


class NatsSettings(Settings, frozen=True, kw_only=True):
    """How to publish to one stream."""

    url: str
    """`nats://` or `tls://`; several servers with commas between them."""
    stream: Annotated[str, msgspec.Meta(min_length=1, pattern=r"^[^.*>\s/\\]+$")]
    subjects: tuple[str, ...] = ()
    """Given: the stream is created with these, file storage and our window when it is missing."""
    replicas: Annotated[int, msgspec.Meta(ge=1, le=5)] = 1
    """Of a stream that we create."""
    subject_prefix: str = ""
    """Put before the topic, its dot included: subject = prefix + topic."""
    duplicate_window_seconds: Annotated[float, msgspec.Meta(ge=0.1, le=86400 * 30)] = 120.0
    """The least that the stream must have; also what a stream that we create gets."""
    pipeline_keys: bool = True
    in_flight: Annotated[int, msgspec.Meta(ge=1, le=65536)] = 1024
    publish_timeout_seconds: Annotated[float, msgspec.Meta(gt=0, le=600)] = 5.0
    connect_timeout_seconds: Annotated[int, msgspec.Meta(ge=1, le=600)] = 5
    max_bytes: Annotated[int, msgspec.Meta(ge=1, le=64 * 1024 * 1024)] = 1024 * 1024
    """At most this, and what server and stream allow once `open` has asked them."""
    credentials_file: str | None = None
    tls_ca_file: str | None = None
    tls_certificate_file: str | None = None
    tls_key_file: str | None = None


class NatsSink(Sink):
    """Publishes to one JetStream stream."""

    name = "nats"

    def __init__(self, settings: NatsSettings) -> None:
        self.settings = settings
        self._client: Client | None = None
        self._acks: Acks | None = None
        self._subjects: tuple[str, ...] = settings.subjects
        self._window = settings.duplicate_window_seconds
        self._max_bytes = settings.max_bytes
        self._lanes = Lanes(settings.in_flight)
        self._ending = Ending()

    @property
    def promise(self) -> Promise:
        """Per key, deduplicated by uid within the window; limits as the server told at `open`."""
        return Promise(
            ordering=Ordering.KEY,
            dedup=Dedup.MESSAGE_ID,
            dedup_seconds=self._window,
            max_bytes=self._max_bytes,
            fences=False,
            pipelines_keys=True,
        )

    async def open(self, fence: Fence) -> None:
        """Connect and check the stream, its window and its limits; create it if so configured."""
        await self.close()
        self._client = client = Client()
        try:
            await self._connect(client, fence)
            await self._check_stream(client)
            self._acks = Acks(client, self.settings.in_flight)
            await self._acks.listen()
        except Exception as error:
            await self.close()
            if isinstance(error, HowdahError):
                raise
            raise self._opening(error) from None  # the library's error may quote the URL
        self._lanes.forget()
        self._ending.forget()

    async def _connect(self, client: Client, fence: Fence) -> None:
        settings = self.settings
        await client.connect(
            servers=_servers(settings.url),
            name=f"howdah {fence.relay}/{fence.shard} epoch {fence.epoch}",
            # The relay opens again by itself; a library that resends behind its back reorders.
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=settings.connect_timeout_seconds,
            error_cb=_ignore,
            closed_cb=self._lost,
            tls=self._tls(),
            user_credentials=settings.credentials_file,
        )

    def _tls(self) -> ssl.SSLContext | None:
        settings = self.settings
        if not (settings.tls_ca_file or settings.tls_certificate_file):
            return None
        context = ssl.create_default_context(cafile=settings.tls_ca_file)
        if settings.tls_certificate_file:
            context.load_cert_chain(settings.tls_certificate_file, settings.tls_key_file)
        return context

    async def _check_stream(self, client: Client) -> None:
        config = await self._stream_config(
            client.jetstream(timeout=self.settings.publish_timeout_seconds)
        )
        self._subjects = tuple(config.subjects or ())
        self._window = config.duplicate_window
        if config.duplicate_window < self.settings.duplicate_window_seconds:
            raise BadInput(
                f"stream {self.settings.stream!r} forgets duplicates after "
                f"{config.duplicate_window:g} s",
                detail=f"{self.settings.duplicate_window_seconds:g} s are asked for.",
                hint=f"nats stream edit {self.settings.stream} --dupe-window "
                f"{self.settings.duplicate_window_seconds:g}s, or a lower duplicate_window_seconds",
            )
        limits = [self.settings.max_bytes, client.max_payload, config.max_msg_size or 0]
        self._max_bytes = min(limit for limit in limits if limit > 0)

    async def _stream_config(self, jetstream: JetStreamContext) -> StreamConfig:
        settings = self.settings
        try:
            return (await jetstream.stream_info(settings.stream)).config
        except nats.js.errors.NotFoundError as error:
            if error.err_code != _STREAM_NOT_FOUND:
                raise
        if not settings.subjects:
            raise BadInput(
                f"there is no stream {settings.stream!r} at {place(settings.url)}",
                hint="create it, or give the sink its `subjects` so that it may",
            )
        created = await jetstream.add_stream(
            name=settings.stream,
            subjects=list(settings.subjects),
            num_replicas=settings.replicas,
            duplicate_window=settings.duplicate_window_seconds,
        )
        return created.config

    def _opening(self, error: Exception) -> HowdahError:
        where, text = place(self.settings.url), scrubbed(str(error), self.settings.url)
        if _is_login(error):
            return Denied(f"{where} refused the login", detail=text, hint="check the credentials")
        if isinstance(error, nats.js.errors.ServiceUnavailableError):
            return Unreachable(
                f"JetStream at {where} does not answer",
                hint="start nats-server with -js; in a cluster wait for a leader",
            )
        if isinstance(error, nats.js.errors.APIError) and error.err_code in _DISABLED:
            return Unsupported(
                f"{where} has no JetStream", detail=text, hint="start nats-server with -js"
            )
        if isinstance(error, ssl.SSLError | FileNotFoundError):
            return BadInput(f"TLS with {where} failed", detail=text, hint="check the tls_ files")
        if isinstance(error, nats.js.errors.APIError) and (error.code or 500) < 500:
            return BadInput(f"{where} refused the stream's settings", detail=text)
        if isinstance(error, asyncio.TimeoutError | nats.errors.TimeoutError):
            return TimedOut(f"{where} did not answer in time", detail=text)
        return Unreachable(f"could not reach {where}", detail=text or type(error).__name__)

    async def _lost(self) -> None:
        """Called by the library once the connection is gone."""
        if self._acks is not None:
            self._acks.lose()

    async def publish(self, messages: Sequence[Message]) -> list[Outcome]:
        """All in flight in a chain, or by lanes; each waits for the stream's acknowledgement."""
        if self.settings.pipeline_keys:
            return await self._publish_chained(messages)
        return await self._lanes.publish(messages, self._send)

    async def _send(self, message: Message) -> Outcome:
        refusal = self._refusal(message)
        if refusal is not None:
            return refusal
        future = await self._start(message, None)
        await asyncio.wait([future], timeout=self.settings.publish_timeout_seconds)
        answer = self._answer(future, chained=False)
        if isinstance(answer, HowdahError):
            raise answer
        return answer

    async def _publish_chained(self, messages: Sequence[Message]) -> list[Outcome]:
        self._ending.start()
        outcomes = [self._refusal(message) or NOT_SENT for message in messages]
        outcomes = hold_unsent(messages, outcomes)
        left = [at for at, outcome in enumerate(outcomes) if outcome is NOT_SENT]
        error: HowdahError | None = None
        for _ in range(_CHAIN_ROUNDS):
            if not left or error is not None:
                break
            error = await self._round(messages, left, outcomes)
            outcomes = hold_unsent(messages, outcomes)
            left = [at for at in left if outcomes[at] is NOT_SENT]
        if left and error is None:
            rest = await self._lanes.publish([messages[at] for at in left], self._send)
            for at, outcome in zip(left, rest, strict=True):
                outcomes[at] = outcome
        return self._ending.settle(hold(messages, outcomes), error)

    async def _round(
        self, messages: Sequence[Message], left: Sequence[int], outcomes: list[Outcome]
    ) -> HowdahError | None:
        """Send all of `left` in a chain; those that the chain refused stay `NOT_SENT`."""
        started, error = await self._start_chain([messages[at] for at in left])
        if started:
            await asyncio.wait(started, timeout=self.settings.publish_timeout_seconds)
        for at, future in zip(left, started, strict=False):
            answer = self._answer(future, chained=True)
            if isinstance(answer, HowdahError):
                error = error or answer
                answer = Outcome(verdict=Verdict.RETRY, reason=answer.message, code="unsettled")
            outcomes[at] = answer
        return error

    async def _start_chain(
        self, messages: Sequence[Message]
    ) -> tuple[list[asyncio.Future[Ack]], HowdahError | None]:
        started: list[asyncio.Future[Ack]] = []
        before: str | None = None
        for message in messages:
            try:
                started.append(await self._start(message, before))
            except HowdahError as error:
                return started, error
            before = message.uid
        return started, None

    def _refusal(self, message: Message) -> Outcome | None:
        """Why this message can never be sent, found without asking the server."""
        subject = self._subject(message)
        if not _is_subject(subject):
            return _poison("bad-subject", f"{subject!r} is no NATS subject")
        if not any(_covers(pattern, subject) for pattern in self._subjects):
            return _poison(
                "no-subject", f"stream {self.settings.stream!r} does not listen to {subject!r}"
            )
        written = texts(message)
        if "\r" in written or "\n" in written:
            return _poison("bad-header", "a header holds a line end")
        # Nats's own headers repeat the uid, which the bound counts four times, and name the stream.
        more = _NATS_HEADERS_BYTES + 4 * (len(message.headers) + len(self.settings.stream))
        if surely_fits(message, self._max_bytes, more=more):
            return None
        headers = self._headers(message)
        needed = len(message.payload) + _HEADER_OVERHEAD
        needed += sum(len(f"{name}{value}".encode()) + 4 for name, value in headers.items())
        if needed > self._max_bytes:
            return _poison("too-large", f"{needed} bytes, and {self._max_bytes} are allowed")
        return None

    def _subject(self, message: Message) -> str:
        return self.settings.subject_prefix + message.topic

    def _headers(self, message: Message, before: str | None = None) -> dict[str, str]:
        headers = envelope(message)
        headers[Header.MSG_ID.value] = message.uid
        headers[Header.EXPECTED_STREAM.value] = self.settings.stream
        if before is not None:
            headers[Header.EXPECTED_LAST_MSG_ID.value] = before
        return headers

    async def _start(self, message: Message, before: str | None) -> asyncio.Future[Ack]:
        if self._acks is None or self._client is None or self._client.is_closed:
            raise Unreachable(f"no connection to {place(self.settings.url)}")
        try:
            async with asyncio.timeout(self.settings.publish_timeout_seconds):
                return await self._acks.publish(
                    self._subject(message), message.payload, self._headers(message, before)
                )
        except TimeoutError:
            raise TimedOut(f"{place(self.settings.url)} acknowledges nothing") from None
        except nats.errors.Error as error:
            raise self._lost_connection(error) from error

    def _answer(self, future: asyncio.Future[Ack], *, chained: bool) -> Outcome | HowdahError:
        """What became of a publication after its time: an outcome, or the end of the sink."""
        if not future.done():
            future.cancel()
            return TimedOut(f"no acknowledgement from {place(self.settings.url)} in time")
        error = future.exception()
        if error is not None:
            return self._lost_connection(error)
        answer = future.result()
        if answer.error is not None:
            return _judge(answer.error, chained=chained)
        return Outcome(verdict=Verdict.DELIVERED, duplicate=True) if answer.duplicate else DELIVERED

    def _lost_connection(self, error: BaseException) -> Unreachable:
        return Unreachable(f"lost the connection to {place(self.settings.url)}", detail=str(error))

    async def close(self) -> None:
        """Let go of the connection."""
        client, self._client, self._acks = self._client, None, None
        if client is not None:
            # A connection that is lost, or was never there, needs no goodbye.
            with contextlib.suppress(nats.errors.Error, OSError, asyncio.TimeoutError):
                await client.close()


def from_url(url: str, options: Mapping[str, Any]) -> NatsSink:
    """`nats://host:4222,other:4222/STREAM`; the stream may also be an option."""
    hosts, _, stream = url.rpartition("/")
    values: dict[str, Any] = {"url": url if hosts.endswith("/") else hosts}
    if stream and not hosts.endswith("/"):
        values["stream"] = stream
    return NatsSink(build(NatsSettings, values | dict(options)))


def _servers(url: str) -> list[str]:
    scheme = url.partition("://")[0]
    return [each if "://" in each else f"{scheme}://{each}" for each in url.split(",")]


async def _ignore(_error: Exception) -> None:
    """The library's report of an error, which also reaches the caller."""


def _is_login(error: Exception) -> bool:
    """The protocol has no codes: this constant is what it says for a refused login."""
    if isinstance(error, nats.errors.AuthorizationError | nats.errors.InvalidUserCredentialsError):
        return True
    return isinstance(error, nats.errors.Error) and _LOGIN_REFUSED in str(error).lower()


def _poison(code: str, reason: str) -> Outcome:
    return Outcome(verdict=Verdict.POISON, reason=reason, code=code)


def _judge(refusal: Refusal, *, chained: bool) -> Outcome | HowdahError:
    code = refusal.err_code
    if chained and code == _WRONG_LAST_ID:
        return NOT_SENT
    if code == _SEALED:
        return BadInput("the stream is sealed", hint="publish to another stream")
    verdict = Verdict.POISON if code in _POISON else Verdict.RETRY
    return Outcome(verdict=verdict, reason=refusal.description, code=str(code or refusal.code))


def _is_subject(subject: str) -> bool:
    tokens = subject.split(".")
    return all(
        token and token not in ("*", ">") and token.isprintable() and " " not in token
        for token in tokens
    )


def _covers(pattern: str, subject: str) -> bool:
    """Whether a subject filter (`*` one token, `>` the rest) matches a subject."""
    wanted, given = pattern.split("."), subject.split(".")
    for at, token in enumerate(wanted):
        if token == ">":
            return len(given) > at
        if at >= len(given) or token not in ("*", given[at]):
            return False
    return len(given) == len(wanted)
