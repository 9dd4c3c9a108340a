"""The dispatcher at work: read, decide, append, in turns.

Owns the order of reading and writing, and the snapshots behind the numbers of `decide.py`. Must
never decide what runs, and never run anything.

A dispatcher that gets any error is thrown away: its memory has run ahead of the ledger. The next
one takes over and starts from the record.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from howdah.driver import Steps
from howdah.log import Position
from howdah.log import store as log_store
from howdah.queue import cron, record, store
from howdah.queue.decide import Dispatcher
from howdah.queue.declared import merged
from howdah.queue.model import TAKEN, Claim, Registered, Report, Revoke, Settlement, Step
from howdah.queue.policy import QueuePolicy, Terms
from howdah.queue.rebuild import rebuild

PAGE_ROWS = 4_000
CARRIED_BYTES = 512  # a payload up to that comes with its job, at the price of memory
CARRIED_SHARE = 0.3  # of all slots; with fewer of them in this process, most would come in vain
DUE_EVERY_SECONDS = 0.5
DUE_OVERLAP_SECONDS = 5.0  # rows of transactions that took this long to commit are still in time
DUE_AGAIN_SECONDS = 30.0  # and those that took longer come with the next look from the beginning
SCHEDULES_EVERY_SECONDS = 5.0
COUNT_EVERY_SECONDS = 5.0
MAINTAIN_EVERY_SECONDS = 5.0
BUSY_SECONDS = 0.5  # before asking again for rows that an open transaction is completing
SETTLE_SECONDS = 1.0  # after which an idle dispatcher says once that everything is done


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn did: claims for workers, rows taken away from them, and whether to go on."""

    claims: Sequence[Claim]
    revokes: Sequence[Revoke]
    busy: bool
    now: float
    wake_at: float | None


class Dispatching:
    """One dispatcher of one queue, from its election to its end."""

    def __init__(
        self, queue: str, policy: QueuePolicy, *, here: Collection[str] = frozenset()
    ) -> None:
        """`here`: the workers in this process; they are given small payloads with their claims."""
        self.queue = queue
        self._here = here
        self._policy = policy
        self._queue_id = 0
        self._window = 0
        self._schedules_at = self._count_at = self._maintain_at = 0.0
        self._planned: list[store.Planned] = []
        self._released: str | None = None
        self._active = True
        self._ends: dict[int, str]
        self._counted: dict[str, int]
        self._busy: list[Revoke]
        self._forget()
        self._terms: Terms
        self._ledger: store.Ledger
        self.dispatcher: Dispatcher

    def start(self) -> Steps[None]:
        """Take the queue over and read what the last dispatcher left, if it was this one too.

        Raises `Superseded` when another one did at the same moment.
        """
        self._forget()
        self._queue_id = yield from store.open_queue(self.queue)
        # Refuses a queue that was restored from a dump: its snapshots mean nothing here.
        yield from store.at_home(self.queue)
        newest = yield from store.newest(self.queue)
        self._ledger = yield from store.take_over(self.queue, newest)
        found = yield from record.read(self.queue, self._queue_id, self._ledger)
        self.dispatcher = rebuild(self._policy, found, self._ledger.now, self._here)
        self._ends = {0: self._ledger.done, 1: self._ledger.read}
        self._window = 1
        if self._ledger.upto is not None:
            self._window = 2
            self._ends[2] = self._ledger.upto
        self._appended_at = self._ledger.now
        self._terms = self._declared()

    def _forget(self) -> None:
        """What was known of the rows in memory, and is not true of another dispatcher."""
        self._ends = {}
        self._due_after = store.Due()
        self._due_at = self._due_again_at = 0.0
        self._counted = {}
        self._unsaved = True
        self._busy = []
        self._busy_until = 0.0

    def _declared(self) -> Terms:
        """What holds for the whole queue, by this program and the registered workers."""
        return merged(self._policy.terms, self.dispatcher.roster.registered())

    def _are_outdated(self, reports: Sequence[Report]) -> bool:
        """Whether other limits or shares hold than those that the dispatcher counts."""
        registered = any(isinstance(report, Registered) for report in reports)
        return registered and self._declared() != self._terms

    def _start_anew(self) -> Steps[None]:
        """Count by the limits that hold now: the record has all that their counters need.

        What was heard is appended, so that no report makes two dispatchers start anew.
        """
        yield from self._count()
        yield from self.start()

    def turn(self) -> Steps[Turn]:
        """One turn. Without anything to do it reads once and writes nothing."""
        ledger, dispatcher = self._ledger, self.dispatcher
        looked = yield from store.look(self.queue, ledger.read, ledger.heard)
        now = looked.now
        told = 0
        outdated = False
        if looked.reports:
            reports = yield from store.reports(self.queue, ledger.heard, looked.upto)
            told = len(reports)
            dispatcher.hear(reports, dispatcher.heard + 1)
            outdated = self._are_outdated(reports)
        self._ledger = msgspec.structs.replace(self._ledger, heard=looked.upto)
        seen = yield from self._read_jobs(looked)
        came_due = yield from self._read_due(now)
        self._unsaved = self._unsaved or bool(seen or told or came_due)
        step = self._with_busy(dispatcher.plan(now, claiming=not outdated), now)
        wrote = yield from self._append(step, now, anyway=outdated)
        yield from self._unpark(step)
        self._active = self._active or wrote or bool(seen or told)
        yield from self._housekeeping(now)
        if outdated:
            yield from self._start_anew()
        return Turn(
            claims=step.claims,
            revokes=step.revokes,
            busy=bool(seen or told or came_due or step.urgent),
            now=now,
            wake_at=step.wake_at,
        )

    @property
    def idle(self) -> bool:
        """Nothing in memory and nobody working: the ledger needs no renewal."""
        return not (self.dispatcher.board.loaded or self.dispatcher.open)

    @property
    def caught_up(self) -> bool:
        """Whether the last turn left nothing unread."""
        return self._ledger.read == self._ledger.heard

    # Reading

    def _read_jobs(self, looked: store.Look) -> Steps[int]:
        """One page of jobs, if there is room; how many there were."""
        ledger, dispatcher = self._ledger, self.dispatcher
        if ledger.upto is None:
            if not looked.jobs:
                self._ledger = msgspec.structs.replace(ledger, read=looked.upto)
                self._ends[self._window] = looked.upto  # an empty window: what is done reaches on
                return 0
            if not dispatcher.room:
                return 0
            self._window += 1
            self._ends[self._window] = looked.window
            ledger = msgspec.structs.replace(ledger, upto=looked.window, last_id=0)
        rows = self._page_rows(ledger)
        if not rows:
            return 0
        assert ledger.upto is not None, "a page is read inside a window"
        jobs = yield from store.jobs_page(
            self.queue,
            self._window,
            ledger.read,
            ledger.upto,
            ledger.last_id,
            rows,
            self._carried_bytes(),
        )
        complete = len(jobs) < rows
        dispatcher.see(self._window, jobs, complete=complete)
        if complete:
            ledger = msgspec.structs.replace(ledger, read=ledger.upto, upto=None, last_id=0)
        else:
            ledger = msgspec.structs.replace(ledger, last_id=jobs[-1].row)
        self._ledger = ledger
        return len(jobs)

    def _page_rows(self, ledger: store.Ledger) -> int:
        """How many rows to read; 0 to wait for more room.

        Every page sorts what is left of its window, so a long window is read in few large pages.
        """
        room = self.dispatcher.room
        if not ledger.last_id:
            return min(PAGE_ROWS, room)
        return room if room >= self._policy.loaded_max // 2 else 0

    def _carried_bytes(self) -> int:
        slots = self.dispatcher.roster.slots()
        here = sum(each for name, each in slots.items() if name in self._here)
        return CARRIED_BYTES if here and here >= CARRIED_SHARE * sum(slots.values()) else 0

    def _read_due(self, now: float) -> Steps[int]:
        """Retries and schedules whose time has come; how many there were."""
        if now < self._due_at or not self.dispatcher.room:
            return 0
        if now >= self._due_again_at:
            self._due_after = store.Due()
            self._due_again_at = now + DUE_AGAIN_SECONDS
        most = min(PAGE_ROWS, self.dispatcher.room)
        before = self.dispatcher.board.loaded
        jobs, self._due_after = yield from store.due(self.queue, self._due_after, now, most)
        self.dispatcher.due(jobs)
        if len(jobs) < most:
            self._due_at = now + DUE_EVERY_SECONDS
            self._due_after = store.Due(min(self._due_after.at, now - DUE_OVERLAP_SECONDS))
        return self.dispatcher.board.loaded - before

    def _unpark(self, step: Step) -> Steps[None]:
        for unpark in step.unparks:
            most = max(2, min(PAGE_ROWS, self.dispatcher.room))
            jobs = yield from store.parked(self._queue_id, unpark.key, most)
            self.dispatcher.unparked(unpark.key, jobs, more=len(jobs) == most)

    # Writing

    def _with_busy(self, step: Step, now: float) -> Step:
        """The step, with what could not be taken away before because it was being completed."""
        if not self._busy or not (step.urgent or now >= self._busy_until):
            return step
        again, self._busy = self._busy, []
        return msgspec.structs.replace(step, urgent=True, revokes=[*step.revokes, *again])

    def _append(self, step: Step, now: float, *, anyway: bool = False) -> Steps[bool]:
        """Append a step that is urgent, or any step when the lease wants a sign of life."""
        renewing = not self.idle and now > self._appended_at + self._policy.lease_seconds / 3
        # Also after reports that change nothing: to others they would look like work undone.
        settling = self.idle and self._unsaved and now > self._appended_at + SETTLE_SECONDS
        if not (step.urgent or renewing or settling or anyway):
            return False
        self._ledger = msgspec.structs.replace(
            self._ledger,
            generation=step.generation,
            done=self._ends[step.done],
            floor=step.floor,
        )
        lease = self._policy.lease_seconds
        applied = yield from store.append(self.queue, self._ledger, step, lease_seconds=lease)
        # Who is just saying that it took a claim is no dead worker: its attempts count.
        taking = frozenset(each for each in applied.busy if each[2] == TAKEN)
        busy = applied.busy - taking
        if busy:
            self._busy += _busy(step, busy)
            self._busy_until = now + BUSY_SECONDS
        self.dispatcher.appended(_without(step, busy), applied.settled | taking)
        if applied.dropped:
            self.dispatcher.dropped(applied.dropped)
        self.dispatcher.board.tally["claimed"] += sum(len(claim.jobs) for claim in step.claims)
        self._appended_at = now
        self._unsaved = False
        for number in [each for each in self._ends if each < step.done]:
            del self._ends[number]
        if step.later:
            self._due_at = min([self._due_at, *(each.due for each in step.later)])
        return True

    def _housekeeping(self, now: float) -> Steps[None]:
        """Schedules, counts and maintenance, each at its own pace, none of it when idle."""
        if now >= self._schedules_at:
            self._schedules_at = now + SCHEDULES_EVERY_SECONDS
            self._planned = yield from store.schedules(self._queue_id)
        yield from self._fire(now)
        if now >= self._count_at:
            self._count_at = now + COUNT_EVERY_SECONDS
            yield from self._count()
        if now >= self._maintain_at and self._active:
            self._maintain_at = now + MAINTAIN_EVERY_SECONDS
            self._active = not self.idle
            yield from self._maintain()

    def _fire(self, now: float) -> Steps[None]:
        for number, planned in enumerate(self._planned):
            upcoming = cron.next_fire(planned.schedule, planned.dealt_upto)
            if upcoming is None or upcoming > now:
                continue
            due = cron.due(planned.schedule, planned.dealt_upto, now)
            for fire_at in due.fires:
                yield from store.fire(self.queue, planned.name, fire_at)
            yield from store.dealt(self._queue_id, planned.name, due.upto)
            self._planned[number] = msgspec.structs.replace(planned, dealt_upto=due.upto)

    def _count(self) -> Steps[None]:
        tally = dict(self.dispatcher.board.tally)
        if tally == self._counted:
            return
        counts: dict[str, Any] = {
            name: value - self._counted.get(name, 0) for name, value in tally.items()
        }
        running = sum(claim.left for claim in self.dispatcher.open.values())
        counts |= {"loaded": self.dispatcher.board.loaded, "running": running}
        counts |= {"more": self._ledger.upto is not None}
        yield from store.count(self._queue_id, counts)
        self._counted = tally

    def _maintain(self) -> Steps[None]:
        """Tell the logs what is done, so that they can give it back."""
        done = self._ledger.done
        for log in (f"jobs_{self.queue}", f"reports_{self.queue}"):
            if done != self._released:
                cursor = yield from log_store.newest_cursor(log, "dispatch")
                yield from log_store.advance(log, "dispatch", cursor, Position(seen=done))
            yield from log_store.maintain(log, 64 * 1024 * 1024, 900)
        self._released = done
        yield from store.maintain(self.queue)


def _busy(step: Step, busy: frozenset[Settlement]) -> list[Revoke]:
    return [r for r in (_part(revoke, busy, inside=True) for revoke in step.revokes) if r.rows]


def _without(step: Step, busy: frozenset[Settlement]) -> Step:
    if not busy:
        return step
    rest = [_part(revoke, busy, inside=False) for revoke in step.revokes]
    return msgspec.structs.replace(step, revokes=[revoke for revoke in rest if revoke.rows])


def _part(revoke: Revoke, busy: frozenset[Settlement], *, inside: bool) -> Revoke:
    """The rows of a revoke that are in, or not in, the busy ones."""
    generation, ordinal = revoke.generation, revoke.ordinal
    rows = tuple(r for r in revoke.rows if ((generation, ordinal, r) in busy) is inside)
    return msgspec.structs.replace(revoke, rows=rows)
