"""Whether a queue needs another dispatcher than the one that has its lock.

Owns the looks at the ledger, the logs, the later tables and the schedules that tell. Must never
take over: that is the candidate's.
"""

from __future__ import annotations

import psycopg

from howdah.driver import run
from howdah.queue import cron, store
from howdah.queue.policy import QueuePolicy

DISTRUST_LEASES = 10.0  # so many leases the lock is not believed after it has misled


class Needed:
    """One candidate's view.

    An idle dispatcher writes nothing, so age alone says nothing: there must have been work, and no
    progress, for a whole lease. The advisory lock is a short cut that tells at once when a
    dispatcher's session has ended. Behind a pooler it means nothing: whoever was deposed although
    it had the lock does not believe it for a while.
    """

    def __init__(self, queue: str, policy: QueuePolicy) -> None:
        self._queue = queue
        self._lease = policy.lease_seconds
        self._since: float | None = None
        self._generation = 0
        self._distrusted_until = 0.0

    def trusts_lock(self, now: float) -> bool:
        """Whether having the lock is enough."""
        return now >= self._distrusted_until

    def misled(self, now: float) -> None:
        """The lock was had, and another dispatcher owned the queue."""
        self._distrusted_until = now + DISTRUST_LEASES * self._lease
        self._since = None

    def stuck(self, connection: psycopg.Connection[object], now: float) -> bool:
        """Whether there has been work for a lease that nobody does."""
        ledger = run(connection, store.newest(self._queue))
        if ledger.generation != self._generation:
            self._generation, self._since = ledger.generation, None
        if not self._work(connection, ledger):
            self._since = None
            return False
        if self._since is None:
            self._since = now
        return now > self._since + self._lease

    def _work(self, connection: psycopg.Connection[object], ledger: store.Ledger) -> bool:
        looked = run(connection, store.look(self._queue, ledger.done, ledger.heard))
        if looked.jobs or looked.reports:
            return True
        due = run(connection, store.next_due(self._queue))
        if due is not None and due <= looked.now:
            return True
        queue_id = run(connection, store.open_queue(self._queue))
        planned = run(connection, store.schedules(queue_id))
        fires = (cron.next_fire(each.schedule, each.dealt_upto) for each in planned)
        return any(fire is not None and fire <= looked.now for fire in fires)
