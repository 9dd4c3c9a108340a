"""Redis Streams: entries appended by a script that fences, removes duplicates and keeps order.

Owns the names of streams, of the fence and of the bit blocks, and what a refusal means. Must never
use an entry id of its own: positions of a log are not published in ascending order (a long
transaction commits late, a parked message is replayed), and Redis refuses an id below its last.

What it keeps:
- Order: per key, and what one call appends to one stream is in the call's order.
- Duplicates: removed. One bit per message says whether it was appended: bit `id % 65536` of the
  block `id / 65536` of its log, set by the script that appends. A block lives `dedup_seconds` after
  its last message; a message that is sent again later is appended twice. One bit per message means
  that a day of 1,000 messages per second takes about 11 MB.
- Fencing: `open` writes its epoch; the script of an older relay is refused, whatever it had in
  flight.
- Size: `max_bytes`; Redis itself stops at 512 MB per value (proto-max-bulk-len).
- Durability: Redis acknowledges before it syncs to disk unless `appendfsync always`, and before a
  replica has it unless `replicas` asks for WAIT; even then a failover can lose what was
  acknowledged. The fence and the bits are lost with it, so that nothing is taken for a duplicate
  that is not there.
- Memory: a server that may evict any key would evict the stream itself; `open` refuses it.

One server, with or without replicas, or Sentinel's master. Redis Cluster is not supported: the
script touches several keys.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from typing import Annotated, Any

import msgspec

from howdah.errors import (
    BadInput,
    CouldNot,
    Denied,
    HowdahError,
    Superseded,
    TimedOut,
    Unreachable,
    Unsupported,
)
from howdah.outbox.sinks.address import place, scrubbed
from howdah.outbox.sinks.envelope import emitted_at, too_large
from howdah.outbox.sinks.extra import needs
from howdah.outbox.sinks.lanes import HELD, NOT_SENT, Ending, hold, hold_unsent
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

with needs("redis", "redis"):
    from redis import exceptions as refused
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.commands.core import AsyncScript

BLOCK_BITS = 65536
"""Messages per bit block: 8 KiB of bits."""
_CHUNK = 256
"""Messages per script call: bounds the time for which the server does nothing else."""
_CHUNK_BYTES = 4 * 1024 * 1024
_DUPLICATE = Outcome(verdict=Verdict.DELIVERED, duplicate=True)
_NOT_COPIED = Outcome(verdict=Verdict.RETRY, reason="too few replicas have it", code="replicas")
# The first word of an error is its code (Redis protocol, RESP simple errors); before Redis 7 one
# that a script caught has the script's name and line in front of it.
_CODE = re.compile(r"(?:^|-)([A-Z]{2,})\b")
_POISON = frozenset({"WRONGTYPE"})  # the stream's name belongs to another kind of value


class RedisSettings(Settings, frozen=True, kw_only=True):
    """How to append to the streams of one server."""

    url: str
    """`redis://`, `rediss://` (TLS) or `unix://`, as redis-py reads it."""
    stream_prefix: str = ""
    """Put before the topic: stream = prefix + topic."""
    state_prefix: str = "howdah:"
    """Put before the names of the fence and of the bit blocks."""
    dedup_seconds: Annotated[int, msgspec.Meta(ge=0, le=86400 * 30)] = 86400
    """0: the consumer removes duplicates."""
    max_entries: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Trims a stream to about this many entries. Unread ones too: Redis does not look."""
    replicas: Annotated[int, msgspec.Meta(ge=0, le=16)] = 0
    """How many replicas must confirm (WAIT) before a message counts as delivered."""
    max_bytes: Annotated[int, msgspec.Meta(ge=1, le=512 * 1024 * 1024)] = 8 * 1024 * 1024
    publish_timeout_seconds: Annotated[float, msgspec.Meta(gt=0, le=600)] = 5.0
    connect_timeout_seconds: Annotated[float, msgspec.Meta(gt=0, le=600)] = 5.0
    allow_eviction: bool = False
    """Accept a server whose maxmemory-policy may evict streams."""


class RedisSink(Sink):
    """Appends to one stream per topic."""

    name = "redis"

    def __init__(self, settings: RedisSettings) -> None:
        self.settings = settings
        self._redis: Redis | None = None
        self._append: AsyncScript | None = None
        self._fence: Fence | None = None
        self._ending = Ending()

    @property
    def promise(self) -> Promise:
        """Per key, deduplicated by uid while its bit block lives, fenced."""
        seconds = self.settings.dedup_seconds
        return Promise(
            ordering=Ordering.KEY,
            dedup=Dedup.MESSAGE_ID if seconds else Dedup.NONE,
            dedup_seconds=float(seconds) if seconds else None,
            max_bytes=self.settings.max_bytes,
            fences=True,
            pipelines_keys=True,
        )

    async def open(self, fence: Fence) -> None:
        """Connect, refuse a server that evicts or is a replica, and shut out older relays."""
        await self.close()
        settings = self.settings
        try:
            # No retries below us: a command whose answer was lost may have been done.
            self._redis = Redis.from_url(
                settings.url,
                socket_timeout=settings.publish_timeout_seconds,
                socket_connect_timeout=settings.connect_timeout_seconds,
                client_name="howdah",
                retry=Retry(NoBackoff(), 0),
                single_connection_client=True,  # WAIT speaks of its own connection's writes
            )
            self._append = self._redis.register_script(_script("append.lua"))
            await self._check(self._redis)
            shut = self._redis.register_script(_script("fence.lua"))
            await shut(keys=[self._fence_key(fence)], args=[fence.epoch])
        except (refused.RedisError, OSError, ValueError) as error:
            await self.close()
            raise self._failure(error) from None  # the library's error may quote the URL
        except BaseException:
            await self.close()
            raise
        self._fence = fence
        self._ending.forget()

    async def _check(self, redis: Redis) -> None:
        replication = await redis.info("replication")
        if replication.get("role") != "master":
            raise refused.ReadOnlyError("this server is a replica", status_code="READONLY")
        memory = await redis.info("memory")
        policy = str(memory.get("maxmemory_policy", "noeviction"))
        if policy.startswith("allkeys") and not self.settings.allow_eviction:
            raise BadInput(
                f"{place(self.settings.url)} may evict the stream itself",
                detail=f"maxmemory-policy is {policy}.",
                hint="set maxmemory-policy to noeviction or a volatile one, or allow_eviction",
            )

    def _fence_key(self, fence: Fence) -> str:
        return f"{self.settings.state_prefix}fence:{fence.relay}:{fence.shard}"

    def _failure(self, error: Exception) -> HowdahError:
        where, text = place(self.settings.url), scrubbed(str(error), self.settings.url)
        code = _code(error)
        if code == "UNFENCED":
            return Unreachable(f"{where} lost what it knew of us", hint="open the sink again")
        if code == "SUPERSEDED":
            return Superseded(f"a newer relay publishes to {where}", detail=f"its {text.lower()}")
        if isinstance(error, refused.AuthenticationError | refused.NoPermissionError):
            return Denied(f"{where} refused us", detail=text, hint="check the user and its ACL")
        if isinstance(error, refused.TimeoutError):
            return TimedOut(f"{where} did not answer in time", detail=text)
        passing = refused.ConnectionError | refused.ReadOnlyError | refused.ClusterDownError
        if isinstance(error, passing | OSError):
            return Unreachable(f"could not reach {where}", detail=text or type(error).__name__)
        if isinstance(error, refused.MovedError | refused.ClusterCrossSlotError):
            return Unsupported(f"{where} is a Redis Cluster", hint="use one server per outbox")
        if isinstance(error, ValueError):
            return BadInput("the URL cannot be understood", hint="redis://user@host:6379/0")
        return CouldNot(f"{where} refused the script", detail=text)

    async def publish(self, messages: Sequence[Message]) -> list[Outcome]:
        """In chunks, each one script call; a failed call ends it."""
        self._ending.start()
        outcomes = [self._refusal(message) or NOT_SENT for message in messages]
        error: HowdahError | None = None
        for chunk in _chunks(messages):
            outcomes = hold_unsent(messages, outcomes)
            error = await self._settle(
                messages, [at for at in chunk if outcomes[at] is NOT_SENT], outcomes
            )
            if error is not None:
                break
        return self._ending.settle(hold(messages, outcomes), error)

    def _refusal(self, message: Message) -> Outcome | None:
        return too_large(message, self.settings.max_bytes)

    async def _settle(
        self, messages: Sequence[Message], chunk: Sequence[int], outcomes: list[Outcome]
    ) -> HowdahError | None:
        """One script call for the messages at those places; fills in their outcomes."""
        if self._redis is None or self._append is None or self._fence is None:
            return Unreachable(f"no connection to {place(self.settings.url)}")
        if not chunk:
            return None
        call = _Call(self.settings, self._fence_key(self._fence), self._fence.epoch)
        for at in chunk:
            call.add(messages[at])
        try:
            replies = await self._append(keys=call.keys, args=call.arguments)
            copied = await self._copied(self._redis)
        except (refused.RedisError, OSError) as error:
            failure = self._failure(error)
            for at in chunk:
                outcomes[at] = Outcome(
                    verdict=Verdict.RETRY, reason=failure.message, code="unsettled"
                )
            return failure
        for at, reply in zip(chunk, replies, strict=True):
            outcomes[at] = _judge(reply.decode(), copied=copied)
        return None

    async def _copied(self, redis: Redis) -> bool:
        """Whether enough replicas have what this connection wrote."""
        if not self.settings.replicas:
            return True
        # Half of the socket's timeout: Redis must answer before we give the connection up.
        patience = int(self.settings.publish_timeout_seconds * 500)
        return int(await redis.wait(self.settings.replicas, patience)) >= self.settings.replicas

    async def close(self) -> None:
        """Let go of the connection."""
        redis, self._redis, self._append = self._redis, None, None
        if redis is not None:
            # A connection that is lost needs no goodbye.
            with contextlib.suppress(refused.RedisError, OSError):
                await redis.aclose()


def from_url(url: str, options: Mapping[str, Any]) -> RedisSink:
    """`redis://user:password@host:6379/0`, `rediss://` for TLS."""
    return RedisSink(build(RedisSettings, {"url": url} | dict(options)))


class _Call:
    """Keys and arguments of one script call, as `lua/append.lua` reads them."""

    def __init__(self, settings: RedisSettings, fence_key: str, epoch: int) -> None:
        self._settings = settings
        self._places: dict[str, int] = {fence_key: 1}
        self._lanes: dict[str, int] = {}
        milliseconds = settings.dedup_seconds * 1000
        self.arguments: list[str | int | bytes] = [epoch, milliseconds, settings.max_entries or 0]

    @property
    def keys(self) -> list[str]:
        """The fence first, then streams and bit blocks by their places."""
        return list(self._places)

    def add(self, message: Message) -> None:
        block, bit = divmod(message.id, BLOCK_BITS)
        log = message.uid.removesuffix(f"-{message.id}")
        stream = self._settings.stream_prefix + message.topic
        seen = f"{self._settings.state_prefix}seen:{log}:{block}"
        self.arguments += [
            self._lane(message),
            self._place(stream),
            self._place(seen),
            bit,
            message.uid,
            message.topic,
            int(message.key is not None),
            message.key or "",
            emitted_at(message),
            msgspec.json.encode(message.headers),
            message.payload,
        ]

    def _place(self, key: str) -> int:
        return self._places.setdefault(key, len(self._places) + 1)

    def _lane(self, message: Message) -> int:
        name = f"k{message.key}" if message.key is not None else f"u{message.uid}"
        return self._lanes.setdefault(name, len(self._lanes))


def _chunks(messages: Sequence[Message]) -> Iterator[list[int]]:
    chunk: list[int] = []
    held = 0
    for at, message in enumerate(messages):
        if chunk and (len(chunk) == _CHUNK or held + len(message.payload) > _CHUNK_BYTES):
            yield chunk
            chunk, held = [], 0
        chunk.append(at)
        held += len(message.payload)
    yield chunk


def _judge(reply: str, *, copied: bool) -> Outcome:
    if reply in ("new", "old"):
        if not copied:
            return _NOT_COPIED
        return DELIVERED if reply == "new" else _DUPLICATE
    if reply == "held":
        return HELD
    found = _CODE.search(reply)
    code = found[1] if found else "script"
    verdict = Verdict.POISON if code in _POISON else Verdict.RETRY
    return Outcome(verdict=verdict, reason=reply, code=code)


def _code(error: Exception) -> str:
    """The first word of Redis's error, where redis-py has no class for it."""
    return str(error).partition(" ")[0]


def _script(file: str) -> str:
    return resources.files("howdah.outbox.sinks").joinpath("lua", file).read_text(encoding="utf-8")
