"""Looking at a whole server with one rule: for tests that own it, or that look at a standby."""

from __future__ import annotations

from typing import Any

from howdah.check.evaluate import evaluate
from howdah.check.model import Result, Rule
from howdah.postgres import Server
from howdah.snapshot import collect
from howdah.snapshot.options import Options
from howdah.snapshot.picture import Picture


def look(server: Server, rule: Rule, *, user: str = "postgres", **options: Any) -> Result:
    """The rule's verdict on the server's own database, for rules that ask no planner."""
    settings = {"sample_seconds": 0.0} | options
    taken = collect.take(server.dsn(user=user), Options(**settings))
    return evaluate(Picture(taken), [rule], {})[0]


def run(server: Server, *statements: str) -> None:
    """Each statement on its own."""
    with server.connect() as connection:
        for statement in statements:
            connection.execute(statement.encode())


def value(server: Server, query: str) -> Any:
    """The first column of the first row, None where there is none."""
    with server.connect() as connection:
        row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None
