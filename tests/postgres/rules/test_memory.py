"""Memory, temporary files and connections on real servers."""

from __future__ import annotations

import contextlib

import msgspec

from howdah.check.evaluate import evaluate
from howdah.check.model import Kind
from howdah.check.rules.memory import (
    budget,
    connections,
    memory_budget,
    spills,
    temporary_files,
)
from howdah.snapshot.picture import Picture
from howdah.testing import Database
from tests.diagnosing import examine, take_picture

HASHING = {14: 1.0}  # hash_mem_multiplier's default; 2.0 since 15


def test_the_budget_and_the_hosts_memory(database: Database) -> None:
    seen = take_picture(database, sample_seconds=0.2)
    parts = budget(seen)
    assert parts is not None
    assert parts["shared_buffers"] == 32 * 1024**2
    assert parts["statements"] % (4 * 1024**2 * 2 * HASHING.get(database.major, 2.0)) == 0
    assert evaluate(seen, [memory_budget], {})[0].kind is Kind.UNKNOWN
    for told, kind in ((2**40, Kind.OK), (2**20, Kind.FINDING)):
        knowing = Picture(msgspec.structs.replace(seen.snapshot, host_memory_bytes=told))
        assert evaluate(knowing, [memory_budget], {})[0].kind is kind


def test_a_statement_that_spills(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            """
            CREATE EXTENSION pg_stat_statements;
            CREATE TABLE t AS SELECT g, repeat('x', 50) AS s FROM generate_series(1, 100000) AS g;
            SELECT pg_stat_reset(), pg_stat_statements_reset();
            """
        )
        connection.execute("SELECT count(*) FROM t")
        assert examine(database, spills).kind is Kind.OK
        connection.execute("SET work_mem = '64kB'; SET hash_mem_multiplier = 1")
        for _ in range(3):
            connection.execute("SELECT count(*) FROM (SELECT * FROM t ORDER BY s, g OFFSET 1) AS q")
    (finding,) = examine(database, spills).findings
    assert "ORDER BY s, g" in finding.object
    assert finding.evidence[0]["temp_bytes_per_call"] > 5_000_000
    assert examine(database, temporary_files).kind in (Kind.FINDING, Kind.OK)


def test_connections_that_run_out(database: Database) -> None:
    assert examine(database, connections).kind is Kind.OK
    with contextlib.ExitStack() as open_ones:
        for _ in range(48):
            open_ones.enter_context(database.connect())
        (finding,) = examine(database, connections).findings
    assert finding.evidence[0]["available"] == 57
    assert 48 <= finding.evidence[0]["used"] <= 57
