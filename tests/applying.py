"""Applying a remedy to the database that showed the finding: forwards, back, and again."""

from __future__ import annotations

from howdah.check.model import Remedy, Result, Rule
from howdah.testing import Database
from tests.diagnosing import examine


def run(database: Database, statements: tuple[str, ...]) -> None:
    """Each statement on its own, as an operator would."""
    with database.connect() as connection:
        for statement in statements:
            connection.execute(statement.encode())


def found(result: Result) -> set[str]:
    """The objects of all findings; empty for any other verdict."""
    return {finding.object for finding in result.findings}


def cure(database: Database, rule: Rule, object: str) -> Remedy:
    """Run a finding's first remedy, its inverse and its retry-safe form twice.

    The finding must go, come back with the inverse (where there is one), and go for good.
    """
    (finding,) = (f for f in examine(database, rule).findings if f.object == object)
    remedy = finding.remedies[0]
    assert not remedy.manual, remedy
    run(database, remedy.sql)
    assert object not in found(examine(database, rule)), remedy.sql
    if remedy.inverse:
        run(database, remedy.inverse)
        assert object in found(examine(database, rule)), remedy.inverse
    run(database, remedy.retry_safe)
    run(database, remedy.retry_safe)
    assert object not in found(examine(database, rule)), remedy.retry_safe
    return remedy
