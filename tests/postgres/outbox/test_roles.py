"""Least privilege: who may emit, relay, and look."""

from __future__ import annotations

import contextlib

import pytest

from howdah.errors import Denied
from howdah.outbox import Relay
from howdah.postgres import connect
from howdah.testing import Database, wait_until
from howdah.testing.sinks import MemorySink
from tests.postgres.outbox.posted import LAYOUTS, QUICK, Posted


@pytest.mark.parametrize("layout", LAYOUTS)
def test_producers_emit_and_workers_relay(database: Database, layout: str) -> None:
    posted = Posted(database.dsn, layout=layout, policy="park")
    producer = database.dsn_of(database.create_role(member_of=["howdah_producer"]))
    worker = database.dsn_of(database.create_role(member_of=["howdah_worker"]))
    reader = database.dsn_of(database.create_role(member_of=["howdah_reader"]))
    with contextlib.closing(connect(producer)) as connection:
        ids = posted.outbox.emit_many(connection, [("t", "a", "x" * 10), ("t", "a", "y")])
        with pytest.raises(Denied):
            posted.outbox.discard(connection, all_of_them=True)
    sink = MemorySink(max_bytes=901_024)
    checks = {"t": _refuse_long}
    relay = Relay(posted.outbox, sink, dsn=worker, options=QUICK, validate=checks)
    relay.run_sync(until_idle=True)
    assert relay.figures.parked == 2
    with contextlib.closing(connect(reader)) as connection:
        assert [row.id for row in posted.outbox.parked(connection)] == ids
        assert posted.outbox.status(connection).parked == 2
        with pytest.raises(Denied):
            posted.outbox.emit(connection, "t", "a", "z")
    with contextlib.closing(connect(worker)) as connection:
        assert posted.outbox.replay(connection, key="a") == ids
    with Posted.relaying(posted, sink):
        wait_until(lambda: len(sink.delivered) == 2)


def _refuse_long(message: object) -> None:
    if len(getattr(message, "payload", b"")) > 5:
        raise ValueError("too long")
