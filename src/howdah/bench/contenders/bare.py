"""The bare statements: what the server can do at most, without any of a log's promises.

Owns the physical limit of appending and reading. Reading by id loses events that commit late, which
is why nobody should read a log so; here one producer writes in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing

import psycopg

from howdah import query
from howdah.bench.contender import Contender, Place, count
from howdah.bench.model import Bench
from howdah.bench.tally import Batch, Tally

_SQL = query.load("howdah.bench.contenders", "sql/bare.sql")
_PAGE = 5_000
_POLL_SECONDS = 0.001


class Bare(Contender):
    """INSERT, COPY and a page by id on one table with an event's columns and one index."""

    name = "bare"
    what = "bare INSERT and COPY into one table, read by id: the physical limit, no promise"
    benches = frozenset({Bench.LOG})
    single_consumer = True  # a position has one reader
    ways = ("copy", "arrays", "single")

    def sql(self) -> Sequence[str]:
        return [_SQL.text(name) for name in ("table", "index", "reading_index", "position_table")]

    def prepare(self, place: Place) -> None:
        with closing(place.connect()) as connection:
            for statement in self.sql():
                connection.execute(statement.encode())

    def produce(self, place: Place, way: str, batches: Iterable[Batch]) -> None:
        with closing(place.connect()) as connection:
            for batch in batches:
                append(connection, way if batch.count > 1 else "single", batch.payloads())

    def consume(self, place: Place, tally: Tally) -> None:
        page, last = _SQL.text("page").encode(), count(place, _SQL.text("position"))
        with closing(place.connect()) as connection:
            while not tally.stopped.is_set():
                parameters = {"last": last, "size": _PAGE}
                rows = connection.execute(page, parameters, prepare=True, binary=True).fetchall()
                if rows:
                    last = rows[-1][0]
                    tally.items([row[1] for row in rows])
                else:
                    tally.stopped.wait(_POLL_SECONDS)
            connection.execute(_SQL.text("keep_position").encode(), {"last": last})

    def unfinished(self, place: Place) -> int:
        return count(place, _SQL.text("unfinished"))


def append(connection: psycopg.Connection, way: str, payloads: Sequence[bytes]) -> None:
    """One batch in one transaction, in the given way."""
    if way == "copy":
        with connection.cursor().copy(_SQL.text("copy_in").encode()) as copy:
            copy.set_types(("text", "text", "bytea"))
            for payload in payloads:
                copy.write_row(("bench", None, payload))
    elif way == "arrays":
        parameters = {"payloads": list(payloads)}
        connection.execute(_SQL.text("add_many").encode(), parameters, prepare=True)
    else:
        add = _SQL.text("add").encode()
        with connection.transaction():
            for payload in payloads:
                connection.execute(add, {"payload": payload}, prepare=True)


CONTENDERS = (Bare(),)
