"""Crews: the slots of a worker process that run claims, in threads, on an event loop, in processes.

Owns the slots and what they do with one claim. Must never talk to the database: claims come in by
`give`, acks go out by the function that the crew was made with.
"""

from __future__ import annotations

import asyncio
import logging
import queue as queues
import threading
from collections.abc import Callable
from typing import Protocol

import msgspec

from howdah.clock import Clock
from howdah.queue.desk import Assignment, JobRow
from howdah.queue.handler import Fatal
from howdah.queue.model import Ack
from howdah.queue.rights import Right
from howdah.queue.running import Outcome, Runner, by_kind, failure

LOGGER = logging.getLogger("howdah.queue")
ACK_AFTER_SECONDS = 0.5  # a claim that takes longer is acknowledged in parts


class Given(msgspec.Struct, frozen=True):
    """A claim with its payloads."""

    assignment: Assignment
    rows: list[JobRow]
    right: Right


class Crew(Protocol):
    """Slots of one kind; to the dispatcher each crew is a worker of its own."""

    name: str
    slots: int
    kinds: tuple[str, ...]

    def start(self) -> None:
        """Begin to take claims."""

    def give(self, given: Given) -> None:
        """Hand a claim in; it runs as soon as a slot is free."""

    def release_stuck(self) -> None:
        """Give back claims that wait behind slots which do not come free."""

    def drain(self) -> None:
        """Start nothing more: what has not begun is released."""

    def join(self, seconds: float) -> bool:
        """Wait until every slot has ended; whether they have."""


class SlotCrew:
    """What crews have in common whose slots are threads of this process, each at one claim."""

    def __init__(
        self,
        name: str,
        slots: int,
        kinds: tuple[str, ...],
        *,
        send: Callable[[Ack], None],
        ended: Callable[[Right], None],
        clock: Clock,
    ) -> None:
        self.name, self.slots, self.kinds = name, slots, kinds
        self._ended = ended
        self._send = send
        self._clock = clock
        self._inbox: queues.SimpleQueue[Given | None] = queues.SimpleQueue()
        self._begun = self._begun_before = 0
        self._draining = threading.Event()
        self._threads = [
            threading.Thread(target=self._slot, name=f"{name}-{number}", daemon=True)
            for number in range(slots)
        ]

    def start(self) -> None:
        """Begin to take claims."""
        for thread in self._threads:
            thread.start()

    def give(self, given: Given) -> None:
        """Hand a claim in."""
        self._inbox.put(given)

    def release_stuck(self) -> None:
        """Give back what waits, if no slot has begun anything since the last call.

        Claims come ahead of free slots; when all slots are at slow jobs, others may be free.
        """
        if self._begun != self._begun_before:
            self._begun_before = self._begun
            return
        while (given := self._waiting()) is not None:
            released = tuple(row.position for row in given.rows)
            self._send(Outcome(self.name, given.assignment).ack(released))
            self._ended(given.right)

    def drain(self) -> None:
        """Start nothing more."""
        self._draining.set()
        for _ in self._threads:
            self._inbox.put(None)

    def join(self, seconds: float) -> bool:
        """Wait until every slot has ended."""
        until = self._clock.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - self._clock.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _slot(self) -> None:
        while (given := self._inbox.get()) is not None:
            self._begun += 1
            try:
                self._run(given)
            except BaseException as error:
                LOGGER.exception("a slot failed beside its handler")
                self._send(unreported(self.name, given.assignment, error))
            self._ended(given.right)

    def _run(self, given: Given) -> None:
        raise NotImplementedError

    def _waiting(self) -> Given | None:
        try:
            given = self._inbox.get_nowait()
        except queues.Empty:
            return None
        if given is None:  # draining: the slot that it was meant for still needs it
            self._inbox.put(None)
        return given


class ThreadCrew(SlotCrew):
    """Each slot is a thread that runs the handlers itself."""

    def __init__(
        self,
        name: str,
        slots: int,
        kinds: tuple[str, ...],
        *,
        runner: Runner,
        batches: dict[str, Callable[..., None]],
        send: Callable[[Ack], None],
        ended: Callable[[Right], None],
        clock: Clock,
    ) -> None:
        super().__init__(name, slots, kinds, send=send, ended=ended, clock=clock)
        self._runner = runner
        self._batches = batches

    def _run(self, given: Given) -> None:
        outcome = Outcome(self.name, given.assignment)
        released: list[int] = []
        now = reported_at = self._clock.monotonic()
        for kind, rows in by_kind(given.rows):
            began = now
            batch = self._batches.get(kind)
            if batch is not None and not self._draining.is_set():
                begun = [row for row in rows if given.right.holds(row.row, now)]
                rows = [row for row in rows if row not in begun]
                if begun:
                    batch(given.assignment, begun, outcome)
            for row in rows:
                if self._draining.is_set() or not given.right.holds(row.row, now):
                    released.append(row.position)
                    continue
                self._runner.run(given.assignment, row, outcome)
                now = self._clock.monotonic()
                if now > reported_at + ACK_AFTER_SECONDS and row is not given.rows[-1]:
                    outcome.took(kind, now - began)
                    began = reported_at = now
                    self._send(outcome.ack())
            now = self._clock.monotonic()
            outcome.took(kind, now - began)
        vanish(given, outcome)
        self._send(outcome.ack(tuple(released)))


class AsyncCrew:
    """Each slot is a task on one event loop, which has a thread of its own."""

    def __init__(
        self,
        name: str,
        slots: int,
        kinds: tuple[str, ...],
        *,
        runner: Runner,
        send: Callable[[Ack], None],
        ended: Callable[[Right], None],
        clock: Clock,
    ) -> None:
        self.name, self.slots, self.kinds = name, slots, kinds
        self._ended = ended
        self._runner = runner
        self._send = send
        self._clock = clock
        self._draining = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run_loop, name=name, daemon=True)

    def start(self) -> None:
        """Begin to take claims."""
        self._thread.start()

    def give(self, given: Given) -> None:
        """Hand a claim in; the dispatcher gives no more of them than there are slots."""
        if not self._draining.is_set():
            self._loop.call_soon_threadsafe(self._begin, given)

    def release_stuck(self) -> None:
        """Nothing waits here: every claim has a task at once."""

    def drain(self) -> None:
        """Start nothing more."""
        self._draining.set()
        self._loop.call_soon_threadsafe(self._stop_when_done)

    def join(self, seconds: float) -> bool:
        """Wait until every task has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def _begin(self, given: Given) -> None:
        task = self._loop.create_task(self._run(given))
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._finished(task, given))

    def _finished(self, task: asyncio.Task[None], given: Given) -> None:
        self._tasks.discard(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None:
            LOGGER.error("a task failed beside its handler", exc_info=error)
            self._send(unreported(self.name, given.assignment, error))
        self._ended(given.right)
        if self._draining.is_set():
            self._stop_when_done()

    def _stop_when_done(self) -> None:
        if not self._tasks:
            self._loop.stop()

    async def _run(self, given: Given) -> None:
        outcome = Outcome(self.name, given.assignment)
        released: list[int] = []
        reported_at = self._clock.monotonic()
        for row in given.rows:
            began = self._clock.monotonic()
            if self._draining.is_set() or not given.right.holds(row.row, began):
                released.append(row.position)
                continue
            await self._runner.run_async(given.assignment, row, outcome)
            now = self._clock.monotonic()
            outcome.took(row.kind, now - began)
            if now > reported_at + ACK_AFTER_SECONDS and row is not given.rows[-1]:
                reported_at = now
                self._send(outcome.ack())
        vanish(given, outcome)
        self._send(outcome.ack(tuple(released)))


def vanish(given: Given, outcome: Outcome) -> None:
    """Report jobs whose rows are nowhere: for a person to see, and not to wait for ever."""
    if len(given.rows) == len(given.assignment.rows):
        return
    there = {row.position for row in given.rows}
    for position, row in enumerate(given.assignment.rows):
        if position not in there:
            LOGGER.error("row %s of claim %s is nowhere", row, given.assignment.claim)
            outcome.failed(position, Fatal("the job's row is nowhere"))


def unreported(worker: str, assignment: Assignment, error: BaseException) -> Ack:
    """Fail what is not reported of a claim; what was is past changing."""
    failed = [failure(position, error) for position in range(len(assignment.rows))]
    return Ack(worker, assignment.generation, assignment.ordinal, 0.0, [], failed)
