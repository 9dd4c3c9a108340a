"""T32: a concurrent build that was cut short, and the retry that calls its leftover a success."""

from __future__ import annotations

import msgspec
import psycopg
import pytest

from howdah.check import remedies
from howdah.check.evaluate import evaluate
from howdah.check.model import Remedy
from howdah.check.rules.indexes import invalid_index
from howdah.check.rules.redundancy import redundant_index
from howdah.check.trial import Trials
from howdah.sandbox.sandbox import Sandbox
from howdah.sandbox.schema import dump_schema
from howdah.testing import Database
from tests.applying import found
from tests.diagnosing import examine, take_picture

DEFINITION = "CREATE UNIQUE INDEX t_a ON public.t USING btree (a)"
MADE = (
    remedies.create_index("public", "t", "t_a", '"a"'),
    remedies.create_index("public", "t", "t_a", '"a"', unique=True, predicate='"a" > 0'),
    remedies.drop_index("public", "t_a", DEFINITION),
    remedies.drop_index("public", "t_a", DEFINITION, partitioned=True),
    remedies.reindex("public", "t_a"),
)


@pytest.mark.parametrize("remedy", MADE, ids=lambda remedy: remedy.operation)
def test_t32_nothing_is_built_only_if_it_does_not_exist(remedy: Remedy) -> None:
    for statement in (*remedy.sql, *remedy.inverse, *remedy.retry_safe):
        assert "IF NOT EXISTS" not in statement
    concurrent = [s for s in remedy.retry_safe if "INDEX CONCURRENTLY" in s]
    if concurrent:
        assert "SET statement_timeout = 0" in remedy.retry_safe[: -len(concurrent)]


def cut_short(database: Database) -> None:
    """A build that waits for an open transaction until the session's timeout ends it."""
    with database.connect() as building, database.connect() as other:
        building.execute("CREATE TABLE t (a int)")
        with other.transaction():
            other.execute("INSERT INTO t VALUES (1)")
            building.execute("SET statement_timeout = '300ms'")
            with pytest.raises(psycopg.errors.QueryCanceled):
                building.execute("CREATE INDEX CONCURRENTLY t_a ON t (a)")


def is_valid(database: Database) -> bool:
    with database.connect() as looking:
        row = looking.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_a'::regclass"
        ).fetchone()
    assert row is not None
    return bool(row[0])


def test_t32_the_retry_safe_form_mends_what_if_not_exists_passes_over(database: Database) -> None:
    cut_short(database)
    with database.connect() as retrying:
        retrying.execute("CREATE INDEX CONCURRENTLY IF NOT EXISTS t_a ON t (a)")  # "succeeds"
    assert not is_valid(database)
    assert found(examine(database, invalid_index)) == {"public.t_a"}
    with database.connect() as retrying:
        retrying.execute("SET statement_timeout = '1ms'")  # as an impatient role has it
        for statement in MADE[0].retry_safe:
            retrying.execute(statement)
    assert is_valid(database)
    assert found(examine(database, invalid_index)) == set()


def test_t32_a_remedy_that_leaves_an_invalid_index_is_not_proven(database: Database) -> None:
    leaving = Remedy(
        operation="drop-index",
        arguments={"index": "public.t_a"},
        sql=(
            "DROP INDEX CONCURRENTLY public.t_a",
            "CREATE INDEX CONCURRENTLY t_b ON public.t (b)",
            # as if the build had been cut short
            "UPDATE pg_catalog.pg_index SET indisvalid = false"
            " WHERE indexrelid = 'public.t_b'::regclass",
        ),
    )
    with database.connect() as connection:
        connection.execute(
            "CREATE TABLE t (a int, b int);CREATE INDEX t_a ON t (a); CREATE INDEX t_ab ON t (a, b)"
        )
    picture, rules = take_picture(database), [redundant_index, invalid_index]
    (result,) = evaluate(picture, [redundant_index], {})
    (finding,) = result.findings
    tried = msgspec.structs.replace(
        result, findings=(msgspec.structs.replace(finding, remedies=(leaving,)),)
    )
    with Sandbox.from_schema(dump_schema(database.dsn), server=database.server) as sandbox:
        trials = Trials(sandbox, picture.snapshot, rules, seconds=60)
        (seen,) = trials.prove([tried], lambda _text: None)
    proof = seen.findings[0].remedies[0].proof
    assert proof is not None
    assert not proof.proven
    assert "invalid-index" in proof.reason
