"""What a relay writes: positions, messages set aside, and what becomes of those.

Owns the order of these writes in one session. Must never move the position past a message whose
row is not in the same transaction.

Lock order: the position first, then parked rows in the order of their ids.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence

import psycopg

from howdah.clock import Clock
from howdah.errors import TimedOut, from_database
from howdah.outbox import store
from howdah.outbox.connecting import Line
from howdah.outbox.decide import Item, Lane, Settled, item_of
from howdah.outbox.model import Figures, Head, OutboxConfig, Parked, RelayOptions
from howdah.outbox.partitioned import PartitionedSource
from howdah.outbox.payload import texts
from howdah.outbox.progress import Taken
from howdah.outbox.publishing import Publisher, first_of
from howdah.outbox.ring import RingSource
from howdah.outbox.sinks.sink import Message
from howdah.outbox.telling import tell

Source = RingSource | PartitionedSource
_ROWS = 500
"""Parked rows of a key that are replayed at a time."""


class Keeper:
    """The only writer of one session."""

    def __init__(
        self,
        line: Line,
        source: Source,
        lanes: Sequence[Lane],
        publishers: Sequence[Publisher],
        config: OutboxConfig,
        options: RelayOptions,
        figures: Figures,
        clock: Clock,
    ) -> None:
        self._line = line
        self._source = source
        self._lanes = lanes
        self._publishers = publishers
        self._config = config
        self._options = options
        self._figures = figures
        self._clock = clock
        self._gone: list[Item] = []
        self._refused: list[Item] = []
        self._replaying: set[int] = set()  # single rows on their way
        self._sent_before = set(source.delivered)  # by the last session; their rows may be here
        self._last_mark = clock.monotonic()
        self._last_look = self._last_lock = float("-inf")
        self._uncommitted = 0  # settled since the last commit
        self._has_lock = line.pooled  # behind a pooler there is none to have
        self._nudged = False
        self.hand_bytes = 0
        self.due = asyncio.Event()
        """Enough is settled for a commit now."""
        self.room = asyncio.Event()
        """Something was settled or committed: there may be room for more."""

    def settled(self, settled: Settled) -> None:
        """Hear from a publisher."""
        figures = self._figures
        figures.delivered += len(settled.delivered) - len(settled.gone)
        figures.replayed += len(settled.gone)
        figures.duplicates += settled.duplicates
        figures.retries += settled.retried
        self.hand_bytes -= settled.delivered_bytes
        self._gone += settled.gone
        self._refused += settled.refused
        self._uncommitted += len(settled.delivered) + len(settled.parked)
        self.room.set()
        if self._uncommitted >= self._options.commit_messages or settled.gone or settled.refused:
            self.due.set()

    def unsure(self) -> set[int]:
        """Messages that are delivered, and not known to be committed."""
        found = self._source.progress.unsure() | {item.id for item in self._gone}
        return found | self._source.delivered | self._sent_before

    @property
    def nothing_left(self) -> bool:
        """Whether all that was read is settled and committed."""
        idle = all(lane.idle for lane in self._lanes)
        return idle and not (self._source.progress.uncommitted or self._gone or self._refused)

    async def run(self, halt: asyncio.Event) -> None:
        """Write what is due until `halt`, and once more then."""
        while not halt.is_set():
            await first_of(self.due, halt, seconds=self._options.commit_seconds)
            await self.commit()
            now = self._clock.monotonic()
            if now - self._last_look >= self._options.parked_seconds:
                self._last_look = now
                await self.look_at_parked()
                await self._keep_lock()

    def nudge(self) -> None:
        """Ask for a commit even if nothing is settled: it brings the write-ahead log to disk."""
        self._nudged = True
        self.due.set()

    async def commit(self) -> None:
        """Write everything that is settled; a sign of life if there was nothing for a while."""
        self.due.clear()
        await self._commit_position()
        await self._commit_parked()
        self._figures.parked_keys = sum(lane.parked_count for lane in self._lanes)
        self._figures.unsettled = self._source.progress.uncommitted
        oldest = self._source.progress.oldest()
        message = oldest.message if oldest else None
        self._figures.oldest_at = message.at if message else None

    async def _commit_position(self) -> None:
        nudge, self._nudged = self._nudged, False
        taken = self._source.progress.take()
        now = self._clock.monotonic()
        silent = now - self._last_mark >= self._options.lease_seconds / 3
        working = self._source.progress.uncommitted > 0
        if taken is not None:
            await self._write(taken)
            self._source.progress.committed()
            self._uncommitted = 0
            self.room.set()
        if taken is not None and self._source.commits_are_marks:
            self._last_mark = now
        elif nudge or (silent and working) or self._source.owes_floor:
            await self._line.ask(self._source.commit(None))
            self._last_mark = now

    async def _write(self, taken: Taken) -> None:
        self._figures.commits += 1
        if not taken.parked:
            await self._line.ask(self._source.commit(taken))
            return
        parking = store.park(
            self._source.outbox,
            taken.parked,
            self._config.policy,
            blocked_seconds=self._options.blocked_seconds,
            now=self._clock.monotonic(),
        )
        try:
            async with (
                asyncio.timeout(self._options.database_seconds * 2),
                self._line.connection.transaction(),
            ):
                await self._line.ask(self._source.commit(taken))
                await self._line.ask(parking)
        except TimeoutError:
            raise TimedOut("the database does not answer") from None
        except psycopg.Error as error:  # of BEGIN or COMMIT
            raise from_database(error) from error
        self._note_parked(taken.parked)

    def _note_parked(self, items: Sequence[Item]) -> None:
        self._figures.parked += len(items)
        for item in items:
            self.hand_bytes -= item.size
            lane = self.lane_of(item.shard)
            if item.key is not None and lane.is_parked(item.key):
                lane.note_parked(item.key)
            if not item.behind:
                tell(
                    logging.WARNING,
                    "parked",
                    id=item.id,
                    key=item.key,
                    policy=self._config.policy.value,
                    code=item.outcome.code if item.outcome else None,
                    error=item.outcome.reason if item.outcome else None,
                )
            item.message = None

    async def _commit_parked(self) -> None:
        refused, self._refused = self._refused, []
        if refused:
            blocked = self._options.blocked_seconds
            await self._line.ask(
                store.refuse(self._source.outbox, refused, blocked_seconds=blocked)
            )
            self._replaying.difference_update(item.id for item in refused)
        if not self._gone:
            return
        gone = list(self._gone)
        keys = {item.key: item.shard for item in gone if item.key is not None}
        ids = [item.id for item in gone]
        await self._line.ask(store.forget(self._source.outbox, ids, list(keys)))
        del self._gone[: len(gone)]
        self._replaying.difference_update(ids)
        for key, shard in keys.items():
            if self._may_load(key, shard):
                await self._load(key, shard)

    async def look_at_parked(self) -> None:
        """Send what is due, and let keys go of which no row is left."""
        heads = await self._line.ask(store.heads(self._source.outbox))
        singles = [head.id for head in heads if head.key is None and head.id not in self._replaying]
        present: dict[int, set[str]] = defaultdict(set)
        for head in heads:
            if head.key is not None:
                present[head.shard % len(self._lanes)].add(head.key)
                await self._look_at_key(head, head.key)
        for number, lane in enumerate(self._lanes):
            for key in lane.parked_keys - present[number]:
                self._let_go(key, number)
        if singles:
            steps = store.rows_of_ids(self._source.outbox, singles)
            self._send(await self._line.ask(steps), ordered=False)
        self._sent_before.clear()  # their rows are gone, or among those that go next

    async def _look_at_key(self, head: Head, key: str) -> None:
        lane = self.lane_of(head.shard)
        lane.note_parked(key)
        if head.due and self._may_load(key, head.shard):
            await self._load(key, head.shard)

    def _may_load(self, key: str, shard: int) -> bool:
        """Whether the table tells the truth about the key: no row is on its way or to be noted."""
        noting = any(item.key == key for item in (*self._gone, *self._refused))
        return not noting and not self.lane_of(shard).is_replaying(key)

    async def _load(self, key: str, shard: int) -> None:
        """Send the first rows of a parked key; when there are none, it is free."""
        steps = store.rows_of_key(self._source.outbox, key, _ROWS)
        rows = await self._line.ask(steps)
        if rows:
            self._send(rows, ordered=True)
        else:
            self._let_go(key, shard % len(self._lanes))

    def _let_go(self, key: str, number: int) -> None:
        lane = self._lanes[number]
        if lane.can_release(key):
            lane.release(key, self._source.progress.joined(key))
            self._publishers[number].wake.set()
            tell(logging.INFO, "released", key=key)

    def _send(self, rows: Sequence[Parked], *, ordered: bool) -> None:
        by_lane: dict[int, list[Item]] = defaultdict(list)
        for row in rows:
            message = message_of_row(row, self._config.content_type)
            key = row.key if ordered else None
            item = item_of(message, row.shard, key=key, from_table=True)
            if row.id in self._sent_before:
                self._gone.append(item)
                self.due.set()
                continue
            if not ordered:
                self._replaying.add(row.id)
            by_lane[row.shard % len(self._lanes)].append(item)
        for number, items in by_lane.items():
            self._lanes[number].replay(items, self._clock.monotonic())
            self._publishers[number].wake.set()

    async def _keep_lock(self) -> None:
        if not self._has_lock:
            self._has_lock = await self._line.ask(store.lock(self._source.outbox))

    def lane_of(self, shard: int) -> Lane:
        """The lane of a stored shard."""
        return self._lanes[shard % len(self._lanes)]


def message_of_row(row: Parked, content_type: str) -> Message:
    """A parked message as a sink sees it."""
    return Message(
        id=row.id,
        uid=row.uid,
        topic=row.topic,
        key=row.key,
        payload=row.payload,
        headers=texts(row.headers, content_type),
        at=row.at,
    )
