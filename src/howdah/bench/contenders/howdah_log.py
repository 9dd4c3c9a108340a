"""Howdah's log: segments that are only appended to, read by the difference of two snapshots.

Owns its contender only. It commits its position after every page, and turns and reclaims its
segments as relays and workers do; nothing here is faster than what a user of the library gets.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import ClassVar

import psycopg

from howdah import __version__, schema
from howdah.bench.contender import Contender, Place
from howdah.bench.model import Bench
from howdah.bench.roster import OURS
from howdah.bench.tally import Batch, Tally
from howdah.clock import SYSTEM_CLOCK, Clock
from howdah.log import COMPONENT, Consumer, Event, Log

_POLL_SECONDS = 0.001
_MAINTAIN_SECONDS = 1.0
_CONSUMER = "bench"


class HowdahLog(Contender):
    """Events by COPY, arrays or one by one; a consumer that commits its position by the page."""

    name = OURS
    what = "append-only segments, windows between snapshots, positions in an append-only ledger"
    benches = frozenset({Bench.LOG})
    schemas = ("howdah",)
    single_consumer = True  # a position has one reader
    ways = ("copy", "arrays", "single")
    settings: ClassVar[dict[str, str]] = {"poll when empty": f"{_POLL_SECONDS * 1000:g} ms"}

    def version(self) -> str:
        return __version__

    def prepare(self, place: Place) -> None:
        with closing(place.connect()) as connection:
            schema.install(connection, [COMPONENT])
            Log(place.queue).create(connection)
            Consumer(place.queue, _CONSUMER).subscribe(connection)

    def produce(self, place: Place, way: str, batches: Iterable[Batch]) -> None:
        log = Log(place.queue)
        with closing(place.connect()) as connection:
            for batch in batches:
                events = [Event("bench", payload) for payload in batch.payloads()]
                _append(log, connection, way if batch.count > 1 else "single", events)

    def consume(self, place: Place, tally: Tally) -> None:
        log, consumer = Log(place.queue), Consumer(place.queue, _CONSUMER)
        clock: Clock = SYSTEM_CLOCK
        maintained = clock.monotonic()
        with closing(place.connect()) as connection:
            reading = consumer.open(connection)
            while not tally.stopped.is_set():
                page = reading.next_page()
                if page is None:
                    tally.stopped.wait(_POLL_SECONDS)
                else:
                    tally.items([record.payload for record in page.records])
                    reading.commit(page.end)
                if clock.monotonic() - maintained > _MAINTAIN_SECONDS:
                    log.maintain(connection)
                    maintained = clock.monotonic()

    def unfinished(self, place: Place) -> int:
        with closing(place.connect()) as connection:
            reading = Consumer(place.queue, _CONSUMER).open(connection)
            return sum(len(page.records) for page in reading.pages())


def _append(log: Log, connection: psycopg.Connection, way: str, events: list[Event]) -> None:
    """One batch in one transaction, in the given way."""
    if way == "copy":
        log.copy(connection, events)
    elif way == "arrays":
        log.emit_many(connection, events)
    elif len(events) == 1:
        log.emit(connection, events[0])
    else:
        with connection.transaction():
            for event in events:
                log.emit(connection, event)


CONTENDERS = (HowdahLog(),)
