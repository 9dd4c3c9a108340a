"""Hand-made snapshots for tests of pure code: say what matters, get defaults for the rest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from howdah.check.evaluate import evaluate
from howdah.check.model import Answers, Kind, Result, Rule
from howdah.snapshot.facts import Fact, Status
from howdah.snapshot.facts.catalog import Row
from howdah.snapshot.model import Server, Snapshot, Window, fact_types
from howdah.snapshot.picture import Picture

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
R = TypeVar("R", bound=Row)


def row(kind: type[R], /, **given: Any) -> R:
    """A row of that kind: given fields as given, the others zero, empty, False or None."""
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        values[field.name] = given.pop(field.name) if field.name in given else _blank(field.type)
    if given:
        raise TypeError(f"{kind.__name__} has no field {', '.join(given)}")
    return kind(**values)


def _blank(annotation: Any) -> Any:
    blanks = {int: 0, float: 0.0, str: "", bool: False}
    if annotation in blanks:
        return blanks[annotation]
    return () if getattr(annotation, "__origin__", None) is tuple else None


def fact(
    *rows: Row, status: Status | None = None, reason: str = "", left_out: int = 0
) -> Fact[Any]:
    """A fact of these rows; present or empty unless said otherwise."""
    natural = Status.PRESENT if rows else Status.EMPTY
    return Fact(status=status or natural, rows=rows, reason=reason, left_out=left_out)


def server(**given: Any) -> Server:
    """A PostgreSQL 18 primary seen by a superuser, unless said otherwise."""
    values: dict[str, Any] = {
        "version_num": 180006,
        "version": "18.6",
        "system_identifier": "7000000000000000001",
        "in_recovery": False,
        "started_at": NOW - timedelta(days=30),
        "database": "shop",
        "database_oid": 5,
        "encoding": "UTF8",
        "role": "postgres",
        "is_superuser": True,
        "is_monitor": True,
        "reads_all_data": True,
        "search_path": ("public",),
        "provider": "",
    }
    return Server(**(values | given))


def snapshot(
    *,
    of: Server | None = None,
    window_hours: float | None = 24 * 7,
    **facts: Fact[Any] | list[Any],
) -> Snapshot:
    """A snapshot whose facts are all empty but the given ones (a list of rows, or a `fact`)."""
    known: dict[str, Any] = {name: fact() for name in fact_types()}
    for name, value in facts.items():
        known[name] = fact(*value) if isinstance(value, list) else value
    since = None if window_hours is None else NOW - timedelta(hours=window_hours)
    return Snapshot(
        howdah="test",
        taken_at=NOW,
        seconds=0.1,
        server=of or server(),
        window=Window(since=since, until=NOW, reason="made by hand"),
        **known,
    )


def picture(**given: Any) -> Picture:
    """The picture of `snapshot(**given)`."""
    return Picture(snapshot(**given))


def verdict(rule: Rule, of: Picture, answers: Answers | None = None) -> Result:
    """What the engine makes of one rule on one picture."""
    return evaluate(of, [rule], answers or {})[0]


def objects(result: Result) -> set[str]:
    """The objects of a finding; fails if the verdict is another."""
    assert result.kind is Kind.FINDING, (result.kind, result.reason)
    return {finding.object for finding in result.findings}
