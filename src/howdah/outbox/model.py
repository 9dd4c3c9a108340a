"""What the outbox talks about: drafts, configuration, options, parked messages, figures.

Owns the frozen values and their bounds. Must never hold a connection or a clock.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import msgspec

from howdah.outbox.sinks.sink import Dedup, Ordering

OutboxName = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,23}$")]


class Layout(enum.StrEnum):
    """Where events are kept until they are published."""

    RING = "ring"  # a log: no dead tuples, whoever holds a transaction open
    PARTITIONED = "partitioned"  # Sadeq Dousti's table, partitioned by LIST (published_at)


class Policy(enum.StrEnum):
    """What becomes of a key whose message is not accepted."""

    BLOCK = "block"  # nothing of the key until the failed one succeeds, is replayed or discarded
    PARK = "park"  # it and its successors are set aside, in order, until a person replays them
    SKIP = "skip"  # only it is set aside; the order of the key is given up


JSON = "application/json"
ContentType = Annotated[
    str, msgspec.Meta(pattern=r"\A[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+( *;[ -~]*)?\Z", max_length=200)
]


class Draft(NamedTuple):
    """An event as a producer writes it; a plain tuple in this order serves as well.

    `payload` is bytes (sent as they are), text (sent as UTF-8), or anything that JSON can say.
    """

    topic: str
    key: str | None
    payload: Any
    headers: Mapping[str, str] | None = None


class OutboxConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What an outbox asks for; it is kept in the database, so that every relay holds to it.

    A relay refuses a sink that cannot keep `ordering`, `dedup`, `dedup_seconds` or `max_bytes`.
    """

    layout: Layout = Layout.RING
    policy: Policy = Policy.BLOCK
    ordering: Ordering = Ordering.KEY
    dedup: Dedup = Dedup.NONE
    dedup_seconds: Annotated[float, msgspec.Meta(gt=0)] | None = None
    max_bytes: Annotated[int, msgspec.Meta(ge=1, le=1 << 30)] = 900_000
    """Of payload and headers of one event; `emit` refuses more. The default fits every broker."""
    content_type: Annotated[
        str,
        msgspec.Meta(pattern=r"\A[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+( *;[ -~]*)?\Z", max_length=200),
    ] = JSON
    """Of events that have no such header. Bytes are of this type too, unless it is JSON: what they
    are is not known then."""


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait after a failure: doubling from `first_seconds` up to `most_seconds`."""

    first_seconds: Annotated[float, msgspec.Meta(gt=0, le=60)] = 0.1
    most_seconds: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 10.0


class RelayOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a relay runs. Times are in seconds, counts in messages."""

    shards: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    """Lanes in this relay, each with its own sink; a key always takes the same one."""
    standby: bool = False
    """Wait while another relay is alive, take over when it is not, never stop for being second."""
    standby_seconds: Annotated[float, msgspec.Meta(ge=0.05, le=600)] = 1.0
    """How often a waiting relay looks."""
    lease_seconds: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 15.0
    """An owner that has work and writes nothing for so long is taken for dead."""
    pooled: bool = False
    """The DSN leads through a pooler in transaction mode: no session lock, nothing prepared. One
    that tells its clients process ids of its own, as PgBouncer does, is noticed without this."""
    batch_messages: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 2_000
    batch_bytes: Annotated[int, msgspec.Meta(ge=1)] = 8 * 1024 * 1024
    ahead_messages: Annotated[int, msgspec.Meta(ge=1)] = 50_000
    """Read but not committed; one page more may be in memory."""
    ahead_bytes: Annotated[int, msgspec.Meta(ge=1)] = 64 * 1024 * 1024
    """Payloads read but not settled; one page more may be in memory."""
    commit_seconds: Annotated[float, msgspec.Meta(ge=0.001, le=60)] = 0.05
    commit_messages: Annotated[int, msgspec.Meta(ge=1)] = 10_000
    poll_seconds: Annotated[float, msgspec.Meta(ge=0.0005, le=10)] = 0.002
    """Between looks while there is work."""
    idle_seconds: Annotated[float, msgspec.Meta(ge=0.0005, le=60)] = 0.25
    """Between looks at last, when there has been none for a while."""
    parked_seconds: Annotated[float, msgspec.Meta(ge=0.01, le=600)] = 1.0
    """How often parked keys are looked at."""
    blocked_seconds: Annotated[float, msgspec.Meta(ge=0.01, le=86400)] = 60.0
    """How often a blocked key's first message is tried again."""
    maintain_seconds: Annotated[float, msgspec.Meta(ge=0.1, le=3600)] = 10.0
    max_attempts: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10
    """Of a message that the sink asks to be sent again; an outage of the sink does not count."""
    retry: Backoff = Backoff()
    reconnect: Backoff = Backoff(first_seconds=0.1, most_seconds=5.0)
    wait_for_standby: bool = False
    """Publish only what a synchronous standby has replayed."""
    database_seconds: Annotated[float, msgspec.Meta(ge=0.1, le=600)] = 30.0
    """Limit of one statement of the relay."""
    drain_seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 20.0
    """How long a relay that is told to stop waits for what the sink has in hand."""


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """A message set aside, with everything that a person needs to judge it."""

    id: int
    uid: str
    topic: str
    key: str | None
    payload: bytes
    headers: dict[str, Any] | None
    at: float
    shard: int
    policy: Policy
    state: str  # failed, behind (an earlier one of its key failed), replay (asked for)
    error: str
    code: str
    attempts: int
    first_at: float
    last_at: float


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The first parked message of a key, or one without a key: `due` when it may be sent again."""

    id: int
    key: str | None
    shard: int
    policy: Policy
    due: bool


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """One outbox at a moment."""

    outbox: str
    config: OutboxConfig
    waiting: bool
    """Whether something is committed that the relay has not yet confirmed."""
    lag_seconds: float
    """The age of the oldest such event."""
    problem: str
    """Why the position cannot be continued from: dropped, foreign, future; empty when it can."""
    epoch: int
    generation: int
    position_age_seconds: float
    """Since the relay last wrote; grows without meaning while nothing is waiting."""
    relay_alive: bool | None
    """Whether a relay holds the session lock; None where that cannot be told."""
    parked: int
    parked_keys: int
    bytes: int
    """Of the tables that hold events."""


class Ended(enum.StrEnum):
    """Why a relay came to its end without an error."""

    STOPPED = "stopped"
    DRAINED = "drained"


class Figures:
    """What a relay has done since it was made. Read it from anywhere; only the relay writes."""

    __slots__ = (
        "commits",
        "database_failures",
        "delivered",
        "duplicates",
        "epoch",
        "oldest_at",
        "parked",
        "parked_keys",
        "read",
        "replayed",
        "retries",
        "sink_failures",
        "unsettled",
    )

    def __init__(self) -> None:
        self.read = self.delivered = self.duplicates = self.retries = 0
        self.parked = self.replayed = self.commits = 0
        self.sink_failures = self.database_failures = 0
        self.unsettled = self.parked_keys = self.epoch = 0
        self.oldest_at: float | None = None
        """When the oldest message that is read and not settled was emitted."""

    def as_dict(self) -> dict[str, float | None]:
        """Every figure by its name."""
        return {name: getattr(self, name) for name in self.__slots__}
