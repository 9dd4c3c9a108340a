"""Diagnosing a test's database with one rule, the planner's answers included."""

from __future__ import annotations

from typing import Any

from howdah.check.ask import answers
from howdah.check.evaluate import evaluate, questions
from howdah.check.model import Result, Rule
from howdah.sandbox.sandbox import Sandbox
from howdah.sandbox.schema import dump_schema
from howdah.snapshot import collect
from howdah.snapshot.options import Options
from howdah.snapshot.picture import Picture
from howdah.testing import Database


def take_picture(database: Database, *, user: str = "postgres", **options: Any) -> Picture:
    """A picture of the database as that role sees it; by default without the second sample."""
    settings = {"sample_seconds": 0.0} | options
    return Picture(collect.take(database.dsn_of(user), Options(**settings)))


def examine(database: Database, rule: Rule, *, user: str = "postgres", **options: Any) -> Result:
    """One rule's verdict on the database; its questions are asked on a sandbox of the schema."""
    picture = take_picture(database, user=user, **options)
    asked = questions(picture, [rule])
    if not asked:
        return evaluate(picture, [rule], {})[0]
    with Sandbox.from_schema(dump_schema(database.dsn), server=database.server) as sandbox:
        return evaluate(picture, [rule], answers(sandbox, asked))[0]
