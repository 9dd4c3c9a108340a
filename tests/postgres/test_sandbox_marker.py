"""What counts as a sandbox, and what does not though it looks like one."""

from __future__ import annotations

import pytest

from howdah.errors import Denied, NotASandbox
from howdah.sandbox import (
    Sandbox,
    is_sandbox,
    mark,
    measure,
    require_sandbox,
    unmark,
)
from howdah.sandbox.rebuild import load_schema
from howdah.testing import Database


def comment(database: Database) -> str | None:
    with database.connect() as connection:
        row = connection.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database"
            " WHERE datname = current_database()"
        ).fetchone()
    return row[0] if row else None


def test_marking_is_explicit_and_reversible(database: Database) -> None:
    with database.connect() as connection:
        assert not is_sandbox(connection)
        with pytest.raises(NotASandbox, match="not a sandbox") as refused:
            require_sandbox(connection)
        assert "howdah sandbox mark" in refused.value.hint
        mark(connection)
        mark(connection)
        assert is_sandbox(connection)
        require_sandbox(connection)
        unmark(connection)
        assert not is_sandbox(connection)
    assert comment(database) is None


def test_the_owner_keeps_the_comment(database: Database) -> None:
    remark = "the shop's\ncopy of 'Monday'"
    with database.connect() as connection:
        connection.execute(
            f"COMMENT ON DATABASE {database.name} IS '{remark.replace(chr(39), chr(39) * 2)}'"
        )
        mark(connection)
        assert remark in (comment(database) or "")
        unmark(connection)
    assert comment(database) == remark


def test_a_marker_that_travelled_does_not_count(database: Database) -> None:
    """A dump restored elsewhere carries the comment; a template clone carries none."""
    with database.connect() as connection:
        mark(connection)
    carried = comment(database)
    other = Database(database.server)
    clone = f"{database.name}_clone"
    try:
        with other.connect() as connection:
            connection.execute(f"COMMENT ON DATABASE {other.name} IS '{carried}'")
            assert not is_sandbox(connection)
            with pytest.raises(NotASandbox, match="another database"):
                require_sandbox(connection)
            mark(connection)
            assert is_sandbox(connection)
        assert comment(other) != carried
        database.server.create_database(clone, template=database.name)
        with database.server.connect(clone) as connection:
            assert not is_sandbox(connection)
    finally:
        database.server.drop_database(clone)
        other.drop()


def test_marking_needs_ownership(database: Database) -> None:
    role = database.create_role()
    with database.connect(user=role) as connection, pytest.raises(Denied):
        mark(connection)


def test_nothing_destructive_without_it(database: Database) -> None:
    unmarked = Sandbox(dsn=database.dsn, name=database.name, server=database.server)
    with database.connect() as connection:
        connection.execute("CREATE TABLE precious (id int)")
        with pytest.raises(NotASandbox):
            load_schema(connection, "DROP TABLE precious")
    with pytest.raises(NotASandbox):
        measure(unmarked, ["DROP TABLE precious"])
    with pytest.raises(NotASandbox):
        Sandbox.clone(unmarked)
    with pytest.raises(NotASandbox):
        Sandbox.adopt(database.dsn)
    with pytest.raises(NotASandbox):
        unmarked.drop()
    with database.connect() as connection:
        assert connection.execute("SELECT count(*) FROM precious").fetchone() == (0,)


def test_a_marked_database_is_adopted_and_not_dropped(database: Database) -> None:
    with database.connect() as connection:
        mark(connection)
    with Sandbox.adopt(database.dsn) as adopted:
        assert measure(adopted, ["CREATE TABLE t (id int)"]).ok
    with database.connect() as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
