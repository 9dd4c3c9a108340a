"""The workers that the dispatcher knows, their slots and their leases.

Owns who may be given claims, and until when a worker counts as alive. Must never decide what a
worker gets.

A lease is the worker's, not the claim's: any report renews it, and a claim starts it, because an
idle worker sends nothing.
"""

from __future__ import annotations

from collections.abc import Collection

from howdah.queue.model import Left, Registered

SILENT_LEASES = 1 / 3  # of a lease without a word: longer than between two heartbeats
FORGET_SECONDS = 3600.0  # a lost worker may come back within this time


class Worker:
    """One worker process. `lost` until it reports again."""

    __slots__ = (
        "claims",
        "confirms",
        "doubtful",
        "draining",
        "kinds",
        "lease_until",
        "lost",
        "name",
        "quiet",
        "seen_at",
        "slots",
        "told",
    )

    def __init__(self, told: Registered) -> None:
        self.name = told.worker
        self.told = told
        self.slots = told.slots
        self.kinds = told.kinds
        self.confirms = False
        self.doubtful = False
        self.claims = 0
        self.draining = False
        self.lost = False
        self.quiet = False
        self.seen_at = told.at
        self.lease_until = 0.0

    def room(self, *, ahead: bool) -> int:
        """How many claims more it may get; `ahead` of its slots, as many again.

        One that has said nothing for a lease may be idle or dead: one job will tell.
        """
        if self.quiet:
            return 1 - self.claims
        return (2 * self.slots if ahead else self.slots) - self.claims

    @property
    def load(self) -> float:
        """Claims per slot."""
        return self.claims / self.slots


class Roster:
    """Every worker by its name, which no other incarnation ever has."""

    def __init__(self, lease_seconds: float, here: Collection[str] = ()) -> None:
        self._lease = lease_seconds
        self._here = frozenset(here)
        self._workers: dict[str, Worker] = {}
        self.gone: list[str] = []

    def register(self, told: Registered) -> None:
        """A worker is there, or has changed its slots."""
        worker = self._workers.get(told.worker)
        if worker is None:
            worker = self._workers[told.worker] = Worker(told)
        else:
            worker.told, worker.slots, worker.kinds = told, told.slots, told.kinds
            self.alive(told.worker, told.at)
        worker.confirms = told.confirms and told.worker not in self._here

    def alive(self, name: str, at: float) -> None:
        """The worker reported something at that time."""
        worker = self._workers.get(name)
        if worker is not None:
            worker.lost = False
            worker.seen_at = max(worker.seen_at, at)
            worker.lease_until = max(worker.lease_until, at + self._lease)

    def draining(self, name: str) -> None:
        """The worker wants no more."""
        worker = self._workers.get(name)
        if worker is not None:
            worker.draining = True

    def left(self, told: Left) -> None:
        """The worker is gone for good."""
        worker = self._workers.pop(told.worker, None)
        if worker is not None:
            self.gone.append(told.worker)

    def gave(self, worker: Worker, now: float) -> None:
        """The worker was given a claim."""
        worker.claims += 1
        worker.lease_until = max(worker.lease_until, now + self._lease)

    def took_back(self, name: str) -> None:
        """A claim of the worker is closed."""
        worker = self._workers.get(name)
        if worker is not None:
            worker.claims -= 1

    def holds(self, name: str, now: float) -> None:
        """A claim of an earlier dispatcher is still open: the worker gets a whole lease."""
        worker = self._workers.get(name)
        if worker is not None:
            self.gave(worker, now)

    def known(self, name: str) -> bool:
        """Whether that worker has registered and not left."""
        return name in self._workers

    def expired(self, now: float) -> list[str]:
        """Workers whose lease has just run out while they held claims."""
        out: list[str] = []
        for worker in list(self._workers.values()):
            if worker.claims and not worker.lost and worker.lease_until < now:
                worker.lost = True
                out.append(worker.name)
            elif worker.lost and not worker.claims and worker.seen_at + FORGET_SECONDS < now:
                del self._workers[worker.name]
                self.gone.append(worker.name)
        return out

    def next_expiry(self) -> float | None:
        """When the next lease runs out, of those that hold claims."""
        return min(
            (w.lease_until for w in self._workers.values() if w.claims and not w.lost), default=None
        )

    def slots(self) -> dict[str, int]:
        """The slots of those that may get claims, by name."""
        return {worker.name: worker.slots for worker in self.takers()}

    def takers(self) -> list[Worker]:
        """Those that may get claims."""
        return [w for w in self._workers.values() if w.slots and not (w.lost or w.draining)]

    def registered(self) -> list[Registered]:
        """What every worker said of itself."""
        return [worker.told for worker in self._workers.values()]

    def listen(self, now: float) -> None:
        """Find out who has said nothing for a lease, and who for so long that it may be dead."""
        for worker in self._workers.values():
            silent = now - worker.seen_at
            worker.quiet = silent > self._lease
            worker.doubtful = worker.confirms and silent > SILENT_LEASES * self._lease
