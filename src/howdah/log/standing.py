"""How a log stands: its segments, its consumers and their lag.

Owns the values that `howdah log status` prints and the steps that ask for them. Must never scan a
table: sizes are counters, lag is an index probe a table.
"""

from __future__ import annotations

import msgspec

from howdah import query
from howdah.driver import Steps, statement

_STATUS = query.load("howdah.log", "sql/status.sql")
_EVERY = statement(_STATUS, "every")
_LOG = statement(_STATUS, "log")
_SEGMENTS = statement(_STATUS, "segments")
_CONSUMERS = statement(_STATUS, "consumers")


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """One table of the ring, or one that was set aside (`archive`).

    Rows are the server's estimates: counters that a crash of the server forgets.
    """

    source: str
    segment: int | None
    archive: int | None
    is_current: bool
    bytes: int
    rows_estimated: int
    dead_estimated: int
    pinned_by: tuple[str, ...]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One consumer: times in seconds since the epoch; `lag_seconds` is None when nothing is unread.

    `problem` is `dropped`, `foreign` (a restored log) or `future`; then reading needs `reanchor`.
    """

    consumer: str
    generation: int
    epoch: int
    committed_at: float
    in_window: bool
    lag_bytes: int
    lag_seconds: float | None
    when_slow: str
    slow_bytes: int
    problem: str | None


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """One log. `at_home` is false for one that was copied here and not adopted."""

    log: str
    identity: str
    at_home: bool
    opened_at: float
    bytes: int
    segments: tuple[Segment, ...]
    consumers: tuple[Standing, ...]

    @property
    def alarms(self) -> tuple[str, ...]:
        """What somebody should see to, in sentences."""
        said = [] if self.at_home else ["the log was copied here; adopt or reanchor it"]
        ring = [each for each in self.segments if each.archive is None]
        if not any(each.bytes == 0 for each in ring):
            said.append("no segment is free; the ring grows")
        for each in self.consumers:
            if each.problem:
                said.append(f"consumer {each.consumer} is {each.problem}; reanchor it")
            elif each.lag_bytes > each.slow_bytes:
                said.append(f"consumer {each.consumer} is slow ({each.when_slow})")
        return tuple(said)


def every() -> Steps[list[str]]:
    """The names of all logs."""
    rows = yield _EVERY()
    return [name for (name,) in rows]


def of(log: str) -> Steps[Status]:
    """How one log stands; `BadInput` when there is none."""
    ((name, identity, at_home, opened_at),) = yield _LOG(log=log)
    rows = yield _SEGMENTS(log=log)
    segments = tuple(
        Segment(
            source=source,
            segment=segment,
            archive=archive,
            is_current=is_current,
            bytes=size,
            rows_estimated=live,
            dead_estimated=dead,
            pinned_by=tuple(pinned_by),
        )
        for source, segment, archive, is_current, size, live, dead, pinned_by in rows
    )
    rows = yield _CONSUMERS(log=log)
    names = Standing.__struct_fields__
    return Status(
        log=name,
        identity=identity,
        at_home=at_home,
        opened_at=opened_at,
        bytes=sum(each.bytes for each in segments),
        segments=segments,
        consumers=tuple(Standing(**dict(zip(names, row, strict=True))) for row in rows),
    )
