"""Keys and unchecked constraints on real servers."""

from __future__ import annotations

import psycopg
import pytest

from howdah.check.model import Kind
from howdah.check.rules.schema import no_primary_key, not_valid_constraint
from howdah.testing import Database
from tests.applying import cure, found
from tests.diagnosing import examine


def test_tables_without_a_key(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            """
            CREATE TABLE keyless (a int);
            CREATE TABLE partial (a int NOT NULL, b bool);
            CREATE UNIQUE INDEX ON partial (a) WHERE b;
            CREATE TABLE nullable (a int UNIQUE);
            CREATE TABLE postponed (a int NOT NULL UNIQUE DEFERRABLE);
            CREATE TABLE fine (a int PRIMARY KEY);
            CREATE TABLE as_good (a int NOT NULL UNIQUE);
            CREATE TABLE parts (a int) PARTITION BY LIST (a);
            CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
            CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2);
            CREATE TABLE leaves (a int) PARTITION BY LIST (a);
            CREATE TABLE leaves_1 PARTITION OF leaves (PRIMARY KEY (a)) FOR VALUES IN (1);
            CREATE TEMPORARY TABLE mine (a int);
            """
        )
        result = examine(database, no_primary_key)
    keyless = {"keyless", "partial", "nullable", "postponed", "parts"}
    assert found(result) == {f"public.{name}" for name in keyless}
    assert (result.examined, result.of) == (8, 8)


def test_a_column_fed_by_a_sequence_becomes_the_key(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            """
            CREATE TABLE "Log" (id bigserial, line text);
            INSERT INTO "Log" (line) SELECT 'x' FROM generate_series(1, 50);
            """
        )
    cure(database, no_primary_key, "public.Log")


def test_a_unique_column_without_nulls_becomes_the_key(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            """
            CREATE TABLE t (code text UNIQUE);
            INSERT INTO t SELECT g::text FROM generate_series(1, 50) AS g;
            ANALYZE t;
            """
        )
    cure(database, no_primary_key, "public.t")


# --- unchecked constraints ------------------------------------------------------------------------


def test_not_valid_constraints_are_validated(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            """
            CREATE TABLE parent (id int PRIMARY KEY);
            CREATE TABLE t (id int PRIMARY KEY, pid int, n int CHECK (n > 0));
            ALTER TABLE t ADD CONSTRAINT late CHECK (n < 9) NOT VALID;
            ALTER TABLE t ADD CONSTRAINT late_fk FOREIGN KEY (pid) REFERENCES parent NOT VALID;
            """
        )
    result = examine(database, not_valid_constraint)
    assert found(result) == {"public.t.late", "public.t.late_fk"}
    cure(database, not_valid_constraint, "public.t.late")
    cure(database, not_valid_constraint, "public.t.late_fk")
    assert examine(database, not_valid_constraint).kind is Kind.OK


def test_a_constraint_of_a_partitioned_table_is_reported_once(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            """
            CREATE TABLE m (a int) PARTITION BY LIST (a);
            CREATE TABLE m1 PARTITION OF m FOR VALUES IN (1);
            CREATE TABLE m2 PARTITION OF m FOR VALUES IN (2);
            ALTER TABLE m ADD CONSTRAINT late CHECK (a > 0) NOT VALID;
            """
        )
    assert found(examine(database, not_valid_constraint)) == {"public.m.late"}
    cure(database, not_valid_constraint, "public.m.late")


def test_not_enforced_is_told_apart(database: Database) -> None:
    """T8: such a row has convalidated = false, and VALIDATE fails on it."""
    if database.major < 18:
        pytest.skip("NOT ENFORCED came with 18")
    with database.connect() as connection:
        connection.execute(
            """
            CREATE TABLE t (n int, m int);
            ALTER TABLE t ADD CONSTRAINT loose CHECK (n > 0) NOT ENFORCED;
            ALTER TABLE t ADD CONSTRAINT full_m NOT NULL m NOT VALID;
            """
        )
        (loose,) = (
            f for f in examine(database, not_valid_constraint).findings if "loose" in f.object
        )
        assert loose.remedies == ()
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
            connection.execute("ALTER TABLE t VALIDATE CONSTRAINT loose")
    cure(database, not_valid_constraint, "public.t.full_m")
