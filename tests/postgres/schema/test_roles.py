"""Roles belong to the cluster: made by whoever may, used by every database, dropped by nobody."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from howdah.errors import Cannot
from howdah.schema import ROLES, install, uninstall, upgrade
from howdah.testing import Database
from howdah.testing.fixtures import OwnServer
from tests.postgres.schema.toys import Toyshop, dump, roles


def test_a_cluster_s_roles(own_server: OwnServer, shop: Toyshop) -> None:
    server = own_server()
    with ExitStack() as stack:
        first, second = Database(server), Database(server)
        stack.callback(first.drop)
        stack.callback(second.drop)
        without_createrole(first, shop)
        assert roles(first) == set(ROLES)
        second_database_of_a_role_that_may_create(second, shop)
        with first.connect() as connection:
            uninstall(connection, yes=True)
        assert roles(second) == set(ROLES)
        with second.connect(user=creator(second)) as connection:
            connection.execute("SELECT howdah.toy_put('still here')")
            uninstall(connection, yes=True)


def without_createrole(database: Database, shop: Toyshop) -> None:
    """It works as the installing role; a DBA may make the roles later; they get their rights."""
    user, reader = database.create_role(), database.create_role()
    with database.connect() as dba, database.connect(user=user) as connection:
        dba.execute(f"GRANT CREATE ON DATABASE {database.name} TO {user}")
        done = install(connection, [shop.toy(1)])
        connection.execute("SELECT howdah.toy_put('x')")
        assert roles(database) == set()
        (advice,) = done.notes
        for line in advice.splitlines():
            if line.startswith("  CREATE ROLE"):
                dba.execute(line)
        dba.execute(f"GRANT howdah_reader TO {reader}")
        assert upgrade(connection, [shop.toy(1)]).changed == ("rights given to the roles",)
        assert upgrade(connection, [shop.toy(1)]).nothing_to_do
    with database.connect(user=reader) as connection:
        assert connection.execute("SELECT word FROM howdah.toy").fetchall() == [("x",)]


def creator(database: Database) -> str:
    return f"creator_{database.name}"


def second_database_of_a_role_that_may_create(database: Database, shop: Toyshop) -> None:
    """The roles are there already, and it is no member: the schema is its own."""
    user = creator(database)
    with database.connect() as dba:
        dba.execute(f"CREATE ROLE {user} LOGIN CREATEROLE")
        dba.execute(f"GRANT CREATE ON DATABASE {database.name} TO {user}")
    with database.connect(user=user) as connection:
        install(connection, [shop.toy(1)])
        query = "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'howdah'"
        assert connection.execute(query).fetchone() == (user,)
        upgrade(connection, [shop.toy(2)])


def test_a_role_that_may_create_roles_makes_them(own_server: OwnServer, shop: Toyshop) -> None:
    """Not a superuser: what it makes belongs to howdah_owner, whose members may all upgrade."""
    server = own_server()
    database = Database(server)
    other = database.create_role()
    with database.connect() as dba:
        dba.execute(f"CREATE ROLE {creator(database)} LOGIN CREATEROLE")
        dba.execute(f"GRANT CREATE ON DATABASE {database.name} TO {creator(database)}")
    with database.connect(user=creator(database)) as connection:
        install(connection, [shop.toy(1)])
        assert roles(database) == set(ROLES)
        query = "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relname LIKE 'toy%'"
        assert connection.execute(query).fetchall() == [("howdah_owner",)]
        connection.execute(f"GRANT howdah_owner TO {other}")
    with database.connect(user=other) as connection:
        upgrade(connection, [shop.toy(4)], contract=True)
        by_another = dump(database.dsn)
    with database.connect() as connection:
        uninstall(connection)
        install(connection, [shop.toy(4)])
        assert dump(database.dsn) == by_another


def test_two_databases_at_once_on_a_fresh_cluster(own_server: OwnServer, shop: Toyshop) -> None:
    """Their locks do not see each other, but both make the same roles."""
    server = own_server()
    databases = [Database(server) for _ in range(4)]
    toy = shop.toy(1)

    def one(database: Database) -> bool:
        with database.connect() as connection:
            return install(connection, [toy], lock_timeout_seconds=30).nothing_to_do

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(one, databases)) == [False] * 4
    assert roles(databases[0]) == set(ROLES)


def test_a_standby_is_refused(own_server: OwnServer, shop: Toyshop) -> None:
    primary = own_server()
    with primary.standby() as standby, standby.connect() as connection:
        for change in (install, upgrade):
            with pytest.raises(Cannot, match="on a standby"):
                change(connection, [shop.toy(1)])
        with pytest.raises(Cannot, match="on a standby"):
            uninstall(connection)
