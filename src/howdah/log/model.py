"""What the log talks about: events, records, snapshots, positions, pages.

Owns the values. Must never touch a connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import msgspec

Name = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,23}$")]


class Event(msgspec.Struct, frozen=True):
    """What a producer emits."""

    topic: str
    payload: bytes
    key: str | None = None
    headers: Mapping[str, Any] | None = None


class Record(msgspec.Struct, frozen=True, gc=False):
    """What a consumer reads: an event with its place in the log.

    `id` is unique in the log and grows along every key; `shard` is a hash of the key, 0 to 32767;
    `at` is when it was emitted, in seconds since the epoch, by the server's clock.
    """

    id: int
    shard: int
    topic: str
    key: str | None
    headers: dict[str, Any] | None
    payload: bytes
    at: float


class Snapshot(NamedTuple):
    """A `pg_snapshot`: which transactions had ended when it was taken.

    Source: PostgreSQL documentation, section "Transaction ID and Snapshot Information Functions".
    """

    xmin: int
    xmax: int
    running: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> Snapshot:
        """From PostgreSQL's spelling.

        >>> Snapshot.parse("10:20:10,14")
        Snapshot(xmin=10, xmax=20, running=(10, 14))
        """
        xmin, xmax, running = text.split(":")
        ended = tuple(map(int, running.split(","))) if running else ()
        return cls(int(xmin), int(xmax), ended)

    def sees(self, xid: int) -> bool:
        """Whether that transaction had ended."""
        return xid < self.xmax and xid not in self.running


START = "1:1:"
"""The snapshot in which nothing is visible."""


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """How far a consumer has come.

    Everything visible in `seen` is done. With `upto`, it is inside the window that ends there, and
    rows up to `last_id` are done.
    """

    seen: str
    upto: str | None = None
    last_id: int = 0


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """The newest row of a consumer's ledger; whoever appends the next generation owns it."""

    generation: int
    epoch: int
    position: Position
    note: str | None = None  # the consumer's own state, JSON, committed with the position
    age_seconds: float = 0.0


class Peek(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at the log says: the end of the window that could be opened now."""

    upto: str
    lsn: str
    flushed: bool
    waiting: bool


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of one window, in order, and the position after each of them."""

    records: tuple[Record, ...]
    seen: str
    upto: str
    complete: bool  # whether the window has no rows after these

    @property
    def end(self) -> Position:
        """The position once every record is done."""
        if self.complete:
            return Position(seen=self.upto)
        return self.after(self.records[-1].id)

    def after(self, record_id: int) -> Position:
        """The position once the records up to that id are done; the last one ends the page."""
        if self.complete and record_id == self.records[-1].id:
            return Position(seen=self.upto)
        return Position(seen=self.seen, upto=self.upto, last_id=record_id)


class Maintained(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that maintenance did, or could not do.

    `action` is one of turned, added, full, pinned, reclaimed, busy, trimmed, slow, detached,
    dropped.
    """

    action: str
    segment: int | None
    detail: str
