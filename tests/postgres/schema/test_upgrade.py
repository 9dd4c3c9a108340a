"""From version to version: beside running workers, in one piece, and never past what fits."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import psycopg
import pytest

from howdah.errors import Unreachable, Unsupported
from howdah.postgres import connect
from howdah.schema import install, require, require_async, status, uninstall, upgrade
from howdah.testing import Database, wait_until
from tests.postgres.schema.toys import Toyshop, dump, shape, versions


def test_expansions_first_and_contractions_when_asked(database: Database, shop: Toyshop) -> None:
    """4 adds, so it does not wait for 3, which removes; both ways end in the same schema."""
    old, new = shop.toy(1), shop.toy(4)
    with database.connect() as connection:
        install(connection, [old])
        done = upgrade(connection, [new])
        assert [line for line in done.changed if "toy" in line] == [
            "toy 2 (expand) applied",
            "toy 4 (expand) applied",
        ]
        assert "0003_no_word.sql" in done.notes[0]
        assert "--contract" in done.notes[0]
        assert [v for name, v in versions(connection) if name == "toy"] == [1, 2, 4]
        for library in (old, shop.toy(2), new):
            require(connection, library)
        waiting = {each.component: each.waiting for each in status(connection, [new])}
        assert waiting == {"schema": (), "toy": ("0003_no_word.sql",)}
        again = upgrade(connection, [new])
        assert again.nothing_to_do
        assert again.notes == done.notes

        upgrade(connection, [new], contract=True)
        require(connection, new)
        require(connection, shop.toy(3))
        assert upgrade(connection, [new], contract=True).notes == ()
        upgraded = dump(database.dsn)
        uninstall(connection)
        install(connection, [new])
        assert dump(database.dsn) == upgraded


def test_skew_says_what_to_run(database: Database, shop: Toyshop) -> None:
    old, new = shop.toy(2), shop.toy(4)
    with database.connect() as connection:
        with pytest.raises(Unsupported, match="none of these is installed"):
            upgrade(connection, [old])
        install(connection, [old])
        for call in (lambda: require(connection, new), lambda: install(connection, [new])):
            with pytest.raises(Unsupported, match="has toy 2, and this library needs 4") as behind:
                call()
            assert behind.value.hint == "howdah upgrade"
        upgrade(connection, [new])
        assert install(connection, [old]).nothing_to_do
        upgrade(connection, [new], contract=True)
        for call in (
            lambda: require(connection, old),
            lambda: install(connection, [old]),
            lambda: upgrade(connection, [old]),
        ):
            with pytest.raises(Unsupported, match="has toy 4, and this library only knows") as gone:
                call()
            assert "pip install --upgrade howdah" in gone.value.hint
        problems = {each.component: each.problem for each in status(connection, [old])}
        assert "only knows 2" in problems["toy"]


def test_asking_is_cheap_and_leaves_no_trace(database: Database, shop: Toyshop) -> None:
    toy = shop.toy(1)
    with database.connect() as connection:
        install(connection, [toy])
        xid = "SELECT pg_snapshot_xmax(pg_current_snapshot())"
        before = connection.execute(xid).fetchone()
        require(connection, toy)
        assert connection.execute(xid).fetchone() == before
        connection.execute("BEGIN")
        with pytest.raises(Unsupported):
            require(connection, shop.pet(toy))
        assert connection.execute("SELECT 1").fetchone() == (1,)  # the caller's goes on

    async def awaited() -> None:
        async with await psycopg.AsyncConnection.connect(database.dsn) as connection:
            await require_async(connection, toy)

    asyncio.run(awaited())


def test_what_a_newer_version_requires_comes_along(database: Database, shop: Toyshop) -> None:
    toy = shop.toy(1)
    lone = shop.component("pet", 1, "CREATE TABLE howdah.pet (id int)", {})
    with_toy = shop.component(
        "pet",
        2,
        "CREATE TABLE howdah.pet (id int, n text)",
        {
            "0001_first.sql": "-- phase: expand\nCREATE TABLE howdah.pet (id int);",
            "0002_toy.sql": "-- phase: expand\nALTER TABLE howdah.pet ADD n text;",
        },
        requires=(toy,),
    )
    with database.connect() as connection:
        install(connection, [lone])
        upgrade(connection, [with_toy])
        assert versions(connection) == [("pet", 1), ("pet", 2), ("schema", 1), ("toy", 1)]


def test_beside_a_worker_of_the_old_version(database: Database, shop: Toyshop) -> None:
    """It writes, reads and calls without a pause, with prepared statements, and notices nothing."""
    done = 0
    stop = threading.Event()
    failed: list[Exception] = []
    old, new = shop.toy(1), shop.toy(4)

    def work() -> None:
        nonlocal done
        with database.connect(application_name="howdah toy worker") as connection:
            require(connection, old)
            try:
                while not stop.is_set():
                    with connection.transaction():
                        connection.execute("SELECT howdah.toy_put(%s)", ("x",), prepare=True)
                        connection.execute(
                            "INSERT INTO howdah.toy (word) VALUES (%s)", ("y",), prepare=True
                        )
                        connection.execute(
                            "SELECT id, word FROM howdah.toy ORDER BY id DESC LIMIT 1", prepare=True
                        )
                    done += 1
            except psycopg.Error as error:
                failed.append(error)

    with database.connect() as connection:
        install(connection, [old])
        worker = threading.Thread(target=work)
        worker.start()
        try:
            wait_until(lambda: done > 20 or failed)
            upgrade(connection, [new], lock_timeout_seconds=30)
            after = done
            wait_until(lambda: done > after + 20 or failed)
        finally:
            stop.set()
            worker.join()
        assert failed == []
        assert connection.execute("SELECT count(*) FROM howdah.toy").fetchone() == (2 * done,)
        upgrade(connection, [new], contract=True)
        with pytest.raises(Unsupported):
            require(connection, old)


class Doomed(psycopg.Cursor[Any]):
    """A cursor whose backend is killed before or after its n-th statement."""

    admin: psycopg.Connection[Any]
    kill_at: int
    count = 0

    def execute(self, *args: Any, **options: Any) -> Any:
        Doomed.count += 1
        if Doomed.count == self.kill_at:
            self._kill()
        return super().execute(*args, **options)

    def _kill(self) -> None:
        pid = self.connection.info.backend_pid
        query = "SELECT pg_terminate_backend(%s, 5000)"
        assert Doomed.admin.execute(query, (pid,)).fetchone() == (True,)


def test_killed_at_every_statement_it_is_old_or_new(database: Database, shop: Toyshop) -> None:
    """Before each statement of ours; between the last and COMMIT is the next test's."""
    old, new = shop.toy(1), shop.toy(4)
    with database.connect() as admin:
        Doomed.admin = admin
        install(admin, [old])
        before = shape(admin)
        for kill_at in range(1, 100):
            Doomed.kill_at, Doomed.count = kill_at, 0
            with connect(database.dsn) as connection:
                connection.cursor_factory = Doomed
                try:
                    upgrade(connection, [new], contract=True)
                    break
                except Unreachable as lost:
                    assert "nothing" in lost.detail
            assert shape(admin) == before, f"killed at statement {kill_at}"
        assert kill_at > 10
        upgraded = dump(database.dsn)
        uninstall(admin)
        install(admin, [new])
        assert dump(database.dsn) == upgraded


def test_killed_inside_every_script_it_is_old_or_new(database: Database, shop: Toyshop) -> None:
    """An event trigger kills the backend after its n-th command, and a deferred one at COMMIT."""
    old, new = shop.toy(1), shop.toy(4)
    with database.connect() as admin:
        install(admin, [old])
        before = shape(admin)
        admin.execute(
            "CREATE SEQUENCE public.commands;"
            "CREATE FUNCTION public.die() RETURNS bool LANGUAGE sql SECURITY DEFINER"
            " AS 'SELECT pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid())';"
            "CREATE FUNCTION public.fate() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER"
            " AS $$ BEGIN IF pg_catalog.nextval('public.commands') ="
            " pg_catalog.current_setting('test.kill_at', true)::int"
            " THEN PERFORM public.die(); END IF; END $$;"
            "CREATE FUNCTION public.late() RETURNS trigger LANGUAGE plpgsql"
            " AS $$ BEGIN PERFORM public.die(); RETURN NULL; END $$;"
            "CREATE EVENT TRIGGER fate ON ddl_command_end EXECUTE FUNCTION public.fate()"
        )
        for kill_at in range(1, 100):
            admin.execute("SELECT setval('public.commands', 1, false)")
            with connect(database.dsn) as connection:
                connection.execute("SELECT set_config('test.kill_at', %s, false)", (str(kill_at),))
                try:
                    upgrade(connection, [new], contract=True)
                    break
                except Unreachable:
                    assert shape(admin) == before, f"killed after command {kill_at}"
        assert kill_at > 8
        admin.execute("DROP EVENT TRIGGER fate")
        uninstall(admin)
        install(admin, [old])
        assert shape(admin) == before
        admin.execute(
            "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON howdah.installed"
            " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.late()"
        )
        with connect(database.dsn) as connection, pytest.raises(Unreachable):
            upgrade(connection, [new])
        assert shape(admin) == before
        admin.execute("DROP TRIGGER late ON howdah.installed")
        with connect(database.dsn) as connection:
            upgrade(connection, [new], contract=True)


def test_a_lost_connection_is_said_so_and_done_again(database: Database, shop: Toyshop) -> None:
    with database.connect() as admin, connect(database.dsn) as connection:
        pid = connection.info.backend_pid
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        with pytest.raises(Unreachable, match="Either everything was changed or nothing"):
            install(connection, [shop.toy(1)])
        assert not install(admin, [shop.toy(1)]).nothing_to_do
