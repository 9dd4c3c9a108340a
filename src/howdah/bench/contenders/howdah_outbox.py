"""Howdah's outbox: events are emitted into its log, and its relay hands them to a function.

Owns its contender only. The relay that users run, with its defaults, its lease and its commits; the
sink is a function for lists, so that no broker is part of the figures.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any, ClassVar

import psycopg

from howdah import __version__, schema
from howdah.bench.contender import Contender, Place
from howdah.bench.model import Bench
from howdah.bench.roster import OURS
from howdah.bench.tally import Batch, Tally
from howdah.log import Consumer
from howdah.outbox import COMPONENT, Outbox, Relay
from howdah.outbox.ring import CONSUMER
from howdah.outbox.sinks.callable import CallableSettings, CallableSink
from howdah.outbox.sinks.sink import Message

_TOPIC = "bench"
_BYTES = "application/octet-stream"


class HowdahOutbox(Contender):
    """Events by COPY, arrays or one by one; the relay calls a function with lists of messages."""

    name = OURS
    what = "append-only segments, one relay, positions in an append-only ledger"
    benches = frozenset({Bench.OUTBOX})
    schemas = ("howdah",)
    single_consumer = True  # a second relay only stands by
    ways = ("copy", "arrays", "single")
    settings: ClassVar[dict[str, str]] = {
        "sink": "a function for lists of messages",
        "content type": _BYTES,
    }

    def version(self) -> str:
        return __version__

    def prepare(self, place: Place) -> None:
        with closing(place.connect()) as connection:
            schema.install(connection, [COMPONENT])
            Outbox(place.queue, content_type=_BYTES).create(connection)

    def produce(self, place: Place, way: str, batches: Iterable[Batch]) -> None:
        outbox = Outbox(place.queue, content_type=_BYTES)
        with closing(place.connect()) as connection:
            for batch in batches:
                drafts = [(_TOPIC, None, each) for each in batch.payloads()]
                _emit(outbox, connection, way if batch.count > 1 else "single", drafts)

    def consume(self, place: Place, tally: Tally) -> None:
        async def handle(messages: Sequence[Message]) -> None:
            tally.items([message.payload for message in messages])

        relay = Relay(
            place.queue, CallableSink(handle, CallableSettings(batch=True)), dsn=place.dsn
        )
        stopping = threading.Thread(target=_stop, args=(relay.stop, tally.stopped), daemon=True)
        stopping.start()
        asyncio.run(relay.run())

    def unfinished(self, place: Place) -> int:
        with closing(place.connect()) as connection:
            reading = Consumer(place.queue, CONSUMER).open(connection)
            return sum(len(page.records) for page in reading.pages())


def _emit(
    outbox: Outbox, connection: psycopg.Connection, way: str, drafts: list[tuple[str, None, bytes]]
) -> None:
    """One batch in one transaction, in the given way."""
    if way == "copy":
        outbox.copy(connection, drafts)
    elif way == "arrays":
        outbox.emit_many(connection, drafts)
    elif len(drafts) == 1:
        outbox.emit(connection, *drafts[0])
    else:
        with connection.transaction():
            for each in drafts:
                outbox.emit(connection, *each)


def _stop(stop: Any, stopped: threading.Event) -> None:
    stopped.wait()
    stop()


CONTENDERS = (HowdahOutbox(),)
