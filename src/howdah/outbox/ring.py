"""The layout of the log: events in a ring of plain tables, the relay one of its consumers.

Owns what a relay asks of a log. Must never change a row.
"""

from __future__ import annotations

from howdah.driver import Steps
from howdah.log import store as log_store
from howdah.log.api import SEGMENT_BYTES, SEGMENT_SECONDS
from howdah.log.reader import Reader
from howdah.outbox.decide import Item, State
from howdah.outbox.owning import Sight
from howdah.outbox.payload import message_of
from howdah.outbox.progress import Contiguous, Taken

CONSUMER = "relay"


class RingSource:
    """One relay's way through a log. New for each session; `delivered` is what the last one had
    delivered without knowing it committed.
    """

    commits_are_marks = True
    """Whether a commit shows a waiting relay that the owner lives."""

    def __init__(self, outbox: str, uuid: str, delivered: set[int]) -> None:
        self.outbox = outbox
        self.delivered = delivered
        self.progress = Contiguous()
        self._uuid = uuid
        self._reader = Reader(outbox, CONSUMER)

    @property
    def epoch(self) -> int:
        """Which instance this is."""
        return self._reader.cursor.epoch

    def open(self) -> Steps[int]:
        """Start from the committed position, as its only owner; the epoch."""
        cursor = yield from self._reader.open(take_over=True)
        return cursor.epoch

    def resume(self, epoch: int) -> Steps[None]:
        """Start from the committed position; `Superseded` unless `epoch` still owns it."""
        cursor = yield from self._reader.open()
        if cursor.epoch != epoch:
            raise log_store.superseded(self.outbox, CONSUMER, cursor)

    def sight(self) -> Steps[Sight]:
        """One look at another owner: what it wrote last, and whether it has work."""
        newest = yield from log_store.newest_cursor(self.outbox, CONSUMER)
        position = newest.position
        peek = yield from log_store.peek(self.outbox, position.seen)
        return Sight(mark=newest.generation, working=position.upto is not None or peek.waiting)

    def read(self, _room: int) -> Steps[list[Item]]:
        """The next messages in order; none when there is nothing new."""
        page = yield from self._reader.next_page()
        if page is None:
            self.delivered.clear()  # everything there is was read: what is left was committed
            return []
        items = []
        for record in page.records:
            item = Item(message_of(record, self._uuid), record.shard, key=record.key)
            if record.id in self.delivered:
                self.delivered.discard(record.id)
                item.state = State.DELIVERED
                item.message = None
            items.append(item)
        self.progress.add(page, items)
        return items

    def lsn(self) -> str | None:
        """The place up to which the log must be on disk before what was read is published."""
        peek = self._reader.peeked
        return None if peek is None or peek.flushed else peek.lsn

    @property
    def owes_floor(self) -> bool:
        """Whether all that is visible is done, and the committed position does not say so yet."""
        committed, reached = self._reader.cursor.position, self._reader.position
        inside = committed.upto is not None
        return inside and reached.upto is None and not self.progress.uncommitted

    def commit(self, taken: Taken | None) -> Steps[None]:
        """Append the position; the one before once more as a sign of life when nothing is taken."""
        if taken is not None:
            assert taken.position is not None
            position = taken.position
        elif self.owes_floor:
            position = self._reader.position
        else:
            position = self._reader.cursor.position
        yield from self._reader.commit(position)

    def maintain(self) -> Steps[list[tuple[str, str]]]:
        """Turn the ring and give back what is consumed; what was done."""
        done = yield from log_store.maintain(self.outbox, SEGMENT_BYTES, SEGMENT_SECONDS)
        return [(each.action, each.detail) for each in done]
