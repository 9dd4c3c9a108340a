"""How far a relay has come: what may be committed, and what is delivered but not committed.

Owns the two ways of keeping it: a position in a log, which only moves over settled messages without
a gap, and a set of rows, each by itself. Must never count a message as done that is not settled.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

from howdah.log.model import Page, Position
from howdah.outbox.decide import Item, State


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What one commit says."""

    position: Position | None  # of a log
    delivered: tuple[int, ...]  # rows, where there is no position
    parked: tuple[Item, ...]
    count: int


class Progress(Protocol):
    """What a relay asks of either way."""

    uncommitted: int

    def take(self) -> Taken | None:
        """What can be committed now; None when nothing can."""

    def committed(self) -> None:
        """What was taken is committed."""

    def unsure(self) -> set[int]:
        """Messages that are delivered, and not known to be committed."""

    def joined(self, key: str) -> list[Item]:
        """Messages of a parked key that wait for a commit that sets them aside."""

    def oldest(self) -> Item | None:
        """The first message that is not settled."""


class _Stretch:
    """A page without its rows' payloads, and how far it is taken."""

    __slots__ = ("at", "items", "page")

    def __init__(self, page: Page, items: Sequence[Item]) -> None:
        # The page's end needs its last record's id; the other payloads may go.
        last = msgspec.structs.replace(page.records[-1], payload=b"")
        self.page = msgspec.structs.replace(page, records=(last,))
        self.items = items
        self.at = 0


class Contiguous:
    """Progress in a log: up to the first message that is not settled."""

    def __init__(self) -> None:
        self._stretches: deque[_Stretch] = deque()
        self._taken: list[Item] = []
        self.uncommitted = 0

    def add(self, page: Page, items: Sequence[Item]) -> None:
        """The next page, with an item for each of its records."""
        self._stretches.append(_Stretch(page, items))
        self.uncommitted += len(items)

    def take(self) -> Taken | None:
        """Up to the first message that is not settled."""
        position: Position | None = None
        walked: list[Item] = []
        while self._stretches:
            stretch = self._stretches[0]
            settled = _settled(stretch.items, stretch.at)
            if settled > stretch.at:
                walked += stretch.items[stretch.at : settled]
                position = stretch.page.after(walked[-1].id)
                stretch.at = settled
            if settled < len(stretch.items):
                break
            self._stretches.popleft()
        if position is None:
            return None
        self._taken += walked
        return Taken(position=position, delivered=(), parked=_parked(walked), count=len(walked))

    def committed(self) -> None:
        """What was taken is committed."""
        self.uncommitted -= len(self._taken)
        self._taken = []

    def unsure(self) -> set[int]:
        """Messages that are delivered, and not known to be committed."""
        return {item.id for item in self._open() if item.state is State.DELIVERED}

    def joined(self, key: str) -> list[Item]:
        """Messages of a parked key that wait for a commit that sets them aside."""
        return [item for item in self._open() if item.key == key and item.state is State.PARKING]

    def oldest(self) -> Item | None:
        """The first message that is not settled."""
        if not self._stretches:
            return None
        stretch = self._stretches[0]
        left = itertools.islice(stretch.items, stretch.at, None)
        return next((each for each in left if each.state is State.PENDING), None)

    def _open(self) -> Iterator[Item]:
        yield from self._taken
        for stretch in self._stretches:
            yield from stretch.items[stretch.at :]


class Scattered:
    """Progress in a table: every settled row by itself."""

    def __init__(self) -> None:
        self._items: dict[int, Item] = {}
        self._taken: list[Item] = []

    @property
    def uncommitted(self) -> int:
        """Rows that were read and are not committed."""
        return len(self._items)

    def add(self, items: Sequence[Item]) -> None:
        """Rows that were read."""
        self._items.update((item.id, item) for item in items)

    def tracked(self) -> list[int]:
        """The rows that are in hand: reading again must pass over them."""
        return list(self._items)

    def take(self) -> Taken | None:
        """Every row that is settled."""
        taken = [
            item for item in self._items.values() if item.state in (State.DELIVERED, State.PARKING)
        ]
        if not taken:
            return None
        self._taken = taken
        delivered = tuple(item.id for item in taken if item.state is State.DELIVERED)
        parked = _parked(taken)
        return Taken(position=None, delivered=delivered, parked=parked, count=len(taken))

    def committed(self) -> None:
        """What was taken is committed."""
        for item in self._taken:
            del self._items[item.id]
        self._taken = []

    def unsure(self) -> set[int]:
        """Messages that are delivered, and not known to be committed."""
        return {item.id for item in self._items.values() if item.state is State.DELIVERED}

    def joined(self, key: str) -> list[Item]:
        """Messages of a parked key that wait for a commit that sets them aside."""
        return [
            item for item in self._items.values() if item.key == key and item.state is State.PARKING
        ]

    def oldest(self) -> Item | None:
        """The first message that is not settled."""
        return next((each for each in self._items.values() if each.state is State.PENDING), None)


def _settled(items: Sequence[Item], start: int) -> int:
    """Where the settled messages from `start` on end."""
    pending = State.PENDING
    at = start
    for item in itertools.islice(items, start, None):
        if item.state is pending:
            break
        at += 1
    return at


def _parked(items: Sequence[Item]) -> tuple[Item, ...]:
    """Those that the commit sets aside; from now on they are in it."""
    parking = State.PARKING
    parked = tuple([item for item in items if item.state is parking])
    for item in parked:
        item.state = State.PARKED
    return parked
