"""The wait profile on real servers."""

from __future__ import annotations

from typing import Any

from howdah.check.model import Kind
from howdah.check.rules.waits import database_time, wait_profile
from howdah.testing import Database
from tests.applying import found
from tests.diagnosing import examine, take_picture
from tests.postgres.rules.test_locks import running


def test_waiting_for_a_row_takes_the_databases_time(database: Database) -> None:
    sampling: dict[str, Any] = {"sample_seconds": 0.8, "wait_samples_per_second": 50}
    with database.connect() as connection, database.connect() as first:
        connection.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
        with first.transaction():
            first.execute("UPDATE t SET a = 2")
            with running(database, "UPDATE t SET a = 3"):
                result = examine(database, wait_profile, **sampling)
    assert "Lock:transactionid" in found(result)
    (finding,) = (f for f in result.findings if f.object == "Lock:transactionid")
    assert "others hold locked" in finding.claim


def test_an_idle_server_has_no_profile_to_report(database: Database) -> None:
    with database.connect() as idle:
        idle.execute("SELECT 1")
        result = examine(database, wait_profile, sample_seconds=0.5, wait_samples_per_second=50)
    assert result.kind is Kind.OK


def test_too_short_a_sample_is_unknown(database: Database) -> None:
    assert examine(database, wait_profile).kind is Kind.UNKNOWN
    seen = take_picture(database, sample_seconds=0.1, wait_samples_per_second=20)
    assert all(wait[0] not in ("Activity", "Client") for wait in database_time(seen))
