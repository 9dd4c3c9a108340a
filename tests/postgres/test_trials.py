"""Trials: what is called proven did what it says; what did not is called by its reason."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from howdah.check import api
from howdah.check.evaluate import evaluate
from howdah.check.model import Finding, Proof, Remedy, Result, Rule, Shape
from howdah.check.remedies import manual, statements
from howdah.check.rules import all_rules
from howdah.check.trial import Trials
from howdah.clock import FakeClock
from howdah.sandbox.sandbox import Sandbox
from howdah.sandbox.schema import dump_schema
from howdah.snapshot.picture import Picture
from howdah.testing import Database
from tests.diagnosing import take_picture

SCHEMA = """
CREATE TABLE parents (id int PRIMARY KEY, note text);
CREATE TABLE children (id int PRIMARY KEY, parent int NOT NULL REFERENCES parents, extra int);
CREATE INDEX children_parent ON children (parent);
CREATE INDEX children_parent_extra ON children (parent, extra);
"""
RULES = [
    rule for rule in all_rules() if rule.id in ("redundant-index", "foreign-key-without-index")
]
REDUNDANT = next(rule for rule in RULES if rule.id == "redundant-index")


@pytest.fixture
def template(database: Database) -> Iterator[tuple[Picture, Sandbox]]:
    with database.connect() as connection:
        connection.execute(SCHEMA.encode())
    picture = take_picture(database)
    with Sandbox.from_schema(dump_schema(database.dsn), server=database.server) as sandbox:
        yield picture, sandbox


def finding(picture: Picture, rule: Rule = REDUNDANT) -> Finding:
    (found,) = evaluate(picture, [rule], {})[0].findings
    return found


def proof(template: tuple[Picture, Sandbox], remedy: Remedy, seconds: float = 60.0) -> Proof | None:
    """What a trial of that remedy for the redundant index comes to."""
    picture, sandbox = template
    given = msgspec.structs.replace(finding(picture), remedies=(remedy,))
    result: Result = msgspec.structs.replace(
        evaluate(picture, [REDUNDANT], {})[0], findings=(given,)
    )
    trials = Trials(sandbox, picture.snapshot, RULES, seconds=seconds)
    (tried,) = trials.prove([result], lambda _text: None)
    return tried.findings[0].remedies[0].proof


def drop(index: str, **more: object) -> Remedy:
    given = statements(
        "drop-index", {"index": f"public.{index}"}, [f"DROP INDEX CONCURRENTLY public.{index}"]
    )
    return msgspec.structs.replace(given, **more)


def test_a_remedy_that_works_is_proven_with_what_the_server_saw(
    template: tuple[Picture, Sandbox],
) -> None:
    (own,) = finding(template[0]).remedies
    seen = proof(template, own)
    assert seen is not None
    assert seen.proven, seen.reason
    assert "ShareUpdateExclusiveLock on public.children" in seen.locks
    assert seen.rewrites == ()


def test_a_remedy_that_the_server_refuses_is_not_proven(
    template: tuple[Picture, Sandbox],
) -> None:
    impossible = "ALTER TABLE public.children ADD CONSTRAINT u UNIQUE (extra) NOT VALID"
    seen = proof(template, drop("children_parent", sql=(impossible,)))
    assert seen is not None
    assert not seen.proven
    assert seen.reason.startswith("the remedy failed on the sandbox")


def test_a_remedy_that_cures_nothing_is_not_proven(template: tuple[Picture, Sandbox]) -> None:
    seen = proof(template, drop("children_parent", sql=("ANALYZE public.children",)))
    assert seen is not None
    assert not seen.proven
    assert "still there" in seen.reason


def test_a_remedy_that_makes_another_rule_red_is_not_proven(
    template: tuple[Picture, Sandbox],
) -> None:
    both = (
        "DROP INDEX CONCURRENTLY public.children_parent",
        "DROP INDEX CONCURRENTLY public.children_parent_extra",
    )
    seen = proof(template, drop("children_parent", sql=both))
    assert seen is not None
    assert not seen.proven
    assert "foreign-key-without-index" in seen.reason


def test_an_inverse_that_fails_is_not_proven(template: tuple[Picture, Sandbox]) -> None:
    broken = drop("children_parent", inverse=("CREATE INDEX children_parent ON nowhere (x)",))
    seen = proof(template, broken)
    assert seen is not None
    assert not seen.proven
    assert seen.reason.startswith("the inverse failed")


def test_a_retry_safe_form_that_cannot_be_repeated_is_not_proven(
    template: tuple[Picture, Sandbox],
) -> None:
    once = ("DROP INDEX public.children_parent",)
    seen = proof(template, drop("children_parent", retry_safe=once))
    assert seen is not None
    assert not seen.proven
    assert seen.reason.startswith("the retry-safe form failed")


def test_a_finding_that_does_not_show_on_the_sandbox_proves_nothing(
    template: tuple[Picture, Sandbox],
) -> None:
    picture, sandbox = template
    with sandbox.connect() as connection:
        connection.execute("DROP INDEX public.children_parent_extra")
    seen = proof((picture, sandbox), drop("children_parent"))
    assert seen is not None
    assert not seen.proven
    assert "does not show" in seen.reason


def test_an_act_for_a_person_is_never_tried(template: tuple[Picture, Sandbox]) -> None:
    act = manual("end-session", {"pid": "1"}, ["SELECT pg_terminate_backend(1)"], "ask its owner")
    assert proof(template, act) is None


def test_what_the_budget_does_not_reach_says_so(template: tuple[Picture, Sandbox]) -> None:
    picture, sandbox = template
    clock = FakeClock()
    trials = Trials(sandbox, picture.snapshot, RULES, seconds=1, clock=clock)
    clock.sleep(2)
    (tried,) = trials.prove(evaluate(picture, [REDUNDANT], {}), lambda _text: None)
    seen = tried.findings[0].remedies[0].proof
    assert seen is not None
    assert not seen.proven
    assert seen.reason.startswith("not tried")


def test_a_trial_leaves_no_setting_and_no_database_behind(
    template: tuple[Picture, Sandbox], database: Database
) -> None:
    before = _state(database)
    shaped = drop("children_parent", shape=Shape(settings={"work_mem": "64kB"}))
    seen = proof(template, shaped)
    assert seen is not None
    assert seen.proven, seen.reason
    assert _state(database) == before


def _state(database: Database) -> tuple[object, ...]:
    with database.connect() as connection:
        databases = connection.execute("SELECT datname FROM pg_database ORDER BY 1").fetchall()
        memory = connection.execute("SHOW work_mem").fetchall()
    return (*databases, *memory)


def test_without_a_schema_nothing_is_proven_and_the_reason_is_said(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(SCHEMA.encode())
    snapshot = take_picture(database).snapshot
    for schema, words in (
        (None, "no sandbox was wanted"),
        (api.schema_source(None, snapshot), "holds no schema"),
    ):
        diagnosis = api.diagnose(snapshot, rules=RULES, schema=schema)
        (found,) = diagnosis.ranked
        seen = found.remedies[0].proof
        assert seen is not None
        assert not seen.proven
        assert words in seen.reason


def test_a_snapshot_file_with_its_schema_is_proven_on_without_the_database(
    database: Database,
) -> None:
    with database.connect() as connection:
        connection.execute(SCHEMA.encode())
    snapshot = api.with_schema(take_picture(database).snapshot, database.dsn)
    diagnosis = api.diagnose(snapshot, rules=RULES, schema=api.schema_source(None, snapshot))
    (found,) = diagnosis.ranked
    assert found.remedies[0].proven, found.remedies[0].proof
