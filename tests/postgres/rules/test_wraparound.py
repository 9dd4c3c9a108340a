"""Ages of transaction ids and MultiXact ids, on real servers that are made to age fast."""

from __future__ import annotations

from howdah.check.model import Kind, Severity
from howdah.check.rules.wraparound import mxid_age, xid_age
from howdah.postgres import Server
from howdah.snapshot import collect
from howdah.snapshot.options import Options
from howdah.snapshot.picture import Picture
from howdah.testing import Database
from howdah.testing.fixtures import OwnServer
from tests.diagnosing import examine
from tests.making import objects, verdict
from tests.postgres.rules.consuming import FAMILY, breed, burn_xids

# The least that the server allows. The failsafe is then 105 % of the freeze limit.
HURRY = {
    "autovacuum": "off",
    "autovacuum_freeze_max_age": "100000",
    "vacuum_failsafe_age": "0",
    "autovacuum_multixact_freeze_max_age": "10000",
    "vacuum_multixact_failsafe_age": "0",
}
TABLES = """
CREATE TABLE plain (id int);
CREATE TABLE toasted (id int, body text);
CREATE MATERIALIZED VIEW summary AS SELECT 1 AS one;
CREATE VIEW v AS SELECT 1 AS one;
CREATE TABLE parted (id int) PARTITION BY RANGE (id);
CREATE INDEX ON parted (id);
"""


def picture(server: Server, seconds: float = 0.0) -> Picture:
    return Picture(collect.take(server.dsn(), Options(sample_seconds=seconds)))


def test_a_fresh_database_is_fine(database: Database) -> None:
    """age() of a MultiXact, and age(0) of a view, would be 2147483647."""
    with database.connect() as connection:
        connection.execute(TABLES)
    for rule in (xid_age, mxid_age):
        result = examine(database, rule)
        assert result.kind is Kind.OK, result.reason
        assert result.examined == result.of


def test_old_tables_toast_and_views_are_found_and_freezing_cures(own_server: OwnServer) -> None:
    server = own_server(HURRY)
    with server.connect() as connection:
        connection.execute(TABLES)
        burn_xids(connection, 70_000)
        result = verdict(xid_age, picture(server))
        found = {finding.object: finding for finding in result.findings}
        aged = {"public.plain", "public.toasted", "public.summary", "database postgres"}
        assert aged <= set(found)
        assert "public.v" not in found
        assert "public.parted" not in found
        # By the TOAST table alone: its parent is frozen without it.
        connection.execute("VACUUM (FREEZE, PROCESS_TOAST false) toasted")
        toasted = next(
            finding
            for finding in verdict(xid_age, picture(server)).findings
            if finding.object == "public.toasted"
        )
        assert toasted.evidence[0]["is_toast"] is True
        for name in ("public.plain", "public.toasted", "public.summary"):
            for statement in found[name].remedies[0].retry_safe:
                connection.execute(statement)
        after = objects(verdict(xid_age, picture(server)))
        assert not after & {"public.plain", "public.toasted", "public.summary"}
        (whole,) = found["database postgres"].remedies
        for statement in whole.retry_safe:
            connection.execute(statement)
        assert "database postgres" not in objects(verdict(xid_age, picture(server)))


def test_the_rate_is_measured(own_server: OwnServer) -> None:
    server = own_server(HURRY)
    with server.connect() as connection:
        burn_xids(connection, 70_000)
    idle = verdict(xid_age, picture(server, seconds=0.3)).findings[0]
    assert idle.evidence[0]["ids_per_hour"] is not None
    assert idle.severity in (Severity.WARNING, Severity.NOTICE)


def test_old_multixacts_are_found_by_their_own_age(own_server: OwnServer) -> None:
    server = own_server(HURRY)
    with server.connect() as connection:
        connection.execute(FAMILY)
        breed(server, "postgres", 7_000)
        seen = picture(server)
        assert verdict(xid_age, seen).kind is Kind.OK
        result = verdict(mxid_age, seen)
        assert {"public.parent", "database postgres"} <= objects(result)
        connection.execute("VACUUM (FREEZE)")
        after = objects(verdict(mxid_age, picture(server)))
        assert "public.parent" not in after
        assert "database postgres" not in after
