"""The processes of a chaos run on the log: `python -m tests.crash.log_actors ROLE NAME DSN FOLDER`.

They work until the folder holds `stop`, reconnect after every error, and write down what they did.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import psycopg

from howdah.clock import SYSTEM_CLOCK
from howdah.errors import Superseded
from howdah.log import Consumer, Event, Log
from howdah.testing.history import Recorder
from howdah.testing.nemesis import persistently

LOG = Log("x")
KEYS = [f"k{number}" for number in range(6)]
PAGE = 20
SEGMENT_BYTES = 128 * 1024


class Actor:
    def __init__(self, name: str, dsn: str, folder: Path) -> None:
        self.name = name
        self.dsn = dsn
        self.folder = folder
        self.random = random.Random(name)
        self.undone = int(SYSTEM_CLOCK.monotonic() * 1000)  # unlike those of a life before

    def stopped(self) -> bool:
        return (self.folder / "stop").exists()

    def run(self, role: str) -> None:
        actor = "c" if role == "consume" else self.name
        with Recorder(self.folder, actor) as told:
            persistently(self.dsn, lambda connection: getattr(self, role)(connection, told))

    def produce(self, connection: psycopg.Connection, told: Recorder) -> bool:
        """Numbers of a key come from a row that the transaction locks, so they are in order."""
        key = self.random.choice(KEYS)
        with connection.transaction():
            rows = []
            for _ in range(self.random.choice((1, 1, 3, 40))):
                row = connection.execute(
                    "UPDATE account SET v = v + 1 WHERE key = %s RETURNING v", [key]
                ).fetchone()
                assert row is not None
                rows.append(int(row[0]))
                told.emitting(key, rows[-1])
                LOG.emit(connection, Event(key, str(rows[-1]).encode(), key))
                if self.random.random() < 0.1:
                    self.undo(connection, told)
        for number in rows:
            told.emitted(key, number)
        return self.stopped()

    def undo(self, connection: psycopg.Connection, told: Recorder) -> None:
        """An event of a savepoint that is rolled back."""
        self.undone += 1
        told.emitting(self.name, self.undone)
        with connection.transaction(force_rollback=True):
            LOG.emit(connection, Event(self.name, str(self.undone).encode(), self.name))
        told.aborted(self.name, self.undone)

    def consume(self, connection: psycopg.Connection, told: Recorder) -> bool:
        """At least once, beside another instance that wants the same."""
        try:
            reading = Consumer("x", "c").open(connection, take_over=True)
            while not self.stopped():
                page = reading.next_page(PAGE)
                if page is None:
                    SYSTEM_CLOCK.sleep(0.002)
                    continue
                told.delivered(*((r.topic, int(r.payload)) for r in page.records))
                reading.commit(page.end)
        except Superseded:
            SYSTEM_CLOCK.sleep(self.random.uniform(0.05, 0.3))
        return self.stopped()

    def apply(self, connection: psycopg.Connection, _: Recorder) -> bool:
        """Exactly once, into a table of the same database."""
        try:
            with Consumer("x", "applied").exactly_once(connection, PAGE) as records:
                for record in records:
                    connection.execute(
                        "INSERT INTO effect (key, number) VALUES (%s, %s)",
                        [record.topic, int(record.payload)],
                    )
        except Superseded:
            return self.stopped()
        if not records:
            SYSTEM_CLOCK.sleep(0.002)
        return self.stopped()

    def maintain(self, connection: psycopg.Connection, _: Recorder) -> bool:
        LOG.maintain(connection, segment_bytes=SEGMENT_BYTES)
        SYSTEM_CLOCK.sleep(0.02)
        return self.stopped()


if __name__ == "__main__":
    role, name, dsn, folder = sys.argv[1:]
    Actor(name, dsn, Path(folder)).run(role)
