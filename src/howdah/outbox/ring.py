"""The layout of the log: events in a ring of plain tables, the relay one of its consumers.

Owns what a relay asks of a log. Must never change a row.
"""

from __future__ import annotations

import msgspec

from howdah.driver import Steps
from howdah.log import store as log_store
from howdah.log.api import SEGMENT_BYTES, SEGMENT_SECONDS
from howdah.log.reader import Reader
from howdah.outbox.decide import Item, State, items_of
from howdah.outbox.model import OutboxConfig
from howdah.outbox.owning import Instance, Owner, Sight, owner_of, replaced
from howdah.outbox.payload import messages_of
from howdah.outbox.progress import Contiguous, Taken

CONSUMER = "relay"


class RingSource:
    """One relay's way through a log. New for each session; `delivered` is what the last one had
    delivered without knowing it committed.
    """

    commits_are_marks = True
    """Whether a commit shows a waiting relay that the owner lives."""

    def __init__(self, outbox: str, config: OutboxConfig, uuid: str, delivered: set[int]) -> None:
        self.outbox = outbox
        self.delivered = delivered
        self.progress = Contiguous()
        self._content_type = config.content_type
        self._uuid = uuid
        self._note: str | None = None
        self._reader = Reader(outbox, CONSUMER)

    @property
    def epoch(self) -> int:
        """Which instance this is."""
        return self._reader.cursor.epoch

    def open(self, me: Instance) -> Steps[int]:
        """Start from the committed position, as its only owner; the epoch."""
        newest = yield from log_store.newest_cursor(self.outbox, CONSUMER)
        mine = msgspec.structs.replace(newest, epoch=newest.epoch + 1)
        # The first row of the epoch says whose it is.
        yield from log_store.advance(self.outbox, CONSUMER, mine, newest.position, note=me.note)
        yield from self.resume(mine.epoch, me)
        return mine.epoch

    def resume(self, epoch: int, me: Instance) -> Steps[None]:
        """Start from the committed position; `Superseded` unless `epoch` still owns it."""
        self._note = me.note
        cursor = yield from self._reader.open()
        if cursor.epoch != epoch:
            raise replaced(self.outbox, epoch)

    def owner(self) -> Steps[Owner]:
        """Who owns it now, whoever asks."""
        newest = yield from log_store.newest_cursor(self.outbox, CONSUMER)
        return owner_of(newest.epoch, newest.note)

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
        messages = messages_of(page.records, self._uuid, self._content_type)
        items = items_of(messages, [record.shard for record in page.records])
        if self.delivered:
            for item in items:
                if item.id in self.delivered:
                    self.delivered.discard(item.id)
                    item.state = State.DELIVERED
                    item.message = None
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
        yield from self._reader.commit(position, note=self._note)

    def maintain(self) -> Steps[list[tuple[str, str]]]:
        """Turn the ring and give back what is consumed; what was done."""
        done = yield from log_store.maintain(self.outbox, SEGMENT_BYTES, SEGMENT_SECONDS)
        return [(each.action, each.detail) for each in done]
