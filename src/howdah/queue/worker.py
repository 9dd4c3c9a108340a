"""A worker process: crews that run jobs, and the threads that connect them to the database.

Owns the threads, their connections and the life of the process. Must never run a job outside of a
crew.

Threads: one *fetches* claims and payloads, one *sends* reports, one *beats* (heartbeat, deadlines,
what was taken away), one is a *candidate* for the queue's dispatcher. Each has a connection of its
own and begins anew after every error that may pass.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any

import psycopg

from howdah.clock import SYSTEM_CLOCK, Clock
from howdah.driver import run
from howdah.errors import (
    BadInput,
    CouldNot,
    Denied,
    HowdahError,
    PositionLost,
    Superseded,
    Unsupported,
    from_database,
)
from howdah.log import Log
from howdah.queue import connecting, crews, desk, store
from howdah.queue.crew import Crew, Given
from howdah.queue.crews import Shared
from howdah.queue.desk import Assignment
from howdah.queue.dispatch import Dispatching
from howdah.queue.handler import Cancelled, Registry
from howdah.queue.metrics import Metrics, Process
from howdah.queue.model import Claim, ClaimId, Draining, Heartbeat, Left, Report
from howdah.queue.needed import Needed
from howdah.queue.options import WorkerOptions, switching
from howdah.queue.pacing import Pace
from howdah.queue.policy import QueuePolicy
from howdah.queue.registering import Registering
from howdah.queue.rights import Rights
from howdah.queue.running import Running
from howdah.queue.watching import watch

LOGGER = logging.getLogger("howdah.queue")
FENCE_SECONDS = 0.1  # how often a worker looks whether it may go on
LOOK_SECONDS = 0.5  # how soon a cancelled job is noticed by a worker beside another dispatcher
HOPELESS = (BadInput, Denied, PositionLost, Unsupported)  # for a person to put right


class Worker:
    """Runs the handlers of a queue until `stop` is called."""

    def __init__(
        self,
        queue: str,
        dsn: str,
        registry: Registry,
        policy: QueuePolicy,
        *,
        options: WorkerOptions | None = None,
        app: str | None = None,
        clock: Clock = SYSTEM_CLOCK,
        prepare: Callable[[Any], None] = lambda _: None,
        metrics: Metrics | None = None,
    ) -> None:
        self.queue = queue
        self._prepare = prepare
        self.options = options or WorkerOptions()
        self._dsn = dsn
        self._policy = policy
        self._registry = registry
        self._clock = clock
        self._log = Log(f"reports_{queue}")
        self._registering = Registering(queue, policy, self._log)
        self._name = f"{socket.gethostname()[:20]}-{os.getpid()}-{secrets.token_hex(4)}"
        self.running = Running(clock)
        self._stopping = threading.Event()
        self._done = threading.Event()
        self._wake_fetch = threading.Event()
        self._wake_send = threading.Event()
        self._wake_dispatch = threading.Event()
        self._outbox: deque[Report] = deque()
        self._values: deque[tuple[int, bool, Any]] = deque()
        self._handed: deque[tuple[str, Assignment, float]] = deque()
        self.rights = Rights(policy.lease_seconds)
        self._failure: HowdahError | None = None
        self._after = 0
        self._leading = threading.Event()
        self._taking = threading.Lock()
        self._taken: set[tuple[int, int]] = set()
        self._beaten = False
        self.dispatching: Dispatching | None = None  # while this process is the dispatcher
        self._watch = watch(queue, metrics, clock)
        self.crews = self._make_crews(app)
        if metrics is not None:
            metrics.show(Process(self))

    # Life

    def run(self) -> None:
        """Register, work until `stop`, drain, say goodbye. Blocks."""
        self._register()
        threads = [
            threading.Thread(target=self._forever, args=(loop, name), name=name, daemon=True)
            for name, loop in self._loops()
        ]
        for crew in self.crews:
            crew.start()
        for thread in threads:
            thread.start()
        with switching(self.options.switch_seconds):
            while not self._stopping.wait(FENCE_SECONDS):
                self._stop_what_lapsed()
            self._drain()
        self._done.set()
        for event in (self._wake_fetch, self._wake_send, self._wake_dispatch):
            event.set()
        for thread in threads:
            thread.join(self.options.drain_seconds)
        if self._failure is not None:
            raise self._failure

    def _stop_what_lapsed(self) -> None:
        """Stop handlers whose job may run elsewhere by now: we could not renew their lease."""
        now = self._clock.monotonic()
        for lease in self.running.leases():
            if not self.rights.may_run((lease.generation, lease.ordinal), lease.row, now):
                self.running.stop(lease, Cancelled)

    def stop(self) -> None:
        """Take no more claims, finish what runs within `drain_seconds`, release the rest."""
        self._stopping.set()

    def _loops(self) -> list[tuple[str, Callable[[psycopg.Connection[Any]], None]]]:
        loops: list[tuple[str, Callable[[psycopg.Connection[Any]], None]]]
        loops = [("fetch", self._fetch), ("send", self._send), ("beat", self._beat)]
        if self.options.dispatch:
            loops.append(("candidate", self._candidate))
        return loops

    def _make_crews(self, app: str | None) -> list[Crew]:
        shared = Shared(
            queue=self.queue,
            name=self._name,
            registry=self._registry,
            running=self.running,
            clock=self._clock,
            send=self._report,
            ended=self.rights.end,
            keep=self._keep,
            settled=self._settled,
            watch=self._watch,
        )
        return crews.make(shared, self.options, app)

    def _register(self) -> None:
        while not self._stopping.is_set():
            try:
                with closing(self._connect("register")) as connection:
                    self._after = run(connection, desk.newest_generation(self.queue))
                    self._queue_id = run(connection, store.open_queue(self.queue))
                    self._prepare(connection)
                    self._registering.make_known(connection, self.crews)
                return
            except CouldNot as error:
                LOGGER.warning("could not register: %s", error.message)
                self._stopping.wait(1.0)

    def _drain(self) -> None:
        for crew in self.crews:
            self._report(Draining(crew.name, 0.0))
            crew.drain()
        until = self._clock.monotonic() + self.options.drain_seconds
        for crew in self.crews:
            ended = crew.join(max(0.1, until - self._clock.monotonic()))
            if not ended:
                self.running.stop_all(Cancelled)
                ended = crew.join(1.0)
            # Claims that came after the crew stopped were never begun.
            self._report(Left(crew.name, 0.0, released=ended))

    def _connect(self, what: str) -> psycopg.Connection[Any]:
        return connecting.connect(self._dsn, what)

    def _forever(self, loop: Callable[[psycopg.Connection[Any]], None], name: str) -> None:
        """Run a loop on a connection of its own; begin anew after what may pass."""
        wait = 0.05
        while not self._done.is_set():
            try:
                with closing(self._connect(name)) as connection:
                    wait = 0.05
                    loop(connection)
                    return
            except (HowdahError, psycopg.Error) as raised:
                error = from_database(raised) if isinstance(raised, psycopg.Error) else raised
                if isinstance(error, HOPELESS):
                    LOGGER.error("%s stops the worker: %s", name, error)
                    self._failure = error
                    self._stopping.set()
                    self._done.wait()
                    return
                LOGGER.warning("%s begins anew: %s", name, error.message)
            except Exception:
                # A bug of ours: the others go on with what they have, and it is told.
                LOGGER.exception("%s failed and begins anew", name)
            self._done.wait(wait)
            wait = min(wait * 2, 2.0)

    # Claims

    def _fetch(self, connection: psycopg.Connection[Any]) -> None:
        """Bring claims and payloads to the crews."""
        polled_at = 0.0
        pace, wait = self._pace(), 0.0
        crews = {crew.name: crew for crew in self.crews}
        while not self._done.is_set():
            got = 0
            while self._handed:  # left there until it is given: it is nowhere else
                name, assignment, given_at = self._handed[0]
                if self._ours(connection, [assignment]):
                    got += self._give(connection, crews[name], assignment, given_at)
                self._handed.popleft()
            now = self._clock.monotonic()
            if not self._leading.is_set() and now >= polled_at + wait:
                polled_at = now
                got += self._poll(connection)
            wait = pace.wait(now, came=bool(got))
            if not self._handed:
                self._wake_fetch.wait(1.0 if self._leading.is_set() else wait)
                self._wake_fetch.clear()

    def _poll(self, connection: psycopg.Connection[Any]) -> int:
        """Read the claims of all crews at once: one place in the ledger is kept for them all."""
        crews = {crew.name: crew for crew in self.crews}
        newest = self._after
        got = 0
        asked_at = self._clock.monotonic()
        every = run(connection, desk.claims(self.queue, list(crews), self._after))
        ours = self._ours(connection, [found.assignment for found in every])
        for found in every:
            newest = max(newest, found.assignment.generation)
            if found.assignment.claim in ours:
                crew = crews[found.worker]
                got += self._give(connection, crew, found.assignment, asked_at - found.age)
        self._after = newest
        return got

    def _ours(
        self, connection: psycopg.Connection[Any], assignments: Sequence[Assignment]
    ) -> set[ClaimId]:
        """The claims that are ours to run; those that must be confirmed are, before they begin."""
        asked = [each.claim for each in assignments if each.confirm]
        if not asked or self._stopping.is_set():
            return {each.claim for each in assignments}
        taken = run(connection, desk.take(self.queue, asked))
        return {each.claim for each in assignments if not each.confirm} | taken

    def _give(
        self,
        connection: psycopg.Connection[Any],
        crew: Crew,
        assignment: Assignment,
        given_at: float,
    ) -> int:
        if assignment.claim in self._taken or self._stopping.is_set():
            return 0
        rows = run(connection, desk.payloads(self.queue, assignment))
        if not self._is_new(assignment):
            return 0
        right = self.rights.give(crew.name, assignment.claim, given_at)
        crew.give(Given(assignment, rows, right))
        return len(rows)

    def _is_new(self, assignment: Assignment) -> bool:
        """Whether no crew has that claim yet; one that is polled may have been handed over too."""
        claim = (assignment.generation, assignment.ordinal)
        with self._taking:
            if claim in self._taken:
                return False
            self._taken.add(claim)
            if len(self._taken) > 10_000:
                self._taken = {each for each in self._taken if each[0] > self._after - 1_000}
        return True

    def _pace(self) -> Pace:
        return Pace(self.options.poll_seconds, self.options.idle_poll_seconds)

    # Reports

    def _report(self, report: Report) -> None:
        self._outbox.append(report)
        self._wake_send.set()

    def _keep(self, job: int, final: bool, value: Any) -> None:
        self._values.append((job, final, value))
        self._wake_send.set()

    def _settled(self, lease: desk.Lease) -> bool:
        """Whether a job counts as completed although its handler failed; asked until we know."""
        while not self._done.is_set():
            try:
                with closing(self._connect("fence")) as connection:
                    return run(connection, desk.fence(lease))
            except (CouldNot, psycopg.Error) as error:
                LOGGER.warning("cannot tell yet whether a job was completed: %s", error)
                self._done.wait(0.5)
        raise CouldNot("the worker ended before it was known whether the job was completed")

    def _send(self, connection: psycopg.Connection[Any]) -> None:
        """Write reports and results; what is not written stays in memory and is tried again."""
        while not (self._done.is_set() and not self._outbox):
            self._wake_send.wait(1.0)
            self._wake_send.clear()
            self._send_values(connection)
            while reports := list(self._outbox):
                self._log.emit_many(connection, desk.events(reports))
                for _ in reports:
                    self._outbox.popleft()
                self._wake_dispatch.set()

    def _send_values(self, connection: psycopg.Connection[Any]) -> None:
        while self._values:
            job, final, value = self._values[0]
            steps = desk.keep_value(self._queue_id, job, final=final, value=value)
            run(connection, steps)
            self._values.popleft()

    def _beat(self, connection: psycopg.Connection[Any]) -> None:
        """Renew the lease while claims are held; stop what is late or was taken away."""
        beat_at = released_at = looked_at = 0.0
        every = self._policy.lease_seconds / 4
        if self._beaten:  # we may have been forgotten meanwhile
            self._registering.make_known(connection, self.crews)
        self._beaten = True
        while not self._done.wait(0.1):
            self.running.stop_late()
            now = self._clock.monotonic()
            if now > released_at + 1.0:
                released_at = now
                for crew in self.crews:
                    crew.release_stuck()
            if len(self.rights) and now > looked_at + LOOK_SECONDS:
                looked_at = now
                self._look_after_rights(connection)
            if len(self.rights) and now > beat_at + every:
                beat_at = now
                self._renew(connection)

    def _renew(self, connection: psycopg.Connection[Any]) -> None:
        """A heartbeat of the crews that hold claims."""
        holding = self.rights.crews()
        sent_at = self._clock.monotonic()
        beats = [Heartbeat(name, 0.0) for name in sorted(holding)]
        self._log.emit_many(connection, desk.events(beats))
        self.rights.beat(holding, sent_at)

    def _look_after_rights(self, connection: psycopg.Connection[Any]) -> None:
        """Learn what the dispatcher has taken away."""
        for lease in run(connection, desk.taken_away(self.queue, self.rights.claims())):
            self._lost(lease)

    def _lost(self, lease: desk.Lease) -> None:
        self.rights.revoke((lease.generation, lease.ordinal), (lease.row,))
        self.running.stop(lease, Cancelled)

    # Dispatching

    def _candidate(self, connection: psycopg.Connection[Any]) -> None:
        """Wait to be needed as the dispatcher, then be it until another one is."""
        needed = Needed(self.queue, self._policy)
        while not self._done.is_set():
            now = self._clock.monotonic()
            elected = run(connection, store.elect(self.queue))
            if (elected and needed.trusts_lock(now)) or needed.stuck(connection, now):
                try:
                    self._dispatch(connection, elected=elected)
                except Superseded as error:
                    LOGGER.info("no longer the dispatcher: %s", error.message)
                    needed.misled(self._clock.monotonic())
                finally:
                    self._leading.clear()
                    self.dispatching = None
            if elected:
                run(connection, store.resign(self.queue))
            self._done.wait(self.options.elect_seconds)

    def _dispatch(self, connection: psycopg.Connection[Any], *, elected: bool) -> None:
        here = {crew.name: crew for crew in self.crews}
        dispatching = Dispatching(self.queue, self._policy, here=here)
        run(connection, dispatching.start())
        self._poll_once_leading()
        self.dispatching = dispatching
        elect_at = 0.0
        pace = self._pace()
        while not self._done.is_set():
            began = self._clock.monotonic()
            turn = run(connection, dispatching.turn())
            self._hand_over(turn.claims, here, began)
            for revoke in turn.revokes:
                for row in revoke.rows:  # TAKEN too: nothing runs under that number
                    self._lost(desk.Lease(self.queue, revoke.generation, revoke.ordinal, row))
            if not elected and began > elect_at:
                elect_at = began + self.options.elect_seconds
                elected = run(connection, store.elect(self.queue))
            wait = pace.wait(self._clock.monotonic(), came=turn.busy)
            if turn.busy:
                continue
            if turn.wake_at is not None:
                wait = max(self.options.poll_seconds, min(wait, turn.wake_at - turn.now))
            self._wake_dispatch.wait(wait)
            self._wake_dispatch.clear()

    def _poll_once_leading(self) -> None:
        """Claims of the last dispatcher are polled once; from now on ours are handed over."""
        with closing(self._connect("fetch")) as connection:
            asked_at = self._clock.monotonic()
            crews = [crew.name for crew in self.crews]
            for found in run(connection, desk.claims(self.queue, crews, self._after)):
                self._handed.append((found.worker, found.assignment, asked_at - found.age))
        self._leading.set()
        self._wake_fetch.set()

    def _hand_over(
        self, claims: Sequence[Claim], here: Mapping[str, Crew], given_at: float
    ) -> None:
        """Give our crews their claims: with the payloads that came along, or to be fetched."""
        for claim in claims:
            if claim.worker not in here or self._stopping.is_set():
                continue
            assignment = desk.assigned(claim)
            rows = desk.carried(claim)
            if rows is None:
                self._handed.append((claim.worker, assignment, given_at))
                self._wake_fetch.set()
            elif self._is_new(assignment):
                right = self.rights.give(claim.worker, assignment.claim, given_at)
                here[claim.worker].give(Given(assignment, rows, right))
        if claims:
            self._after = claims[-1].generation
