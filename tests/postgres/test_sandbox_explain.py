"""One query: what it took, what it returned, and nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from howdah.errors import BadInput, HowdahError, NotASandbox
from howdah.postgres import Server
from howdah.sandbox import Sandbox
from howdah.sandbox.explain import explain
from howdah.testing import Database


@pytest.fixture(scope="module")
def sandbox(server: Server) -> Iterator[Sandbox]:
    script = "CREATE TABLE t (id int PRIMARY KEY, a int); CREATE INDEX t_a ON t (a)"
    with Sandbox.from_schema(script, server=server) as built:
        with built.connect() as connection:
            connection.execute("INSERT INTO t SELECT i, i % 10 FROM generate_series(1, 1000) i")
            connection.execute("VACUUM ANALYZE t")
        yield built


def test_what_a_query_took(sandbox: Sandbox) -> None:
    found = explain(sandbox, "SELECT id FROM t WHERE a = $1", [3])
    assert found.analyzed
    assert found.rows == 100
    assert found.buffers.touched > 0
    assert found.seconds > 0
    assert found.wal_bytes == 0
    assert any(node.index == "public.t_a" for node in found.plan.walk())


def test_results_compare_as_multisets_and_in_order(sandbox: Sandbox) -> None:
    up = explain(sandbox, "SELECT id FROM t ORDER BY id")
    down = explain(sandbox, "SELECT id FROM t ORDER BY id DESC")
    fewer = explain(sandbox, "SELECT id FROM t WHERE id <> $1 ORDER BY id", [5])
    assert up.result_hash == down.result_hash != fewer.result_hash
    assert up.ordered_hash != down.ordered_hash


def test_writes_are_measured_and_rolled_back(sandbox: Sandbox) -> None:
    found = explain(sandbox, "UPDATE t SET a = a + 1 WHERE id <= 10 RETURNING id")
    assert found.wal_bytes > 0
    assert found.rows == 10
    assert found.result_hash
    assert explain(sandbox, "DELETE FROM t").result_hash is None
    with sandbox.connect() as connection:
        row = connection.execute("SELECT count(*), sum(a) FROM t").fetchone()
    assert row == (1000, 4500)


def test_only_a_plan(sandbox: Sandbox) -> None:
    found = explain(sandbox, "SELECT * FROM t WHERE id = $1", [1], analyze=False)
    assert not found.analyzed
    assert found.result_hash is None
    assert found.buffers.touched == 0


def test_refusals(sandbox: Sandbox, database: Database) -> None:
    with pytest.raises(BadInput):
        explain(sandbox, "SELECT 1; SELECT 2")
    with pytest.raises(HowdahError):
        explain(sandbox, "SELECT 1 / 0")
    unmarked = Sandbox(dsn=database.dsn, name=database.name, server=None)
    with pytest.raises(NotASandbox):
        explain(unmarked, "SELECT 1")
