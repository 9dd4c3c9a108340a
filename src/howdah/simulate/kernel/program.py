"""A model made ready for the kernel: the first state of its arena, and where everything is in it.

Owns the numbers of sources and the fixed part of an arena. Elements are written by `elements.py`.
Must never run anything. What the kernel has no room for is refused here (`Unsupported`), and the
reference engine takes it.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from howdah.errors import Unsupported
from howdah.simulate import numbers
from howdah.simulate.kernel.arena import Arena, Bytes, Rooms
from howdah.simulate.kernel.columns import Column, columns_of
from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.kernel.policies import Brain
from howdah.simulate.model import Client, Delay, Model, Pool, Queue, Sharing, Station

_PLENTY = 64  # entries of each list of gates, pools, choices
_ITEMS, _REQUESTS, _SESSIONS, _LANE = 1024, 1024, 256, 1024


class Sources:
    """Numbers of lanes and slots: source 0 is the heap, then the lanes, then the slots."""

    def __init__(self, lanes: int) -> None:
        self.lanes, self._lane, self.slots = lanes, 0, 0

    def lane(self) -> int:
        """The next lane."""
        self._lane += 1
        return self._lane - 1

    def slot(self) -> int:
        """The next slot, as a source."""
        self.slots += 1
        return self.lanes + self.slots


def _lanes_of(element: object) -> int:
    """Constant delays of an element: each has a lane."""
    if isinstance(element, Client):
        return (element.timeout is not None) + (element.hedge_after is not None)
    if isinstance(element, Sharing):
        return int(element.quantum is not None)
    constant = isinstance(element, Delay) and numbers.law(element.time).kind == numbers.CONSTANT
    return int(constant)


def _slots_of(element: object) -> int:
    if isinstance(element, Client):
        return 2 if getattr(element, "profile", ()) else 1
    return int(isinstance(element, Queue | Sharing))


class Block:
    """The fixed part of an arena while it is written."""

    def __init__(self, size: int) -> None:
        self.bytes: Bytes = np.zeros(size, np.uint8)
        self.tables: list[NDArray[np.generic]] = []  # kept alive: the arena has their addresses

    def reserve(self, size: int) -> int:
        """So many bytes more, at the end: their offset."""
        offset = len(self.bytes)
        more = np.zeros(-(-size // 64) * 64, np.uint8)
        self.bytes = np.concatenate((self.bytes, more))
        return offset

    def put(self, offset: int, value: int) -> None:
        """A word; above 2**63 its bits."""
        self.bytes[offset : offset + 8].view(np.uint64)[0] = value & numbers.MASK

    def putf(self, offset: int, value: float) -> None:
        """A float."""
        self.bytes[offset : offset + 8].view(np.float64)[0] = value

    def name(self, offset: int, name: str) -> None:
        """The number of a name."""
        self.put(offset, numbers.number(name))

    def table(self, values: NDArray[np.generic]) -> int:
        """The address of numbers that never change and are no part of the state."""
        self.tables.append(values)
        return int(values.ctypes.data)

    def law(self, offset: int, law: numbers.Law) -> None:
        """A law."""
        self.put(offset, law.kind)
        self.putf(offset + at.LAW_A, law.a)
        self.putf(offset + at.LAW_B, law.b)
        if law.table:
            self.put(offset + at.LAW_TABLE, self.table(np.array(law.table)))
            self.put(offset + at.LAW_LAST, len(law.table) - 1)

    def numbers(self, values: list[float], room: int) -> int:
        """A policy's numbers, with room for so many: their offset."""
        offset = self.reserve(8 * max(room, len(values)))
        for index, value in enumerate(values):
            self.putf(offset + 8 * index, value)
        return offset


class Program(msgspec.Struct, frozen=True):
    """What never changes while a model runs, and the first state."""

    model: Model
    names: list[str]  # of all elements, by number; triggers have none
    offsets: dict[str, int]
    columns: list[Column]
    brains: dict[str, Brain]  # by "element.policy", "element.discipline", ...
    fixed: Bytes
    tables: list[NDArray[np.generic]]
    item_size: int
    ranked: list[int]
    rooms: Rooms

    def arena(self, seed: int) -> Arena:
        """The state at the start, before anything was scheduled."""
        arena = Arena(self.fixed, self.rooms, self.item_size, self.ranked)
        arena.words.view(np.uint64)[at.ROOT >> 3] = numbers.root(seed)
        return arena


def _header(block: Block, model: Model, sources: int, lanes: int) -> None:
    """What the header tells from the beginning; everything unwritten is 0."""
    period = model.horizon / 1000 if model.sample is None else model.sample
    for offset in (at.ITEM_FREE, at.REQUEST_FREE, at.SESSION_FREE):
        block.put(offset, at.NONE)
    for source in range(sources):
        block.put(at.HEADER_SIZE + source * at.ENTRY_SIZE, at.NEVER)
    block.put(at.SOURCE_COUNT, sources)
    block.put(at.LANE_COUNT, lanes)
    block.put(at.CLIENT_COUNT, len(model.clients))
    block.put(at.STATION_COUNT, len(model.stations))
    block.put(at.CONTROLLER_COUNT, len(model.controllers))
    block.put(at.SAMPLE_PERIOD, max(1, numbers.nanoseconds(period)))
    block.put(at.SAMPLE_STOP, int(any(one.when is not None for one in model.triggers)))


def _columns(block: Block, elements: dict[str, object], offsets: dict[str, int]) -> list[Column]:
    found = [
        column
        for name, element in elements.items()
        for column in columns_of(name, element, offsets[name])
    ]
    place = block.reserve(8 * max(1, len(found)))
    block.put(at.COLUMNS, place)
    block.put(at.COLUMN_COUNT, len(found))
    for index, column in enumerate(found):
        block.put(place + 8 * index, column.offset)
    return found


def _check(model: Model) -> None:
    """What there are more of than the kernel's masks have bits."""
    pools = sum(isinstance(one, Pool) for one in model.stations.values())
    if pools > 32:
        raise Unsupported("the kernel knows at most 32 pools in a model")
    if len(model.clients) + len(model.stations) + len(model.controllers) > 1 << 15:
        raise Unsupported("the kernel knows at most 32768 elements in a model")


def program(model: Model) -> Program:
    """Make a model without parts ready. Raises Unsupported."""
    from howdah.simulate.kernel.elements import Writer

    _check(model)
    elements: dict[str, Client | Station] = {**model.clients, **model.stations}
    names = [*elements, *model.controllers]
    lanes = sum(_lanes_of(one) for one in elements.values())
    slots = sum(_slots_of(one) for one in elements.values()) + len(model.controllers)
    block = Block(at.HEADER_SIZE)
    block.reserve((1 + lanes + slots) * at.ENTRY_SIZE)
    _header(block, model, 1 + lanes + slots, lanes)
    block.put(at.LANES, block.reserve(max(1, lanes) * at.LANE_SIZE))
    first = block.reserve(at.ELEMENT_SIZE * max(1, len(names)))
    block.put(at.ELEMENTS, first)
    block.put(at.VIEW, block.reserve(8 * at.VIEW_SIZE))
    for word in (at.GATES, at.POOLS, at.CHOICES):
        block.put(word, block.reserve(8 * _PLENTY))
    offsets = {name: first + number * at.ELEMENT_SIZE for number, name in enumerate(names)}
    writer = Writer(block, model, offsets, Sources(lanes))
    writer.write()
    block.put(at.ITEM_SIZE, writer.item_size)
    columns = _columns(block, dict(elements), offsets)
    users = writer.users
    return Program(
        model=model,
        names=names,
        offsets=offsets,
        columns=columns,
        brains=writer.brains,
        fixed=block.bytes,
        tables=block.tables,
        item_size=writer.item_size,
        ranked=writer.ranked,
        rooms=Rooms(
            items=_ITEMS,
            requests=_REQUESTS,
            sessions=_SESSIONS,
            events=_first_events(users),
            lanes=(_LANE,) * lanes,
        ),
    )


def _first_events(users: int) -> int:
    """Room of the heap: what an event may need, and a think for each user."""
    return 5 * _ITEMS + 512 + 2 * users
