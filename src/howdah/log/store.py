"""The log's only steps on the database.

Owns the statements and what their rows mean. Must never decide: that is `decide.py`'s.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import msgspec

from howdah import query
from howdah.driver import Query, Statement, Steps, statement
from howdah.errors import Superseded
from howdah.log.model import Cursor, Event, Maintained, Page, Peek, Position, Record

_EMIT = query.load("howdah.log", "sql/emit.sql")
_READ = query.load("howdah.log", "sql/read.sql")

_OPEN = statement(_EMIT, "open")
_CREATE = statement(_EMIT, "create")
_DROP = statement(_EMIT, "drop")
_SUBSCRIBE = statement(_READ, "subscribe")
_WHEN_SLOW = statement(_READ, "when_slow")
_UNSUBSCRIBE = statement(_READ, "unsubscribe")
_REANCHOR = statement(_READ, "reanchor")
_TOKEN = statement(_READ, "token")
_RESUME = statement(_READ, "resume")
_POSITION = statement(_READ, "position")
_FLUSHED = statement(_READ, "flushed")
_MAINTAIN = statement(_READ, "maintain")

COPIED = ("text", "text", "bytea", "bytea")
"""The types of what `row_of` gives. Headers are bytes: psycopg would encode a text once more."""
_JSONB = b"\x01"  # the version of jsonb's binary form; the JSON text follows
_HALF = 16  # generations change the ledger's half every 2**16; see schema.sql


class Ring(msgspec.Struct, frozen=True, kw_only=True):
    """What a producer knows of a log."""

    log: str
    log_id: int
    identity: str  # of the log in this history of its server: ids are unique within it
    segment: int


def create(log: str, segments: int) -> Steps[None]:
    """Make a log unless it is there; `BadInput` for a bad name."""
    yield _CREATE(log=log, segments=segments)


def drop(log: str) -> Steps[None]:
    """Remove a log with everything in it."""
    yield _DROP(log=log)


def open_ring(log: str) -> Steps[Ring]:
    """Look a log up; `BadInput` when there is none."""
    ((log_id, identity, segment),) = yield _OPEN(log=log)
    return Ring(log=log, log_id=log_id, identity=identity, segment=segment)


def emit_one(ring: Ring, event: Event) -> Steps[int]:
    """Insert one event; its id."""
    rows = yield _emitting("emit_one", ring.log, ring.segment)(
        topic=event.topic, key=event.key, headers=_encoded(event), payload=event.payload
    )
    return int(rows[0][0])


def emit_many(ring: Ring, events: Sequence[Event]) -> Steps[list[int]]:
    """Insert events in their order; their ids."""
    rows = yield _emitting("emit_many", ring.log, ring.segment)(
        topics=[each.topic for each in events],
        keys=[each.key for each in events],
        headers=[_encoded(each) for each in events],
        payloads=[each.payload for each in events],
    )
    return [row[0] for row in rows]


def copying(ring: Ring) -> Statement:
    """The COPY into the current segment."""
    return _emitting("copy_in", ring.log, ring.segment)


def row_of(event: Event) -> tuple[str, str | None, bytes | None, bytes]:
    """An event as the row that `copying` takes, of the types `COPIED`."""
    headers = event.headers
    written = None if headers is None else _JSONB + msgspec.json.encode(headers)
    return event.topic, event.key, written, event.payload


def subscribe(
    log: str, consumer: str, start_at: str, when_slow: str, slow_bytes: int
) -> Steps[bool]:
    """Register a consumer; whether it is new."""
    ((new,),) = yield _SUBSCRIBE(
        log=log, consumer=consumer, start_at=start_at, when_slow=when_slow, slow_bytes=slow_bytes
    )
    return bool(new)


def when_slow(log: str, consumer: str, policy: str, slow_bytes: int) -> Steps[None]:
    """Set what happens once a consumer is slow; `BadInput` for what is no policy."""
    yield _WHEN_SLOW(log=log, consumer=consumer, when_slow=policy, slow_bytes=slow_bytes)


def unsubscribe(log: str, consumer: str) -> Steps[bool]:
    """Forget a consumer; whether there was one."""
    ((was,),) = yield _UNSUBSCRIBE(log=log, consumer=consumer)
    return bool(was)


def reanchor(log: str, consumer: str, start_at: str) -> Steps[int]:
    """Set a position anew; the new generation."""
    ((generation,),) = yield _REANCHOR(log=log, consumer=consumer, start_at=start_at)
    return int(generation)


def token(log: str, position: Position) -> Steps[str]:
    """A position as text, with the place and the history that it belongs to."""
    ((text,),) = yield _TOKEN(
        log=log, seen=position.seen, upto=position.upto, last_id=position.last_id
    )
    return str(text)


def resume(log: str, consumer: str, token: str) -> Steps[int]:
    """Make a token the position, as a new owner; `PositionLost` when it cannot be."""
    ((generation,),) = yield _RESUME(log=log, consumer=consumer, token=token)
    return int(generation)


def newest_cursor(log: str, consumer: str) -> Steps[Cursor]:
    """Where a consumer is; `PositionLost` when it cannot be continued from there."""
    rows = yield _POSITION(log=log, consumer=consumer)
    generation, epoch, seen, upto, last_id, note, age = rows[0]
    position = Position(seen=seen, upto=upto, last_id=last_id)
    return Cursor(generation=generation, epoch=epoch, position=position, note=note, age_seconds=age)


def appending(log: str, consumer: str, cursor: Cursor) -> Query:
    """The statement that appends `cursor`; no row when another instance was there first."""
    half = (cursor.generation >> _HALF) & 1
    position = cursor.position
    return _append(log, consumer, half)(
        generation=cursor.generation,
        epoch=cursor.epoch,
        seen=position.seen,
        upto=position.upto,
        last_id=position.last_id,
        note=cursor.note,
    )


def advance(
    log: str, consumer: str, cursor: Cursor, position: Position, *, note: str | None = None
) -> Steps[Cursor]:
    """Append a position after `cursor`; `Superseded` when another instance was there first."""
    after = msgspec.structs.replace(
        cursor, generation=cursor.generation + 1, position=position, note=note, age_seconds=0.0
    )
    rows = yield appending(log, consumer, after)
    if not rows:
        raise superseded(log, consumer, cursor)
    return after


def take_over(log: str, consumer: str) -> Steps[Cursor]:
    """Become the owner of a consumer: the same position under the next epoch."""
    newest = yield from newest_cursor(log, consumer)
    mine = msgspec.structs.replace(newest, epoch=newest.epoch + 1)
    return (yield from advance(log, consumer, mine, newest.position, note=newest.note))


def superseded(log: str, consumer: str, cursor: Cursor) -> Superseded:
    """What an owner is told whose generation was taken by another."""
    return Superseded(
        f"consumer {consumer} of log {log} has moved on without this instance",
        detail=f"It held generation {cursor.generation} of epoch {cursor.epoch}.",
        hint="stop this instance, or let it open the consumer anew",
    )


def peek(log: str, seen: str) -> Steps[Peek]:
    """Look whether anything became visible since `seen`; takes no transaction id."""
    rows = yield _reading("peek", log)(seen=seen)
    upto, lsn, flushed, waiting = rows[0]
    return Peek(upto=upto, lsn=lsn, flushed=flushed, waiting=waiting)


def page(log: str, position: Position, max_rows: int, max_bytes: int) -> Steps[Page]:
    """The next records of the open window: at most `max_rows`, fewer once they hold `max_bytes`."""
    assert position.upto is not None, "a page is read inside a window"
    rows = yield _reading("page", log)(
        seen=position.seen,
        upto=position.upto,
        last_id=position.last_id,
        max_rows=max_rows,
        max_bytes=max_bytes,
    )
    return Page(
        records=tuple([_record(*row) for row in rows]),
        seen=position.seen,
        upto=position.upto,
        complete=len(rows) < max_rows and sum(len(row[5]) for row in rows) < max_bytes,
    )


def flushed(lsn: str) -> Steps[bool]:
    """Whether everything up to that place in the write-ahead log is on disk."""
    ((is_flushed,),) = yield _FLUSHED(lsn=lsn)
    return bool(is_flushed)


def maintain(log: str, segment_bytes: int, segment_seconds: int) -> Steps[tuple[Maintained, ...]]:
    """Turn the ring, reclaim, trim; what was done."""
    rows = yield _MAINTAIN(log=log, segment_bytes=segment_bytes, segment_seconds=segment_seconds)
    return tuple(
        Maintained(action=action, segment=segment, detail=detail)
        for action, segment, detail in rows
    )


def _record(
    id: int, shard: int, topic: str, key: str | None, headers: str | None, payload: bytes, at: float
) -> Record:
    decoded = None if headers is None else msgspec.json.decode(headers, type=dict[str, Any])
    return Record(id, shard, topic, key, decoded, payload, at)


def _encoded(event: Event) -> str | None:
    return None if event.headers is None else msgspec.json.encode(event.headers).decode()


@functools.lru_cache(maxsize=1024)
def _emitting(block: str, log: str, segment: int) -> Statement:
    return statement(_EMIT, block, segment=f"howdah.log_{log}${segment}")


@functools.lru_cache(maxsize=256)
def _append(log: str, consumer: str, half: int) -> Statement:
    table = f"howdah.log_{log}${consumer}"
    return statement(_READ, "append", ledger=f"{table}${half}", other=f"{table}${half ^ 1}")


@functools.lru_cache(maxsize=256)
def _reading(block: str, log: str) -> Statement:
    return statement(_READ, block, function=f"howdah.log_{log}${block}")
