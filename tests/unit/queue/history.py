"""Random histories of a queue: producers, workers, people, crashes, and an oracle that watches.

The dispatcher is thrown away at any point and rebuilt from the ledger. The oracle knows the durable
truth and nothing of the dispatcher's memory. The dispatcher's own program has no handlers: what it
knows of the kinds is what the workers registered.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from random import Random

import msgspec

from howdah.queue.board import purged
from howdah.queue.decide import Dispatcher
from howdah.queue.model import (
    TAKEN,
    Ack,
    Cancel,
    Claim,
    ClaimId,
    Discard,
    Failure,
    Heartbeat,
    Job,
    Left,
    Pause,
    Purge,
    Registered,
    Release,
    Replay,
    Resume,
    Step,
)
from howdah.queue.policy import KindPolicy, QueuePolicy
from howdah.queue.rebuild import rebuild
from tests.unit.queue.ledger import Ledger

KINDS, KEYS, TENANTS = ("slow", "fast", "odd"), ("a", "b", "c"), ("x", "y")


class Worker:
    """Runs what the ledger gives it; may be dead, or stalled and come back as a zombie."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = "well"  # well, stalled, dead
        self.open: dict[ClaimId, set[int]] = {}


class History:
    """One random history, and what must be true at every append."""

    def __init__(self, policy: QueuePolicy, random: Random, *, crashes: bool = True) -> None:
        self.policy = policy
        self.ignorant = msgspec.structs.replace(
            policy, kinds={}, default=KindPolicy(max_attempts=99, on_failure="skip")
        )
        self.random = random
        self.crashes = crashes
        self.ledger = Ledger()
        self.now = 1_000.0
        self.workers: dict[str, Worker] = {}
        self.order: dict[str, list[int]] = defaultdict(list)
        self.emitted: dict[int, Job] = {}
        self.excused: set[int] = set()  # cancelled, discarded, or their key was released
        self.purged: set[int] = set()
        self.attempts: Counter[int] = Counter()
        self.replayed: set[int] = set()
        self.finished: set[int] = set()
        self.starts: list[tuple[float, Job]] = []
        self.rebuilds = 0
        self.restart()

    # The dispatcher's side

    def restart(self) -> None:
        """A new dispatcher from the ledger alone."""
        record = self.ledger.record()
        self.dispatcher: Dispatcher = rebuild(self.ignorant, record, self.now)
        self.ends = {0: self.ledger.done, 1: self.ledger.read}
        self.window = 1
        if not record.jobs:
            self.dispatcher.see(1, [], complete=True)
        self.read = self.ledger.read
        self.page_open = False
        self.unparks: list[str] = []
        self.rebuilds += 1

    def poll(self) -> None:
        """Read a page of the log, perhaps not to the end of its window."""
        rows = self.ledger.log[self.read :]
        size = min(self.random.choice((1, 3, 100)), self.dispatcher.room)
        page, complete = rows[:size], size >= len(rows)
        if not self.page_open:
            self.window += 1
        self.read += len(page)
        self.ends[self.window] = self.read
        self.page_open = not complete
        seen = [msgspec.structs.replace(job, window=self.window) for job in page]
        self.dispatcher.see(self.window, seen, complete=complete)

    def look(self) -> None:
        """Hear reports and read what is due."""
        heard = self.dispatcher.heard
        upto = len(self.ledger.reports)
        if self.random.random() < 0.3:
            upto = self.random.randint(heard, upto)
        self.dispatcher.hear([t.report for t in self.ledger.reports[heard:upto]], upto)
        due = [job for job in self.ledger.later.values() if job.at <= self.now]
        self.dispatcher.due(due[: max(1, self.dispatcher.room)])

    def step(self) -> None:
        """Plan and append, or be interrupted before or after the append."""
        step = self.dispatcher.plan(self.now)
        if not step.urgent and self.random.random() < 0.5:
            return self._unpark(step)
        if self._crash():
            return self.restart()
        kept = self.ledger.append(step, read=self.read, done=self.ends[step.done])
        self._watch(step)
        if self._crash():
            return self.restart()
        self.dispatcher.appended(step, kept)
        self.dispatcher.dropped(self.ledger.dropped)
        return self._unpark(step)

    def _crash(self) -> bool:
        return self.crashes and self.random.random() < 0.1

    def _unpark(self, step: Step) -> None:
        for unpark in step.unparks:
            rows = [job for _, job in sorted(self.ledger.parked.items()) if job.key == unpark.key]
            few = self.random.choice((2, 3, 100))
            self.dispatcher.unparked(unpark.key, rows[:few], more=few < len(rows))

    # The world

    def emit(self, count: int) -> None:
        rows = []
        for _ in range(count):
            random = self.random
            row = self.ledger.next_row()
            key = random.choice((None, *KEYS))
            job = Job(
                row=row,
                segment=0,
                tid=f"(0,{row})",
                window=0,
                kind=random.choice(KINDS),
                at=self.now,
                key=key,
                tenant=random.choice((None, *TENANTS)),
                priority=random.choice((0, 0, 1)),
                max_attempts=random.choice((0, 0, 1, 2)),
            )
            rows.append(job)
            self.emitted[row] = job
            if key is not None:
                self.order[key].append(row)
        # Unkeyed rows may become visible in any order: their transactions were concurrent.
        free = [job for job in rows if job.key is None]
        self.random.shuffle(free)
        self.ledger.log += [free.pop() if job.key is None else job for job in rows]

    def register(self) -> None:
        name = f"w{len(self.workers)}"
        kinds = self.random.choice((None, None, frozenset({"slow", "odd"})))
        self.workers[name] = Worker(name)
        policies = {kind: self.policy.of(kind) for kind in KINDS}
        since = self.now
        if len(self.workers) > 1 and self.random.random() < 0.2:
            # A process of an older version that comes back: what it says of its kinds is over.
            policies, since = {kind: KindPolicy(max_attempts=1) for kind in KINDS}, 1.0
        slots, confirms = self.random.choice((1, 3)), self.random.random() < 0.7
        self.ledger.tell(
            Registered(
                name, slots, kinds, self.now, policies=policies, since=since, confirms=confirms
            )
        )

    def work(self) -> None:
        """Each living worker takes its claims, ends some of its jobs, and beats."""
        for worker in self.workers.values():
            if worker.state != "well":
                continue
            for claim_id, claim in self.ledger.claims.items():
                if claim.worker == worker.name and claim_id not in worker.open:
                    if claim.confirm and self.random.random() < 0.1:
                        continue  # it has not come yet
                    ours = not claim.confirm or self.ledger.settle(claim, TAKEN)
                    worker.open[claim_id] = set(range(len(claim.jobs))) if ours else set()
            held = [(i, positions) for i, positions in worker.open.items() if positions]
            for claim_id, positions in held:
                if self.random.random() < 0.6:
                    self._ack(worker, self.ledger.claims[claim_id], positions)
            if held:
                self.ledger.tell(Heartbeat(worker.name, self.now))

    def _ack(self, worker: Worker, claim: Claim, positions: set[int]) -> None:
        random = self.random
        some = {p for p in positions if random.random() < 0.8}
        done, failed, released = [], [], []
        for position in sorted(some):
            fate = random.random()
            if fate < 0.65:
                done.append(position)
                if random.random() < 0.3 and not self.ledger.settle(
                    claim, claim.jobs[position].row
                ):
                    done.pop()  # revoked: the user's transaction was rolled back
            elif fate < 0.9:
                delay = random.choice((None, 0.0, 1.0))
                failed.append(Failure(position, "boom", random.random() < 0.1, delay))
            else:
                released.append(position)
        positions -= some
        took = [(claim.jobs[0].kind, max(1, len(done)), random.choice((0.001, 0.05, 3.0)))]
        fields = {"failed": failed, "released": released, "took": took}
        everything = not positions and len(done) + len(failed) + len(released) == len(claim.jobs)
        ack = Ack(
            worker.name,
            claim.generation,
            claim.ordinal,
            self.now,
            done=None if everything and random.random() < 0.5 else done,
            **fields,  # type: ignore[arg-type] # three lists by their names
        )
        self.ledger.tell(ack)

    def trouble(self) -> None:
        """Workers stall, die, come back or leave."""
        if not self.workers:
            return
        worker = self.random.choice(list(self.workers.values()))
        if worker.state == "stalled":
            worker.state = "well"
        elif worker.state == "well":
            worker.state = self.random.choice(("stalled", "dead", "well"))
            if self.random.random() < 0.1:
                worker.state = "dead"
                self.ledger.tell(Left(worker.name, self.now))

    def person(self) -> None:
        """Somebody gives a command."""
        random, ledger = self.random, self.ledger
        dead = list(ledger.dead)
        match random.randrange(7):
            case 6:
                purge = Purge(self.now, kind="odd")
                self.purged.update(i for i, job in self.emitted.items() if purged(job, purge))
                self.excused.update(self.purged)
                ledger.tell(purge)
            case 0 if self.emitted:
                job = random.choice(list(self.emitted))
                self.excused.add(job)
                ledger.tell(Cancel(job, self.now))
            case 1 if dead:
                job = random.choice(dead)
                self.attempts[job] = 0
                self.replayed.add(job)
                ledger.tell(Replay(job, self.now))
            case 2 if dead:
                job = random.choice(dead)
                self.excused.add(job)
                ledger.tell(Discard(job, self.now))
            case 3:
                key = random.choice(KEYS)
                self.excused.update(self.order[key])
                ledger.tell(Release(key, self.now))
            case 4:
                ledger.tell(Pause(self.now, random.choice(KINDS)))
            case _:
                for kind in KINDS:
                    ledger.tell(Resume(self.now, kind))

    # The oracle

    def _watch(self, step: Step) -> None:
        for claim in step.claims:
            for job in claim.jobs:
                self.attempts[job.identity] += 1
                self.starts.append((claim.at, job))
        live = self._live()
        self._nobody_twice(live)
        self._limits(live)
        for claim in step.claims:
            for job in claim.jobs:
                self._in_turn(job)
        for dead in step.dead:
            if dead.reason in ("failed", "lost"):
                most = dead.job.max_attempts or self.policy.of(dead.job.kind).max_attempts
                assert dead.attempt == most, f"{dead} had attempts left"
            if dead.reason == "lost":
                self._was_taken(dead.job)
        self._nothing_lost()

    def _live(self) -> list[Job]:
        """Jobs of claims that are neither revoked nor reported on: they may be running now."""
        live = []
        for claim in self.ledger.claims.values():
            said = self.ledger.acked(claim)
            for position, job in enumerate(claim.jobs):
                what = said.get(position)
                if self.ledger.revoked(claim, job.row):
                    continue
                settled = (claim.generation, claim.ordinal, job.row) in self.ledger.settlements
                if what == "done" or settled:
                    self.finished.add(job.identity)
                elif what is None:
                    live.append(job)
        return live

    def _nobody_twice(self, live: list[Job]) -> None:
        twice = [i for i, n in Counter(job.identity for job in live).items() if n > 1]
        assert not twice, f"two live claims on {twice}"
        keys = Counter(job.key for job in live if job.key is not None)
        assert max(keys.values(), default=0) <= 1, f"two live jobs of one key: {keys}"

    def _limits(self, live: list[Job]) -> None:
        for limit in self.policy.limits:
            most = limit.allow.concurrency
            if most is None:
                continue
            counted = Counter(
                {"kind": job.kind, "tenant": job.tenant, "queue": None}[limit.by]
                for job in live
                if limit.kinds is None or job.kind in limit.kinds
            )
            for value, count in counted.items():
                assert count <= most, f"{limit.name} {value}: {count} of {most}"

    def _rates(self) -> None:
        """No span of a rate's length has seen more starts than the rate allows."""
        for limit in self.policy.limits:
            rate = limit.allow.rate
            if rate is None:
                continue
            times: dict[str, list[float]] = defaultdict(list)
            for at, job in self.starts:
                value = {"kind": job.kind, "key": job.key, "queue": ""}[limit.by]
                if value is not None:
                    times[value].append(at)
            for value, starts in times.items():
                for begin in starts:
                    count = sum(begin <= at < begin + rate.seconds for at in starts)
                    most = rate.count if rate.form == "window" else 2 * rate.count
                    assert count <= most, f"{limit.name} {value}: {count} starts"

    def _in_turn(self, job: Job) -> None:
        """Attempts are within bounds, and nobody of the key before it is unfinished."""
        kind = self.policy.of(job.kind)
        released = sum(
            what == "released" and claim.jobs[position].identity == job.identity
            for claim in self.ledger.claims.values()
            for position, what in self.ledger.acked(claim).items()
            if not self.ledger.revoked(claim, claim.jobs[position].row)
        )
        most = job.max_attempts or kind.max_attempts
        counted = self.attempts[job.identity] - released - self._returned(job)
        assert counted <= most, f"{job} tried too often"
        if job.identity not in self.replayed:
            assert job.attempt + 1 == counted, f"{job}: {counted} attempts"
        if job.key is None or job.identity in self.excused or kind.on_failure == "skip":
            return
        lane = self.order[job.key]
        for before in lane[: lane.index(job.identity)]:
            skipped = self.policy.of(self.emitted[before].kind).on_failure == "skip"
            fine = before in self.finished or before in self.excused or skipped
            assert fine, f"{job.identity} of key {job.key} overtook {before}"

    def _returned(self, job: Job) -> int:
        """How often the job was given to a worker that did not take it."""
        return sum(
            claim.confirm
            and self.ledger.revoked(claim, TAKEN)
            and any(each.identity == job.identity for each in claim.jobs)
            for claim in self.ledger.claims.values()
        )

    def _was_taken(self, job: Job) -> None:
        """Nobody dies of a claim that must be confirmed and was not."""
        claims = [c for c in self.ledger.claims.values() if any(j.row == job.row for j in c.jobs)]
        last = claims[-1]
        assert not last.confirm or not self.ledger.revoked(last, TAKEN), f"{job} never began"

    def _nothing_lost(self) -> None:
        """Behind `done` every row is finished, or stands in a table."""
        outside = {job.identity for job in (*self.ledger.later.values(),)}
        outside |= {job.identity for job in self.ledger.parked.values()} | set(self.ledger.dead)
        for job in self.ledger.log[: self.ledger.done]:
            known = job.row in self.finished or job.row in outside or job.row in self.excused
            assert known, f"{job.row} is behind `done` and nowhere"

    # A run

    def act(self) -> None:
        random = self.random
        match random.randrange(12):
            case 0 | 1:
                self.emit(random.choice((1, 2, 8)))
            case 2 | 3:
                self.poll()
            case 4:
                self.look()
            case 5 | 6 | 7:
                self.look()
                self.step()
            case 8 | 9:
                self.work()
            case 10:
                self.now += random.choice((0.01, 1.0, self.policy.lease_seconds * 1.1))
            case _:
                random.choice((self.trouble, self.person, self.register))()

    def drain(self) -> None:
        """Everybody is well again; then everything must come to an end."""
        self.crashes = False
        for worker in self.workers.values():
            worker.state = "dead"  # their claims must be recovered, not completed
        self.register()
        policies = {kind: self.policy.of(kind) for kind in KINDS}
        self.ledger.tell(
            Registered("all", 4, None, self.now, policies, since=self.now, confirms=True)
        )
        self.workers["all"] = Worker("all")
        for kind in KINDS:
            self.ledger.tell(Resume(self.now, kind))
        for _ in range(600):
            for key in KEYS:
                if self.random.random() < 0.2:
                    self.excused.update(self.order[key])
                    self.ledger.tell(Release(key, self.now))
            self.poll()
            self.look()
            self.step()
            self.work()
            self.now += 2.0
            if self.quiet():
                break
        self._nothing_left()

    def quiet(self) -> bool:
        ledger = self.ledger
        return (
            self.read == len(ledger.log)
            and not (ledger.later or ledger.parked)
            and not self.dispatcher.board.loaded
            and not self.dispatcher.board.draft.fields()
        )

    def _nothing_left(self) -> None:
        self._live()
        self._rates()
        left = set(self.emitted) - self.finished - self.excused - set(self.ledger.dead)
        cancelled = {t.report.job for t in self.ledger.reports if isinstance(t.report, Cancel)}
        discarded = {t.report.job for t in self.ledger.reports if isinstance(t.report, Discard)}
        ended = self.finished | self.purged | cancelled | discarded | set(self.ledger.dead)
        assert not left, f"lost: {left}"
        assert set(self.emitted) <= ended, f"never ended: {set(self.emitted) - ended}"
        assert self.quiet()
        assert not self.dispatcher.board.loaded
        step = self.dispatcher.plan(self.now)
        assert self.ends[step.done] == len(self.ledger.log), "`done` does not reach the end"
        assert not len(self.dispatcher.board.lanes) or self.ledger.holds
