"""The outbox's steps on the database that both layouts share: its row, its parked messages.

Owns those statements and what their rows mean. Must never decide: that is `decide.py`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from howdah import query
from howdah.driver import Row, Steps, statement, together
from howdah.errors import BadInput, Unreachable
from howdah.outbox.decide import Item
from howdah.outbox.model import Head, OutboxConfig, Parked, Policy

_QUERIES = query.load("howdah.outbox", "sql/store.sql")

_CREATE = statement(_QUERIES, "create")
_DROP = statement(_QUERIES, "drop")
_FOUND = statement(_QUERIES, "found")
_IDENTITY = statement(_QUERIES, "identity")
_EVERY = statement(_QUERIES, "every")
_STANDBY = statement(_QUERIES, "standby")
_SETTINGS = statement(_QUERIES, "settings")
_LOCK = statement(_QUERIES, "lock")
_LOCKED = statement(_QUERIES, "locked")
_INSERT_LSN = statement(_QUERIES, "insert_lsn")
_REPLAYED = statement(_QUERIES, "replayed")
_PARK = statement(_QUERIES, "park")
_HEADS = statement(_QUERIES, "heads")
_ROWS_OF_KEY = statement(_QUERIES, "rows_of_key")
_ROWS_OF_IDS = statement(_QUERIES, "rows_of_ids")
_LISTED = statement(_QUERIES, "listed")
_FORGET = statement(_QUERIES, "forget")
_PROMOTE = statement(_QUERIES, "promote")
_REFUSE = statement(_QUERIES, "refuse")
_BEHIND_EARLIER = statement(_QUERIES, "behind_earlier")
_ASK_REPLAY = statement(_QUERIES, "ask_replay")
_DISCARD = statement(_QUERIES, "discard")
_PARKED_COUNTS = statement(_QUERIES, "parked_counts")
_RING_STATUS = statement(_QUERIES, "ring_status")
_BYTES = statement(_QUERIES, "bytes")


_PARKED_COLUMNS = (
    *("ids", "uids", "shards", "topics", "keys", "headers", "payloads", "ats"),
    *("states", "errors", "codes", "attempts", "failing"),
)


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """Which parked messages a person means: one of the three."""

    ids: tuple[int, ...] = ()
    key: str | None = None
    all_of_them: bool = False


def create(outbox: str, config: OutboxConfig) -> Steps[bool]:
    """Make an outbox or change its configuration; whether it is new."""
    text = msgspec.json.encode(config).decode()
    ((new,),) = yield _CREATE(outbox=outbox, layout=config.layout.value, config=text)
    return bool(new)


def drop(outbox: str) -> Steps[None]:
    """Remove an outbox with everything in it."""
    yield _DROP(outbox=outbox)


def found(outbox: str) -> Steps[OutboxConfig]:
    """Look up what an outbox asks for; `BadInput` when there is none."""
    ((config,),) = yield _FOUND(outbox=outbox)
    return msgspec.json.decode(config, type=OutboxConfig)


def identity(outbox: str) -> Steps[str]:
    """What an event's uid begins with: the outbox, in this history of its server.

    After a promotion or a restore it is another one, because ids may mean other events then.
    """
    ((text,),) = yield _IDENTITY(outbox=outbox)
    return str(text)


def every() -> Steps[list[str]]:
    """The names of all outboxes."""
    rows = yield _EVERY()
    return [row[0] for row in rows]


def require_primary() -> Steps[int]:
    """Raise `Unreachable` on a standby: after a failover the primary is elsewhere.

    The process id of the session; a pooler told its client another one.
    """
    ((standby, pid),) = yield _STANDBY()
    if standby:
        raise Unreachable(
            "the server is a standby",
            hint="a DSN with target_session_attrs=read-write and all the hosts finds the primary",
        )
    return int(pid)


def limit(statement_seconds: float) -> Steps[None]:
    """Limits for this session."""
    yield _SETTINGS(milliseconds=str(int(statement_seconds * 1000)))


def lock(outbox: str) -> Steps[bool]:
    """Take the session lock of the outbox's owner, if it is free."""
    ((taken,),) = yield _LOCK(outbox=outbox)
    return bool(taken)


def locked(outbox: str) -> Steps[bool]:
    """Whether any session holds it."""
    ((held,),) = yield _LOCKED(outbox=outbox)
    return bool(held)


def insert_lsn() -> Steps[str]:
    """The end of the write-ahead log."""
    ((lsn,),) = yield _INSERT_LSN()
    return str(lsn)


def replayed(lsn: str) -> Steps[bool]:
    """Whether a synchronous standby shows everything up to there."""
    ((done,),) = yield _REPLAYED(lsn=lsn)
    return bool(done)


def park(
    outbox: str, items: Sequence[Item], policy: Policy, *, blocked_seconds: float, now: float
) -> Steps[None]:
    """Insert rows for messages that are set aside; `now` is the lane's clock."""
    rows = [_parked_row(item, now) for item in items]
    columns = {name: [row[at] for row in rows] for at, name in enumerate(_PARKED_COLUMNS)}
    yield _PARK(outbox=outbox, policy=policy.value, blocked_seconds=blocked_seconds, **columns)


def _parked_row(item: Item, now: float) -> tuple[Any, ...]:
    message, outcome = item.message, item.outcome
    assert message is not None, "what is set aside still has its message"
    return (
        message.id,
        message.uid,
        item.shard,
        message.topic,
        message.key,
        msgspec.json.encode(message.headers).decode(),
        message.payload,
        message.at,
        "behind" if item.behind else "failed",
        "an earlier message of its key failed" if item.behind or not outcome else outcome.reason,
        "behind" if item.behind or not outcome else outcome.code,
        item.tries,
        0.0 if item.failed_at is None else max(0.0, now - item.failed_at),
    )


def heads(outbox: str) -> Steps[list[Head]]:
    """The first parked message of each key, and single ones that are due."""
    rows = yield _HEADS(outbox=outbox)
    return [
        Head(id=id, key=key, shard=shard, policy=Policy(policy), due=due)
        for id, key, shard, policy, due in rows
    ]


def rows_of_key(outbox: str, key: str, most: int) -> Steps[list[Parked]]:
    """Parked messages of a key, in order."""
    rows = yield _ROWS_OF_KEY(outbox=outbox, key=key, most=most)
    return [_parked(row) for row in rows]


def rows_of_ids(outbox: str, ids: Sequence[int]) -> Steps[list[Parked]]:
    """Parked messages by their ids."""
    rows = yield _ROWS_OF_IDS(outbox=outbox, ids=list(ids))
    return [_parked(row) for row in rows]


def listed(outbox: str, key: str | None, most: int) -> Steps[list[Parked]]:
    """Parked messages for a person, the oldest first."""
    rows = yield _LISTED(outbox=outbox, key=key, most=most)
    return [_parked(row) for row in rows]


def forget(outbox: str, ids: Sequence[int], keys: Sequence[str]) -> Steps[None]:
    """Delete rows that were delivered, and let what is next in their keys go on."""
    yield together(_FORGET(outbox=outbox, ids=list(ids)), _PROMOTE(outbox=outbox, keys=list(keys)))


def refuse(outbox: str, items: Sequence[Item], *, blocked_seconds: float) -> Steps[None]:
    """Note on rows that they failed again."""
    outcomes = [item.outcome for item in items]
    yield _REFUSE(
        outbox=outbox,
        ids=[item.id for item in items],
        errors=[outcome.reason if outcome else "" for outcome in outcomes],
        codes=[outcome.code if outcome else "" for outcome in outcomes],
        attempts=[item.tries for item in items],
        blocked_seconds=blocked_seconds,
    )


def ask_replay(outbox: str, chosen: Chosen) -> Steps[list[int]]:
    """Ask the relay to send parked messages again; their ids.

    `BadInput` for a single message behind an earlier one of its key: the order would be lost.
    """
    if chosen.ids:
        rows = yield _BEHIND_EARLIER(outbox=outbox, ids=list(chosen.ids))
        if rows:
            raise BadInput(
                f"message {rows[0][0]} stands behind an earlier one of key {rows[0][1]!r}",
                hint=f"replay the key: --key {rows[0][1]}",
            )
    rows = yield _ASK_REPLAY(
        outbox=outbox, ids=list(chosen.ids), key=chosen.key, all_of_them=chosen.all_of_them
    )
    return sorted(row[0] for row in rows)


def discard(outbox: str, chosen: Chosen) -> Steps[list[int]]:
    """Throw parked messages away; their ids."""
    rows = yield _DISCARD(
        outbox=outbox, ids=list(chosen.ids), key=chosen.key, all_of_them=chosen.all_of_them
    )
    return sorted(row[0] for row in rows)


def parked_counts(outbox: str) -> Steps[tuple[int, int]]:
    """How many messages and how many keys are set aside."""
    ((messages, keys),) = yield _PARKED_COUNTS(outbox=outbox)
    return int(messages), int(keys)


def ring_status(outbox: str) -> Steps[Row]:
    """Generation, epoch, age of the position, whether there is work, lag in seconds, problem."""
    rows = yield _RING_STATUS(outbox=outbox)
    return rows[0]


def size_bytes(prefix: str) -> Steps[int]:
    """The space that tables of schema howdah take whose names begin so."""
    ((total,),) = yield _BYTES(prefix=prefix)
    return int(total)


def _parked(row: Row) -> Parked:
    id, uid, shard, topic, key, headers, payload, at, policy, state, *rest = row
    error, code, attempts, first_at, last_at = rest
    return Parked(
        id=id,
        uid=uid,
        topic=topic,
        key=key,
        payload=payload,
        headers=None if headers is None else msgspec.json.decode(headers, type=dict[str, Any]),
        at=at,
        shard=shard,
        policy=Policy(policy),
        state=state,
        error=error,
        code=code,
        attempts=attempts,
        first_at=first_at,
        last_at=last_at,
    )
