"""Our own reference of the usual pattern: SELECT ... FOR UPDATE SKIP LOCKED on one table.

Owns five forms of it. Those that acknowledge a hundred at a time are generous to the pattern: a
crash of the worker runs up to a hundred finished jobs again. They are what ours is compared with,
because ours acknowledges by the batch too. What people mostly run is `skip-locked-history`: a few
at a time, each finished by an update of its own and kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import ClassVar

import psycopg

from howdah import query
from howdah.bench.contender import Contender, Place, count
from howdah.bench.model import Bench
from howdah.bench.tally import Batch, Tally

_SQL = query.load("howdah.bench.contenders", "sql/skip_locked.sql")
_CLAIM = 100
_POLL_SECONDS = 0.005


class SkipLocked(Contender):
    """Claimed by an update that commits, acknowledged by a delete."""

    name = "skip-locked"
    what = "one table: claimed by UPDATE ... SKIP LOCKED, acknowledged by DELETE"
    benches = frozenset({Bench.QUEUE, Bench.OUTBOX})
    settings: ClassVar[dict[str, str]] = {
        "claim": f"{_CLAIM} jobs, then one acknowledgement",
        "poll when empty": f"{_POLL_SECONDS * 1000:g} ms",
    }
    size: ClassVar[int] = _CLAIM
    claim: ClassVar[str] = "claim"
    settle: ClassVar[str] = "remove"
    one_transaction: ClassVar[bool] = False

    def sql(self) -> Sequence[str]:
        return [_SQL.text("table"), _SQL.text("index")]

    def prepare(self, place: Place) -> None:
        with closing(place.connect()) as connection:
            for statement in self.sql():
                connection.execute(statement.encode())

    def produce(self, place: Place, way: str, batches: Iterable[Batch]) -> None:
        del way
        many, one = _SQL.text("add_many").encode(), _SQL.text("add").encode()
        with closing(place.connect()) as connection:
            for batch in batches:
                payloads = batch.payloads()
                if len(payloads) == 1:
                    connection.execute(one, {"payload": payloads[0]}, prepare=True)
                else:
                    connection.execute(many, {"payloads": payloads}, prepare=True)

    def consume(self, place: Place, tally: Tally) -> None:
        with closing(place.connect()) as connection:
            while not tally.stopped.is_set():
                if self.one_transaction:
                    with connection.transaction():
                        found = self._round(connection, tally)
                else:
                    found = self._round(connection, tally)
                if not found:
                    tally.stopped.wait(_POLL_SECONDS)

    def unfinished(self, place: Place) -> int:
        return count(place, _SQL.text("unfinished"))

    def _round(self, connection: psycopg.Connection, tally: Tally) -> int:
        claim, settle = _SQL.text(self.claim).encode(), _SQL.text(self.settle).encode()
        rows = connection.execute(claim, {"size": self.size}, prepare=True, binary=True).fetchall()
        tally.items([row[1] for row in rows])
        for ids in self._acknowledged([row[0] for row in rows]):
            connection.execute(settle, {"ids": ids}, prepare=True)
        return len(rows)

    def _acknowledged(self, ids: list[int]) -> list[list[int]]:
        """The ids by acknowledgement: here all at once."""
        return [ids] if ids else []


class SkipLockedEach(SkipLocked):
    """As the first, but each job is acknowledged as soon as its handler is done."""

    name = "skip-locked-each"
    what = "one table: claimed in batches by UPDATE ... SKIP LOCKED, each job deleted by itself"
    settings: ClassVar[dict[str, str]] = {
        **SkipLocked.settings,
        "claim": f"{_CLAIM} jobs, each acknowledged by itself",
    }

    def _acknowledged(self, ids: list[int]) -> list[list[int]]:
        return [[each] for each in ids]


class SkipLockedOneTransaction(SkipLocked):
    """Held by row locks while the handler runs; no attempt is counted, no crash is noticed."""

    name = "skip-locked-tx"
    what = "one table: row locks held while the handler runs, then DELETE, one transaction"
    claim = "lock"
    one_transaction = True


class SkipLockedKept(SkipLocked):
    """As the first, but finished jobs stay in the table."""

    name = "skip-locked-kept"
    what = "one table: claimed by UPDATE ... SKIP LOCKED, finished by UPDATE, kept"
    settle = "finish"
    benches = frozenset({Bench.QUEUE})


class SkipLockedHistory(SkipLockedEach):
    """A few at a time, each finished by its own update, and kept as history."""

    name = "skip-locked-history"
    what = "one table: claimed ten at a time, each job finished by its own UPDATE, kept"
    size = 10
    settle = "finish"
    benches = frozenset({Bench.QUEUE})
    settings: ClassVar[dict[str, str]] = {
        **SkipLocked.settings,
        "claim": "10 jobs, each acknowledged by itself",
    }


CONTENDERS = (
    SkipLocked(),
    SkipLockedEach(),
    SkipLockedOneTransaction(),
    SkipLockedKept(),
    SkipLockedHistory(),
)
