"""The graph at work: elements by name, the two ends, and where an item goes next.

Owns the way of an item from element to element, and its end. Must never decide for a client.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from howdah.errors import BadInput
from howdah.simulate import model
from howdah.simulate.reference.clients import Client
from howdah.simulate.reference.closed import Closed
from howdah.simulate.reference.controllers import Controller
from howdah.simulate.reference.delay import Delay
from howdah.simulate.reference.machine import RETRY, THINK, Machine
from howdah.simulate.reference.nodes import Cache, Choice, Fill, Gate, Release
from howdah.simulate.reference.places import Place
from howdah.simulate.reference.pool import Pool
from howdah.simulate.reference.queue import Queue
from howdah.simulate.reference.sessions import Agentic, Round
from howdah.simulate.reference.sharing import Sharing
from howdah.simulate.reference.sources import Open

if TYPE_CHECKING:
    from howdah.simulate.reference.items import Item, Request

OK, TIMED_OUT, REJECTED = range(3)  # outcomes, as policies are told

KINDS: dict[type[Any], Any] = {
    model.Open: Open,
    model.Closed: Closed,
    model.Agentic: Agentic,
    model.Queue: Queue,
    model.Sharing: Sharing,
    model.Delay: Delay,
    model.Pool: Pool,
    model.Cache: Cache,
    model.Release: Release,
    model.Fill: Fill,
    model.Gate: Gate,
    model.Choice: Choice,
}


class Graph:
    """All elements of a flattened model."""

    def __init__(self, given: model.Model, seed: int) -> None:
        self.machine = Machine(seed)
        self.items: dict[int, Item] = {}  # in flight, or ended and holding tickets
        self.elements: dict[str, Any] = {}
        for name, element in (*given.clients.items(), *given.stations.items()):
            self.elements[name] = KINDS[type(element)](self, name, len(self.elements), element)
        self.clients = [one for one in self.elements.values() if isinstance(one, Client)]
        self.places = [one for one in self.elements.values() if isinstance(one, Place)]
        for name, controller in given.controllers.items():
            number = len(self.elements)
            self.elements[name] = Controller(self, name, number, controller)

    def start(self) -> None:
        """Schedule what is there at the beginning: clients, then controllers."""
        for element in self.elements.values():
            if isinstance(element, Client | Controller):
                element.begin()

    def client(self, name: str) -> Client:
        """The client of that name; raises BadInput."""
        found = self.elements.get(name)
        if not isinstance(found, Client):
            raise BadInput(f"{name} is no client of this model")
        return found

    def cache(self, name: str) -> Cache:
        """The cache of that name; raises BadInput."""
        found = self.elements.get(name)
        if not isinstance(found, Cache):
            raise BadInput(f"{name} is no cache of this model")
        return found

    def drop(self, name: str) -> None:
        """Everybody who waits there is rejected; raises BadInput."""
        found = self.elements.get(name)
        if not isinstance(found, Queue | Pool):
            raise BadInput(f"{name} is no Queue and no Pool of this model")
        for item in found.waiters():
            found.take_out(item)
            self.machine.then(self.reject, item)

    def requests(self) -> Iterator[Request]:
        """Requests that may draw again, some more than once."""
        for item in self.items.values():
            yield from _of_round(item.request)
        for event in self.machine.pending():
            if event.kind == RETRY:
                yield from _of_round(event.subject[0])
            elif event.kind == THINK and isinstance(event.subject, Round):
                assert event.subject.first
                yield event.subject.first

    def enter(self, item: Item, to: str) -> None:
        """The item arrives there."""
        if to == "reply":
            self.reply(item)
        elif to == "reject":
            self.reject(item)
        else:
            self.elements[to].enter(item)

    def reply(self, item: Item) -> None:
        """The item is answered; work for nobody if its client waits no longer."""
        client = item.request.client
        for pool in item.taken:
            pool.replied += 1
        if not client.keeps(item):
            self._release(item)
        self._end(item)
        if item.awaited:
            client.hear(item, OK)
        else:
            client.wasted += 1

    def reject(self, item: Item) -> None:
        """The item is refused, or dropped."""
        self._release(item)
        self._end(item)
        if item.awaited:
            item.request.client.hear(item, REJECTED)

    def withdraw(self, item: Item) -> None:
        """The item is taken out of the line in which it waits, and ends."""
        if item.line:
            item.line.take_out(item)
            self._release(item)
            self._end(item)

    def _release(self, item: Item) -> None:
        for pool in list(item.tickets):
            pool.release(item)

    def _end(self, item: Item) -> None:
        item.ended = True
        if not item.tickets:
            del self.items[item.serial]
        for gate in item.gates:
            gate.inflight -= 1
        for choice, way in item.ways.items():
            choice.inflight[way] -= 1


def _of_round(request: Request) -> Iterator[Request]:
    """The request, and the first of its round: its world decides for the session."""
    yield request
    if request.round and request.round.first:
        yield request.round.first
