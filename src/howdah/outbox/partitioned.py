"""The layout of Sadeq Dousti: one table, partitioned by LIST (published_at).

Owns what a relay asks of it, its index and the rotation of its published part. Must never skip an
id: what is not published is read again from the first one, because an earlier id may be committed
after a later one.

What differs from the ring: every published event leaves a dead row behind in the hot partition,
which vacuum cannot remove while somebody holds an old snapshot.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import msgspec

from howdah import query
from howdah.driver import Row, Statement, Steps, compose, statement
from howdah.log.model import Event, Record
from howdah.outbox import store
from howdah.outbox.decide import Item, State, items_of
from howdah.outbox.model import OutboxConfig
from howdah.outbox.owning import Instance, Owner, Sight, replaced
from howdah.outbox.payload import messages_of
from howdah.outbox.progress import Scattered, Taken

PAGE_ROWS = 1_000
AHEAD_ROWS = 5_000
"""Rows in hand; each page names them all, to pass over them."""
PUBLISHED_BYTES = 1024 * 1024 * 1024
KEEP_SECONDS = 3600.0
"""How long published events stay after the rotation that took them out."""
INDEX_LEAST_BYTES = 1024 * 1024
INDEX_MOST_RATIO = 4.0
_INDEX_ENTRY_BYTES = 20 / 0.9
"""A bigint's index tuple with its line pointer, at the default fillfactor of 90."""

_QUERIES = query.load("howdah.outbox", "sql/partitioned.sql")
_NEWEST_EPOCH = statement(_QUERIES, "newest_epoch")
_BEAT = statement(_QUERIES, "beat")
_FORGET_BEATS = statement(_QUERIES, "forget_beats")
_SUPERSEDED = statement(_QUERIES, "superseded")
_LEFTOVERS = statement(_QUERIES, "leftovers")
_ROTATE = statement(_QUERIES, "rotate")


def emit_one(outbox: str, event: Event) -> Steps[int]:
    """Insert one event; its id."""
    rows = yield _on(outbox, "emit_one")(
        topic=event.topic, key=event.key, headers=_headers(event), payload=event.payload
    )
    return int(rows[0][0])


def emit_many(outbox: str, events: Sequence[Event]) -> Steps[list[int]]:
    """Insert events in their order; their ids."""
    rows = yield _on(outbox, "emit_many")(
        topics=[each.topic for each in events],
        keys=[each.key for each in events],
        headers=[_headers(each) for each in events],
        payloads=[each.payload for each in events],
    )
    return [row[0] for row in rows]


def copying(outbox: str) -> Steps[Statement]:
    """The COPY into the hot partition; it has to look nothing up."""
    yield from ()
    return _on(outbox, "copy_in")


class PartitionedSource:
    """One relay's view of the table. New for each session."""

    commits_are_marks = False
    owes_floor = False

    def __init__(self, outbox: str, config: OutboxConfig, uuid: str, delivered: set[int]) -> None:
        self.outbox = outbox
        self._content_type = config.content_type
        self.delivered = delivered
        self.progress = Scattered()
        self.epoch = 0
        self._beat = 0
        self._uuid = uuid
        self._lsn: str | None = None

    def open(self, me: Instance) -> Steps[int]:
        """Become the owner; the epoch. This layout keeps no names of its relays."""
        del me
        rows = yield _NEWEST_EPOCH(outbox=self.outbox)
        self.epoch = (rows[0][0] if rows else 0) + 1
        yield from self._mark(0)
        yield _FORGET_BEATS(outbox=self.outbox, epoch=self.epoch, beat=0)
        return self.epoch

    def resume(self, epoch: int, me: Instance) -> Steps[None]:
        """Go on; `Superseded` unless `epoch` is still the owner."""
        del me
        rows = yield _NEWEST_EPOCH(outbox=self.outbox)
        if not rows or rows[0][0] != epoch:
            raise replaced(self.outbox, epoch)
        self.epoch, self._beat = rows[0][0], rows[0][1]

    def owner(self) -> Steps[Owner]:
        """Who owns it now, whoever asks."""
        rows = yield _NEWEST_EPOCH(outbox=self.outbox)
        return Owner(epoch=rows[0][0] if rows else 0, instance=None)

    def sight(self) -> Steps[Sight]:
        """One look at another owner: what it wrote last, and whether it has work."""
        rows = yield _NEWEST_EPOCH(outbox=self.outbox)
        epoch, beat = (rows[0][0], rows[0][1]) if rows else (0, 0)
        ((working,),) = yield _on(self.outbox, "any_waiting")()
        return Sight(mark=(epoch << 32) + beat, working=working)

    def age_seconds(self) -> Steps[float]:
        """Since the owner's last sign of life; 0 when there never was an owner."""
        rows = yield _NEWEST_EPOCH(outbox=self.outbox)
        return float(rows[0][2]) if rows else 0.0

    def lag_seconds(self) -> Steps[float]:
        """The age of the first event that is not published; 0 when there is none."""
        ((seconds,),) = yield _on(self.outbox, "lag")()
        return float(seconds)

    def read(self, room: int) -> Steps[list[Item]]:
        """The first events that are not published and not in hand."""
        most = min(room, PAGE_ROWS, AHEAD_ROWS - self.progress.uncommitted)
        if most <= 0:
            return []
        self._lsn = yield from store.insert_lsn()
        rows = yield _on(self.outbox, "page")(tracked=self.progress.tracked(), most=most)
        records = [_record(row) for row in rows]
        messages = messages_of(records, self._uuid, self._content_type)
        items = items_of(messages, [record.shard for record in records])
        for item in items:
            if item.id in self.delivered:
                item.state = State.DELIVERED
                item.message = None
        if not rows:
            self.delivered.clear()
        self.progress.add(items)
        return items

    def lsn(self) -> str | None:
        """The place up to which the log must be on disk before what was read is published."""
        return self._lsn

    def commit(self, taken: Taken | None) -> Steps[None]:
        """Move delivered events to the published part; a sign of life when nothing is taken."""
        if taken is None:
            yield from self._mark(self._beat + 1)
            if self._beat % 1000 == 0:
                yield _FORGET_BEATS(outbox=self.outbox, epoch=self.epoch, beat=self._beat)
            return
        if taken.delivered:
            yield _on(self.outbox, "publish")(ids=list(taken.delivered))
        if taken.parked:
            yield _on(self.outbox, "take_out")(ids=[item.id for item in taken.parked])
        ((superseded,),) = yield _SUPERSEDED(outbox=self.outbox, epoch=self.epoch)
        if superseded:
            raise replaced(self.outbox, self.epoch)

    def maintain(self) -> Steps[list[tuple[str, str]]]:
        """Rotate the published part, and build a bloated index anew; what was done."""
        done = yield from rotate(self.outbox, PUBLISHED_BYTES, KEEP_SECONDS)
        return done + (yield from tend_index(self.outbox))

    def _mark(self, beat: int) -> Steps[None]:
        rows = yield _BEAT(outbox=self.outbox, epoch=self.epoch, beat=beat)
        if not rows:
            raise replaced(self.outbox, self.epoch)
        self._beat = beat


def rotate(outbox: str, most_bytes: int, keep_seconds: float) -> Steps[list[tuple[str, str]]]:
    """Take published events out of the table above a size, drop what is old; what was done."""
    rows = yield _ROTATE(outbox=outbox, most_bytes=most_bytes, keep_seconds=keep_seconds)
    return [(action, detail) for action, detail in rows]


def tend_index(
    outbox: str,
    *,
    least_bytes: int = INDEX_LEAST_BYTES,
    most_ratio: float = INDEX_MOST_RATIO,
) -> Steps[list[tuple[str, str]]]:
    """Build the hot partition's index anew when it is much larger than its rows need.

    Needs a connection in autocommit mode. With a hundred thousand rows or more waiting, the rows
    are not counted and nothing is done.
    """
    done: list[tuple[str, str]] = []
    table = f'howdah."outbox_{outbox}$unpublished"'
    for (leftover,) in (yield _LEFTOVERS(table=table)):
        yield statement(_QUERIES, "drop_leftover", index=f"howdah.{leftover}")()
        done.append(("dropped", leftover))
    index = f"outbox_{outbox}$unpublished_pkey"
    ((size, rows),) = yield _on(outbox, "measured")(index=f'howdah."{index}"')
    needed = max(1, rows) * _INDEX_ENTRY_BYTES
    if rows < 100_000 and size > max(least_bytes, most_ratio * needed):
        yield statement(_QUERIES, "reindex", index=f"howdah.{index}")()
        done.append(("reindexed", f"{index} had {size} bytes for {rows} rows"))
    return done


@functools.lru_cache(maxsize=256)
def _on(outbox: str, block: str) -> Statement:
    """A block with those of our table names that it uses."""
    names = {"hot": f"howdah.outbox_{outbox}$unpublished", "whole": f"howdah.outbox_{outbox}$all"}
    text = _QUERIES.text(block)
    used = {name: table for name, table in names.items() if f"{{{name}}}" in text}
    return compose(block, text, **used)


def _record(row: Row) -> Record:
    id, shard, topic, key, headers, payload, at = row
    decoded = None if headers is None else msgspec.json.decode(headers, type=dict[str, Any])
    return Record(id, shard, topic, key, decoded, payload, at)


def _headers(event: Event) -> str | None:
    return None if event.headers is None else msgspec.json.encode(event.headers).decode()
