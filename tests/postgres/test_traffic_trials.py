"""Trials of remedies whose findings rest on traffic: the statements come with the snapshot."""

from __future__ import annotations

import psycopg
import pytest

from howdah.check.ask import answers
from howdah.check.evaluate import evaluate, questions
from howdah.check.model import Finding, Rule
from howdah.check.rules.keys import random_uuid_key
from howdah.check.rules.partial_indexes import queue_partial_index_not_implied
from howdah.check.rules.predicates import predicate_misses_index, shadowed_operator
from howdah.check.rules.queues import queue_int4_id
from howdah.check.rules.upgrades import btree_gist_inet
from howdah.check.trial import Trials
from howdah.sandbox.sandbox import Sandbox
from howdah.sandbox.schema import dump_schema
from howdah.testing import Database
from tests.diagnosing import take_picture
from tests.postgres.queueing import make, work
from tests.postgres.rules.test_keys import SCHEMA as KEYS
from tests.postgres.rules.test_predicates import ARRAYS, SEARCH


def tried(database: Database, rule: Rule) -> list[Finding]:
    """The rule's findings with every remedy tried on a sandbox of the schema."""
    picture = take_picture(database)
    with Sandbox.from_schema(dump_schema(database.dsn), server=database.server) as sandbox:
        results = evaluate(picture, [rule], answers(sandbox, questions(picture, [rule])))
        trials = Trials(sandbox, picture.snapshot, [rule], seconds=120)
        (result,) = trials.prove(results, lambda _text: None)
    return list(result.findings)


def assert_proven(findings: list[Finding]) -> None:
    assert findings
    remedies = [remedy for each in findings for remedy in each.remedies if not remedy.manual]
    assert remedies
    for remedy in remedies:
        assert remedy.proof is not None
        assert remedy.proof.proven, (remedy.sql, remedy.proof.reason)


def documents(connection: psycopg.Connection) -> None:
    connection.execute("""
        CREATE EXTENSION pg_stat_statements;
        CREATE TABLE doc (id int PRIMARY KEY, email text, place text COLLATE "C.utf8", d jsonb,
                          p jsonb, filler text);
        INSERT INTO doc SELECT i, 'A' || i, 'p' || i, jsonb_build_object('n', i), '{}',
                               repeat('x', 300) FROM generate_series(1, 3000) AS i;
        CREATE INDEX doc_email ON doc (email);
        CREATE INDEX doc_place ON doc (place);
        CREATE INDEX doc_n ON doc (((d ->> 'n')::int));
        CREATE INDEX doc_p ON doc USING gin (p jsonb_path_ops);
        ANALYZE;
    """)
    for condition in (
        "lower(email) = 'a7'",
        "place LIKE 'p7%'",
        "(d ->> 'n')::bigint = 7",
        "p ? 'k'",
        "id::text = '7'",
    ):
        connection.execute(f"SELECT * FROM doc WHERE {condition}").fetchall()


@pytest.mark.postgres(newest_by_default=True)
def test_an_index_for_the_form_of_a_predicate(database: Database) -> None:
    with database.connect() as connection:
        documents(connection)
    findings = tried(database, predicate_misses_index)
    assert len(findings) == 5
    assert_proven(findings)


def test_an_index_with_intarrays_class(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(ARRAYS)
        connection.execute("CREATE EXTENSION intarray")
        connection.execute(SEARCH)
    assert_proven(tried(database, shadowed_operator))


@pytest.mark.postgres(since=18)
def test_an_ordered_default_for_a_random_key(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(KEYS)
        for _ in range(4):
            connection.execute("INSERT INTO random (n) SELECT generate_series(1, 5000)")
    assert_proven(tried(database, random_uuid_key))


def test_the_cores_class_for_addresses(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE EXTENSION btree_gist")
        connection.execute("CREATE TABLE lease (ip inet)")
        connection.execute("CREATE INDEX lease_ip ON lease USING gist (ip)")
    assert_proven(tried(database, btree_gist_inet))


def test_a_wider_key(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        connection.execute("CREATE TABLE gamma (id serial PRIMARY KEY, state text)")
        connection.execute("INSERT INTO gamma (state) VALUES ('new')")
        connection.execute("SELECT setval('gamma_id_seq', 2147480000)")
        connection.execute("SELECT id FROM gamma ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED")
    assert_proven(tried(database, queue_int4_id))


def test_a_partial_index_that_the_claim_implies(database: Database) -> None:
    with database.connect() as connection:
        make(connection)
        connection.execute(
            "CREATE INDEX alpha_new ON alpha (id) WHERE state = 'new' AND body IS NOT NULL"
        )
        work(connection, 2)
    assert_proven(tried(database, queue_partial_index_not_implied))
