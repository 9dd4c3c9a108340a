"""What a snapshot says is true: definitions, members, space, statistics. Nothing is private."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from howdah.snapshot import file
from howdah.snapshot.collect import take
from howdah.snapshot.doctor import helper_view, ladder, missing_facts
from howdah.snapshot.facts import Status
from howdah.snapshot.facts.catalog import ColumnStatistics
from howdah.snapshot.options import Options
from howdah.testing import Database
from howdah.testing.fixtures import OwnServer

BARE = Options(sample_seconds=0.0, measure_megabytes=0, multixact_samples=0)

INDEXES = """
CREATE EXTENSION pg_trgm;
CREATE SCHEMA "Odd ""name";
CREATE DOMAIN code AS varchar(10);
CREATE TYPE mood AS ENUM ('ok', 'not ok');
CREATE TABLE "Odd ""name"."T" (
  id bigint PRIMARY KEY, "Select" text, c varchar(5) COLLATE "C", d code, m mood, n numeric,
  j jsonb, a int[], r int4range, t timestamptz, x char(3), k int UNIQUE DEFERRABLE,
  EXCLUDE USING gist (r WITH &&)
);
CREATE INDEX ON "Odd ""name"."T" ("Select", c);
CREATE INDEX ON "Odd ""name"."T" ("Select" DESC, c NULLS FIRST);
CREATE INDEX ON "Odd ""name"."T" ("Select" COLLATE "C");
CREATE INDEX ON "Odd ""name"."T" (c COLLATE "default");
CREATE INDEX ON "Odd ""name"."T" ("Select" text_pattern_ops);
CREATE INDEX ON "Odd ""name"."T" (d, m, n, x);
CREATE UNIQUE INDEX ON "Odd ""name"."T" (n) INCLUDE ("Select", c) WHERE m = 'ok';
CREATE INDEX ON "Odd ""name"."T" (lower("Select"), (n + 1)) WHERE n > 0 AND c IS NOT NULL;
CREATE INDEX ON "Odd ""name"."T" USING gin (j);
CREATE INDEX ON "Odd ""name"."T" USING gin (j jsonb_path_ops);
CREATE INDEX ON "Odd ""name"."T" USING gin (a);
CREATE INDEX ON "Odd ""name"."T" USING gin ("Select" gin_trgm_ops) WITH (fastupdate = off);
CREATE INDEX ON "Odd ""name"."T" USING gist ("Select" gist_trgm_ops (siglen = 32));
CREATE INDEX ON "Odd ""name"."T" USING brin (t) WITH (pages_per_range = 4);
CREATE INDEX ON "Odd ""name"."T" USING hash (c);
CREATE TABLE split (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE split_1 PARTITION OF split FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE INDEX ON ONLY split (at);
CREATE INDEX ON split (id);
"""


def test_index_definitions_are_the_servers_own(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(INDEXES)
        rows = take(database.dsn, BARE).indexes.rows
        connection.execute("SET search_path = pg_catalog")
        for row in rows:
            told = connection.execute(
                "SELECT pg_get_indexdef(%(oid)s), array(SELECT pg_get_indexdef(%(oid)s, i, false)"
                " FROM generate_series(1, %(count)s) AS i)",
                {"oid": row.oid, "count": len(row.columns)},
            ).fetchone()
            assert (row.definition, list(row.column_definitions)) == told
    assert len(rows) == 23
    trigrams = [row for row in rows if "siglen" in row.definition]
    assert trigrams[0].operator_classes == ("public.gist_trgm_ops(siglen=32)",)
    plain = next(row for row in rows if row.is_primary and row.name == "T_pkey")
    assert plain.operator_classes == ("pg_catalog.int8_ops",)
    attached = {row.name: row.parent for row in rows if row.name.startswith("split_1")}
    assert all(attached.values())


def test_partitions_and_publications(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            "CREATE TABLE s (id int, at date) PARTITION BY RANGE (at);"
            "CREATE TABLE s1 PARTITION OF s FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');"
            "CREATE TABLE s2 PARTITION OF s DEFAULT;"
            "CREATE PUBLICATION leaves FOR TABLE s;"
            "CREATE PUBLICATION root FOR TABLE s WITH (publish_via_partition_root = true);"
            "CREATE PUBLICATION every FOR ALL TABLES"
        )
        told = connection.execute(
            "SELECT pubname, schemaname || '.' || tablename FROM pg_publication_tables"
        ).fetchall()
    snapshot = take(database.dsn, BARE)
    names = {row.oid: f"{row.schema}.{row.name}" for row in snapshot.relations.rows}
    found = {(row.name, names[row.relation]) for row in snapshot.publications.rows}
    assert found == set(told)
    bounds = {names[row.child]: row.bound for row in snapshot.inheritance.rows}
    assert bounds["public.s2"] == "DEFAULT"
    assert names[snapshot.partitioning.rows[0].default_partition or 0] == "public.s2"


def test_multixact_members_within_two_percent_as_anybody(own_server: OwnServer) -> None:
    server = own_server({"autovacuum": "off"})
    with server.connect() as one, server.connect() as two, server.connect() as many:
        one.execute("CREATE TABLE parent (id int PRIMARY KEY)")
        one.execute("INSERT INTO parent SELECT generate_series(1, 8000)")
        one.execute("CREATE ROLE anybody LOGIN")
        one.execute("BEGIN")
        one.execute("SELECT 1 FROM parent FOR KEY SHARE")
        two.execute("BEGIN")
        two.execute("SELECT 1 FROM parent WHERE id < 3000 FOR KEY SHARE")
        many.execute("SET synchronous_commit = off")
        many.execute(
            "DO $$ BEGIN FOR i IN 1..8000 LOOP"
            " PERFORM 1 FROM parent WHERE id = i FOR KEY SHARE; COMMIT; END LOOP; END $$"
        )
        truth = 2 + 2999 * 3 + 5001 * 2  # one MultiXact of `one` and `two`, then one per locker
    fact = take(server.dsn(user="anybody"), Options(sample_seconds=0.0)).multixacts
    assert fact.status is Status.PRESENT
    sample = fact.rows[0]
    assert sample.count == 1 + 8000
    assert sample.sampled <= 4096
    assert abs(sample.members - truth) < 0.02 * truth


def test_space_is_measured_and_the_budget_kept(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            "CREATE SCHEMA tools; CREATE EXTENSION pgstattuple SCHEMA tools;"
            "CREATE TABLE holes (id int PRIMARY KEY, pad text, words tsvector)"
            " WITH (autovacuum_enabled = false);"
            "INSERT INTO holes SELECT i, repeat('x', 700), to_tsvector('w' || i)"
            " FROM generate_series(1, 4000) AS i;"
            "CREATE INDEX holes_words ON holes USING gin (words)"
        )
        connection.execute("INSERT INTO holes SELECT 9001, 'y', to_tsvector('late')")
        connection.execute("DELETE FROM holes WHERE id % 2 = 0")
        connection.execute("ANALYZE holes")
    role = database.create_role(member_of=["pg_monitor"])
    denied = take(database.dsn_of(role), Options(sample_seconds=0.0)).table_space
    assert denied.status is Status.DENIED
    assert "tools" in denied.reason
    with database.connect() as connection:
        connection.execute("GRANT USAGE ON SCHEMA tools TO PUBLIC")
    snapshot = take(database.dsn_of(role), Options(sample_seconds=0.0))
    names = {row.oid: row.name for row in snapshot.relations.rows}
    table = next(row for row in snapshot.table_space.rows if names[row.relation] == "holes")
    assert table.dead_tuple_fraction > 0.3
    index = snapshot.index_space.rows[0]
    assert 0.5 < index.leaf_density <= 1
    assert [row.tuples for row in snapshot.pending_lists.rows] == [1]
    small = take(database.dsn_of(role), Options(sample_seconds=0.0, measure_megabytes=1))
    assert small.table_space.status is Status.SKIPPED
    assert small.table_space.left_out >= 1
    assert "budget" in small.table_space.reason


def test_statistics_show_their_shape_and_how_far_rows_ran_ahead(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            "CREATE TABLE e (id bigserial PRIMARY KEY, at timestamptz, name text)"
            " WITH (autovacuum_enabled = false);"
            "INSERT INTO e (at, name) SELECT now() - interval '10 days' + i * interval '1 minute',"
            " 'secret' || i % 3 FROM generate_series(1, 1000) AS i;"
            "ANALYZE e;"
            "INSERT INTO e (at, name) SELECT now(), 'x' FROM generate_series(1, 1000)"
        )
    fact = take(database.dsn, BARE).column_statistics
    rows = {row.column: row for row in fact.rows}
    assert rows[1].beyond_last_bound == pytest.approx(1.0, abs=0.01)
    assert rows[2].beyond_last_bound is not None
    assert 12 < rows[2].beyond_last_bound < 15  # (10 days - 1000 minutes) / 999 minutes
    assert rows[3].most_common_count == 3
    assert rows[3].most_common_total == pytest.approx(1.0)
    assert rows[3].most_common_values is None
    with_values = take(database.dsn, msgspec.structs.replace(BARE, values=True))
    values = {row.column: row.most_common_values for row in with_values.column_statistics.rows}
    assert "secret1" in str(values[3])


def by_column(rows: Iterable[ColumnStatistics]) -> list[ColumnStatistics]:
    return sorted(rows, key=lambda row: row.column)


def test_helper_view_opens_statistics_without_values(database: Database) -> None:
    role = database.create_role(member_of=["pg_monitor"])
    with database.connect() as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT i AS id, 'v' || i % 4 AS v"
            " FROM generate_series(1, 1000) AS i; ANALYZE t"
        )
        before = take(database.dsn_of(role), BARE)
        assert "column_statistics" in missing_facts(before)
        connection.execute(helper_view(role))
    after = take(database.dsn_of(role), BARE)
    own = take(database.dsn, BARE)
    assert after.column_statistics.status is Status.PRESENT
    assert after.column_statistics.left_out == 0
    bare = [
        msgspec.structs.replace(row, beyond_last_bound=None) for row in own.column_statistics.rows
    ]
    assert sorted(after.column_statistics.rows, key=lambda row: row.column) == sorted(
        bare, key=lambda row: row.column
    )
    assert "column_statistics" not in missing_facts(after)
    with database.connect(user=role) as connection:
        columns = connection.execute("SELECT * FROM howdah.column_statistics LIMIT 0").description
    assert columns is not None
    assert len(columns) == 10


def test_ladder_says_the_exact_words(database: Database) -> None:
    role = database.create_role()
    steps = {step.name: step for step in ladder(take(database.dsn_of(role), BARE))}
    assert steps["pg_monitor"].sql == (f'GRANT "pg_monitor" TO "{role}"',)
    assert not steps["pg_monitor"].have
    with database.connect() as connection:
        for step in ("pg_monitor", "pg_read_all_data"):
            connection.execute(steps[step].sql[0])
        for step in ("pg_stat_statements", "pgstattuple"):
            connection.execute(steps[step].sql[0])
    have = {step.name: step.have for step in ladder(take(database.dsn_of(role), BARE))}
    assert have.pop("superuser") is False
    assert all(have.values())


def test_nothing_private_gets_into_the_file(database: Database, tmp_path: Path) -> None:
    with database.connect() as connection, database.connect() as open_one:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        connection.execute("CREATE TABLE people (id int, name text)")
        connection.execute("INSERT INTO people VALUES (7, 'privateer')")
        connection.execute("ALTER ROLE CURRENT_USER PASSWORD 'privateer' /* privateer */")
        connection.execute("SELECT * FROM people WHERE name = $$privateer$$ -- privateer")
        connection.execute("SET app.token = 'privateer'")
        connection.execute("ANALYZE people")
        open_one.execute("BEGIN")
        open_one.execute("SELECT 'privateer', 4711 /* privateer */")
        snapshot = take(database.dsn, BARE)
    texts = [row.query for row in snapshot.sessions.rows if row.query]
    assert "SELECT $1, $2" in texts
    assert b"privateer" not in msgspec.msgpack.encode(snapshot)
    path = tmp_path / "shop.snap"
    file.write(snapshot, path)
    assert file.read(path) == snapshot
    assert path.stat().st_mode & 0o077 == 0
