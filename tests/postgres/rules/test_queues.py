"""Columns of queues and outboxes that really worked, on real servers."""

from __future__ import annotations

import psycopg
import pytest

from howdah.check.knowledge.queueing import Role, queueings
from howdah.check.model import Kind, Severity
from howdah.check.rules.queues import (
    queue_int4_id,
    queue_order_by_timestamp,
    queue_timestamp_without_zone,
)
from howdah.testing import Database
from tests.diagnosing import examine, take_picture
from tests.making import objects
from tests.postgres.queueing import browse, make, relay, work

RULES = (queue_order_by_timestamp, queue_int4_id, queue_timestamp_without_zone)


def test_what_worked_is_recognised_and_what_was_browsed_is_not(database: Database) -> None:
    with database.connect() as connection:
        make(connection)
        work(connection, 2)
        relay(connection, 2)
        browse(connection)
    found = {each.table: each.role for each in queueings(take_picture(database))}
    assert found == {"public.alpha": Role.QUEUE, "public.beta": Role.OUTBOX}


def test_a_sound_queue_and_outbox_are_ok(database: Database) -> None:
    with database.connect() as connection:
        make(connection)
        work(connection)
        relay(connection)
    for rule in RULES:
        result = examine(database, rule)
        assert (result.kind, result.examined) == (Kind.OK, 2), rule.id


def test_ordinary_tables_are_not_applicable(database: Database) -> None:
    with database.connect() as connection:
        make(connection)
        browse(connection)
    for rule in RULES:
        assert examine(database, rule).kind is Kind.NOT_APPLICABLE


def test_a_role_that_may_not_read_the_statements_is_told_so(database: Database) -> None:
    with database.connect() as connection:
        make(connection)
        work(connection)
    role = database.create_role()
    for rule in RULES:
        result = examine(database, rule, user=role)
        assert result.kind is Kind.UNKNOWN, rule.id
        assert "hidden" in result.reason


def test_a_reader_by_time_skips_a_late_commit_and_is_found(database: Database) -> None:
    follow = "SELECT id, made_at FROM beta WHERE made_at > %s ORDER BY made_at LIMIT 1000"
    with database.connect() as connection, database.connect(autocommit=False) as late:
        make(connection, rows=0)
        late.execute("INSERT INTO beta (body) VALUES ('{}')")
        for number in range(10):
            connection.execute("INSERT INTO beta (body) VALUES (%s)", [str(number)])
        seen: set[int] = set()
        position = "-infinity"
        for _ in range(12):
            for identity, at in connection.execute(follow, [position]).fetchall():
                seen.add(identity)
                position = at
            if len(seen) == 10:
                late.commit()
        assert not connection.execute(follow, [position]).fetchall()
        assert len(seen) == 10  # the eleventh committed late and is lost
    result = examine(database, queue_order_by_timestamp)
    assert objects(result) == {"public.beta"}
    assert result.findings[0].severity is Severity.WARNING


def test_rows_of_one_transaction_tie(database: Database) -> None:
    with database.connect() as connection:
        make(connection)
        for _ in range(3):
            connection.execute("SELECT id FROM beta WHERE sent_at IS NULL ORDER BY made_at LIMIT 5")
            connection.execute("UPDATE beta SET sent_at = now() WHERE id = %s", [1])
        times = connection.execute("SELECT count(DISTINCT made_at) FROM beta").fetchone()
    assert times == (1,)
    assert objects(examine(database, queue_order_by_timestamp)) == {"public.beta"}


def narrow(connection: psycopg.Connection, key: str) -> None:
    make(connection)
    connection.execute(f"CREATE TABLE gamma (id {key} PRIMARY KEY, state text, body jsonb)")
    connection.execute("INSERT INTO gamma (state) SELECT 'new' FROM generate_series(1, 100)")
    connection.execute(
        "SELECT * FROM gamma WHERE state = 'new' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"
    )


@pytest.mark.parametrize("key", ["serial", "int GENERATED ALWAYS AS IDENTITY"])
def test_a_four_byte_key_is_found_and_widened(database: Database, key: str) -> None:
    with database.connect() as connection:
        narrow(connection, key)
        sequence = "SELECT setval(pg_get_serial_sequence('gamma', 'id'), 2147480000)"
        connection.execute(sequence)
        result = examine(database, queue_int4_id)
        assert objects(result) == {"public.gamma"}
        (remedy,) = result.findings[0].remedies
        for statement in (*remedy.sql, *remedy.retry_safe):
            connection.execute(statement)
        connection.execute("SELECT setval(pg_get_serial_sequence('gamma', 'id'), 3000000000)")
        connection.execute("INSERT INTO gamma (state) VALUES ('new')")
    assert examine(database, queue_int4_id).kind is Kind.OK


def test_an_eight_byte_key_is_ok(database: Database) -> None:
    with database.connect() as connection:
        narrow(connection, "bigserial")
    assert examine(database, queue_int4_id).kind is Kind.OK


def test_a_marker_without_a_time_zone_is_found(database: Database) -> None:
    with database.connect() as connection:
        make(connection)
        connection.execute("ALTER TABLE beta ALTER COLUMN sent_at TYPE timestamp")
        relay(connection)
        result = examine(database, queue_timestamp_without_zone)
        assert objects(result) == {"public.beta"}
        connection.execute(result.findings[0].remedies[0].sql[0])
        assert examine(database, queue_timestamp_without_zone).kind is Kind.OK
