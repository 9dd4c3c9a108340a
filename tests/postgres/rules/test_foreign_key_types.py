"""Foreign keys between different types on real servers."""

from __future__ import annotations

import pytest

from howdah.check.rules.foreign_key_types import foreign_key_type_mismatch
from howdah.testing import Database
from tests.applying import found
from tests.diagnosing import examine


def test_foreign_keys_between_types(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            """
            CREATE TABLE big (id bigserial PRIMARY KEY);
            CREATE TABLE number (id numeric PRIMARY KEY);
            CREATE TABLE small (id int PRIMARY KEY);
            CREATE TABLE word (id text PRIMARY KEY);
            CREATE DOMAIN key AS int;
            CREATE TABLE overflows (pid int REFERENCES big);
            CREATE TABLE casts (pid int REFERENCES number);
            CREATE TABLE wider (pid bigint REFERENCES small);
            CREATE TABLE domains (pid key REFERENCES small);
            CREATE TABLE words (pid varchar(10) REFERENCES word);
            """
        )
    result = examine(database, foreign_key_type_mismatch)
    assert found(result) == {
        "public.overflows.overflows_pid_fkey",
        "public.casts.casts_pid_fkey",
    }
    assert result.of == 5


@pytest.mark.parametrize(
    ("child", "parent", "served"), [("int", "numeric", False), ("bigint", "int", True)]
)
def test_the_planner_agrees_about_casts(
    database: Database, child: str, parent: str, served: bool
) -> None:
    """The oracle behind the rule: does an index on the child serve a join by its key?"""
    with database.connect() as connection:
        connection.execute(
            f"""
            CREATE TABLE parent (id {parent} PRIMARY KEY);
            CREATE TABLE child (pid {child});
            CREATE INDEX child_pid ON child (pid);
            SET enable_seqscan = off;
            SET enable_hashjoin = off;
            SET enable_mergejoin = off;
            """.encode()
        )
        rows = connection.execute(
            "EXPLAIN SELECT FROM parent JOIN child ON child.pid = parent.id WHERE parent.id = 5"
        ).fetchall()
    assert any("Index Cond: (pid" in line for (line,) in rows) is served
