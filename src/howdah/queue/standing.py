"""How a queue and its jobs stand: what the operation of a queue shows.

Owns these values; they are the fields of the JSON that `howdah queue ... --json` prints. Must never
hold a whole payload unless it was asked for. All times are of the server's clock, in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from msgspec import Struct

SCHEMA_VERSION = 1
COUNTED = ("seen", "claimed", "done", "retried", "dead", "lost", "returned", "cancelled", "late")

State = Literal["waiting", "running", "later", "parked", "dead", "finished", "unknown"]
LISTED: tuple[State, ...] = ("running", "later", "parked", "dead")


def moment(seconds: float) -> datetime:
    """The time that so many seconds since 1970 mean."""
    return datetime.fromtimestamp(seconds, UTC)


class Bounded(Struct, frozen=True):
    """A count that stops somewhere: `more` says that it did."""

    count: int
    more: bool = False


class Leader(Struct, frozen=True, kw_only=True):
    """The dispatcher. `pid` and `application` are those of its session, where one holds the lock.

    `age_seconds` since its newest append: an idle dispatcher appends nothing, so it may be old.
    """

    epoch: int
    generation: int
    age_seconds: float
    pid: int | None
    application: str | None
    address: str | None


class Crew(Struct, frozen=True, kw_only=True):
    """One registered worker. `heard_seconds` since its newest report, where that is still kept."""

    name: str
    host: str
    pid: int
    slots: int
    kinds: Sequence[str] | None
    registered_at: datetime
    claims: int
    jobs: int
    heard_seconds: float | None
    draining: bool


class Held(Struct, frozen=True):
    """A key on which nothing runs but `job` (none: nothing at all) until it is released."""

    key: str
    job: int | None
    policy: str
    since: datetime


class Paused(Struct, frozen=True):
    """What is paused; null stands for every one."""

    kind: str | None
    tenant: str | None
    since: datetime


class Segment(Struct, frozen=True):
    """One table of the jobs log that holds rows."""

    table: str
    bytes: int
    current: bool
    rows_estimated: int
    dead_estimated: int
    pinned_by: Sequence[str]


class Rates(Struct, frozen=True, kw_only=True):
    """What the dispatcher counted in the last minute, and in the last five."""

    one_minute: Mapping[str, int]
    five_minutes: Mapping[str, int]


class Backlog(Struct, frozen=True, kw_only=True):
    """What is not finished. Only `loaded` and `running` are exact, as of `counted_seconds` ago.

    `jobs_estimated`: loaded, running and unread together. `unread_bytes` stand in the log behind
    what was read; the rows there are estimated by the density of the log's tables.
    """

    jobs_estimated: int
    loaded: int
    running: int
    unread_estimated: int
    unread_bytes: int
    oldest_seconds: float | None
    counted_seconds: float | None


class Status(Struct, frozen=True, kw_only=True):
    """A queue as a whole, by counters, estimates and index probes: nothing is scanned."""

    schema_version: int = SCHEMA_VERSION
    queue: str
    at: datetime
    dispatcher: Leader
    backlog: Backlog
    rates: Rates
    workers: Sequence[Crew]
    partial: bool  # more reports or claims were open than a status reads
    later: Bounded
    next_due: datetime | None
    parked: Bounded
    parked_keys: Bounded
    held: Sequence[Held]
    dead: Bounded
    paused: Sequence[Paused]
    segments: Sequence[Segment]
    problems: Sequence[str]


class Listed(Struct, frozen=True, kw_only=True):
    """One job that is not plain: what is known of it without its payload."""

    job: int
    state: State
    kind: str
    key: str | None
    tenant: str | None
    attempt: int
    enqueued_at: datetime
    worker: str | None = None
    since: datetime | None = None  # running since, dead since
    due: datetime | None = None
    reason: str | None = None
    error: str | None = None


class Jobs(Struct, frozen=True, kw_only=True):
    """Jobs that are not plain, and keys that are held. `more`: the limit cut the list."""

    schema_version: int = SCHEMA_VERSION
    queue: str
    jobs: Sequence[Listed]
    held: Sequence[Held]
    more: bool


class Value(Struct, frozen=True):
    """A result (`final`), or the newest progress."""

    final: bool
    value: Any
    at: datetime


class Shown(Struct, frozen=True, kw_only=True):
    """One job with everything that is known of it; `where` says it in words."""

    schema_version: int = SCHEMA_VERSION
    queue: str
    job: int
    state: State
    where: str
    kind: str | None = None
    key: str | None = None
    tenant: str | None = None
    attempt: int | None = None
    enqueued_at: datetime | None = None
    worker: str | None = None
    since: datetime | None = None
    due: datetime | None = None
    reason: str | None = None
    error: str | None = None
    headers: Mapping[str, Any] = {}
    payload: str | None = None
    payload_bytes: int | None = None
    value: Value | None = None


class Timed(Struct, frozen=True, kw_only=True):
    """One schedule."""

    name: str
    expression: str
    zone: str
    catch_up: str
    kind: str
    key: str | None
    next_at: datetime | None
    fired_at: datetime | None
    fired_job: int | None


class Timetable(Struct, frozen=True, kw_only=True):
    """The schedules of a queue."""

    schema_version: int = SCHEMA_VERSION
    queue: str
    schedules: Sequence[Timed]


class Changed(Struct, frozen=True, kw_only=True):
    """What a command changed, or would have changed."""

    schema_version: int = SCHEMA_VERSION
    queue: str
    dry_run: bool
    changes: Sequence[str]
    sql: Sequence[str]
