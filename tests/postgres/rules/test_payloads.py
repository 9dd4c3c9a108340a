"""What a NUL escape does to a batch, on real servers, and where the rule sees it coming."""

from __future__ import annotations

import psycopg
import pytest

from howdah.check.model import Kind
from howdah.check.rules.payloads import queue_jsonb_nul
from howdah.testing import Database
from tests.diagnosing import examine
from tests.making import objects

ESCAPE = '{"a": "\\u0000"}'
TAKE = "SELECT id, {} FROM delta WHERE state = 'new' ORDER BY id LIMIT 10 FOR UPDATE SKIP LOCKED"
BULK = "INSERT INTO delta (state, body) SELECT 'new', x::jsonb FROM unnest(%s::text[]) AS x"


def make(connection: psycopg.Connection, kind: str) -> None:
    connection.execute("CREATE EXTENSION pg_stat_statements")
    connection.execute(
        f"CREATE TABLE delta (id bigserial PRIMARY KEY, state text DEFAULT 'new', body {kind})"
    )
    connection.execute('INSERT INTO delta (body) VALUES (\'{"a": "b"}\')')


@pytest.mark.parametrize(
    ("kind", "output"),
    [("text", "body::jsonb"), ("json", "body::jsonb"), ("json", "body ->> 'a'")],
)
def test_a_stored_escape_fails_the_whole_batch(database: Database, kind: str, output: str) -> None:
    with database.connect() as connection:
        make(connection, kind)
        connection.execute(TAKE.format(output))
        connection.execute("INSERT INTO delta (body) VALUES (%s)", [ESCAPE])
        with pytest.raises(psycopg.errors.UntranslatableCharacter):
            connection.execute(TAKE.format(output))
    assert objects(examine(database, queue_jsonb_nul)) == {"public.delta"}


def test_an_escape_among_many_refuses_the_whole_insert(database: Database) -> None:
    with database.connect() as connection:
        make(connection, "jsonb")
        connection.execute(TAKE.format("body"))
        connection.execute(BULK, [['{"a": "b"}']])
        with pytest.raises(psycopg.errors.UntranslatableCharacter):
            connection.execute(BULK, [['{"a": "b"}', ESCAPE]])
    assert objects(examine(database, queue_jsonb_nul)) == {"public.delta"}


@pytest.mark.parametrize(
    ("kind", "output"),
    [("jsonb", "body ->> 'a'"), ("json", "body"), ("text", "body"), ("text", "body::json")],
)
def test_a_payload_that_cannot_poison_a_batch_is_ok(
    database: Database, kind: str, output: str
) -> None:
    with database.connect() as connection:
        make(connection, kind)
        connection.execute(TAKE.format(output))
        insert = "INSERT INTO delta (body) VALUES (%s)"
        if kind == "jsonb":
            with pytest.raises(psycopg.errors.UntranslatableCharacter):
                connection.execute(insert, [ESCAPE])
        else:
            connection.execute(insert, [ESCAPE])
        assert connection.execute(TAKE.format(output)).fetchall()
    assert examine(database, queue_jsonb_nul).kind is Kind.OK
