"""A loop over Python's heapq, written for one model: what people write by hand.

Owns its contender only. It does the least that the model asks for: no statistics beyond the
counts, no classes, no general elements.
"""

from __future__ import annotations

import platform
import random
from collections import deque
from heapq import heappop, heappush

from howdah.bench.simulator import SINGLE_SERVER_RATE, STORM, Counts, Load, Simulator

_ARRIVAL, _DONE, _TIMEOUT, _RETRY = range(4)


class PythonHeap(Simulator):
    """Tuples on a heap, one function a model."""

    name = "heapq"
    what = "a loop over Python's heapq, written for this model alone"
    loads = frozenset(Load)

    def version(self) -> str:
        return f"Python {platform.python_version()}"

    def run(self, load: Load, seconds: float, seed: int) -> Counts:
        draw = random.Random(seed)
        if load is Load.SINGLE_SERVER:
            return _single(seconds, draw)
        storm = _Storm(draw)
        storm.run(seconds)
        return Counts(
            requests=storm.requests,
            retries=storm.retries,
            served=storm.served,
            answered=storm.answered,
        )


def _single(seconds: float, draw: random.Random) -> Counts:
    waiting = requests = served = 0
    heap = [(draw.expovariate(SINGLE_SERVER_RATE), 0, _ARRIVAL)]
    sequence = 1
    while True:
        now, _, kind = heappop(heap)
        if now > seconds:
            return Counts(requests=requests, retries=0, served=served, answered=served)
        if kind == _ARRIVAL:
            requests += 1
            heappush(heap, (now + draw.expovariate(SINGLE_SERVER_RATE), sequence, _ARRIVAL))
            waiting += 1
            starts = waiting == 1
        else:
            served += 1
            waiting -= 1
            starts = waiting > 0
        if starts:
            heappush(heap, (now + draw.expovariate(1.0), sequence + 1, _DONE))
        sequence += 2


class _Storm:
    """The retry storm. An attempt is a list: its number, and 1 while its client waits for it."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._heap: list[tuple[float, int, int, list[int]]] = []
        self._line: deque[list[int]] = deque()
        self._sequence = self.requests = self.retries = self.served = self.answered = 0

    def run(self, seconds: float) -> None:
        """Until so many seconds of the model's time."""
        happens = (self._arrive, self._finish, self._give_up, self._repeat)
        self._schedule(0.0, _ARRIVAL, [])
        while True:
            now, _, kind, attempt = heappop(self._heap)
            if now > seconds:
                return
            happens[kind](now, attempt)

    def _schedule(self, at: float, kind: int, attempt: list[int]) -> None:
        self._sequence += 1
        heappush(self._heap, (at, self._sequence, kind, attempt))

    def _arrive(self, now: float, _: list[int]) -> None:
        self.requests += 1
        burst = STORM.burst if STORM.burst_from <= now < STORM.burst_until else 1.0
        self._schedule(now + self._draw.expovariate(STORM.rate * burst), _ARRIVAL, _)
        self._enter(now, [0, 1])

    def _repeat(self, now: float, attempt: list[int]) -> None:
        self.retries += 1
        self._enter(now, attempt)

    def _enter(self, now: float, attempt: list[int]) -> None:
        if len(self._line) >= STORM.capacity:
            self._failed(now, attempt)
            return
        self._schedule(now + STORM.timeout, _TIMEOUT, attempt)
        self._line.append(attempt)
        if len(self._line) == 1:
            self._serve(now)

    def _serve(self, now: float) -> None:
        self._schedule(now + self._draw.expovariate(1 / STORM.service), _DONE, self._line[0])

    def _finish(self, now: float, attempt: list[int]) -> None:
        self.served += 1
        self.answered += attempt[1]
        attempt[1] = 0
        self._line.popleft()
        if self._line:
            self._serve(now)

    def _give_up(self, now: float, attempt: list[int]) -> None:
        if attempt[1]:
            attempt[1] = 0
            self._failed(now, attempt)

    def _failed(self, now: float, attempt: list[int]) -> None:
        if attempt[0] < STORM.retries:
            again = now + self._draw.random() * STORM.backoff
            self._schedule(again, _RETRY, [attempt[0] + 1, 1])


SIMULATORS = (PythonHeap(),)
