"""Traditional outboxes on real servers."""

from __future__ import annotations

from howdah.check.model import Kind, Severity
from howdah.check.rules.outboxes import outbox_traditional
from howdah.testing import Database
from tests.diagnosing import examine
from tests.making import objects
from tests.postgres.queueing import make, relay, settled, work


def test_an_outbox_full_of_dead_rows_is_found(database: Database) -> None:
    with database.connect() as connection:
        make(connection, rows=6000)
        relay(connection, 3)
        connection.execute("UPDATE beta SET sent_at = now() WHERE sent_at IS NULL")
        connection.execute(
            "DELETE FROM beta WHERE id = ANY (ARRAY(SELECT id FROM beta LIMIT 1000))"
        )
    settled(database, "beta", n_dead_tup=6900)
    result = examine(database, outbox_traditional)
    assert objects(result) == {"public.beta"}
    (finding,) = result.findings
    assert finding.severity is Severity.WARNING
    assert finding.evidence[0]["unpublished"] == ["sent_at IS NULL"]


def test_an_outbox_of_little_traffic_is_ok(database: Database) -> None:
    with database.connect() as connection:
        make(connection)
        relay(connection, 3)
    assert examine(database, outbox_traditional).kind is Kind.OK


def test_a_queue_is_not_applicable(database: Database) -> None:
    with database.connect() as connection:
        make(connection)
        work(connection)
    assert examine(database, outbox_traditional).kind is Kind.NOT_APPLICABLE
