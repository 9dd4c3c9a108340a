"""Materialised views that cannot be refreshed while they are read.

Owns the rule on REFRESH MATERIALIZED VIEW CONCURRENTLY.
"""

from __future__ import annotations

from dataclasses import dataclass

from howdah.check import harm, remedies
from howdah.check.knowledge.amounts import counted, duration
from howdah.check.knowledge.composing import composed
from howdah.check.knowledge.identity import is_full_unique
from howdah.check.knowledge.parsing import Resolver
from howdah.check.knowledge.texts import refresh
from howdah.check.model import Answers, Confidence, Examination, Finding, Remedy, Severity, rule
from howdah.snapshot.facts.catalog import Relation
from howdah.snapshot.facts.counters import Statement
from howdah.snapshot.picture import Picture
from howdah.snapshot.texts import HIDDEN

_BLOCKING_MILLISECONDS = 1000.0  # a refresh that locks readers out for a second on average
_PAGES_PER_SECOND = 131_072  # 1 GB/s, the price of an outage in howdah.check.harm


@dataclass(frozen=True)
class _Refreshes:
    """What the statements did to one materialised view."""

    concurrent: tuple[Statement, ...]
    plain: tuple[Statement, ...]


@rule(
    id="matview-refresh-concurrently",
    title="Materialised view that cannot be refreshed concurrently",
    severity=Severity.WARNING,
    objects="materialised views",
    needs=("relations", "indexes"),
    what="A materialised view without a valid UNIQUE index over plain columns and all rows, which "
    "is refreshed CONCURRENTLY, or whose plain refresh takes a second or more.",
    why="REFRESH ... CONCURRENTLY fails without such an index, so the data stays old. A plain "
    "refresh locks every reader out until it ends.",
    wrong_when="Only refreshes that pg_stat_statements recorded are seen, and it records those "
    "that succeeded: a view whose refresh has failed since it was created shows nothing. Nobody "
    "may read the view while it is refreshed.",
    source="PostgreSQL documentation, REFRESH MATERIALIZED VIEW",
)
def matview_refresh_concurrently(picture: Picture, _: Answers) -> Examination:
    """Materialised views, the refreshes seen, and the indexes that would allow them."""
    views = [row for row in picture.user_relations if row.kind == "m"]
    seen_whole = [view for view in views if not view.is_locked]
    if not picture.snapshot.statements.known:
        reason = f"statements: {picture.snapshot.statements.reason}"
        return Examination(of=len(views), unknown=reason)
    done = _refreshes(picture)
    findings = [
        _blocked(picture, view, seen)
        for view in seen_whole
        if (seen := done.get(view.oid)) and not _has_key(picture, view) and _matters(seen)
    ]
    hidden = sum(row.text == HIDDEN for row in picture.snapshot.statements.rows)
    reason = (
        f"{counted(hidden, 'statement')} may not be read by {picture.server.role}"
        if hidden
        else "the indexes of the others are behind somebody's ACCESS EXCLUSIVE lock"
    )
    examined = len(findings) if hidden else len(seen_whole)
    return Examination(examined=examined, of=len(views), unknown=reason, findings=tuple(findings))


def _has_key(picture: Picture, view: Relation) -> bool:
    return any(is_full_unique(index) for index in picture.indexes_of.get(view.oid, ()))


def _refreshes(picture: Picture) -> dict[int, _Refreshes]:
    resolver = Resolver(picture)
    found: dict[int, list[tuple[bool, Statement]]] = {}
    for statement in picture.snapshot.statements.rows:
        what = refresh(statement.text)
        view = resolver.relation(what.schema, what.name) if what else None
        if what is not None and view is not None:
            found.setdefault(view.oid, []).append((what.concurrently, statement))
    return {
        oid: _Refreshes(
            concurrent=tuple(statement for at_once, statement in pairs if at_once),
            plain=tuple(statement for at_once, statement in pairs if not at_once),
        )
        for oid, pairs in found.items()
    }


def _milliseconds(seen: _Refreshes) -> float:
    calls = sum(each.calls for each in seen.plain)
    return sum(each.total_milliseconds for each in seen.plain) / calls if calls else 0.0


def _matters(seen: _Refreshes) -> bool:
    return bool(seen.concurrent) or _milliseconds(seen) >= _BLOCKING_MILLISECONDS


def _blocked(picture: Picture, view: Relation, seen: _Refreshes) -> Finding:
    title = picture.relation_name(view.oid)
    mean = _milliseconds(seen)
    calls = sum(each.calls for each in seen.plain)
    claim = (
        f"{title} was refreshed CONCURRENTLY, which fails now: it has no usable UNIQUE index."
        if seen.concurrent
        else f"Each refresh of {title} locks its readers out for {duration(mean / 1000)}, and "
        "without a UNIQUE index it cannot be done CONCURRENTLY."
    )
    return Finding(
        rule="matview-refresh-concurrently",
        object=title,
        severity=Severity.WARNING if seen.concurrent else Severity.NOTICE,
        claim=claim,
        evidence=(
            {
                "view": title,
                "concurrent_refreshes": sum(each.calls for each in seen.concurrent),
                "plain_refreshes": calls,
                "mean_plain_refresh_milliseconds": round(mean, 1),
                "indexes": [i.definition for i in picture.indexes_of.get(view.oid, ())],
            },
        ),
        confidence=Confidence.PROVEN,
        refuted_by="a REFRESH MATERIALIZED VIEW CONCURRENTLY that succeeds",
        cost_if_wrong="an index on the view",
        harm=harm.held(picture.pages(view.oid))
        + harm.waste(_PAGES_PER_SECOND * mean / 1000, picture.per_hour(calls) if calls else 0),
        remedies=(_unique(picture, view),),
        window=picture.window,
    )


def _unique(picture: Picture, view: Relation) -> Remedy:
    """A unique index on the one column that statistics show as a key, else a person's choice."""
    rows = picture.rows(view.oid) or 0
    for number, column in sorted(picture.columns.get(view.oid, {}).items()):
        seen = picture.column_statistics.get((view.oid, number, False))
        unique = seen is not None and (seen.distinct == -1 or 0 < rows <= seen.distinct)
        if seen is not None and unique and seen.null_fraction == 0:
            return remedies.create_index(
                view.schema,
                view.name,
                f"{view.name[:50]}_{column.name[:8]}_key",
                composed("{c}", c=column.name),
                unique=True,
                note=f"statistics show {column.name} as unique; the build fails if it is not",
            )
    statement = "CREATE UNIQUE INDEX CONCURRENTLY ON {v} (...)"
    return remedies.manual(
        "create-index",
        {"view": picture.relation_name(view.oid)},
        (composed(statement, v=(view.schema, view.name)),),
        "over the columns that identify a row, without WHERE and without expressions",
    )
