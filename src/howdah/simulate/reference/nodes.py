"""Nodes: release, fill and cache, gate and choice.

Owns routing and admission. Must never keep an item.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from howdah.simulate import model, numbers
from howdah.simulate.reference.brain import Brain
from howdah.simulate.reference.machine import Event, seconds
from howdah.simulate.reference.places import Place

if TYPE_CHECKING:
    from howdah.simulate.reference.graph import Graph
    from howdah.simulate.reference.items import Item
    from howdah.simulate.reference.pool import Pool

NEVER = 1e9  # seconds


class Node:
    """An element without events."""

    def __init__(self, graph: Graph, name: str, number: int) -> None:
        self.graph = graph
        self.machine = graph.machine
        self.name = name
        self.number = number

    def happen(self, event: Event) -> bool:
        """Nothing is ever scheduled for a node."""
        raise NotImplementedError(event.kind)

    def gauges(self) -> tuple[float, ...]:
        """The columns, in order."""
        return ()


class Release(Node):
    """Gives a ticket back."""

    def __init__(self, graph: Graph, name: str, number: int, given: model.Release) -> None:
        super().__init__(graph, name, number)
        self.to = given.to
        self._pool = given.pool

    def enter(self, item: Item) -> None:
        """The item goes on first, then those who got its ticket."""
        pool: Pool = self.graph.elements[self._pool]
        self.machine.then(self.graph.enter, item, self.to)
        pool.release(item)


class Cache(Node):
    """The keys used last."""

    def __init__(self, graph: Graph, name: str, number: int, given: model.Cache) -> None:
        super().__init__(graph, name, number)
        self._given = given
        self.hits = self.misses = 0
        self._keys: dict[int, None] = {}  # in the order of their last use
        if given.full:
            self.fill()

    def enter(self, item: Item) -> None:
        """A hit or a miss."""
        hit = item.key in self._keys
        self.hits += hit
        self.misses += not hit
        if hit:
            self._use(item.key)
        self.machine.then(self.graph.enter, item, self._given.hit if hit else self._given.miss)

    def _use(self, key: int) -> None:
        self._keys.pop(key, None)
        self._keys[key] = None

    def store(self, key: int) -> None:
        """The key is the last used; the one used longest ago may be forgotten."""
        self._use(key)
        if len(self._keys) > self._given.entries:
            del self._keys[next(iter(self._keys))]

    def fill(self) -> None:
        """As at the start, when it starts full."""
        self._keys = dict.fromkeys(range(self._given.entries - 1, -1, -1))

    def flush(self) -> None:
        """Everything is forgotten."""
        self._keys.clear()

    def gauges(self) -> tuple[float, ...]:
        """Hits, misses."""
        return float(self.hits), float(self.misses)


class Fill(Node):
    """Stores a key."""

    def __init__(self, graph: Graph, name: str, number: int, given: model.Fill) -> None:
        super().__init__(graph, name, number)
        self._given = given

    def enter(self, item: Item) -> None:
        """Store it and go on."""
        self.graph.elements[self._given.cache].store(item.key)
        self.machine.then(self.graph.enter, item, self._given.to)


class Gate(Node):
    """A policy admits or refuses."""

    def __init__(self, graph: Graph, name: str, number: int, given: model.Gate) -> None:
        super().__init__(graph, name, number)
        self._given = given
        self.policy = Brain(graph, name, given.policy)
        self._admit = numbers.number(f"{name}/admit")
        self.admitted = self.refused = 0
        self.inflight = self.awaited = 0
        self.open = 0.0  # admits everybody

    def _watched(self) -> list[float]:
        if self._given.watch is None:
            return [0.0] * 7
        place: Place = self.graph.elements[self._given.watch]
        counts = (place.waiting, place.inside, place.limit, place.entered, place.left)
        return [*map(float, counts), place.started, seconds(place.wait_sum)]

    def enter(self, item: Item) -> None:
        """Ask the policy."""
        if self.open > 0 or self._admits(item):
            self._let_in(item)
        else:
            self.refused += 1
            self.machine.then(self.graph.reject, item)

    def _admits(self, item: Item) -> bool:
        now, client, deadline = self.machine.now, item.request.client, item.request.deadline
        left = NEVER if deadline is None else seconds(deadline - now)
        about = [seconds(now), client.group, item.attempt, client.band, left]
        view = [*about, self.inflight, self.awaited, *self._watched()]
        return self.policy.ask("admit", view, self.machine.draw(item, self._admit)) > 0

    def _let_in(self, item: Item) -> None:
        self.admitted += 1
        if self not in item.gates:
            item.gates.add(self)
            self.inflight += 1
            self.awaited += item.awaited
        self.machine.then(self.graph.enter, item, self._given.to)

    def observe(self, item: Item, outcome: int) -> None:
        """Tell the policy how the client took an attempt that passed here."""
        if self.policy.has("observe"):
            now, group = self.machine.now, item.request.client.group
            view = [seconds(now), seconds(now - item.created), outcome, group, item.attempt]
            view += [self.inflight, self.awaited, *self._watched()]
            self.policy.ask_apart("observe", view)

    def gauges(self) -> tuple[float, ...]:
        """Admitted, refused, inflight."""
        return float(self.admitted), float(self.refused), float(self.inflight)


class Choice(Node):
    """One of several ways."""

    def __init__(self, graph: Graph, name: str, number: int, given: model.Choice) -> None:
        super().__init__(graph, name, number)
        self._given = given
        self.weights = list(given.weights) or [1.0] * len(given.to)
        self.policy = Brain(graph, name, given.policy) if given.policy else None
        self._route = numbers.number(f"{name}/route")
        self.inflight = [0] * len(given.to)

    def enter(self, item: Item) -> None:
        """Choose, and send it on."""
        way = self._way(item)
        if self.policy:
            if self in item.ways:
                self.inflight[item.ways[self]] -= 1
            item.ways[self] = way
            self.inflight[way] += 1
        self.machine.then(self.graph.enter, item, self._given.to[way])

    def _way(self, item: Item) -> int:
        last = len(self._given.to) - 1
        if self._given.by_group:
            return min(item.request.client.group, last)
        u = self.machine.draw(item, self._route)
        if self.policy:
            return max(0, min(int(self.policy.ask("route", self._view(item), u)), last))
        total = below = 0.0
        for weight in self.weights:
            total += weight
        for way, weight in enumerate(self.weights):
            below += weight
            if below > u * total:
                return way
        return last

    def _view(self, item: Item) -> list[float]:
        now, group = seconds(self.machine.now), item.request.client.group
        view = [now, group, item.attempt, len(self._given.to), sum(item.taken.values())]
        for name, inflight in zip(self._given.to, self.inflight, strict=True):
            inside = getattr(self.graph.elements.get(name), "inside", 0)
            view += [inside, inflight]
        return view
