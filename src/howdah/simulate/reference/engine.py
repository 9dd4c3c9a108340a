"""The reference engine as `simulate.engine.Engine` describes it.

Owns the loop over events and samples, and snapshots. Must never interpret a model: the graph does.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from howdah.simulate import engine as protocol
from howdah.simulate import model as models
from howdah.simulate import numbers
from howdah.simulate.columns import columns
from howdah.simulate.parts import flatten
from howdah.simulate.reference.clients import Client
from howdah.simulate.reference.graph import Graph
from howdah.simulate.reference.machine import Machine, duration, seconds
from howdah.simulate.reference.places import Place
from howdah.simulate.reference.settings import write
from howdah.simulate.reference.triggers import Trigger

if TYPE_CHECKING:
    from howdah.simulate.reference.items import Item, Request


@dataclass
class State:
    """All that changes while a model runs."""

    graph: Graph
    triggers: list[Trigger]
    sampled: int = 0  # samples taken


@dataclass(frozen=True)
class Frozen:
    """A snapshot."""

    state: State
    now_ns: int
    events: int
    size: int


class ReferenceEngine:
    """One running instance of a model, in plain Python."""

    name = "reference"

    def __init__(self, model: models.Model, seed: int) -> None:
        self.model = flatten(model)
        self.seed = seed
        given = self.model.horizon / 1000 if self.model.sample is None else self.model.sample
        self._period = max(1, duration(given))
        graph = Graph(self.model, seed)
        numbers_from = len(graph.elements)
        triggers = [
            Trigger(graph, numbers_from + index, trigger)
            for index, trigger in enumerate(self.model.triggers)
        ]
        graph.start()
        for trigger in triggers:
            trigger.begin()
        self._state = State(graph, triggers)
        self._names = columns(self.model)
        self._rows: list[tuple[float, ...]] = []

    # Where it is.

    @property
    def _machine(self) -> Machine:
        return self._state.graph.machine

    @property
    def now_ns(self) -> int:
        """The time up to which everything has happened."""
        return self._machine.now

    @property
    def events(self) -> int:
        """Events that happened."""
        return self._machine.events

    @property
    def cancelled(self) -> int:
        """Events that no longer applied."""
        return self._machine.cancelled

    @property
    def hash(self) -> int:
        """The hash of all events that happened."""
        return self._machine.hash

    # Going on.

    def advance(self, until_ns: int, most_events: int | None = None) -> bool:
        """Let everything up to and including `until_ns` happen; True when it was reached."""
        machine = self._machine
        last = None if most_events is None else machine.events + most_events
        while True:
            due = machine.due(until_ns)
            sample_at = self._state.sampled * self._period
            if sample_at <= until_ns and not (due and machine.next_time <= sample_at):
                machine.now = max(machine.now, sample_at)
                self._sample()
            elif not due:
                break
            elif last is not None and machine.events >= last:
                return False
            else:
                machine.step()
        machine.now = max(machine.now, until_ns)
        return True

    def _sample(self) -> None:
        self._state.sampled += 1
        row = self._row()
        self._rows.append(row)
        if self._state.triggers:
            sample = dict(zip(self._names, row, strict=True))
            for trigger in self._state.triggers:
                trigger.look(sample)

    # Interventions.

    def set(self, path: str, value: float | str) -> None:
        """Change a setting now."""
        write(self._state.graph, path, value)
        self._machine.work()

    def inject(self, client: str, count: int) -> None:
        """So many requests (sessions) start now."""
        self._state.graph.client(client).inject(count)
        self._machine.work()

    def flush(self, cache: str) -> None:
        """The cache forgets everything."""
        self._state.graph.cache(cache).flush()

    def drop(self, element: str) -> None:
        """Everybody who waits there is rejected."""
        self._state.graph.drop(element)
        self._machine.work()

    def reseed(self, seed: int) -> None:
        """All further draws are new ones; what was drawn stays."""
        graph, machine = self._state.graph, self._machine
        machine.root = numbers.root(seed)
        found: dict[int, Request] = {}
        for request in graph.requests():
            found[id(request)] = request
        for request in found.values():
            request.world = numbers.mix((request.world + machine.root) & numbers.MASK)

    # Snapshots.

    def snapshot(self) -> Frozen:
        """The state now, independent of what happens later."""
        size = 2000 * (1 + len(self._state.graph.items))
        return Frozen(self._copy(self._state), self.now_ns, self.events, size)

    def restore(self, snapshot: protocol.Snapshot) -> None:
        """Go on from a snapshot of an engine of the same model and seed."""
        assert isinstance(snapshot, Frozen)
        self._state = self._copy(snapshot.state)
        del self._rows[self._state.sampled :]

    def fork(self) -> ReferenceEngine:
        """A second engine in the same state."""
        twin = ReferenceEngine.__new__(ReferenceEngine)
        twin.__dict__.update(self.__dict__)
        twin._state = self._copy(self._state)
        twin._rows = list(self._rows)
        return twin

    def _copy(self, state: State) -> State:
        return deepcopy(state, {id(self.model): self.model})

    # What is to be seen.

    def _row(self) -> tuple[float, ...]:
        return tuple(x for one in self._state.graph.elements.values() for x in one.gauges())

    def gauges(self) -> dict[str, float]:
        """Every column, now."""
        return dict(zip(self._names, self._row(), strict=True))

    def total(self, columns: Sequence[str]) -> float:
        """The sum of these columns, now."""
        known = self.gauges()
        return sum(known[name] for name in columns)

    def samples(self) -> protocol.Samples:
        """Every column at every sample so far."""
        import numpy as np

        table = np.array(self._rows, dtype=np.float64).reshape(len(self._rows), len(self._names))
        times = [seconds(index * self._period) for index in range(len(self._rows))]
        arrays = {name: table[:, index].copy() for index, name in enumerate(self._names)}
        return protocol.Samples(t=np.array(times, dtype=np.float64), columns=arrays)

    def items(self) -> list[protocol.Item]:
        """What is in flight, by serial."""
        live = self._state.graph.items
        return [_told(live[serial]) for serial in sorted(live)]

    def check(self) -> list[str]:
        """What violates an invariant; empty unless the engine has a bug."""
        graph = self._state.graph
        counted: list[Client | Place] = [*graph.clients, *graph.places]
        return [wrong for one in counted for wrong in one.check()]


def _told(item: Item) -> protocol.Item:
    """Where an item is: the place it entered last."""
    place = None if item.ended else next(reversed(item.since), None)
    return protocol.Item(
        serial=item.serial,
        client=item.request.client.name,
        request=item.request.number,
        attempt=item.attempt,
        element=place.name if place else "",
        since_ns=item.since[place] if place else item.created,
        in_service=place is not None and item.line is None,
        waited_for=item.awaited,
        key=item.key,
    )
