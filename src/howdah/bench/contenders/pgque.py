"""pgque: PgQ in plain SQL; an event log with ticks, read in batches between two ticks.

Owns its contender only. Its functions come from its installation script, which must be given by
`--pgque-sql` or HOWDAH_BENCH_PGQUE_SQL: no package brings it. No part of it is ours.

A tick every 10 ms from a session of its own, where its installation suggests 100 ms: a shorter tick
shortens its latency. Nothing rotates its tables: a run is shorter than its rotation period.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import ClassVar

import psycopg

from howdah import query
from howdah.bench.contender import Contender, Place, count
from howdah.bench.model import Absent, Bench
from howdah.bench.tally import Batch, Tally
from howdah.errors import BadFile

_SQL = query.load("howdah.bench.contenders", "sql/pgque.sql")
_TICK_SECONDS = 0.01
_POLL_SECONDS = 0.002
_CONSUMER = "bench"
_RECEIVE = 1_000_000  # a batch is what lies between two ticks; less would be refused


class PgQue(Contender):
    """Events by `send_batch`, received between ticks, acknowledged a batch at a time."""

    name = "pgque"
    what = "SQL functions: append-only tables, batches between ticks, one updated position"
    benches = frozenset({Bench.LOG, Bench.OUTBOX, Bench.QUEUE})
    schemas = ("pgque",)
    roles = ("pgque_admin", "pgque_reader", "pgque_writer")
    single_consumer = True  # a position has one reader
    settings: ClassVar[dict[str, str]] = {
        "consuming processes": "one",
        "tick": f"{_TICK_SECONDS * 1000:g} ms, by a session of its own",
        "ticker_max_lag": "1 ms",
        "poll when empty": f"{_POLL_SECONDS * 1000:g} ms",
    }

    def absent(self, scripts: dict[str, str]) -> Absent | None:
        if self.name in scripts:
            return None
        return Absent(
            name=self.name,
            why="its installation script was not given, and no package brings it",
            install="--pgque-sql pgque.sql, the file of that name in the project NikolayS/PgQue",
        )

    def version(self) -> str:
        return "of the given script"

    def prepare(self, place: Place) -> None:
        try:
            script = Path(place.scripts[self.name]).read_text(encoding="utf-8")
        except OSError as error:
            raise BadFile("cannot read pgque's installation script", detail=str(error)) from error
        with closing(place.connect()) as connection:
            connection.execute(script.encode())
            names = {"queue": place.queue, "consumer": _CONSUMER}
            for block in ("create", "eager", "subscribe"):
                connection.execute(_SQL.text(block).encode(), names)

    def produce(self, place: Place, way: str, batches: Iterable[Batch]) -> None:
        del way
        many, one = _SQL.text("send_batch").encode(), _SQL.text("send").encode()
        with _ticking(place), closing(place.connect()) as connection:
            for batch in batches:
                texts = batch.texts()
                if len(texts) == 1:
                    connection.execute(one, {"queue": place.queue, "item": texts[0]}, prepare=True)
                else:
                    connection.execute(many, {"queue": place.queue, "items": texts}, prepare=True)

    def consume(self, place: Place, tally: Tally) -> None:
        receive, ack = _SQL.text("receive").encode(), _SQL.text("ack").encode()
        asked = {"queue": place.queue, "consumer": _CONSUMER, "size": _RECEIVE}
        with _ticking(place), closing(place.connect()) as connection:
            while not tally.stopped.is_set():
                rows = connection.execute(receive, asked, prepare=True).fetchall()
                if rows:
                    tally.items([row[1] for row in rows])
                    connection.execute(ack, {"batch": rows[0][0]}, prepare=True)
                else:
                    tally.stopped.wait(_POLL_SECONDS)

    def unfinished(self, place: Place) -> int:
        count(place, _SQL.text("settle"), {"queue": place.queue})
        return count(place, _SQL.text("unfinished"), {"queue": place.queue, "consumer": _CONSUMER})


@contextmanager
def _ticking(place: Place) -> Iterator[None]:
    """Its daemon: while producing too, or a whole backlog would be one batch."""
    over = threading.Event()
    thread = threading.Thread(target=_tick, args=(place, over), daemon=True)
    thread.start()
    yield
    over.set()
    thread.join()


def _tick(place: Place, over: threading.Event) -> None:
    tick = _SQL.text("tick").encode()
    with closing(psycopg.connect(place.dsn, autocommit=True)) as connection:
        while not over.wait(_TICK_SECONDS):
            connection.execute(tick, {"queue": place.queue}, prepare=True)


CONTENDERS = (PgQue(),)
