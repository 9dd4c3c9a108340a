"""A log, a sink and a table in memory, and the relay's decisions between them.

The world may crash after any step: what is in memory is gone, log, table, position and what was
delivered stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from howdah.log.model import Page, Position, Record
from howdah.outbox.decide import Item, Lane, Settled, State, item_of
from howdah.outbox.model import Backoff, Policy
from howdah.outbox.progress import Contiguous
from howdah.outbox.sinks.sink import DELIVERED, Message, Outcome, Verdict

HELD = Outcome(verdict=Verdict.HELD, reason="behind", code="held")
RETRY = Outcome(verdict=Verdict.RETRY, reason="later", code="busy")
POISON = Outcome(verdict=Verdict.POISON, reason="never", code="bad")


def message(id: int, key: str | None, payload: bytes = b"x") -> Message:
    return Message(
        id=id, uid=f"log-{id}", topic="t", key=key, payload=payload, headers={}, at=float(id)
    )


class Row:
    def __init__(self, id: int, key: str | None, failed: bool) -> None:
        self.id = id
        self.key = key
        self.state = "failed" if failed else "behind"


class World:
    def __init__(
        self, keys: Sequence[str | None], policy: Policy, *, pipelines: bool, window: int = 4
    ) -> None:
        self.log = [(number, key) for number, key in enumerate(keys, 1)]
        self.policy = policy
        self.pipelines = pipelines
        self.window = window
        self.committed = 0  # the last id that the position covers
        self.table: dict[int, Row] = {}
        self.delivered: list[tuple[str | None, int]] = []
        self.now = 0.0
        self.restart()

    def restart(self) -> None:
        """A new relay takes over."""
        self.incarnation: list[tuple[str | None, int]] = []
        self.lane = Lane(
            policy=self.policy,
            backoff=Backoff(first_seconds=1, most_seconds=2),
            max_attempts=3,
            pipelines_keys=self.pipelines,
            random=Random(7),
        )
        self.progress = Contiguous()
        self.read_to = self.committed
        self.gone: list[Item] = []
        self.look()

    def read(self) -> None:
        ids = [each for each in self.log if each[0] > self.read_to][: self.window]
        if not ids:
            return
        records = tuple(Record(id, 0, "t", key, None, b"x", 0.0) for id, key in ids)
        page = Page(records=records, seen="0", upto="1", complete=False)
        items = [item_of(message(id, key), key=key) for id, key in ids]
        self.progress.add(page, items)
        self.read_to = ids[-1][0]
        for item in items:
            self.lane.add(item)

    def send(self, judge: Callable[[Message], Outcome | None], most: int = 3) -> None:
        """One call of the sink; `judge` gives None when the sink fails as a whole."""
        batch = self.lane.next_batch(self.now, most, 1000)
        if not batch:
            due = self.lane.next_due()
            self.now = self.now if due is None else max(self.now, due)
            return
        if not self.pipelines:
            named = [item.message.key for item in batch if item.message and item.message.key]
            assert len(named) == len(set(named))
        outcomes: list[Outcome] = []
        stopped: set[str | None] = set()
        for item in batch:
            assert item.message is not None
            key = item.message.key
            outcome = HELD if key in stopped else judge(item.message)
            if outcome is None:
                self.lane.returned(batch, self.now)
                return
            if outcome is DELIVERED:
                self.delivered.append((key, item.id))
                self.incarnation.append((key, item.id))
            elif key is not None:
                stopped.add(key)
            outcomes.append(outcome)
        self._note(self.lane.settle(batch, outcomes, self.now))

    def _note(self, settled: Settled) -> None:
        self.gone += settled.gone
        for item in settled.refused:
            self.table[item.id].state = "failed"

    def commit(self) -> None:
        taken = self.progress.take()
        if taken is not None:
            assert isinstance(taken.position, Position)
            for item in taken.parked:
                self.table[item.id] = Row(item.id, item.key, not item.behind)
                if item.key is not None and self.lane.is_parked(item.key):
                    self.lane.note_parked(item.key)
            self.committed = taken.position.last_id
            self.progress.committed()
        gone, self.gone = self.gone, []
        for item in gone:
            self.table.pop(item.id, None)
        for key in {item.key for item in gone if item.key is not None}:
            rows = self._rows(key)
            if rows and rows[0].state == "behind":
                rows[0].state = "replay"
            if not self.lane.is_replaying(key):
                self._load(key)

    def look(self) -> None:
        heads = {row.key: row for row in sorted(self._ordered(), key=lambda r: -r.id)}
        for key, row in heads.items():
            assert key is not None
            self.lane.note_parked(key)
            due = row.state == "replay" or (self.policy is Policy.BLOCK and row.state == "behind")
            if due and not self.lane.is_replaying(key):
                self._load(key)
        for key in self.lane.parked_keys - set(heads):
            self._release(key)
        singles = [r for r in self.table.values() if not self._keyed(r) and r.state == "replay"]
        for row in singles:
            row.state = "sent"
            self.lane.replay([item_of(message(row.id, row.key), from_table=True)], self.now)

    def replay(self) -> None:
        """A person asks for everything."""
        for row in self.table.values():
            row.state = "replay"

    def discard(self, id: int) -> None:
        self.table.pop(id, None)

    @property
    def idle(self) -> bool:
        read = self.read_to == len(self.log)
        return read and self.lane.idle and not self.progress.uncommitted and not self.gone

    def _keyed(self, row: Row) -> bool:
        return row.key is not None and self.policy is not Policy.SKIP

    def _ordered(self) -> list[Row]:
        return [row for row in self.table.values() if self._keyed(row)]

    def _rows(self, key: str) -> list[Row]:
        return sorted((row for row in self._ordered() if row.key == key), key=lambda r: r.id)

    def _load(self, key: str) -> None:
        rows = self._rows(key)[:2]
        if rows:
            items = [item_of(message(r.id, r.key), key=r.key, from_table=True) for r in rows]
            self.lane.replay(items, self.now)
        else:
            self._release(key)

    def _release(self, key: str) -> None:
        if self.lane.can_release(key):
            self.lane.release(key, self.progress.joined(key))


def states(items: Sequence[Item]) -> list[State]:
    return [item.state for item in items]
