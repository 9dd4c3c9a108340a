"""What every component of the product must keep: its files, its functions, its rights."""

from __future__ import annotations

import pytest

from howdah.cli.components import COMPONENTS
from howdah.schema import Component, install, uninstall, upgrade
from howdah.schema.model import LEDGER
from howdah.schema.scripts import scripts
from howdah.testing import Database
from tests.postgres.schema.toys import Toyshop, dump

every = pytest.mark.parametrize("component", (LEDGER, *COMPONENTS), ids=lambda each: each.name)


def unpinned(database: Database) -> list[tuple[str]]:
    with database.connect() as connection:
        return connection.execute(
            "SELECT oid::regprocedure::text FROM pg_proc"
            # the body of howdah.clock was resolved when it was made; see log/sql/schema.sql
            " WHERE pronamespace = 'howdah'::regnamespace"
            " AND NOT (proname = 'clock' AND prosqlbody IS NOT NULL) AND NOT EXISTS"
            " (SELECT FROM unnest(proconfig) AS setting WHERE setting LIKE 'search\\_path=%')"
        ).fetchall()


def for_everybody(database: Database) -> list[tuple[str]]:
    with database.connect() as connection:
        return connection.execute(
            "SELECT oid::regprocedure::text FROM pg_proc, aclexplode(coalesce(proacl,"
            " acldefault('f', proowner))) AS acl"
            " WHERE pronamespace = 'howdah'::regnamespace AND acl.grantee = 0"
        ).fetchall()


@every
def test_functions_pin_their_search_path_and_are_not_for_everybody(
    database: Database, component: Component
) -> None:
    with database.connect() as connection:
        install(connection, [component])
    assert unpinned(database) == []
    assert for_everybody(database) == []


def test_an_unpinned_function_is_seen(database: Database, shop: Toyshop) -> None:
    loose = "CREATE FUNCTION howdah.loose() RETURNS int LANGUAGE sql AS 'SELECT 1'"
    with database.connect() as connection:
        install(connection, [shop.component("loose", 1, loose, {})])
    assert unpinned(database) == [("howdah.loose()",)]


@every
def test_the_whole_is_the_sum_of_its_migrations(database: Database, component: Component) -> None:
    """A component of one version has no migrations: then both are the same file."""
    same_as_sum(database, component)


def same_as_sum(database: Database, component: Component) -> None:
    other = Database(database.server)
    try:
        with database.connect() as connection:
            install(connection, [component])
        with other.connect() as connection:
            install(connection, component.requires)
            grants = scripts(component).grants
            if component is not LEDGER:
                for migration in scripts(component).migrations:
                    connection.execute("SET search_path = ''")
                    connection.execute(b"SET ROLE howdah_owner")
                    connection.execute(migration.text.encode())
                connection.execute("RESET ROLE")
                connection.execute(
                    "REVOKE EXECUTE ON ALL ROUTINES IN SCHEMA howdah FROM PUBLIC; " + grants
                )
        assert dump(database.dsn) == dump(other.dsn)
    finally:
        other.drop()


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_the_toy_too(database: Database, shop: Toyshop, version: int) -> None:
    same_as_sum(database, shop.toy(version))


def test_a_difference_is_seen(database: Database, shop: Toyshop) -> None:
    lie = {
        "0001_first.sql": "-- phase: expand\nCREATE TABLE howdah.lie (a int);",
        "0002_more.sql": "-- phase: expand\nALTER TABLE howdah.lie ADD b int;",
    }
    component = shop.component("lie", 2, "CREATE TABLE howdah.lie (a int, b int8)", lie)
    with pytest.raises(AssertionError):
        same_as_sum(database, component)


@every
def test_in_and_out_leaves_nothing(database: Database, component: Component) -> None:
    with database.connect() as connection:
        install(connection, [component])
        assert upgrade(connection, [component]).nothing_to_do
        uninstall(connection)
        query = "SELECT count(*) FROM pg_namespace WHERE nspname = 'howdah'"
        assert connection.execute(query).fetchone() == (0,)
