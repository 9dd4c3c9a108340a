"""Taking it out again: only what is ours, and only when nothing of value goes unasked."""

from __future__ import annotations

import pytest

from howdah.errors import BadInput, Cannot, TimedOut
from howdah.schema import install, uninstall
from howdah.testing import Database
from tests.postgres.schema.toys import Toyshop, shape, versions


def test_without_rows_it_goes(database: Database, shop: Toyshop) -> None:
    with database.connect() as connection:
        assert uninstall(connection).nothing_to_do
        install(connection, [shop.pet(shop.toy(2))])
        connection.execute("SELECT howdah.toy_make('made_while_running')")
        connection.execute("INSERT INTO howdah.toy DEFAULT VALUES; DELETE FROM howdah.toy")
        gone = uninstall(connection)
        assert "schema howdah removed" in gone.changed
        assert "roles" in gone.notes[-1]
        assert connection.execute("SELECT to_regnamespace('howdah')").fetchone() == (None,)
        assert uninstall(connection).nothing_to_do


def test_rows_and_workers_need_a_yes(database: Database, shop: Toyshop) -> None:
    with database.connect() as connection:
        install(connection, [shop.toy(1)])
        connection.execute("INSERT INTO howdah.toy (word) SELECT 'x' FROM generate_series(1, 500)")
        connection.execute("ANALYZE howdah.toy; SELECT howdah.toy_make('odd')")
        connection.execute('INSERT INTO howdah."toy_odd$1" DEFAULT VALUES')
        before = shape(connection)
        with pytest.raises(Cannot, match=r"howdah\.toy \(about 500 rows, [\d,]+ bytes\)") as asked:
            uninstall(connection)
        assert "howdah.toy_odd$1 (about 1 rows" in asked.value.detail
        assert "--yes" in asked.value.hint
        with database.connect(application_name="howdah toy worker") as worker:
            with pytest.raises(Cannot, match=f"worker .pid {worker.info.backend_pid}"):
                uninstall(connection)
            told = uninstall(connection, dry_run=True)
        assert len(told.notes) == 3
        assert shape(connection) == before
        uninstall(connection, yes=True)
        assert shape(connection) == []


def test_a_stranger_in_the_schema_blocks_by_its_name(database: Database, shop: Toyshop) -> None:
    with database.connect() as connection:
        install(connection, [shop.toy(1)])
        connection.execute('CREATE TABLE howdah."my notes" (t text)')
        with pytest.raises(Cannot, match=r'table howdah\."my notes"') as stranger:
            uninstall(connection, yes=True)
        assert 'DROP TABLE IF EXISTS howdah."my notes"' in stranger.value.hint
        role = database.create_role()  # what looks like ours, but belongs to somebody else
        connection.execute(f'DROP TABLE howdah."my notes"; GRANT ALL ON SCHEMA howdah TO {role}')
        connection.execute(f"SET ROLE {role}; CREATE TABLE howdah.toy_box (i int); RESET ROLE")
        with pytest.raises(Cannot, match=r"table howdah\.toy_box"):
            uninstall(connection, yes=True)
        connection.execute("DROP TABLE howdah.toy_box")
        uninstall(connection)


def test_what_depends_on_ours_blocks_by_its_name(database: Database, shop: Toyshop) -> None:
    with database.connect() as connection:
        install(connection, [shop.toy(1)])
        before = shape(connection)
        connection.execute("CREATE VIEW public.latest AS SELECT max(id) FROM howdah.toy")
        with pytest.raises(Cannot, match=r"view public\.latest"):
            uninstall(connection, yes=True)
        assert shape(connection) == before
        connection.execute("SELECT count(*) FROM public.latest; DROP VIEW public.latest")
        uninstall(connection)


def test_one_component_at_a_time(database: Database, shop: Toyshop) -> None:
    toy = shop.toy(1)
    with database.connect() as connection:
        install(connection, [shop.pet(toy)])
        connection.execute("CREATE TABLE howdah.stranger (i int)")
        with pytest.raises(BadInput, match="one of: pet, toy"):
            uninstall(connection, ["top"])
        with pytest.raises(Cannot, match="pet would not work without") as needed:
            uninstall(connection, ["toy"])
        assert needed.value.hint == "howdah uninstall --with toy --with pet"
        uninstall(connection, ["pet"])
        assert versions(connection) == [("schema", 1), ("toy", 1)]
        uninstall(connection, ["toy"])
        assert versions(connection) == [("schema", 1)]
        assert shape(connection)[-1][0] == "stranger"
        install(connection, [shop.pet(toy)])
        assert versions(connection) == [("pet", 1), ("schema", 1), ("toy", 1)]


def test_somebody_s_transaction_is_waited_for_and_named(database: Database, shop: Toyshop) -> None:
    with database.connect() as connection, database.connect(application_name="emitting") as other:
        install(connection, [shop.toy(1)])
        other.execute("BEGIN; INSERT INTO howdah.toy (word) VALUES ('x')")
        with pytest.raises(TimedOut, match="emitting"):
            uninstall(connection, lock_timeout_seconds=0.1)
        other.execute("COMMIT")
        with pytest.raises(Cannot, match="tables with rows"):
            uninstall(connection)
