"""The kernel as `simulate.engine.Engine` describes it.

Owns the loop around the compiled one: room, samples, the actions of triggers, snapshots. Must
never interpret an event that the kernel can.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from howdah.errors import BadInput
from howdah.simulate import engine as protocol
from howdah.simulate import model as models
from howdah.simulate import numbers
from howdah.simulate.kernel.arena import Arena, Bytes, Rooms, most_scheduled
from howdah.simulate.kernel.columns import values
from howdah.simulate.kernel.compiled import command as do
from howdah.simulate.kernel.compiled import layout as at
from howdah.simulate.kernel.entry import command
from howdah.simulate.kernel.inspection import checked, items_of
from howdah.simulate.kernel.program import Program, program
from howdah.simulate.kernel.settings import Settings, Value
from howdah.simulate.kernel.triggers import Trigger, triggers_of
from howdah.simulate.parts import flatten

_MOST = 1 << 61
_ROWS = 1024  # of samples; a model without a period of its own has 1001


class Frozen(msgspec.Struct, frozen=True):
    """A snapshot: the bytes in use, and what Python keeps beside them."""

    now_ns: int
    events: int
    rooms: Rooms
    data: Bytes
    rows: NDArray[np.int64]  # shared: rows that were written never change
    sampled: int
    given: dict[str, Value]
    triggers: list[Trigger]

    @property
    def size(self) -> int:
        """Bytes of the state, without the samples."""
        return len(self.data)


class KernelEngine:
    """One running instance of a model, compiled."""

    name = "kernel"

    def __init__(self, model: models.Model | Program, seed: int) -> None:
        """Ready at time 0. Raises Unsupported when the kernel cannot run this model."""
        self.program = model if isinstance(model, Program) else program(flatten(model))
        self.seed = seed
        self._command = command()
        self._places: dict[tuple[str, ...], list[tuple[int, int]]] = {}  # of columns often asked
        self._use(self.program.arena(seed))
        self._rows = np.zeros((_ROWS, max(1, len(self.program.columns))), np.int64)
        self.settings = Settings(self)
        self.triggers = triggers_of(self.program.model, len(self.program.names))
        self._tell_rows()
        self._begin()

    def _use(self, arena: Arena) -> None:
        self.arena = arena

    def do(self, operation: int, a: int = 0, b: int = 0, c: int = 0, x: float = 0.0) -> int:
        """One command of the kernel."""
        return self._command(self.arena.address, operation, a, b, c, x)

    def _begin(self) -> None:
        """What is scheduled at the start, in the order of declaration."""
        given, offsets = self.program.model, self.program.offsets
        for name, cache in given.stations.items():
            if isinstance(cache, models.Cache) and cache.full:
                self.do(do.FILL, offsets[name])
        for name in given.clients:
            self.do(do.BEGIN_CLIENT, offsets[name])
        for name in given.controllers:
            self.do(do.BEGIN_CONTROLLER, offsets[name])
        for trigger in self.triggers:
            trigger.begin(self)

    # Where it is.

    @property
    def now_ns(self) -> int:
        """The time up to which everything has happened."""
        return self.arena.get(at.NOW)

    @property
    def events(self) -> int:
        """Events that happened."""
        return self.arena.get(at.HAPPENED)

    @property
    def cancelled(self) -> int:
        """Events that no longer applied."""
        return self.arena.get(at.CANCELLED)

    @property
    def hash(self) -> int:
        """The hash of all events that happened."""
        return self.arena.get(at.HASH) & numbers.MASK

    # Going on.

    def advance(self, until_ns: int, most_events: int | None = None) -> bool:
        """Let everything up to and including `until_ns` happen; True when it was reached."""
        last = _MOST if most_events is None else self.events + most_events
        while True:
            why = self.do(do.RUN, until_ns, last - self.events)
            if why == at.ACTION:
                self._act()
            elif why == at.SAMPLED:
                self._look()
            elif why == at.GROW:
                self._grow()
            else:
                return why == at.DONE

    def _act(self) -> None:
        """The event of a trigger happens: an action, or what it puts back."""
        head = at.HEADER_SIZE
        code, index = self.arena.get(head + at.ENTRY_CODE), self.arena.get(head + at.ENTRY_SERIAL)
        trigger = self.triggers[(code >> 32 & 0xFFFF) - len(self.program.names)]
        self.do(do.TAKE_ACTION)
        if code >> 48 == at.UNDO:
            trigger.undo(self, index)
        else:
            trigger.act(self)
        self.do(do.WALK)

    def _look(self) -> None:
        """A sample was taken: conditions of triggers may have held for long enough."""
        row = self._rows[self.arena.get(at.SAMPLE_COUNT) - 1]
        for trigger in self.triggers:
            trigger.look(self, row)

    def _grow(self) -> None:
        """Something is full; nothing that happens depends on when it is made larger."""
        arena = self.arena
        if arena.get(at.STATUS) == at.BROKEN:
            raise RuntimeError("the kernel is broken: a stack overflowed, or nine tickets are held")
        if arena.get(at.SAMPLE_ROOM) <= 0:
            self._rows = np.concatenate((self._rows, np.zeros_like(self._rows)))
            self._tell_rows()
        self.make_room(at.MARGIN, at.MARGIN, 1)

    def make_room(self, items: int, requests: int, sessions: int) -> None:
        """Room for so many more."""
        arena = self.arena
        rooms = arena.rooms.at_least(
            items=arena.rooms.items - arena.get(at.ITEM_ROOM) + items,
            requests=arena.rooms.requests - arena.get(at.REQUEST_ROOM) + requests,
            sessions=arena.rooms.sessions - arena.get(at.SESSION_ROOM) + sessions,
        )
        rooms = rooms.at_least(events=arena.get(at.HEAP_COUNT) + most_scheduled(rooms) + 256)
        if arena.get(at.STATUS) == at.GROW:
            arena.put(at.STATUS, at.DONE)
            rooms = msgspec.structs.replace(rooms, lanes=tuple(2 * size for size in rooms.lanes))
        if rooms != arena.rooms:
            arena.grow(rooms)

    def _tell_rows(self) -> None:
        """Write into the header where the next sample goes."""
        taken = self.arena.get(at.SAMPLE_COUNT)
        self.arena.put(at.SAMPLE_AT, int(self._rows.ctypes.data) + taken * self._rows.strides[0])
        self.arena.put(at.SAMPLE_ROOM, len(self._rows) - taken)

    # Interventions.

    def _offset(self, name: str, kinds: Any, what: str) -> int:
        """Where an element of these kinds is. Raises BadInput."""
        model = self.program.model
        found = model.clients.get(name) or model.stations.get(name)
        if not isinstance(found, kinds):
            raise BadInput(f"{name} is no {what} of this model")
        return self.program.offsets[name]

    def set(self, path: str, value: float | str) -> None:
        """Change a setting now."""
        self.settings.write(path, value)
        self.do(do.WALK)

    def inject(self, client: str, count: int) -> None:
        """So many requests (sessions) start now."""
        self.inject_later(client, count)
        self.do(do.WALK)

    def inject_later(self, client: str, count: int) -> None:
        """The same, when the stack is worked through."""
        offset = self._offset(client, models.Client, "client")
        if count <= 0:
            return
        given = self.program.model.clients[client]
        agentic = isinstance(given, models.Agentic)
        each = given.parallel if isinstance(given, models.Agentic) else 1
        more = count * each + at.MARGIN
        self.make_room(more, more, count + 1 if agentic else 1)
        self.do(do.INJECT, offset, count)

    def flush(self, cache: str) -> None:
        """The cache forgets everything."""
        self.do(do.FLUSH, self._offset(cache, models.Cache, "cache"))

    def drop(self, element: str) -> None:
        """Everybody who waits there is rejected."""
        self.do(do.DROP, self._offset(element, (models.Queue, models.Pool), "Queue and no Pool"))
        self.do(do.WALK)

    def reseed(self, seed: int) -> None:
        """All further draws are new ones; what was drawn stays."""
        self.do(do.RESEED, int(np.uint64(numbers.root(seed)).view(np.int64)))

    # Snapshots.

    def snapshot(self) -> Frozen:
        """The state now: one copy of the bytes in use."""
        rooms, data = self.arena.save()
        return Frozen(
            now_ns=self.now_ns,
            events=self.events,
            rooms=rooms,
            data=data,
            rows=self._rows,
            sampled=self.arena.get(at.SAMPLE_COUNT),
            given=dict(self.settings.given),
            triggers=[each.copy() for each in self.triggers] if self.triggers else [],
        )

    def restore(self, snapshot: protocol.Snapshot) -> None:
        """Go on from a snapshot of an engine of the same model and seed."""
        assert isinstance(snapshot, Frozen)
        self.arena.load((snapshot.rooms, snapshot.data))
        room = max(_ROWS, len(snapshot.rows))
        self._rows = np.zeros((room, self._rows.shape[1]), np.int64)
        self._rows[: snapshot.sampled] = snapshot.rows[: snapshot.sampled]
        self.settings.given = dict(snapshot.given)
        self.triggers = [each.copy() for each in snapshot.triggers]
        self._tell_rows()

    def fork(self) -> KernelEngine:
        """A second engine in the same state."""
        twin = KernelEngine.__new__(KernelEngine)
        twin.program, twin.seed, twin._command = self.program, self.seed, self._command
        twin._places = self._places
        twin._use(self.arena.twin())
        twin._rows = self._rows
        twin.settings = Settings(twin)
        twin.restore(self.snapshot())
        return twin

    # What is to be seen.

    def _row(self) -> NDArray[np.int64]:
        row = np.zeros(self._rows.shape[1], np.int64)
        self.do(do.GATHER, int(row.ctypes.data))
        return row

    def gauges(self) -> dict[str, float]:
        """Every column, now."""
        row = self._row()
        return {
            column.name: float(values(row[index : index + 1], column.kind)[0])
            for index, column in enumerate(self.program.columns)
        }

    def total(self, columns: Sequence[str]) -> float:
        """The sum of these columns, now."""
        row, asked = self._row(), tuple(columns)
        if asked not in self._places:
            known = {each.name: i for i, each in enumerate(self.program.columns)}
            self._places[asked] = [(known[c], self.program.columns[known[c]].kind) for c in asked]
        return sum(
            float(values(row[index : index + 1], kind)[0]) for index, kind in self._places[asked]
        )

    def samples(self) -> protocol.Samples:
        """Every column at every sample so far."""
        taken = self.arena.get(at.SAMPLE_COUNT)
        times = np.arange(taken, dtype=np.int64) * self.arena.get(at.SAMPLE_PERIOD)
        columns = {
            column.name: values(self._rows[:taken, index], column.kind)
            for index, column in enumerate(self.program.columns)
        }
        return protocol.Samples(t=times.astype(np.float64) / 1e9, columns=columns)

    def items(self) -> list[protocol.Item]:
        """What is in flight, by serial."""
        return items_of(self)

    def check(self) -> list[str]:
        """What violates an invariant; empty unless the engine has a bug."""
        self._row()  # brings the integrals up to now
        return checked(self)
