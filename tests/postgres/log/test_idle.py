"""An idle log costs nothing: no transaction id, no row, no WAL."""

from __future__ import annotations

import pytest

from howdah.testing.fixtures import OwnServer
from tests.postgres.log.logged import Logged
from tests.postgres.log.places import place_on

POLLS = 300


def test_idle_consumers_take_no_transaction_id(own_server: OwnServer) -> None:
    server = own_server({"autovacuum": "off", "bgwriter_lru_maxpages": "0"})
    logged = Logged(place_on(server))
    consumer, behind = logged.consumer(), logged.consumer("behind")
    logged.emit("1")
    logged.drain(consumer)
    assert logged.maintain() == ["turned", "pinned"]
    state = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text, pg_current_wal_insert_lsn()"
    with logged.connect() as connection:
        reading = consumer.open(connection)
        assert reading.next_page() is None
        before = connection.execute(state).fetchone()
        for _ in range(POLLS):
            assert reading.next_page() is None
            assert connection.execute("SELECT FROM howdah.read('x', 'c')").fetchall() == []
            connection.execute("SELECT * FROM howdah.maintain('x')")
            connection.execute("SELECT * FROM howdah.consumers('x'), howdah.segments('x')")
        after = connection.execute(state).fetchone()
    assert before is not None and after is not None
    assert after[0] == before[0]
    assert logged.drain(behind) == ["1"]


@pytest.mark.postgres(newest=True)
def test_an_idle_log_writes_no_wal(own_server: OwnServer) -> None:
    server = own_server({"autovacuum": "off", "checkpoint_timeout": "1h"})
    logged = Logged(place_on(server))
    consumer = logged.consumer()
    with logged.connect() as connection:
        reading = consumer.open(connection)
        reading.next_page()
        connection.execute("SELECT * FROM howdah.maintain('x')")
        row = connection.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
        assert row is not None
        for _ in range(POLLS):
            assert reading.next_page() is None
        written = connection.execute(
            "SELECT pg_current_wal_insert_lsn() - %s::pg_lsn", row
        ).fetchone()
    assert written is not None
    assert written[0] < 1_000  # the background writer's note of running transactions, at most
