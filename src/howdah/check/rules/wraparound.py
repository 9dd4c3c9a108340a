"""Transaction and MultiXact ids: how old the oldest are, and when they stop the server.

Owns the rules on the ages of databases and tables. That a vacuum is under way is `freezing`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from howdah.check import harm, remedies
from howdah.check.knowledge import ages, autovacuum, pace
from howdah.check.knowledge.ages import MXIDS, XIDS, Ids, Limits
from howdah.check.knowledge.amounts import duration
from howdah.check.knowledge.autovacuum import Heap
from howdah.check.model import (
    Answers,
    Confidence,
    Examination,
    Finding,
    Remedy,
    Severity,
    rule,
)
from howdah.snapshot.facts.catalog import Database
from howdah.snapshot.picture import SYSTEM_SCHEMAS, Picture

FREEZE = "VACUUM (FREEZE)"
_UNLIMITED = "SET statement_timeout = 0"
WORST = 20  # users' tables reported one by one; the database's own finding counts them all


@rule(
    id="xid-age",
    title="Transaction ids run out",
    severity=Severity.CRITICAL,
    objects="databases and tables",
    needs=("databases", "relations", "settings"),
    what="Databases and tables (TOAST tables and materialised views included) whose oldest "
    "transaction id is older than 60 % of the failsafe age, or that will stop the server within "
    "a day at the present rate.",
    why="Three million ids before the end the server refuses to assign more: every write to the "
    "whole cluster fails until the oldest tables are frozen.",
    wrong_when="The rate is measured over the seconds between two samples and may be another at "
    "another hour. A database other than the one asked is judged as a whole: its tables are not "
    "seen from here.",
    source="PostgreSQL documentation, Routine Vacuuming, 'Preventing Transaction ID Wraparound "
    "Failures'; the stop at 2^31 - 3,000,000 is SetTransactionIdLimit of 14 to 18",
)
def xid_age(picture: Picture, _: Answers) -> Examination:
    """Transaction id ages of databases, tables, materialised views and TOAST tables."""
    return _ages(picture, XIDS)


@rule(
    id="mxid-age",
    title="MultiXact ids run out",
    severity=Severity.CRITICAL,
    objects="databases and tables",
    needs=("databases", "relations", "settings"),
    what="Databases and tables whose oldest MultiXact id, by mxid_age, is older than 60 % of the "
    "MultiXact failsafe age, or that will stop the server within a day at the present rate.",
    why="MultiXact ids are used up by rows locked by several transactions at once, foreign keys "
    "first of all. When they run out, every such lock fails.",
    wrong_when="The rate is an average since the SLRU counters began, in steps of 2,048 ids. "
    "MultiXact members can run out long before the ids: see multixact-members.",
    source="PostgreSQL documentation, Routine Vacuuming, 'Multixacts and Wraparound'",
)
def mxid_age(picture: Picture, _: Answers) -> Examination:
    """MultiXact id ages of databases, tables, materialised views and TOAST tables."""
    return _ages(picture, MXIDS)


# --- ages -----------------------------------------------------------------------------------------


def _ages(picture: Picture, ids: Ids) -> Examination:
    limits = ages.limits_of(picture, ids)
    databases = picture.snapshot.databases
    relations = [row for row in picture.snapshot.relations.rows if row.persistence != "t"]
    aged = [(row, tuple(autovacuum.heaps(row))) for row in relations]
    aged = [(row, found) for row, found in aged if found]
    of = len(databases.rows) + len(aged) + picture.snapshot.relations.left_out
    if limits is None:
        return Examination(of=of, unknown="the freeze settings are not in the snapshot")
    tables = [
        (worst, severity)
        for worst in (max(found, key=ids.of_heap) for _, found in aged)
        if (severity := _severity(limits, ids.of_heap(worst)))
    ]
    tables.sort(key=lambda pair: (-ids.of_heap(pair[0]), pair[0].name))
    findings = [_database(picture, ids, limits, row, tables) for row in databases.rows]
    return Examination(
        examined=len(databases.rows) + len(aged),
        of=of,
        unknown=picture.snapshot.relations.reason,
        findings=(
            *(found for found in findings if found),
            *(_table(picture, ids, limits, *pair) for pair in _single(tables)),
        ),
    )


def _single(tables: Sequence[tuple[Heap, Severity]]) -> Sequence[tuple[Heap, Severity]]:
    """The tables reported one by one: the users' worst. The catalogs go with their database."""
    return [pair for pair in tables if pair[0].relation.schema not in SYSTEM_SCHEMAS][:WORST]


def _severity(limits: Limits, age: int) -> Severity | None:
    left = pace.hours_until(pace.STOP_AGE - age, limits.per_hour)
    return ages.severity_of(age, limits.failsafe, left)


def _judged(picture: Picture, ids: Ids, limits: Limits, age: int) -> dict[str, Any]:
    """The evidence that every age comes with."""
    return {
        "age": age,
        "failsafe_age": round(limits.failsafe),
        "stop_age": pace.STOP_AGE,
        "autovacuum_freeze_max_age": round(picture.setting_number(ids.freeze_setting) or 0),
        "ids_per_hour": _rounded(limits.per_hour),
        "hours_to_failsafe": _rounded(pace.hours_until(limits.failsafe - age, limits.per_hour)),
        "hours_to_stop": _rounded(pace.hours_until(pace.STOP_AGE - age, limits.per_hour)),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _claim(name: str, ids: Ids, limits: Limits, age: int) -> str:
    left = pace.hours_until(pace.STOP_AGE - age, limits.per_hour)
    when = "the rate is not known" if left is None else f"at this rate writes stop in {_span(left)}"
    share = f"{age / limits.failsafe:.0%} of the failsafe age"
    whose = name.replace("database ", "Database ", 1) if name.startswith("database ") else name
    return f"{whose} is {age:,} {ids.word} old, {share}; {when}."


def _span(hours: float) -> str:
    return duration(hours * 3600)


def _database(
    picture: Picture,
    ids: Ids,
    limits: Limits,
    row: Database,
    tables: Sequence[tuple[Heap, Severity]],
) -> Finding | None:
    age = ids.of_database(row)
    severity = _severity(limits, age)
    if severity is None:
        return None
    oldest = [heap for heap, _ in tables] if row.is_current else []
    return _aged(
        ids,
        limits,
        name=f"database {row.name}",
        severity=severity,
        evidence=(
            {"database": row.name, **_judged(picture, ids, limits, age), "tables": len(oldest)},
            *({"table": h.name, "is_toast": h.is_toast, "age": ids.of_heap(h)} for h in oldest[:5]),
        ),
        age=age,
        found=_freeze_all(row),
    )


def _freeze_all(row: Database) -> tuple[Remedy, ...]:
    where = {"database": row.name}
    if row.is_current:
        note = "vacuums every table of the database, the catalogs too; " + ages.HELD
        return (
            remedies.statements(
                "vacuum-database", where, (FREEZE,), retry_safe=(_UNLIMITED, FREEZE), note=note
            ),
        )
    note = f"connect to {row.name} and check it there: its tables are not seen from here"
    return (remedies.manual("vacuum-database", where, (FREEZE,), note),)


def _table(picture: Picture, ids: Ids, limits: Limits, heap: Heap, severity: Severity) -> Finding:
    age, limit = ids.of_heap(heap), ids.limit(picture, heap)
    return _aged(
        ids,
        limits,
        name=heap.name,
        severity=severity,
        evidence=(
            {
                "table": heap.name,
                "is_toast": heap.is_toast,
                "kind": heap.relation.kind,
                **_judged(picture, ids, limits, age),
                "forced_vacuum_at_age": limit,
                "is_vacuumed_now": heap.oid in autovacuum.vacuumed_now(picture),
                "pages": heap.relation.toast_pages if heap.is_toast else heap.relation.pages,
            },
        ),
        age=age,
        found=(
            remedies.vacuum(heap.relation.schema, heap.relation.name, freeze=True, note=ages.HELD),
        ),
    )


def _aged(
    ids: Ids,
    limits: Limits,
    *,
    name: str,
    severity: Severity,
    evidence: tuple[dict[str, Any], ...],
    age: int,
    found: tuple[Remedy, ...],
) -> Finding:
    return Finding(
        rule=ids.rule,
        object=name,
        severity=severity,
        claim=_claim(name, ids, limits, age),
        evidence=evidence,
        confidence=Confidence.PROVEN,
        refuted_by=ids.refuted_by,
        cost_if_wrong="one vacuum of the table earlier than needed: its pages read, some written",
        harm=harm.outage(pace.hours_until(pace.STOP_AGE - age, limits.per_hour)),
        remedies=found,
    )
