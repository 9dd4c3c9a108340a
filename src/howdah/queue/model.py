"""The values of the queue: jobs as the dispatcher sees them, reports, steps, and the record.

Owns what crosses the border between the dispatcher's decisions and the database. Must never hold
large payloads (workers fetch those) or anything that changes. All times are seconds of the server's
clock since 1970.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from howdah.queue.policy import FailurePolicy, KindPolicy, Terms

LATER = -1  # segment of a job whose row stands in a `later` table
PARKED = -2  # segment of a job whose row stands in the parked table
HALF = 16  # generations change the half of a ledger every 2**16; see schema.sql
TAKEN = 0  # in the table of settlements: the claim as a whole; the rows of jobs begin at 1


class Job(Struct, frozen=True, gc=False):
    """One row that asks for work.

    `row` comes from the log's sequence, for rows of the later and parked tables too: each row has
    its own, so that a row is claimed anew only under a new number. Only a parked row keeps the
    number that it had in the log, and its place in a claim.
    `segment` and `tid` locate the payload; `segment` is `LATER` or `PARKED` outside the log.
    `window` numbers the window that the row came in, 0 outside the log.
    `at` is when the job could first run: enqueued, or due.
    `job` is the job's identity over its retries: the row of the first of them; 0 means `row`.
    `attempt` counts the attempts used before this row; `max_attempts` 0 means the kind's.
    `payload` is there, and `headers` beside it, if it is small and the dispatcher's own process may
    run the job: it saves reading the row again.
    A lower `priority` is more urgent. A job not claimed before `expires` is never run.
    """

    row: int
    segment: int
    tid: str
    window: int
    kind: str
    at: float
    key: str | None = None
    headers: str | None = None
    payload: bytes | None = None
    tenant: str | None = None
    priority: int = 0
    attempt: int = 0
    max_attempts: int = 0
    expires: float | None = None
    unique: str | None = None
    job: int = 0

    @property
    def identity(self) -> int:
        """The same for all attempts of the job."""
        return self.job or self.row


ClaimId = tuple[int, int]  # the generation of the ledger row, the ordinal within it


class Claim(Struct, frozen=True):
    """A batch given to a worker. The attempt of each job is `job.attempt + 1`.

    `confirm`: the attempts count only once the worker has said that it took the claim, which it
    does before it begins anything of it.
    """

    generation: int
    ordinal: int
    worker: str
    jobs: Sequence[Job]
    at: float
    lease_seconds: float
    confirm: bool = False


# What a worker or a person tells the dispatcher.


class Registered(Struct, frozen=True, tag=True):
    """A worker is there: how many batches it runs at once, and which kinds (None: all).

    Without slots it gets nothing, and what it holds goes on: that is how draining is kept.
    `policies`: how its kinds are treated, and `terms`: what it asks of the queue, both as of
    `since`, when its process began by the server's clock. `confirms`: it says so when it takes a
    claim that it must confirm. A worker of a version that knew nothing of these says none of them.
    """

    worker: str
    slots: int
    kinds: frozenset[str] | None
    at: float
    policies: Mapping[str, KindPolicy] = {}
    terms: Terms | None = None
    since: float = 0.0
    confirms: bool = False


class Heartbeat(Struct, frozen=True, tag=True):
    """A worker that holds claims is alive."""

    worker: str
    at: float


class Draining(Struct, frozen=True, tag=True):
    """A worker takes no more claims; it finishes or releases what it has."""

    worker: str
    at: float


class Left(Struct, frozen=True, tag=True):
    """A worker is gone; whatever it still holds is lost at once.

    `released`: it ran nothing of that, and never will: the attempts do not count.
    """

    worker: str
    at: float
    released: bool = False


class Failure(Struct, frozen=True):
    """One job of a claim failed. `fatal`: do not retry. `delay`: the handler's own, in seconds."""

    position: int
    error: str = ""
    fatal: bool = False
    delay: float | None = None


class Ack(Struct, frozen=True, tag=True):
    """What became of a claim's jobs, by position; several acks may answer one claim.

    `done` None means all that are still open and not named in `failed` and `released`.
    `released` jobs were not started: the attempt does not count. `took`: per kind how many jobs ran
    and the seconds of one slot that they took together.
    """

    worker: str
    generation: int
    ordinal: int
    at: float
    done: Sequence[int] | None = None
    failed: Sequence[Failure] = ()
    released: Sequence[int] = ()
    took: Sequence[tuple[str, int, float]] = ()


class Cancel(Struct, frozen=True, tag=True):
    """End that job wherever it is; nothing follows."""

    job: int
    at: float


class Pause(Struct, frozen=True, tag=True):
    """Start no job of that kind and tenant; None stands for every one."""

    at: float
    kind: str | None = None
    tenant: str | None = None


class Resume(Struct, frozen=True, tag=True):
    """Undo the pause with the same kind and tenant."""

    at: float
    kind: str | None = None
    tenant: str | None = None


class Purge(Struct, frozen=True, tag=True):
    """Drop the jobs that are not running and were enqueued before `at`."""

    at: float
    kind: str | None = None
    tenant: str | None = None


class Discard(Struct, frozen=True, tag=True):
    """Give up a dead letter. Under `block` its key goes on; under `park` the key waits on."""

    job: int
    at: float


class Replay(Struct, frozen=True, tag=True):
    """Run a dead letter again, with fresh attempts; its key goes on when it succeeds."""

    job: int
    at: float


class Release(Struct, frozen=True, tag=True):
    """Let a key go on, whatever holds it."""

    key: str
    at: float


Report = (
    Registered
    | Heartbeat
    | Draining
    | Left
    | Ack
    | Cancel
    | Pause
    | Resume
    | Purge
    | Discard
    | Replay
    | Release
)


# What the dispatcher has decided, to be appended in one transaction.


class Later(Struct, frozen=True):
    """A job to be tried again: a row with its `job`, these attempts used, due at that time."""

    job: Job
    due: float
    attempt: int
    error: str


DeadReason = Literal["failed", "fatal", "lost", "expired"]


class Dead(Struct, frozen=True):
    """A job given up, for a person to look at: `attempt` were used."""

    job: Job
    attempt: int
    reason: DeadReason
    error: str
    at: float


class Revoke(Struct, frozen=True):
    """Take these rows away from a claim, unless the worker has settled them before.

    The store answers with those that it could not take: see `Dispatcher.appended`. `TAKEN` among
    them asks whether the worker took the claim: it is settled if it did.
    """

    generation: int
    ordinal: int
    rows: tuple[int, ...]
    reason: Literal["lost", "cancelled"]


class Hold(Struct, frozen=True):
    """Nothing of that key runs but `job` (None: nothing at all), until it is lifted."""

    key: str
    job: int | None
    policy: FailurePolicy


class Unpark(Struct, frozen=True):
    """Read parked jobs of that key, the first by their rows, and more than one at a time.

    From the beginning each time: a row that is parked later may have a lower number than one that
    was read. Those in memory are known.
    """

    key: str
    after: int = 0


class Step(Struct, frozen=True, kw_only=True):
    """One append to the ledger, whole or not at all.

    `urgent` is false if only `done` and `heard` moved: then it may wait, and should, for the next.
    `moved` are log rows finished by anything but an accepted ack; the rebuild reads them from all
    rows of the ledger from `floor` on. `removed` are rows of the later and parked tables that are
    finished. `holds` replace what held their keys before, `lifted` keys are held no more.
    `cancelled` jobs are deleted from later, parked and dead rows. `purges` delete later and
    parked rows except the `spared`, which are in memory. `replays` move a dead row to later, due at
    once, no attempts used; `discards` delete it.
    `gone` workers are forgotten. `freed` are digests of unique jobs that are finished.
    `paused` is the whole set when it changed. `rates` are the counters that changed, by name; with
    `rates_whole` they are all there are. `unparks` are not stored: they ask for a read after the
    append, and also if there is none.
    """

    generation: int
    at: float
    urgent: bool
    claims: Sequence[Claim] = ()
    later: Sequence[Later] = ()
    dead: Sequence[Dead] = ()
    revokes: Sequence[Revoke] = ()
    parks: Sequence[Job] = ()
    moved: Sequence[int] = ()
    removed: Sequence[Job] = ()
    holds: Sequence[Hold] = ()
    lifted: Sequence[str] = ()
    cancelled: Sequence[int] = ()
    purges: Sequence[Purge] = ()
    spared: Sequence[int] = ()
    replays: Sequence[int] = ()
    discards: Sequence[int] = ()
    paused: Sequence[Pause] | None = None
    gone: Sequence[str] = ()
    freed: Sequence[str] = ()
    rates: Mapping[str, RateState] = {}
    rates_whole: bool = False
    unparks: Sequence[Unpark] = ()
    done: int = 0
    heard: int = 0
    floor: int = 0
    wake_at: float | None = None


RateState = tuple[tuple[float, float], ...]


class Page(Struct, frozen=True):
    """Rows of one window in order; `complete` if they end it."""

    window: int
    jobs: Sequence[Job]
    complete: bool


class ClaimRow(Struct, frozen=True):
    """A claim as the ledger keeps it: rows instead of jobs."""

    generation: int
    ordinal: int
    worker: str
    rows: Sequence[int]
    at: float
    confirm: bool = False


class KindTold(Struct, frozen=True):
    """The policy of a kind, and when the process began that registered it."""

    kind: str
    policy: KindPolicy
    since: float


Settlement = tuple[int, int, int]  # generation, ordinal, row


class Record(Struct, frozen=True, kw_only=True):
    """Everything durable that a new dispatcher starts from.

    `generation`: the newest of the ledger; `claims`, `moved` and `rates` come from its rows from
    the newest row's `floor` on. `jobs`: log rows after `done` as far as the jobs had been read, by
    window. `outside`: the rows of the later and parked tables that `claims` name, and
    the parked rows without a key.
    `reports`: those after `done` up to `heard`, in order. What lies beyond is told to the new
    dispatcher as usual. `revoked` and `settled`: what stands in the table of settlements.
    """

    generation: int
    floor: int = 0
    done: int = 0
    heard: int = 0
    claims: Sequence[ClaimRow] = ()
    jobs: Iterable[Page] = ()
    outside: Sequence[Job] = ()
    reports: Iterable[Report] = ()
    moved: frozenset[int] = frozenset()
    revoked: frozenset[Settlement] = frozenset()
    settled: frozenset[Settlement] = frozenset()
    holds: Sequence[Hold] = ()
    parked_keys: frozenset[str] = frozenset()
    paused: Sequence[Pause] = ()
    workers: Sequence[Registered] = ()
    kinds: Sequence[KindTold] = ()
    rates: Sequence[Mapping[str, RateState]] = ()
