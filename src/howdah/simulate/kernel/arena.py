"""The memory of a running model: one block of bytes, that can grow and be copied.

Owns where the regions that grow begin, and how a copy of the state is taken and put back. The
first part of an arena (header, sources, elements, keys, policies' numbers) keeps its size; items,
requests, sessions, the heap, the stack, ranks and lanes follow, and are moved when they grow.
Must never interpret a record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from howdah.simulate.kernel.compiled import layout as at

Bytes = NDArray[np.uint8]


class Rooms(msgspec.Struct, frozen=True):
    """How many records of each kind there is room for."""

    items: int
    requests: int
    sessions: int
    events: int
    lanes: tuple[int, ...]  # powers of two

    def at_least(self, **wanted: int) -> Rooms:
        """The same, doubled where less is there than is wanted."""
        changes = {name: _doubled(getattr(self, name), n) for name, n in wanted.items()}
        return msgspec.structs.replace(self, **changes)


def _doubled(now: int, wanted: int) -> int:
    while now < wanted:
        now *= 2
    return now


class Regions(msgspec.Struct, frozen=True):
    """Where the regions of an arena with these rooms begin, in bytes, and how long it is."""

    items: int
    requests: int
    sessions: int
    events: int
    stack: int
    ranks: tuple[int, ...]
    lanes: tuple[int, ...]
    end: int


def stack_entries(rooms: Rooms) -> int:
    """Entries of the cascade's stack: each item once, each session, and some tasks."""
    return 2 * rooms.items + rooms.sessions + 1024


def most_scheduled(rooms: Rooms) -> int:
    """Entries that one event can put into the heap: at most four for each item there is room for
    (timeout, hedge, service, quantum), and some thinks."""
    return 4 * rooms.items + 256


def _regions(fixed: int, rooms: Rooms, item_size: int, ranks: int) -> Regions:
    places: list[int] = []
    end = fixed
    sizes = [
        rooms.items * item_size,
        rooms.requests * at.R_SIZE,
        rooms.sessions * at.S_SIZE,
        rooms.events * at.ENTRY_SIZE,
        stack_entries(rooms) * 16,
        *[rooms.items * 4] * ranks,
        *[size * at.ENTRY_SIZE for size in rooms.lanes],
    ]
    for size in sizes:
        places.append(end)
        end += -(-size // 64) * 64
    return Regions(
        items=places[0],
        requests=places[1],
        sessions=places[2],
        events=places[3],
        stack=places[4],
        ranks=tuple(places[5 : 5 + ranks]),
        lanes=tuple(places[5 + ranks :]),
        end=end,
    )


class Arena:
    """A block of bytes with its regions. `ranked`: words that hold the offset of a rank heap."""

    def __init__(self, fixed: Bytes, rooms: Rooms, item_size: int, ranked: Sequence[int]) -> None:
        self.fixed = len(fixed)
        self.item_size = item_size
        self.ranked = tuple(ranked)
        self._lay(rooms)
        self.bytes[: self.fixed] = fixed
        self._tell()

    def _lay(self, rooms: Rooms) -> None:
        self.rooms = rooms
        self.regions = _regions(self.fixed, rooms, self.item_size, len(self.ranked))
        self.block = np.empty(self.regions.end + 64, np.uint8)
        skip = -self.block.ctypes.data % 64  # records start at lines of the processor's cache
        self.bytes = self.block[skip : skip + self.regions.end]
        self.words = self.bytes.view(np.int64)
        self.floats = self.bytes.view(np.float64)
        self.address = int(self.bytes.ctypes.data)

    def get(self, offset: int) -> int:
        """The word at an offset."""
        return int(self.words[offset >> 3])

    def put(self, offset: int, value: int) -> None:
        """Write the word at an offset."""
        self.words[offset >> 3] = value

    def _tell(self) -> None:
        """Write into the header where the regions are; what is free follows from the counts."""
        regions, rooms = self.regions, self.rooms
        free = {
            at.ITEM_ROOM: rooms.items - self.get(at.ITEM_COUNT),
            at.REQUEST_ROOM: rooms.requests - self.get(at.REQUEST_COUNT),
            at.SESSION_ROOM: rooms.sessions - self.get(at.SESSION_COUNT),
        }
        told = {
            at.ITEMS: regions.items,
            at.REQUESTS: regions.requests,
            at.SESSIONS: regions.sessions,
            at.HEAP: regions.events,
            at.HEAP_SIZE: rooms.events,
            at.HEAP_ROOM: rooms.events - self.get(at.HEAP_COUNT),
            at.HEAP_NEED: most_scheduled(rooms),
            at.STACK: regions.stack,
            at.STACK_SIZE: stack_entries(rooms),
        }
        for offset, value in (free | told).items():
            self.put(offset, value)
        for offset, place in zip(self.ranked, regions.ranks, strict=True):
            self.put(offset, place)
        for lane, (place, size) in enumerate(zip(regions.lanes, rooms.lanes, strict=True)):
            record = self.get(at.LANES) + lane * at.LANE_SIZE
            self.put(record + at.LANE_RING, place)
            self.put(record + at.LANE_MASK, size - 1)

    def _held(self) -> None:
        """Count what is in use, before the rooms change."""
        for count, room, size in (
            (at.ITEM_COUNT, at.ITEM_ROOM, self.rooms.items),
            (at.REQUEST_COUNT, at.REQUEST_ROOM, self.rooms.requests),
            (at.SESSION_COUNT, at.SESSION_ROOM, self.rooms.sessions),
        ):
            self.put(count, size - self.get(room))

    def _used(self) -> Iterator[tuple[int, int]]:
        """First and last byte of all that is in use, but the lanes."""
        regions = self.regions
        yield 0, self.fixed
        yield regions.items, regions.items + self.get(at.ITEM_UNUSED)
        yield regions.requests, regions.requests + self.get(at.REQUEST_UNUSED)
        yield regions.sessions, regions.sessions + self.get(at.SESSION_UNUSED)
        yield regions.events, regions.events + self.get(at.HEAP_COUNT) * at.ENTRY_SIZE
        most = self.get(at.ITEM_UNUSED) // self.item_size * 4
        for place in regions.ranks:
            yield place, place + most

    def _lanes_used(self) -> Iterator[tuple[int, int, int, int]]:
        """Of each lane where its ring begins, its size in bytes, the first entry, the bytes."""
        for lane, place in enumerate(self.regions.lanes):
            record = self.get(at.LANES) + lane * at.LANE_SIZE
            first = self.get(record + at.LANE_FIRST) * at.ENTRY_SIZE
            held = self.get(record + at.LANE_HELD) * at.ENTRY_SIZE
            yield place, self.rooms.lanes[lane] * at.ENTRY_SIZE, first, held

    def pieces(self) -> list[Bytes]:
        """Views of all that is in use: what a copy must have. Rings in two pieces each."""
        found = [self.bytes[first:last] for first, last in self._used()]
        for place, size, first, held in self._lanes_used():
            straight = min(held, size - first)
            found.append(self.bytes[place + first : place + first + straight])
            found.append(self.bytes[place : place + held - straight])
        return found

    def grow(self, rooms: Rooms) -> None:
        """Move everything into an arena with more room; nothing that happens depends on it."""
        self._held()
        old, lanes = [piece.copy() for piece in self._used_views()], self._straight_lanes()
        self._lay(rooms)
        self.bytes[: self.fixed] = old[0]
        for lane, piece in enumerate(lanes):
            record = self.get(at.LANES) + lane * at.LANE_SIZE
            self.put(record + at.LANE_FIRST, 0)
            place = self.regions.lanes[lane]
            self.bytes[place : place + len(piece)] = piece
        self._tell()
        for (first, last), piece in zip(self._used(), old, strict=True):
            if first:
                self.bytes[first:last] = piece

    def _used_views(self) -> list[Bytes]:
        return [self.bytes[first:last] for first, last in self._used()]

    def _straight_lanes(self) -> list[Bytes]:
        """The entries of each lane in order."""
        found = []
        for place, size, first, held in self._lanes_used():
            ring = self.bytes[place : place + size]
            found.append(np.concatenate((ring[first:], ring[:first]))[:held])
        return found

    def save(self) -> tuple[Rooms, Bytes]:
        """A copy of all that is in use, and the rooms that it needs."""
        return self.rooms, np.concatenate(self.pieces())

    def load(self, saved: tuple[Rooms, Bytes]) -> None:
        """Put a copy back."""
        rooms, data = saved
        if rooms != self.rooms:
            self._lay(rooms)
        self.bytes[: self.fixed] = data[: self.fixed]
        start = 0
        for piece in self.pieces():
            piece[:] = data[start : start + len(piece)]
            start += len(piece)

    def twin(self) -> Arena:
        """Another arena in the same state."""
        made = Arena.__new__(Arena)
        made.fixed, made.item_size, made.ranked = self.fixed, self.item_size, self.ranked
        made._lay(self.rooms)
        made.load(self.save())
        return made
