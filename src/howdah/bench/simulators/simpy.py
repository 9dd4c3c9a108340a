"""SimPy: processes as generators over a resource.

Owns its contender only. Written as SimPy's documentation writes such models: a process for the
source, one for each attempt; the server's work goes on when the client has given up.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from importlib.metadata import version
from typing import Any

from howdah.bench.simulator import SINGLE_SERVER_RATE, STORM, Counts, Load, Simulator

Process = Generator[Any, Any, None]


class SimPy(Simulator):
    """A process a customer."""

    name = "simpy"
    what = "processes as generators, a resource with one server"
    loads = frozenset(Load)
    package = "simpy"

    def version(self) -> str:
        return version("simpy")

    def run(self, load: Load, seconds: float, seed: int) -> Counts:
        import simpy

        environment = simpy.Environment()
        world = _World(environment, simpy.Resource(environment), random.Random(seed))
        environment.process(world.storm() if load is Load.RETRY_STORM else world.single())
        environment.run(until=seconds)
        return Counts(
            requests=world.requests,
            retries=world.retries,
            served=world.served,
            answered=world.answered,
        )


class _World:
    """The processes, and what they count."""

    def __init__(self, environment: Any, server: Any, draw: random.Random) -> None:
        self._environment = environment
        self._server = server
        self._draw = draw
        self.requests = self.retries = self.served = self.answered = 0

    def single(self) -> Process:
        """Arrivals at a steady rate."""
        while True:
            yield self._environment.timeout(self._draw.expovariate(SINGLE_SERVER_RATE))
            self.requests += 1
            self._environment.process(self._served_once())

    def _served_once(self) -> Process:
        with self._server.request() as turn:
            yield turn
            yield self._environment.timeout(self._draw.expovariate(1.0))
        self.served += 1
        self.answered += 1

    def storm(self) -> Process:
        """Arrivals with the burst."""
        while True:
            now = self._environment.now
            burst = STORM.burst if STORM.burst_from <= now < STORM.burst_until else 1.0
            yield self._environment.timeout(self._draw.expovariate(STORM.rate * burst))
            self.requests += 1
            self._environment.process(self._asked())

    def _asked(self) -> Process:
        """A request: attempts until one is answered in time, or no more are allowed."""
        for attempt in range(STORM.retries + 1):
            self.retries += attempt > 0
            if len(self._server.queue) + self._server.count < STORM.capacity:
                done = self._environment.process(self._worked())
                yield done | self._environment.timeout(STORM.timeout)
                if done.processed:
                    self.answered += 1
                    return
            if attempt < STORM.retries:
                yield self._environment.timeout(self._draw.random() * STORM.backoff)

    def _worked(self) -> Process:
        """The server's side: nobody tells it that the client is gone."""
        with self._server.request() as turn:
            yield turn
            yield self._environment.timeout(self._draw.expovariate(1 / STORM.service))
        self.served += 1


SIMULATORS = (SimPy(),)
