"""The partitioned layout: its settings, its index, its rotation."""

from __future__ import annotations

import contextlib

import pytest

from howdah.driver import run
from howdah.outbox import partitioned
from howdah.testing import Database
from howdah.testing.sinks import MemorySink
from tests.postgres.outbox.posted import Posted


@pytest.fixture
def posted(database: Database) -> Posted:
    return Posted(database.dsn, layout="partitioned")


def test_published_events_are_in_the_default_partition(posted: Posted) -> None:
    ids = posted.emit("a", "b")
    posted.drain(MemorySink())
    assert posted.do('SELECT count(*) FROM howdah."outbox_orders$unpublished"') == [(0,)]
    published = posted.do(
        'SELECT id FROM howdah."outbox_orders$published" WHERE published_at IS NOT NULL ORDER BY id'
    )
    assert [row[0] for row in published] == ids


def test_the_hot_partition_is_vacuumed_early_and_never_truncated(posted: Posted) -> None:
    ((options,),) = posted.do(
        "SELECT reloptions FROM pg_class WHERE relname = 'outbox_orders$unpublished'"
    )
    assert "autovacuum_vacuum_scale_factor=0" in options
    assert "autovacuum_vacuum_threshold=1000" in options
    assert "vacuum_index_cleanup=on" in options
    assert "vacuum_truncate=off" in options


def test_a_bloated_index_is_built_anew_and_leftovers_go(posted: Posted) -> None:
    posted.emit(*("k" * 2000))
    posted.drain(MemorySink())
    posted.emit("a")
    size = "SELECT pg_relation_size('howdah.\"outbox_orders$unpublished_pkey\"')"
    ((before,),) = posted.do(size)
    with contextlib.closing(posted.connect()) as connection:
        assert run(connection, partitioned.tend_index("orders")) == [], "small enough"
        ((action, detail),) = run(connection, partitioned.tend_index("orders", least_bytes=1))
    assert action == "reindexed"
    assert "for 1 rows" in detail
    ((after,),) = posted.do(size)
    assert after < before
    posted.drain(MemorySink())


def test_the_published_part_is_rotated_and_dropped_whole(posted: Posted) -> None:
    posted.emit("a", "b")
    posted.drain(MemorySink())
    with contextlib.closing(posted.connect()) as connection:
        assert run(connection, partitioned.rotate("orders", 1 << 30, 0.0)) == []
        assert run(connection, partitioned.rotate("orders", 0, 3600.0)) == [
            ("rotated", "outbox_orders$published0")
        ]
        assert run(connection, partitioned.rotate("orders", 1 << 30, 0.0)) == [
            ("dropped", "outbox_orders$published0")
        ]
    posted.emit("a")
    posted.drain(MemorySink())
    assert posted.do('SELECT count(*) FROM howdah."outbox_orders$published"') == [(1,)]


def test_rotation_does_not_wait_for_a_producer(posted: Posted) -> None:
    posted.emit("a")
    posted.drain(MemorySink())
    with contextlib.closing(posted.connect()) as producer:
        producer.execute("BEGIN")
        producer.execute('SELECT count(*) FROM howdah."outbox_orders$all"')
        with contextlib.closing(posted.connect()) as connection:
            ((action, _),) = run(connection, partitioned.rotate("orders", 0, 0.0))
        assert action == "busy"


def test_it_is_removed_whole(posted: Posted) -> None:
    posted.emit("a")
    posted.drain(MemorySink())
    with contextlib.closing(posted.connect()) as connection:
        run(connection, partitioned.rotate("orders", 0, 3600.0))
        posted.outbox.drop(connection)
    assert posted.do("SELECT count(*) FROM pg_class WHERE relname LIKE 'outbox\\_orders%%'") == [
        (0,)
    ]
