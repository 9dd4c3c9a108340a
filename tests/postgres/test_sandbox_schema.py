"""A database's schema, read within bounds and rebuilt without reaching out."""

from __future__ import annotations

import subprocess
from typing import Any

import psycopg
import pytest

from howdah.clock import SYSTEM_CLOCK
from howdah.errors import BadInput, Denied, TimedOut
from howdah.postgres import Server, find_installations
from howdah.sandbox import Locale, Sandbox, SchemaDump, dump_schema
from howdah.sandbox.sandbox import choose
from howdah.testing import Database

SHOP = """
    CREATE SCHEMA app;
    CREATE TYPE app.mood AS ENUM ('good', 'bad');
    CREATE TABLE app.users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mood app.mood);
    CREATE TABLE app.orders (
        id bigint PRIMARY KEY, user_id bigint REFERENCES app.users, note text DEFAULT 'a;b\\'
    );
    CREATE INDEX orders_user ON app.orders (user_id) WHERE note IS NOT NULL;
    CREATE FUNCTION app.total(a int) RETURNS int LANGUAGE sql
        BEGIN ATOMIC SELECT CASE a WHEN 1 THEN 2 ELSE 3 END; END;
    CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RETURN NEW;  -- \\restrict is only text here
    END $$;
    CREATE TRIGGER touch BEFORE UPDATE ON app.orders FOR EACH ROW EXECUTE FUNCTION app.touch();
    CREATE VIEW app.busy AS SELECT user_id, count(*) FROM app.orders GROUP BY 1;
    CREATE MATERIALIZED VIEW app.daily AS SELECT count(*) AS n FROM app.orders;
    CREATE TABLE app.parted (k int, v int) PARTITION BY RANGE (k);
    CREATE TABLE app.parted_1 PARTITION OF app.parted FOR VALUES FROM (0) TO (10);
    CREATE INDEX ON app.parted (v);
    ALTER TABLE app.orders ALTER id SET STATISTICS 500;
    CREATE PUBLICATION news FOR TABLE app.orders;
"""

INDEXES = """
    SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid), indisvalid
      FROM pg_index WHERE indexrelid >= 16384 AND indrelid::regclass::text NOT LIKE 'pg_toast%'
     ORDER BY 1
"""


def test_a_schema_comes_back_as_it_was(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(SHOP)
        connection.execute(f"ALTER DATABASE {database.name} SET search_path = app, public")
        original = connection.execute(INDEXES).fetchall()
    dump = dump_schema(database.dsn, seconds=60, lock_timeout_ms=10_000)
    assert dump.major == database.major
    with Sandbox.from_schema(dump, server=database.server) as sandbox:
        assert sandbox.rebuilt is not None
        assert sandbox.rebuilt.complete, sandbox.rebuilt
        assert sandbox.rebuilt.why_missing("app.orders") is None
        with sandbox.connect() as connection:
            connection.execute("SET search_path = public")
            assert connection.execute(INDEXES).fetchall() == original
        with sandbox.connect() as connection:
            assert connection.execute("SHOW search_path").fetchone() == ("app, public",)
            assert connection.execute("SELECT count(*) FROM orders").fetchone() == (0,)
            row = connection.execute("SELECT pubname FROM pg_publication").fetchone()
            assert row == ("news",)
        again = dump_schema(sandbox.dsn, seconds=60, lock_timeout_ms=10_000)
    assert statements(again) == statements(dump)


def statements(dump: SchemaDump) -> list[str]:
    """Without pg_dump's key, which is another one each time."""
    return [line for line in dump.text.splitlines() if "restrict " not in line]


def test_a_password_stays_out_of_the_argument_list(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    popen = subprocess.Popen

    def spying(arguments: list[Any], **given: Any) -> subprocess.Popen[bytes]:
        seen.extend(map(str, arguments))
        return popen(arguments, **given)

    monkeypatch.setattr(subprocess, "Popen", spying)
    dump_schema(f"{database.dsn} password=secret")
    assert "--schema-only" in seen
    assert not [argument for argument in seen if "secret" in argument]


def test_behind_a_lock_it_gives_up_soon(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE t (id int)")
        connection.execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        started = SYSTEM_CLOCK.monotonic()
        with pytest.raises(TimedOut):
            dump_schema(database.dsn)
        assert SYSTEM_CLOCK.monotonic() - started < 3
        connection.execute("ROLLBACK")
    assert "CREATE TABLE public.t" in dump_schema(database.dsn).text


def test_behind_a_catalog_lock_it_is_killed(database: Database) -> None:
    """pg_dump sets its own lock_timeout to zero; our limit holds all the same."""
    with database.connect() as connection:
        connection.execute("CREATE TABLE t (id int)")
        connection.execute("BEGIN; LOCK TABLE pg_catalog.pg_rewrite IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(TimedOut):
            dump_schema(database.dsn, seconds=0.5)
        connection.execute("ROLLBACK")


def test_a_role_without_rights_is_denied(database: Database) -> None:
    role = database.create_role()
    with database.connect() as connection:
        connection.execute("CREATE TABLE secret (id int)")
    with pytest.raises(Denied) as denied:
        dump_schema(database.dsn_of(role))
    assert "secret" in str(denied.value)


def test_an_unknown_database_is_bad_input(server: Server) -> None:
    with pytest.raises(BadInput):
        dump_schema(server.dsn("nonesuch"))


def test_nothing_of_it_connects_outwards(server: Server) -> None:
    script = """
        CREATE EXTENSION postgres_fdw;
        CREATE EXTENSION dblink;
        CREATE FOREIGN DATA WRAPPER other;
        CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'db.example');
        CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (user 'u', password 'p');
        CREATE FOREIGN TABLE there (id int) SERVER far OPTIONS (table_name 't');
        CREATE SUBSCRIPTION s CONNECTION 'host=db.example' PUBLICATION p;
        create  subscription s2 connection 'host=db.example' publication p;
        CREATE FUNCTION e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
        CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION e();
        COPY there FROM PROGRAM 'true';
        ALTER SYSTEM SET primary_conninfo = 'host=db.example';
        CREATE TABLE here (id int);
    """
    with Sandbox.from_schema(script, server=server) as sandbox:
        rebuilt = sandbox.rebuilt
        assert rebuilt is not None
        assert rebuilt.failed == ()
        assert len(rebuilt.left_out) == 9
        assert [each.reason for each in rebuilt.substituted] == ["the foreign server leads nowhere"]
        with sandbox.connect() as connection:
            counts = connection.execute(
                "SELECT (SELECT count(*) FROM pg_user_mappings),"
                " (SELECT count(*) FROM pg_event_trigger),"
                " (SELECT count(*) FROM pg_extension WHERE extname <> 'plpgsql'),"
                " (SELECT count(*) FROM pg_subscription WHERE subdbid = ("
                "   SELECT oid FROM pg_database WHERE datname = current_database()))"
            ).fetchone()
            assert counts == (0, 0, 0, 0)
            assert connection.execute(
                "SELECT srvname, srvoptions FROM pg_foreign_server"
            ).fetchall() == [("far", None)]
            with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
                connection.execute("SELECT * FROM there")
            assert connection.execute("SELECT * FROM here").fetchall() == []


def test_what_the_sandbox_lacks_is_named(server: Server) -> None:
    script = """
        SET nonesuch_setting = 1;
        CREATE SCHEMA public;
        CREATE EXTENSION IF NOT EXISTS postgis WITH SCHEMA public;
        CREATE TABLE public.places (id int PRIMARY KEY, at geometry(Point));
        CREATE INDEX places_at ON public.places (id);
        ALTER TABLE public.places ADD CHECK (id > 0);
        CREATE TABLE public.visits (id int, place int REFERENCES public.places);
        CREATE TABLE public.notes (id int, note text COLLATE "xx_XX.utf8");
        CREATE COLLATION public.odd (provider = libc, locale = 'nonesuch');
        CREATE TABLE public.words (word text COLLATE public.odd);
        ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY;
        CREATE POLICY p ON public.notes TO howdah_nobody_knows USING (true);
        SYNTAX ERROR HERE;
        CREATE TABLE public.fine (id int);
    """
    with Sandbox.from_schema(script, server=server) as sandbox:
        rebuilt = sandbox.rebuilt
        assert rebuilt is not None
        missing = rebuilt.why_missing("public.places")
        assert missing is not None
        assert "extension postgis is not available" in missing
        assert "postgis" in (rebuilt.why_missing("public.visits") or "")
        assert rebuilt.why_missing("public.fine") is None
        assert rebuilt.why_missing("public.notes") is None
        stood_in = {each.subject for each in rebuilt.substituted}
        assert stood_in == {
            *("COLLATION xx_XX.utf8", "COLLATION public.odd", "ROLE howdah_nobody_knows")
        }
        assert "42601" in {each.sqlstate for each in rebuilt.failed}
        assert {each.relation for each in rebuilt.failed} == {
            *("", "public.places", "public.visits", "public.places_at")
        }
        assert not rebuilt.complete
        with sandbox.connect() as connection:
            connection.execute("SELECT * FROM public.words, public.notes, public.fine")
    with server.connect() as connection:
        connection.execute("DROP ROLE howdah_nobody_knows")


def test_rows_in_a_script_are_loaded(server: Server) -> None:
    script = "CREATE TABLE t (a int, b text);\nCOPY t (a, b) FROM stdin;\n1\tx;\n2\t\\N\n\\.\n"
    with Sandbox.from_schema(script, server=server) as sandbox, sandbox.connect() as connection:
        assert connection.execute("SELECT * FROM t").fetchall() == [(1, "x;"), (2, None)]


def test_a_clone_is_marked_and_apart(server: Server) -> None:
    with (
        Sandbox.from_schema("CREATE TABLE t (a int)", server=server) as one,
        Sandbox.clone(one) as two,
    ):
        with two.connect() as connection:
            connection.execute("DROP TABLE t")
        with one.connect() as connection:
            connection.execute("SELECT * FROM t")
        two.drop()
        two.drop()


def test_collations_of_the_origin(server: Server) -> None:
    """A plain index serves LIKE 'x%' under C only: a stand-in must not change that."""
    for collate, kept in (("C", True), ("xx_XX.UTF-8", False)):
        like = Locale(version=server.version_num, collate=collate, ctype=collate)
        with Sandbox.empty(server, like=like) as sandbox:
            assert ("instead of" in sandbox.fidelity) is not kept
            with sandbox.connect() as connection:
                connection.execute("CREATE TABLE t (a text); CREATE INDEX ON t (a)")
                connection.execute("SET enable_seqscan = off")
                plan = str(
                    connection.execute("EXPLAIN SELECT * FROM t WHERE a LIKE 'x%'").fetchall()
                )
                assert ("Index Cond" in plan) is kept


def test_its_own_server_goes_with_it(server: Server) -> None:
    with Sandbox.empty(major=server.major) as sandbox:
        own = sandbox.server
        assert own is not None
        assert own.major == choose(server.major).major
        assert sandbox.fidelity.startswith(f"PostgreSQL {own.installation.version}")
        assert ("the database runs" in sandbox.fidelity) is (own.major != server.major)
        sandbox.drop()
    assert not own.running


def test_without_its_major_the_newest_stands_in(server: Server) -> None:
    newest = max(each.major for each in find_installations())
    assert choose(99).major == newest
    assert choose(None).major == newest
    with Sandbox.empty(server, major=99) as sandbox:
        assert sandbox.fidelity.endswith(", the database runs 99")


@pytest.mark.postgres(newest=True)
def test_a_thousand_tables_take_seconds(server: Server) -> None:
    script = "".join(
        f"CREATE TABLE public.t{n} (id bigint PRIMARY KEY, a int, b text);"
        f"CREATE INDEX i{n} ON public.t{n} (a);"
        for n in range(1000)
    )
    with Sandbox.from_schema(script, server=server) as sandbox:
        assert sandbox.rebuilt is not None
        assert sandbox.rebuilt.complete
        assert sandbox.rebuilt.seconds < 30, "a few seconds on an idle machine"
