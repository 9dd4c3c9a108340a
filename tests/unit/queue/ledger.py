"""A ledger in memory: what the tables of a queue would hold, and nothing else.

It applies steps as the store would, all or nothing, and gives the record that a new dispatcher
starts from. Whatever the dispatcher only remembers is lost here, as in a crash.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from howdah.queue.board import purged
from howdah.queue.model import (
    LATER,
    PARKED,
    Ack,
    Claim,
    ClaimId,
    ClaimRow,
    Dead,
    Hold,
    Job,
    KindTold,
    Page,
    Pause,
    Record,
    Registered,
    Report,
    Settlement,
    Step,
)


@dataclass
class Told:
    """A report, and how many log rows were visible when it was."""

    report: Report
    visible: int


@dataclass
class Ledger:
    """Everything durable."""

    log: list[Job] = field(default_factory=list)  # in the order of visibility
    reports: list[Told] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    later: dict[int, Job] = field(default_factory=dict)
    parked: dict[int, Job] = field(default_factory=dict)
    dead: dict[int, Dead] = field(default_factory=dict)  # by identity
    settlements: dict[Settlement, str] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    paused: list[Pause] = field(default_factory=list)
    workers: dict[str, Registered] = field(default_factory=dict)
    kinds: dict[str, KindTold] = field(default_factory=dict)
    claims: dict[ClaimId, Claim] = field(default_factory=dict)
    said: dict[ClaimId, dict[int, str]] = field(default_factory=dict)
    read: int = 0  # log rows that the dispatcher of the newest step had seen
    done: int = 0  # log rows that are finished for good
    row: int = 0
    dropped: list[int] = field(default_factory=list)

    def next_row(self) -> int:
        self.row += 1
        return self.row

    def tell(self, report: Report) -> None:
        if isinstance(report, Registered):
            # What the table of workers has: the policies stand in another.
            self.workers[report.worker] = msgspec.structs.replace(report, policies={})
            for kind, policy in report.policies.items():
                known = self.kinds.get(kind)
                if known is None or known.since <= report.since:
                    self.kinds[kind] = KindTold(kind, policy, report.since)
        if isinstance(report, Ack):
            self._index(report)
        self.reports.append(Told(report, len(self.log)))

    @property
    def generation(self) -> int:
        return self.steps[-1].generation if self.steps else 0

    def append(self, step: Step, *, read: int, done: int) -> set[Settlement]:
        """Apply the step; the settlements that its revokes found taken. `dropped`: by purges."""
        self.dropped = []
        assert step.generation == self.generation + 1
        self.steps.append(step)
        self.read, self.done = read, done
        for claim in step.claims:
            self.claims[claim.generation, claim.ordinal] = claim
        for job in step.removed:
            table = self.later if job.segment == LATER else self.parked
            del table[job.row]
        self._insert(step)
        self._obey(step)
        self._purge(step)
        return self._revoke(step)

    def _insert(self, step: Step) -> None:
        for later in step.later:
            self._later(later.job, later.due, later.attempt)
        for job in step.parks:
            assert job.row not in self.parked
            self.parked[job.row] = _outside(job, job.row, PARKED)
        for dead in step.dead:
            assert dead.job.identity not in self.dead
            self.dead[dead.job.identity] = dead
        for hold in step.holds:
            self.holds[hold.key] = hold
        for key in step.lifted:
            self.holds.pop(key, None)

    def _later(self, job: Job, due: float, attempt: int) -> None:
        row = self.next_row()
        moved = _outside(job, row, LATER)
        self.later[row] = msgspec.structs.replace(moved, at=due, attempt=attempt)

    def _obey(self, step: Step) -> None:
        for identity in step.cancelled:
            for table in (self.later, self.parked):
                for row in [row for row, job in table.items() if job.identity == identity]:
                    del table[row]
            self.dead.pop(identity, None)
        for identity in step.discards:
            self.dead.pop(identity, None)
        for identity in step.replays:
            dead = self.dead.pop(identity, None)
            if dead is not None:
                self._later(dead.job, step.at, 0)
        if step.paused is not None:
            self.paused = list(step.paused)
        for name in step.gone:
            self.workers.pop(name, None)

    def _purge(self, step: Step) -> None:
        for purge in step.purges:
            for table in (self.later, self.parked):
                for row, job in list(table.items()):
                    if row not in step.spared and purged(job, purge):
                        del table[row]
                        self.dropped.append(job.identity)
        held = {key for key, hold in self.holds.items() if hold.job in self.dropped}
        for key in held:
            del self.holds[key]

    def _revoke(self, step: Step) -> set[Settlement]:
        kept = set()
        for revoke in step.revokes:
            for row in revoke.rows:
                settlement = (revoke.generation, revoke.ordinal, row)
                if self.settlements.setdefault(settlement, "dispatcher") == "worker":
                    kept.add(settlement)
        return kept

    def settle(self, claim: Claim, row: int) -> bool:
        """What `complete_in` and taking a claim do: True if the worker was first."""
        settlement = (claim.generation, claim.ordinal, row)
        return self.settlements.setdefault(settlement, "worker") == "worker"

    def revoked(self, claim: Claim, row: int) -> bool:
        settlement = (claim.generation, claim.ordinal, row)
        return self.settlements.get(settlement) == "dispatcher"

    def record(self) -> Record:
        """What a new dispatcher reads: nothing before `done`, no claim below the floor."""
        newest = self.steps[-1] if self.steps else Step(generation=0, at=0.0, urgent=False)
        kept = [step for step in self.steps if step.generation >= newest.floor]
        claims = [
            ClaimRow(
                c.generation, c.ordinal, c.worker, [job.row for job in c.jobs], c.at, c.confirm
            )
            for step in kept
            for c in step.claims
        ]
        rows = sorted(self.log[self.done : self.read], key=lambda job: job.row)
        page = Page(1, [msgspec.structs.replace(job, window=1) for job in rows], True)
        heard = [t.report for t in self.reports[: newest.heard] if t.visible >= self.done]
        outside = [*self.later.values(), *self.parked.values()]
        named = {row for claim in claims for row in claim.rows}
        split: dict[str, set[Settlement]] = {"worker": set(), "dispatcher": set()}
        for settlement, who in self.settlements.items():
            split[who].add(settlement)
        return Record(
            generation=newest.generation,
            floor=newest.floor,
            done=0,
            heard=newest.heard,
            claims=claims,
            jobs=[page] if rows else [],
            outside=[
                job
                for job in outside
                if job.row in named or (job.segment == PARKED and job.key is None)
            ],
            reports=heard,
            moved=frozenset(row for step in kept for row in step.moved),
            revoked=frozenset(split["dispatcher"]),
            settled=frozenset(split["worker"]),
            holds=list(self.holds.values()),
            parked_keys=frozenset(job.key for job in self.parked.values() if job.key is not None),
            paused=self.paused,
            workers=list(self.workers.values()),
            kinds=list(self.kinds.values()),
            rates=[step.rates for step in kept],
        )

    def acked(self, claim: Claim) -> dict[int, str]:
        """By position, what the worker's reports say: done, failed or released."""
        return self.said.get((claim.generation, claim.ordinal), {})

    def _index(self, ack: Ack) -> None:
        claim_id = (ack.generation, ack.ordinal)
        said = self.said.setdefault(claim_id, {})
        for failure in ack.failed:
            said.setdefault(failure.position, "failed")
        for position in ack.released:
            said.setdefault(position, "released")
        every = range(len(self.claims[claim_id].jobs)) if ack.done is None else ack.done
        for position in every:
            said.setdefault(position, "done")


def _outside(job: Job, row: int, segment: int) -> Job:
    tid = f"(0,{row})"
    return msgspec.structs.replace(
        job, row=row, segment=segment, tid=tid, window=0, job=job.identity
    )
