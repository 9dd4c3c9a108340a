"""Trials of the remedies of vacuum, statistics and space: shown on a sandbox, and proven."""

from __future__ import annotations

import pytest

from howdah.check.model import Finding, Rule
from howdah.check.rules.autovacuum_options import autovacuum_off
from howdah.check.rules.pending_lists import gin_pending_list
from howdah.check.rules.statistics import partition_parent_never_analyzed, stale_statistics
from howdah.check.rules.vacuum import dead_rows
from howdah.testing import Database
from tests.postgres.rules.consuming import wait_counted
from tests.postgres.rules.test_pending_lists import DOCUMENTS, MORE
from tests.postgres.rules.test_statistics import PARTED
from tests.postgres.rules.test_vacuum import FILLED
from tests.postgres.test_traffic_trials import tried


def proven(findings: list[Finding]) -> set[str]:
    """The operations that were proven; fails on one that was tried in vain."""
    remedies = [remedy for each in findings for remedy in each.remedies if not remedy.manual]
    for remedy in remedies:
        assert remedy.proof is not None
        assert remedy.proof.proven, (remedy.sql, remedy.proof.reason)
    return {remedy.operation for remedy in remedies}


def run(database: Database, *statements: str) -> None:
    """Each in a session of its own, so that its counters are there before the next."""
    for statement in statements:
        with database.connect() as connection:
            connection.execute(statement)


def test_a_vacuum_of_dead_rows(database: Database) -> None:
    run(database, FILLED, "DELETE FROM t WHERE id <= 5000")
    with database.connect() as connection:
        wait_counted(connection, "t", "n_dead_tup >= 5000")
    assert proven(tried(database, dead_rows)) == {"vacuum"}


def test_autovacuum_switched_on_again(database: Database) -> None:
    run(
        database,
        "CREATE TABLE t (body text) "
        "WITH (autovacuum_enabled = off, toast.autovacuum_enabled = off)",
        "CREATE MATERIALIZED VIEW m WITH (autovacuum_enabled = off) AS SELECT 1 AS one",
    )
    assert proven(tried(database, autovacuum_off)) == {"set-table-options"}


@pytest.mark.parametrize("rule", [stale_statistics, partition_parent_never_analyzed])
def test_an_analyze_of_a_partitioned_table(database: Database, rule: Rule) -> None:
    run(database, PARTED)
    with database.connect() as connection:
        wait_counted(connection, "events_2", "n_mod_since_analyze >= 5000")
    assert proven(tried(database, rule)) == {"analyze"}


def test_a_pending_list_emptied(database: Database) -> None:
    run(database, DOCUMENTS, MORE)
    (found,) = tried(database, gin_pending_list)
    empty = found.remedies[0]
    assert empty.proof is not None
    assert empty.proof.proven, empty.proof.reason
