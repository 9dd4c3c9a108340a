"""What every client does: requests, attempts, timeouts, hedges, retries.

Owns the client's side of a request. Must never know what happens inside the graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from howdah.simulate import model, numbers
from howdah.simulate.reference.items import Item, Request
from howdah.simulate.reference.machine import (
    HEDGE,
    RETRY,
    TIMEOUT,
    VISITS,
    Event,
    duration,
    seconds,
)
from howdah.simulate.reference.retries import Advised, Ruled

if TYPE_CHECKING:
    from howdah.simulate.reference.graph import Graph

OK, TIMED_OUT, REJECTED = range(3)
TWIN = 2048  # where a hedge's visits count from


class Client:
    """See semantics.md: a request starts, an attempt is created, the client hears."""

    def __init__(self, graph: Graph, name: str, number: int, given: model.Client) -> None:
        self.graph = graph
        self.machine = graph.machine
        self.name = name
        self.number = number
        self.to = given.to
        self.timeout = given.timeout
        self.muted = 0.0  # no retries, no hedges
        self.deadline = given.deadline
        self.hedge_after = given.hedge_after
        self.cancels = given.cancels
        self.mutation = given.mutation
        self.band = given.band
        self.group = given.group
        self._purposes: dict[str, int] = {}
        self.retry = self._retry(given.retry)
        self._demand = numbers.law(given.demand)
        self._keys = numbers.key_table(given.keys) if given.keys else None
        self.requests = self.attempts = self.succeeded = self.failed = 0
        self.timed_out = self.rejected = self.retries = self.wasted = 0
        self.open = self.waiting = self.latency_sum = 0
        self.awaited = 0  # attempts it waits for
        self.peak = 0  # of open requests, since a controller last looked

    def _retry(self, given: model.Retry | model.Policy | None) -> Ruled | Advised | None:
        if isinstance(given, model.Retry):
            return Ruled(self, given)
        return Advised(self, given) if given else None

    def begin(self) -> None:
        """Schedule what happens first."""
        raise NotImplementedError

    def inject(self, count: int) -> None:
        """So many requests (sessions) at once."""
        for _ in range(count):
            self.machine.then(self.request)

    @property
    def limit(self) -> float:
        """What a controller sets."""
        raise NotImplementedError

    def set_limit(self, value: float) -> None:
        """Set it."""
        raise NotImplementedError

    # A request and its attempts.

    def purpose(self, purpose: str) -> int:
        """The number of a purpose of draws."""
        if purpose not in self._purposes:
            self._purposes[purpose] = numbers.number(f"{self.name}/{purpose}")
        return self._purposes[purpose]

    def new_request(self) -> Request:
        """The next request, numbered, with its demand and key."""
        n = self.requests
        self.requests += 1
        self.open += 1
        self.peak = max(self.peak, self.open)
        now = self.machine.now
        deadline = None if self.deadline is None else now + duration(self.deadline)
        world = numbers.world(self.machine.root, numbers.number(self.name), n)
        request = Request(self, n, world, now, deadline)
        self._equip(request, 0)
        return request

    def _equip(self, request: Request, b: int) -> None:
        draw = self.machine.draw_at
        request.demand = self._demand.draw(draw(request.world, self.purpose("demand"), b))
        if self._keys:
            u = draw(request.world, self.purpose("key"), b)
            request.key = numbers.key_of(self._keys, u)

    def request(self) -> None:
        """A request starts, that no user and no session waits for."""
        self.attempt(self.new_request(), 0)

    def attempt(self, request: Request, number: int, *, twin: bool = False) -> None:
        """An attempt is created and enters the graph."""
        self.attempts += 1
        item = self._item(request, number, twin=twin)
        self.graph.items[item.serial] = item
        request.waited.append(item)
        self.awaited += 1
        if item.expires is not None:
            self.machine.schedule(item.expires, TIMEOUT, self, item.serial, item)
        if self.hedge_after is not None and not twin:
            due = self.machine.now + duration(self.hedge_after)
            self.machine.schedule(due, HEDGE, self, item.serial, item)
        self.machine.then(self.graph.enter, item, self.to)

    def _item(self, request: Request, number: int, *, twin: bool) -> Item:
        serial = self.machine.serials
        self.machine.serials += 1
        ends = [] if self.timeout is None else [self.machine.now + duration(self.timeout)]
        ends += [] if request.deadline is None else [request.deadline]
        return Item(
            serial=serial,
            request=request,
            attempt=number,
            created=self.machine.now,
            expires=min(ends, default=None),
            demand=request.demand,
            remaining=request.demand,
            key=request.key,
            visits=TWIN if twin else 0,
        )

    # What happens to them.

    def happen(self, event: Event) -> bool:
        """A timeout, a hedge or a retry."""
        if event.kind == RETRY:
            self._again(*event.subject)
            return True
        item: Item = event.subject
        if not item.awaited:
            return False
        if event.kind == HEDGE and self.muted > 0:
            return False
        if event.kind == HEDGE:
            self.attempt(item.request, item.attempt, twin=True)
            return True
        if self.cancels:
            self.graph.withdraw(item)
        self.hear(item, TIMED_OUT)
        return True

    def _again(self, request: Request, number: int) -> None:
        self.waiting -= 1
        self.retries += 1
        b = VISITS * number
        if self.mutation > 0:
            u = self.machine.draw_at(request.world, self.purpose("mutation"), b)
            if u < self.mutation:
                self._equip(request, b)
        self.attempt(request, number)

    def keeps(self, item: Item) -> bool:  # noqa: ARG002 - agentic clients look at it
        """Whether the tickets of a successful item stay held."""
        return False

    def hear(self, item: Item, outcome: int) -> None:
        """The client learns how an attempt that it waits for ended."""
        request = item.request
        self._wait_no_longer(item, outcome)
        self.timed_out += outcome == TIMED_OUT
        self.rejected += outcome == REJECTED
        if self.retry:
            self.retry.observe(item, outcome)
        if outcome == OK:
            self._succeed(request)
        elif not request.waited:
            self._retry_or_fail(item, outcome)

    def _wait_no_longer(self, item: Item, outcome: int | None) -> None:
        item.request.waited.remove(item)
        self.awaited -= 1
        for gate in sorted(item.gates, key=lambda one: one.number):
            gate.awaited -= 1
            if outcome is not None:
                gate.observe(item, outcome)

    def _succeed(self, request: Request) -> None:
        if self.retry:
            self.retry.succeeded()
        for twin in list(request.waited):
            self._wait_no_longer(twin, None)
        self.succeeded += 1
        self.latency_sum += self.machine.now - request.started
        self._end(request, succeeded=True)

    def _retry_or_fail(self, item: Item, outcome: int) -> None:
        retry = None if self.muted > 0 else self.retry
        delay = retry.delay(item, outcome) if retry else None
        if delay is None:
            self.failed += 1
            self._end(item.request, succeeded=False)
            return
        self.waiting += 1
        item.request.delay = delay
        subject = (item.request, item.attempt + 1)
        due = self.machine.now + delay
        self.machine.schedule(due, RETRY, self, item.request.number, subject)

    def _end(self, request: Request, *, succeeded: bool) -> None:
        self.open -= 1
        self.ended(request, succeeded=succeeded)

    def ended(self, request: Request, *, succeeded: bool) -> None:
        """What the client does after a request."""

    # What others see.

    @property
    def used(self) -> int:
        """Open requests."""
        return self.open

    def figures(self) -> tuple[int, int, int, int, int, int, int]:
        """Releases, waiting, entered, left, sum of waits (ns), started, completions."""
        done = self.succeeded
        return done, self.waiting, self.attempts, done, self.latency_sum, self.requests, done

    def gauges(self) -> tuple[float, ...]:
        """The columns, in order."""
        counted = (self.requests, self.attempts, self.succeeded, self.failed, self.timed_out)
        more = (self.rejected, self.retries, self.wasted, self.open, self.waiting)
        return (*map(float, (*counted, *more)), seconds(self.latency_sum), float(self.limit))

    def check(self) -> list[str]:
        """What is violated."""
        if self.requests == self.succeeded + self.failed + self.open:
            return []
        return [f"{self.name}: requests are not succeeded + failed + open"]
