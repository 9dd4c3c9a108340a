"""Putting components in: once, by whoever may, and nothing where something is in the way."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from howdah.errors import BadInput, Cannot, Denied, StatementFailed, TimedOut, Unsupported
from howdah.postgres import programs
from howdah.schema import install, require, script, status, upgrade
from howdah.testing import Database
from tests.postgres.schema.toys import PET, Toyshop, dump, shape, versions


def test_a_second_time_there_is_nothing_to_do(database: Database, shop: Toyshop) -> None:
    pet = shop.pet(shop.toy(3))
    with database.connect() as connection:
        first = install(connection, [pet])
        assert tuple(each for each in first.changed if each[:3] in ("toy", "pet")) == (
            "toy 3 installed",
            "pet 1 installed",
        )
        before = dump(database.dsn)
        again = install(connection, [pet])
        assert again.nothing_to_do
        assert again.changed == again.notes == ()
        assert dump(database.dsn) == before
        assert versions(connection) == [
            ("pet", 1),
            ("schema", 1),
            *(("toy", n) for n in (1, 2, 3)),
        ]
        require(connection, pet)
        assert [each.problem for each in status(connection, [pet])] == ["", "", ""]


def test_a_dry_run_prints_what_psql_can_run(database: Database, shop: Toyshop) -> None:
    toy = shop.toy(2)
    with database.connect() as connection:
        plan = install(connection, [toy], dry_run=True)
        assert shape(connection) == []
        psql = [str(programs("psql")), "-X", "-q", "-v", "ON_ERROR_STOP=1", database.dsn]
        subprocess.run(psql, input=script(plan), text=True, check=True, capture_output=True)
        by_psql, ledger = dump(database.dsn), versions(connection)
        assert install(connection, [toy]).nothing_to_do
        connection.execute("DROP SCHEMA howdah CASCADE")
        install(connection, [toy])
        assert (by_psql, ledger) == (dump(database.dsn), versions(connection))


def test_the_caller_s_transaction_is_not_ours(database: Database, shop: Toyshop) -> None:
    with database.connect(autocommit=False) as connection:
        install(connection, [shop.toy(1)])  # an idle one is fine, whatever its mode
        connection.execute("SELECT 1")
        with pytest.raises(BadInput, match="inside a transaction"):
            install(connection, [shop.toy(1)])
        connection.rollback()
        assert connection.execute("SELECT count(*) FROM howdah.toy").fetchone() == (0,)


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_two_at_once_make_one(database: Database, shop: Toyshop, level: str) -> None:
    pet = shop.pet(shop.toy(2))
    with database.connect() as connection:
        connection.execute(
            f"ALTER DATABASE {database.name} SET default_transaction_isolation = '{level}'"
        )

    def one(_: int) -> bool:
        with database.connect() as connection:
            return install(connection, [pet], lock_timeout_seconds=30).nothing_to_do

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(one, range(4))) == [False, True, True, True]


def test_who_is_in_the_way_is_named(database: Database, shop: Toyshop) -> None:
    toy, newer = shop.toy(1), shop.toy(2)
    with database.connect() as connection:
        install(connection, [toy])
        before = shape(connection)
        with database.connect(application_name="a long report") as other:
            other.execute("BEGIN; SELECT * FROM howdah.toy")
            with pytest.raises(TimedOut) as late:
                upgrade(connection, [newer], lock_timeout_seconds=0.1)
            assert f"pid {other.info.backend_pid} (a long report" in late.value.detail
            other.execute("COMMIT; BEGIN; SELECT pg_advisory_xact_lock(114827953725800)")
            with pytest.raises(TimedOut, match="a long report"):
                upgrade(connection, [newer], lock_timeout_seconds=0.1)
            other.execute("ROLLBACK; BEGIN; INSERT INTO howdah.toy DEFAULT VALUES")
            other.execute("PREPARE TRANSACTION 'orphan'")
        with pytest.raises(TimedOut, match="prepared transaction 'orphan'"):
            upgrade(connection, [newer], lock_timeout_seconds=0.1)
        connection.execute("ROLLBACK PREPARED 'orphan'")
        assert shape(connection) == before
        assert not upgrade(connection, [newer]).nothing_to_do


def test_a_schema_of_somebody_else_is_left_alone(database: Database, shop: Toyshop) -> None:
    with database.connect() as connection:
        connection.execute("CREATE SCHEMA howdah; CREATE TABLE howdah.installed (what text)")
        with pytest.raises(Cannot, match="not Howdah's"):
            install(connection, [shop.toy(1)])
        assert connection.execute("SELECT count(*) FROM howdah.installed").fetchone() == (0,)


def test_a_schema_restored_without_rows_is_not_guessed(database: Database, shop: Toyshop) -> None:
    with database.connect() as connection:
        install(connection, [shop.toy(1)])
        connection.execute("DELETE FROM howdah.installed")
        for change in (install, upgrade):
            with pytest.raises(Cannot, match="is empty"):
                change(connection, [shop.toy(1)])


def test_read_only_sessions_are_refused(database: Database, shop: Toyshop) -> None:
    with database.connect() as connection:
        connection.execute("SET default_transaction_read_only = on")
        with pytest.raises(Cannot, match="read-only"):
            install(connection, [shop.toy(1)])


def test_without_the_right_to_create(database: Database, shop: Toyshop) -> None:
    """A schema that a DBA made for the role does as well as the right to create one."""
    role = database.create_role()
    with database.connect(user=role) as connection, database.connect() as dba:
        with pytest.raises(Denied, match="may not create a schema") as denied:
            install(connection, [shop.toy(1)])
        assert f'TO "{role}"' in denied.value.hint
        dba.execute(f"CREATE SCHEMA howdah AUTHORIZATION {role}")
        install(connection, [shop.toy(1)])
        connection.execute("SELECT howdah.toy_put('x')")


def test_the_schema_of_another_role(database: Database, shop: Toyshop) -> None:
    role, owner = database.create_role(), database.create_role()
    with database.connect(user=role) as connection, database.connect() as dba:
        dba.execute(f"CREATE SCHEMA howdah AUTHORIZATION {owner}")
        with pytest.raises(Denied, match=f"belongs to {owner}") as denied:
            install(connection, [shop.toy(1)])
        dba.execute(denied.value.hint.partition(": ")[2])
        install(connection, [shop.toy(1)])
        query = "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relname LIKE 'toy%'"
        assert connection.execute(query).fetchall() == [(owner,)]


def test_a_script_that_fails_leaves_nothing(database: Database, shop: Toyshop) -> None:
    broken = shop.component("pet", 1, PET + "SELECT 1 / 0;", {}, requires=(shop.toy(1),))
    with database.connect() as connection:
        with pytest.raises(StatementFailed, match="division by zero"):
            install(connection, [broken])
        assert shape(connection) == []
    unqualified = shop.component("pet", 1, "CREATE TABLE stray (id int)", {})
    with database.connect() as connection, pytest.raises(StatementFailed):
        install(connection, [unqualified])


def test_new_functions_are_for_those_who_were_granted_them(
    database: Database, shop: Toyshop
) -> None:
    producer = database.create_role()
    reader = database.create_role()
    with database.connect() as connection:
        install(connection, [shop.toy(1)])
        connection.execute(f"GRANT howdah_producer TO {producer}; GRANT howdah_reader TO {reader}")
    with database.connect(user=producer) as connection:
        connection.execute("SELECT howdah.toy_put('x')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT howdah.toy_make('x')")
    with database.connect(user=reader) as connection:
        assert connection.execute("SELECT word FROM howdah.toy").fetchall() == [("x",)]
        require(connection, shop.toy(1))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT howdah.toy_put('x')")


def test_default_privileges_do_not_open_them(database: Database, shop: Toyshop) -> None:
    role = database.create_role()
    with database.connect() as connection:
        install(connection, [])
        connection.execute(
            "ALTER DEFAULT PRIVILEGES FOR ROLE howdah_owner GRANT EXECUTE ON FUNCTIONS TO"
            f" {role}; GRANT USAGE ON SCHEMA howdah TO {role}, howdah_reader"
        )
        install(connection, [shop.toy(1)])
        query = "SELECT has_function_privilege(%s, 'howdah.toy_put(text)', 'EXECUTE')"
        assert connection.execute(query, (role,)).fetchone() == (True,)  # as its DBA wishes
        assert connection.execute(query, ("howdah_reader",)).fetchone() == (False,)
        connection.execute("GRANT EXECUTE ON FUNCTION howdah.toy_put(text) TO PUBLIC")
        upgrade(connection, [shop.toy(2)])
        assert connection.execute(query, ("howdah_reader",)).fetchone() == (True,)  # asked for


def test_a_role_without_rights_is_told_so(database: Database, shop: Toyshop) -> None:
    role = database.create_role()
    with database.connect(user=role) as connection:
        with pytest.raises(Unsupported, match="toy is not installed") as missing:
            require(connection, shop.toy(1))
        assert missing.value.hint == "howdah install --with toy"
        with database.connect() as dba:
            install(dba, [shop.toy(1)])
        with pytest.raises(Denied, match="may not be read"):
            require(connection, shop.toy(1))
