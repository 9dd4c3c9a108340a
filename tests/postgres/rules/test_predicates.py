"""Predicates that pass by an index, decided by each server's planner on statements run there."""

from __future__ import annotations

import psycopg
import pytest

from howdah.check.model import Confidence, Kind, Result
from howdah.check.rules.predicates import predicate_misses_index, shadowed_operator
from howdah.testing import Database, wait_until
from tests.diagnosing import examine
from tests.making import objects

SCHEMA = """
CREATE EXTENSION pg_stat_statements;
CREATE TABLE doc (
  id int PRIMARY KEY, email text, name text, place text COLLATE "C.utf8",
  made_at timestamptz, d jsonb, p jsonb, tags text[], filler text
);
INSERT INTO doc
SELECT i, 'A' || i, 'n' || i, 'p' || i, '2026-01-01'::timestamptz + i * interval '1 minute',
       jsonb_build_object('k', 'v' || i, 'n', i, 'deep', jsonb_build_object('x', i::text)),
       jsonb_build_object('k', 'v' || i), ARRAY['t' || i, 'u' || i % 10], repeat('x', 200)
FROM generate_series(1, 4000) AS i;
CREATE INDEX doc_email ON doc (email);
CREATE INDEX doc_name ON doc (name COLLATE "C");
CREATE INDEX doc_place ON doc (place);
CREATE INDEX doc_made ON doc (made_at);
CREATE INDEX doc_d ON doc USING gin (d);
CREATE INDEX doc_p ON doc USING gin (p jsonb_path_ops);
CREATE INDEX doc_tags ON doc USING gin (tags);
CREATE INDEX doc_n ON doc (((d ->> 'n')::int));
CREATE INDEX doc_lower ON doc (lower(name));
ANALYZE;
"""

# What is found: its label, the statement with constants, the same with parameters and its values.
MISSED = [
    ("lower(email) =", "lower(email) = 'a7'", "lower(email) = %s", ["a7"]),
    ("upper(name) =", "upper(name) = 'N7'", "upper(name) = %s", ["N7"]),
    ("name =", "name = 'n7'", "name = %s", ["n7"]),
    ("place LIKE", "place LIKE 'p7%'", "place LIKE %s", ["p7%"]),
    (
        "CAST(made_at AS date) =",
        "made_at::date = '2026-01-02'",
        "made_at::date = %s",
        ["2026-01-02"],
    ),
    ("CAST(id AS text) =", "id::text = '7'", "id::text = %s", ["7"]),
    ("id =", "id = '7'::numeric", "id = %s::numeric", [7]),
    ("id + ? =", "id + 1 = 8", "id + 1 = %s", [8]),
    ("d -> ? =", "d -> 'k' = '\"v7\"'", "d -> 'k' = %s", ['"v7"']),
    ("d #>> ? =", "d #>> '{k}' = 'v7'", "d #>> '{k}' = %s", ["v7"]),
    ("d -> ? ->> ? =", "d -> 'deep' ->> 'x' = '7'", "d -> 'deep' ->> 'x' = %s", ["7"]),
    ("jsonb_extract_path_text(d, ?) =", "jsonb_extract_path_text(d, 'k') = 'v7'", "", []),
    ("jsonb_path_exists(p, ?)", "jsonb_path_exists(p, '$.k ? (@ == \"v7\")')", "", []),
    ("CAST(d ->> ? AS bigint) =", "(d ->> 'n')::bigint = 7", "(d ->> 'n')::bigint = %s", [7]),
    ("p ?", "p ? 'zz'", "", []),
    ("tags =", "'t7' = ANY (tags)", "%s = ANY (tags)", ["t7"]),
]
SERVED = [
    ("email = 'A7'", "email = %s", ["A7"]),
    ("lower(name) = 'n7'", "lower(name) = %s", ["n7"]),
    ("id = 7::bigint", "id = %s::bigint", [7]),
    ("made_at >= '2026-01-01'::timestamp AND made_at < '2026-01-01 00:01'::timestamp", "", []),
    ('d @> \'{"k": "v7"}\'', "d @> %s", ['{"k": "v7"}']),
    ("d ? 'zz'", "", []),
    ("d @? '$.k ? (@ == \"v7\")'", "", []),
    ('p @> \'{"k": "v7"}\'', "p @> %s", ['{"k": "v7"}']),
    ("(d ->> 'n')::int = 7", "(d ->> 'n')::int = %s", [7]),
    ("cast(d ->> 'n' AS integer) = 7", "", []),
    ("tags @> ARRAY['t7']", "tags @> %s", [["t7"]]),
    ("tags && ARRAY['t7']", "tags && %s", [["t7"]]),
    ("lower(email) = 'a7' AND id = 7", "lower(email) = %s AND id = 7", ["a7"]),
    ("email <> email", "", []),
]


def run(connection: psycopg.Connection, condition: str, values: list[object] | None = None) -> None:
    """Run a search three times; with values as parameters of the extended protocol."""
    for _ in range(3):
        connection.execute(f"SELECT id FROM doc WHERE {condition}", values).fetchall()


def fill(connection: psycopg.Connection) -> None:
    connection.execute(SCHEMA)
    connection.execute("SELECT pg_stat_statements_reset()")


@pytest.mark.parametrize("protocol", ["simple", "extended"])
def test_every_form_that_misses_and_none_that_is_served(database: Database, protocol: str) -> None:
    with database.connect() as connection:
        fill(connection)
        for _, simple, extended, values in MISSED:
            prepared = protocol == "extended" and extended
            run(connection, *((extended, values) if prepared else (simple,)))
        for simple, extended, values in SERVED:
            prepared = protocol == "extended" and extended
            run(connection, *((extended, values) if prepared else (simple,)))
    result = examine(database, predicate_misses_index)
    assert objects(result) == {f"public.doc: {label}" for label, *_ in MISSED}
    assert result.examined == result.of


def test_only_served_forms_are_ok(database: Database) -> None:
    with database.connect() as connection:
        fill(connection)
        for simple, *_ in SERVED:
            run(connection, simple)
    assert examine(database, predicate_misses_index).kind is Kind.OK


def remedy_sql(result: Result, label: str) -> str:
    (finding,) = [each for each in result.findings if each.object == f"public.doc: {label}"]
    (build,) = [each for each in finding.remedies if each.operation == "create-index"]
    assert not build.manual
    return build.sql[0]


def test_the_remedies_serve_the_statements(database: Database) -> None:
    cured = [MISSED[at] for at in (0, 1, 2, 3, 5, 13, 14)]
    with database.connect() as connection:
        fill(connection)
        for _, simple, *_ in cured:
            run(connection, simple)
        result = examine(database, predicate_misses_index)
        for label, *_ in cured:
            connection.execute(remedy_sql(result, label))
    after = examine(database, predicate_misses_index)
    # A plain comparison with a matching index is not asked about any more.
    assert (after.kind, after.examined) == (Kind.OK, len(cured) - 1)


def test_the_rewritten_predicates_are_served_and_find_the_same_row(database: Database) -> None:
    rewritten = [MISSED[at] for at in (4, 6, 8, 10, 11, 12, 15)]
    with database.connect() as connection:
        fill(connection)
        for _, simple, *_ in rewritten:
            run(connection, simple)
    result = examine(database, predicate_misses_index)
    notes = {
        finding.object.removeprefix("public.doc: "): remedy.note
        for finding in result.findings
        for remedy in finding.remedies
        if remedy.operation == "rewrite-predicate"
    }
    assert notes == {label: "asked the same planner: served by an index" for label, *_ in rewritten}


def test_an_equivalent_form_means_the_same(database: Database) -> None:
    with database.connect() as connection:
        fill(connection)
        for written, equal in (
            ("d -> 'deep' ->> 'x' = '7'",
             "d @> jsonb_build_object('deep'::text, jsonb_build_object('x'::text, '7'::text))"),
            ("jsonb_path_exists(p, '$.k ? (@ == \"v7\")')", "p @? '$.k ? (@ == \"v7\")'"),
            ("'t7' = ANY (tags)", "tags @> CAST(ARRAY['t7'] AS text[])"),
            ("made_at::date = '2026-01-02'",
             "made_at >= CAST('2026-01-02' AS date) AND made_at < CAST('2026-01-02' AS date) + 1"),
        ):  # fmt: skip
            both = [
                connection.execute(f"SELECT id FROM doc WHERE {text} ORDER BY id").fetchall()
                for text in (written, equal)
            ]
            assert both[0] == both[1] != []


def test_a_partitioned_table_is_reported_once_at_its_parent(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("""
            CREATE EXTENSION pg_stat_statements;
            CREATE TABLE event (id int, kind text, filler text) PARTITION BY RANGE (id);
            CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM (0) TO (2000);
            CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM (2000) TO (9000);
            CREATE INDEX ON event (kind);
            INSERT INTO event SELECT i, 'k' || i, repeat('x', 300) FROM generate_series(1, 4000) i;
            ANALYZE;
        """)
        connection.execute("SELECT * FROM event WHERE upper(kind) = 'K7'").fetchall()
    assert objects(examine(database, predicate_misses_index)) == {"public.event: upper(kind) ="}


def test_a_search_for_an_empty_document_is_found_by_the_indexs_counters(
    database: Database,
) -> None:
    with database.connect() as connection:
        fill(connection)
        connection.execute("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off")
        for _ in range(25):
            connection.execute("SELECT count(*) FROM doc WHERE p @> %s", ["{}"], prepare=True)
            connection.execute("SELECT count(*) FROM doc WHERE d @> %s", ['{"n": 7}'], prepare=True)
    wait_until(lambda: scans(database, "doc_d") == scans(database, "doc_p") == 25)
    assert objects(examine(database, predicate_misses_index)) == {"public.doc_p"}


def scans(database: Database, name: str) -> int:
    with database.connect() as connection:
        found = connection.execute(
            "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = %s", [name]
        ).fetchone()
    return int(found[0]) if found else 0


def test_without_pg_stat_statements_it_is_unknown(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE t (x int PRIMARY KEY)")
    assert examine(database, predicate_misses_index).kind is Kind.UNKNOWN


# --- shadowed operators ---------------------------------------------------------------------------

ARRAYS = """
CREATE EXTENSION pg_stat_statements;
CREATE TABLE post (id int PRIMARY KEY, tags int[]);
CREATE INDEX post_tags ON post USING gin (tags);
INSERT INTO post SELECT i, ARRAY[i, i + 1] FROM generate_series(1, 3000) AS i;
ANALYZE;
"""
SEARCH = "SELECT count(*) FROM post WHERE tags @> ARRAY[7]"


def test_intarray_takes_the_operators_away_and_its_own_class_gives_them_back(
    database: Database,
) -> None:
    with database.connect() as connection:
        connection.execute(ARRAYS)
        connection.execute(SEARCH)
        assert examine(database, shadowed_operator).kind is Kind.OK
        connection.execute("CREATE EXTENSION intarray")
        connection.execute(SEARCH)
        result = examine(database, shadowed_operator)
        assert objects(result) == {"public.post_tags"}
        (finding,) = result.findings
        assert finding.confidence is Confidence.PROVEN
        assert finding.evidence[0]["statements"]
        connection.execute(finding.remedies[0].sql[0])
    assert examine(database, shadowed_operator).kind is Kind.OK


def test_statements_that_name_the_built_in_operator_are_ok(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(ARRAYS)
        connection.execute("CREATE EXTENSION intarray")
        connection.execute("SELECT pg_stat_statements_reset()")
        connection.execute(SEARCH.replace("@>", "OPERATOR(pg_catalog.@>)"))
    assert examine(database, shadowed_operator).kind is Kind.OK


def test_an_extension_off_the_search_path_shadows_nothing(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(ARRAYS)
        connection.execute("CREATE SCHEMA apart; CREATE EXTENSION intarray SCHEMA apart")
        connection.execute(SEARCH)
    assert examine(database, shadowed_operator).kind is Kind.OK
